/**
 * A part of the home's store in which what stands is sealed: answers that are kept for callers hold passages of vaults,
 * which are readable nowhere else. Keys stay as they are; they are ids of calls. A value that was written before it was
 * sealed is read as it is and sealed when it is next written.
 */
import { concat } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Dice } from '../base/random.ts';
import type { Store } from '../base/store.ts';
import { open, seal } from '../vault/sealed/aead.ts';

/** In front of a sealed value. No record (ENC-10) begins so. */
const MARK = Uint8Array.of(0xff, 1);

/** A view of `store` whose values are sealed under `key` (32 bytes). Throws `store-corrupt` for one that does not open. */
export function sealedStore(store: Store, key: Uint8Array, dice: Dice): Store {
  const opened = (place: Uint8Array, stored: Uint8Array): Uint8Array => {
    if (stored[0] !== MARK[0] || stored[1] !== MARK[1]) return stored;
    const plain = open(key, place, stored.subarray(MARK.length));
    if (plain !== undefined) return plain;
    throw new SaharaError('store-corrupt', { reason: 'a sealed record does not open' });
  };
  return {
    async get(place) {
      const stored = await store.get(place);
      return stored && opened(place, stored);
    },
    getSync(place) {
      const stored = store.getSync(place);
      return stored && opened(place, stored);
    },
    batch: (operations, options) =>
      store.batch(
        operations.map((operation) =>
          operation.type === 'del'
            ? operation
            : { ...operation, value: concat(MARK, seal(key, operation.key, operation.value, dice)) },
        ),
        options,
      ),
    async *entries(range) {
      for await (const [place, stored] of store.entries(range)) yield [place, opened(place, stored)];
    },
    close: () => store.close(),
  };
}
