/** Putting money behind a role, one's own or another's, and taking it back after the network's delay. */
import { equalBytes } from '../../base/bytes.ts';
import type { PublicKey } from '../../protocol/ids.ts';
import { BACKERS_MAX, LEAVING_MAX } from '../limits.ts';
import { total } from '../records.ts';
import type { BondRecord, Leaving } from '../records-stake.ts';
import type { ResultName } from '../result-codes.ts';
import { epochOf } from '../rewards.ts';
import { type Backed, backersOf, bondOf, delegationOf, setBond, setDelegation, stands } from '../stake.ts';
import { credit, debit } from '../state.ts';
import { done, type Handler, refuse, type TransactionContext } from './context.ts';
import { pace } from './identity.ts';

type Refusal = Exclude<ResultName, 'ok'>;

/** What stays of a stake and what leaves it. */
interface Parted {
  readonly stays: bigint;
  readonly leaving: readonly Leaving[];
}

/**
 * Puts the sender's money behind its role, and names its commission. Refusals in order: `amount-zero` without a
 * commission, `commission-rises`, `bond-too-small`, `balance-insufficient`.
 */
export const bond: Handler<'bond'> = (context, { role, amount, commission }) => {
  const { state, sender, genesis } = context;
  if (amount === 0n && commission === undefined) return refuse('amount-zero');
  const before = bondOf(state, sender, role);
  const next = { ...before, own: before.own + amount, commission: commission ?? before.commission };
  if (next.commission > before.commission && isKnown(before)) return refuse('commission-rises');
  if (next.own < genesis.parameters.bondMin) return refuse('bond-too-small');
  if (!debit(state, sender, amount)) return refuse('balance-insufficient');
  setBond(state, { did: sender, role }, next);
  return done();
};

/**
 * Begins to take the sender's money back. Refusals in order: `bond-unknown`, then those of `part`.
 */
export const unbond: Handler<'unbond'> = (context, { role, amount }) => {
  const { state, sender } = context;
  const before = bondOf(state, sender, role);
  if (before.own === 0n) return refuse('bond-unknown');
  const parted = part(context, { stays: before.own, leaving: before.leaving }, amount);
  if (typeof parted === 'string') return refuse(parted);
  setBond(state, { did: sender, role }, { ...before, own: parted.stays, leaving: parted.leaving });
  return done();
};

/**
 * Puts the sender's money behind somebody else's role. Refusals in order: `delegate-to-self`, `bond-unknown` when no
 * bond stands there, `amount-zero`, `bond-too-small`, `balance-insufficient`, `backers-full`.
 */
export const delegate: Handler<'delegate'> = (context, { did, role, amount }) => {
  const { state, sender, genesis } = context;
  if (equalBytes(did, sender)) return refuse('delegate-to-self');
  if (!stands(bondOf(state, did, role), context)) return refuse('bond-unknown');
  if (amount === 0n) return refuse('amount-zero');
  const before = delegationOf(state, { did, role }, sender);
  const next = { ...before, amount: before.amount + amount, since: epochOf(context) + 1 };
  if (next.amount < genesis.parameters.bondMin) return refuse('bond-too-small');
  if (!debit(state, sender, amount)) return refuse('balance-insufficient');
  const joins = before.amount === 0n && before.leaving.length === 0;
  if (joins && backersOf(state, { did, role }).length >= BACKERS_MAX) return refuse('backers-full');
  setDelegation(state, { did, role, owner: sender }, next);
  return done();
};

/**
 * Begins to take the sender's money back from somebody else's role. Refusals in order: `bond-unknown`, then those of
 * `part`.
 */
export const undelegate: Handler<'undelegate'> = (context, { did, role, amount }) => {
  const { state, sender } = context;
  const before = delegationOf(state, { did, role }, sender);
  if (before.amount === 0n) return refuse('bond-unknown');
  const parted = part(context, { stays: before.amount, leaving: before.leaving }, amount);
  if (typeof parted === 'string') return refuse(parted);
  const next = { ...before, amount: parted.stays, leaving: parted.leaving };
  setDelegation(state, { did, role, owner: sender }, next);
  return done();
};

/**
 * Pays an owner every part of a stake that is due. It moves their sum. Refusals: `nothing-due`.
 */
export const releaseBond: Handler<'release-bond'> = (context, { did, role, owner }) => {
  const amount = equalBytes(did, owner)
    ? releaseOwn(context, { did, role })
    : releaseDelegated(context, { did, role }, owner);
  if (amount === 0n) return refuse('nothing-due');
  credit(context.state, owner, amount);
  return done(amount);
};

function releaseOwn({ state, height }: TransactionContext, of: Backed): bigint {
  const before = bondOf(state, of.did, of.role);
  const { due, later } = sorted(before.leaving, height);
  if (due > 0n) setBond(state, of, { ...before, leaving: later });
  return due;
}

function releaseDelegated({ state, height }: TransactionContext, of: Backed, owner: PublicKey): bigint {
  const before = delegationOf(state, of, owner);
  const { due, later } = sorted(before.leaving, height);
  if (due > 0n) setDelegation(state, { ...of, owner }, { ...before, leaving: later });
  return due;
}

function sorted(
  leaving: readonly Leaving[],
  height: number,
): { readonly due: bigint; readonly later: readonly Leaving[] } {
  const due = leaving.filter(({ releaseAt }) => releaseAt <= height);
  return {
    due: total(due.map(({ amount }) => amount)),
    later: leaving.filter(({ releaseAt }) => releaseAt > height),
  };
}

/**
 * Parts `amount` from a stake for good; it leaves with the height at which it is due. Refusals in order:
 * `amount-zero`, `bond-insufficient`, `bond-too-small` when too little stays, `leaving-full`.
 */
function part(
  { state, height, genesis }: TransactionContext,
  { stays, leaving }: Parted,
  amount: bigint,
): Parted | Refusal {
  const { bondMin, unbondDelayBlocks } = genesis.parameters;
  if (amount === 0n) return 'amount-zero';
  if (amount > stays) return 'bond-insufficient';
  const rest = stays - amount;
  if (rest > 0n && rest < bondMin) return 'bond-too-small';
  const releaseAt = height + unbondDelayBlocks;
  const last = leaving.at(-1);
  const together = last?.releaseAt === releaseAt;
  if (!together && leaving.length >= LEAVING_MAX) return 'leaving-full';
  // The delay counts blocks: they must not come faster than the network's interval while it runs.
  pace(state, releaseAt);
  return {
    stays: rest,
    leaving: together
      ? [...leaving.slice(0, -1), { amount: last.amount + amount, releaseAt }]
      : [...leaving, { amount, releaseAt }],
  };
}

function isKnown({ own, leaving, delegated }: BondRecord): boolean {
  return own > 0n || leaving.length > 0 || delegated > 0n;
}
