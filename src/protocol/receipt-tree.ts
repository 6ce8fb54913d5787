/**
 * The receipts of one channel lane as an append-only Merkle-sum tree: leaf index = receipt sequence, every node
 * commits to the sum below it, so leaving a receipt out or altering one is a single proof. The tree is a row of
 * perfect subtrees (a Merkle mountain range) whose peaks are folded from the right; appending costs O(log n)
 * hashes and the state between appends is the peaks.
 */
import { concat, u64be, utf8 } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import type { Hash } from './ids.ts';
import { bool, bytes, GRAINS_MAX, grains, list, record, type Schema, uint } from './schema.ts';
import type { Suite } from './suite.ts';

const LEAF = utf8('sahara/1/receipt-leaf');
const NODE = utf8('sahara/1/receipt-node');
const PEAKS_MAX = 53;

/** A node: a hash and the sum of the amounts below it, in grains. */
export interface SumNode {
  readonly hash: Hash;
  readonly sum: bigint;
}

/** All that must be kept to append: how many leaves there are, and the peaks from the largest to the smallest. */
export interface ReceiptTree {
  readonly count: number;
  readonly peaks: readonly SumNode[];
}

const sumNode: Schema<SumNode> = record('sum-node', { hash: bytes(32), sum: grains });

/** The stored form of a tree's state. */
export const receiptTree: Schema<ReceiptTree> = record('receipt-tree', {
  count: uint(),
  peaks: list(sumNode, PEAKS_MAX),
});

/** A tree without receipts. */
export const EMPTY_TREE: ReceiptTree = { count: 0, peaks: [] };

/** The leaf of a receipt: its payload's hash and its amount. */
export function receiptLeaf(suite: Suite, payload: Uint8Array, amount: bigint): SumNode {
  return receiptLeafOf(suite, suite.sha256(payload), amount);
}

/** The leaf of a receipt of which only the payload's hash is known. */
export function receiptLeafOf(suite: Suite, payloadHash: Hash, amount: bigint): SumNode {
  return { hash: suite.sha256(LEAF, u64be(amount), payloadHash), sum: amount };
}

function join(suite: Suite, left: SumNode, right: SumNode): SumNode {
  invariant(left.sum + right.sum <= GRAINS_MAX, 'the sum of receipts stays in range');
  const sums = concat(u64be(left.sum), u64be(right.sum));
  return { hash: suite.sha256(NODE, sums, left.hash, right.hash), sum: left.sum + right.sum };
}

/** `tree` with one more leaf. */
export function appendLeaf(suite: Suite, tree: ReceiptTree, leaf: SumNode): ReceiptTree {
  const peaks = [...tree.peaks];
  let node = leaf;
  for (let size = tree.count; size % 2 === 1; size = (size - 1) / 2) {
    node = join(suite, peaks.pop() as SumNode, node);
  }
  peaks.push(node);
  return { count: tree.count + 1, peaks };
}

/** Root hash and total of a tree; zeros for an empty one. */
export function treeRoot(suite: Suite, tree: ReceiptTree): SumNode {
  let root: SumNode | undefined;
  for (let i = tree.peaks.length - 1; i >= 0; i--) {
    const peak = tree.peaks[i] as SumNode;
    root = root === undefined ? peak : join(suite, peak, root);
  }
  return root ?? { hash: new Uint8Array(32), sum: 0n };
}

/** One step from a leaf to the root: the sibling and whether it stands on the left. */
export interface SumStep {
  readonly left: boolean;
  readonly hash: Hash;
  readonly sum: bigint;
}

/** The way from leaf `index` to the root of a tree of `count` leaves. */
export interface ReceiptPath {
  readonly index: number;
  readonly count: number;
  readonly steps: readonly SumStep[];
}

/** The wire form of a receipt path. */
export const receiptPath: Schema<ReceiptPath> = record('receipt-path', {
  index: uint(),
  count: uint(),
  steps: list(record('sum-step', { left: bool, hash: bytes(32), sum: grains }), 2 * PEAKS_MAX),
});

/** The path of leaf `index` among all `leaves` of the tree. */
export function receiptPathOf(suite: Suite, leaves: readonly SumNode[], index: number): ReceiptPath {
  invariant(Number.isInteger(index) && index >= 0 && index < leaves.length, 'a leaf of the tree');
  const mountains = peaksWithSpans(suite, leaves);
  const at = mountains.findIndex(({ from, to }) => index >= from && index < to);
  const { from, to } = mountains[at] as { from: number; to: number };
  const steps: SumStep[] = [];
  climb(suite, leaves.slice(from, to), index - from, steps);
  const right = mountains.slice(at + 1).map(({ peak }) => peak);
  if (right.length > 0) steps.push({ left: false, ...treeRoot(suite, { count: 0, peaks: right }) });
  for (let i = at - 1; i >= 0; i--) steps.push({ left: true, ...(mountains[i] as { peak: SumNode }).peak });
  return { index, count: leaves.length, steps };
}

function peaksWithSpans(
  suite: Suite,
  leaves: readonly SumNode[],
): { from: number; to: number; peak: SumNode }[] {
  const spans: { from: number; to: number; peak: SumNode }[] = [];
  let from = 0;
  for (let size = 2 ** 31; size >= 1; size /= 2) {
    if (leaves.length - from < size) continue;
    spans.push({ from, to: from + size, peak: climb(suite, leaves.slice(from, from + size), 0, []) });
    from += size;
  }
  return spans;
}

function climb(suite: Suite, leaves: readonly SumNode[], index: number, steps: SumStep[]): SumNode {
  let level = leaves;
  for (let at = index; level.length > 1; at >>= 1) {
    const sibling = level[at ^ 1] as SumNode;
    steps.push({ left: (at & 1) === 1, ...sibling });
    const above: SumNode[] = [];
    for (let i = 0; i < level.length; i += 2) {
      above.push(join(suite, level[i] as SumNode, level[i + 1] as SumNode));
    }
    level = above;
  }
  return level[0] as SumNode;
}

/**
 * The root that a leaf and its path lead to, or `undefined` when the sides do not fit the index and count or the sum runs over: a
 * path proves not only that a receipt is in the tree but at which sequence.
 */
export function receiptRootFrom(suite: Suite, leaf: SumNode, path: ReceiptPath): SumNode | undefined {
  const sides = expectedSides(path.index, path.count);
  if (sides === undefined || sides.length !== path.steps.length) return undefined;
  let node = leaf;
  for (let i = 0; i < sides.length; i++) {
    const step = path.steps[i] as SumStep;
    if (step.left !== sides[i] || node.sum + step.sum > GRAINS_MAX) return undefined;
    node = step.left ? join(suite, step, node) : join(suite, node, step);
  }
  return node;
}

function expectedSides(index: number, count: number): readonly boolean[] | undefined {
  if (index >= count) return undefined;
  const sides: boolean[] = [];
  let from = 0;
  let before = 0;
  for (let size = 2 ** 52; size >= 1; size /= 2) {
    if (count - from < size) continue;
    if (index >= from + size) {
      from += size;
      before++;
      continue;
    }
    for (let at = index - from, span = size; span > 1; at = Math.floor(at / 2), span /= 2) {
      sides.push(at % 2 === 1);
    }
    if (from + size < count) sides.push(false);
    for (let i = 0; i < before; i++) sides.push(true);
    return sides;
  }
  return undefined;
}
