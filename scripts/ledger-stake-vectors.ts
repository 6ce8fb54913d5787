/** The vectors of stakes and rewards: what offences take, what rewards are, and a network that lives through both. */
import { toHex } from '../src/base/bytes.ts';
import { appendLeaf, rootOfPeaks } from '../src/ledger/cause-tree.ts';
import { bondId, delegationId, rewardCause } from '../src/ledger/records-stake.ts';
import { rewardFor, shareReward } from '../src/ledger/rewards.ts';
import { bondOf, delegationOf, slash } from '../src/ledger/stake.ts';
import { State } from '../src/ledger/state.ts';
import { genesis as genesisSchema } from '../src/protocol/block.ts';
import type { Hash, PublicKey } from '../src/protocol/ids.ts';
import type { Signer } from '../src/protocol/suite.ts';
import type { Action } from '../src/protocol/transaction.ts';
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
} from '../test/ledger/stake-support.ts';
import { alice, bob, carol, person, sequencer, suite, testGenesis } from '../test/ledger/support.ts';
import { tellBlocks } from './vectors/blocks.ts';

/** Everything that `stake.json` holds. */
export async function stakeVectors(): Promise<unknown> {
  return {
    about:
      'What offences take of stakes (LEDGER-125), what rewards are and to whom they go (LEDGER-130, LEDGER-131), the tree over causes (LEDGER-132), and a network in which all of it happens.',
    offences: [
      offence({ own: 1_000n, leaving: [500n], backers: [] }, 100n, 0),
      offence({ own: 1_000n, leaving: [500n, 3n], backers: [[700n, 300n], [501n]] }, 2_000n, 0),
      offence({ own: 1_000n, leaving: [500n], backers: [[700n, 300n], [501n]] }, 1n, 333_333),
      offence({ own: 7n, leaving: [1n, 1n, 1n], backers: [[11n, 1n], [0n, 5n], [13n]] }, 17n, 500_000),
      offence({ own: 10n ** 17n, leaving: [], backers: [[10n ** 16n + 1n]] }, 10n ** 18n, 1_000_000),
      offence({ own: 0n, leaving: [9n], backers: [] }, 0n, 999_999),
    ],
    rewards: [
      reward({ pool: 40n, paid: 0n, allWeight: 9_500n, weight: 500n, contributed: 20n }, 0, 1_000n, []),
      reward({ pool: 40n, paid: 0n, allWeight: 9_500n, weight: 9_000n, contributed: 4n }, 250_000, 3_000n, [
        1_000n,
      ]),
      reward({ pool: 1_001n, paid: 999n, allWeight: 7n, weight: 7n, contributed: 500n }, 0, 1n, [1n, 1n]),
      reward(
        { pool: 10n ** 15n, paid: 0n, allWeight: 10n ** 18n, weight: 123_456_789n, contributed: 10n ** 12n },
        123_457,
        10n ** 9n,
        [3n * 10n ** 9n, 0n, 7n],
      ),
    ],
    causes: causes(),
    chain: await chain(),
  };
}

interface Stake {
  readonly own: bigint;
  readonly leaving: readonly bigint[];
  /** Of each delegation its amount, then what leaves. */
  readonly backers: readonly (readonly bigint[])[];
}

const key = (i: number): PublicKey => new Uint8Array(32).fill(i);

function offence(stake: Stake, compensation: bigint, slashPpm: number): unknown {
  const did = key(1);
  const to = { did, role: 'provider' } as const;
  const state = new State(() => undefined);
  const { bonds, backers, delegations } = state.stakes;
  const leaving = (amounts: readonly bigint[]) => amounts.map((amount, i) => ({ amount, releaseAt: i + 1 }));
  const owners = stake.backers.map((_, i) => key(10 + i));
  const delegated = stake.backers.reduce((sum, [amount = 0n]) => sum + amount, 0n);
  bonds.set(bondId(did, to.role), {
    own: stake.own,
    leaving: leaving(stake.leaving),
    delegated,
    commission: 0,
  });
  if (owners.length > 0) backers.set(bondId(did, to.role), { owners });
  for (const [i, [amount = 0n, ...rest]] of stake.backers.entries())
    delegations.set(delegationId(did, to.role, key(10 + i)), { amount, since: 0, leaving: leaving(rest) });
  const rules = { genesis: testGenesis({ parameters: { ...RULES, slashPpm } }), height: 1 };
  const roles = { to: key(2), informer: key(3) };
  const { taken } = slash(state, rules, { ...to, ...roles, evidence: key(9), compensation });
  const paid = (who: number) => String(state.accounts.get(key(who))?.balance ?? 0n);
  const now = bondOf(state, did, to.role);
  const texts = (amount: bigint, out: readonly { readonly amount: bigint; readonly releaseAt: number }[]) => [
    String(amount),
    ...out.map((one) => [String(one.amount), one.releaseAt]),
  ];
  return {
    stake: {
      own: String(stake.own),
      leaving: stake.leaving.map(String),
      backers: stake.backers.map((parts) => parts.map(String)),
    },
    compensation: String(compensation),
    slashPpm,
    taken: String(taken),
    wronged: paid(2),
    informer: paid(3),
    pool: String(state.stakes.epochs.get(Uint8Array.of(0))?.pool ?? 0n),
    left: {
      own: texts(now.own, now.leaving),
      backers: owners.map((owner) => {
        const left = delegationOf(state, to, owner);
        return texts(left.amount, left.leaving);
      }),
    },
  };
}

