import { beforeEach, describe, expect, test } from 'vitest';
import type { Hash, PublicKey } from '../../src/protocol/ids.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { assetId, channelId } from '../../src/protocol/transaction.ts';
import { register, rotate, runAs } from './identity-support.ts';
import { chargeOf, countedFor, type LanePlace, laneClaim, voucherOf } from './lane.ts';
import { alice, Bench, bob, carol, person, START, signAction, suite } from './support.ts';

const [hot, warm, cool, cold, spare] = ['hot', 'warm', 'cool', 'cold', 'spare'].map(person) as [
  Signer,
  Signer,
  Signer,
  Signer,
  Signer,
];
const nowhere: Hash = new Uint8Array(32).fill(7);

let ledger: Bench;
let place: LanePlace;

beforeEach(async () => {
  ledger = await Bench.create();
  const channel = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, 0);
  await ledger.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 10_000_000n });
  place = { network: ledger.network, channel, lane: 0, payer: alice, payee: bob, agent: person('agent') };
});

const set = async (
  key: PublicKey | undefined,
  by: Signer = alice,
  channel = place.channel,
): Promise<string> => (await ledger.run(by, { type: 'set-voucher-key', channel, key })).name;
const claimBy = (by: Signer, amount: bigint) => {
  const charged = chargeOf(place, countedFor(place, [amount]));
  return ledger.run(bob, { type: 'claim', ...laneClaim(place, charged, voucherOf(place, amount, by)) });
};

describe('voucher keys', () => {
  test('LEDGER-105: the channel’s key signs vouchers beside the payer, and no other does', async () => {
    expect((await claimBy(hot, 1n)).name).toBe('voucher-signature-invalid');
    expect(await set(hot.publicKey)).toBe('ok');
    expect(await claimBy(hot, 5n)).toEqual({ name: 'ok', moved: 5n });
    expect(await claimBy(alice, 7n)).toEqual({ name: 'ok', moved: 2n });
    expect((await claimBy(warm, 9n)).name).toBe('voucher-signature-invalid');
    expect(ledger.queries.channel(place.channel)?.voucherKeys).toEqual([{ key: hot.publicKey }]);
  });

  test('LEDGER-106: a key that was replaced or revoked counts as long as it takes to end a channel', async () => {
    await set(hot.publicKey);
    await set(warm.publicKey);
    const until = ledger.chain.head().height + 3;
    expect(ledger.queries.channel(place.channel)?.voucherKeys).toEqual([
      { key: warm.publicKey },
      { key: hot.publicKey, until },
    ]);
    expect((await claimBy(warm, 1n)).name).toBe('ok');
    await set(undefined);
    // The last height at which the first one counts; the second has two more.
    expect((await claimBy(hot, 2n)).name).toBe('ok');
    expect(ledger.chain.head().height).toBe(until);
    expect((await claimBy(hot, 3n)).name).toBe('voucher-signature-invalid');
    expect((await claimBy(warm, 4n)).name).toBe('ok');
    expect((await claimBy(warm, 5n)).name).toBe('voucher-signature-invalid');
    expect((await claimBy(alice, 6n)).name).toBe('ok');
    expect(await set(cool.publicKey)).toBe('ok');
    expect(ledger.queries.channel(place.channel)?.voucherKeys).toEqual([{ key: cool.publicKey }]);
  });

  test('LEDGER-106: refusals come in documented order', async () => {
    expect(await set(alice.publicKey, bob, nowhere)).toBe('channel-unknown');
    expect(await set(alice.publicKey, bob)).toBe('not-payer');
    expect(await set(alice.publicKey)).toBe('voucher-key-unchanged');
    expect(await set(undefined)).toBe('voucher-key-unchanged');
    expect(await set(hot.publicKey)).toBe('ok');
    expect(await set(hot.publicKey)).toBe('voucher-key-unchanged');
    // A former key that comes back takes no place of its own.
    for (const key of [warm, cool, hot]) expect(await set(key.publicKey)).toBe('ok');
    expect(ledger.queries.channel(place.channel)?.voucherKeys).toHaveLength(3);
  });

  test('LEDGER-106: only so many former keys count at a time', async () => {
    const { network, channel } = place;
    const messages = [hot, warm, cool, cold, spare].map(({ publicKey: key }, i) =>
      signAction(network, alice, 1 + i, { type: 'set-voucher-key', channel, key }),
    );
    const names = (await ledger.block(messages)).map(({ name }) => name);
    expect(names).toEqual(['ok', 'ok', 'ok', 'ok', 'voucher-keys-exhausted']);
  });

  test('LEDGER-71 LEDGER-105: a payer’s own keys count as their DID’s do, beside the channel’s', async () => {
    const next = person('alice next');
    await set(hot.publicKey);
    expect(await runAs(ledger, alice, alice, register(next))).toBe('ok');
    expect(await runAs(ledger, alice, next, rotate(next, person('alice later')))).toBe('ok');
    expect((await claimBy(next, 1n)).name).toBe('ok');
    expect((await claimBy(alice, 2n)).name).toBe('ok');
    expect((await claimBy(hot, 3n)).name).toBe('ok');
    expect((await claimBy(alice, 4n)).name).toBe('voucher-signature-invalid');
    expect((await claimBy(hot, 5n)).name).toBe('ok');
    // Who speaks for the payer now names the next key of the channel.
    const action = { type: 'set-voucher-key' as const, channel: place.channel, key: warm.publicKey };
    expect(await runAs(ledger, alice, next, action)).toBe('ok');
    expect((await claimBy(warm, 6n)).name).toBe('ok');
  });
});

describe('payment without a channel', () => {
  const reference = new Uint8Array(16).fill(3);
  const pay = (amount: bigint, asset?: Hash) =>
    ledger.run(carol, { type: 'pay', payee: bob.publicKey, asset, amount, reference });

  test('LEDGER-114: the payee gets it, or the asset, whose owners collect it', async () => {
    expect(await pay(7n)).toEqual({ name: 'ok', moved: 7n });
    expect(ledger.balance(bob)).toBe(START + 7n);
    const asset = assetId(suite, ledger.network, bob.publicKey, ledger.nonce(bob));
    await ledger.run(bob, {
      type: 'register-asset',
      kind: 'agent',
      name: 'agent',
      owners: [{ owner: bob.publicKey, ppm: 1_000_000 }],
      parents: [],
      commitment: { scheme: 'none', root: nowhere, sizeBytes: 0 },
      licence: '',
      terms: undefined,
      replaces: undefined,
      bounty: 0,
    });
    expect(await pay(9n, asset)).toEqual({ name: 'ok', moved: 9n });
    expect(ledger.queries.asset(asset)?.received).toBe(9n);
    expect(ledger.balance(bob)).toBe(START + 7n);
    expect(ledger.balance(carol)).toBe(START - 16n);
    expect(await ledger.supply()).toBe(ledger.queries.supply().total);
  });

  test('LEDGER-114: refusals come in documented order', async () => {
    expect((await pay(0n, nowhere)).name).toBe('amount-zero');
    expect((await pay(START + 1n, nowhere)).name).toBe('asset-unknown');
    expect((await pay(START + 1n)).name).toBe('balance-insufficient');
  });
});
