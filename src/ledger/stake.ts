/**
 * Stakes: what stands behind a role, and what an offence costs. A stake is the bonded DID's own money and what
 * others delegated to it; parts that were taken back but not released count like the rest, so that nobody leaves
 * ahead of the evidence. Everything is exact: what is cut from many is cut by cumulative floors, to the grain.
 */
import { equalBytes } from '../base/bytes.ts';
import type { BondRole } from '../protocol/actions-stake.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { PPM } from '../protocol/limits.ts';
import { total } from './records.ts';
import {
  type BondRecord,
  bondId,
  type DelegationRecord,
  delegationId,
  type Leaving,
} from './records-stake.ts';
import { addToPool, type StakeRules } from './rewards.ts';
import { shareOut } from './share-out.ts';
import { credit, type State } from './state.ts';

/** A proven offence. Whoever calls has checked the evidence. */
export interface Offence {
  /** Who is punished, in which role. */
  readonly did: PublicKey;
  readonly role: BondRole;
  /** Names the offence: whatever proves the same offence has the same hash. */
  readonly evidence: Hash;
  /** What the offence cost somebody, grains, and who that is. */
  readonly compensation: bigint;
  readonly to: PublicKey;
  /** Who brought the evidence; nobody where consensus itself did. */
  readonly informer: PublicKey | undefined;
}

const NO_BOND: BondRecord = { own: 0n, leaving: [], delegated: 0n, commission: 0 };
const NO_DELEGATION: DelegationRecord = { amount: 0n, since: 0, leaving: [] };
const WHOLE = BigInt(PPM);

/** The bond of a role; empty when there is none. */
export function bondOf(state: State, did: PublicKey, role: BondRole): BondRecord {
  return state.stakes.bonds.get(bondId(did, role)) ?? NO_BOND;
}

/** Whether a bond stands: its owner's own part is what the network asks for. After an offence it may be less. */
export function stands({ own }: BondRecord, { genesis }: Pick<StakeRules, 'genesis'>): boolean {
  return own >= genesis.parameters.bondMin;
}

/** Somebody's delegation to a bond; empty when there is none. */
export function delegationOf(state: State, to: Backed, owner: PublicKey): DelegationRecord {
  return state.stakes.delegations.get(delegationId(to.did, to.role, owner)) ?? NO_DELEGATION;
}

/** A bond that can be delegated to. */
export interface Backed {
  readonly did: PublicKey;
  readonly role: BondRole;
}

/** Who has delegated to a bond or still has parts of a delegation there. */
export function backersOf(state: State, { did, role }: Backed): readonly PublicKey[] {
  return state.stakes.backers.get(bondId(did, role))?.owners ?? [];
}

/** Writes a bond; one that holds nothing and backs nobody is deleted. */
export function setBond(state: State, { did, role }: Backed, bond: BondRecord): void {
  const id = bondId(did, role);
  const empty = bond.own === 0n && bond.leaving.length === 0 && state.stakes.backers.get(id) === undefined;
  state.stakes.bonds.set(id, empty ? undefined : bond);
}

/** Somebody's delegation to a bond. */
export interface Backing extends Backed {
  readonly owner: PublicKey;
}

/** Writes a delegation, and brings the bond's sum and list of backers in step; one without money is deleted. */
export function setDelegation(state: State, of: Backing, next: DelegationRecord): void {
  const id = delegationId(of.did, of.role, of.owner);
  const known = state.stakes.delegations.get(id);
  const gone = next.amount === 0n && next.leaving.length === 0;
  const owners = backersOf(state, of);
  if (known === undefined && !gone) setBackers(state, of, [...owners, of.owner]);
  if (known !== undefined && gone) {
    const others = owners.filter((one) => !equalBytes(one, of.owner));
    setBackers(state, of, others);
  }
  state.stakes.delegations.set(id, gone ? undefined : next);
  const bond = bondOf(state, of.did, of.role);
  const before = known?.amount ?? 0n;
  setBond(state, of, { ...bond, delegated: bond.delegated + next.amount - before });
}

function setBackers(state: State, { did, role }: Backed, owners: readonly PublicKey[]): void {
  state.stakes.backers.set(bondId(did, role), owners.length === 0 ? undefined : { owners });
}

