import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, prefixed, type Store } from '../../src/base/store.ts';
import { configSchema } from '../../src/daemon/config-schema.ts';
import { createFileMark } from '../../src/daemon/head-mark.ts';
import { homeOf } from '../../src/daemon/home.ts';
import {
  type HomeLedger,
  type HomeLedgerParts,
  keepsWhole,
  openHomeLedger,
} from '../../src/daemon/home-ledger.ts';
import { openScratch } from '../../src/daemon/scratch.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { HEADERS_PROTOCOL, headersAnswer, headersQuestion } from '../../src/ledger/light/messages.ts';
import { SNAPSHOT_PROTOCOL } from '../../src/ledger/snapshot-transfer.ts';
import { createLedgerSync } from '../../src/ledger/sync.ts';
import { blockHeader, headerHash } from '../../src/protocol/block.ts';
import { firstValidatorsHash } from '../../src/protocol/consensus.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { createInProcessNetwork, type InProcessNetwork, ledgerNetwork } from '../ledger/in-process.ts';
import { alice, bob, sequencer, signAction, suite, testGenesis } from '../ledger/support.ts';
import { firstOf, madeBlock, madeChain } from '../protocol/consensus-sample.ts';

const genesis = testGenesis();
const name = networkNameOf(suite, genesis);
const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function sequencing(network: InProcessNetwork): Promise<Ledger> {
  const shelf = { suite, store: createMemoryStore() };
  const parts = { suite, clock: systemClock, log: silentLog, store: createMemoryStore(), signer: sequencer };
  const sync = { mesh: network.join('full'), clock: systemClock, log: silentLog, shelf };
  const ledger = await createEmbeddedLedger(
    { ...parts, network: createLedgerSync(sync, { network: name, retryMs: 20 }) },
    genesis,
  );
  stops.push(() => ledger.stop());
  return ledger;
}

function partsOf(
  network: InProcessNetwork,
  settings: object = {},
  store: Store = createMemoryStore(),
): HomeLedgerParts {
  const root = mkdtempSync(join(tmpdir(), 'sahara-home-ledger-'));
  stops.push(() => rmSync(root, { recursive: true, force: true }));
  const home = homeOf({ SAHARA_HOME: root });
  const mesh = network.join('home');
  return {
    ...{ home, mesh, genesis, operator: alice, clock: systemClock, log: silentLog },
    config: configSchema.parse({ ledger: settings }),
    network: ledgerNetwork(mesh, name),
    mark: createFileMark(home.headMark),
    storeOf: (part) => prefixed(store, utf8(`${part}/`)),
    scratch: () => openScratch(home),
  };
}

async function open(parts: HomeLedgerParts): Promise<HomeLedger> {
  const opened = await openHomeLedger(parts);
  stops.push(() => opened.stop());
  return opened;
}

const signal = new AbortController().signal;

test('LEDGER-155: who hosts, orders transactions or is told to keeps the whole ledger, others do not', async () => {
  const network = createInProcessNetwork();
  expect(await keepsWhole(partsOf(network))).toBe(false);
  expect(await keepsWhole(partsOf(network, { mode: 'full' }))).toBe(true);
  expect(await keepsWhole({ ...partsOf(network, { mode: 'light' }), operator: sequencer })).toBe(true);
  const gateway = (mode: string): HomeLedgerParts => ({
    ...partsOf(network),
    config: configSchema.parse({ ledger: { mode }, gateway: { serve: 'own' } }),
  });
  expect(await keepsWhole(gateway('auto'))).toBe(true);
  await expect(keepsWhole(gateway('light'))).rejects.toMatchObject({ code: 'config-invalid' });
  for (const folder of ['agents', 'vaults'] as const) {
    for (const mode of ['auto', 'light']) {
      const parts = partsOf(network, { mode });
      mkdirSync(parts.home[folder]);
      expect(await keepsWhole(parts)).toBe(false);
      writeFileSync(join(parts.home[folder], 'notes.yaml'), '');
      if (mode === 'auto') expect(await keepsWhole(parts)).toBe(true);
      else await expect(keepsWhole(parts)).rejects.toMatchObject({ code: 'config-invalid' });
    }
  }
});

