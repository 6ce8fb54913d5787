/**
 * A binary Merkle tree over a list, after RFC 6962: leaves and nodes are hashed under different prefixes, an odd
 * last node is promoted, the root of nothing is the hash of nothing. Used for transactions and results of a block
 * and for the chunks of a dataset.
 */
import { invariant } from '../base/errors.ts';
import type { Hash } from './ids.ts';
import { bytes, list, record, type Schema, u32 } from './schema.ts';
import type { Suite } from './suite.ts';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const DEPTH_MAX = 32;

/** Where one leaf stands in a tree. */
export interface MerklePath {
  /** The leaf's position, from 0. */
  readonly index: number;
  /** How many leaves the tree has. */
  readonly count: number;
  /** Siblings from the leaf up; levels where the node was promoted have none. */
  readonly siblings: readonly Hash[];
}

/** The wire form of a path. */
export const merklePath: Schema<MerklePath> = record('merkle-path', {
  index: u32,
  count: u32,
  siblings: list(bytes(32), DEPTH_MAX),
});

/** The root over `leaves` (their content, not their hashes). */
export function merkleRoot(suite: Suite, leaves: readonly Uint8Array[]): Hash {
  let level = leaves.map((leaf) => suite.sha256(LEAF, leaf));
  if (level.length === 0) return suite.sha256();
  while (level.length > 1) level = parents(suite, level);
  return level[0] as Hash;
}

/** The path of leaf `index`. */
export function merklePathOf(suite: Suite, leaves: readonly Uint8Array[], index: number): MerklePath {
  invariant(Number.isInteger(index) && index >= 0 && index < leaves.length, 'a leaf of the tree');
  const siblings: Hash[] = [];
  let level = leaves.map((leaf) => suite.sha256(LEAF, leaf));
  for (let at = index; level.length > 1; at >>= 1) {
    const sibling = level[at ^ 1];
    if (sibling !== undefined) siblings.push(sibling);
    level = parents(suite, level);
  }
  return { index, count: leaves.length, siblings };
}

/** The root that `leaf` and its path lead to, or `undefined` when the path cannot be one. */
export function merkleRootFrom(suite: Suite, leaf: Uint8Array, path: MerklePath): Hash | undefined {
  if (path.index >= path.count) return undefined;
  let hash = suite.sha256(LEAF, leaf);
  let used = 0;
  // Index and count may use all 32 bits, so no signed bit operations here.
  for (let at = path.index, count = path.count; count > 1; at = at >>> 1, count = Math.ceil(count / 2)) {
    const right = at % 2 === 1;
    if (!right && at + 1 >= count) continue;
    const sibling = path.siblings[used++];
    if (sibling === undefined) return undefined;
    hash = right ? suite.sha256(NODE, sibling, hash) : suite.sha256(NODE, hash, sibling);
  }
  return used === path.siblings.length ? hash : undefined;
}

/** The root over two subtrees, given theirs. */
export function merkleNode(suite: Suite, left: Hash, right: Hash): Hash {
  return suite.sha256(NODE, left, right);
}

function parents(suite: Suite, level: readonly Hash[]): Hash[] {
  const above: Hash[] = [];
  for (let i = 0; i < level.length; i += 2) {
    const left = level[i] as Hash;
    const right = level[i + 1];
    above.push(right === undefined ? left : merkleNode(suite, left, right));
  }
  return above;
}
