/** What somebody with many keys and much money tries: sums that run over, money of bystanders, escapes from offences. */
import { describe, expect, test } from 'vitest';
import { COUNTER_MAX } from '../../src/ledger/limits.ts';
import { atStake, bondOf } from '../../src/ledger/stake.ts';
import { contradictionOf } from '../../src/protocol/evidence-build.ts';
import { LICENCE_PRESETS } from '../../src/protocol/licence.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action, RegisterAssetAction } from '../../src/protocol/transaction.ts';
import { assetId, channelId } from '../../src/protocol/transaction.ts';
import { datasetOf } from './asset-support.ts';
import { register, rotate } from './identity-support.ts';
import { chargeOf, countedFor, type LanePlace, laneClaim, voucherOf } from './lane.ts';
import { bond, delegate, FEE, header, RULES, StakeBench } from './stake-support.ts';
import {
  alice,
  Bench,
  bob,
  carol,
  claimOf,
  person,
  sequencer,
  signAction,
  suite,
  testGenesis,
} from './support.ts';

const RICH = 4n * 10n ** 17n;
const NO_ASSET = new Uint8Array(32);

/** A ledger in which alice and bob hold most of all money that can exist. */
function wealthy(): Promise<Bench> {
  const accounts = [alice, bob].map(({ publicKey }) => ({ owner: publicKey, balance: RICH }));
  return Bench.create(testGenesis({ accounts, faucet: undefined }));
}

const asset = (parents: readonly Uint8Array[], changes: Partial<RegisterAssetAction> = {}): Action =>
  datasetOf(alice, {
    parents: parents.map((parent) => ({ asset: parent, relation: 'retrieves-from', ppm: 1_000_000 })),
    ...changes,
  });

const TERMS = LICENCE_PRESETS.open;

describe('sums that run over what a record can hold', () => {
  test('LEDGER-16: money that goes round through one channel stops before its deposit runs over', async () => {
    const bench = await wealthy();
    const channel = channelId(suite, bench.network, alice.publicKey, bob.publicKey, 0);
    await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: RICH });
    const back: Action = { type: 'transfer', to: alice.publicKey, amount: RICH, memo: undefined };
    const names: string[] = [];
    let total = 0n;
    for (let round = 0; round < 2; round++) {
      total += RICH;
      const amounts = [{ asset: NO_ASSET, amount: total }];
      const body = claimOf(bench.network, { channel, payer: alice, payee: bob, ceiling: total, amounts });
      names.push((await bench.run(bob, { type: 'claim', ...body })).name);
      names.push((await bench.run(bob, back)).name);
      names.push((await bench.run(alice, { type: 'top-up', channel, amount: RICH })).name);
    }
    expect(names).toEqual(['ok', 'ok', 'ok', 'ok', 'ok', 'amount-out-of-range']);
    expect(await bench.supply()).toBe(2n * RICH);
  });

  test('LEDGER-82: who buys their own licence again and again stops before what it cost runs over', async () => {
    const bench = await wealthy();
    const id = assetId(suite, bench.network, alice.publicKey, 0);
    const price = RICH;
    await bench.run(alice, asset([], { terms: { ...TERMS, grant: { price, blocks: 0 } } }));
    const names: string[] = [];
    for (let round = 0; round < 3; round++) {
      names.push((await bench.run(alice, { type: 'buy-licence', asset: id })).name);
      names.push((await bench.run(alice, { type: 'collect', asset: id })).name);
    }
    expect(names).toEqual(['ok', 'ok', 'ok', 'ok', 'amount-out-of-range', 'ok']);
    expect(await bench.supply()).toBe(2n * RICH);
  });

  test('LEDGER-82: a licence does not count beyond the last height that can be written', async () => {
    const bench = await wealthy();
    const id = assetId(suite, bench.network, alice.publicKey, 0);
    const grant = { price: 1n, blocks: Number.MAX_SAFE_INTEGER };
    await bench.run(alice, asset([], { terms: { ...TERMS, grant } }));
    expect((await bench.run(bob, { type: 'buy-licence', asset: id })).name).toBe('amount-out-of-range');
  });

  test('LEDGER-88: one transaction moves no more than its result can say', async () => {
    const bench = await wealthy();
    const ids: Uint8Array[] = [];
    for (let i = 0; i < 3; i++) {
      ids.push(assetId(suite, bench.network, alice.publicKey, bench.nonce(alice)));
      await bench.run(alice, asset(ids.slice(i - 1, i)));
    }
    const pay = { type: 'pay', payee: alice.publicKey, amount: RICH, reference: new Uint8Array(16) } as const;
    await bench.run(alice, { ...pay, asset: ids[2] });
    const assets = ids.toReversed();
    expect((await bench.run(bob, { type: 'collect-path', assets })).name).toBe('amount-out-of-range');
    expect(await bench.run(bob, { type: 'collect-path', assets: assets.slice(0, 2) })).toEqual({
      name: 'ok',
      moved: 2n * RICH,
    });
    expect(await bench.run(carol, { type: 'collect-path', assets })).toEqual({ name: 'ok', moved: RICH });
  });
});

