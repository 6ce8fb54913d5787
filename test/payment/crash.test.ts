import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createMemoryStore, type Store, type StoreOperation } from '../../src/base/store.ts';
import { openFileTail } from '../../src/base/tail.ts';
import { Journal, recoverTail } from '../../src/payment/journal.ts';
import { charge as chargeSchema } from '../../src/protocol/payment.ts';
import { createRig, QUESTION, type Rig } from '../calls/rig.ts';
import { failingAt } from './failing-store.ts';

const ask = (rig: Rig): ReturnType<Rig['caller']['ask']>['result'] =>
  rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n }).result;

interface Books {
  readonly charged: bigint;
  readonly receipts: number;
}

async function payeeOf(rig: Rig): Promise<Books> {
  let [charged, receipts] = [0n, 0];
  for await (const lane of rig.payee.lanes.all()) {
    charged += lane.charged;
    receipts += lane.count;
    const { charge, amounts } = lane.signed;
    const total = charge === undefined ? 0n : chargeSchema.decode(charge.payload).total;
    expect(amounts.reduce((sum, { amount }) => sum + amount, 0n)).toBe(total);
    expect(total).toBe(lane.charged);
    expect(await rig.payee.lanes.endings(lane, 0, 1_000)).toHaveLength(lane.count);
  }
  return { charged, receipts };
}

describe('crashes', () => {
  it('PAY-10 PAY-11: the payee loses its disk at any batch; what a caller holds is never missing after restart', async () => {
    for (let batch = 1; batch <= 8; batch++) {
      const store = failingAt(batch);
      const rig = await createRig({ payeeStore: store });
      let told = 0n;
      for (let i = 0; i < 4; i++) {
        await ask(rig).then(
          ({ amount }) => {
            told += amount;
          },
          () => {},
        );
      }
      const after = await createRig({ payeeStore: store.disk, channels: rig.channels });
      const books = await payeeOf(after);
      expect(books.charged).toBeGreaterThanOrEqual(told);
      // Whoever lost what, both agree as soon as they have spoken, and the next call goes through.
      const { amount } = await ask(after);
      expect(await after.payer.resolveUnknown()).toBe(0);
      expect(after.payer.balances()[0]?.charged).toBe(books.charged + amount);
      expect(await payeeOf(after)).toEqual({ charged: books.charged + amount, receipts: books.receipts + 1 });
    }
  });

  it('PAY-20 PAY-21: the payer loses its disk at any batch; it recovers from the payee and nothing is paid twice', async () => {
    for (let batch = 1; batch <= 8; batch++) {
      const payeeStore = createMemoryStore();
      const store = failingAt(batch);
      const rig = await createRig({ payeeStore, payerStore: store });
      for (let i = 0; i < 4; i++) await ask(rig).catch(() => {});
      await rig.payee.flush();
      const before = await payeeOf(rig);
      const after = await createRig({ payeeStore, payerStore: store.disk, channels: rig.channels });
      const { amount } = await ask(after);
      expect(after.payer.balances()[0]).toMatchObject({
        charged: before.charged + amount,
        reserved: 0n,
        disputed: false,
      });
      expect((await payeeOf(after)).receipts).toBe(before.receipts + 1);
    }
  });

  it('PAY-13: the books survive on a real store, closed and opened again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sahara-books-'));
    try {
      let stores: Store[] = await Promise.all(
        ['payee', 'payer'].map((name) => openLevelStore(join(folder, name))),
      );
      const open = async (): Promise<Rig> => {
        const [payeeStore, payerStore] = stores as [Store, Store];
        return createRig({ payeeStore, payerStore });
      };
      let rig = await open();
      await Promise.all(Array.from({ length: 20 }, () => ask(rig)));
      await Promise.all([rig.payee.flush(), rig.payer.flush()]);
      const books = await payeeOf(rig);
      await Promise.all(stores.map((store) => store.close()));
      stores = await Promise.all(['payee', 'payer'].map((name) => openLevelStore(join(folder, name))));
      rig = await open();
      expect(await payeeOf(rig)).toEqual(books);
      expect(rig.payer.balances()[0]).toMatchObject({ charged: books.charged, receipts: 20 });
      expect((await ask(rig)).receipt.sequence).toBe(20);
      await Promise.all([rig.payee.flush(), rig.payer.flush()]);
      await Promise.all(stores.map((store) => store.close()));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('PAY-14: what was appended to the tail is in the store after a crash; a torn end is left out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sahara-tail-'));
    try {
      const path = join(folder, 'tail');
      const put = (n: number): StoreOperation => ({
        type: 'put',
        key: Uint8Array.of(n),
        value: Uint8Array.of(n),
      });
      const journal = new Journal({ store: failingAt(1), clock, tail: openFileTail(path) });
      for (const n of [1, 2, 3]) {
        journal.mark({ collect: (into) => into.push(put(n)) });
        expect(journal.secure()).toBeUndefined();
      }
      truncateSync(path, statSync(path).size - 1);
      const store = createMemoryStore();
      const tail = openFileTail(path);
      await recoverTail(store, tail);
      expect([
        store.getSync(Uint8Array.of(1)),
        store.getSync(Uint8Array.of(2)),
        store.getSync(Uint8Array.of(3)),
      ]).toEqual([Uint8Array.of(1), Uint8Array.of(2), undefined]);
      expect(tail.sizeBytes).toBe(0);
      tail.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
