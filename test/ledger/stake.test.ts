import { beforeEach, describe, expect, test } from 'vitest';
import { createGenesis } from '../../src/ledger/genesis.ts';
import { BACKERS_MAX, CAUSES_LISTED_MAX, LEAVING_MAX, REWARD_EPOCHS_MAX } from '../../src/ledger/limits.ts';
import { ONLY } from '../../src/ledger/records.ts';
import { shareOut } from '../../src/ledger/share-out.ts';
import { atStake, bondOf, delegationOf, slash } from '../../src/ledger/stake.ts';
import { State } from '../../src/ledger/state.ts';
import { BOND_ROLES } from '../../src/protocol/actions-stake.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import {
  bond,
  delegate,
  FEE,
  header,
  RULES,
  release,
  StakeBench,
  unbond,
  undelegate,
} from './stake-support.ts';
import { alice, bob, carol, person, START, sequencer, signAction, testGenesis } from './support.ts';

let ledger: StakeBench;
beforeEach(async () => {
  ledger = await StakeBench.create();
});

test('LEDGER-120: a network whose stakes could leave before a challenge ends does not start', () => {
  const parts = { sequencer: sequencer.publicKey, createdAtMs: 1 };
  const make = (parameters: object) => createGenesis(parts, { parameters });
  expect(make({ closeDelayBlocks: 50_000 }).parameters.unbondDelayBlocks).toBe(100_000);
  expect(make({}).parameters.unbondDelayBlocks).toBe(7_200);
  for (const parameters of [
    { closeDelayBlocks: 5, unbondDelayBlocks: 5 },
    { bondMin: 0n },
    { epochBlocks: 0 },
    { slashPpm: 1_000_001 },
    { rewardPpm: 1_000_001 },
  ])
    expect(
      () => make(parameters),
      JSON.stringify(parameters, (_, v) => String(v)),
    ).toThrow('config-invalid');
  expect([BACKERS_MAX, LEAVING_MAX, REWARD_EPOCHS_MAX, CAUSES_LISTED_MAX]).toEqual([64, 8, 16, 8]);
  expect(BOND_ROLES).toHaveLength(10);
});

