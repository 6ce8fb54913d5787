/**
 * Proof of work of a stranger's call (`spec/calls.md` CALL-124 to CALL-127). Work is a number of 8 bytes for which a
 * hash over the agent, the envelope and the number begins with zero bits. The envelope names the call, its caller
 * and its time and is taken once, so work is fresh without a round trip, and is of no use for another call, another
 * agent or another network.
 */
import { concat } from '../base/bytes.ts';
import { domain, type Hash, type PublicKey } from './ids.ts';
import type { Suite } from './suite.ts';

/** Most zero bits that a host may ask for. */
export const WORK_BITS_MAX = 24;

/** Length of a proof of work, bytes. Of another length it is worth nothing. */
export const WORK_BYTES = 8;

/** What a proof of work is for. */
export interface WorkSubject {
  readonly network: string;
  /** The agent that is asked. */
  readonly agent: PublicKey;
  /** The envelope's canonical bytes, as they are signed. */
  readonly envelope: Uint8Array;
}

/** What stands before the number: the domain `work` of the network, the agent, SHA-256 of the envelope. */
export function workPrefix(suite: Suite, { network, agent, envelope }: WorkSubject): Uint8Array {
  return concat(domain(network, 'work'), agent, suite.sha256(envelope));
}

/** What `work` is worth for `subject`: zero bits that its hash begins with; 0 when it is missing or of another length. */
export function workBits(suite: Suite, subject: WorkSubject, work: Uint8Array | undefined): number {
  if (work === undefined || work.length !== WORK_BYTES) return 0;
  return zeroBits(suite.sha256(workPrefix(suite, subject), work));
}

/** Zero bits that `hash` begins with. */
export function zeroBits(hash: Hash): number {
  const at = hash.findIndex((byte) => byte !== 0);
  return at < 0 ? 8 * hash.length : 8 * at + Math.clz32(hash[at] as number) - 24;
}
