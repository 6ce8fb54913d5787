import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { type HeadMark, keepMark, type MarkedHead } from '../../src/ledger/mark.ts';
import { alice, bob, sequencer, signAction, suite, testGenesis } from './support.ts';

/** A mark in memory, which can be told to fail. */
function memoryMark(): HeadMark & { written: MarkedHead[]; failing: boolean } {
  const written: MarkedHead[] = [];
  const mark = {
    place: 'the mark',
    written,
    failing: false,
    read: async () => written.at(-1),
    async write(head: MarkedHead) {
      if (mark.failing) throw new Error('no space left');
      written.push(head);
    },
  };
  return mark;
}

/** Opens the ledger, makes blocks of one transfer each, stops it; answers its last head. */
async function run(
  { store, mark, follow = false }: { store: Store; mark?: HeadMark; follow?: boolean },
  blocks: number,
): Promise<{ readonly height: number; readonly headerHash: Uint8Array }> {
  const common = { suite, clock: systemClock, log: silentLog, store, ...(mark && { mark }) };
  const parts = { ...common, ...(!follow && { signer: sequencer }) };
  const ledger = await createEmbeddedLedger(parts, testGenesis());
  for (let left = blocks; left > 0; left--) {
    const { nonce } = ledger.account(alice.publicKey);
    const action = { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined } as const;
    await ledger.submit(signAction(ledger.network, alice, nonce, action));
  }
  await ledger.stop();
  return ledger.head();
}

test('LEDGER-47: a stopped ledger has marked its head, and a mark that lags is no damage', async () => {
  const store = createMemoryStore();
  const mark = memoryMark();
  const first = await run({ store, mark }, 2);
  expect(mark.written.at(-1)).toMatchObject({ height: 2, headerHash: first.headerHash });
  mark.failing = true;
  const second = await run({ store, mark }, 3);
  expect(mark.written.at(-1)?.height).toBe(2);
  mark.failing = false;
  expect(await run({ store, mark }, 0)).toEqual(second);
  expect(mark.written.at(-1)).toMatchObject({ height: 5, headerHash: second.headerHash });
});

test('LEDGER-47: neither a sequencer nor a follower opens a ledger without the marked header', async () => {
  const mark = memoryMark();
  const store = createMemoryStore();
  const head = await run({ store, mark }, 3);
  const marked = mark.written.at(-1);
  if (marked === undefined) throw new Error('nothing was marked');
  const other = new Uint8Array(32).fill(9);
  const wrong: readonly [Partial<MarkedHead>, RegExp][] = [
    [{ height: 4 }, /ends at block 3, but block 4 had been written/],
    [{ headerHash: other }, /Block 3 is .*, but 0909/],
    [{ height: 2 }, /Block 2 is .*, but /],
    [{ height: 0 }, /Block 0 is /],
    [{ genesisHash: other }, /another genesis/],
  ];
  for (const follow of [false, true]) {
    for (const [change, reason] of wrong) {
      const bent = { ...mark, read: async () => ({ ...marked, ...change }) };
      const opening = run({ store, mark: bent, follow }, 0);
      await expect(opening).rejects.toMatchObject({
        code: 'store-corrupt',
        facts: { reason: expect.stringMatching(reason), advice: expect.stringContaining('the mark') },
      });
    }
    await expect(run({ store: createMemoryStore(), mark, follow }, 0)).rejects.toMatchObject({
      code: 'store-corrupt',
    });
    expect(await run({ store, mark, follow }, 0)).toEqual(head);
  }
});

test('LEDGER-47: a block missing below the head, or the beginning, is damage even without a mark', async () => {
  for (const tag of [0x02, 0x20]) {
    const store = createMemoryStore();
    await run({ store }, 4);
    const keys: Uint8Array[] = [];
    for await (const [key] of store.entries({ gte: Uint8Array.of(tag), lt: Uint8Array.of(tag + 1) }))
      keys.push(key);
    // The genesis, or the second of four blocks.
    const key = keys[1] ?? keys[0];
    if (key === undefined) throw new Error('nothing stored');
    await store.batch([{ type: 'del', key }]);
    await expect(run({ store }, 0)).rejects.toMatchObject({
      code: 'store-corrupt',
      facts: { reason: tag === 0x20 ? 'Block 2 of 4 is missing' : "The ledger's beginning is missing" },
    });
  }
});

test('a mark is written one at a time, with the head that there is then', async () => {
  const timers: (() => void)[] = [];
  const clock = {
    ...systemClock,
    after(_: number, then: () => void): () => void {
      timers.push(then);
      return () => timers.splice(timers.indexOf(then), 1);
    },
  };
  const mark = memoryMark();
  let height = 0;
  const head = (): MarkedHead => ({
    genesisHash: new Uint8Array(32),
    headerHash: new Uint8Array(32),
    height,
  });
  const keeper = keepMark({ mark, clock, log: silentLog }, head);
  for (height = 1; height < 5; height++) keeper.moved();
  expect(timers.length).toBe(1);
  timers.shift()?.();
  height = 6;
  keeper.moved();
  await keeper.stop();
  expect(mark.written.map((written) => written.height)).toEqual([6]);
  expect(timers.length).toBe(0);
});