test('LEDGER-155: a light home that begins to host goes over to the whole ledger, and loses nothing', async () => {
  const network = createInProcessNetwork();
  const full = await sequencing(network);
  const store = createMemoryStore();
  const parts = partsOf(network, {}, store);
  const home = await open(parts);
  const { ledger } = home;
  expect(ledger.mode).toBe('light');
  const told: number[] = [];
  ledger.onBlock(({ height }) => told.push(height));
  const id = channelId(suite, name, alice.publicKey, bob.publicKey, 0);
  await ledger.submit(
    signAction(name, alice, 0, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n }),
  );
  // Handed in before, and only possible once an earlier one came.
  const pay = (nonce: number) =>
    signAction(name, alice, nonce, { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined });
  const later = ledger.submit(pay(2));
  const [kept, again] = await Promise.all([home.keepWhole({ signal }), home.keepWhole({ signal })]);
  expect(kept).toBe(1);
  expect(again).toBe(1);
  expect(ledger.mode).toBe('follower');
  expect(home.report()).toBeUndefined();
  expect(await home.keepWhole({ signal })).toBeUndefined();
  expect(ledger.channel(id)).toEqual(full.channel(id));
  const now = await ledger.submit(pay(1));
  expect(await later).toMatchObject({ result: { code: 0 } });
  expect(ledger.account(alice.publicKey).nonce).toBe(3);
  expect(told).toContain(now.height);
  expect(await ledger.verify()).toMatchObject({ faults: [] });
  await home.stop();
  // From now on it is whole.
  expect((await open({ ...parts, storeOf: (part) => prefixed(store, utf8(`${part}/`)) })).ledger.mode).toBe(
    'follower',
  );
});

test('LEDGER-159: a home that begins to host late begins from a snapshot of a peer, taken up where it was cut', async () => {
  const network = createInProcessNetwork();
  const full = await sequencing(network);
  const store = createMemoryStore();
  const parts = { ...partsOf(network, {}, store), snapshotFromBlocks: 2 };
  const failing = { left: 1 };
  const mesh: HomeLedgerParts['mesh'] = {
    peers: () => parts.mesh.peers(),
    async request(peerId, protocol, body, options) {
      const answer = await parts.mesh.request(peerId, protocol, body, options);
      // A chunk that is not what it should be, once.
      const bent = protocol === SNAPSHOT_PROTOCOL && body[1] === 2 && failing.left-- > 0;
      return bent ? answer.map((byte, i) => (i === 9 ? byte ^ 1 : byte)) : answer;
    },
  };
  const home = await open({ ...parts, mesh });
  const pay = (nonce: number) =>
    signAction(name, alice, nonce, { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined });
  for (let nonce = 0; nonce < 3; nonce++) await home.ledger.submit(pay(nonce));
  await expect(home.keepWhole({ signal })).rejects.toMatchObject({ code: 'peer-unreachable' });
  expect(home.ledger.mode).toBe('light');
  await home.ledger.submit(pay(3));
  expect(await home.keepWhole({ signal })).toBe(4);
  expect(home.ledger.mode).toBe('follower');
  // The snapshot is the one that was begun with; what came since came as a block.
  expect(home.ledger.base).toBe(3);
  expect(home.ledger.account(alice.publicKey)).toEqual(full.account(alice.publicKey));
  expect((await home.ledger.submit(pay(4))).height).toBe(5);
});

test('LEDGER-155: a light home that finds nobody stays what it was', async () => {
  const network = createInProcessNetwork();
  const home = await open(partsOf(network));
  await expect(home.keepWhole({ signal })).rejects.toMatchObject({ code: 'state-unproven' });
  expect(home.ledger.mode).toBe('light');
  const told = await open(partsOf(createInProcessNetwork(), { mode: 'light' }));
  await expect(told.keepWhole({ signal })).rejects.toMatchObject({ code: 'config-invalid' });
});

test('ENG-41, ENG-42: a new home that is to keep the whole ledger learns from a proof that validators decide', async () => {
  const first = firstOf(madeChain(4));
  const theirs = { ...genesis, sequencer: firstValidatorsHash(suite, first) };
  const named = networkNameOf(suite, theirs);
  const chain = madeChain(4, named);
  const payload = blockHeader.encode({
    ...{ version: 1, network: named, height: 1, previous: new Uint8Array(32), timeMs: genesis.createdAtMs },
    ...{ transactionsRoot: suite.sha256(), resultsRoot: suite.sha256(), stateRoot: suite.sha256() },
    proposer: new Uint8Array(32),
  });
  const blocks = [
    madeBlock(chain, 1, { appHash: new Uint8Array(32) }),
    madeBlock(chain, 2, { appHash: headerHash(suite, payload) }),
  ];
  const network = createInProcessNetwork();
  const parts = partsOf(network, { mode: 'full' });
  const mesh = network.join('home');
  const node = network.join('node');
  const home = await open({ ...parts, mesh, genesis: theirs, network: ledgerNetwork(mesh, named) });
  expect(home.report()).toBeUndefined();
  // It has no block yet when it is asked first.
  let decided = false;
  node.serve(HEADERS_PROTOCOL, {
    ...{ requestBytesMax: 1_000, answerBytesMax: 1_000_000, concurrencyMax: 4 },
    async handle(question) {
      const { fromHeight } = headersQuestion.decode(question);
      const header = { payload, signature: new Uint8Array(0), sides: 0, siblings: [] };
      const certified = decided ? [{ ...header, consensus: { first, blocks } }] : [];
      decided = true;
      return headersAnswer.encode(certified.slice(fromHeight - 1));
    },
  });
  expect(await home.failed).toMatchObject({
    code: 'config-invalid',
    facts: { field: 'ledger.mode', reason: expect.stringContaining('sahara network join') },
  });
});
