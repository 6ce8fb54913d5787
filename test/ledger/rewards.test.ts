import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { appendLeaf, rootOfPeaks } from '../../src/ledger/cause-tree.ts';
import { CAUSES_LISTED_MAX, REWARD_EPOCHS_MAX } from '../../src/ledger/limits.ts';
import { rewardCause } from '../../src/ledger/records-stake.ts';
import { earningIn, epochIn, rewardFor, shareReward } from '../../src/ledger/rewards.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import { merklePathOf, merkleRoot, merkleRootFrom } from '../../src/protocol/merkle.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import { bond, delegate, FEE, RULES, StakeBench, unbond } from './stake-support.ts';
import { alice, bob, carol, claimOf, person, sequencer, signAction, suite } from './support.ts';

/** What one fee puts into the pool. */
const PART = 4n;

let ledger: StakeBench;
beforeEach(async () => {
  ledger = await StakeBench.create();
});

const collect = (epoch: number, who: Signer): Action => ({
  type: 'collect-reward',
  epoch,
  did: who.publicKey,
});
const earned = (who: Signer, epoch = 0) => earningIn(ledger.state, who.publicKey, epoch);
const pool = (epoch = 0) => epochIn(ledger.state, epoch);

/** Claims of `totals` in turn on one channel from carol to `payee`, a block each. */
async function claims(payee: Signer, totals: readonly bigint[]): Promise<Hash> {
  const channel = await ledger.open(carol, payee, 1_000_000n);
  for (const total of totals) {
    expect(await ledger.name(payee, ledger.claim(channel, carol, payee, total))).toBe('ok');
  }
  return channel;
}

describe('fees', () => {
  test('LEDGER-128: a part of each fee goes into the pool of the running epoch, the rest to the proposer', async () => {
    const give: Action = { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined };
    await ledger.run(alice, give);
    await ledger.run(alice, { ...give, amount: 10n ** 15n });
    expect(ledger.bench.balance(sequencer)).toBe(2n * (FEE - PART));
    expect(pool()).toEqual({ epoch: 0, pool: 2n * PART, weight: 0n, paid: 0n });
    expect(await ledger.nextEpoch()).toBe(1);
    await ledger.run(alice, give);
    expect([pool(0)?.pool, pool(1)?.pool]).toEqual([2n * PART, PART]);
    expect(await ledger.bench.supply()).toBe(ledger.bench.queries.supply().total);
  });

  test('LEDGER-128: a part that is less than a grain is none', async () => {
    const small = await StakeBench.create({ transactionFee: 2n });
    await small.run(alice, bond(1_000n));
    expect(small.bench.balance(sequencer)).toBe(2n);
    expect(epochIn(small.state, 0)).toBeUndefined();
  });

  test('LEDGER-128: who comes first in a new epoch takes an expired pool over with all that is left', async () => {
    await ledger.run(alice, bond(1_000n));
    await ledger.pass(REWARD_EPOCHS_MAX * RULES.epochBlocks - ledger.height);
    expect(pool(0)?.pool).toBe(PART);
    await ledger.run(bob, bond(1_000n));
    expect(pool(0)).toBeUndefined();
    expect(pool(REWARD_EPOCHS_MAX)).toEqual({
      epoch: REWARD_EPOCHS_MAX,
      pool: 2n * PART,
      weight: 0n,
      paid: 0n,
    });
    expect(await ledger.bench.supply()).toBe(ledger.bench.queries.supply().total);
  });
});