describe('money of others', () => {
  test('LEDGER-17 LEDGER-20 LEDGER-24: owners who fill their own counter hold up nobody else’s money', async () => {
    const bench = await wealthy();
    const parent = assetId(suite, bench.network, alice.publicKey, 0);
    await bench.run(alice, asset([]));
    const child = assetId(suite, bench.network, bob.publicKey, bench.nonce(bob));
    const shares = { owners: [{ owner: bob.publicKey, ppm: 1_000_000 }] };
    const half = [{ asset: parent, relation: 'retrieves-from', ppm: 500_000 }] as const;
    await bench.run(bob, asset([], { ...shares, parents: half }));
    const pay = { type: 'pay', payee: alice.publicKey, reference: new Uint8Array(16) } as const;
    const room = () => COUNTER_MAX - (bench.queries.asset(parent)?.received ?? 0n);
    while (room() > 10n) {
      const amount = room() - 10n < RICH ? room() - 10n : RICH;
      expect((await bench.run(alice, { ...pay, asset: parent, amount })).name).toBe('ok');
      expect((await bench.run(alice, { type: 'collect', asset: parent })).name).toBe('ok');
    }
    // Bob's claim names the full asset for 100: it takes 10, and bob the rest.
    const channel = channelId(suite, bench.network, alice.publicKey, bob.publicKey, bench.nonce(alice));
    await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n });
    const amounts = [{ asset: parent, amount: 100n }];
    const body = claimOf(bench.network, { channel, payer: alice, payee: bob, ceiling: 100n, amounts });
    const before = bench.balance(bob);
    expect(await bench.run(bob, { type: 'claim', ...body })).toEqual({ name: 'ok', moved: 100n });
    expect(bench.balance(bob)).toBe(before + 90n);
    // What his own asset receives is his by half; the parent's half waits.
    await bench.run(alice, { ...pay, asset: child, amount: 40n });
    expect(await bench.run(bob, { type: 'collect', asset: child })).toEqual({ name: 'ok', moved: 20n });
    expect(await bench.run(bob, { type: 'collect', asset: child })).toEqual({ name: 'ok', moved: 0n });
    expect(bench.balance(bob)).toBe(before + 110n);
    expect((await bench.run(bob, { ...pay, asset: parent, amount: 1n })).name).toBe('amount-out-of-range');
    expect(await bench.supply()).toBe(2n * RICH);
  });
});

/**
 * Alice is payee, bob is payer and carol is informer: one person. She claims from herself, proves herself a liar, and
 * does so `times` over on fresh lanes. What her three keys hold in all, then, staked or not.
 */
async function collude(ledger: StakeBench, times: number): Promise<bigint> {
  const { bench } = ledger;
  const channel = await ledger.open(bob, alice, 1_000_000n);
  for (let lane = 0; lane < times; lane++) {
    const place: LanePlace = {
      network: bench.network,
      channel,
      lane,
      payer: bob,
      payee: alice,
      agent: alice,
    };
    const [high, none] = [100_000n, 0n].map((amount) => chargeOf(place, countedFor(place, [amount])));
    if (high === undefined || none === undefined) throw new TypeError('two charges');
    await ledger.run(alice, { type: 'claim', ...laneClaim(place, high, voucherOf(place, 100_000n)) });
    const evidence = contradictionOf(suite, high, none);
    if (evidence === undefined) throw new TypeError('they agree');
    expect(await ledger.name(carol, { type: 'challenge', channel, evidence })).toBe('ok');
  }
  await ledger.run(alice, { type: 'close-by-payee', channel, claim: undefined });
  const { own, leaving } = bondOf(ledger.state, alice.publicKey, 'provider');
  const staked = leaving.reduce((sum, { amount }) => sum + amount, own);
  return [alice, bob, carol].reduce((sum, one) => sum + bench.balance(one), staked);
}

