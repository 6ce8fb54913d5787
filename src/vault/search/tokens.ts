/**
 * All tokens of some chunks in flat arrays, given back term by term: millions of small objects would cost more. Words
 * and terms are numbered by a lexicon that goes from one list to the next.
 */
import { type Language, LanguageCounts, languageOfScript } from '../text/language.ts';
import { Lexicon } from '../text/lexicon.ts';
import { scanWords, type WordVisitor } from '../text/scan.ts';
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
  /** Words of the text that is being read, or -1 less the number of a term, and their positions. */
  #word: Int32Array = new Int32Array(ROOM);
  #at: Uint32Array = new Uint32Array(ROOM);
  #words = 0;
  readonly #counted = new LanguageCounts();

  constructor() {
    if (shared.isFull) shared = new Lexicon();
    this.#lexicon = shared;
  }

  /** Adds a chunk, its terms in the language of its text; answers how many tokens title and text have. */
  add(chunk: number, title: string, text: string): readonly [title: number, text: number] {
    this.#counted.clear();
    this.#scan(text);
    const language = languageOfScript(text) ?? this.#counted.language();
    const inText = this.#take(chunk, language, true);
    this.#scan(title);
    return [this.#take(chunk, language, false), inText];
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

  /** Notes the words of a text. */
  #scan(text: string): void {
    this.#words = 0;
    scanWords(text, this.#visitor);
  }

  readonly #visitor: WordVisitor = {
    span: (span, at) => this.#note(this.#lexicon.wordOfSpan(span), at),
    word: (word, at) => this.#note(this.#lexicon.wordOf(word), at),
    pair: (pair, at) => this.#place(-1 - this.#lexicon.numberOf(pair), at),
  };

  #note(word: number, at: number): void {
    this.#counted.add(this.#lexicon.bitsOf(word));
    this.#place(word, at);
  }

  #place(word: number, at: number): void {
    if (this.#words === this.#word.length) {
      this.#word = Int32Array.from({ length: 2 * this.#words }, (_, i) => this.#word[i] ?? 0);
      this.#at = resized(this.#at, 2 * this.#words);
    }
    this.#word[this.#words] = word;
    this.#at[this.#words++] = at;
  }

  /** Adds the terms of the words that were noted. */
  #take(chunk: number, language: Language | undefined, hasPositions: boolean): number {
    const before = this.#length;
    const lexicon = this.#lexicon;
    const terms = lexicon.inLanguage(language);
    for (let i = 0; i < this.#words; i++) {
      const word = this.#word[i] ?? 0;
      const position = hasPositions ? (this.#at[i] ?? 0) : IN_TITLE;
      const found = word < 0 ? -1 - word : lexicon.termOf(word, language, terms);
      if (found >= 0) this.#push(found, chunk, position);
      else for (const term of lexicon.several(found)) this.#push(term, chunk, position);
    }
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
