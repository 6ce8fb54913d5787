/**
 * Numbers for the terms of an index, and the terms of each word that was seen: most of a text is a few thousand
 * different words, and of a word in a text of ASCII not even a text of its own is made to find it.
 */
import { compareTerms } from '../search/dictionary.ts';
import { type Span, termsOf } from './words.ts';

/** Words that a lexicon is kept for; then a new one begins. */
export const LEXICON_WORDS_MAX = 65_536;
const SLOTS_MIN = 4096;
/** A slot is four numbers side by side: hash, where the word's bytes begin, how many they are (0: empty), and its terms. */
const SLOT = 4;

/** Words and terms, numbered in the order in which they came. */
export class Lexicon {
  /** The terms by their numbers. */
  readonly terms: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** Bytes of the words of ASCII, one behind the other. */
  #bytes: Uint8Array = new Uint8Array(8 * SLOTS_MIN);
  #bytesUsed = 0;
  #slots: Int32Array = new Int32Array(SLOT * SLOTS_MIN);
  #words = 0;
  /** Terms of words that have none or several. */
  readonly #lists: (readonly number[])[] = [];
  readonly #others = new Map<string, readonly number[]>();
  /** Numbers of the terms in byte order, of those that were there when they were sorted last. */
  #sorted: Uint32Array = new Uint32Array(0);
  #ranks: Uint32Array = new Uint32Array(0);

  /** How many words it knows. */
  get size(): number {
    return this.#words + this.#others.size;
  }

  /** The number of a word's term, a word of ASCII; if it has none or several, a negative number for `several`. */
  ofSpan(span: Span): number {
    const slots = this.#slots;
    const hash = span.hash ^ (span.hash >>> 15);
    const mask = slots.length - 1;
    for (let slot = (SLOT * hash) & mask; ; slot = (slot + SLOT) & mask) {
      if (slots[slot + 2] === 0) return this.#learn(span, hash, slot);
      if (slots[slot] === hash && this.#stands(slot, span)) return slots[slot + 3] ?? 0;
    }
  }

  /** The terms that a negative number of `ofSpan` stands for. */
  several(number: number): readonly number[] {
    return this.#lists[-1 - number] ?? [];
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

  #stands(slot: number, { bytes, start, end }: Span): boolean {
    const known = this.#bytes;
    if (this.#slots[slot + 2] !== end - start) return false;
    for (let at = start, i = this.#slots[slot + 1] ?? 0; at < end; at++, i++) {
      if (known[i] !== bytes[at]) return false;
    }
    return true;
  }

  #learn({ bytes, start, end }: Span, hash: number, slot: number): number {
    const word = bytes.subarray(start, end);
    const numbers = termsOf(Buffer.from(word).toString('latin1')).map((term) => this.#numberOf(term));
    const [only] = numbers;
    const found = numbers.length === 1 && only !== undefined ? only : -this.#lists.push(numbers);
    if (this.#bytesUsed + word.length > this.#bytes.length) {
      const grown = new Uint8Array(2 * (this.#bytesUsed + word.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(word, this.#bytesUsed);
    this.#slots.set([hash, this.#bytesUsed, word.length, found], slot);
    this.#bytesUsed += word.length;
    this.#words++;
    if (2 * SLOT * this.#words >= this.#slots.length) this.#slots = doubled(this.#slots);
    return found;
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

function doubled(slots: Int32Array): Int32Array {
  const grown = new Int32Array(2 * slots.length);
  const mask = grown.length - 1;
  for (let from = 0; from < slots.length; from += SLOT) {
    if (slots[from + 2] === 0) continue;
    let slot = (SLOT * (slots[from] ?? 0)) & mask;
    while (grown[slot + 2] !== 0) slot = (slot + SLOT) & mask;
    grown.set(slots.subarray(from, from + SLOT), slot);
  }
  return grown;
}

/** Terms in byte order. Code units are in that order too, and compared faster, unless there are surrogates. */
function sortTerms(terms: string[]): string[] {
  return terms.some((term) => /[\ud800-\udfff]/.test(term)) ? terms.sort(compareTerms) : terms.sort();
}