describe('payer, payee and informer are one', () => {
  const dave = person('dave');
  const OWN = 10_000n;
  const TRUSTED = 1_000_000n;

  test('LEDGER-125: they get nothing of what others put behind them, however often they prove themselves liars', async () => {
    const ledger = await StakeBench.create();
    const { bench } = ledger;
    const to = dave.publicKey;
    await ledger.run(carol, { type: 'transfer', to, amount: TRUSTED + FEE, memo: undefined });
    await ledger.run(alice, bond(OWN));
    await ledger.run(dave, delegate(alice, TRUSTED));
    const held = () => [alice, bob, carol].reduce((sum, one) => sum + bench.balance(one), OWN);
    const [before, nonces] = [held(), [alice, bob, carol].map((one) => bench.nonce(one))];
    const pool = ledger.state.stakes.epochs.get(Uint8Array.of(0))?.pool ?? 0n;
    const after = await collude(ledger, 5);
    const sent = [alice, bob, carol].reduce((sum, one, i) => sum + bench.nonce(one) - (nonces[i] ?? 0), 0);
    const fees = BigInt(sent) * FEE;
    expect(after < before - fees).toBe(true);
    // All that dave lost, and what they lost, is in the pool, beside the pool's part of fees.
    const lost = TRUSTED - ledger.delegated(dave, alice);
    expect(lost > 0n).toBe(true);
    const epochs = [0, 1].map((slot) => ledger.state.stakes.epochs.get(Uint8Array.of(slot))?.pool ?? 0n);
    const pooled = epochs.reduce((sum, one) => sum + one, -pool);
    expect(pooled).toBe(lost + (before - fees - after) + (fees * BigInt(RULES.rewardPpm)) / 1_000_000n);
    // Nor does the pool give it back: a reward is bounded by the fees of their own claims.
    const epoch = await ledger.nextEpoch();
    for (let at = 0; at < epoch; at++) {
      const { moved } = await ledger.run(carol, { type: 'collect-reward', epoch: at, did: alice.publicKey });
      expect(moved <= fees).toBe(true);
    }
    expect(await bench.supply()).toBe(bench.queries.supply().total);
  });

  test('LEDGER-122 LEDGER-125: nobody takes a bond back at once by owing it to themselves', async () => {
    const ledger = await StakeBench.create();
    await ledger.run(alice, bond(OWN));
    const held = () => [alice, bob, carol].reduce((sum, one) => sum + ledger.bench.balance(one), OWN);
    const nonces = () => [alice, bob, carol].reduce((sum, one) => sum + ledger.bench.nonce(one), 0);
    const [before, first] = [held(), nonces()];
    const after = await collude(ledger, 1);
    const fees = BigInt(nonces() - first) * FEE;
    // The penalty on the whole bond, less the half that they earn by telling on themselves.
    const penalty = (OWN * BigInt(RULES.slashPpm)) / 1_000_000n;
    expect(before - fees - after).toBe(penalty - penalty / 2n);
    expect(atStake(ledger.state, alice.publicKey, 'provider')).toBe(0n);
  });
});

test('LEDGER-127: a stolen key that was rotated away costs its DID no stake, but the sequencer’s headers stay its own', async () => {
  const ledger = await StakeBench.create();
  const { bench } = ledger;
  await ledger.run(alice, { type: 'transfer', to: sequencer.publicKey, amount: 50_000n, memo: undefined });
  for (const one of [alice, sequencer]) {
    const [next, later] = [person('safe key'), person('later key')];
    await ledger.run(one, bond(10_000n, 'validator'));
    expect(await ledger.name(one, register(one === alice ? next : later))).toBe('ok');
    if (one === sequencer) continue;
    const action = rotate(next, later);
    const sender = alice.publicKey;
    const rotated = signAction(bench.network, next, bench.nonce(one), action, { feeMax: FEE, sender });
    expect((await bench.block([rotated]))[0]?.name).toBe('ok');
  }
  const told = (by: Signer, height: number) =>
    ledger.name(carol, {
      type: 'report-double-signing',
      first: header(bench.network, by, height),
      second: header(bench.network, by, height, { timeMs: 2 }),
    });
  // While statements of the old key count, so does this one.
  expect(await told(alice, 1)).toBe('ok');
  await ledger.pass(RULES.closeDelayBlocks);
  expect(await told(alice, 2)).toBe('headers-unsigned');
  expect(await told(sequencer, 2)).toBe('ok');
});

test('LEDGER-73 LEDGER-107: who claims on a lie with the last word of a former key answers for it, however often it rotates', async () => {
  const ledger = await StakeBench.create();
  const { bench } = ledger;
  await ledger.run(alice, bond(10_000n));
  const channel = await ledger.open(bob, alice, 1_000_000n);
  const place: LanePlace = {
    network: bench.network,
    channel,
    lane: 0,
    payer: bob,
    payee: alice,
    agent: alice,
  };
  const [high, low] = [90n, 40n].map((amount) => chargeOf(place, countedFor(place, [amount])));
  if (high === undefined || low === undefined) throw new TypeError('two charges');
  const keys = Array.from({ length: 12 }, (_, i) => person(`row ${i}`));
  const as = async (key: Signer, action: Action): Promise<string> => {
    const sender = alice.publicKey;
    const message = signAction(bench.network, key, bench.nonce(alice), action, { feeMax: FEE, sender });
    return (await bench.block([message]))[0]?.name ?? '';
  };
  expect(await as(alice, register(keys[0] ?? alice))).toBe('ok');
  expect(await as(keys[0] ?? alice, rotate(keys[0] ?? alice, keys[1] ?? alice))).toBe('ok');
  const until = ledger.height + RULES.closeDelayBlocks;
  await ledger.pass(RULES.closeDelayBlocks - 1);
  const claimed = await ledger.run(bob, { type: 'claim', ...laneClaim(place, high, voucherOf(place, 90n)) });
  expect([claimed.name, ledger.height]).toEqual(['ok', until]);
  // She rotates on to have the key forgotten.
  for (const i of [1, 2])
    expect(await as(keys[i] ?? alice, rotate(keys[i] ?? alice, keys[i + 1] ?? alice))).toBe('ok');
  const evidence = contradictionOf(suite, high, low);
  if (evidence === undefined) throw new TypeError('they agree');
  expect(await ledger.run(carol, { type: 'challenge', channel, evidence })).toMatchObject({
    name: 'ok',
    moved: 3_050n,
  });
});
