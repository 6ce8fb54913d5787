/**
 * A page holds four levels of the state tree: the sixteen nodes below one node, each empty, a leaf, or an inner
 * node with a page of its own. Pages are stored under the path of nibbles that leads to them and are replaced
 * whole; a page is never changed in place.
 */
import { SaharaError } from '../base/errors.ts';
import type { Hash } from '../protocol/ids.ts';
import type { Suite } from '../protocol/suite.ts';
import { innerHash, leafHash, PLACEHOLDER } from './tree-hash.ts';

const SLOTS = 16;
const HASH_BYTES = 32;

/** A node at the edge of a page. */
export type TreeNode =
  | { readonly kind: 'leaf'; readonly hash: Hash; readonly keyHash: Hash; readonly valueHash: Hash }
  | { readonly kind: 'inner'; readonly hash: Hash };

/** The sixteen nodes below one node. */
export type Page = readonly (TreeNode | undefined)[];

/** A page without nodes. */
export const EMPTY_PAGE: Page = new Array<TreeNode | undefined>(SLOTS).fill(undefined);

/** A leaf. */
export function leafNode(suite: Suite, keyHash: Hash, valueHash: Hash): TreeNode {
  return { kind: 'leaf', hash: leafHash(suite, keyHash, valueHash), keyHash, valueHash };
}

/** The node that a page amounts to: nothing, its only leaf, or an inner node. */
export function pageNode(suite: Suite, page: Page): TreeNode | undefined {
  return spanNode(suite, page, 0, SLOTS);
}

function spanNode(suite: Suite, page: Page, from: number, width: number): TreeNode | undefined {
  if (width === 1) return page[from];
  const left = spanNode(suite, page, from, width / 2);
  const right = spanNode(suite, page, from + width / 2, width / 2);
  return joined(suite, left, right);
}

/** The node over two halves; one of them alone stays the leaf that it is. */
function joined(suite: Suite, left: TreeNode | undefined, right: TreeNode | undefined): TreeNode | undefined {
  if (left === undefined && (right === undefined || right.kind === 'leaf')) return right;
  if (right === undefined && left?.kind === 'leaf') return left;
  return { kind: 'inner', hash: innerHash(suite, left?.hash ?? PLACEHOLDER, right?.hash ?? PLACEHOLDER) };
}

/** Where a path through a page leads. */
export interface PagePath {
  /**
   * Siblings passed on the way from the slot up to the page's node. Levels where the subtree is a single leaf do not
   * exist in the tree, so they have none.
   */
  readonly siblings: readonly Hash[];
  /** The leaf that stands where the path ends, if it ends inside this page at one. */
  readonly leaf: TreeNode | undefined;
}

/** Follows the path of slot `slot`. Each of the page's nodes is hashed once. */
export function pagePath(suite: Suite, page: Page, slot: number): PagePath {
  const siblings: Hash[] = [];
  let leaf: TreeNode | undefined = page[slot];
  let level: Page = page;
  for (let at = slot; level.length > 1; at >>= 1) {
    const other = level[at ^ 1];
    const above: (TreeNode | undefined)[] = [];
    for (let i = 0; i < level.length; i += 2) above.push(joined(suite, level[i], level[i + 1]));
    const both = above[at >> 1];
    if (both?.kind === 'inner') siblings.push(other?.hash ?? PLACEHOLDER);
    else leaf = both;
    level = above;
  }
  return { siblings, leaf: leaf?.kind === 'leaf' ? leaf : undefined };
}

/** Stored form: two bits per slot (0 empty, 1 leaf, 2 inner), then leaves as two hashes and inner nodes as one. */
export function encodePage(page: Page): Uint8Array {
  let size = 4;
  for (const node of page)
    size += node === undefined ? 0 : node.kind === 'leaf' ? 2 * HASH_BYTES : HASH_BYTES;
  const encoded = new Uint8Array(size);
  const view = new DataView(encoded.buffer);
  let kinds = 0;
  let at = 4;
  for (const [slot, node] of page.entries()) {
    if (node === undefined) continue;
    kinds += (node.kind === 'leaf' ? 1 : 2) * 4 ** slot;
    encoded.set(node.kind === 'leaf' ? node.keyHash : node.hash, at);
    at += HASH_BYTES;
    if (node.kind !== 'leaf') continue;
    encoded.set(node.valueHash, at);
    at += HASH_BYTES;
  }
  view.setUint32(0, kinds);
  return encoded;
}

/** The page of its stored form; `store-corrupt` for anything else. */
export function decodePage(suite: Suite, encoded: Uint8Array): Page {
  const corrupt = (): SaharaError => new SaharaError('store-corrupt', { reason: 'state tree page' });
  if (encoded.length < 4) throw corrupt();
  const kinds = new DataView(encoded.buffer, encoded.byteOffset, 4).getUint32(0);
  let at = 4;
  const next = (): Hash => {
    if (at + HASH_BYTES > encoded.length) throw corrupt();
    at += HASH_BYTES;
    return encoded.slice(at - HASH_BYTES, at);
  };
  const page: (TreeNode | undefined)[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    const kind = Math.floor(kinds / 4 ** slot) % 4;
    if (kind === 3) throw corrupt();
    if (kind === 0) page.push(undefined);
    else if (kind === 1) page.push(leafNode(suite, next(), next()));
    else page.push({ kind: 'inner', hash: next() });
  }
  if (at !== encoded.length) throw corrupt();
  return page;
}
