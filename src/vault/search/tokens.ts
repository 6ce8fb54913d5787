/**
 * All tokens of some chunks in flat arrays, given back term by term: millions of small objects would cost more. Words
 * and terms are numbered by a lexicon that goes from one list to the next.
 */
import { type Language, LanguageCounts, languageOfScript } from '../text/language.ts';
import { Lexicon } from '../text/lexicon.ts';
import { asciiWords, scanWords, type WordVisitor } from '../text/scan.ts';
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
  #position: Uint32Array = new Uint32Array(ROOM);
  #length = 0;
  /** The chunks as they came, and where the tokens of each end. */
  readonly #chunks: number[] = [];
  readonly #ends: number[] = [];
  /** Words of the text that is being read, or -1 less the number of a term, and their positions. */
  #word: Int32Array = new Int32Array(ROOM);
  #at: Uint32Array = new Uint32Array(ROOM);
  #words = 0;
  /** Whether each position in `#at` is the number of its word. */
  #plain = true;
  readonly #counted = new LanguageCounts();

  constructor() {
    if (shared.isFull) shared = new Lexicon();
    this.#lexicon = shared;
  }

  /** Adds a chunk, its terms in the language of its text; answers how many tokens title and text have. */
  add(chunk: number, title: string, text: string): readonly [title: number, text: number] {
    this.#scan(text);
    const language = this.#language(text);
    const inText = this.#take(language, true);
    this.#scan(title);
    const inTitle = this.#take(language, false);
    this.#chunks.push(chunk);
    this.#ends.push(this.#length);
    return [inTitle, inText];
  }

  /** Writes every term in byte order with its chunks in theirs. */
  write(writer: SegmentWriter, numberOf: (chunk: number) => number): void {
    const order = this.#lexicon.inOrder(this.#used);
    const [counts, terms, from] = [this.#counts, this.#term, this.#position];
    const next = new Uint32Array(counts.length);
    let at = 0;
    for (const term of order) {
      next[term] = at;
      at += counts[term] ?? 0;
    }
    const chunks = new Uint32Array(this.#length);
    const positions = new Uint32Array(this.#length);
    for (let i = 0, token = 0; i < this.#ends.length; i++) {
      const chunk = this.#chunks[i] ?? 0;
      for (const end = this.#ends[i] ?? 0; token < end; token++) {
        const term = terms[token] ?? 0;
        const to = next[term] ?? 0;
        next[term] = to + 1;
        chunks[to] = chunk;
        positions[to] = from[token] ?? 0;
      }
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
    const found = asciiWords(text);
    this.#plain = found !== undefined;
    if (found === undefined) {
      scanWords(text, this.#visitor);
      return;
    }
    if (found.count > this.#word.length) this.#word = new Int32Array(2 * found.count);
    this.#lexicon.wordsOf(found, this.#word);
    this.#words = found.count;
  }

  readonly #visitor: WordVisitor = {
    // What is all ASCII goes another way.
    span: () => {},
    word: (word, at) => this.#note(this.#lexicon.wordOf(word), at),
    pair: (pair, at) => this.#note(-1 - this.#lexicon.numberOf(pair), at),
  };

  #note(word: number, at: number): void {
    if (this.#words === this.#word.length) this.#word = resized(this.#word, 2 * this.#words);
    if (this.#words === this.#at.length) this.#at = resized(this.#at, 2 * this.#words);
    this.#word[this.#words] = word;
    this.#at[this.#words++] = at;
  }

  /** The language of the text whose words were noted. */
  #language(text: string): Language | undefined {
    // No script but Latin is ASCII.
    const told = this.#plain ? undefined : languageOfScript(text);
    if (told !== undefined) return told;
    this.#counted.clear();
    this.#lexicon.countLanguages(this.#word, this.#words, this.#counted);
    return this.#counted.language();
  }

  /** Adds the terms of the words that were noted. */
  #take(language: Language | undefined, hasPositions: boolean): number {
    const before = this.#length;
    const lexicon = this.#lexicon;
    const found = lexicon.inLanguage(language);
    const [words, at, plain] = [this.#word, this.#at, this.#plain];
    for (let i = 0; i < this.#words; i++) {
      const word = words[i] ?? 0;
      const position = !hasPositions ? IN_TITLE : plain ? i : (at[i] ?? 0);
      const term = word < 0 ? -1 - word : lexicon.termOf(word, language, found);
      if (term >= 0) this.#push(term, position);
      else for (const one of lexicon.several(term)) this.#push(one, position);
    }
    return this.#length - before;
  }

  #push(term: number, position: number): void {
    const length = this.#length;
    if (length === this.#term.length) {
      this.#term = resized(this.#term, 2 * length);
      this.#position = resized(this.#position, 2 * length);
    }
    if (term >= this.#counts.length) this.#counts = resized(this.#counts, 2 * term);
    const count = this.#counts[term] ?? 0;
    if (count === 0) this.#used.push(term);
    this.#counts[term] = count + 1;
    this.#term[length] = term;
    this.#position[length] = position;
    this.#length = length + 1;
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
    let inText = 0;
    let inTitle = 0;
    let last = 0;
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

function resized<T extends Uint32Array | Int32Array>(array: T, length: number): T;
function resized(array: Uint32Array | Int32Array, length: number): Uint32Array | Int32Array {
  const grown = array instanceof Int32Array ? new Int32Array(length) : new Uint32Array(length);
  grown.set(array);
  return grown;
}
