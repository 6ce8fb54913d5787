/** What the state holds of the rules themselves. */
import type { PublicKey } from '../protocol/ids.ts';
import { bytes, list, optional, record, uint } from '../protocol/schema.ts';
import { APPROVALS_MAX } from './limits.ts';
import type { Table } from './records.ts';

const VERSION_MAX = 65_535;

/** An upgrade that was decided: from this height on, by this version. */
export interface UpgradePlan {
  readonly version: number;
  readonly height: number;
}

/** What somebody with a vote wants. */
export interface Approval extends UpgradePlan {
  readonly did: PublicKey;
}

/** Which rules hold, what is decided, and who wants what. */
export interface RulesRecord {
  /** Of the last block. */
  readonly version: number;
  readonly plan: UpgradePlan | undefined;
  readonly approvals: readonly Approval[];
}

/** The rules, under the empty key; absent while everything is as a network begins. */
export const RULES: Table<RulesRecord> = {
  name: 'rules',
  tag: 0x50,
  schema: record('rules', {
    version: uint(VERSION_MAX),
    plan: optional(record('upgrade-plan', { version: uint(VERSION_MAX), height: uint() })),
    approvals: list(
      record('upgrade-approval', { did: bytes(32), version: uint(VERSION_MAX), height: uint() }),
      APPROVALS_MAX,
    ),
  }),
  held: () => 0n,
};
