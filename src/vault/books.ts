/** What a vault writes down about itself beside its documents: small sealed records, each kind in a book of its own. */
import type { Store, StoreOperation, StoreRange } from '../base/store.ts';
import type { VaultCodec } from './codec.ts';
import { bookKey, bookRange } from './item-keys.ts';

/** The books: `g` grants, `e` the epoch, `a` accesses, `r` terms of what came from others, `s` what was committed to, `w` watched folders, `f` their files, `l` labels. */
export type BookName = 'g' | 'e' | 'a' | 'r' | 's' | 'w' | 'f' | 'l';

/** A change in a book; without a value the record goes. */
export interface BookChange {
  readonly book: BookName;
  readonly name: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** The books of one vault. Everything throws `store-corrupt` for what does not open. */
export interface Books {
  get(book: BookName, name: Uint8Array): Promise<Uint8Array | undefined>;
  /** All at once; on disk when it resolves, if `sync`. */
  write(changes: readonly BookChange[], options?: { readonly sync?: boolean }): Promise<void>;
  /** Records in order of their names, of those that begin with `prefix`. */
  entries(
    book: BookName,
    prefix?: Uint8Array,
    walk?: Pick<StoreRange, 'reverse' | 'limit'>,
  ): AsyncIterable<readonly [name: Uint8Array, value: Uint8Array]>;
}

const HEAD_BYTES = 2;

/** The books in `store`. */
export function createBooks(parts: { readonly store: Store; readonly codec: VaultCodec }): Books {
  const { store, codec } = parts;
  return {
    async get(book, name) {
      const key = bookKey(book, name);
      const stored = await store.get(key);
      return stored === undefined ? undefined : codec.open(key, stored);
    },
    async write(changes, options = {}) {
      const operations = changes.map(({ book, name, value }): StoreOperation => {
        const key = bookKey(book, name);
        return value === undefined
          ? { type: 'del', key }
          : { type: 'put', key, value: codec.seal(key, value) };
      });
      await store.batch(operations, options);
    },
    async *entries(book, prefix = new Uint8Array(0), walk = {}) {
      for await (const [key, stored] of store.entries({ ...bookRange(book, prefix), ...walk })) {
        yield [key.slice(HEAD_BYTES), codec.open(key, stored)];
      }
    },
  };
}
