import { toHex, utf8 } from '../../src/base/bytes.ts';
import { type MerklePath, merklePath, merklePathOf, merkleRoot } from '../../src/protocol/merkle.ts';
import {
  appendLeaf,
  EMPTY_TREE,
  type ReceiptPath,
  receiptLeaf,
  receiptPath,
  receiptPathOf,
  treeRoot,
} from '../../src/protocol/receipt-tree.ts';
import { filled, suite } from '../../test/protocol/sample.ts';
import type { Vectors } from './file.ts';

interface MerkleCase {
  readonly name: string;
  readonly leaf: string;
  /** The path in its wire form. */
  readonly path: string;
  readonly root: string;
}

/** Binary Merkle trees: leaves with their paths. */
export function merkleVectors(): Vectors<MerkleCase, MerkleCase> {
  const valid: MerkleCase[] = [];
  const invalid: MerkleCase[] = [];
  const entry = (name: string, leaf: Uint8Array, path: MerklePath, root: Uint8Array): MerkleCase => ({
    name,
    leaf: toHex(leaf),
    path: toHex(merklePath.encode(path)),
    root: toHex(root),
  });
  for (const count of [1, 2, 3, 5, 8]) {
    const leaves = Array.from({ length: count }, (_, i) => utf8(`leaf ${i}`));
    const root = merkleRoot(suite, leaves);
    leaves.forEach((leaf, i) => {
      valid.push(entry(`leaf ${i} of ${count}`, leaf, merklePathOf(suite, leaves, i), root));
    });
  }
  const leaves = Array.from({ length: 5 }, (_, i) => utf8(`leaf ${i}`));
  const root = merkleRoot(suite, leaves);
  const path = merklePathOf(suite, leaves, 2);
  const first = utf8('leaf 2');
  const bad = (name: string, change: Partial<MerklePath>, leaf: Uint8Array = first): void => {
    invalid.push(entry(name, leaf, { ...path, ...change }, root));
  };
  bad('another leaf', {}, utf8('leaf 3'));
  bad('another index', { index: 3 });
  bad('an index past the end', { index: 5 });
  bad('another count', { count: 4 });
  bad('no leaves', { index: 0, count: 0 });
  bad('a sibling too few', { siblings: path.siblings.slice(1) });
  bad('a sibling too many', { siblings: [...path.siblings, filled(0)] });
  bad('a changed sibling', { siblings: path.siblings.map((hash) => hash.map((byte) => byte ^ 1)) });
  bad('the greatest index', { index: 0xffff_fffe, count: 0xffff_ffff });
  return {
    about: 'Binary Merkle trees (RCPT-20 to RCPT-22): `leaf` with `path` leads to `root`, or must not.',
    given: { rootOfNothing: toHex(merkleRoot(suite, [])) },
    valid,
    invalid,
  };
}

interface SumCase {
  readonly name: string;
  readonly payload: string;
  readonly amount: bigint;
  readonly path: string;
  readonly root: string;
  readonly sum: bigint;
}

/** Receipt trees: receipts with their paths, roots and sums. */
export function receiptTreeVectors(): Vectors<SumCase, SumCase> {
  const valid: SumCase[] = [];
  const invalid: SumCase[] = [];
  const amounts = [100n, 0n, 7n, 10n ** 9n, 3n, 1n, 99n];
  const payload = (i: number): Uint8Array => utf8(`receipt ${i}`);
  const leaves = amounts.map((amount, i) => receiptLeaf(suite, payload(i), amount));
  for (const count of [1, 2, 3, 7]) {
    const tree = leaves.slice(0, count).reduce((grown, leaf) => appendLeaf(suite, grown, leaf), EMPTY_TREE);
    const root = treeRoot(suite, tree);
    for (let i = 0; i < count; i++) {
      valid.push({
        name: `receipt ${i} of ${count}`,
        payload: toHex(payload(i)),
        amount: amounts[i] ?? 0n,
        path: toHex(receiptPath.encode(receiptPathOf(suite, leaves.slice(0, count), i))),
        root: toHex(root.hash),
        sum: root.sum,
      });
    }
  }
  const sound = valid.at(-3);
  const path = receiptPathOf(suite, leaves, 4);
  const bad = (name: string, change: Partial<ReceiptPath>, more: Partial<SumCase> = {}): void => {
    if (sound === undefined) return;
    invalid.push({ ...sound, name, path: toHex(receiptPath.encode({ ...path, ...change })), ...more });
  };
  const steps = (change: (step: ReceiptPath['steps'][number]) => ReceiptPath['steps'][number]) => ({
    steps: path.steps.map((step, i) => (i === 0 ? change(step) : step)),
  });
  bad('another receipt', {}, { payload: toHex(payload(5)) });
  bad('another amount', {}, { amount: 4n });
  bad('another place', { index: 5 });
  bad('a place past the end', { index: 7 });
  bad('another number of receipts', { count: 6 });
  bad('a step too few', { steps: path.steps.slice(1) });
  bad(
    'another side',
    steps((step) => ({ ...step, left: !step.left })),
  );
  bad(
    'another sum below a step',
    steps((step) => ({ ...step, sum: step.sum + 1n })),
  );
  bad(
    'a sum that runs over',
    steps((step) => ({ ...step, sum: 10n ** 18n })),
  );
  return {
    about:
      'Receipt trees (RCPT-10 to RCPT-14): the receipt `payload` of `amount` with `path` leads to `root` and `sum`, or must not.',
    valid,
    invalid,
  };
}
