import { describe, expect, it } from 'vitest';
import { weightOfPrice } from '../../src/agent/llama/price-weight.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createModelClasses } from '../../src/daemon/model-classes.ts';

const DIGEST = new Uint8Array(32).fill(1);
const CLASS = 'llama.cpp b1, cpu x64, Q4_K, 4 together';

describe('classes of models', () => {
  it('MODEL-82: are known at the next start, by the model and by how it is run', async () => {
    const store = createMemoryStore();
    const first = createModelClasses(store, 'settings');
    expect(await first.get(DIGEST)).toBeUndefined();
    await first.set(DIGEST, CLASS);
    expect(await createModelClasses(store, 'settings').get(DIGEST)).toBe(CLASS);
    expect(await createModelClasses(store, 'settings').get(new Uint8Array(32))).toBeUndefined();
    expect(await createModelClasses(store, 'other settings').get(DIGEST)).toBeUndefined();
  });

  it('MODEL-82: of another machine or library, or that are damaged, are not believed', async () => {
    const store = createMemoryStore();
    for (const kept of [`0000\n${CLASS}`, CLASS, '', '\n']) {
      await store.batch([{ type: 'put', key: DIGEST, value: utf8(kept) }]);
      expect(await createModelClasses(store, 'settings').get(DIGEST), kept).toBeUndefined();
    }
    await store.batch([{ type: 'put', key: DIGEST, value: Uint8Array.of(0xff, 0xfe) }]);
    expect(await createModelClasses(store, 'settings').get(DIGEST)).toBeUndefined();
  });
});

describe('MODEL-83: a price', () => {
  const at = (perCall: bigint, perInputUnit = 0n, perOutputUnit = 0n): number =>
    weightOfPrice({ perCall, perInputUnit, perOutputUnit });

  it('buys a share that rises with it, and never all', () => {
    expect(at(0n)).toBe(1);
    expect(at(1_000_000n)).toBe(2);
    expect(at(0n, 1_000n, 3_000n)).toBe(2);
    expect(at(10_000_000n)).toBeCloseTo(4.46, 2);
    expect(at(10n ** 30n)).toBe(16);
  });
});
