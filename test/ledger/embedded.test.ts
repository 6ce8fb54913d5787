import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId } from '../../src/protocol/transaction.ts';
import { createInProcessNetwork, ledgerNetwork } from './in-process.ts';
import { ledgerConforms } from './ledger-conforms.ts';
import { alice, bob, sequencer, signAction, suite, testGenesis } from './support.ts';

const common = { suite, clock: systemClock, log: silentLog };

async function open(store: Store, signer: Signer | undefined = sequencer): Promise<Ledger> {
  return createEmbeddedLedger({ ...common, store, ...(signer && { signer }) }, testGenesis());
}

ledgerConforms('embedded, in memory', async () => {
  const ledger = await open(createMemoryStore());
  return { ledger, close: () => ledger.stop() };
});

ledgerConforms('embedded, on disk', async () => {
  const path = await mkdtemp(join(tmpdir(), 'sahara-ledger-'));
  const store = await openLevelStore(path);
  const ledger = await open(store);
  return {
    ledger,
    async close() {
      await ledger.stop();
      await store.close();
      await rm(path, { recursive: true, force: true });
    },
  };
});

ledgerConforms('embedded, a follower', async () => {
  const network = createInProcessNetwork();
  const genesis = testGenesis();
  const name = networkNameOf(suite, genesis);
  const leading = ledgerNetwork(network.join('leader'), name);
  const following = ledgerNetwork(network.join('follower'), name);
  const fast = { pollIntervalMs: 50, republishIntervalMs: 50 };
  const leaderParts = { ...common, store: createMemoryStore(), signer: sequencer, network: leading };
  const leader = await createEmbeddedLedger(leaderParts, genesis, fast);
  const parts = { ...common, store: createMemoryStore(), network: following };
  const ledger = await createEmbeddedLedger(parts, genesis, fast);
  return {
    ledger,
    async close() {
      await ledger.stop();
      await leader.stop();
    },
  };
});

test('a ledger comes back where it was, and not for another network', async () => {
  const store = createMemoryStore();
  const first = await open(store);
  const action = { type: 'transfer', to: bob.publicKey, amount: 5n, memo: undefined } as const;
  await first.submit(signAction(first.network, alice, 0, action));
  const head = first.head();
  await first.stop();
  const second = await open(store);
  expect(second.head()).toEqual(head);
  expect(second.account(alice.publicKey).nonce).toBe(1);
  await second.stop();
  const other = testGenesis({ name: 'other' });
  await expect(createEmbeddedLedger({ ...common, store }, other)).rejects.toMatchObject({
    code: 'network-mismatch',
  });
});

test('LEDGER-44: a store that fails halts the ledger, which keeps reading', async () => {
  const memory = createMemoryStore();
  let failing = false;
  const store: Store = {
    ...memory,
    batch: async (operations, options) => {
      if (failing) throw new Error('no space left on device');
      return memory.batch(operations, options);
    },
  };
  const ledger = await open(store);
  failing = true;
  const action = { type: 'transfer', to: bob.publicKey, amount: 5n, memo: undefined } as const;
  const message = signAction(ledger.network, alice, 0, action);
  await expect(ledger.submit(message)).rejects.toMatchObject({ code: 'ledger-halted' });
  expect(ledger.head()).toMatchObject({ height: 0 });
  expect(ledger.head().halted).toContain('no space left');
  expect(ledger.account(alice.publicKey).nonce).toBe(0);
  await expect(ledger.submit(message)).rejects.toMatchObject({ code: 'ledger-halted' });
  await ledger.stop();
});

test('LEDGER-22: while a channel is closing, no flood of transactions makes its delay pass faster', async () => {
  const timers: (() => void)[] = [];
  const clock = {
    ...systemClock,
    after(_: number, run: () => void): () => void {
      timers.push(run);
      return () => timers.splice(timers.indexOf(run), 1);
    },
  };
  const parts = { ...common, clock, store: createMemoryStore(), signer: sequencer };
  const ledger = await createEmbeddedLedger(parts, testGenesis());
  const send = (nonce: number, action: Action) =>
    ledger.submit(signAction(ledger.network, alice, nonce, action));
  const channel = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, 0);
  await send(0, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n });
  await send(1, { type: 'request-close', channel });
  const { height } = ledger.head();
  const flood = [2, 3, 4, 5].map((nonce) =>
    send(nonce, { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined }),
  );
  for (let tick = 0; tick < 50; tick++) await new Promise((resume) => setImmediate(resume));
  expect(ledger.head().height).toBe(height);
  // Each interval makes one block; the third ends the channel, and from then on blocks follow the work again.
  let intervals = 0;
  while (ledger.channel(channel) !== undefined) {
    await new Promise((resume) => setImmediate(resume));
    const next = timers.shift();
    if (next === undefined) continue;
    next();
    intervals++;
    while (ledger.head().height < height + intervals) await new Promise((resume) => setImmediate(resume));
    expect(ledger.head().height).toBe(height + intervals);
  }
  expect(intervals).toBe(3);
  await Promise.all(flood);
  await send(6, { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined });
  await ledger.stop();
});