function reward(
  epoch: {
    readonly pool: bigint;
    readonly paid: bigint;
    readonly allWeight: bigint;
    readonly weight: bigint;
    readonly contributed: bigint;
  },
  commission: number,
  own: bigint,
  amounts: readonly bigint[],
): unknown {
  const { pool, paid, allWeight, weight, contributed } = epoch;
  const rest = { epoch: 1, settled: weight, claims: 1, causes: [], peaks: [], paid: undefined };
  const due = rewardFor({ epoch: 1, pool, paid, weight: allWeight }, { ...rest, weight, contributed });
  const delegations = amounts.map((amount, i) => ({ owner: key(10 + i), amount }));
  const shares = shareReward(due, key(1), { own, leaving: [], delegated: 0n, commission }, delegations);
  return {
    ...Object.fromEntries(Object.entries(epoch).map(([name, value]) => [name, String(value)])),
    commission,
    own: String(own),
    delegations: amounts.map(String),
    reward: String(due),
    shares: shares.map(({ amount }) => String(amount)),
  };
}

function causes(): unknown {
  let peaks: readonly Hash[] = [];
  return Array.from({ length: 11 }, (_, i) => {
    const cause = {
      channel: key(i),
      lane: i % 3,
      receiptRoot: key(100 + i),
      receipts: i * 7,
      amount: BigInt(i) ** 9n,
    };
    const leaf = rewardCause.encode(cause);
    peaks = appendLeaf(suite, peaks, i, leaf);
    return { leaf: toHex(leaf), peaks: peaks.map(toHex), root: toHex(rootOfPeaks(suite, peaks)) };
  });
}

async function chain(): Promise<unknown> {
  const ledger = await StakeBench.create();
  const { bench } = ledger;
  const genesisRoot = toHex(bench.chain.head().stateRoot);
  const { blocks, make: block } = tellBlocks(bench, FEE);
  const until = async (height: number): Promise<void> => {
    while (ledger.height < height) await block();
  };
  const report = (by: Signer, height: number): Action => ({
    type: 'report-double-signing',
    first: header(bench.network, by, height),
    second: header(bench.network, by, height, { timeMs: 2 }),
  });
  await block(
    [alice, bond(5_000n, 'provider', 200_000)],
    [alice, bond(3_000n, 'validator')],
    [bob, delegate(alice, 2_000n)],
    [carol, delegate(bob, 2_000n)],
    [carol, bond(10n)],
  );
  await until(RULES.epochBlocks);
  const open: Action = { type: 'open-channel', payee: alice.publicKey, deposit: 100_000n };
  const channel = ledger.channelOf(carol, alice);
  await block([carol, open]);
  await block(
    [alice, ledger.claim(channel, carol, alice, 3_000n)],
    [alice, ledger.claim(channel, carol, alice, 9_000n)],
  );
  await block([bob, undelegate(alice, 1_000n)], [alice, unbond(1_000n, 'validator')], [alice, unbond(10n)]);
  await block([carol, report(alice, 3)], [carol, report(alice, 3)], [carol, report(sequencer, 3)]);
  await block([bob, { type: 'collect-reward', epoch: 1, did: alice.publicKey }]);
  await until(ledger.height + RULES.unbondDelayBlocks);
  await block([carol, release(alice, bob)], [carol, release(alice, alice, 'validator')], [bob, release(bob)]);
  await until(2 * RULES.epochBlocks);
  await block(
    [bob, { type: 'collect-reward', epoch: 1, did: alice.publicKey }],
    [bob, { type: 'collect-reward', epoch: 1, did: alice.publicKey }],
    [bob, { type: 'collect-reward', epoch: 1, did: person('nobody').publicKey }],
  );
  return {
    genesis: toHex(genesisSchema.encode(bench.parts.genesis)),
    network: bench.network,
    genesisRoot,
    blocks,
  };
}
