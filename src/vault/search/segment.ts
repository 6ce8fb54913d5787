/** An immutable piece of the index: dictionary, postings and lengths of some chunks, written once. */
import type { StoreOperation } from '../../base/store.ts';
import type { VaultCodec } from '../codec.ts';
import { directoryKey, lengthsKey, pageKey, termsKey, tombstonesKey } from '../keys.ts';
import { DICTIONARY_BLOCK_TERMS, encodeDirectory, TermBlockWriter } from './dictionary.ts';
import { PageWriter } from './pages.ts';
import { PostingsEncoder } from './postings.ts';
import { TokenList } from './tokens.ts';
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
/** What records of a segment beside its pages are filled up to a multiple of, bytes. */
const PADDING_BYTES = 1024;

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
  const tokens = new TokenList();
  const lengths: (readonly [number, number])[] = [];
  for (const [index, { number, title, text }] of chunks.entries()) {
    lengths.push([number, chunkLength(...tokens.add(index, title, text))]);
  }
  const operations: StoreOperation[] = [];
  const writer = new SegmentWriter(segment, codec, (operation) => operations.push(operation));
  tokens.write(writer, (index) => chunks[index]?.number ?? 0);
  writer.finish(lengths, lengths.length);
  return { operations, lengths };
}

/** Writes the records of one segment, term after term in byte order, in bounded memory. */
export class SegmentWriter {
  readonly #segment: number;
  readonly #codec: VaultCodec;
  readonly #put: (operation: StoreOperation) => void;
  readonly #encoder: PostingsEncoder;
  readonly #postings: PageWriter;
  readonly #positions: PageWriter;
  /** Where the stretches of the present term begin. */
  #postingsAt = 0;
  #positionsAt = 0;
  readonly #firsts: string[] = [];
  readonly #block = new TermBlockWriter();

  constructor(segment: number, codec: VaultCodec, put: (operation: StoreOperation) => void) {
    this.#segment = segment;
    this.#codec = codec;
    this.#put = put;
    const pages = (stream: 'postings' | 'positions'): PageWriter =>
      new PageWriter((page, bytes) => put(sealed(codec, pageKey(stream, segment, page), bytes)));
    this.#postings = pages('postings');
    this.#positions = pages('positions');
    this.#encoder = new PostingsEncoder(this.#postings);
  }

  /** One chunk of the present term, in rising order; its positions come by `addPosition` or `addStored`. */
  add(chunk: number, inText: number, inTitle: number): void {
    this.#encoder.add(chunk, inText, inTitle);
  }

  /** `count` chunks of the present term in their stored form, from `start` on, behind all that were added. */
  addAll(stored: Uint8Array, start: number, count: number): void {
    this.#encoder.addStored(stored, start, count);
  }

  /** One more position, as the difference from the chunk's last one. */
  addPosition(difference: number): void {
    this.#positions.uint(difference);
  }

  /** Positions in their stored form, from `start` to `end`. */
  addStored(positions: Uint8Array, start = 0, end: number = positions.length): void {
    this.#positions.raw(positions, start, end);
  }

  /** Ends the present term, which is left out when no chunk holds it. */
  close(term: string): void {
    const chunks = this.#encoder.count;
    if (chunks === 0) return;
    const [block, postingsAt, positionsAt] = [this.#block, this.#postingsAt, this.#positionsAt];
    if (block.count === 0) block.begin(postingsAt, positionsAt);
    this.#encoder.begin();
    this.#postingsAt = this.#postings.length;
    this.#positionsAt = this.#positions.length;
    block.add(term, chunks, {
      postings: this.#postingsAt - postingsAt,
      positions: this.#positionsAt - positionsAt,
    });
    if (block.count === DICTIONARY_BLOCK_TERMS) this.#closeBlock();
  }

  /** Ends the segment, of `count` chunks with their numbers, which rise, and lengths. */
  finish(lengths: Iterable<readonly [number, number]>, count: number): void {
    this.#closeBlock();
    this.#postings.finish();
    this.#positions.finish();
    this.#record(directoryKey(this.#segment), encodeDirectory(this.#firsts));
    this.#record(lengthsKey(this.#segment), encodeLengths(lengths, count));
  }

  #closeBlock(): void {
    const { first } = this.#block;
    if (first === undefined) return;
    this.#record(termsKey(this.#segment, this.#firsts.length), this.#block.finish());
    this.#firsts.push(first);
    this.#block.begin(0, 0);
  }

  #record(key: Uint8Array, value: Uint8Array): void {
    this.#put(sealed(this.#codec, key, padded(value)));
  }
}

/** The write of a segment's removed chunk numbers, which rise. */
export function tombstones(segment: number, removed: readonly number[], codec: VaultCodec): StoreOperation {
  const writer = new VarintWriter();
  writer.uint(removed.length);
  let last = 0;
  for (const number of removed) {
    writer.uint(number - last);
    last = number;
  }
  return sealed(codec, tombstonesKey(segment), padded(writer.finish()));
}

/** The numbers of a stored list of removed chunks. */
export function decodeTombstones(stored: Uint8Array): number[] {
  const reader = new VarintReader(stored);
  let last = 0;
  return Array.from({ length: reader.uint() }, () => {
    last += reader.uint();
    return last;
  });
}

/** The stored form of chunk numbers and their lengths. */
function encodeLengths(lengths: Iterable<readonly [number, number]>, count: number): Uint8Array {
  const writer = new VarintWriter();
  writer.uint(count);
  let last = 0;
  for (const [number, length] of lengths) {
    writer.uint(number - last);
    writer.uint(length);
    last = number;
  }
  return writer.finish();
}

/** The chunk numbers and lengths of a stored form, one by one: a segment can have millions. */
export function* decodeLengths(stored: Uint8Array): Generator<readonly [number: number, length: number]> {
  const reader = new VarintReader(stored);
  let number = 0;
  for (let left = reader.uint(); left > 0; left--) {
    number += reader.uint();
    yield [number, reader.uint()];
  }
}

function padded(value: Uint8Array): Uint8Array {
  const whole = new Uint8Array(PADDING_BYTES * Math.ceil(Math.max(1, value.length) / PADDING_BYTES));
  whole.set(value);
  return whole;
}

function sealed(codec: VaultCodec, key: Uint8Array, value: Uint8Array): StoreOperation {
  return { type: 'put', key, value: codec.seal(key, value) };
}
