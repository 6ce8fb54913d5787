import { expect, test } from 'vitest';
import { systemClock as clock } from '../../src/base/clock.ts';
import { silentLog as log } from '../../src/base/log.ts';
import { createClaimer } from '../../src/payment/claimer.ts';
import type { ClaimLedger } from '../../src/payment/ports.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { type ManyChannels, openMany } from './many-channels.ts';

const stranger = createSigner(new Uint8Array(32).fill(99));

/** The wallet's way to the ledger, counted: how many claims each transaction carried. */
function counted({ wallet }: ManyChannels): ClaimLedger & { readonly sizes: number[] } {
  const sizes: number[] = [];
  return {
    sizes,
    submitClaim(claim, options) {
      sizes.push(1);
      return wallet.claims.submitClaim(claim, options);
    },
    submitClaims(claims, options) {
      sizes.push(claims.length);
      return wallet.claims.submitClaims(claims, options);
    },
    outcome: (id) => wallet.claims.outcome(id),
  };
}

const claimedOn = ({ ledger, channels }: ManyChannels): readonly (bigint | undefined)[] =>
  channels.map((id) => ledger.channel(id)?.claimed);

test('PAY-45: what is due on several channels is claimed in one transaction, to the grain', async () => {
  await using many = await openMany(5);
  for (let i = 0; i < 5; i++) await many.charge(i, 100n + BigInt(i));
  const ledger = counted(many);
  const claimer = createClaimer({ book: many.book, channels: many.wallet.channels, ledger, clock, log });
  expect(await claimer.round({ all: true })).toEqual({ claimed: 5, waiting: 0, failed: [] });
  expect(claimedOn(many)).toEqual([100n, 101n, 102n, 103n, 104n]);
  expect(await claimer.round({ all: true })).toEqual({ claimed: 0, waiting: 0, failed: [] });
  // One alone goes as a claim, which a bundle needs no batch to be proved by.
  await many.charge(2, 10n);
  expect(await claimer.round({ all: true })).toMatchObject({ claimed: 1 });
  expect(ledger.sizes).toEqual([5, 1]);
  await claimer.stop();
});

test('PAY-42 PAY-45: claims that the ledger refuses hold up none, burden no later batch, and are named', async () => {
  await using many = await openMany(4, { trusting: true });
  const ledger = counted(many);
  const claimer = createClaimer({ book: many.book, channels: many.wallet.channels, ledger, clock, log });
  for (let i = 0; i < 4; i++) await many.charge(i, 100n, i === 1 ? stranger : undefined);
  const refused = { channel: many.channels[1], code: 'tx-refused' };
  expect(await claimer.round({ all: true })).toEqual({ claimed: 3, waiting: 0, failed: [refused] });
  expect(claimedOn(many)).toEqual([100n, 0n, 100n, 100n]);
  expect(ledger.sizes).toEqual([4, 1]);
  await many.charge(0, 1n);
  await many.charge(3, 1n);
  expect(await claimer.round({ all: true })).toMatchObject({ claimed: 2, failed: [refused] });
  // The one that was refused stays by itself until it holds.
  expect(ledger.sizes).toEqual([4, 1, 2, 1]);
  await many.charge(1, 1n);
  expect(await claimer.round({ all: true })).toMatchObject({ claimed: 1, failed: [] });
  expect(claimedOn(many)).toEqual([101n, 101n, 100n, 101n]);
  await claimer.stop();
});

test('PAY-45: when all of a batch are refused, each is tried and named', async () => {
  await using many = await openMany(2, { trusting: true });
  const ledger = counted(many);
  const claimer = createClaimer({ book: many.book, channels: many.wallet.channels, ledger, clock, log });
  for (const i of [0, 1]) await many.charge(i, 5n, stranger);
  const { failed } = await claimer.round({ all: true });
  expect(failed.map(({ code }) => code)).toEqual(['tx-refused', 'tx-refused']);
  expect(ledger.sizes).toEqual([2, 1, 1]);
  await claimer.stop();
});

test('PAY-42 PAY-45: a batch that was not heard of is looked up, and what it left out is claimed afterwards', async () => {
  await using many = await openMany(3, { trusting: true });
  const heard = counted(many);
  let deaf = true;
  const ledger: ClaimLedger = {
    ...heard,
    outcome: async (id) => (deaf ? undefined : heard.outcome(id)),
  };
  const claimer = createClaimer({ book: many.book, channels: many.wallet.channels, ledger, clock, log });
  for (const i of [0, 1, 2]) await many.charge(i, 5n, i === 1 ? stranger : undefined);
  expect(await claimer.round({ all: true })).toEqual({ claimed: 0, waiting: 3, failed: [] });
  expect(heard.sizes).toEqual([3]);
  deaf = false;
  await many.charge(1, 1n);
  // Those that were paid are seen in their channels; the lookup of the third says that it was left out.
  expect(await claimer.round({ all: true })).toEqual({ claimed: 0, waiting: 1, failed: [] });
  expect(await claimer.round({ all: true })).toEqual({ claimed: 1, waiting: 0, failed: [] });
  expect(claimedOn(many)).toEqual([5n, 6n, 5n]);
  expect(heard.sizes).toEqual([3, 1]);
  await claimer.stop();
});
