import { beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { LANES_MAX } from '../../src/ledger/limits.ts';
import type { ClaimBody } from '../../src/protocol/actions-channel.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { CLAIM_BATCH_MAX } from '../../src/protocol/limits.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { replayedOnTheSpot } from './on-the-spot.ts';
import {
  alice,
  Bench,
  bob,
  carol,
  claimOf,
  person,
  START,
  sequencer,
  signAction,
  suite,
  testGenesis,
} from './support.ts';

const nowhere: Hash = new Uint8Array(32).fill(7);
let ledger: Bench;

beforeEach(async () => {
  ledger = await Bench.create();
});

async function open(payer: typeof alice): Promise<Hash> {
  const id = channelId(suite, ledger.network, payer.publicKey, bob.publicKey, ledger.nonce(payer));
  await ledger.run(payer, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n });
  return id;
}

function claimFor(channel: Hash, payer: typeof alice, amount: bigint, lane = 0): ClaimBody {
  const amounts = [{ asset: nowhere, amount }];
  return claimOf(ledger.network, { channel, payer, payee: bob, ceiling: amount, amounts, lane });
}

const batch = (claims: readonly ClaimBody[]) => ledger.run(bob, { type: 'claim-batch', claims });

test('LEDGER-112: claims of many channels settle together, the result is their sum', async () => {
  const payers = [alice, carol];
  const channels = await Promise.all([open(alice)]).then(async ([first]) => [first, await open(carol)]);
  const claims = channels.flatMap((channel, i) =>
    channel === undefined ? [] : [0, 1].map((lane) => claimFor(channel, payers[i] ?? alice, 100n, lane)),
  );
  expect(await batch(claims)).toEqual({ name: 'ok', moved: 400n });
  expect(ledger.balance(bob)).toBe(START + 400n);
  // Again nothing is due, and that is no failure.
  expect(await batch(claims)).toEqual({ name: 'ok', moved: 0n });
});

test('LEDGER-112: a refused claim leaves no trace and holds up no other', async () => {
  const one = await open(alice);
  const two = await open(carol);
  const good = claimFor(one, alice, 50n);
  const forged = claimFor(two, alice, 60n);
  const unknown = claimFor(nowhere, alice, 70n);
  const better = claimFor(two, carol, 80n);
  const result = await batch([forged, good, unknown, better]);
  expect(result).toEqual({ name: 'batch-partial', moved: 130n });
  expect(ledger.queries.channel(one)).toMatchObject({ claimed: 50n });
  expect(ledger.queries.channel(two)).toMatchObject({ claimed: 80n });
  expect(await ledger.supply()).toBe(ledger.queries.supply().total);
  // What held is proven by claiming it again, by itself.
  expect(await ledger.run(carol, { type: 'claim', ...good })).toEqual({ name: 'ok', moved: 0n });
});

test('LEDGER-112: a batch of which nothing held is refused as its first claim, one without claims at all', async () => {
  const one = await open(alice);
  const forged = claimFor(one, carol, 60n);
  expect(await batch([forged, claimFor(nowhere, alice, 1n)])).toEqual({
    name: 'voucher-signature-invalid',
    moved: 0n,
  });
  expect((await batch([claimFor(nowhere, alice, 1n), forged])).name).toBe('channel-unknown');
  expect((await batch([])).name).toBe('batch-empty');
});

test('LEDGER-112: a lane too many is that claim’s failure alone', async () => {
  const one = await open(alice);
  const claims = Array.from({ length: LANES_MAX + 2 }, (_, lane) =>
    claimFor(one, alice, BigInt(lane + 1), lane),
  );
  const result = await batch(claims);
  expect(result).toEqual({ name: 'batch-partial', moved: BigInt((LANES_MAX * (LANES_MAX + 1)) / 2) });
});

