/** An immutable piece of the index: dictionary, postings and lengths of some chunks, written once. */
import { utf8 } from '../../base/bytes.ts';
import type { StoreOperation } from '../../base/store.ts';
import type { VaultCodec } from '../codec.ts';
import { lengthsKey, postingsKey, termsKey, tombstonesKey } from '../keys.ts';
import { analyse } from '../text/words.ts';
import { compareTerms, DICTIONARY_BLOCK_TERMS, type DictionaryEntry, encodeTerms } from './dictionary.ts';
import { type Occurrences, PostingsWriter } from './postings.ts';
import { VarintReader, VarintWriter } from './varint.ts';

/** A segment as the vault's head names it. */
export interface SegmentInfo {
  readonly number: number;
  /** Least and greatest chunk number; ranges of segments do not overlap. */
  readonly first: number;
  readonly last: number;
  /** Chunks that it was written with. */
  readonly chunks: number;
}

/** Longest length of a chunk that is told apart, in index tokens. */
const LENGTH_MAX = 65_534;

/** What the index needs of one chunk. */
export interface IndexedChunk {
  readonly number: number;
  readonly title: string;
  readonly text: string;
}

/** The index tokens of a chunk and its length. */
export function chunkLength(titleTokens: number, textTokens: number): number {
  return Math.min(LENGTH_MAX, titleTokens + textTokens);
}

/** Writes of a new segment over `chunks`, which rise in number, and each chunk's length. */
export function buildSegment(
  segment: number,
  chunks: readonly IndexedChunk[],
  codec: VaultCodec,
): { readonly operations: StoreOperation[]; readonly lengths: readonly (readonly [number, number])[] } {
  const terms = new Map<string, PostingsWriter>();
  const lengths: (readonly [number, number])[] = [];
  for (const chunk of chunks) {
    const { occurrences, length } = countOccurrences(chunk);
    lengths.push([chunk.number, length]);
    for (const [term, counts] of occurrences) {
      const writer = terms.get(term) ?? new PostingsWriter();
      terms.set(term, writer);
      writer.add(chunk.number, counts);
    }
  }
  const operations: StoreOperation[] = [];
  const sorted = [...terms].sort(([a], [b]) => compareTerms(a, b));
  for (const [term, writer] of sorted) {
    operations.push(sealed(codec, postingsKey(segment, codec.blind('term', utf8(term))), writer.finish()));
  }
  const entries = sorted.map(([term, writer]): DictionaryEntry => ({ term, chunks: writer.count }));
  for (let block = 0; block * DICTIONARY_BLOCK_TERMS < entries.length; block++) {
    operations.push(dictionaryBlock(segment, block, entries.slice(block * DICTIONARY_BLOCK_TERMS), codec));
  }
  operations.push(sealed(codec, lengthsKey(segment), encodeLengths(lengths)));
  return { operations, lengths };
}

/** The write of one block of a segment's dictionary: at most `DICTIONARY_BLOCK_TERMS` first ones of `entries`. */
export function dictionaryBlock(
  segment: number,
  block: number,
  entries: readonly DictionaryEntry[],
  codec: VaultCodec,
): StoreOperation {
  return sealed(codec, termsKey(segment, block), encodeTerms(entries.slice(0, DICTIONARY_BLOCK_TERMS)));
}

/** The write of a segment's removed chunk numbers, which rise. */
export function tombstones(segment: number, removed: readonly number[], codec: VaultCodec): StoreOperation {
  const writer = new VarintWriter();
  let last = 0;
  for (const number of removed) {
    writer.uint(number - last);
    last = number;
  }
  return sealed(codec, tombstonesKey(segment), writer.finish());
}

/** The numbers of a stored list of removed chunks. */
export function decodeTombstones(stored: Uint8Array): number[] {
  const reader = new VarintReader(stored);
  const numbers: number[] = [];
  let last = 0;
  while (!reader.atEnd) {
    last += reader.uint();
    numbers.push(last);
  }
  return numbers;
}

/** The stored form of chunk numbers and their lengths. */
export function encodeLengths(lengths: readonly (readonly [number, number])[]): Uint8Array {
  const writer = new VarintWriter();
  let last = 0;
  for (const [number, length] of lengths) {
    writer.uint(number - last);
    writer.uint(length);
    last = number;
  }
  return writer.finish();
}

/** The chunk numbers and lengths of a stored form. */
export function decodeLengths(stored: Uint8Array): [number: number, length: number][] {
  const reader = new VarintReader(stored);
  const lengths: [number, number][] = [];
  let last = 0;
  while (!reader.atEnd) {
    last += reader.uint();
    lengths.push([last, reader.uint()]);
  }
  return lengths;
}

/** A put of the sealed `value`. */
export function sealed(codec: VaultCodec, key: Uint8Array, value: Uint8Array): StoreOperation {
  return { type: 'put', key, value: codec.seal(key, value) };
}

function countOccurrences(chunk: IndexedChunk): {
  readonly occurrences: ReadonlyMap<string, Occurrences>;
  readonly length: number;
} {
  const occurrences = new Map<string, Occurrences>();
  const of = (term: string): Occurrences => {
    const found = occurrences.get(term) ?? { inText: 0, inTitle: 0, positions: [] };
    occurrences.set(term, found);
    return found;
  };
  const text = analyse(chunk.text);
  for (const { term, position } of text) {
    const counts = of(term);
    counts.inText++;
    counts.positions.push(position);
  }
  const title = analyse(chunk.title);
  for (const { term } of title) of(term).inTitle++;
  return { occurrences, length: chunkLength(title.length, text.length) };
}
