/**
 * Numbers for the words and terms of an index, and the terms of each word that was seen, by language: most of a text is a
 * few thousand different words, and of a word in a text of ASCII not even a text of its own is made to find it.
 */
import { compareTerms } from '../search/dictionary.ts';
import { type Language, type LanguageCounts, languageBits } from './language.ts';
import { type AsciiWords, latin1, ownText, PLACE } from './scan.ts';
import { termsOf } from './words.ts';

/** Words or terms that a lexicon is kept for; then a new one begins. */
const LEXICON_WORDS_MAX = 65_536;
const SLOTS_MIN = 4096;
/** A slot is four numbers side by side: hash, where the word's bytes begin, how many they are (0: empty), and its number. */
const SLOT = 4;
const ROOM = 4096;

/** Words and terms, numbered in the order in which they came. */
export class Lexicon {
  /** The terms by their numbers. */
  readonly terms: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** Bytes of the words of ASCII, one behind the other. */
  #bytes: Uint8Array = new Uint8Array(8 * SLOTS_MIN);
  #bytesUsed = 0;
  #slots: Int32Array = new Int32Array(SLOT * SLOTS_MIN);
  #spans = 0;
  /** The words by their numbers, and what each says of the language of its text. */
  readonly #words: string[] = [];
  #bits: Uint8Array = new Uint8Array(ROOM);
  readonly #others = new Map<string, number>();
  /** For each language by word one more than the term's number, or a negative number for `several`; 0: not asked yet. */
  readonly #found = new Map<Language | undefined, Int32Array>();
  /** Terms of words that have none or several. */
  readonly #lists: (readonly number[])[] = [];
  /** Numbers of the terms in byte order, of those that were there when they were sorted last. */
  #sorted: Uint32Array = new Uint32Array(0);
  #ranks: Uint32Array = new Uint32Array(0);

  /** Whether it knows enough for a new one to begin: pairs of East Asian characters are terms without a word. */
  get isFull(): boolean {
    return Math.max(this.#words.length, this.terms.length) >= LEXICON_WORDS_MAX;
  }

  /** Puts the numbers of the words of ASCII into `numbers`, which has room for them. */
  wordsOf({ bytes, places, count }: AsciiWords, numbers: Int32Array): void {
    for (let word = 0; word < count; word++) {
      const start = places[PLACE * word] ?? 0;
      const end = places[PLACE * word + 1] ?? 0;
      const mixed = places[PLACE * word + 2] ?? 0;
      numbers[word] = this.#wordAt(bytes, start, end, mixed ^ (mixed >>> 15));
    }
  }

  #wordAt(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const [slots, known, length] = [this.#slots, this.#bytes, end - start];
    const mask = slots.length - 1;
    for (let slot = (SLOT * hash) & mask; ; slot = (slot + SLOT) & mask) {
      if (slots[slot + 2] === 0) return this.#learn(bytes.subarray(start, end), hash, slot);
      if (slots[slot] !== hash || slots[slot + 2] !== length) continue;
      const from = (slots[slot + 1] ?? 0) - start;
      let at = start;
      while (at < end && known[from + at] === bytes[at]) at++;
      if (at === end) return slots[slot + 3] ?? 0;
    }
  }

  /** The number of any other word. */
  wordOf(word: string): number {
    const known = this.#others.get(word);
    if (known !== undefined) return known;
    const own = ownText(word);
    const number = this.#newWord(own);
    this.#others.set(own, number);
    return number;
  }

  /** Counts the first `count` of `words` by their languages; negative numbers are no words. */
  countLanguages(words: Int32Array, count: number, counts: LanguageCounts): void {
    const bits = this.#bits;
    let others = 0;
    for (let i = 0; i < count; i++) {
      const word = words[i] ?? 0;
      if (word < 0) continue;
      const told = bits[word] ?? 0;
      if (told === 0) others++;
      else counts.add(told);
    }
    counts.addOthers(others);
  }

  /** The terms of words in a language, by the numbers of the words: read a number by `termOf`. */
  inLanguage(language: Language | undefined): Int32Array {
    const kept = this.#found.get(language);
    if (kept !== undefined && kept.length >= this.#words.length) return kept;
    const grown = new Int32Array(Math.max(ROOM, 2 * this.#words.length));
    if (kept !== undefined) grown.set(kept);
    this.#found.set(language, grown);
    return grown;
  }

  /** The number of a word's term in a language; if it has none or several, a negative number for `several`. `found` is that of `inLanguage`. */
  termOf(word: number, language: Language | undefined, found: Int32Array): number {
    const known = found[word] ?? 0;
    if (known !== 0) return known > 0 ? known - 1 : known;
    const numbers = termsOf(this.#words[word] ?? '', language).map((term) => this.numberOf(term));
    const [only] = numbers;
    if (numbers.length === 1 && only !== undefined) {
      found[word] = only + 1;
      return only;
    }
    const list = -this.#lists.push(numbers);
    found[word] = list;
    return list;
  }

  /** The terms that a negative number of `termOf` stands for. */
  several(number: number): readonly number[] {
    return this.#lists[-1 - number] ?? [];
  }

  /** The number of a term. */
  numberOf(term: string): number {
    const known = this.#numbers.get(term);
    if (known !== undefined) return known;
    this.#numbers.set(term, this.terms.length);
    return this.terms.push(term) - 1;
  }

  /** The numbers `used` in the byte order of their terms. */
  inOrder(used: readonly number[]): Uint32Array {
    this.#sort();
    const [ranks, sorted] = [this.#ranks, this.#sorted];
    const order = new Uint32Array(used.length);
    for (let i = 0; i < used.length; i++) order[i] = ranks[used[i] ?? 0] ?? 0;
    order.sort();
    for (let i = 0; i < order.length; i++) order[i] = sorted[order[i] ?? 0] ?? 0;
    return order;
  }

  #learn(bytes: Uint8Array, hash: number, slot: number): number {
    const { length } = bytes;
    if (this.#bytesUsed + length > this.#bytes.length) {
      const grown = new Uint8Array(2 * (this.#bytesUsed + length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#bytesUsed);
    const number = this.#newWord(latin1(bytes, 0, length));
    this.#slots.set([hash, this.#bytesUsed, length, number], slot);
    this.#bytesUsed += length;
    this.#spans++;
    if (2 * SLOT * this.#spans >= this.#slots.length) this.#slots = doubled(this.#slots);
    return number;
  }

  #newWord(word: string): number {
    const number = this.#words.push(word) - 1;
    if (number >= this.#bits.length) {
      const grown = new Uint8Array(2 * this.#bits.length);
      grown.set(this.#bits);
      this.#bits = grown;
    }
    this.#bits[number] = languageBits(word);
    return number;
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
