import { describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { watchSpace } from '../../src/daemon/space.ts';
import { createToldClock } from '../mesh/support.ts';

const put = [{ type: 'put', key: Uint8Array.of(1), value: Uint8Array.of(2) }] as const;

describe('a disk without space', () => {
  it('is waited out once something could not be written, and not for other failures', async () => {
    const clock = createToldClock();
    let free = 0;
    let looks = 0;
    const watch = watchSpace({ clock, log: silentLog, path: '/' }, async () => {
      looks++;
      return free;
    });
    let failure: SaharaError | undefined = new SaharaError('store-corrupt');
    const memory = createMemoryStore();
    const store = watch.store({
      ...memory,
      batch: (operations) => (failure ? Promise.reject(failure) : memory.batch(operations)),
    });
    let regained = false;
    void watch.regained.then(() => {
      regained = true;
    });
    const pass = async (ms: number): Promise<void> => {
      clock.advance(ms);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await expect(store.batch(put)).rejects.toMatchObject({ code: 'store-corrupt' });
    await pass(10_000);
    expect(looks).toBe(0);

    failure = new SaharaError('disk-full');
    await expect(store.batch(put)).rejects.toMatchObject({ code: 'disk-full' });
    await expect(store.batch(put)).rejects.toMatchObject({ code: 'disk-full' });
    await pass(1_000);
    await pass(1_000);
    expect([looks, regained]).toEqual([2, false]);
    free = 1e9;
    failure = undefined;
    await pass(1_000);
    expect([looks, regained]).toEqual([3, true]);
    await store.batch(put);
    expect(store.getSync(Uint8Array.of(1))).toEqual(Uint8Array.of(2));
  });

  it('is seen by the tail too, which is looked after no more once it was stopped', async () => {
    const clock = createToldClock();
    let looks = 0;
    const watch = watchSpace({ clock, log: silentLog, path: '/' }, async () => ++looks);
    const tail = watch.tail({
      sizeBytes: 7,
      append: () => {
        throw new SaharaError('disk-full');
      },
      batches: () => [],
      clear: () => {},
      close: () => {},
    });
    expect(tail.sizeBytes).toBe(7);
    expect(() => tail.append(put)).toThrow('disk-full');
    watch.stop();
    clock.advance(5_000);
    expect(looks).toBe(0);
  });
});
