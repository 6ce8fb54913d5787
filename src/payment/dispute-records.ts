/** What a payer's watch keeps of a lane: claims that it could not explain yet, and the case that it has against the payee. */
import { concat, u32be } from '../base/bytes.ts';
import { type Evidence, evidence } from '../protocol/evidence-channel.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { bytes, grains, list, oneOf, optional, record, type Schema, text, uint } from '../protocol/schema.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import { UNEXPLAINED_CLAIMS_MAX } from './limits.ts';

/**
 * How a case stands. `open`: evidence is kept, the ledger has not decided. `won`: the ledger took it. `frozen`: somebody
 * else had the lane frozen as low. `worthless`: there is nothing to get back or to keep. `refused`: the ledger does not
 * take it.
 */
export const CASE_STATES = ['open', 'won', 'frozen', 'worthless', 'refused'] as const;

/** One of them. */
export type CaseState = (typeof CASE_STATES)[number];

/** Evidence against a payee and what became of it. */
export interface Case {
  readonly evidence: Evidence;
  /** The highest total of the lane that can still be true, grains. */
  readonly total: bigint;
  /** When it was found, milliseconds since 1970. */
  readonly foundAtMs: number;
  readonly state: CaseState;
  /** The signed transaction, once there is one. */
  readonly transaction: Signed | undefined;
  /** Of the block that took it; 0 while none has. */
  readonly height: number;
  /** What it cost the payee's stake, and what the payer got back for the lane so far, grains. */
  readonly taken: bigint;
  readonly returned: bigint;
  /** Why the ledger refused it. */
  readonly reason: string | undefined;
}

const caseRecord: Schema<Case> = record('case', {
  evidence,
  total: grains,
  foundAtMs: uint(),
  state: oneOf(...CASE_STATES),
  transaction: optional(signed),
  height: uint(),
  taken: grains,
  returned: grains,
  reason: optional(text(256)),
});

/** A lane as the watch keeps it. */
export interface DisputedLane {
  readonly payee: PublicKey;
  /** Charges that were claimed and that nothing here explains. */
  readonly unexplained: readonly Signed[];
  readonly case: Case | undefined;
}

/** The stored form. */
export const disputedLane: Schema<DisputedLane> = record('disputed-lane', {
  payee: bytes(32),
  unexplained: list(signed, UNEXPLAINED_CLAIMS_MAX),
  case: optional(caseRecord),
});

/** Where a lane is kept. */
export function disputedKey(channel: Hash, lane: number): Uint8Array {
  return concat(channel, u32be(lane));
}