describe('earnings', () => {
  test('LEDGER-129: claims of who has no bond, or too little, count for nothing', async () => {
    await claims(alice, [100n]);
    expect(earned(alice)).toBeUndefined();
    await ledger.run(alice, bond(1_000n, 'host'));
    const channel = await ledger.open(bob, alice, 10_000n);
    await ledger.run(alice, ledger.claim(channel, bob, alice, 100n));
    expect(earned(alice)).toBeUndefined();
    expect(pool()?.weight).toBe(0n);
  });

  test('LEDGER-129 LEDGER-132: a claim counts by what it paid, up to the bond, and is named as a cause', async () => {
    await ledger.run(alice, bond(1_000n));
    const channel = await claims(alice, [300n, 900n]);
    const cause = (amount: bigint) => ({
      channel,
      lane: 0,
      receiptRoot: new Uint8Array(32),
      receipts: 1,
      amount,
    });
    expect(earned(alice)).toMatchObject({
      settled: 900n,
      weight: 900n,
      contributed: 2n * PART,
      claims: 2,
      causes: [cause(300n), cause(600n)],
      paid: undefined,
    });
    await ledger.run(alice, ledger.claim(channel, carol, alice, 5_000n));
    expect(earned(alice)).toMatchObject({ settled: 5_000n, weight: 1_000n });
    await ledger.run(bob, delegate(alice, 1_500n));
    await ledger.run(alice, ledger.claim(channel, carol, alice, 5_001n));
    expect(earned(alice)).toMatchObject({ settled: 5_001n, weight: 2_500n });
    expect(pool()?.weight).toBe(2_500n);
    // A claim that has nothing left to pay is none.
    await ledger.run(alice, ledger.claim(channel, carol, alice, 5_001n));
    expect(earned(alice)?.claims).toBe(4);
  });

  test('LEDGER-129: the end of a channel counts like a claim; what leaves stands behind nobody', async () => {
    await ledger.run(alice, bond(9_000n));
    await ledger.run(alice, unbond(8_000n));
    const channel = await ledger.open(carol, alice, 10_000n);
    const claim = ledger.claim(channel, carol, alice, 5_000n);
    if (claim.type !== 'claim') throw new Error('a claim');
    const { type: _, ...body } = claim;
    expect(await ledger.run(alice, { type: 'close-by-payee', channel, claim: body })).toMatchObject({
      moved: 5_000n,
    });
    expect(earned(alice)).toMatchObject({ settled: 5_000n, weight: 1_000n, contributed: PART, claims: 1 });
  });

  test('LEDGER-129: many claims in one transaction contribute its one fee', async () => {
    await ledger.run(alice, bond(1_000n));
    await ledger.run(bob, bond(1_000n));
    const [one, two] = [await ledger.open(carol, alice, 10_000n), await ledger.open(carol, bob, 10_000n)];
    const { network } = ledger.bench;
    const body = (channel: Hash, payee: Signer, lane: number) =>
      claimOf(network, {
        channel,
        payer: carol,
        payee,
        ceiling: 50n,
        lane,
        amounts: [{ asset: new Uint8Array(32), amount: 50n }],
      });
    const batch: Action = {
      type: 'claim-batch',
      claims: [body(one, alice, 0), body(two, bob, 0), body(one, alice, 1), body(one, alice, 2)],
    };
    expect(await ledger.run(alice, batch)).toEqual({ name: 'ok', moved: 200n });
    expect(earned(alice)).toMatchObject({ settled: 150n, contributed: PART, claims: 3 });
    expect(earned(bob)).toMatchObject({ settled: 50n, contributed: 0n, claims: 1 });
  });

  test('LEDGER-132: the first causes are listed, all are under the root, and any can be proved', async () => {
    await ledger.run(alice, bond(1_000n));
    const totals = Array.from({ length: CAUSES_LISTED_MAX + 3 }, (_, i) => BigInt(10 * (i + 1)));
    const channel = await claims(alice, totals);
    const earning = earned(alice);
    expect(earning?.causes).toHaveLength(CAUSES_LISTED_MAX);
    const leaves = totals.map(() =>
      rewardCause.encode({ channel, lane: 0, receiptRoot: new Uint8Array(32), receipts: 1, amount: 10n }),
    );
    const root = rootOfPeaks(suite, earning?.peaks ?? []);
    expect(root).toEqual(merkleRoot(suite, leaves));
    const last = leaves.length - 1;
    expect(merkleRootFrom(suite, leaves[last] as Uint8Array, merklePathOf(suite, leaves, last))).toEqual(
      root,
    );
  });

  test('LEDGER-132: the grown tree is the tree over all leaves, whatever their number', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 4 }), { maxLength: 70 }), (leaves) => {
        let peaks: readonly Hash[] = [];
        for (const [i, leaf] of leaves.entries()) peaks = appendLeaf(suite, peaks, i, leaf);
        expect(rootOfPeaks(suite, peaks)).toEqual(merkleRoot(suite, leaves));
        expect(peaks.length).toBe(leaves.length.toString(2).replaceAll('0', '').length);
      }),
    );
  });
});

