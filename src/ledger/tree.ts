/**
 * The state tree: commits to the whole state with one hash and proves single entries. Only the present tree is
 * kept. An update reads the pages on the paths of what changed, gives new pages and the new root, and touches
 * nothing: the caller writes the pages with the block and then adopts the update.
 */
import { concat, equalBytes } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import { createRecent } from '../base/recent.ts';
import type { StoreOperation } from '../base/store.ts';
import type { Hash } from '../protocol/ids.ts';
import { PLACEHOLDER, type StateProof } from '../protocol/state-proof.ts';
import type { Suite } from '../protocol/suite.ts';
import { TREE_PAGES_CACHED_MAX } from './limits.ts';
import { nameOf } from './names.ts';
import type { StateChange } from './state.ts';
import {
  changedPage,
  decodePage,
  EMPTY_PAGE,
  encodePage,
  isInner,
  leafNode,
  nodeAt,
  type Page,
  pageNode,
  pagePath,
  type TreeNode,
} from './tree-page.ts';

/** Reads a stored page by its path: one byte per nibble. */
export type PageReader = (path: Uint8Array) => Uint8Array | undefined;

/** What an update gives. */
export interface TreeUpdate {
  readonly root: Hash;
  /** Pages by path; without a page the stored one is to be deleted. */
  readonly pages: ReadonlyMap<string, Page | undefined>;
}

/** The tree over a store of pages. */
export interface StateTree {
  /** The root of the tree as it is. */
  root(): Hash;
  /** The tree after `changes`, of which each key appears once. */
  update(changes: readonly StateChange[]): TreeUpdate;
  /** The same by the hashes of keys and values. */
  updateLeaves(leaves: readonly TreeLeaf[]): TreeUpdate;
  /** Store operations that make an update last; keys are paths. */
  operations(update: TreeUpdate): readonly StoreOperation[];
  /** Takes an update that was written. */
  adopt(update: TreeUpdate): void;
  /** Proves what stands under `key`. */
  prove(key: Uint8Array): StateProof;
}

/** A leaf that changes. */
export interface TreeLeaf {
  readonly keyHash: Hash;
  /** Absent: delete. */
  readonly valueHash: Hash | undefined;
}

/** A tree whose pages `read` finds; at most `pagesCachedMax` of them stay in memory. */
export function createStateTree(
  suite: Suite,
  read: PageReader,
  pagesCachedMax: number = TREE_PAGES_CACHED_MAX,
): StateTree {
  const cache = createRecent<Page>({ costMax: pagesCachedMax });

  const load = (path: string): Page => {
    const cached = cache.get(path);
    if (cached !== undefined) return cached;
    const stored = read(bytesOf(path));
    const page = stored === undefined ? EMPTY_PAGE : decodePage(suite, stored);
    cache.set(path, page);
    return page;
  };

  const updateLeaves: StateTree['updateLeaves'] = (leaves) => {
    const pages = new Map<string, Page | undefined>();
    const node = updatePage({ suite, load, pages }, '', leaves, true);
    return { root: node?.hash.slice() ?? PLACEHOLDER, pages };
  };

  return {
    root: () => pageNode(load(''))?.hash.slice() ?? PLACEHOLDER,
    update: (changes) =>
      updateLeaves(
        changes.map(({ key, value }) => ({
          keyHash: suite.sha256(key),
          valueHash: value === undefined ? undefined : suite.sha256(value),
        })),
      ),
    updateLeaves,
    operations: ({ pages }) =>
      [...pages].map(([path, page]) => {
        const key = bytesOf(path);
        return page === undefined ? { type: 'del', key } : { type: 'put', key, value: encodePage(page) };
      }),
    adopt({ pages }) {
      for (const [path, page] of pages) {
        if (page === undefined) cache.delete(path);
        else cache.set(path, page);
      }
    },
    prove: (key) => prove(load, suite.sha256(key)),
  };
}

interface Update {
  readonly suite: Suite;
  readonly load: (path: string) => Page;
  readonly pages: Map<string, Page | undefined>;
}

/** Applies `items`, all below `path`, to its page; `stored` says whether there may be one. Answers the new node. */
function updatePage(
  update: Update,
  path: string,
  items: readonly TreeLeaf[],
  stored: boolean,
): TreeNode | undefined {
  const before = stored ? update.load(path) : EMPTY_PAGE;
  const groups = new Map<number, TreeLeaf[]>();
  for (const item of items) {
    const slot = nibbleAt(item.keyHash, path.length);
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [item]);
    else group.push(item);
  }
  const nodes = new Map<number, TreeNode | undefined>();
  for (const [slot, group] of groups)
    nodes.set(slot, updateSlot(update, path + nibble(slot), nodeAt(before, slot), group));
  const page = changedPage(update.suite, before, nodes);
  const node = pageNode(page);
  // A page that amounts to one leaf moves up into its parent; the root's page has no parent.
  const gone = node === undefined || (node.kind === 'leaf' && path !== '');
  if (!gone) update.pages.set(path, page);
  else if (stored) update.pages.set(path, undefined);
  return node;
}

function updateSlot(
  update: Update,
  path: string,
  before: TreeNode | undefined,
  items: readonly TreeLeaf[],
): TreeNode | undefined {
  if (before?.kind === 'inner') return updatePage(update, path, items, true);
  const [only] = items;
  if (only?.valueHash && items.length === 1 && (!before || equalBytes(before.keyHash, only.keyHash))) {
    return leafNode(update.suite, only.keyHash, only.valueHash);
  }
  const live = new Map<string, { readonly keyHash: Hash; readonly valueHash: Hash }>();
  if (before !== undefined) live.set(nameOf(before.keyHash), before);
  for (const { keyHash, valueHash } of items) {
    if (valueHash === undefined) live.delete(nameOf(keyHash));
    else live.set(nameOf(keyHash), { keyHash, valueHash });
  }
  const leaves = [...live.values()];
  const [first] = leaves;
  if (leaves.length > 1) return updatePage(update, path, leaves, false);
  return first && leafNode(update.suite, first.keyHash, first.valueHash);
}

function prove(load: (path: string) => Page, keyHash: Hash): StateProof {
  const visited: (readonly [Page, number])[] = [];
  for (let path = ''; ; ) {
    invariant(path.length < 64, 'a path ends within the bits of a hash');
    const page = load(path);
    const slot = nibbleAt(keyHash, path.length);
    visited.push([page, slot]);
    if (!isInner(page, slot)) break;
    path += nibble(slot);
  }
  const paths = visited.reverse().map(([page, slot]) => pagePath(page, slot));
  return { leaf: paths[0]?.leaf, siblings: paths.flatMap(({ siblings }) => siblings) };
}

function nibbleAt(keyHash: Hash, depth: number): number {
  const byte = keyHash[depth >> 1] as number;
  return depth % 2 === 0 ? byte >> 4 : byte & 15;
}

// In memory a path is a text with one character per nibble.
function nibble(slot: number): string {
  return String.fromCharCode(slot);
}

function bytesOf(path: string): Uint8Array {
  const bytes = new Uint8Array(path.length);
  for (let i = 0; i < path.length; i++) bytes[i] = path.charCodeAt(i);
  return bytes;
}

/** The store's operations under a prefix. */
export function underPrefix(
  prefix: Uint8Array,
  operations: readonly StoreOperation[],
): readonly StoreOperation[] {
  return operations.map((operation) => {
    const key = concat(prefix, operation.key);
    return operation.type === 'put' ? { type: 'put', key, value: operation.value } : { type: 'del', key };
  });
}
