import { compareBytes, concat, prefixEnd } from './bytes.ts';

/** One change in a batch. A `put` without a value does not exist: deleting is its own kind. */
export type StoreOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

/** Keys from `gte` (included) to `lt` (excluded) in byte order. */
export interface StoreRange {
  readonly gte?: Uint8Array;
  readonly lt?: Uint8Array;
  /** Walk from the greatest key down. Default false. */
  readonly reverse?: boolean;
  /** Stop after this many entries. Default: no limit. */
  readonly limit?: number;
}

/** All keys from `gte` (included) to `lt` (excluded). */
export type KeySpan = Required<Pick<StoreRange, 'gte' | 'lt'>>;

/**
 * An ordered key-value store. A batch is applied whole or not at all, also across a crash; with `sync` it is on
 * disk when the promise resolves. Keys and values are the caller's to keep: the store copies what it retains.
 */
export interface Store {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** The same answer without a promise, for code that must not wait (the ledger's state machine). */
  getSync(key: Uint8Array): Uint8Array | undefined;
  batch(operations: readonly StoreOperation[], options?: { readonly sync?: boolean }): Promise<void>;
  entries(range?: StoreRange): AsyncIterable<readonly [Uint8Array, Uint8Array]>;
  /**
   * Writes anew what is on disk of these ranges, each with both ends, so that nothing that was deleted or replaced in
   * them before is left there. Takes as long as what lies in them and beside them. Meanwhile there is an empty value just
   * before each end, under a key that ends in eight bytes of 255; one that is killed leaves it. Absent where nothing is
   * on disk.
   */
  erase?(ranges: readonly KeySpan[]): Promise<void>;
  close(): Promise<void>;
}

/** A view of `store` in which every key carries `prefix`. Closing it leaves the store open. */
export function prefixed(store: Store, prefix: Uint8Array): Store {
  const full = (key: Uint8Array): Uint8Array => concat(prefix, key);
  return {
    get: (key) => store.get(full(key)),
    getSync: (key) => store.getSync(full(key)),
    batch: (operations, options) =>
      store.batch(
        operations.map((operation) => ({ ...operation, key: full(operation.key) })),
        options,
      ),
    async *entries(range = {}) {
      const end = range.lt === undefined ? prefixEnd(prefix) : full(range.lt);
      const bounds = { ...range, gte: full(range.gte ?? new Uint8Array(0)), ...(end && { lt: end }) };
      for await (const [key, value] of store.entries(bounds)) yield [key.subarray(prefix.length), value];
    },
    close: async () => {},
  };
}

/** A store in memory: for throw-away state, the simulator and the conformance suite. */
export function createMemoryStore(): Store {
  const values = new Map<string, readonly [Uint8Array, Uint8Array]>();
  const name = (key: Uint8Array): string => String.fromCharCode(...key);
  return {
    get: async (key) => values.get(name(key))?.[1].slice(),
    getSync: (key) => values.get(name(key))?.[1].slice(),
    async batch(operations) {
      for (const operation of operations) {
        if (operation.type === 'del') values.delete(name(operation.key));
        else values.set(name(operation.key), [operation.key.slice(), operation.value.slice()]);
      }
    },
    async *entries(range = {}) {
      const inside = [...values.values()]
        .filter(([key]) => !range.gte || compareBytes(key, range.gte) >= 0)
        .filter(([key]) => !range.lt || compareBytes(key, range.lt) < 0)
        .sort(([a], [b]) => (range.reverse ? compareBytes(b, a) : compareBytes(a, b)));
      for (const [key, value] of inside.slice(0, range.limit)) yield [key.slice(), value.slice()];
    },
    close: async () => {},
  };
}