describe('rewards', () => {
  test('LEDGER-130: collect-reward refuses in documented order, and pays once', async () => {
    await ledger.run(alice, bond(1_000n));
    await claims(alice, [500n]);
    expect(await ledger.name(bob, collect(0, alice))).toBe('epoch-not-open');
    await ledger.nextEpoch();
    expect(await ledger.name(bob, collect(1, alice))).toBe('epoch-not-open');
    expect(await ledger.name(bob, collect(0, bob))).toBe('reward-unknown');
    const before = ledger.bench.balance(alice);
    expect(await ledger.run(bob, collect(0, alice))).toEqual({ name: 'ok', moved: PART });
    expect(ledger.bench.balance(alice)).toBe(before + PART);
    expect(earned(alice)?.paid).toBe(PART);
    expect(pool(0)).toMatchObject({ paid: PART });
    await ledger.run(alice, unbond(1_000n));
    expect(await ledger.name(bob, collect(0, alice))).toBe('reward-collected');
  });

  test('LEDGER-130: who stands no more behind its work gets nothing, and an expired reward is gone', async () => {
    await ledger.run(alice, bond(1_000n));
    await claims(alice, [500n]);
    await ledger.nextEpoch();
    await ledger.run(alice, unbond(1_000n));
    expect(await ledger.name(bob, collect(0, alice))).toBe('bond-unknown');
    await ledger.run(alice, bond(1_000n));
    await ledger.pass((REWARD_EPOCHS_MAX - 1) * RULES.epochBlocks - 2 - (ledger.height % RULES.epochBlocks));
    expect(ledger.height).toBe(REWARD_EPOCHS_MAX * RULES.epochBlocks - 2);
    expect(await ledger.run(bob, collect(0, alice))).toMatchObject({ name: 'ok', moved: PART });
    await ledger.pass(1);
    expect(await ledger.name(bob, collect(0, alice))).toBe('epoch-not-open');
  });

  test('LEDGER-130: the pool is shared by weight, but nobody gets more than their claims put in', async () => {
    await ledger.run(alice, bond(10_000n));
    await ledger.run(bob, bond(1_000n));
    await claims(alice, [9_000n]);
    await claims(bob, [100n, 200n, 300n, 400n, 500n]);
    await ledger.nextEpoch();
    // Ten fees put 40 grains in; of weights 9,000 and 500 bob's share is 2 of them, though he put 20 in.
    expect(pool(0)).toMatchObject({ weight: 9_500n });
    const all = pool(0)?.pool ?? 0n;
    expect(all).toBe(10n * PART);
    expect(await ledger.run(carol, collect(0, alice))).toMatchObject({ moved: PART });
    expect(await ledger.run(carol, collect(0, bob))).toMatchObject({ moved: (all * 500n) / 9_500n });
    expect(await ledger.bench.supply()).toBe(ledger.bench.queries.supply().total);
  });

  test('LEDGER-131: the commission stays with the provider, the rest goes by what stands behind it', async () => {
    await ledger.run(alice, bond(3_000n, 'provider', 250_000));
    await ledger.run(bob, delegate(alice, 1_000n));
    await ledger.nextEpoch();
    // Came in this epoch: shares in the next.
    await ledger.run(carol, delegate(alice, 2_000n));
    await claims(alice, [1_000n, 2_000n, 3_000n, 4_000n]);
    await ledger.nextEpoch();
    const before = [alice, bob, carol].map((who) => ledger.bench.balance(who));
    expect(await ledger.run(sequencer, collect(1, alice))).toMatchObject({ moved: 4n * PART });
    // 4 of 16 as commission; of the other 12 three quarters are Alice's.
    expect([alice, bob, carol].map((who, i) => ledger.bench.balance(who) - (before[i] ?? 0n))).toEqual([
      13n,
      3n,
      0n,
    ]);
  });

  test('LEDGER-131: every grain of a reward goes somewhere', () => {
    const some = fc.bigInt({ min: 0n, max: 10n ** 12n });
    fc.assert(
      fc.property(
        some,
        fc.bigInt({ min: 1n, max: 10n ** 12n }),
        fc.nat(1_000_000),
        fc.array(some, { maxLength: 9 }),
        (reward, own, commission, amounts) => {
          const parts = shareReward(
            reward,
            alice.publicKey,
            { own, leaving: [], delegated: 0n, commission },
            amounts.map((amount) => ({ owner: bob.publicKey, amount })),
          );
          expect(parts.reduce((sum, { amount }) => sum + amount, 0n)).toBe(reward);
          expect(parts.every(({ amount }) => amount >= 0n)).toBe(true);
          expect(parts[0]?.amount).toBeGreaterThanOrEqual((reward * BigInt(commission)) / 1_000_000n);
        },
      ),
    );
  });
});

