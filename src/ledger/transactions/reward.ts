/** Claims that count for a reward, and rewards that are paid out. */
import type { PublicKey } from '../../protocol/ids.ts';
import type { RewardCause } from '../records-stake.ts';
import { earningId, epochSlot } from '../records-stake.ts';
import { earn, earningIn, epochIn, epochOf, isCollectable, rewardFor, shareReward } from '../rewards.ts';
import { backersOf, bondOf, delegationOf, stands } from '../stake.ts';
import { credit } from '../state.ts';
import { done, type Handler, refuse, type TransactionContext } from './context.ts';

/**
 * Counts a claim that paid for its payee's reward, if a provider's bond stands behind the payee. What the fee of the
 * transaction put into the pool counts once, whatever number of claims the transaction makes.
 */
export function countClaim(context: TransactionContext, provider: PublicKey, cause: RewardCause): void {
  const { state, pooled } = context;
  const bond = bondOf(state, provider, 'provider');
  if (!stands(bond, context)) return;
  earn(state, context, { provider, bond, cause, contributed: pooled.left });
  pooled.left = 0n;
}

/**
 * Pays out what a provider earned in an epoch, shared with who delegated to it before that epoch began. It moves the
 * reward. Refusals in order: `epoch-not-open` when it has not ended or is too long ago, `reward-unknown`,
 * `reward-collected`, `bond-unknown` when the bond does not stand any more.
 */
export const collectReward: Handler<'collect-reward'> = (context, { epoch: number, did }) => {
  const { state } = context;
  if (!isCollectable(number, epochOf(context))) return refuse('epoch-not-open');
  const earning = earningIn(state, did, number);
  const epoch = epochIn(state, number);
  if (earning === undefined || epoch === undefined) return refuse('reward-unknown');
  if (earning.paid !== undefined) return refuse('reward-collected');
  const bond = bondOf(state, did, 'provider');
  if (!stands(bond, context)) return refuse('bond-unknown');
  const reward = rewardFor(epoch, earning);
  state.stakes.earnings.set(earningId(did, number), { ...earning, paid: reward });
  state.stakes.epochs.set(epochSlot(number), { ...epoch, paid: epoch.paid + reward });
  const backed = { did, role: 'provider' } as const;
  const delegations = backersOf(state, backed)
    .map((owner) => ({ owner, ...delegationOf(state, backed, owner) }))
    .filter(({ amount, since }) => amount > 0n && since <= number);
  for (const { to, amount } of shareReward(reward, did, bond, delegations)) credit(state, to, amount);
  return done(reward);
};
