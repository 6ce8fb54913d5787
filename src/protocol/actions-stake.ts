/** Actions on stakes: bonds behind roles, delegations to them, what offences cost, and rewards. */
import type { PublicKey } from './ids.ts';
import { PPM } from './limits.ts';
import { bytes, type Field, grains, oneOf, optional, record, type Schema, uint } from './schema.ts';
import { type Signed, signed } from './signing.ts';

/** Roles that a bond can stand behind. Their order is that of their numbers. */
export const BOND_ROLES = [
  'consumer',
  'provider',
  'developer',
  'host',
  'store',
  'verifier',
  'validator',
  'labeller',
  'reviewer',
  'steward',
] as const;

/** A role that a bond can stand behind. */
export type BondRole = (typeof BOND_ROLES)[number];

/** The wire form of a role: its place among them. */
export const bondRole: Field<BondRole> = oneOf(...BOND_ROLES);

/** Puts the sender's own money behind one of its roles. */
export interface BondAction {
  readonly type: 'bond';
  readonly role: BondRole;
  /** Grains; 0 only when a commission is named. */
  readonly amount: bigint;
  /** What the sender keeps of rewards before they are shared with those who delegate to it, parts per million. Absent: as it is. */
  readonly commission: number | undefined;
}

/** Begins to take the sender's own money back. */
export interface UnbondAction {
  readonly type: 'unbond';
  readonly role: BondRole;
  readonly amount: bigint;
}

/** Puts the sender's money behind somebody else's role. */
export interface DelegateAction {
  readonly type: 'delegate';
  readonly did: PublicKey;
  readonly role: BondRole;
  readonly amount: bigint;
}

/** Begins to take it back. */
export interface UndelegateAction {
  readonly type: 'undelegate';
  readonly did: PublicKey;
  readonly role: BondRole;
  readonly amount: bigint;
}

/** Pays an owner what it took back of a stake and what is due by now; anyone may. */
export interface ReleaseBondAction {
  readonly type: 'release-bond';
  readonly did: PublicKey;
  readonly role: BondRole;
  /** Whose money: `did` itself, or who delegated. */
  readonly owner: PublicKey;
}

/** Proves that a proposer signed two different headers of one height. */
export interface ReportDoubleSigningAction {
  readonly type: 'report-double-signing';
  readonly first: Signed;
  readonly second: Signed;
}

/** Pays out what a provider earned in an epoch; anyone may. */
export interface CollectRewardAction {
  readonly type: 'collect-reward';
  readonly epoch: number;
  readonly did: PublicKey;
}

/** Every action on stakes. */
export type StakeAction =
  | BondAction
  | UnbondAction
  | DelegateAction
  | UndelegateAction
  | ReleaseBondAction
  | ReportDoubleSigningAction
  | CollectRewardAction;

/** Two headers, as they are reported; a file of evidence holds this record. */
export const twoHeaders: Schema<Omit<ReportDoubleSigningAction, 'type'>> = record('report-double-signing', {
  first: signed,
  second: signed,
});

/** The wire forms of these actions with their numbers. */
export const STAKE_ACTIONS: {
  readonly bond: readonly [40, Schema<Omit<BondAction, 'type'>>];
  readonly unbond: readonly [41, Schema<Omit<UnbondAction, 'type'>>];
  readonly delegate: readonly [42, Schema<Omit<DelegateAction, 'type'>>];
  readonly undelegate: readonly [43, Schema<Omit<UndelegateAction, 'type'>>];
  readonly 'release-bond': readonly [44, Schema<Omit<ReleaseBondAction, 'type'>>];
  readonly 'report-double-signing': readonly [45, Schema<Omit<ReportDoubleSigningAction, 'type'>>];
  readonly 'collect-reward': readonly [46, Schema<Omit<CollectRewardAction, 'type'>>];
} = {
  bond: [40, record('bond', { role: bondRole, amount: grains, commission: optional(uint(PPM)) })],
  unbond: [41, record('unbond', { role: bondRole, amount: grains })],
  delegate: [42, record('delegate', { did: bytes(32), role: bondRole, amount: grains })],
  undelegate: [43, record('undelegate', { did: bytes(32), role: bondRole, amount: grains })],
  'release-bond': [44, record('release-bond', { did: bytes(32), role: bondRole, owner: bytes(32) })],
  'report-double-signing': [45, twoHeaders],
  'collect-reward': [46, record('collect-reward', { epoch: uint(), did: bytes(32) })],
};
