/**
 * How the ledger's state tree hashes, and what proves a record of it: a Jellyfish Merkle tree with SHA-256, as the
 * reference implementation (the Rust crate `jmt`, `Sha256Jmt`) has it. Key and value enter as their hashes; an empty
 * subtree is a fixed placeholder, a subtree with one key is that key's leaf, any other is the hash of its two halves.
 */
import { equalBytes, utf8 } from '../base/bytes.ts';
import type { Hash } from './ids.ts';
import { bytes, list, optional, record, type Schema } from './schema.ts';
import type { Suite } from './suite.ts';

const LEAF = utf8('JMT::LeafNode');
// The reference implementation's spelling.
const INNER = utf8('JMT::IntrnalNode');

/** Hash of a subtree without keys, and root of an empty state. */
export const PLACEHOLDER: Hash = utf8('SPARSE_MERKLE_PLACEHOLDER_HASH__');

/** Levels of the tree: one per bit of a key's hash. */
const TREE_DEPTH_MAX = 256;

/** Hash of a leaf. */
export function leafHash(suite: Suite, keyHash: Hash, valueHash: Hash): Hash {
  return suite.sha256(LEAF, keyHash, valueHash);
}

/** Hash of a node over its halves. */
export function innerHash(suite: Suite, left: Hash, right: Hash): Hash {
  return suite.sha256(INNER, left, right);
}

/** Proves what the state holds under one key, or that it holds nothing. */
export interface StateProof {
  /** The leaf at the end of the key's path: the key's own, another's that stands in its place, or none. */
  readonly leaf: { readonly keyHash: Hash; readonly valueHash: Hash } | undefined;
  /** Siblings from the leaf up to the root. */
  readonly siblings: readonly Hash[];
}

/** The wire form of a state proof. */
export const stateProof: Schema<StateProof> = record('state-proof', {
  leaf: optional(record('tree-leaf', { keyHash: bytes(32), valueHash: bytes(32) })),
  siblings: list(bytes(32), TREE_DEPTH_MAX),
});

/** Bit `depth` of a key's hash, the most significant first. */
export function bitAt(keyHash: Hash, depth: number): 0 | 1 {
  return (((keyHash[depth >> 3] as number) >> (7 - (depth & 7))) & 1) === 1 ? 1 : 0;
}

/** Whether `proof` shows that the state of `root` holds `value` (or nothing, without one) under `key`. */
export function verifyStateProof(
  suite: Suite,
  root: Hash,
  entry: { readonly key: Uint8Array; readonly value: Uint8Array | undefined },
  proof: StateProof,
): boolean {
  const keyHash = suite.sha256(entry.key);
  const { leaf, siblings } = proof;
  if (siblings.length > TREE_DEPTH_MAX) return false;
  if (entry.value === undefined) {
    if (leaf && (equalBytes(leaf.keyHash, keyHash) || !sharesPath(leaf.keyHash, keyHash, siblings.length))) {
      return false;
    }
  } else if (!leaf || !equalBytes(leaf.keyHash, keyHash)) {
    return false;
  } else if (!equalBytes(leaf.valueHash, suite.sha256(entry.value))) {
    return false;
  }
  let hash = leaf === undefined ? PLACEHOLDER : leafHash(suite, leaf.keyHash, leaf.valueHash);
  for (const [i, sibling] of siblings.entries()) {
    const right = bitAt(keyHash, siblings.length - 1 - i) === 1;
    hash = right ? innerHash(suite, sibling, hash) : innerHash(suite, hash, sibling);
  }
  return equalBytes(hash, root);
}

function sharesPath(a: Hash, b: Hash, depth: number): boolean {
  for (let i = 0; i < depth; i++) if (bitAt(a, i) !== bitAt(b, i)) return false;
  return true;
}
