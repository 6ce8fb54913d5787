/**
 * Whether a signature is a voter's on a vote of consensus. Here, and nowhere else, what counts is what CometBFT counts: it
 * checks by ZIP-215, which multiplies by the cofactor and takes encodings that are not canonical. A stricter verdict would
 * leave a block without a proof in which a proposer put a vote that only CometBFT takes. Everything else that is signed
 * stays with the strict rule, where there is nobody whose verdict has to be matched.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import type { Suite } from './suite.ts';

/** By which rule a vote's signature holds: the strict one, which is fast, or that of CometBFT alone. */
export type VoteRule = 'strict' | 'cofactored';

/** A vote's signature with what it has to be over. */
export interface SignedVote {
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * By which rule a vote's signature holds; `undefined` for neither. What the strict rule takes the other takes too, so that
 * one, which costs twenty times as much, is asked only where the strict one says no.
 */
export function voteRule(
  suite: Pick<Suite, 'verify'>,
  { key, message, signature }: SignedVote,
): VoteRule | undefined {
  if (suite.verify(key, message, signature)) return 'strict';
  return holdsCofactored({ key, message, signature }) ? 'cofactored' : undefined;
}

/**
 * The verdict of ZIP-215: S is below L, key and R are points, in any encoding, and `8·S·B = 8·R + 8·k·A` with
 * `k = SHA-512(R || A || message) mod L` over the bytes as they came. False for anything malformed.
 */
export function holdsCofactored({ key, message, signature }: SignedVote): boolean {
  if (key.length !== 32 || signature.length !== 64) return false;
  return ed25519.verify(signature, message, key, { zip215: true });
}
