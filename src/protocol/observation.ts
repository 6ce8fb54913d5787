/** What a payer says about a call that it made, so that others need not believe what an agent says of itself. */
import type { PublicKey } from './ids.ts';
import { NETWORK_NAME_BYTES_MAX } from './limits.ts';
import { bytes, record, type Schema, text, u32, uint } from './schema.ts';
import { type Signed, signed } from './signing.ts';

/**
 * One call as its payer saw it, signed under the type `observation` by the payer's key. The agent's receipt in it
 * proves that there was a call between the two; how long it took only the payer knows.
 */
export interface Observation {
  readonly version: number;
  readonly network: string;
  readonly payer: PublicKey;
  /** The peer that answered. */
  readonly peerId: string;
  /** The agent's receipt: says agent, price, units, how it ended and when. */
  readonly receipt: Signed;
  /** From the question to the first part of the answer, milliseconds. */
  readonly firstMs: number;
  /** From the question to the ending, milliseconds. */
  readonly totalMs: number;
  /** Most calls that were said to be before this one while it waited; 0: it did not wait. */
  readonly ahead: number;
  readonly issuedAtMs: number;
}

/** The wire form of an observation. */
export const observation: Schema<Observation> = record('observation', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  payer: bytes(32),
  peerId: text(64),
  receipt: signed,
  firstMs: u32,
  totalMs: u32,
  ahead: u32,
  issuedAtMs: uint(),
});
