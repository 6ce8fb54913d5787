/** Where on disk things of a document lie that was forgotten. */

import { concat, u32be } from '../base/bytes.ts';
import type { KeySpan } from '../base/store.ts';
import { itemKey } from './item-keys.ts';
import {
  chunkKey,
  chunkNumberRange,
  documentRange,
  nameRange,
  range,
  SEGMENT_TAGS,
  vectorsRange,
} from './keys.ts';

/** Its key and its passages. */
export function itemSpans({
  firstChunk,
  chunks,
}: {
  readonly firstChunk: number;
  readonly chunks: number;
}): KeySpan[] {
  return [
    { gte: itemKey(firstChunk), lt: itemKey(firstChunk + 1) },
    { gte: chunkKey(firstChunk), lt: chunkKey(firstChunk + Math.max(1, chunks)) },
  ];
}

/**
 * Ids and blinded names of all documents, ids of all passages, and vectors. They reach a little further than these, so
 * that what a store puts before their ends for the time of erasing is not among them.
 */
export function idSpans(): KeySpan[] {
  return [documentRange(), chunkNumberRange(), nameRange(), vectorsRange()].map((range) => {
    const { gte, lt } = spanOf(range);
    return { gte, lt: concat(lt, Uint8Array.of(1)) };
  });
}

/** All records of a segment. */
export function segmentSpans(segment: number): KeySpan[] {
  return SEGMENT_TAGS.map((tag) => spanOf(range(concat(tag, u32be(segment)))));
}

function spanOf({ gte = new Uint8Array(0), lt = Uint8Array.of(0xff) }: ReturnType<typeof range>): KeySpan {
  return { gte, lt };
}
