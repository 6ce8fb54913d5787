/**
 * Rewards out of fees. A part of every fee goes into the pool of the epoch in which it was paid. Who provides under
 * a bond earns a weight in it with every claim: what was settled, up to what stands behind the provider. Once the
 * epoch is over, its pool is shared by weight, but nobody gets more than the fees of their own claims brought into
 * it. So whoever pays themselves through a channel gets back at most what they put in, whoever makes the blocks and
 * however much they settle; the argument stands in the spec. What is left goes into a later pool.
 */
import type { PublicKey } from '../protocol/ids.ts';
import { PPM } from '../protocol/limits.ts';
import { GRAINS_MAX } from '../protocol/schema.ts';
import { appendLeaf } from './cause-tree.ts';
import { CAUSES_LISTED_MAX, REWARD_EPOCHS_MAX } from './limits.ts';
import {
  type BondRecord,
  type EarningRecord,
  type EpochRecord,
  earningId,
  epochSlot,
  type RewardCause,
  rewardCause,
} from './records-stake.ts';
import { shareOut } from './share-out.ts';
import type { State } from './state.ts';
import type { TransactionContext } from './transactions/context.ts';

/** What the rules of stakes and rewards follow from. */
export type StakeRules = Pick<TransactionContext, 'genesis' | 'height'>;

const WHOLE = BigInt(PPM);

/** The epoch that a block belongs to. */
export function epochOf({ genesis, height }: StakeRules): number {
  return Math.floor(height / genesis.parameters.epochBlocks);
}

/** What of each fee goes into the pool, grains. */
export function pooledFee({ genesis }: Pick<StakeRules, 'genesis'>): bigint {
  const { transactionFee, rewardPpm } = genesis.parameters;
  if (transactionFee === 0n) return 0n;
  return (transactionFee * BigInt(rewardPpm)) / WHOLE;
}

/** Adds to the pool of the running epoch. */
export function addToPool(state: State, rules: StakeRules, amount: bigint): void {
  if (amount === 0n) return;
  const pool = runningEpoch(state, epochOf(rules));
  state.stakes.epochs.set(epochSlot(pool.epoch), { ...pool, pool: pool.pool + amount });
}

/** The pool of the running epoch. What an expired one left in its slot is in it. */
function runningEpoch(state: State, epoch: number): EpochRecord {
  const known = state.stakes.epochs.get(epochSlot(epoch));
  if (known?.epoch === epoch) return known;
  return { epoch, pool: (known?.pool ?? 0n) - (known?.paid ?? 0n), weight: 0n, paid: 0n };
}

/** A claim that paid. */
export interface Settled {
  readonly provider: PublicKey;
  /** What stands behind the provider now. */
  readonly bond: BondRecord;
  readonly cause: RewardCause;
  /** What the fee of its transaction put into the pool, grains. */
  readonly contributed: bigint;
}

/** Counts a claim for its provider's reward in the running epoch. Work and size do not depend on how many there are. */
export function earn(
  state: State,
  rules: StakeRules & Pick<TransactionContext, 'suite'>,
  { provider, bond, cause, contributed }: Settled,
): void {
  const epoch = runningEpoch(state, epochOf(rules));
  const id = earningId(provider, epoch.epoch);
  const known = state.stakes.earnings.get(id);
  const before = known?.epoch === epoch.epoch ? known : nothingEarned(epoch.epoch);
  const settled = least(before.settled + cause.amount, GRAINS_MAX);
  const counted = least(settled, bond.own + bond.delegated);
  const weight = counted > before.weight ? counted : before.weight;
  const leaf = rewardCause.encode(cause);
  state.stakes.earnings.set(id, {
    ...before,
    settled,
    weight,
    contributed: before.contributed + contributed,
    claims: before.claims + 1,
    causes: before.claims < CAUSES_LISTED_MAX ? [...before.causes, cause] : before.causes,
    peaks: appendLeaf(rules.suite, before.peaks, before.claims, leaf),
  });
  const all = least(epoch.weight + weight - before.weight, GRAINS_MAX);
  state.stakes.epochs.set(epochSlot(epoch.epoch), { ...epoch, weight: all });
}

function nothingEarned(epoch: number): EarningRecord {
  const nothing = { settled: 0n, weight: 0n, contributed: 0n, claims: 0, paid: undefined };
  return { epoch, ...nothing, causes: [], peaks: [] };
}

/** What a provider gets of an epoch's pool: its share by weight, at most what its own claims put in. */
export function rewardFor(epoch: EpochRecord, { weight, contributed }: EarningRecord): bigint {
  const share = epoch.weight === 0n ? 0n : (epoch.pool * weight) / epoch.weight;
  return least(least(share, contributed), epoch.pool - epoch.paid);
}

/** How long the rewards of an epoch can be collected: while no later epoch can have taken its slot. */
export function isCollectable(epoch: number, running: number): boolean {
  return epoch < running && running - epoch < REWARD_EPOCHS_MAX;
}

/** Whose part of a reward is how much. */
export interface RewardPart {
  readonly to: PublicKey;
  readonly amount: bigint;
}

/**
 * Shares a reward: the commission to the provider, the rest by what the provider and each delegation that counts
 * have behind the role. Sums to the reward exactly.
 */
export function shareReward(
  reward: bigint,
  provider: PublicKey,
  bond: BondRecord,
  delegations: readonly { readonly owner: PublicKey; readonly amount: bigint }[],
): readonly RewardPart[] {
  const kept = (reward * BigInt(bond.commission)) / WHOLE;
  const shares = shareOut(reward - kept, [bond.own, ...delegations.map(({ amount }) => amount)]);
  return [
    { to: provider, amount: kept + (shares[0] ?? 0n) },
    ...delegations.map(({ owner }, i) => ({ to: owner, amount: shares[i + 1] ?? 0n })),
  ];
}

/** What a DID earned in an epoch, if the slot still is that epoch's. */
export function earningIn(state: State, did: PublicKey, epoch: number): EarningRecord | undefined {
  const known = state.stakes.earnings.get(earningId(did, epoch));
  return known?.epoch === epoch ? known : undefined;
}

/** The pool of an epoch, if the slot still is that epoch's. */
export function epochIn(state: State, epoch: number): EpochRecord | undefined {
  const known = state.stakes.epochs.get(epochSlot(epoch));
  return known?.epoch === epoch ? known : undefined;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
