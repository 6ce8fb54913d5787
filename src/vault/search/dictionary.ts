/** The sorted terms of a segment, front-coded in blocks: what the term keys, once blinded, no longer tell. */
import { fromUtf8, utf8 } from '../../base/bytes.ts';
import { VarintReader, VarintWriter } from './varint.ts';

/** A term and how many chunks of the segment held it when it was written. */
export interface DictionaryEntry {
  readonly term: string;
  readonly chunks: number;
}

/** Terms in one block. */
export const DICTIONARY_BLOCK_TERMS = 256;

/** Order of two terms: that of their UTF-8 bytes. */
export function compareTerms(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return byteRank(x) - byteRank(y);
  }
  return a.length - b.length;
}

/** The stored form of sorted entries. */
export function encodeTerms(entries: readonly DictionaryEntry[]): Uint8Array {
  const writer = new VarintWriter();
  writer.uint(entries.length);
  let last = new Uint8Array(0);
  for (const { term, chunks } of entries) {
    const bytes = utf8(term);
    let shared = 0;
    while (shared < last.length && shared < bytes.length && last[shared] === bytes[shared]) shared++;
    writer.uint(shared);
    writer.uint(bytes.length - shared);
    writer.raw(bytes.subarray(shared));
    writer.uint(chunks);
    last = new Uint8Array(bytes);
  }
  return writer.finish();
}

/** The entries of a stored form. */
export function decodeTerms(stored: Uint8Array): DictionaryEntry[] {
  const reader = new VarintReader(stored);
  const count = reader.uint();
  const entries: DictionaryEntry[] = [];
  let last = new Uint8Array(0);
  for (let i = 0; i < count; i++) {
    const shared = reader.uint();
    const rest = reader.raw(reader.uint());
    const bytes = new Uint8Array(shared + rest.length);
    bytes.set(last.subarray(0, shared));
    bytes.set(rest, shared);
    entries.push({ term: fromUtf8(bytes) ?? '', chunks: reader.uint() });
    last = bytes;
  }
  return entries;
}

/** Code units rank as UTF-8 would rank them: surrogates stand for characters above every other. */
function byteRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
