/**
 * A page holds four levels of the state tree: the sixteen nodes below one node, each empty, a leaf, or an inner
 * node with a page of its own, and the fifteen nodes above them. Pages are stored under the path of nibbles that
 * leads to them and are replaced whole.
 *
 * In memory a page is one flat buffer, so that a cache of pages takes what it says and one changed slot costs four
 * hashes: node i of the binary tree (1 is the top, 2i and 2i + 1 are below i, 16 to 31 are the slots) has its kind at
 * i and its hash at 32 i; slot s has the hashes of its leaf's key and value at 1,024 + 64 s.
 */
import { SaharaError } from '../base/errors.ts';
import type { Hash } from '../protocol/ids.ts';
import { innerHash, leafHash, PLACEHOLDER } from '../protocol/state-proof.ts';
import type { Suite } from '../protocol/suite.ts';

const SLOTS = 16;
const HASH_BYTES = 32;
const LEAVES_AT = 2 * SLOTS * HASH_BYTES;
const LEAF_BYTES = 2 * HASH_BYTES;

/** Size of a page in memory, bytes. */
export const PAGE_BYTES: number = LEAVES_AT + SLOTS * LEAF_BYTES;

const EMPTY = 0;
const LEAF = 1;
const INNER = 2;

/** A node at the edge of a page. */
export type TreeNode =
  | { readonly kind: 'leaf'; readonly hash: Hash; readonly keyHash: Hash; readonly valueHash: Hash }
  | { readonly kind: 'inner'; readonly hash: Hash };

/** The sixteen nodes below one node, and what is above them. Not to be changed once it was given to anybody. */
export type Page = Uint8Array;

/** A page without nodes. */
export const EMPTY_PAGE: Page = new Uint8Array(PAGE_BYTES);

/** A leaf. */
export function leafNode(suite: Suite, keyHash: Hash, valueHash: Hash): TreeNode {
  return { kind: 'leaf', hash: leafHash(suite, keyHash, valueHash), keyHash, valueHash };
}

/** The node in a slot. Its hashes are views of the page. */
export function nodeAt(page: Page, slot: number): TreeNode | undefined {
  const kind = page[SLOTS + slot];
  if (kind === EMPTY) return undefined;
  const hash = hashAt(page, SLOTS + slot);
  if (kind === INNER) return { kind: 'inner', hash };
  const at = LEAVES_AT + slot * LEAF_BYTES;
  const keyHash = page.subarray(at, at + HASH_BYTES);
  return { kind: 'leaf', hash, keyHash, valueHash: page.subarray(at + HASH_BYTES, at + LEAF_BYTES) };
}

/** Whether a page of its own stands below a slot. */
export function isInner(page: Page, slot: number): boolean {
  return page[SLOTS + slot] === INNER;
}

/** A copy of `page` with other nodes in some slots. */
export function changedPage(
  suite: Suite,
  page: Page,
  changes: ReadonlyMap<number, TreeNode | undefined>,
): Page {
  const copy = page.slice();
  let dirty = 0;
  for (const [slot, node] of changes) {
    setSlot(copy, slot, node);
    dirty |= 1 << slot;
  }
  rehash(suite, copy, dirty);
  return copy;
}

function setSlot(page: Page, slot: number, node: TreeNode | undefined): void {
  const index = SLOTS + slot;
  page[index] = node === undefined ? EMPTY : node.kind === 'leaf' ? LEAF : INNER;
  if (node === undefined) return;
  page.set(node.hash, index * HASH_BYTES);
  if (node.kind !== 'leaf') return;
  const at = LEAVES_AT + slot * LEAF_BYTES;
  page.set(node.keyHash, at);
  page.set(node.valueHash, at + HASH_BYTES);
}

/** Brings in step what stands above the slots of which `dirty` has the bits. */
function rehash(suite: Suite, page: Page, dirty: number): void {
  for (let width = SLOTS, bits = dirty; width > 1; width >>= 1) {
    let above = 0;
    for (let i = 0; i < width; i += 2) {
      if (((bits >> i) & 3) === 0) continue;
      join(suite, page, (width + i) >> 1);
      above |= 1 << (i >> 1);
    }
    bits = above;
  }
}

