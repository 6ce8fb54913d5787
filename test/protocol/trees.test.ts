import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { merklePathOf, merkleRoot, merkleRootFrom } from '../../src/protocol/merkle.ts';
import {
  appendLeaf,
  EMPTY_TREE,
  type ReceiptTree,
  receiptLeaf,
  receiptPathOf,
  receiptRootFrom,
  receiptTree,
  type SumNode,
  treeRoot,
} from '../../src/protocol/receipt-tree.ts';
import { GRAINS_MAX } from '../../src/protocol/schema.ts';
import { suite } from './sample.ts';

const leavesOf = (amounts: readonly bigint[]): SumNode[] =>
  amounts.map((amount, i) => receiptLeaf(suite, utf8(`receipt ${i}`), amount));
const grow = (leaves: readonly SumNode[]): ReceiptTree =>
  leaves.reduce((tree, leaf) => appendLeaf(suite, tree, leaf), EMPTY_TREE);
const amounts = fc.array(fc.bigInt({ min: 0n, max: 10n ** 12n }), { minLength: 1, maxLength: 70 });

/** The root by the words of RCPT-11: perfect subtrees, joined from the right. */
function rootByWords(leaves: readonly SumNode[]): SumNode {
  const size = 2 ** Math.floor(Math.log2(leaves.length));
  const join = (left: SumNode, right: SumNode): SumNode => {
    const tree = grow([left, right]);
    return treeRoot(suite, tree);
  };
  if (leaves.length === 1) return leaves[0] as SumNode;
  if (size === leaves.length) {
    return join(rootByWords(leaves.slice(0, size / 2)), rootByWords(leaves.slice(size / 2)));
  }
  return join(rootByWords(leaves.slice(0, size)), rootByWords(leaves.slice(size)));
}

describe('a receipt tree', () => {
  it('appends to the root that its definition gives (RCPT-10, RCPT-11)', () => {
    fc.assert(
      fc.property(amounts, (values) => {
        const leaves = leavesOf(values);
        const root = treeRoot(suite, grow(leaves));
        expect(toHex(root.hash)).toBe(toHex(rootByWords(leaves).hash));
        expect(root.sum).toBe(values.reduce((sum, value) => sum + value, 0n));
      }),
      { numRuns: 40 },
    );
  });

  it('proves each receipt at its place and at no other (RCPT-12)', () => {
    fc.assert(
      fc.property(amounts, fc.nat(), (values, pick) => {
        const leaves = leavesOf(values);
        const index = pick % leaves.length;
        const root = treeRoot(suite, grow(leaves));
        const path = receiptPathOf(suite, leaves, index);
        const leaf = leaves[index] as SumNode;
        expect(receiptRootFrom(suite, leaf, path)).toEqual(root);
        for (let other = 0; other < leaves.length; other++) {
          const found = receiptRootFrom(suite, leaf, { ...path, index: other });
          expect(found !== undefined && toHex(found.hash) === toHex(root.hash), `${index}/${other}`).toBe(
            other === index,
          );
        }
      }),
      { numRuns: 40 },
    );
  });

  it('keeps between two receipts only its peaks', () => {
    const tree = grow(leavesOf(Array.from({ length: 13 }, (_, i) => BigInt(i))));
    expect(tree.peaks).toHaveLength(3);
    expect(receiptTree.decode(receiptTree.encode(tree))).toEqual(tree);
  });

  it('never sums beyond the greatest amount (RCPT-13)', () => {
    const full = grow(leavesOf([GRAINS_MAX]));
    expect(() => appendLeaf(suite, full, receiptLeaf(suite, utf8('more'), 1n))).toThrow('internal');
    const path = receiptPathOf(suite, leavesOf([1n, 2n]), 0);
    const steps = [{ left: false, hash: new Uint8Array(32), sum: GRAINS_MAX }];
    const leaf = receiptLeaf(suite, utf8('a'), 1n);
    expect(receiptRootFrom(suite, leaf, { ...path, steps })).toBeUndefined();
  });

  it('without receipts is zeros (RCPT-14)', () => {
    expect(treeRoot(suite, EMPTY_TREE)).toEqual({ hash: new Uint8Array(32), sum: 0n });
  });

  it('takes no path for a leaf that it does not have', () => {
    expect(() => receiptPathOf(suite, leavesOf([1n]), 1)).toThrow('internal');
    expect(() => receiptPathOf(suite, [], 0)).toThrow('internal');
  });
});

describe('a Merkle tree', () => {
  it('proves each leaf (RCPT-20, RCPT-21)', () => {
    const content = fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(content, fc.nat(), (leaves, pick) => {
        const index = pick % leaves.length;
        const path = merklePathOf(suite, leaves, index);
        const leaf = leaves[index] as Uint8Array;
        expect(merkleRootFrom(suite, leaf, path)).toEqual(merkleRoot(suite, leaves));
        const longer = { ...path, siblings: [...path.siblings, new Uint8Array(32)] };
        expect(merkleRootFrom(suite, leaf, longer)).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  it('does not take a node for a leaf (RCPT-20)', () => {
    const [a, b] = [utf8('a'), utf8('b')];
    const node = Uint8Array.from([
      ...suite.sha256(Uint8Array.of(0), a),
      ...suite.sha256(Uint8Array.of(0), b),
    ]);
    expect(merkleRoot(suite, [node])).not.toEqual(merkleRoot(suite, [a, b]));
  });

  it('of nothing is the hash of nothing, and has no paths (RCPT-22)', () => {
    expect(toHex(merkleRoot(suite, []))).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    expect(() => merklePathOf(suite, [], 0)).toThrow('internal');
    expect(() => merklePathOf(suite, [utf8('a')], -1)).toThrow('internal');
  });
});
