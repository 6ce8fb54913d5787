import { beforeEach, describe, expect, test } from 'vitest';
import { verifyChain } from '../../src/ledger/verify.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { type Release, release } from '../../src/protocol/payment.ts';
import { type Signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { alice, Bench, bob, carol, claimOf, START, signAction, suite, testGenesis } from './support.ts';

const DEPOSIT = 10_000_000n;
const MIN = 1_000_000n;
const nowhere: Hash = new Uint8Array(32).fill(7);

let ledger: Bench;
let channel: Hash;

beforeEach(async () => {
  ledger = await Bench.create();
  channel = await open();
});

async function open(): Promise<Hash> {
  const id = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, ledger.nonce(alice));
  await ledger.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: DEPOSIT });
  return id;
}

function released(changes: Partial<Release> = {}, by: Signer = bob, type = 'release'): Signed {
  const terms = { network: ledger.network, channel, depositAfter: 4_000_000n, sequence: 0, ...changes };
  return signOne(suite, by, ledger.network, { type, payload: release.encode(terms) });
}

const withdraw = (message: Signed, by: Signer = alice, id: Hash = channel) =>
  ledger.run(by, { type: 'withdraw', channel: id, release: message });
const request = (amount: bigint, by: Signer = alice, id: Hash = channel) =>
  ledger.run(by, { type: 'request-withdraw', channel: id, amount });
const cancel = (by: Signer = alice, id: Hash = channel) =>
  ledger.run(by, { type: 'cancel-withdraw', channel: id });
const topUp = (amount: bigint) => ledger.run(carol, { type: 'top-up', channel, amount });
const claim = (amount: bigint) => {
  const terms = { channel, payer: alice, payee: bob, ceiling: amount, amounts: [{ asset: nowhere, amount }] };
  return ledger.run(bob, { type: 'claim', ...claimOf(ledger.network, terms) });
};
const blocks = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await ledger.block([]);
};

describe('with the payee’s release', () => {
  test('LEDGER-100: the payer gets what was released at once, and each release counts once', async () => {
    const message = released();
    expect(await withdraw(message)).toEqual({ name: 'ok', moved: 6_000_000n });
    expect(ledger.queries.channel(channel)).toMatchObject({ deposit: 4_000_000n, revision: 1 });
    expect(ledger.balance(alice)).toBe(START - 4_000_000n);
    expect((await withdraw(message)).name).toBe('release-stale');
    await topUp(6_000_000n);
    expect((await withdraw(message)).name).toBe('release-stale');
    expect((await withdraw(released({ sequence: 1 }))).name).toBe('release-stale');
    expect((await withdraw(released({ sequence: 2 }))).name).toBe('ok');
    expect(await ledger.supply()).toBe(ledger.queries.supply().total);
  });

  test('LEDGER-100: refusals come in documented order', async () => {
    await claim(5_000_000n);
    const broken = { ...released(), payload: Uint8Array.of(1) };
    expect((await withdraw(broken, bob, nowhere)).name).toBe('channel-unknown');
    expect((await withdraw(broken, bob)).name).toBe('not-payer');
    expect((await withdraw(broken)).name).toBe('release-malformed');
    const wrong = { depositAfter: 4_999_999n, sequence: 3 };
    expect((await withdraw(released({ ...wrong, channel: nowhere }, carol))).name).toBe('release-mismatch');
    expect((await withdraw(released({ ...wrong, network: 'other' }, carol))).name).toBe('release-mismatch');
    expect((await withdraw(released(wrong, carol))).name).toBe('release-stale');
    const low = { depositAfter: 4_999_999n };
    expect((await withdraw(released(low, carol))).name).toBe('withdrawal-too-large');
    expect((await withdraw(released({ depositAfter: DEPOSIT }, carol))).name).toBe('withdrawal-too-large');
    const fits = { depositAfter: 5_000_000n };
    expect((await withdraw(released(fits, carol))).name).toBe('release-signature-invalid');
    expect((await withdraw(released(fits, bob, 'voucher'))).name).toBe('release-signature-invalid');
    expect((await withdraw(released(fits))).name).toBe('ok');
    // Nothing is left to claim: what was released is no longer there for the payee.
    expect(await claim(9_000_000n)).toEqual({ name: 'ok', moved: 0n });
  });

  test('LEDGER-100: what stays is at least what a channel needs', async () => {
    expect((await withdraw(released({ depositAfter: MIN - 1n }, carol))).name).toBe('deposit-too-small');
    expect((await withdraw(released({ depositAfter: MIN }))).name).toBe('ok');
  });

  test('LEDGER-100: a closing channel can be withdrawn from, and ends with the rest', async () => {
    await ledger.run(alice, { type: 'request-close', channel });
    expect((await withdraw(released())).name).toBe('ok');
    await blocks(3);
    expect(ledger.queries.channel(channel)).toBeUndefined();
    expect(ledger.balance(alice)).toBe(START);
  });
});