/** The node over two halves; one of them alone stays the leaf that it is. */
function join(suite: Suite, page: Page, index: number): void {
  const left = 2 * index;
  const right = left + 1;
  const only = page[left] === EMPTY ? right : page[right] === EMPTY ? left : undefined;
  if (only !== undefined && page[only] !== INNER) {
    page[index] = page[only] as number;
    page.copyWithin(index * HASH_BYTES, only * HASH_BYTES, (only + 1) * HASH_BYTES);
    return;
  }
  page[index] = INNER;
  page.set(innerHash(suite, hashAt(page, left), hashAt(page, right)), index * HASH_BYTES);
}

function hashAt(page: Page, index: number): Hash {
  if (page[index] === EMPTY) return PLACEHOLDER;
  return page.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
}

/** The node that a page amounts to: nothing, its only leaf, or an inner node. */
export function pageNode(page: Page): TreeNode | undefined {
  if (page[1] === EMPTY) return undefined;
  if (page[1] === INNER) return { kind: 'inner', hash: hashAt(page, 1) };
  return nodeAt(page, page.indexOf(LEAF, SLOTS) - SLOTS);
}

/** Where a path through a page leads. */
export interface PagePath {
  /**
   * Siblings passed on the way from the slot up to the page's node. Levels where the subtree is a single leaf do not
   * exist in the tree, so they have none.
   */
  readonly siblings: readonly Hash[];
  /** The leaf that stands where the path ends, if it ends inside this page at one. */
  readonly leaf: { readonly keyHash: Hash; readonly valueHash: Hash } | undefined;
}

/** Follows the path of slot `slot`. What it gives is a copy. */
export function pagePath(page: Page, slot: number): PagePath {
  const siblings: Hash[] = [];
  let end = SLOTS + slot;
  for (let index = end; index > 1; index >>= 1) {
    if (page[index >> 1] === INNER) siblings.push(hashAt(page, index ^ 1).slice());
    else end = index >> 1;
  }
  return { siblings, leaf: page[end] === LEAF ? leafBelow(page, end) : undefined };
}

function leafBelow(page: Page, index: number): { readonly keyHash: Hash; readonly valueHash: Hash } {
  let at = index;
  while (at < SLOTS) at = page[2 * at] === EMPTY ? 2 * at + 1 : 2 * at;
  const start = LEAVES_AT + (at - SLOTS) * LEAF_BYTES;
  const keyHash = page.slice(start, start + HASH_BYTES);
  return { keyHash, valueHash: page.slice(start + HASH_BYTES, start + LEAF_BYTES) };
}

/** Stored form: two bits per slot (0 empty, 1 leaf, 2 inner), then leaves as two hashes and inner nodes as one. */
export function encodePage(page: Page): Uint8Array {
  let size = 4;
  for (let slot = 0; slot < SLOTS; slot++) size += sizeOf(page[SLOTS + slot] as number);
  const encoded = new Uint8Array(size);
  let at = 4;
  for (let slot = 0; slot < SLOTS; slot++) {
    const kind = page[SLOTS + slot] as number;
    // Four slots to a byte, the last slots first.
    const byte = 3 - (slot >> 2);
    encoded[byte] = (encoded[byte] as number) | (kind << (2 * (slot & 3)));
    const from = kind === LEAF ? LEAVES_AT + slot * LEAF_BYTES : (SLOTS + slot) * HASH_BYTES;
    encoded.set(page.subarray(from, from + sizeOf(kind)), at);
    at += sizeOf(kind);
  }
  return encoded;
}

function sizeOf(kind: number): number {
  return kind === EMPTY ? 0 : kind === LEAF ? LEAF_BYTES : HASH_BYTES;
}

/** The page of its stored form; `store-corrupt` for anything else. */
export function decodePage(suite: Suite, encoded: Uint8Array): Page {
  const corrupt = (): SaharaError => new SaharaError('store-corrupt', { reason: 'state tree page' });
  if (encoded.length < 4) throw corrupt();
  const page = new Uint8Array(PAGE_BYTES);
  let at = 4;
  for (let slot = 0; slot < SLOTS; slot++) {
    const kind = ((encoded[3 - (slot >> 2)] as number) >> (2 * (slot & 3))) & 3;
    const part = encoded.subarray(at, at + sizeOf(kind));
    if (kind > INNER || part.length !== sizeOf(kind)) throw corrupt();
    at += part.length;
    if (kind === EMPTY) continue;
    if (kind === INNER) setSlot(page, slot, { kind: 'inner', hash: part });
    else setSlot(page, slot, leafNode(suite, part.subarray(0, HASH_BYTES), part.subarray(HASH_BYTES)));
  }
  if (at !== encoded.length) throw corrupt();
  rehash(suite, page, 0xffff);
  return page;
}
