/** Where each kind of record stands in the vault's store. Numbers are big-endian, so that ranges keep their order. */
import { concat, prefixEnd, u32be } from '../base/bytes.ts';
import type { StoreRange } from '../base/store.ts';

const tag = (letter: string): Uint8Array => Uint8Array.of(letter.charCodeAt(0));

/** The vault's one head record: counts, segments, generation. */
export const HEAD_KEY: Uint8Array = tag('h');

const NAME = tag('n');
const DOCUMENT = tag('d');
const CHUNK = tag('c');
const CHUNK_NUMBER = tag('i');
const POSTINGS = tag('p');
const TERMS = tag('t');
const POSITIONS = tag('o');
const DIRECTORY = tag('y');
const LENGTHS = tag('l');
const TOMBSTONES = tag('x');
const VECTOR = tag('v');

/** Kinds of record that belong to one segment. */
export const SEGMENT_TAGS: readonly Uint8Array[] = [
  POSTINGS,
  POSITIONS,
  TERMS,
  DIRECTORY,
  LENGTHS,
  TOMBSTONES,
];

/** Which document carries a name. */
export function nameKey(blinded: Uint8Array): Uint8Array {
  return concat(NAME, blinded);
}

/** All names. */
export function nameRange(): StoreRange {
  return range(NAME);
}

/** A document. */
export function documentKey(id: Uint8Array): Uint8Array {
  return concat(DOCUMENT, id);
}

/** A chunk by its number. */
export function chunkKey(number: number): Uint8Array {
  return concat(CHUNK, u32be(number));
}

/** Blocks of chunks from a number on. */
export function chunksFrom(number: number): StoreRange {
  return { ...range(CHUNK), gte: chunkKey(number) };
}

/** One place where a chunk of this id stands: the same passage may stand in several documents. */
export function chunkNumberKey(id: Uint8Array, number: number): Uint8Array {
  return concat(CHUNK_NUMBER, id, u32be(number));
}

/** The numbers of a chunk id, or of all. */
export function chunkNumberRange(id?: Uint8Array): StoreRange {
  return range(id === undefined ? CHUNK_NUMBER : concat(CHUNK_NUMBER, id));
}

/** A page of a segment's postings, or of its positions. */
export function pageKey(stream: 'postings' | 'positions', segment: number, page: number): Uint8Array {
  return concat(stream === 'postings' ? POSTINGS : POSITIONS, u32be(segment), u32be(page));
}

/** The first terms of the blocks of a segment's dictionary. */
export function directoryKey(segment: number): Uint8Array {
  return concat(DIRECTORY, u32be(segment));
}

/** A block of a segment's dictionary. */
export function termsKey(segment: number, block: number): Uint8Array {
  return concat(TERMS, u32be(segment), u32be(block));
}

/** Numbers and lengths of a segment's chunks. */
export function lengthsKey(segment: number): Uint8Array {
  return concat(LENGTHS, u32be(segment));
}

/** Numbers of a segment's chunks that were removed. */
export function tombstonesKey(segment: number): Uint8Array {
  return concat(TOMBSTONES, u32be(segment));
}

/** All vectors. */
export function vectorsRange(): StoreRange {
  return range(VECTOR);
}

/** Vectors of one embedding model, `model` being the first bytes of its digest. */
export function vectorRange(model: Uint8Array): StoreRange {
  return range(concat(VECTOR, model));
}

/** The vector of a chunk. */
export function vectorKey(model: Uint8Array, chunk: number): Uint8Array {
  return concat(VECTOR, model, u32be(chunk));
}

/** Every document. */
export function documentRange(): StoreRange {
  return range(DOCUMENT);
}

/** Everything under `prefix`. */
export function range(prefix: Uint8Array): StoreRange {
  const end = prefixEnd(prefix);
  return end === undefined ? { gte: prefix } : { gte: prefix, lt: end };
}
