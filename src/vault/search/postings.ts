/**
 * One term's occurrences in one segment, in two parts. Postings: for each chunk its number (as a difference),
 * occurrences in the text times two plus one if the title has any, and then those. Positions: for each chunk the
 * positions in its text, as differences. Scoring reads the first part only.
 */
import { type ByteSink, VarintReader } from './varint.ts';

/** Most occurrences of a term in a text that are told apart. */
export const OCCURRENCES_MAX = 65_535;
/** The same for a title. */
const TITLE_OCCURRENCES_MAX = 255;
/** Postings between two remembered places in the positions. */
const SKIP = 64;

/** Decoded postings; index i of each array is the i-th chunk that holds the term. */
export interface Postings {
  readonly chunks: Uint32Array;
  readonly inText: Uint16Array;
  readonly inTitle: Uint8Array;
}

/** Positions of all chunks of some postings in their stored form, and where every 64th chunk's begin. */
export interface Positions {
  readonly stored: Uint8Array;
  readonly skips: Uint32Array;
}

/** Postings of a term that does not occur. */
export const NO_POSTINGS: Postings = {
  chunks: new Uint32Array(0),
  inText: new Uint16Array(0),
  inTitle: new Uint8Array(0),
};

/** Memory that decoded postings take, bytes. */
export function postingsBytes(postings: Postings): number {
  return 7 * postings.chunks.length + 200;
}

/** Writes postings in rising order of chunk numbers, term after term. */
export class PostingsEncoder {
  readonly #writer: ByteSink;
  #count = 0;
  #last = 0;

  constructor(writer: ByteSink) {
    this.#writer = writer;
  }

  /** Begins with the next term. */
  begin(): void {
    this.#count = 0;
    this.#last = 0;
  }

  get count(): number {
    return this.#count;
  }

  add(chunk: number, inText: number, inTitle: number): void {
    this.#writer.uint(chunk - this.#last);
    const text = Math.min(inText, OCCURRENCES_MAX);
    this.#writer.uint(2 * text + (inTitle > 0 ? 1 : 0));
    if (inTitle > 0) this.#writer.uint(Math.min(inTitle, TITLE_OCCURRENCES_MAX));
    this.#last = chunk;
    this.#count++;
  }

  /** `count` postings in their stored form, from `start` on, whose chunks all come behind those that were added. */
  addStored(stored: Uint8Array, start: number, count: number): void {
    if (count === 0) return;
    const reader = new VarintReader(stored, start);
    const first = reader.uint();
    const rest = reader.offset;
    this.#writer.uint(first - this.#last);
    let last = first;
    for (let i = 0; i < count; i++) {
      if (i > 0) last += reader.uint();
      if (reader.uint() & 1) reader.uint();
    }
    this.#writer.raw(stored, rest, reader.offset);
    this.#last = last;
    this.#count += count;
  }
}

/** The postings of a stored form for `count` chunks. */
export function decodePostings(stored: Uint8Array, count: number): Postings {
  const reader = new VarintReader(stored);
  const chunks = new Uint32Array(count);
  const inText = new Uint16Array(count);
  const inTitle = new Uint8Array(count);
  let chunk = 0;
  for (let i = 0; i < count; i++) {
    chunk += reader.uint();
    const head = reader.uint();
    chunks[i] = chunk;
    inText[i] = head >>> 1;
    if (head & 1) inTitle[i] = reader.uint();
  }
  return { chunks, inText, inTitle };
}

/** Makes the positions of `postings` fit for looking up single chunks. */
export function placePositions(postings: Postings, stored: Uint8Array): Positions {
  const { inText } = postings;
  const skips = new Uint32Array(Math.ceil(inText.length / SKIP));
  let at = 0;
  for (let i = 0; i < inText.length; i++) {
    if (i % SKIP === 0) skips[i / SKIP] = at;
    at = behind(stored, at, inText[i] ?? 0);
  }
  return { stored, skips };
}

/** The positions of the chunk at `index` of `postings`. */
export function positionsAt(postings: Postings, positions: Positions, index: number): number[] {
  const { inText } = postings;
  let at = positions.skips[Math.floor(index / SKIP)] ?? 0;
  for (let i = index - (index % SKIP); i < index; i++) at = behind(positions.stored, at, inText[i] ?? 0);
  return decodePositions(positions.stored.subarray(at, behind(positions.stored, at, inText[index] ?? 0)));
}

/** Where `chunk` stands in `postings`; -1 when the term does not occur there. */
export function indexOfChunk({ chunks }: Postings, chunk: number): number {
  let low = 0;
  let high = chunks.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = chunks[middle] ?? 0;
    if (found === chunk) return middle;
    if (found < chunk) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** Walks the positions of every chunk of `postings` in order, in their stored form. */
export function* storedPositions(postings: Postings, stored: Uint8Array): Generator<Uint8Array> {
  let at = 0;
  for (const count of postings.inText) {
    const end = behind(stored, at, count);
    yield stored.subarray(at, end);
    at = end;
  }
}

/** The positions of a stored form. */
export function decodePositions(stored: Uint8Array): number[] {
  const reader = new VarintReader(stored);
  const positions: number[] = [];
  let last = 0;
  while (!reader.atEnd) {
    last += reader.uint();
    positions.push(last);
  }
  return positions;
}

/** Where the `count` numbers from `at` on end. */
function behind(stored: Uint8Array, at: number, count: number): number {
  let end = at;
  for (let left = count; left > 0 && end < stored.length; end++) if ((stored[end] ?? 0) < 0x80) left--;
  return end;
}
