import { afterEach, describe, expect, test } from 'vitest';
import type { Store, StoreOperation } from '../../src/base/store.ts';

const at = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const put = (key: Uint8Array, value: Uint8Array): StoreOperation => ({ type: 'put', key, value });
const del = (key: Uint8Array): StoreOperation => ({ type: 'del', key });

async function keysOf(store: Store, range?: Parameters<Store['entries']>[0]): Promise<number[][]> {
  const keys: number[][] = [];
  for await (const [key] of store.entries(range)) keys.push([...key]);
  return keys;
}

/** What every store must do. `create` gives an empty one. */
export function storeConforms(name: string, create: () => Promise<Store>): void {
  describe(`store: ${name}`, () => {
    let store: Store | undefined;
    const open = async (): Promise<Store> => {
      store = await create();
      return store;
    };
    afterEach(async () => {
      await store?.close();
      store = undefined;
    });

    test('gives back what was put, with and without a promise', async () => {
      const made = await open();
      await made.batch([put(at(1), at(10)), put(at(2), at())], { sync: true });
      expect(await made.get(at(1))).toEqual(at(10));
      expect(made.getSync(at(1))).toEqual(at(10));
      expect(await made.get(at(2))).toEqual(at());
      expect(await made.get(at(3))).toBeUndefined();
      expect(made.getSync(at(3))).toBeUndefined();
    });

    test('applies a batch in order, the last change of a key wins', async () => {
      const made = await open();
      await made.batch([put(at(1), at(1)), del(at(1)), put(at(2), at(1)), put(at(2), at(2))]);
      expect(await made.get(at(1))).toBeUndefined();
      expect(await made.get(at(2))).toEqual(at(2));
      await made.batch([]);
      await made.batch([del(at(9))]);
      expect(await keysOf(made)).toEqual([[2]]);
    });

    test('walks in byte order within its bounds', async () => {
      const made = await open();
      const keys = [at(255), at(1, 0), at(1), at(0), at(1, 255), at(128)];
      await made.batch(keys.map((key) => put(key, key)));
      expect(await keysOf(made)).toEqual([[0], [1], [1, 0], [1, 255], [128], [255]]);
      expect(await keysOf(made, { gte: at(1), lt: at(128) })).toEqual([[1], [1, 0], [1, 255]]);
      expect(await keysOf(made, { gte: at(1), reverse: true, limit: 2 })).toEqual([[255], [128]]);
      expect(await keysOf(made, { lt: at(1) })).toEqual([[0]]);
      expect(await keysOf(made, { gte: at(2), lt: at(2) })).toEqual([]);
    });

    test('keeps its own copies', async () => {
      const made = await open();
      const key = at(1);
      const value = at(7);
      await made.batch([put(key, value)]);
      key[0] = 2;
      value[0] = 8;
      expect(await made.get(at(1))).toEqual(at(7));
      const read = await made.get(at(1));
      if (read) read[0] = 9;
      expect(await made.get(at(1))).toEqual(at(7));
    });

    test('an iterator that is left early harms nothing', async () => {
      const made = await open();
      await made.batch([put(at(1), at(1)), put(at(2), at(2))]);
      for await (const [key] of made.entries()) {
        expect([...key]).toEqual([1]);
        break;
      }
      await made.batch([del(at(1))]);
      expect(await keysOf(made)).toEqual([[2]]);
    });
  });
}
