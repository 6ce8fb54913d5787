/**
 * The bridge's store with readable keys, and the one queue through which everything that reads and then writes
 * goes: what such a step has read still holds when its batch is written.
 */
import { fromUtf8, prefixEnd, utf8 } from '../../base/bytes.ts';
import type { Store, StoreOperation } from '../../base/store.ts';
import type { Schema } from '../../protocol/schema.ts';

/** Typed access to the bridge's store. */
export interface State {
  get<T>(key: string, schema: Schema<T>): T | undefined;
  getText(key: string): string | undefined;
  getBytes(key: string): Uint8Array | undefined;
  /** Runs `step` after all earlier steps, and puts what it returns on disk in one batch before it resolves. */
  update<T>(step: () => Change<T>): Promise<T>;
  /** Keys and values below `prefix`, in order. */
  entries(
    prefix: string,
    options?: { readonly reverse?: boolean; readonly limit?: number },
  ): AsyncIterable<readonly [string, Uint8Array]>;
}

/** What a step decided, and what has to be written with it. */
export interface Change<T> {
  readonly operations: readonly StoreOperation[];
  readonly result: T;
}

/** The state in `store`. */
export function createState(store: Store): State {
  let tail: Promise<unknown> = Promise.resolve();
  return {
    get(key, schema) {
      const value = store.getSync(utf8(key));
      return value === undefined ? undefined : schema.decode(value);
    },
    getText(key) {
      const value = store.getSync(utf8(key));
      return value === undefined ? undefined : fromUtf8(value);
    },
    getBytes: (key) => store.getSync(utf8(key)),
    update(step) {
      const run = tail.then(async () => {
        const { operations, result } = step();
        await store.batch(operations, { sync: true });
        return result;
      });
      tail = run.catch(() => undefined);
      return run;
    },
    async *entries(prefix, options = {}) {
      const gte = utf8(prefix);
      const lt = prefixEnd(gte);
      for await (const [key, value] of store.entries({ gte, ...(lt && { lt }), ...options })) {
        yield [fromUtf8(key) ?? '', value];
      }
    },
  };
}

/** Writes `value` under `key`. */
export function put<T>(key: string, schema: Schema<T>, value: T): StoreOperation {
  return { type: 'put', key: utf8(key), value: schema.encode(value) };
}

/** Writes a text under `key`. */
export function putText(key: string, value: string): StoreOperation {
  return { type: 'put', key: utf8(key), value: utf8(value) };
}

/** Deletes `key`. */
export function del(key: string): StoreOperation {
  return { type: 'del', key: utf8(key) };
}
