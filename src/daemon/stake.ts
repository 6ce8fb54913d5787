/** Stakes, rewards and fees as the ledger has them, in the words of the admin API. */
import { toHex } from '../base/bytes.ts';
import { rootOfPeaks } from '../ledger/cause-tree.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { bondOfId, type Delegation, type Earning, type StakedBond } from '../ledger/queries-stake.ts';
import type { Leaving } from '../ledger/records-stake.ts';
import { epochOf, isCollectable, pooledFee } from '../ledger/rewards.ts';
import { stands } from '../ledger/stake.ts';
import { didOf, type PublicKey } from '../protocol/ids.ts';
import type { Suite } from '../protocol/suite.ts';
import type {
  BondRow,
  DelegationRow,
  FeesReport,
  LeavingRow,
  RewardRow,
  StakeReport,
} from './admin/types-stake.ts';

/** What transactions and bonds cost. */
export function feesOf(ledger: Pick<Ledger, 'genesis' | 'head'>): FeesReport {
  const { genesis } = ledger;
  const { transactionFee, bondMin, unbondDelayBlocks, slashPpm, epochBlocks } = genesis.parameters;
  const epoch = epochOf({ genesis, height: ledger.head().height });
  return {
    transaction: String(transactionFee),
    toRewards: String(pooledFee({ genesis })),
    bondMin: String(bondMin),
    unbondBlocks: unbondDelayBlocks,
    slashPpm,
    epoch,
    nextEpochAt: (epoch + 1) * epochBlocks,
  };
}

/** What stands behind an operator's agents, if this peer has the whole ledger and anything does, grains. */
export function bondBehind(
  ledger: Pick<Ledger, 'genesis' | 'mode' | 'stakeOf'>,
  operator: PublicKey,
): bigint | undefined {
  if (ledger.mode === 'light') return undefined;
  const [bond] = ledger.stakeOf(operator, 'provider');
  return bond !== undefined && stands(bond, ledger) ? bond.own + bond.delegated : undefined;
}

/** The bonds of a DID and what it delegated to others. */
export async function stakeReport(
  ledger: Ledger,
  did: PublicKey,
  options: { readonly signal?: AbortSignal } = {},
): Promise<StakeReport> {
  const bonds = await ledger.read(({ stakeOf }) => stakeOf(did), options);
  const delegated = await delegationsOf(ledger, did, options);
  const height = ledger.head().height;
  return {
    did: didOf(did),
    bonds: bonds.map((bond) => bondRow(ledger, bond)),
    delegated: delegated.map((one) => delegationRow(one, height)),
  };
}

/** What `owner` has delegated. */
export async function delegationsOf(
  ledger: Pick<Ledger, 'listed' | 'read'>,
  owner: PublicKey,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly Delegation[]> {
  const ids = await ledger.listed('delegations', owner, options);
  return ledger.read(
    ({ delegation }) =>
      ids.flatMap((id) => {
        const to = bondOfId(id);
        return to === undefined ? [] : (delegation(to.did, to.role, owner) ?? []);
      }),
    options,
  );
}

function bondRow(ledger: Pick<Ledger, 'genesis' | 'head'>, bond: StakedBond): BondRow {
  const { height } = ledger.head();
  return {
    role: bond.role,
    own: String(bond.own),
    delegated: String(bond.delegated),
    stands: stands(bond, ledger),
    commissionPpm: bond.commission,
    leaving: bond.leaving.map((one) => leavingRow(one, height)),
    delegations: bond.delegations.map((one) => delegationRow(one, height)),
  };
}

function delegationRow(one: Delegation, height: number): DelegationRow {
  return {
    did: didOf(one.did),
    role: one.role,
    owner: didOf(one.owner),
    amount: String(one.amount),
    sinceEpoch: one.since,
    leaving: one.leaving.map((part) => leavingRow(part, height)),
  };
}

function leavingRow({ amount, releaseAt }: Leaving, height: number): LeavingRow {
  // What is sent now stands in the next block at the earliest.
  return { amount: String(amount), releaseAt, due: releaseAt <= height + 1 };
}

/** What a DID earned as a provider, epoch by epoch. */
export async function rewardRows(
  { ledger, suite }: { readonly ledger: Ledger; readonly suite: Suite },
  did: PublicKey,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly RewardRow[]> {
  const earnings = await ledger.read(({ rewardsOf }) => rewardsOf(did), options);
  const running = epochOf({ genesis: ledger.genesis, height: ledger.head().height });
  return earnings.map((one) => ({
    epoch: one.epoch,
    state: stateOf(one, running),
    reward: String(one.reward),
    settled: String(one.settled),
    weight: String(one.weight),
    allWeight: String(one.pool?.weight ?? 0n),
    pool: String(one.pool?.pool ?? 0n),
    contributed: String(one.contributed),
    claims: one.claims,
    causes: one.causes.map(({ channel, lane, receiptRoot, receipts, amount }) => ({
      channel: toHex(channel),
      lane,
      receiptRoot: toHex(receiptRoot),
      receipts,
      amount: String(amount),
    })),
    causesRoot: toHex(rootOfPeaks(suite, one.peaks)),
  }));
}

function stateOf({ epoch, paid, pool }: Earning, running: number): RewardRow['state'] {
  if (paid !== undefined) return 'collected';
  if (epoch === running) return 'running';
  return pool !== undefined && isCollectable(epoch, running) ? 'due' : 'expired';
}