describe('bonds', () => {
  test('LEDGER-121: bond refuses in documented order, and puts money behind one role only', async () => {
    expect(await ledger.name(alice, bond(0n))).toBe('amount-zero');
    expect(await ledger.name(alice, bond(0n, 'provider', 0))).toBe('bond-too-small');
    expect(await ledger.name(alice, bond(999n, 'provider', 1))).toBe('bond-too-small');
    expect(await ledger.name(alice, bond(START))).toBe('balance-insufficient');
    const before = ledger.bench.balance(alice);
    expect(await ledger.run(alice, bond(1_000n))).toEqual({ name: 'ok', moved: 0n });
    expect(ledger.bench.balance(alice)).toBe(before - 1_000n - FEE);
    expect(ledger.own(alice)).toBe(1_000n);
    expect(ledger.own(alice, 'validator')).toBe(0n);
    expect(await ledger.name(alice, bond(1n))).toBe('ok');
    expect(ledger.own(alice)).toBe(1_001n);
  });

  test('LEDGER-121: a commission is named with the first bond and may only fall afterwards', async () => {
    expect(await ledger.name(alice, bond(2_000n, 'provider', 100_000))).toBe('ok');
    expect(await ledger.name(alice, bond(START, 'provider', 100_001))).toBe('commission-rises');
    expect(await ledger.name(alice, bond(0n, 'provider', 99_999))).toBe('ok');
    const { own, commission } = bondOf(ledger.state, alice.publicKey, 'provider');
    expect([own, commission]).toEqual([2_000n, 99_999]);
    expect(await ledger.name(alice, bond(1n))).toBe('ok');
    expect(bondOf(ledger.state, alice.publicKey, 'provider').commission).toBe(99_999);
  });

  test('LEDGER-122: unbond refuses in documented order; what leaves is due after the delay', async () => {
    expect(await ledger.name(alice, unbond(0n))).toBe('bond-unknown');
    await ledger.run(alice, bond(5_000n));
    expect(await ledger.name(alice, unbond(0n))).toBe('amount-zero');
    expect(await ledger.name(alice, unbond(5_001n))).toBe('bond-insufficient');
    expect(await ledger.name(alice, unbond(4_001n))).toBe('bond-too-small');
    expect(await ledger.name(alice, unbond(1_000n))).toBe('ok');
    const at = ledger.height + RULES.unbondDelayBlocks;
    expect(bondOf(ledger.state, alice.publicKey, 'provider')).toMatchObject({
      own: 4_000n,
      leaving: [{ amount: 1_000n, releaseAt: at }],
    });
    expect(ledger.state.paces.get(ONLY)?.until).toBe(at);
  });

  test('LEDGER-122: parts of one block are one, and their number is bounded', async () => {
    await ledger.run(alice, bond(50_000n));
    const { bench } = ledger;
    const all = (nonce: number) => signAction(bench.network, alice, nonce, unbond(1_000n), { feeMax: FEE });
    const nonce = bench.nonce(alice);
    const results = await bench.block([all(nonce), all(nonce + 1)]);
    expect(results.map(({ name }) => name)).toEqual(['ok', 'ok']);
    expect(bondOf(ledger.state, alice.publicKey, 'provider').leaving).toHaveLength(1);
    for (let i = 1; i < LEAVING_MAX; i++) expect(await ledger.name(alice, unbond(1_000n))).toBe('ok');
    expect(await ledger.name(alice, unbond(1_000n))).toBe('leaving-full');
    await ledger.pass(1);
    // The first of them became due meanwhile.
    expect(await ledger.run(bob, release(alice))).toMatchObject({ name: 'ok' });
    expect(await ledger.name(alice, unbond(1_000n))).toBe('ok');
  });

  test('LEDGER-124: release-bond pays what is due to its owner, whoever sends it, once', async () => {
    await ledger.run(alice, bond(3_000n));
    await ledger.run(alice, unbond(1_000n));
    const due = ledger.height + RULES.unbondDelayBlocks;
    await ledger.run(alice, unbond(2_000n));
    await ledger.pass(due - ledger.height - 2);
    expect(await ledger.name(bob, release(alice))).toBe('nothing-due');
    expect(ledger.height).toBe(due - 1);
    const before = ledger.bench.balance(alice);
    expect(await ledger.run(bob, release(alice))).toEqual({ name: 'ok', moved: 1_000n });
    expect(await ledger.run(bob, release(alice))).toEqual({ name: 'ok', moved: 2_000n });
    expect(ledger.bench.balance(alice)).toBe(before + 3_000n);
    expect(await ledger.name(bob, release(alice))).toBe('nothing-due');
    expect(bondOf(ledger.state, alice.publicKey, 'provider').own).toBe(0n);
    expect(ledger.state.stakes.bonds.get(new Uint8Array([...alice.publicKey, 1]))).toBeUndefined();
  });
});

