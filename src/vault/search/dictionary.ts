/** The sorted terms of a segment, front-coded in blocks: how often each occurs, and where its postings stand. */
import { concat, fromUtf8 } from '../../base/bytes.ts';
import { TERM_CHARACTERS_MAX } from '../limits.ts';
import { textBytes, VarintReader, VarintWriter } from './varint.ts';

/** A term and how many chunks of the segment held it when it was written. */
export interface DictionaryEntry {
  readonly term: string;
  readonly chunks: number;
}

/** An entry with the stretches that its postings and positions take in the segment's two streams. */
export interface PlacedEntry extends DictionaryEntry {
  readonly postingsAt: number;
  readonly postingsBytes: number;
  readonly positionsAt: number;
  readonly positionsBytes: number;
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

/** Writes a block of sorted entries, whose stretches lie one behind the other, in memory that the next block uses again. */
export class TermBlockWriter {
  readonly #head = new VarintWriter();
  readonly #entries = new VarintWriter();
  #first: string | undefined;
  #last = '';
  #count = 0;

  /** Entries so far. */
  get count(): number {
    return this.#count;
  }

  /** The first term; `undefined` in an empty block. */
  get first(): string | undefined {
    return this.#first;
  }

  /** Begins a block whose first stretches begin there. */
  begin(postingsAt: number, positionsAt: number): void {
    for (const writer of [this.#head, this.#entries]) writer.clear();
    this.#head.uint(postingsAt);
    this.#head.uint(positionsAt);
    this.#first = undefined;
    this.#last = '';
    this.#count = 0;
  }

  /** One more term: how many chunks hold it, and the bytes of its two stretches. */
  add(term: string, chunks: number, bytes: { readonly postings: number; readonly positions: number }): void {
    this.#first ??= term;
    const writer = this.#entries;
    const shared = sharedStart(this.#last, term);
    // What is shared is counted in bytes and never ends inside a character.
    writer.uint(textBytes(term, shared));
    writer.text(term, shared);
    writer.uint(chunks);
    writer.uint(bytes.postings);
    writer.uint(bytes.positions);
    this.#last = term;
    this.#count++;
  }

  /** The stored form. */
  finish(): Uint8Array {
    const count = new VarintWriter();
    count.uint(this.#count);
    return concat(count.finish(), this.#head.finish(), this.#entries.finish());
  }
}

/** The entries of a stored form; what follows them is padding. */
export function decodeTerms(stored: Uint8Array): PlacedEntry[] {
  const reader = new VarintReader(stored);
  const count = reader.uint();
  let postingsAt = reader.uint();
  let positionsAt = reader.uint();
  const entries: PlacedEntry[] = [];
  const last = new LastTerm();
  for (let i = 0; i < count; i++) {
    const shared = reader.uint();
    const term = last.next(shared, reader.raw(reader.uint()));
    const chunks = reader.uint();
    const postingsBytes = reader.uint();
    const positionsBytes = reader.uint();
    entries.push({ term, chunks, postingsAt, postingsBytes, positionsAt, positionsBytes });
    postingsAt += postingsBytes;
    positionsAt += positionsBytes;
  }
  return entries;
}

/** The bytes of the term that was read last: texts that are put together out of others are slow to compare. */
class LastTerm {
  #bytes = Buffer.alloc(4 * TERM_CHARACTERS_MAX);
  /** Where its first byte that is no ASCII stands; its end where there is none. */
  #ascii = 0;

  /** The term of its first `shared` bytes and `rest`. */
  next(shared: number, rest: Uint8Array): string {
    const length = shared + rest.length;
    if (length > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(length)]);
    this.#ascii = Math.min(this.#ascii, shared);
    this.#bytes.set(rest, shared);
    while (this.#ascii < length && (this.#bytes[this.#ascii] ?? 0) < 0x80) this.#ascii++;
    const all = this.#bytes.subarray(0, length);
    return this.#ascii >= length ? all.toString('latin1') : (fromUtf8(all) ?? '');
  }
}

/** The stored form of a directory: the first term of each block of a dictionary. */
export function encodeDirectory(firsts: readonly string[]): Uint8Array {
  const writer = new VarintWriter();
  writer.uint(firsts.length);
  for (const term of firsts) writer.text(term);
  return writer.finish();
}

/** The terms of a stored directory. */
export function decodeDirectory(stored: Uint8Array): string[] {
  const reader = new VarintReader(stored);
  return Array.from({ length: reader.uint() }, () => fromUtf8(reader.raw(reader.uint())) ?? '');
}

/** The block of a dictionary that would hold `term`; -1 when it is before all. */
export function blockOf(directory: readonly string[], term: string): number {
  let low = 0;
  let high = directory.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareTerms(directory[middle] ?? '', term) <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The entry of `term` in a block. */
export function entryOf(entries: readonly PlacedEntry[], term: string): PlacedEntry | undefined {
  let low = 0;
  let high = entries.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle];
    if (entry === undefined) return undefined;
    const order = compareTerms(entry.term, term);
    if (order === 0) return entry;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}

/** How many code units two terms begin with alike, without half of a surrogate pair. */
function sharedStart(a: string, b: string): number {
  let shared = 0;
  while (shared < a.length && shared < b.length && a.charCodeAt(shared) === b.charCodeAt(shared)) shared++;
  const unit = shared > 0 ? a.charCodeAt(shared - 1) : 0;
  return unit >= 0xd800 && unit <= 0xdbff ? shared - 1 : shared;
}

/** Code units rank as UTF-8 would rank them: surrogates stand for characters above every other. */
function byteRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
