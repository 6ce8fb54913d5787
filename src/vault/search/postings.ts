/**
 * One term's occurrences in one segment. Layout: number of chunks, bytes of the first part; first part, for each
 * chunk: its number (as a difference), occurrences in the text times two plus one if the title has any, and then
 * those; second part: for each chunk the positions in its text, as differences. Scoring reads the first part only.
 */
import { VarintReader, VarintWriter } from './varint.ts';

const OCCURRENCES_MAX = 65_535;
const TITLE_OCCURRENCES_MAX = 255;

/** Decoded postings; index i of each array is the i-th chunk that holds the term. */
export interface Postings {
  readonly chunks: Uint32Array;
  readonly inText: Uint16Array;
  readonly inTitle: Uint8Array;
  /** Positions of all chunks in their stored form. */
  readonly positions: Uint8Array;
}

/** What one chunk says about one term. */
export interface Occurrences {
  inText: number;
  inTitle: number;
  readonly positions: number[];
}

/** Memory that decoded postings take, bytes. */
export function postingsBytes(postings: Postings): number {
  return 7 * postings.chunks.length + postings.positions.length + 200;
}

/** Collects postings in rising order of chunk numbers. */
export class PostingsWriter {
  readonly #entries = new VarintWriter();
  readonly #positions = new VarintWriter();
  #count = 0;
  #last = 0;

  get count(): number {
    return this.#count;
  }

  add(chunk: number, occurrences: Occurrences): void {
    this.#head(chunk, occurrences.inText, occurrences.inTitle);
    let last = 0;
    for (const position of occurrences.positions.slice(0, OCCURRENCES_MAX)) {
      this.#positions.uint(position - last);
      last = position;
    }
  }

  /** The same with positions in their stored form. */
  addStored(chunk: number, inText: number, inTitle: number, positions: Uint8Array): void {
    this.#head(chunk, inText, inTitle);
    this.#positions.raw(positions);
  }

  finish(): Uint8Array {
    const writer = new VarintWriter();
    writer.uint(this.#count);
    writer.uint(this.#entries.length);
    writer.raw(this.#entries.finish());
    writer.raw(this.#positions.finish());
    return writer.finish();
  }

  #head(chunk: number, inText: number, inTitle: number): void {
    this.#entries.uint(chunk - this.#last);
    const text = Math.min(inText, OCCURRENCES_MAX);
    this.#entries.uint(2 * text + (inTitle > 0 ? 1 : 0));
    if (inTitle > 0) this.#entries.uint(Math.min(inTitle, TITLE_OCCURRENCES_MAX));
    this.#last = chunk;
    this.#count++;
  }
}

/** The postings of a stored form. */
export function decodePostings(stored: Uint8Array): Postings {
  const reader = new VarintReader(stored);
  const count = reader.uint();
  const entries = new VarintReader(reader.raw(reader.uint()));
  const chunks = new Uint32Array(count);
  const inText = new Uint16Array(count);
  const inTitle = new Uint8Array(count);
  let chunk = 0;
  for (let i = 0; i < count; i++) {
    chunk += entries.uint();
    const head = entries.uint();
    chunks[i] = chunk;
    inText[i] = head >>> 1;
    if (head & 1) inTitle[i] = entries.uint();
  }
  return { chunks, inText, inTitle, positions: reader.rest() };
}

/** The positions of those chunks of `postings` that are in `wanted`, by chunk number. */
export function positionsOf(postings: Postings, wanted: ReadonlyMap<number, unknown>): Map<number, number[]> {
  const { chunks, inText, positions } = postings;
  const found = new Map<number, number[]>();
  let at = 0;
  for (let i = 0; i < chunks.length && found.size < wanted.size; i++) {
    const start = at;
    for (let left = inText[i] ?? 0; left > 0; at++) if ((positions[at] ?? 0) < 0x80) left--;
    const chunk = chunks[i] ?? 0;
    if (wanted.has(chunk)) found.set(chunk, decodePositions(positions.subarray(start, at)));
  }
  return found;
}

/** Walks the positions of every chunk of `postings` in order, in their stored form. */
export function* storedPositions(postings: Postings): Generator<Uint8Array> {
  const { positions, inText } = postings;
  let at = 0;
  for (const count of inText) {
    const start = at;
    for (let left = count; left > 0; at++) if ((positions[at] ?? 0) < 0x80) left--;
    yield positions.subarray(start, at);
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
