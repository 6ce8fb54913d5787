import fc from 'fast-check';
import { expect, test } from 'vitest';
import { u32be } from '../../src/base/bytes.ts';
import { createStateCache } from '../../src/ledger/state-cache.ts';

test('LEDGER-154: a cache of records answers what is stored, within its bytes, whatever is read and written', () => {
  const step = fc.record({
    key: fc.nat({ max: 30 }),
    write: fc.option(fc.uint8Array({ maxLength: 600 }), { nil: undefined }),
    reads: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.constantFrom(0, 700, 5_000), (steps, bytesMax) => {
      const stored = new Map<number, Uint8Array>();
      let asked = 0;
      const read = (key: Uint8Array): Uint8Array | undefined => {
        asked++;
        return stored.get(new DataView(key.buffer).getUint32(0));
      };
      const cache = createStateCache(read, bytesMax);
      for (const { key, write, reads } of steps) {
        if (!reads) {
          if (write === undefined) stored.delete(key);
          else stored.set(key, write);
          cache.adopt([{ key: u32be(key), value: write }]);
        }
        expect(cache.read(u32be(key))).toEqual(stored.get(key));
        expect(cache.sizeBytes).toBeLessThanOrEqual(bytesMax);
      }
      const before = asked;
      const small = [...stored].find(([, { length }]) => length < 100)?.[0];
      if (small === undefined || bytesMax < 5_000) return;
      cache.read(u32be(small));
      cache.read(u32be(small));
      expect(asked - before).toBeLessThanOrEqual(1);
    }),
  );
});