describe('delegations', () => {
  beforeEach(async () => {
    await ledger.run(alice, bond(10_000n));
  });

  test('LEDGER-123: delegate refuses in documented order', async () => {
    expect(await ledger.name(alice, delegate(alice, 0n))).toBe('delegate-to-self');
    expect(await ledger.name(bob, delegate(carol, 0n))).toBe('bond-unknown');
    expect(await ledger.name(bob, delegate(alice, 0n, 'validator'))).toBe('bond-unknown');
    expect(await ledger.name(bob, delegate(alice, 0n))).toBe('amount-zero');
    expect(await ledger.name(bob, delegate(alice, 999n))).toBe('bond-too-small');
    expect(await ledger.name(bob, delegate(alice, START))).toBe('balance-insufficient');
    expect(await ledger.name(bob, delegate(alice, 1_000n))).toBe('ok');
    expect(await ledger.name(bob, delegate(alice, 1n))).toBe('ok');
    expect(ledger.delegated(bob, alice)).toBe(1_001n);
    expect(bondOf(ledger.state, alice.publicKey, 'provider')).toMatchObject({
      own: 10_000n,
      delegated: 1_001n,
    });
  });

  test('LEDGER-123: undelegate refuses in documented order, and needs no bond that stands', async () => {
    expect(await ledger.name(bob, undelegate(alice, 0n))).toBe('bond-unknown');
    await ledger.run(bob, delegate(alice, 2_500n));
    expect(await ledger.name(bob, undelegate(alice, 0n))).toBe('amount-zero');
    expect(await ledger.name(bob, undelegate(alice, 2_501n))).toBe('bond-insufficient');
    expect(await ledger.name(bob, undelegate(alice, 1_501n))).toBe('bond-too-small');
    await ledger.run(alice, unbond(10_000n));
    expect(await ledger.name(carol, delegate(alice, 1_000n))).toBe('bond-unknown');
    expect(await ledger.name(bob, undelegate(alice, 2_500n))).toBe('ok');
    await ledger.pass(RULES.unbondDelayBlocks - 1);
    expect(await ledger.name(carol, release(alice, carol))).toBe('nothing-due');
    expect(await ledger.run(carol, release(alice, bob))).toEqual({ name: 'ok', moved: 2_500n });
    expect(await ledger.run(carol, release(alice))).toEqual({ name: 'ok', moved: 10_000n });
    const { bonds, backers, delegations } = ledger.state.stakes;
    const id = new Uint8Array([...alice.publicKey, 1]);
    expect([bonds.get(id), backers.get(id)]).toEqual([undefined, undefined]);
    expect(delegations.get(new Uint8Array([...id, ...bob.publicKey]))).toBeUndefined();
  });

  test('LEDGER-123: as many delegate as the ledger allows; who is there may add, who comes late may not', async () => {
    const { bench } = ledger;
    const crowd: readonly Signer[] = Array.from({ length: BACKERS_MAX + 1 }, (_, i) => person(`backer ${i}`));
    const base = bench.nonce(bob);
    await bench.block(
      crowd.map(({ publicKey: to }, i) =>
        signAction(
          bench.network,
          bob,
          base + i,
          { type: 'transfer', to, amount: 5_000n, memo: undefined },
          { feeMax: FEE },
        ),
      ),
    );
    const join = crowd.map((one) =>
      signAction(bench.network, one, 0, delegate(alice, 1_000n), { feeMax: FEE }),
    );
    const names = (await bench.block(join)).map(({ name }) => name);
    expect(names).toEqual([...Array.from({ length: BACKERS_MAX }, () => 'ok'), 'backers-full']);
    expect(await ledger.name(crowd[0] as Signer, delegate(alice, 1n))).toBe('ok');
    expect(bondOf(ledger.state, alice.publicKey, 'provider').delegated).toBe(
      BigInt(BACKERS_MAX) * 1_000n + 1n,
    );
    const before = bench.balance(crowd[BACKERS_MAX] as Signer);
    expect(before).toBe(5_000n - FEE);
  });
});