describe('announced', () => {
  test('LEDGER-101: it takes effect after the delay, and claims until then win', async () => {
    expect((await request(7_000_000n)).name).toBe('ok');
    const at = ledger.chain.head().height + 3;
    expect(ledger.queries.channel(channel)).toMatchObject({ withdrawal: { amount: 7_000_000n, at } });
    await claim(4_000_000n);
    await blocks(1);
    expect(ledger.queries.channel(channel)?.deposit).toBe(DEPOSIT);
    // In the very block at whose end it is withdrawn.
    expect(await claim(6_000_000n)).toEqual({ name: 'ok', moved: 2_000_000n });
    expect(ledger.chain.head().height).toBe(at);
    const left = ledger.queries.channel(channel);
    expect(left).toMatchObject({ deposit: 6_000_000n, claimed: 6_000_000n, revision: 1 });
    expect(left?.withdrawal).toBeUndefined();
    expect(ledger.balance(alice)).toBe(START - 6_000_000n);
    expect(ledger.balance(bob)).toBe(START + 6_000_000n);
    expect((await verifyChain(ledger.parts)).faults).toEqual([]);
  });

  test('LEDGER-101: refusals come in documented order, and one withdrawal is announced at a time', async () => {
    await claim(2_000_000n);
    expect((await request(0n, bob, nowhere)).name).toBe('channel-unknown');
    expect((await request(0n, bob)).name).toBe('not-payer');
    expect((await request(0n)).name).toBe('amount-zero');
    expect((await request(8_000_001n)).name).toBe('withdrawal-too-large');
    expect((await request(8_000_000n)).name).toBe('ok');
    expect((await request(0n)).name).toBe('withdrawal-pending');
    await ledger.run(alice, { type: 'request-close', channel });
    expect((await request(0n)).name).toBe('channel-closing');
    const fresh = await open();
    expect((await request(DEPOSIT - MIN + 1n, alice, fresh)).name).toBe('deposit-too-small');
    expect((await request(DEPOSIT - MIN, alice, fresh)).name).toBe('ok');
  });

  test('LEDGER-102: it can be taken back, and announced anew at a later height', async () => {
    expect((await cancel(bob, nowhere)).name).toBe('channel-unknown');
    expect((await cancel(bob)).name).toBe('not-payer');
    expect((await cancel()).name).toBe('withdrawal-absent');
    await request(1_000_000n);
    expect((await cancel()).name).toBe('ok');
    await request(2_000_000n);
    await blocks(1);
    // The height of the one that was taken back passes without effect.
    expect(ledger.queries.channel(channel)?.deposit).toBe(DEPOSIT);
    await blocks(2);
    expect(ledger.queries.channel(channel)).toMatchObject({ deposit: DEPOSIT - 2_000_000n, revision: 1 });
    const quiet = ledger.chain.head().stateRoot;
    await blocks(1);
    expect(ledger.chain.head().stateRoot).toEqual(quiet);
  });

  test('LEDGER-101: a top-up in between stays, a channel that ends in between takes all with it', async () => {
    await request(9_000_000n);
    await topUp(5_000_000n);
    await blocks(2);
    expect(ledger.queries.channel(channel)).toMatchObject({ deposit: 6_000_000n, revision: 2 });
    await request(1_000_000n);
    await ledger.run(bob, { type: 'close-by-payee', channel, claim: undefined });
    await blocks(3);
    expect(ledger.balance(alice)).toBe(START + 5_000_000n);
    const quiet = ledger.chain.head().stateRoot;
    await blocks(1);
    expect(ledger.chain.head().stateRoot).toEqual(quiet);
  });

  test('LEDGER-101: a release in between leaves less of it, never less than a channel needs', async () => {
    await request(9_000_000n);
    await withdraw(released({ depositAfter: 3_000_000n }));
    await blocks(2);
    expect(ledger.queries.channel(channel)?.deposit).toBe(MIN);
    expect(ledger.balance(alice)).toBe(START - MIN);
  });
});

test('LEDGER-104: ends, withdrawals and what is forgotten share the steps of a block', async () => {
  const many = await Bench.create(testGenesis());
  const count = 1_100;
  const action = (nonce: number, what: Parameters<typeof signAction>[3]) =>
    signAction(many.network, alice, nonce, what);
  const ids = Array.from({ length: count }, (_, nonce) =>
    channelId(suite, many.network, alice.publicKey, bob.publicKey, nonce),
  );
  const open = { type: 'open-channel' as const, payee: bob.publicKey, deposit: 2_000_000n };
  await many.block(ids.map((_, nonce) => action(nonce, open)));
  await many.block(
    ids.map((id, i) =>
      i % 2 === 0
        ? action(count + i, { type: 'request-withdraw', channel: id, amount: MIN })
        : action(count + i, { type: 'request-close', channel: id }),
    ),
  );
  for (let i = 0; i < 3; i++) await many.block([]);
  const waiting = ids.filter((id) => {
    const found = many.queries.channel(id);
    return found?.withdrawal !== undefined || found?.closeAt !== undefined;
  });
  expect(waiting).toHaveLength(count - 1_024);
  await many.block([]);
  expect(ids.filter((id) => many.queries.channel(id))).toHaveLength(count / 2);
  expect(many.balance(alice)).toBe(START - (BigInt(count) / 2n) * MIN);
  expect(await many.supply()).toBe(many.queries.supply().total);
});
