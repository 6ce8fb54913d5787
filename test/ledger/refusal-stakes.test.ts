/** The order of refusals of stakes and rewards, as their paragraphs of the spec have it. */
import { beforeAll, test } from 'vitest';
import type { BondRole } from '../../src/protocol/actions-stake.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Case, holdsFor } from './refusal-support.ts';
import { bond, delegate, header, RULES, release, StakeBench, unbond, undelegate } from './stake-support.ts';
import { alice, type Bench, bob, carol, person } from './support.ts';

const MIN: bigint = RULES.bondMin;
const RICH = 10n ** 17n;
const NETWORK_RULES = { transactionFee: 0n, depositMin: 1n, epochBlocks: 40, unbondDelayBlocks: 1_000 };
const BROKEN = Uint8Array.of(1);
const [poor, leaver, gone] = [person('poor'), person('leaver'), person('gone')];

let bench: Bench;
let epoch: number;

async function give(to: Signer, amount: bigint): Promise<void> {
  await bench.run(alice, { type: 'transfer', to: to.publicKey, amount, memo: undefined });
}

beforeAll(async () => {
  const stakes = await StakeBench.create(NETWORK_RULES);
  bench = stakes.bench;
  await bench.run(bob, bond(10n * MIN, 'provider', 100));
  await bench.run(bob, bond(10n * MIN, 'validator'));
  await bench.run(carol, bond(MIN, 'provider'));
  await bench.run(carol, delegate(bob, 10n * MIN));
  for (const one of [leaver, gone]) await give(one, 100n * MIN);
  await bench.run(leaver, bond(50n * MIN));
  await bench.run(leaver, delegate(bob, 50n * MIN));
  for (let i = 0; i < 8; i++) {
    await bench.run(leaver, unbond(MIN));
    await bench.run(leaver, undelegate(bob, MIN));
  }
  const two = [1, 2].map((timeMs) => header(bench.network, bob, 7, { timeMs }));
  const [first = header(bench.network, bob, 7), second = first] = two;
  await bench.run(alice, { type: 'report-double-signing', first, second });
  // Three providers earn in one epoch; bob is paid, `gone` takes its bond back, paid or not.
  await bench.run(gone, bond(MIN));
  while (stakes.height % NETWORK_RULES.epochBlocks > NETWORK_RULES.epochBlocks - 12) await bench.block([]);
  epoch = Math.floor((stakes.height + 1) / NETWORK_RULES.epochBlocks);
  for (const payee of [bob, carol, gone]) {
    const channel = await stakes.open(alice, payee, 100n * MIN);
    await bench.run(alice, stakes.claim(channel, alice, payee, MIN));
  }
  while (Math.floor((stakes.height + 1) / NETWORK_RULES.epochBlocks) === epoch) await bench.block([]);
  for (const who of [bob, gone])
    await bench.run(alice, { type: 'collect-reward', epoch, did: who.publicKey });
  await bench.run(gone, unbond(MIN));
  await bench.run(carol, unbond(MIN));
});

const holds = <D>(one: Case<D>): Promise<void> => holdsFor(bench, one);

test('LEDGER-11 LEDGER-121: bond', () => {
  const none: number | undefined = undefined;
  return holds({
    kind: 'bond',
    paragraph: 121,
    sound: { by: bob, amount: MIN, commission: 100 as number | undefined },
    groups: [
      [
        ['amount-zero', { amount: 0n, commission: none }],
        ['commission-rises', { commission: 101 }],
        [['commission-rises', 'balance-insufficient'], { commission: 101, amount: RICH }],
        ['balance-insufficient', { amount: RICH }],
        ['bond-too-small', { by: alice, amount: 1n }],
        [['bond-too-small', 'balance-insufficient'], { by: poor, amount: 1n }],
      ],
    ],
    make: ({ by, amount, commission }) => [by, bond(amount, 'provider', commission)],
  });
});

test('LEDGER-11 LEDGER-122: unbond', () =>
  holds({
    kind: 'unbond',
    paragraph: 122,
    sound: { by: bob, amount: MIN, role: 'provider' as BondRole },
    groups: [
      [['bond-unknown', { role: 'host' }]],
      [
        ['amount-zero', { amount: 0n }],
        ['bond-insufficient', { amount: RICH }],
        ['bond-too-small', { amount: 10n * MIN - 1n }],
      ],
    ],
    make: ({ by, amount, role }) => [by, unbond(amount, role)],
  }));

test('LEDGER-11 LEDGER-122: unbond, of who took back as often as may be', () =>
  holds({
    kind: 'unbond',
    paragraph: 122,
    sound: { amount: MIN, role: 'provider' as BondRole },
    groups: [
      [['leaving-full', {}]],
      [['bond-unknown', { role: 'host' }]],
      [
        ['amount-zero', { amount: 0n }],
        ['bond-insufficient', { amount: RICH }],
        ['bond-too-small', { amount: 42n * MIN - 1n }],
      ],
    ],
    make: ({ amount, role }) => [leaver, unbond(amount, role)],
  }));

test('LEDGER-11 LEDGER-123: undelegate', () =>
  holds({
    kind: 'undelegate',
    paragraph: 123,
    from: '`undelegate`',
    sound: { amount: MIN, role: 'provider' as BondRole },
    groups: [
      [['leaving-full', {}]],
      [['bond-unknown', { role: 'host' }]],
      [
        ['amount-zero', { amount: 0n }],
        ['bond-insufficient', { amount: RICH }],
        ['bond-too-small', { amount: 42n * MIN - 1n }],
      ],
    ],
    make: ({ amount, role }) => [leaver, undelegate(bob, amount, role)],
  }));

test('LEDGER-11 LEDGER-124: release-bond', () =>
  holds({
    kind: 'release-bond',
    paragraph: 124,
    sound: { of: leaver },
    groups: [[['nothing-due', {}]]],
    make: ({ of }) => [alice, release(of)],
  }));

test('LEDGER-11 LEDGER-127: report-double-signing, again and of who has nothing', () =>
  holds({
    kind: 'report-double-signing',
    paragraph: 127,
    sound: { accused: bob, height: 3, broken: false, apart: 0, signer: undefined as Signer | undefined },
    groups: [
      [['headers-malformed', { broken: true }]],
      [['headers-agree', { apart: 1 }]],
      [['headers-unsigned', { signer: poor }]],
      [
        ['offence-punished', { height: 7 }],
        ['nothing-at-stake', { accused: carol }],
      ],
    ],
    make: ({ accused, height, broken, apart, signer = accused }) => {
      const proposer = accused.publicKey;
      const first = header(bench.network, signer, height, { timeMs: 1, proposer });
      const second = header(bench.network, signer, height + apart, { timeMs: 2, proposer });
      const shown = broken ? { ...second, payload: BROKEN } : second;
      return [alice, { type: 'report-double-signing', first, second: shown }];
    },
  }));

test('LEDGER-11 LEDGER-130: collect-reward', () =>
  holds({
    kind: 'collect-reward',
    paragraph: 130,
    sound: { epoch, did: bob },
    groups: [
      [['epoch-not-open', { epoch: epoch + 100 }]],
      [
        ['reward-unknown', { did: alice }],
        ['reward-collected', { did: bob }],
        [['reward-collected', 'bond-unknown'], { did: gone }],
        ['bond-unknown', { did: carol }],
      ],
    ],
    make: ({ epoch: of, did }) => [alice, { type: 'collect-reward', epoch: of, did: did.publicKey }],
  }));
