/** A challenge that only a peer which holds an agent's key can answer. */
import type { Hash, PublicKey } from './ids.ts';
import { NETWORK_NAME_BYTES_MAX } from './limits.ts';
import { bytes, record, type Schema, text, uint } from './schema.ts';

/** What a peer asks of another that is said to host an agent. */
export interface Probe {
  readonly agent: PublicKey;
  /** Random, never used twice. */
  readonly nonce: Hash;
}

/** The wire form of a probe. */
export const probe: Schema<Probe> = record('probe', { agent: bytes(32), nonce: bytes(32) });

/**
 * The answer to a probe, signed under the type `probe-answer` by the agent's key. It names both peers, so that
 * nobody passes another's answer on as its own.
 */
export interface ProbeAnswer {
  readonly version: number;
  readonly network: string;
  readonly agent: PublicKey;
  /** The peer that answers. */
  readonly host: string;
  /** The peer that asked. */
  readonly asker: string;
  readonly nonce: Hash;
}

/** The wire form of an answer to a probe. */
export const probeAnswer: Schema<ProbeAnswer> = record('probe-answer', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  agent: bytes(32),
  host: text(64),
  asker: text(64),
  nonce: bytes(32),
});