describe('offences', () => {
  const offence = {
    did: alice.publicKey,
    role: 'provider',
    to: bob.publicKey,
    informer: carol.publicKey,
  } as const;

  /** Alice with 1,000 of her own and 500 leaving; bob with 700 and 300 leaving, carol with 501 behind her. */
  function staked() {
    const genesis = testGenesis({ parameters: { ...RULES, slashPpm: 1_000_000 } });
    const state = new State(() => undefined);
    const stake = { did: alice.publicKey, role: 'provider' } as const;
    const id = new Uint8Array([...alice.publicKey, 1]);
    const leaving = (amount: bigint) => [{ amount, releaseAt: 9 }];
    const { bonds, delegations, backers } = state.stakes;
    bonds.set(id, { own: 1_000n, leaving: leaving(500n), delegated: 1_201n, commission: 0 });
    backers.set(id, { owners: [bob.publicKey, carol.publicKey] });
    delegations.set(new Uint8Array([...id, ...bob.publicKey]), {
      amount: 700n,
      since: 1,
      leaving: leaving(300n),
    });
    delegations.set(new Uint8Array([...id, ...carol.publicKey]), { amount: 501n, since: 1, leaving: [] });
    const rules = { genesis, height: 30 };
    const left = () => {
      const { own, leaving: out, delegated } = bondOf(state, alice.publicKey, 'provider');
      const of = (who: Signer) => delegationOf(state, stake, who.publicKey);
      return [own, out[0]?.amount, of(bob).amount, of(bob).leaving[0]?.amount, of(carol).amount, delegated];
    };
    const paid = (who: Signer) => state.accounts.get(who.publicKey)?.balance ?? 0n;
    return { state, rules, left, paid };
  }

  test('LEDGER-125: the bonded party pays first, leaving parts like the rest, to the grain', () => {
    const { state, rules, left, paid } = staked();
    const gentle = { ...rules, genesis: testGenesis({ parameters: { ...RULES, slashPpm: 0 } }) };
    expect(atStake(state, alice.publicKey, 'provider')).toBe(3_001n);
    const cost = (evidence: Uint8Array, compensation: bigint) =>
      slash(state, gentle, { ...offence, evidence, compensation });
    expect(cost(new Uint8Array(32), 100n)).toEqual({ taken: 100n, compensation: 100n });
    // 66 and 34 of 1,000 and 500: floor(100 * 1,000 / 1,500), and what is left.
    expect(left()).toEqual([934n, 466n, 700n, 300n, 501n, 1_201n]);
    expect(paid(bob)).toBe(100n);
    // 1,400 from Alice, and nothing from those who stand behind her.
    expect(cost(new Uint8Array(32).fill(1), 2_000n)).toEqual({ taken: 1_400n, compensation: 1_400n });
    expect(left()).toEqual([0n, undefined, 700n, 300n, 501n, 1_201n]);
    expect(paid(bob)).toBe(1_500n);
    expect(state.heldChange()).toBe(3_001n);
  });

  test('LEDGER-125 LEDGER-126: beside the compensation a part goes, half to who told, half to the pool; once', () => {
    const { state, rules, left, paid } = staked();
    const third = { ...rules, genesis: testGenesis({ parameters: { ...RULES, slashPpm: 333_333 } }) };
    const evidence = new Uint8Array(32).fill(2);
    // floor(3,001 * 0.333333) = 1,000, all of it Alice's: 500 to carol, 500 into the pool of epoch 1.
    expect(slash(state, third, { ...offence, evidence, compensation: 1n }).taken).toBe(1_001n);
    expect([paid(bob), paid(carol)]).toEqual([1n, 500n]);
    expect(state.stakes.epochs.get(Uint8Array.of(1))).toMatchObject({ epoch: 1, pool: 500n, paid: 0n });
    expect(left().slice(2)).toEqual([700n, 300n, 501n, 1_201n]);
    expect(slash(state, third, { ...offence, evidence, compensation: 1n }).taken).toBe(0n);
    expect(state.stakes.offences.get(evidence)).toMatchObject({
      role: 'provider',
      height: 30,
      taken: 1_001n,
    });
    expect(atStake(state, alice.publicKey, 'provider')).toBe(2_000n);
    expect(state.heldChange()).toBe(3_001n);
  });

  test('LEDGER-125: compensation and reward are the offender’s own, and what others lose goes to the pool', () => {
    const { state, rules, left, paid } = staked();
    const half = { ...rules, genesis: testGenesis({ parameters: { ...RULES, slashPpm: 500_000 } }) };
    const evidence = new Uint8Array(32).fill(4);
    // 750 of Alice's 1,500 are for the penalty of 1,500, which so takes another 750 from those behind her.
    expect(slash(state, half, { ...offence, evidence, compensation: 10n ** 12n })).toEqual({
      taken: 2_250n,
      compensation: 750n,
    });
    expect([paid(bob), paid(carol)]).toEqual([750n, 375n]);
    expect(state.stakes.epochs.get(Uint8Array.of(1))?.pool).toBe(1_125n);
    // 750 of 700, 300 and 501: floors of 349.8, 499.7 and 750.
    expect(left()).toEqual([0n, undefined, 351n, 150n, 250n, 601n]);
    expect(state.heldChange()).toBe(3_001n);
  });

  test('LEDGER-125: more than there is takes all and leaves nothing behind', () => {
    const { state, rules, paid } = staked();
    const evidence = new Uint8Array(32).fill(3);
    expect(slash(state, rules, { ...offence, evidence, compensation: 10n ** 12n })).toEqual({
      taken: 3_001n,
      compensation: 0n,
    });
    expect([paid(bob), paid(carol)]).toEqual([0n, 750n]);
    expect(atStake(state, alice.publicKey, 'provider')).toBe(0n);
    expect(
      state.changes().filter(({ key, value }) => [0x40, 0x41, 0x42].includes(key[0] ?? 0) && value),
    ).toEqual([]);
  });

  test('LEDGER-125: shares are exact and never above what somebody has', () => {
    expect(shareOut(10n, [3n, 3n, 3n, 1n])).toEqual([3n, 3n, 3n, 1n]);
    expect(shareOut(5n, [1n, 1n, 8n])).toEqual([0n, 1n, 4n]);
    expect(shareOut(0n, [])).toEqual([]);
    expect(shareOut(0n, [0n, 0n])).toEqual([0n, 0n]);
  });
});

