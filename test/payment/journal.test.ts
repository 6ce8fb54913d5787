import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { createMemoryStore, type Store, type StoreOperation } from '../../src/base/store.ts';
import { openFileTail, type Tail } from '../../src/base/tail.ts';
import { Journal, recoverTail } from '../../src/payment/journal.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-journal-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Two records that only make sense together: the total, and one part that it grew by. */
class Sum {
  total = 0;
  #operations: StoreOperation[] = [];

  add(amount: number): void {
    this.total += amount;
    this.#operations.push(put(`part ${this.total}`, String(amount)));
  }

  collect(into: StoreOperation[]): void {
    into.push(put('total', String(this.total)), ...this.#operations);
    this.#operations = [];
  }
}

const put = (key: string, value: string): StoreOperation => ({
  type: 'put',
  key: utf8(key),
  value: utf8(value),
});

/** What the records come to: the total, and the sum of the parts. */
async function read(store: Store): Promise<readonly [number, number]> {
  let parts = 0;
  for await (const [key, value] of store.entries()) {
    if (fromUtf8(key)?.startsWith('part')) parts += Number(fromUtf8(value));
  }
  return [Number(fromUtf8((await store.get(utf8('total'))) ?? utf8('0'))), parts];
}

async function copyOf(store: Store): Promise<Store> {
  const copy = createMemoryStore();
  for await (const [key, value] of store.entries()) await copy.batch([{ type: 'put', key, value }]);
  return copy;
}

/** A tail as it is after a crash: only these of the batches. */
function tailWith(name: string, batches: readonly (readonly StoreOperation[])[]): Tail {
  const tail = openFileTail(join(folder, name));
  for (const batch of batches) tail.append(batch);
  return tail;
}

describe('a journal with a tail', () => {
  it('PAY-14: after a loss of power what is recovered fits together, whichever of the two fell behind', async () => {
    const store = createMemoryStore();
    const tail = openFileTail(join(folder, 'running'));
    const journal = new Journal({ store, tail, clock });
    const sum = new Sum();
    const batches: (readonly StoreOperation[])[] = [];
    const stores: Store[] = [await copyOf(store)];
    for (const amount of [1, 10, 100, 1_000]) {
      sum.add(amount);
      journal.mark(sum);
      expect(journal.secure()).toBeUndefined();
      batches.push(tail.batches().at(-1) ?? []);
      await journal.written();
      stores.push(await copyOf(store));
    }
    for (const [taken, kept] of stores.entries()) {
      for (let first = 0; first <= batches.length; first++) {
        for (let last = first; last <= batches.length; last++) {
          const disk = await copyOf(kept);
          const left = tailWith(`${taken}-${first}-${last}`, batches.slice(first, last));
          await recoverTail(disk, left);
          const [total, parts] = await read(disk);
          expect(parts).toBe(total);
          // Nothing that the store had is taken back, and what follows on it is not lost.
          const reached = first <= taken ? Math.max(taken, last) : taken;
          expect(total).toBe([0, 1, 11, 111, 1_111][reached]);
          expect(left.sizeBytes).toBe(0);
          left.close();
        }
      }
    }
    tail.close();
  });

  it('PAY-14: what the store takes without waiting for the tail is in the tail first', async () => {
    const disk = createMemoryStore();
    const tail = openFileTail(join(folder, 'ahead'));
    let seen = 0;
    const store: Store = {
      ...disk,
      async batch(operations, options) {
        seen = tail.batches().length;
        await disk.batch(operations, options);
      },
    };
    const journal = new Journal({ store, tail, clock });
    const sum = new Sum();
    sum.add(5);
    journal.mark(sum);
    await journal.written();
    expect([seen, tail.sizeBytes]).toEqual([1, 0]);
    expect(await read(disk)).toEqual([5, 5]);
    tail.close();
  });
});
