import { expect, test } from 'vitest';
import { concat, toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { replayBlock } from '../../src/ledger/blocks.ts';
import { exportChain } from '../../src/ledger/chain-file.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { heightKey, PAGES, STATE, UNDO } from '../../src/ledger/layout.ts';
import { createSnapshot } from '../../src/ledger/snapshot.ts';
import { snapshotManifest } from '../../src/ledger/snapshot-form.ts';
import { restoreSnapshot } from '../../src/ledger/snapshot-restore.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import { block } from '../../src/protocol/block.ts';
import { channelId, transactionId } from '../../src/protocol/transaction.ts';
import { alice, Bench, bob, carol, claimOf, sequencer, signAction, suite, testGenesis } from './support.ts';

const pay = (bench: Bench, amount = 7n) =>
  bench.run(alice, { type: 'transfer', to: bob.publicKey, amount, memo: undefined });

async function stored(bench: Bench): Promise<readonly number[]> {
  const heights: number[] = [];
  for (let at = 1; at <= bench.chain.head().height; at++) if (await bench.chain.block(at)) heights.push(at);
  return heights;
}

async function pagesIn(store: Store): Promise<number> {
  let count = 0;
  for await (const _ of store.entries({ gte: PAGES, lt: Uint8Array.of((PAGES[0] ?? 0) + 1) })) count++;
  return count;
}

/** Blocks 1 and 2: carol opens a channel for bob, bob claims. Then transfers up to block 12. */
async function withChannel(store: Store = createMemoryStore(), keepBlocks?: number): Promise<Bench> {
  const bench = await Bench.create(testGenesis(), store, keepBlocks);
  const channel = channelId(suite, bench.network, carol.publicKey, bob.publicKey, 0);
  await bench.run(carol, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n });
  const claim = claimOf(bench.network, { channel, payer: carol, payee: bob, ceiling: 900n, amounts: [] });
  await bench.run(bob, { type: 'claim', ...claim });
  while (bench.chain.head().height < 12) await pay(bench);
  return bench;
}

test('LEDGER-150: rewriting the same records leaves no old tree pages', async () => {
  const store = createMemoryStore();
  const bench = await Bench.create(testGenesis(), store);
  await pay(bench);
  const before = await pagesIn(store);
  for (let i = 0; i < 40; i++) await pay(bench);
  expect(await pagesIn(store)).toBe(before);
});

test('LEDGER-151: pruning drops old blocks and keeps state, outcomes, and the blocks of channels that exist', async () => {
  const bench = await withChannel();
  const [first, third] = [await bench.chain.block(1), await bench.chain.block(3)];
  const { stateRoot } = bench.chain.head();
  expect(await bench.chain.prune(4)).toBe(6);
  expect(bench.chain.base).toBe(8);
  expect(await stored(bench)).toEqual([1, 2, 9, 10, 11, 12]);
  expect(bench.chain.head().stateRoot).toEqual(stateRoot);
  const idIn = (wire: Uint8Array | undefined): Uint8Array =>
    transactionId(
      suite,
      bench.network,
      block.decode(wire ?? new Uint8Array(0)).transactions[0]?.payload ?? new Uint8Array(0),
    );
  expect(bench.queries.lookup(idIn(third))).toMatchObject({ height: 3, result: { code: 0 } });
  expect(await bench.queries.proof(idIn(third))).toBeUndefined();
  expect(await bench.queries.proof(idIn(first))).toMatchObject({ result: { code: 0 } });
  const channel = channelId(suite, bench.network, carol.publicKey, bob.publicKey, 0);
  expect((await bench.run(bob, { type: 'close-by-payee', channel, claim: undefined })).name).toBe('ok');
  expect(await bench.chain.prune(4)).toBe(3);
  expect(await stored(bench)).toEqual([10, 11, 12, 13]);
  expect(await bench.chain.prune(0)).toBe(3);
  expect(await stored(bench)).toEqual([13]);
});

