/** What the state holds of stakes and rewards: bonds, delegations, used evidence, pools and what was earned from them. */
import { concat } from '../base/bytes.ts';
import { BOND_ROLES, type BondRole, bondRole } from '../protocol/actions-stake.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { bytes, grains, list, record, type Schema, uint } from '../protocol/schema.ts';
import { BOND, EARNING } from '../protocol/state-records.ts';
import { BACKERS_MAX, LEAVING_MAX, REWARD_EPOCHS_MAX } from './limits.ts';
import type { Table } from './records.ts';

/** A part of a stake on its way back to its owner. Until it is released it pays for offences like the rest. */
export interface Leaving {
  readonly amount: bigint;
  /** First height at which it can be released. */
  readonly releaseAt: number;
}

/** What a DID has put behind one of its roles. */
export interface BondRecord {
  readonly own: bigint;
  readonly leaving: readonly Leaving[];
  /** What others have put behind it: the sum of the amounts of its delegations, which hold the money. */
  readonly delegated: bigint;
  /** What the DID keeps of rewards before they are shared, parts per million. */
  readonly commission: number;
}

/** What somebody has put behind somebody else's role. */
export interface DelegationRecord {
  readonly amount: bigint;
  /** First epoch whose rewards it shares in. */
  readonly since: number;
  readonly leaving: readonly Leaving[];
}

/** Who has delegated to a bond, in the order of coming. */
export interface BackersRecord {
  readonly owners: readonly PublicKey[];
}

/** An offence that was punished: one piece of evidence counts once. */
export interface OffenceRecord {
  readonly did: PublicKey;
  readonly role: BondRole;
  readonly height: number;
  /** What it cost, grains. */
  readonly taken: bigint;
}

/** The pool of one epoch. */
export interface EpochRecord {
  readonly epoch: number;
  /** All that came in, grains. */
  readonly pool: bigint;
  /** The sum of the weights of all who earned in it. */
  readonly weight: bigint;
  /** Paid out as rewards, grains. */
  readonly paid: bigint;
}

/** One claim by which a provider earned. */
export interface RewardCause {
  readonly channel: Hash;
  readonly lane: number;
  /** Root of the lane's receipts as the charge names it, and how many they are. */
  readonly receiptRoot: Hash;
  readonly receipts: number;
  /** What the claim paid, grains. */
  readonly amount: bigint;
}

/** What a provider earned in one epoch, and the reward once it was paid. */
export interface EarningRecord {
  readonly epoch: number;
  /** What claims have paid, grains. */
  readonly settled: bigint;
  /** What counts of it: never more than stood behind the provider when it claimed. */
  readonly weight: bigint;
  /** What the fees of these claims put into the pool, grains: the most that the reward can be. */
  readonly contributed: bigint;
  /** How many claims. */
  readonly claims: number;
  /** The first of them. */
  readonly causes: readonly RewardCause[];
  /** The tree over all of them: roots of its whole subtrees, the largest first. */
  readonly peaks: readonly Hash[];
  /** The reward, once it was collected, grains. */
  readonly paid: bigint | undefined;
}

const leaving = list(record('leaving', { amount: grains, releaseAt: uint() }), LEAVING_MAX);

const leavingSum = (parts: readonly Leaving[]): bigint => parts.reduce((sum, { amount }) => sum + amount, 0n);

/** Bonds by DID and role. */
export const BONDS: Table<BondRecord> = {
  name: 'bond',
  ...BOND,
  held: (bond) => bond.own + leavingSum(bond.leaving),
};

/** Delegations by DID, role and who delegated. */
export const DELEGATIONS: Table<DelegationRecord> = {
  name: 'delegation',
  tag: 0x41,
  schema: record('delegation', { amount: grains, since: uint(), leaving }),
  held: (delegation) => delegation.amount + leavingSum(delegation.leaving),
};

/** Who delegated, by DID and role. */
export const BACKERS: Table<BackersRecord> = {
  name: 'backers',
  tag: 0x42,
  schema: record('backers', { owners: list(bytes(32), BACKERS_MAX) }),
  held: () => 0n,
};

/** Punished offences by their evidence. */
export const OFFENCES: Table<OffenceRecord> = {
  name: 'offence',
  tag: 0x43,
  schema: record('offence', { did: bytes(32), role: bondRole, height: uint(), taken: grains }),
  held: () => 0n,
};

/** Pools by the epoch's slot. */
export const EPOCHS: Table<EpochRecord> = {
  name: 'epoch',
  tag: 0x44,
  schema: record('epoch', { epoch: uint(), pool: grains, weight: grains, paid: grains }),
  held: (epoch) => epoch.pool - epoch.paid,
};

/** A cause in the form in which it is a leaf of the tree over all causes. */
export const rewardCause: Schema<RewardCause> = EARNING.cause;

/** Earnings by DID and the epoch's slot. */
export const EARNINGS: Table<EarningRecord> = {
  name: 'earning',
  tag: EARNING.tag,
  schema: EARNING.schema,
  held: () => 0n,
};

/** The id of a bond and of its list of backers. */
export function bondId(did: PublicKey, role: BondRole): Uint8Array {
  return concat(did, Uint8Array.of(BOND_ROLES.indexOf(role)));
}

/** The id of a delegation. */
export function delegationId(did: PublicKey, role: BondRole, owner: PublicKey): Uint8Array {
  return concat(bondId(did, role), owner);
}

/** The id of an epoch's pool. A later epoch takes the slot of one whose rewards have expired. */
export function epochSlot(epoch: number): Uint8Array {
  return Uint8Array.of(epoch % REWARD_EPOCHS_MAX);
}

/** The id of what a DID earned in an epoch. */
export function earningId(did: PublicKey, epoch: number): Uint8Array {
  return concat(did, epochSlot(epoch));
}
