/**
 * All tokens of some chunks in flat arrays, given back term by term: millions of small objects would cost more. Words
 * and terms are numbered by a lexicon that goes from one list to the next.
 */
import { LEXICON_WORDS_MAX, Lexicon } from '../text/lexicon.ts';
import { scanWords } from '../text/words.ts';
import { OCCURRENCES_MAX } from './postings.ts';
import type { SegmentWriter } from './segment.ts';

const IN_TITLE = 0xffff_ffff;
const ROOM = 4096;

let shared = new Lexicon();

/** The tokens of some chunks. */
export class TokenList {
  readonly #lexicon: Lexicon;
  /** Numbers of the terms that occur. */
  readonly #used: number[] = [];
  /** Occurrences by number of the term. */
  #counts: Uint32Array = new Uint32Array(ROOM);
  #term: Uint32Array = new Uint32Array(ROOM);
  #chunk: Uint32Array = new Uint32Array(ROOM);
  #position: Uint32Array = new Uint32Array(ROOM);
  #length = 0;

  constructor() {
    if (shared.size >= LEXICON_WORDS_MAX) shared = new Lexicon();
    this.#lexicon = shared;
  }

  /** Adds a text; answers how many tokens it has. */
  addText(chunk: number, text: string): number {
    return this.#add(chunk, text, true);
  }

  /** The same for a title, whose positions do not count. */
  addTitle(chunk: number, title: string): number {
    return this.#add(chunk, title, false);
  }

  /** Writes every term in byte order with its chunks in theirs. */
  write(writer: SegmentWriter, numberOf: (chunk: number) => number): void {
    const order = this.#lexicon.inOrder(this.#used);
    const next = new Uint32Array(this.#counts.length);
    let at = 0;
    for (const term of order) {
      next[term] = at;
      at += this.#counts[term] ?? 0;
    }
    const chunks = new Uint32Array(this.#length);
    const positions = new Uint32Array(this.#length);
    for (let token = 0; token < this.#length; token++) {
      const term = this.#term[token] ?? 0;
      const to = next[term] ?? 0;
      next[term] = to + 1;
      chunks[to] = this.#chunk[token] ?? 0;
      positions[to] = this.#position[token] ?? 0;
    }
    let start = 0;
    for (const term of order) {
      const end = next[term] ?? 0;
      writeTerm({ chunks, positions, start, end }, writer, numberOf);
      writer.close(this.#lexicon.terms[term] ?? '');
      start = end;
    }
  }

  #add(chunk: number, text: string, hasPositions: boolean): number {
    const before = this.#length;
    const lexicon = this.#lexicon;
    scanWords(text, {
      span: (span, at) => {
        const position = hasPositions ? at : IN_TITLE;
        const found = lexicon.ofSpan(span);
        if (found >= 0) this.#push(found, chunk, position);
        else for (const term of lexicon.several(found)) this.#push(term, chunk, position);
      },
      word: (word, terms, at) => {
        const position = hasPositions ? at : IN_TITLE;
        for (const term of lexicon.ofWord(word, terms)) this.#push(term, chunk, position);
      },
    });
    return this.#length - before;
  }

  #push(term: number, chunk: number, position: number): void {
    if (this.#length === this.#term.length) {
      this.#term = resized(this.#term, 2 * this.#length);
      this.#chunk = resized(this.#chunk, 2 * this.#length);
      this.#position = resized(this.#position, 2 * this.#length);
    }
    if (term >= this.#counts.length) this.#counts = resized(this.#counts, 2 * term);
    const count = this.#counts[term] ?? 0;
    if (count === 0) this.#used.push(term);
    this.#counts[term] = count + 1;
    this.#term[this.#length] = term;
    this.#chunk[this.#length] = chunk;
    this.#position[this.#length++] = position;
  }
}

interface Occurrences {
  readonly chunks: Uint32Array;
  readonly positions: Uint32Array;
  readonly start: number;
  readonly end: number;
}

function writeTerm(
  { chunks, positions, start, end }: Occurrences,
  writer: SegmentWriter,
  numberOf: (chunk: number) => number,
): void {
  for (let at = start; at < end; ) {
    const index = chunks[at] ?? 0;
    let [inText, inTitle, last] = [0, 0, 0];
    for (; at < end && chunks[at] === index; at++) {
      const position = positions[at] ?? 0;
      if (position === IN_TITLE) inTitle++;
      else if (inText < OCCURRENCES_MAX) {
        writer.addPosition(position - last);
        last = position;
        inText++;
      }
    }
    writer.add(numberOf(index), inText, inTitle);
  }
}

function resized(array: Uint32Array, length: number): Uint32Array {
  const grown = new Uint32Array(length);
  grown.set(array);
  return grown;
}
