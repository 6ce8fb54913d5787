/**
 * What is said while an answer is being paid for: the agent's checkpoint of what it has delivered, the payer's
 * voucher for more, and the request to go on with a call whose stream broke.
 */
import type { Hash, Id } from './ids.ts';
import { NETWORK_NAME_BYTES_MAX } from './limits.ts';
import { bytes, bytesUpTo, grains, optional, record, type Schema, text, u32 } from './schema.ts';
import { type Signed, signed } from './signing.ts';

/** The agent's statement on a call under way, signed under the type `checkpoint` by the agent's key. */
export interface Checkpoint {
  readonly network: string;
  readonly callId: Id;
  readonly channel: Hash;
  /** Counts the checkpoints of the call, from 0. */
  readonly sequence: number;
  /** How many frames were delivered. */
  readonly deliveries: number;
  /** End of the hash chain over them. */
  readonly chain: Hash;
  readonly inputUnits: number;
  readonly outputUnits: number;
  /** What the calls made below this one cost so far, grains. */
  readonly expenses: bigint;
  /** What the call costs so far, grains. */
  readonly amount: bigint;
}

/** The wire form of a checkpoint. */
export const checkpoint: Schema<Checkpoint> = record('checkpoint', {
  network: text(NETWORK_NAME_BYTES_MAX),
  callId: bytes(16),
  channel: bytes(32),
  sequence: u32,
  deliveries: u32,
  chain: bytes(32),
  inputUnits: u32,
  outputUnits: u32,
  expenses: grains,
  amount: grains,
});

/** More cover for a call under way. */
export interface CallVoucher {
  /** How much of the call is covered from now on, grains. */
  readonly cover: bigint;
  readonly voucher: Signed;
}

/** The wire form of more cover. */
export const callVoucher: Schema<CallVoucher> = record('call-voucher', { cover: grains, voucher: signed });

/** Goes on with a call: a signed envelope of type `resume` for the agent, its body, and a voucher for the rest. */
export interface CallResume {
  readonly envelope: Signed;
  /** A `ResumeRequest` in its wire form. */
  readonly body: Uint8Array;
  readonly voucher: Signed | undefined;
}

/** Largest body of a resumption, bytes. */
export const RESUME_BYTES_MAX = 4_096;

/** The wire form of a resumption. */
export const callResume: Schema<CallResume> = record('call-resume', {
  envelope: signed,
  body: bytesUpTo(RESUME_BYTES_MAX),
  voucher: optional(signed),
});

/** What a resumption's envelope covers. */
export interface ResumeRequest {
  readonly callId: Id;
  /** The peer that presents it; no other may. */
  readonly peer: string;
  /** How many frames the caller has. */
  readonly deliveries: number;
  /** End of the hash chain over them. */
  readonly chain: Hash;
  /** How much of the call is covered, grains; 0 for a free call. */
  readonly cover: bigint;
}

/** The wire form of what a resumption covers. */
export const resumeRequest: Schema<ResumeRequest> = record('resume-request', {
  callId: bytes(16),
  peer: text(128),
  deliveries: u32,
  chain: bytes(32),
  cover: grains,
});

/** A call made below this one, delivered so that what it cost can be checked. */
export interface CallChild {
  /** Its envelope, signed by its caller; the context says where it stands. */
  readonly envelope: Signed;
  readonly receipt: Signed;
  /** Absent for a free call. */
  readonly charge: Signed | undefined;
}

/** The wire form of a call below. */
export const callChild: Schema<CallChild> = record('call-child', {
  envelope: signed,
  receipt: signed,
  charge: optional(signed),
});
