/**
 * Numbers for the terms of an index, and the terms of each word that was seen: most of a text is a few thousand
 * different words, and of a word in a text of ASCII not even a text of its own is made to find it.
 */
import { compareTerms } from '../search/dictionary.ts';
import { type Span, termsOf } from './words.ts';

/** Words that a lexicon is kept for; then a new one begins. */
export const LEXICON_WORDS_MAX = 65_536;
const SLOTS_MIN = 4096;
const EMPTY = -1;

/** Words and terms, numbered in the order in which they came. */
export class Lexicon {
  /** The terms by their numbers. */
  readonly terms: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** The words that were found as bytes, one behind the other, and where each ends. */
  #bytes: Uint8Array = new Uint8Array(8 * SLOTS_MIN);
  readonly #ends: number[] = [];
  readonly #hashes: number[] = [];
  readonly #termsOfWord: (readonly number[])[] = [];
  readonly #others = new Map<string, readonly number[]>();
  #slots = new Int32Array(SLOTS_MIN).fill(EMPTY);
  /** Numbers of the terms in byte order, of those that were there when they were sorted last. */
  #sorted: Uint32Array = new Uint32Array(0);
  #ranks: Uint32Array = new Uint32Array(0);

  /** How many words it knows. */
  get size(): number {
    return this.#ends.length + this.#others.size;
  }

  /** Numbers of the terms of a word of ASCII. */
  ofSpan(span: Span): readonly number[] {
    const hash = span.hash ^ (span.hash >>> 15);
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const word = this.#slots[slot] ?? EMPTY;
      if (word === EMPTY) return this.#learn(span, hash);
      if (this.#hashes[word] === hash && this.#is(word, span)) return this.#termsOfWord[word] ?? [];
    }
  }

  /** Numbers of the terms of any other word. */
  ofWord(word: string, terms: readonly string[]): readonly number[] {
    const known = this.#others.get(word);
    if (known !== undefined) return known;
    const numbers = terms.map((term) => this.#numberOf(term));
    this.#others.set(word, numbers);
    return numbers;
  }

  /** The numbers `used` in the byte order of their terms. */
  inOrder(used: readonly number[]): Uint32Array {
    this.#sort();
    const ranks = Uint32Array.from(used, (number) => this.#ranks[number] ?? 0).sort();
    return ranks.map((rank) => this.#sorted[rank] ?? 0);
  }

  #is(word: number, { bytes, start, end }: Span): boolean {
    const known = this.#bytes;
    const first = word === 0 ? 0 : (this.#ends[word - 1] ?? 0);
    if ((this.#ends[word] ?? 0) - first !== end - start) return false;
    for (let at = start, i = first; at < end; at++, i++) if (known[i] !== bytes[at]) return false;
    return true;
  }

  #learn({ bytes, start, end }: Span, hash: number): readonly number[] {
    const numbers = termsOf(Buffer.from(bytes.subarray(start, end)).toString('latin1')).map((term) =>
      this.#numberOf(term),
    );
    const first = this.#ends.at(-1) ?? 0;
    const behind = first + end - start;
    if (behind > this.#bytes.length) {
      const grown = new Uint8Array(2 * behind);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes.subarray(start, end), first);
    if (2 * this.#ends.length >= this.#slots.length) this.#grow();
    place(this.#slots, hash, this.#ends.length);
    this.#ends.push(behind);
    this.#hashes.push(hash);
    this.#termsOfWord.push(numbers);
    return numbers;
  }

  #grow(): void {
    this.#slots = new Int32Array(2 * this.#slots.length).fill(EMPTY);
    for (const [word, hash] of this.#hashes.entries()) place(this.#slots, hash, word);
  }

  #numberOf(term: string): number {
    const known = this.#numbers.get(term);
    if (known !== undefined) return known;
    this.#numbers.set(term, this.terms.length);
    return this.terms.push(term) - 1;
  }

  /** Puts the terms that came since the last time among those that are sorted. */
  #sort(): void {
    const { terms } = this;
    const old = this.#sorted;
    if (old.length === terms.length) return;
    const added = sortTerms(terms.slice(old.length));
    const sorted = new Uint32Array(terms.length);
    let [from, to] = [0, 0];
    for (const term of added) {
      const until = this.#firstBehind(term, from);
      sorted.set(old.subarray(from, until), to);
      to += until - from;
      from = until;
      sorted[to++] = this.#numbers.get(term) ?? 0;
    }
    sorted.set(old.subarray(from), to);
    this.#sorted = sorted;
    this.#ranks = new Uint32Array(terms.length);
    for (let rank = 0; rank < sorted.length; rank++) this.#ranks[sorted[rank] ?? 0] = rank;
  }

  #firstBehind(term: string, from: number): number {
    let low = from;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareTerms(this.terms[this.#sorted[middle] ?? 0] ?? '', term) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function place(slots: Int32Array, hash: number, word: number): void {
  const mask = slots.length - 1;
  let slot = hash & mask;
  while (slots[slot] !== EMPTY) slot = (slot + 1) & mask;
  slots[slot] = word;
}

/** Terms in byte order. Code units are in that order too, and compared faster, unless there are surrogates. */
function sortTerms(terms: string[]): string[] {
  return terms.some((term) => /[\ud800-\udfff]/.test(term)) ? terms.sort(compareTerms) : terms.sort();
}
