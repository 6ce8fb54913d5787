/** When the sequencer makes a block: at once for a transaction alone, after a short wait for others that are on their way. */
import { expect, test } from 'vitest';
import { equalBytes } from '../../src/base/bytes.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { alice, bob, sequencer, signAction, suite, testGenesis } from './support.ts';

/** A ledger whose verdicts on Bob's signatures come when `release` is called, with the timers that it set. */
async function open(): Promise<{ ledger: Ledger; timers: (() => void)[]; release: () => void }> {
  const timers: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    after(_, run) {
      timers.push(run);
      return () => void timers.splice(timers.indexOf(run), 1);
    },
  };
  const { promise, resolve: release } = Promise.withResolvers<void>();
  const held: typeof suite = {
    ...suite,
    async verifyAsync(publicKey, message, signature) {
      if (equalBytes(publicKey, bob.publicKey)) await promise;
      return suite.verifyAsync(publicKey, message, signature);
    },
  };
  const parts = { suite: held, clock, log: silentLog, store: createMemoryStore(), signer: sequencer };
  return { ledger: await createEmbeddedLedger(parts, testGenesis()), timers, release };
}

function transferOf(ledger: Ledger, from: Signer): Signed {
  const action = { type: 'transfer', to: sequencer.publicKey, amount: 1n, memo: undefined } as const;
  return signAction(ledger.network, from, 0, action);
}

async function until(found: () => boolean): Promise<void> {
  while (!found()) await new Promise((resume) => setImmediate(resume));
}

test('a transaction alone is in a block without any wait', async () => {
  const { ledger, timers } = await open();
  expect(await ledger.submit(transferOf(ledger, alice))).toMatchObject({ height: 1, index: 0 });
  expect(timers).toEqual([]);
  await ledger.stop();
});

test('a block that is not full waits for what is under verification', async () => {
  const { ledger, timers, release } = await open();
  const second = ledger.submit(transferOf(ledger, bob));
  const first = ledger.submit(transferOf(ledger, alice));
  await until(() => timers.length > 0);
  expect(ledger.head().height).toBe(0);
  release();
  expect(await first).toMatchObject({ height: 1 });
  expect(await second).toMatchObject({ height: 1 });
  expect(timers).toEqual([]);
  await ledger.stop();
});

test('a block waits no longer than it may for what is under verification', async () => {
  const { ledger, timers, release } = await open();
  const second = ledger.submit(transferOf(ledger, bob));
  const first = ledger.submit(transferOf(ledger, alice));
  await until(() => timers.length > 0);
  for (const run of timers.splice(0)) run();
  expect(await first).toMatchObject({ height: 1 });
  release();
  expect(await second).toMatchObject({ height: 2 });
  await ledger.stop();
});
