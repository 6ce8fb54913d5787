import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { createLedgerClient } from '../../src/ledger/client.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { alice, bob, START, sequencer, signAction, suite, testGenesis } from './support.ts';

const open = (store: Store = createMemoryStore(), mempool = {}): Promise<Ledger> =>
  createEmbeddedLedger(
    { suite, clock: systemClock, log: silentLog, store, signer: sequencer },
    testGenesis(),
    { mempool },
  );
const client = (ledger: Ledger, journal?: Store) =>
  createLedgerClient(
    { ledger, signer: alice, suite, clock: systemClock, ...(journal && { journal }) },
    { retryMs: 10 },
  );
const transfer = (to: Signer, amount: bigint): Action => ({
  type: 'transfer',
  to: to.publicKey,
  amount,
  memo: undefined,
});

test('LEDGER-60: concurrent actions are numbered without gaps, refused ones among them', async () => {
  const ledger = await open();
  const sender = client(ledger);
  const answers = await Promise.allSettled(
    Array.from({ length: 50 }, (_, i) => sender.send(transfer(bob, i % 10 === 3 ? START * 2n : 1n))),
  );
  expect(answers.filter(({ status }) => status === 'rejected')).toHaveLength(5);
  expect(ledger.account(alice.publicKey)).toEqual({ balance: START - 45n, nonce: 50 });
  expect(sender.pending()).toEqual([]);
  await ledger.stop();
});

test('LEDGER-60: a number that somebody else used is replaced', async () => {
  const ledger = await open();
  const sender = client(ledger);
  await sender.send(transfer(bob, 1n));
  await ledger.submit(signAction(ledger.network, alice, 1, transfer(bob, 1n)));
  await sender.send(transfer(bob, 1n));
  expect(ledger.account(alice.publicKey)).toEqual({ balance: START - 3n, nonce: 3 });
  await ledger.stop();
});

test('LEDGER-60: when a full pool refuses one, those behind it do not wait for ever', async () => {
  const ledger = await open(createMemoryStore(), { perSenderMax: 4 });
  const sender = client(ledger);
  const answers = await Promise.allSettled(Array.from({ length: 12 }, () => sender.send(transfer(bob, 1n))));
  const sent = answers.filter(({ status }) => status === 'fulfilled').length;
  expect(sent).toBeGreaterThan(0);
  await sender.settled();
  // One that lost its place to an earlier one is handed in again by itself.
  const { balance } = ledger.account(alice.publicKey);
  expect(balance).toBeLessThanOrEqual(START - BigInt(sent));
  expect(balance).toBeGreaterThanOrEqual(START - 12n);
  await sender.send(transfer(bob, 1n));
  expect(ledger.account(alice.publicKey).balance).toBe(balance - 1n);
  await ledger.stop();
});

test('LEDGER-61: one whose caller gave up goes on, once', async () => {
  const ledger = await open();
  const sender = client(ledger);
  const givenUp = new AbortController();
  const answer = sender.send(transfer(bob, 5n), { signal: givenUp.signal });
  const told = expect(answer).rejects.toMatchObject({ code: 'cancelled' });
  setImmediate(() => givenUp.abort());
  await told.catch(() => {});
  await sender.settled();
  await sender.send(transfer(bob, 7n));
  const { balance, nonce } = ledger.account(alice.publicKey);
  expect([START - 12n, START - 7n]).toContain(balance);
  expect(nonce).toBe(balance === START - 12n ? 2 : 1);
  await ledger.stop();
});

test('LEDGER-61: what stood in the journal when the process ended is handed in again as the same bytes', async () => {
  const store = createMemoryStore();
  const journal = createMemoryStore();
  const before = await open(store);
  await before.stop();
  // The ledger is gone when the client tries: the outcome is unknown and stays in the journal.
  const lost = client(before, journal);
  await expect(lost.send(transfer(bob, 5n))).rejects.toMatchObject({ code: 'cancelled' });
  expect(lost.pending()).toHaveLength(1);
  lost.stop();
  const after = await open(store);
  for (let restart = 0; restart < 3; restart++) await client(after, journal).settled();
  expect(after.account(alice.publicKey)).toEqual({ balance: START - 5n, nonce: 1 });
  for await (const entry of journal.entries()) expect(entry).toBe('nothing');
  await after.stop();
});
