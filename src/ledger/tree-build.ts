/**
 * A tree over many records at once. Records come in the order of their keys, and the tree is in the order of their
 * hashes: taken as they come, every few thousand of them would touch, hash and write most pages again. So their hashes
 * are put down first, in the store, which brings them into order; then the tree grows from left to right, and each page
 * is written about once. What is in memory at a time does not depend on how many records there are.
 */
import { concat } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { Hash } from '../protocol/ids.ts';
import type { Suite } from '../protocol/suite.ts';
import { HASHED, PAGES } from './layout.ts';
import { createStateTree, type TreeLeaf, underPrefix } from './tree.ts';

/** Leaves that the tree takes in one step. */
const STEP_LEAVES = 4_096;
/** Pages that stay in memory: only those at the right edge are wanted again. */
const PAGES_CACHED_MAX = 256;

/** What a tree is built with. */
export interface BuildParts {
  readonly suite: Suite;
  readonly store: Store;
}

/** Puts down the hashes of records, to be written with them. */
export function hashedOperations(
  suite: Suite,
  records: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[],
): readonly StoreOperation[] {
  return records.map(({ key, value }) => ({
    type: 'put',
    key: concat(HASHED, suite.sha256(key)),
    value: suite.sha256(value),
  }));
}

/** Builds the tree over all hashes that were put down, which go with it; answers its root. Throws `cancelled`. */
export async function buildTree({ suite, store }: BuildParts, signal?: AbortSignal): Promise<Hash> {
  const tree = createStateTree(suite, (path) => store.getSync(concat(PAGES, path)), PAGES_CACHED_MAX);
  const grow = async (leaves: readonly TreeLeaf[]): Promise<void> => {
    if (signal?.aborted) throw new SaharaError('cancelled');
    const update = tree.updateLeaves(leaves);
    const done = leaves.map(({ keyHash }): StoreOperation => ({ type: 'del', key: concat(HASHED, keyHash) }));
    await store.batch([...underPrefix(PAGES, tree.operations(update)), ...done], { sync: true });
    tree.adopt(update);
  };
  let leaves: TreeLeaf[] = [];
  for await (const [key, valueHash] of store.entries({
    gte: HASHED,
    lt: Uint8Array.of((HASHED[0] ?? 0) + 1),
  })) {
    leaves.push({ keyHash: key.slice(HASHED.length), valueHash });
    if (leaves.length < STEP_LEAVES) continue;
    await grow(leaves);
    leaves = [];
  }
  await grow(leaves);
  return tree.root();
}