test('LEDGER-113: claims in any order, alone or in batches, leave the same money', async () => {
  const amounts = [5n, 9n, 2n, 9n, 14n];
  const settle = async (order: readonly number[], together: boolean): Promise<bigint> => {
    ledger = await Bench.create();
    const channel = await open(alice);
    const claims = order.map((i) => claimFor(channel, alice, amounts[i] ?? 0n, i % 2));
    if (together) await batch(claims);
    else for (const one of claims) await ledger.run(bob, { type: 'claim', ...one });
    return ledger.balance(bob);
  };
  const expected = START + 14n + 9n;
  for (const order of [
    [0, 1, 2, 3, 4],
    [4, 3, 2, 1, 0],
    [2, 4, 1, 0, 3],
  ]) {
    expect(await settle(order, false)).toBe(expected);
    expect(await settle(order, true)).toBe(expected);
  }
});

test('LEDGER-112: a large batch fits a transaction, and its signatures are verified before it is executed', async () => {
  const channels = [await open(alice), await open(carol)];
  const count = 90;
  expect(count).toBeLessThanOrEqual(CLAIM_BATCH_MAX);
  const claims = Array.from({ length: count }, (_, i) =>
    claimFor(channels[i % 2] ?? nowhere, i % 2 === 0 ? alice : carol, BigInt(i + 1), Math.floor(i / 2)),
  );
  const message = signAction(ledger.network, bob, 0, { type: 'claim-batch', claims });
  const replayed = await replayedOnTheSpot(ledger, [message]);
  expect(replayed.results).toEqual([{ code: 0, moved: BigInt((count * (count + 1)) / 2) }]);
  expect(replayed.onTheSpot).toBe(0);
});

test('LEDGER-112: an engine answers a batch that held in part with its result', async () => {
  const payer = person('batch payer');
  const genesis = testGenesis({
    accounts: [
      { owner: payer.publicKey, balance: START },
      { owner: bob.publicKey, balance: START },
    ],
  });
  const parts = { suite, store: createMemoryStore(), clock: systemClock, log: silentLog };
  const engine = await createEmbeddedLedger({ ...parts, signer: sequencer }, genesis);
  try {
    const { network } = engine;
    const action = { type: 'open-channel' as const, payee: bob.publicKey, deposit: 1_000_000n };
    await engine.submit(signAction(network, payer, 0, action));
    const channel = channelId(suite, network, payer.publicKey, bob.publicKey, 0);
    const terms = { payer, payee: bob, ceiling: 5n, amounts: [{ asset: nowhere, amount: 5n }] };
    const claims = [channel, nowhere].map((id) => claimOf(network, { ...terms, channel: id }));
    const message = signAction(network, bob, 0, { type: 'claim-batch', claims });
    expect((await engine.submit(message)).result).toEqual({ code: 143, moved: 5n });
  } finally {
    await engine.stop();
  }
});

test('LEDGER-112: a thousand payers settle in a dozen transactions, however many calls their charges count', async () => {
  const payers = Array.from({ length: 1_000 }, (_, i) => person(`payer ${i}`));
  const accounts = [...payers, bob].map(({ publicKey }) => ({ owner: publicKey, balance: START }));
  ledger = await Bench.create(testGenesis({ accounts, faucet: undefined }));
  const { network } = ledger;
  const open = { type: 'open-channel' as const, payee: bob.publicKey, deposit: 1_000_000n };
  await ledger.block(payers.map((payer) => signAction(network, payer, 0, open)));
  const claims = payers.map((payer) =>
    claimFor(channelId(suite, network, payer.publicKey, bob.publicKey, 0), payer, 1_000n),
  );
  const batches: ClaimBody[][] = [];
  for (let at = 0; at < claims.length; at += 84) batches.push(claims.slice(at, at + 84));
  expect(batches).toHaveLength(12);
  const results = await ledger.block(
    batches.map((body, i) => signAction(network, bob, i, { type: 'claim-batch', claims: body })),
  );
  expect(results.every(({ name }) => name === 'ok')).toBe(true);
  expect(ledger.balance(bob)).toBe(START + 1_000_000n);
});