describe('paying oneself', () => {
  test('LEDGER-133: payer, payee, sender and proposer in one hand end with no more than they began with', async () => {
    const whale = person('whale');
    const gift = { type: 'transfer', memo: undefined } as const;
    const { bench } = ledger;
    await ledger.run(alice, { ...gift, to: sequencer.publicKey, amount: 5_000_000n });
    await ledger.run(alice, { ...gift, to: whale.publicKey, amount: 5_000_000n });
    // Others fill the pool, and leave it.
    for (let i = 0; i < 5; i++) await ledger.run(bob, { ...gift, to: carol.publicKey, amount: 1n });
    const gang = [sequencer, whale];
    // What the gang has, bonds included. Fees of others reach the sequencer too, so there are none from here on.
    const wealth = () => gang.reduce((sum, who) => sum + bench.balance(who) + ledger.own(who), 0n);
    const before = wealth();
    await ledger.run(sequencer, bond(1_000_000n));
    const channel = await ledger.open(whale, sequencer, 4_000_000n);
    for (const total of [1_000_000n, 2_000_000n, 3_000_000n])
      await ledger.run(sequencer, ledger.claim(channel, whale, sequencer, total));
    await ledger.run(sequencer, { type: 'close-by-payee', channel, claim: undefined });
    await ledger.nextEpoch();
    expect(await ledger.run(sequencer, collect(0, sequencer))).toEqual({ name: 'ok', moved: 3n * PART });
    // Seven fees were paid to itself but for the pool's part; three of these parts came back.
    expect(before - wealth()).toBe(4n * PART);
  });

  test('LEDGER-133: whatever the pool, weights and contributions, rewards stay below what was put in', () => {
    const big = fc.bigInt({ min: 0n, max: 10n ** 18n });
    const earnings = fc.array(
      fc.record({ weight: big, contributed: fc.bigInt({ min: 0n, max: 10n ** 15n }) }),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(earnings, fc.bigInt({ min: 0n, max: 10n ** 15n }), (list, more) => {
        const put = list.reduce((sum, { contributed }) => sum + contributed, 0n);
        const weight = list.reduce((sum, one) => sum + one.weight, 0n);
        let epoch = {
          epoch: 3,
          pool: put + more,
          weight: weight < 10n ** 18n ? weight : 10n ** 18n,
          paid: 0n,
        };
        for (const one of list) {
          const reward = rewardFor(epoch, {
            ...one,
            epoch: 3,
            settled: 0n,
            claims: 1,
            causes: [],
            peaks: [],
            paid: undefined,
          });
          expect(reward <= one.contributed && reward >= 0n).toBe(true);
          epoch = { ...epoch, paid: epoch.paid + reward };
        }
        expect(epoch.paid <= put && epoch.paid <= epoch.pool).toBe(true);
      }),
    );
  });

  test('a block of many claims of one provider, in order', async () => {
    await ledger.run(alice, bond(1_000n));
    const channel = await ledger.open(carol, alice, 100_000n);
    const { bench } = ledger;
    const nonce = bench.nonce(alice);
    const messages = Array.from({ length: 40 }, (_, i) =>
      signAction(bench.network, alice, nonce + i, ledger.claim(channel, carol, alice, BigInt(i + 1) * 5n), {
        feeMax: FEE,
      }),
    );
    expect((await bench.block(messages)).every(({ name }) => name === 'ok')).toBe(true);
    expect(earned(alice)).toMatchObject({ claims: 40, settled: 200n, contributed: 40n * PART });
    expect(earned(alice)?.peaks).toHaveLength(2);
  });
});