test('LEDGER-151: a ledger that runs is pruned between its blocks, and waits while old ones are read', async () => {
  const parts = { suite, store: createMemoryStore(), clock: systemClock, log: silentLog, signer: sequencer };
  const ledger = await createEmbeddedLedger(parts, testGenesis());
  const pays = async (from: number, count: number): Promise<void> => {
    for (let nonce = from; nonce < from + count; nonce++) {
      const action = { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined } as const;
      await ledger.submit(signAction(ledger.network, alice, nonce, action));
    }
  };
  await pays(0, 150);
  const verifying = ledger.verify();
  const pruning = ledger.prune(10);
  await pays(150, 30);
  const { faults, transactions, base } = await verifying;
  expect({ faults, base }).toEqual({ faults: [], base: 0 });
  expect(transactions).toBeGreaterThanOrEqual(150);
  const removed = await pruning;
  expect(ledger.base).toBe(removed);
  expect(removed).toBeGreaterThanOrEqual(140);
  expect(await ledger.verify()).toMatchObject({ faults: [], height: ledger.head().height, base: removed });
  const given = new AbortController();
  given.abort();
  await expect(ledger.prune(1, { signal: given.signal })).rejects.toThrow('cancelled');
  await pays(180, 1);
  await ledger.stop();
  await expect(ledger.prune(1)).rejects.toThrow('cancelled');
});

test('LEDGER-151: a ledger that is told how many blocks to keep drops one with each that comes', async () => {
  const store = createMemoryStore();
  const bench = await withChannel(store, 3);
  expect(bench.chain.base).toBe(9);
  expect(await stored(bench)).toEqual([1, 2, 10, 11, 12]);
  const again = await Bench.create(testGenesis(), store, 3);
  expect(again.chain.base).toBe(9);
  await pay(again);
  expect(again.chain.base).toBe(10);
  expect(await verifyChain(again.parts)).toMatchObject({ base: 10, transactions: 3, faults: [] });
});

test('LEDGER-152: a pruned ledger hands out no blocks that it lacks, and others begin from its snapshot', async () => {
  const bench = await withChannel();
  await bench.chain.prune(4);
  expect(await bench.queries.blocks(3)).toEqual([]);
  expect(await bench.queries.blocks(9)).toHaveLength(4);
  const written = exportChain({ genesis: testGenesis(), chain: bench.chain })[Symbol.asyncIterator]().next();
  await expect(written).rejects.toMatchObject({
    facts: { reason: expect.stringContaining('blocks 1 to 8 are not here') },
  });
  const chunks: Uint8Array[] = [];
  const manifest = await createSnapshot(bench.parts, async (_, chunk) => void chunks.push(chunk));
  const store = createMemoryStore();
  const source = { manifest: snapshotManifest.encode(manifest), chunk: async (i: number) => chunks[i] };
  await restoreSnapshot({ suite, store, genesis: testGenesis() }, source);
  const follower = await Bench.create(testGenesis(), store);
  await pay(bench);
  const wire = await bench.chain.block(13);
  if (wire === undefined) throw new Error('the new block is missing');
  await follower.chain.commit(await replayBlock(follower.parts, wire, block.decode(wire)));
  expect(follower.chain.head()).toEqual(bench.chain.head());
});

test('LEDGER-153: a pruned ledger replays what it has, and finds what was changed behind its back', async () => {
  const store = createMemoryStore();
  const bench = await withChannel(store);
  await bench.chain.prune(4);
  const report = await verifyChain(bench.parts);
  expect(report).toMatchObject({ base: 8, height: 12, transactions: 4, faults: [] });
  expect(report.unchecked.join()).toContain('blocks 1 to 8 are not here');
  const key = concat(STATE, Uint8Array.of(1), alice.publicKey);
  const kept = store.getSync(key);
  if (kept === undefined) throw new Error('alice has no account');
  const richer = kept.slice();
  richer[richer.length - 3] = (richer[richer.length - 3] ?? 0) ^ 1;
  await store.batch([{ type: 'put', key, value: richer }]);
  const { faults } = await verifyChain((await Bench.create(testGenesis(), store)).parts);
  expect(faults.length, toHex(richer)).toBe(1);
  await store.batch([
    { type: 'put', key, value: kept },
    { type: 'del', key: heightKey(UNDO, 10) },
  ]);
  const missing = await verifyChain((await Bench.create(testGenesis(), store)).parts);
  expect(missing.faults).toEqual(['block 10: what it changed is missing']);
});
