/** What a watchtower keeps on disk, and what it says of it. */
import { concat, u32be } from '../base/bytes.ts';
import { type ClaimBody, claimBody } from '../protocol/actions-channel.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { bytes, record, type Schema, uint } from '../protocol/schema.ts';

/** A lane that is watched, as it is kept. */
export interface WatchedRecord {
  readonly payer: PublicKey;
  readonly payee: PublicKey;
  /** Since when the lane is watched, milliseconds since 1970. */
  readonly sinceMs: number;
  readonly claim: ClaimBody;
}

/** The stored form of a watched lane. */
export const watchedRecord: Schema<WatchedRecord> = record('watched-lane', {
  payer: bytes(32),
  payee: bytes(32),
  sinceMs: uint(),
  claim: claimBody,
});

/** Where a watched lane is kept. */
export function watchedKey(channel: Hash, lane: number): Uint8Array {
  return concat(channel, u32be(lane));
}

/** A watched lane without its statements. */
export interface WatchedLane {
  readonly channel: Hash;
  readonly lane: number;
  readonly payer: PublicKey;
  readonly payee: PublicKey;
  readonly sinceMs: number;
  /** Of the voucher and of the charge, grains. */
  readonly ceiling: bigint;
  readonly total: bigint;
}