describe('double signing', () => {
  const report = (first: ReturnType<typeof header>, second: ReturnType<typeof header>) =>
    ({ type: 'report-double-signing', first, second }) as const;
  const other = { timeMs: 2 };

  test('LEDGER-127: refusals come in documented order', async () => {
    const { network } = ledger.bench;
    const told = (first: ReturnType<typeof header>, second: ReturnType<typeof header>) =>
      ledger.name(carol, report(first, second));
    const one = header(network, bob, 7);
    const two = header(network, bob, 7, other);
    const broken = { ...one, payload: one.payload.subarray(1) };
    expect(await told(broken, two)).toBe('headers-malformed');
    expect(await told(one, broken)).toBe('headers-malformed');
    expect(await told(one, one)).toBe('headers-agree');
    expect(await told(one, header(network, bob, 8))).toBe('headers-agree');
    expect(await told(one, header(network, alice, 7))).toBe('headers-agree');
    expect(await told(one, header('local-0000000000000000', bob, 7))).toBe('headers-agree');
    expect(await told(one, { ...two, signature: one.signature })).toBe('headers-unsigned');
    expect(await told({ ...one, signature: two.signature }, two)).toBe('headers-unsigned');
    expect(await told(one, two)).toBe('nothing-at-stake');
    await ledger.run(bob, bond(10_000n, 'provider'));
    expect(await told(one, two)).toBe('nothing-at-stake');
    await ledger.run(bob, bond(10_000n, 'validator'));
    expect(await told(one, two)).toBe('ok');
    expect(await told(two, one)).toBe('offence-punished');
    expect(await told(header(network, bob, 7, { timeMs: 9 }), two)).toBe('offence-punished');
  });

  test('LEDGER-127: it costs the bond behind the role validator, the sequencer’s too, and pays who told', async () => {
    const { network } = ledger.bench;
    await ledger.run(alice, { type: 'transfer', to: sequencer.publicKey, amount: 100_000n, memo: undefined });
    await ledger.run(sequencer, bond(20_000n, 'validator'));
    await ledger.run(bob, delegate(sequencer, 10_000n, 'validator'));
    await ledger.run(sequencer, unbond(5_000n, 'validator'));
    const before = ledger.bench.balance(carol);
    const pool = ledger.state.stakes.epochs.get(Uint8Array.of(0))?.pool ?? 0n;
    const two = [header(network, sequencer, 3), header(network, sequencer, 3, other)] as const;
    // 30 % of 30,000: from the sequencer's 15,000 and its leaving 5,000 in proportion, nothing from bob.
    expect(await ledger.run(carol, report(...two))).toEqual({ name: 'ok', moved: 9_000n });
    expect(ledger.bench.balance(carol)).toBe(before - FEE + 4_500n);
    expect(ledger.state.stakes.epochs.get(Uint8Array.of(0))?.pool).toBe(pool + 4n + 4_500n);
    expect(bondOf(ledger.state, sequencer.publicKey, 'validator')).toMatchObject({
      own: 8_250n,
      leaving: [{ amount: 2_750n }],
      delegated: 10_000n,
    });
    // Another height is another offence.
    const more = [header(network, sequencer, 4), header(network, sequencer, 4, other)] as const;
    expect(await ledger.run(carol, report(...more))).toEqual({ name: 'ok', moved: 6_300n });
    expect(await ledger.bench.supply()).toBe(ledger.bench.queries.supply().total);
  });
});
