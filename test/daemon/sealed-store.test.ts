import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { sealedStore } from '../../src/daemon/sealed-store.ts';

const key = new Uint8Array(32).fill(4);

describe('a sealed part of the store', () => {
  it('KNOW-126: shows values to its key alone, and reads those that were written before', async () => {
    const below = createMemoryStore();
    await below.batch([{ type: 'put', key: utf8('old'), value: utf8('as it was') }]);
    const store = sealedStore(below, key, systemDice);
    await store.batch([
      { type: 'put', key: utf8('a'), value: utf8('an answer') },
      { type: 'put', key: utf8('b'), value: new Uint8Array(0) },
    ]);
    expect(await store.get(utf8('a'))).toEqual(utf8('an answer'));
    expect(store.getSync(utf8('b'))).toEqual(new Uint8Array(0));
    expect(await store.get(utf8('c'))).toBeUndefined();
    const all: string[] = [];
    for await (const [place, value] of store.entries()) {
      all.push(`${Buffer.from(place)}=${Buffer.from(value)}`);
    }
    expect(all).toEqual(['a=an answer', 'b=', 'old=as it was']);
    const raw = Buffer.from((await below.get(utf8('a'))) ?? []).toString('latin1');
    expect(raw).not.toContain('answer');
    await store.batch([{ type: 'del', key: utf8('b') }]);
    expect(await store.get(utf8('b'))).toBeUndefined();
    const other = sealedStore(below, new Uint8Array(32).fill(5), systemDice);
    await expect(other.get(utf8('a'))).rejects.toMatchObject({ code: 'store-corrupt' });
    // Moved to another place it does not open.
    const moved = await below.get(utf8('a'));
    await below.batch([{ type: 'put', key: utf8('x'), value: moved ?? new Uint8Array(0) }]);
    expect(() => store.getSync(utf8('x'))).toThrow('store-corrupt');
  });
});
