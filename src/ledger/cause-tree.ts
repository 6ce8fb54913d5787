/**
 * The tree over the claims of an earning, grown leaf by leaf: only the roots of its whole subtrees are kept, the
 * largest first, one for each bit of the count. Its root is `merkleRoot` of all leaves, so that a path of
 * `merklePathOf` proves any of them.
 */
import type { Hash } from '../protocol/ids.ts';
import { merkleNode, merkleRoot } from '../protocol/merkle.ts';
import type { Suite } from '../protocol/suite.ts';

/** The peaks after one more leaf behind `count` others. */
export function appendLeaf(
  suite: Suite,
  peaks: readonly Hash[],
  count: number,
  leaf: Uint8Array,
): readonly Hash[] {
  let top = merkleRoot(suite, [leaf]);
  const grown = [...peaks];
  for (let rest = count; rest % 2 === 1; rest = Math.floor(rest / 2)) {
    // A bit of the count that is set has its peak.
    top = merkleNode(suite, grown.pop() as Hash, top);
  }
  return [...grown, top];
}

/** The root of the tree whose peaks these are; of no leaves the hash of nothing. */
export function rootOfPeaks(suite: Suite, peaks: readonly Hash[]): Hash {
  const last = peaks.at(-1);
  if (last === undefined) return merkleRoot(suite, []);
  return peaks.slice(0, -1).reduceRight((root, peak) => merkleNode(suite, peak, root), last);
}