/** All that stands behind a role and can be taken, grains: parts on their way back included. */
export function atStake(state: State, did: PublicKey, role: BondRole): bigint {
  const held = backersOf(state, { did, role }).map((owner) =>
    total(partsOf(stakeOfBacker(delegationOf(state, { did, role }, owner)))),
  );
  return total(partsOf(bondOf(state, did, role))) + total(held);
}

/** Whether this evidence was used. */
export function isUsed(state: State, evidence: Hash): boolean {
  return state.stakes.offences.get(evidence) !== undefined;
}

/** What an offence cost, grains. */
export interface Punishment {
  /** In all. */
  readonly taken: bigint;
  /** What the wronged got of it. */
  readonly compensation: bigint;
}

/**
 * Punishes an offence, once for one piece of evidence. It costs `slashPpm` of all that stands behind the role, which the
 * bonded DID's own parts pay first, then delegations pro rata. Compensation comes out of what an offence leaves of the
 * own parts, and half of what they pay of the penalty is the informer's; everything else goes to the reward pool of the
 * running epoch. Offender, wronged and informer may be one person with three keys: so nobody but the offender pays the
 * wronged or the informer, and no compensation takes what the offence costs.
 */
export function slash(state: State, rules: StakeRules, offence: Offence): Punishment {
  const { did, role, evidence } = offence;
  if (isUsed(state, evidence)) return { taken: 0n, compensation: 0n };
  const own = total(partsOf(bondOf(state, did, role)));
  const penalty = slashed(rules, atStake(state, did, role));
  const compensation = least(offence.compensation, own - slashed(rules, own));
  const taken = compensation + penalty;
  state.stakes.offences.set(evidence, { did, role, height: rules.height, taken });
  if (taken === 0n) return { taken, compensation };
  const ownPenalty = least(own - compensation, penalty);
  take(state, { did, role }, taken);
  credit(state, offence.to, compensation);
  const reward = offence.informer === undefined ? 0n : ownPenalty / 2n;
  if (offence.informer !== undefined) credit(state, offence.informer, reward);
  addToPool(state, rules, penalty - reward);
  return { taken, compensation };
}

function slashed({ genesis }: StakeRules, amount: bigint): bigint {
  return (amount * BigInt(genesis.parameters.slashPpm)) / WHOLE;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function take(state: State, from: Backed, taken: bigint): void {
  const bond = bondOf(state, from.did, from.role);
  const own = partsOf(bond);
  const first = least(total(own), taken);
  const [kept = 0n, ...leaving] = cut(own, first);
  setBond(state, from, { ...bond, own: kept, leaving: reduced(bond.leaving, leaving) });
  if (first < taken) takeFromBackers(state, from, taken - first);
}

function takeFromBackers(state: State, from: Backed, taken: bigint): void {
  const owners = backersOf(state, from);
  const delegations = owners.map((owner) => delegationOf(state, from, owner));
  const left = cut(
    delegations.flatMap((one) => partsOf(stakeOfBacker(one))),
    taken,
  );
  let at = 0;
  for (const [i, delegation] of delegations.entries()) {
    const [amount = 0n, ...leaving] = left.slice(at, at + 1 + delegation.leaving.length);
    at += 1 + delegation.leaving.length;
    const next = { ...delegation, amount, leaving: reduced(delegation.leaving, leaving) };
    // As many owners as delegations.
    setDelegation(state, { ...from, owner: owners[i] as PublicKey }, next);
  }
}

function stakeOfBacker({ amount, leaving }: DelegationRecord): Pick<BondRecord, 'own' | 'leaving'> {
  return { own: amount, leaving };
}

/** What stays, then what is on its way back. */
function partsOf({ own, leaving }: Pick<BondRecord, 'own' | 'leaving'>): readonly bigint[] {
  return [own, ...leaving.map(({ amount }) => amount)];
}

function reduced(before: readonly Leaving[], amounts: readonly bigint[]): readonly Leaving[] {
  return before.flatMap(({ releaseAt }, i) => {
    const amount = amounts[i] ?? 0n;
    return amount > 0n ? [{ amount, releaseAt }] : [];
  });
}

/** What is left of `parts` when `taken` of their sum goes, each paying by its share. */
function cut(parts: readonly bigint[], taken: bigint): readonly bigint[] {
  const shares = shareOut(taken, parts);
  return parts.map((part, i) => part - (shares[i] ?? 0n));
}
