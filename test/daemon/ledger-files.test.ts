import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, prefixed } from '../../src/base/store.ts';
import { keepNetwork } from '../../src/daemon/genesis.ts';
import { createFileMark } from '../../src/daemon/head-mark.ts';
import { homeOf } from '../../src/daemon/home.ts';
import {
  exportLedger,
  importLedger,
  pruneLedger,
  restoreLedger,
  snapshotLedger,
} from '../../src/daemon/ledger-files.ts';
import { openScratch } from '../../src/daemon/scratch.ts';
import { createSettlements } from '../../src/daemon/settlement.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { createSnapshot } from '../../src/ledger/snapshot.ts';
import { snapshotManifest } from '../../src/ledger/snapshot-form.ts';
import { restoreSnapshot } from '../../src/ledger/snapshot-restore.ts';
import { genesis } from '../../src/protocol/block.ts';
import { receipt } from '../../src/protocol/payment.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { alice, Bench, bob, claimOf, sequencer, signAction, suite, testGenesis } from '../ledger/support.ts';
import { sampleStory, tell } from '../protocol/sample.ts';

test('LEDGER-144 LEDGER-142: a stopped home writes its ledger to a file and to a folder, and other homes begin from them', async () => {
  const root = await mkdtemp(join(tmpdir(), 'sahara-ledger-files-'));
  const { signal } = new AbortController();
  const home = (name: string) => homeOf({ SAHARA_HOME: join(root, name) });
  const first = home('first');
  await expect(exportLedger(first, join(root, 'none'), { signal })).rejects.toMatchObject({ code: 'usage' });
  const store = await openLevelStore(first.store);
  const bench = await Bench.create(testGenesis(), prefixed(store, utf8('ledger/')));
  await keepNetwork(prefixed(store, utf8('network/')), genesis.encode(testGenesis()));
  await bench.run(alice, { type: 'transfer', to: bob.publicKey, amount: 3n, memo: undefined });
  await expect(exportLedger(first, join(root, 'busy'), { signal })).rejects.toMatchObject({
    code: 'home-in-use',
  });
  await store.close();
  const file = join(root, 'ledger');
  const folder = join(root, 'state');
  const report = { network: bench.network, height: 1 };
  expect(await exportLedger(first, file, { signal })).toEqual(report);
  expect((await stat(file)).mode & 0o077).toBe(0);
  await expect(exportLedger(first, file, { signal })).rejects.toMatchObject({ code: 'usage' });
  expect(await snapshotLedger(first, folder, { signal })).toEqual(report);
  expect(await importLedger(home('second'), file, { signal })).toEqual(report);
  expect(await restoreLedger(home('third'), folder, { signal })).toEqual(report);
  // The homes know their network, and their marks hold.
  expect(await exportLedger(home('second'), join(root, 'again'), { signal })).toEqual(report);
  expect(await snapshotLedger(home('third'), join(root, 'again-state'), { signal })).toEqual(report);
  await expect(importLedger(home('fourth'), join(root, 'missing'), { signal })).rejects.toMatchObject({
    code: 'file-missing',
  });
  const strange = home('strange');
  const other = await openLevelStore(strange.store);
  await keepNetwork(prefixed(other, utf8('network/')), genesis.encode(testGenesis({ name: 'other' })));
  await other.close();
  await expect(importLedger(strange, file, { signal })).rejects.toMatchObject({ code: 'network-mismatch' });
  await expect(restoreLedger(strange, folder, { signal })).rejects.toMatchObject({
    code: 'network-mismatch',
  });
  await writeFile(join(folder, '0'), 'changed');
  await expect(restoreLedger(home('fifth'), folder, { signal })).rejects.toMatchObject({
    code: 'snapshot-invalid',
  });
  await rm(root, { recursive: true, force: true });
});

test('LEDGER-143: a home that began from a snapshot finds what was settled since', async () => {
  const bench = await Bench.create();
  const channel = channelId(suite, bench.network, alice.publicKey, bob.publicKey, bench.nonce(alice));
  await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n });
  const chunks: Uint8Array[] = [];
  const manifest = await createSnapshot(bench.parts, async (_, chunk) => void chunks.push(chunk));
  const store = createMemoryStore();
  await restoreSnapshot(
    { suite, store, genesis: testGenesis() },
    { manifest: snapshotManifest.encode(manifest), chunk: async (index) => chunks[index] },
  );
  const parts = { suite, store, clock: systemClock, log: silentLog, signer: sequencer };
  const ledger = await createEmbeddedLedger(parts, testGenesis());
  expect(ledger.base).toBe(1);
  const settlements = createSettlements({ ledger });
  const amounts = [{ asset: new Uint8Array(32), amount: 9n }];
  const claim = claimOf(bench.network, { channel, payer: alice, payee: bob, ceiling: 9n, amounts });
  await ledger.submit(signAction(bench.network, bob, 0, { type: 'claim', ...claim }));
  const { ending } = tell(sampleStory());
  const found = { ...receipt.decode(ending.receipt.payload), channel, lane: 0, sequence: 0 };
  expect(await settlements.has(found)).toBe(true);
  expect(await settlements.has({ ...found, lane: 1 })).toBe(false);
  await ledger.stop();
});

test('LEDGER-151 LEDGER-47: a stopped home is pruned, also below what its mark remembers, and replays the rest on disk', async () => {
  const root = await mkdtemp(join(tmpdir(), 'sahara-ledger-prune-'));
  const { signal } = new AbortController();
  const home = homeOf({ SAHARA_HOME: root });
  const store = await openLevelStore(home.store);
  const bench = await Bench.create(testGenesis(), prefixed(store, utf8('ledger/')));
  await keepNetwork(prefixed(store, utf8('network/')), genesis.encode(testGenesis()));
  const pay = { type: 'transfer', to: bob.publicKey, amount: 3n, memo: undefined } as const;
  await bench.run(alice, pay);
  const genesisHash = suite.sha256(genesis.encode(testGenesis()));
  await createFileMark(home.headMark).write({ genesisHash, ...bench.chain.head() });
  for (let i = 0; i < 4; i++) await bench.run(alice, pay);
  await store.close();
  const report = { network: bench.network, height: 5, base: 3 };
  expect(await pruneLedger(home, 2, { signal })).toEqual({ ...report, removed: 3 });
  expect(await pruneLedger(home, 2, { signal })).toEqual({ ...report, removed: 0 });
  await expect(exportLedger(home, join(root, 'file'), { signal })).rejects.toMatchObject({ code: 'usage' });
  const again = await openLevelStore(home.store);
  const ledger = await createEmbeddedLedger(
    {
      suite,
      store: prefixed(again, utf8('ledger/')),
      clock: systemClock,
      log: silentLog,
      signer: sequencer,
      mark: createFileMark(home.headMark),
      scratch: () => openScratch(home),
    },
    testGenesis(),
  );
  const verdicts = await Promise.all([ledger.verify(), ledger.verify()]);
  for (const verdict of verdicts) expect(verdict).toMatchObject({ base: 3, transactions: 2, faults: [] });
  expect((await readdir(root)).filter((name) => name.includes('replay'))).toEqual([]);
  await ledger.stop();
  await again.close();
  await rm(root, { recursive: true, force: true });
});
