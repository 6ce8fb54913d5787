/** Reads of stakes and rewards, from a node's own state or from records that a light client proved. */
import { BOND_ROLES, type BondRole } from '../protocol/actions-stake.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { REWARD_EPOCHS_MAX } from './limits.ts';
import type { Table } from './records.ts';
import {
  BACKERS,
  BONDS,
  bondId,
  DELEGATIONS,
  delegationId,
  EARNINGS,
  type EarningRecord,
  EPOCHS,
  type EpochRecord,
  earningId,
  epochSlot,
  type Leaving,
} from './records-stake.ts';
import { rewardFor } from './rewards.ts';

/** A delegation to a DID's role. */
export interface Delegation {
  readonly did: PublicKey;
  readonly role: BondRole;
  /** Who delegated. */
  readonly owner: PublicKey;
  readonly amount: bigint;
  /** First epoch whose rewards it shares in. */
  readonly since: number;
  readonly leaving: readonly Leaving[];
}

/** What stands behind one role of a DID. */
export interface StakedBond {
  readonly role: BondRole;
  /** The DID's own part, grains. */
  readonly own: bigint;
  readonly leaving: readonly Leaving[];
  /** What others have put behind it, grains. */
  readonly delegated: bigint;
  /** What the DID keeps of rewards before they are shared, parts per million. */
  readonly commission: number;
  readonly delegations: readonly Delegation[];
}

/** What a provider earned in an epoch. */
export interface Earning extends EarningRecord {
  /** The epoch's pool; absent when a later epoch has taken its slot. */
  readonly pool: EpochRecord | undefined;
  /** What it was paid, or would be paid were the epoch over now, grains. */
  readonly reward: bigint;
}

type ReadRecord = <T>(table: Table<T>, id: Uint8Array) => T | undefined;

/** Everything behind the roles of `did`, in the order of the roles; behind one only where it is named. */
export function stakeIn(read: ReadRecord, did: PublicKey, only?: BondRole): readonly StakedBond[] {
  const roles = only === undefined ? BOND_ROLES : [only];
  return roles.flatMap((role) => {
    const id = bondId(did, role);
    const bond = read(BONDS, id);
    if (bond === undefined) return [];
    const owners = read(BACKERS, id)?.owners ?? [];
    const delegations = owners.flatMap((owner) => delegationIn(read, did, role, owner) ?? []);
    return [{ role, ...bond, delegations }];
  });
}

/** What `owner` has delegated to a role of `did`. */
export function delegationIn(
  read: ReadRecord,
  did: PublicKey,
  role: BondRole,
  owner: PublicKey,
): Delegation | undefined {
  const found = read(DELEGATIONS, delegationId(did, role, owner));
  return found && { did, role, owner, ...found };
}

/** The bonded DID and role that a list of delegations names. */
export function bondOfId(id: Uint8Array): { readonly did: PublicKey; readonly role: BondRole } | undefined {
  const role = BOND_ROLES[id[32] ?? BOND_ROLES.length];
  return id.length === 33 && role !== undefined ? { did: id.slice(0, 32), role } : undefined;
}

/** What `did` earned in the latest epochs that are still kept, the latest first. */
export function rewardsIn(read: ReadRecord, did: PublicKey): readonly Earning[] {
  const slots = Array.from({ length: REWARD_EPOCHS_MAX }, (_, slot) => slot);
  const earnings = slots.flatMap((slot): readonly Earning[] => {
    const earning = read(EARNINGS, earningId(did, slot));
    if (earning === undefined) return [];
    const stored = read(EPOCHS, epochSlot(slot));
    const pool = stored?.epoch === earning.epoch ? stored : undefined;
    const reward = earning.paid ?? (pool === undefined ? 0n : rewardFor(pool, earning));
    return [{ ...earning, pool, reward }];
  });
  return earnings.toSorted((a, b) => b.epoch - a.epoch);
}
