/**
 * From text to index terms, the same on every machine: Unicode compatibility folding, words by letter and digit,
 * camelCase and letter-digit parts beside the whole, two-character terms for Chinese, Japanese and Korean, English
 * stopwords and light stemming. No locale and no segmenter of the platform takes part.
 */
import { TERM_CHARACTERS_MAX } from '../limits.ts';
import { scriptRuns } from './scripts.ts';
import { stem } from './stem.ts';
import { QUESTION_WORDS, STOPWORDS } from './stopwords.ts';

/** Version of the rules of this module; part of what a vault commits to. */
export const ANALYSIS_VERSION = 1;

/** One index term and its position, in words from the start of the text. */
export interface Token {
  readonly term: string;
  readonly position: number;
}

const WORD = /[\p{L}\p{N}\p{M}]+(?:['\u2019][\p{L}\p{N}\p{M}]+)*/gu;
const PARTS = /\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{Lo}\p{Lm}\p{M}]+|\p{Lu}+|\p{N}+/gu;
const MARKS = /[\u0300-\u036f]/g;

/** The folded form of `text`: compatibility forms and Latin, Greek and Cyrillic diacritics removed, lower case. */
export function fold(text: string): string {
  return withoutMarks(text).toLowerCase();
}

/** The index terms of `text`. A word and its parts share a position. */
export function analyse(text: string): Token[] {
  const tokens: Token[] = [];
  scanTerms(text, (term, position) => tokens.push({ term, position }));
  return tokens;
}

/** Calls `visit` with every index term of `text` in the order of `analyse`, without an object for each. */
function scanTerms(text: string, visit: (term: string, position: number) => void): void {
  scanWords(text, {
    span({ start, end }, position) {
      for (const term of termsOf(text.slice(start, end))) visit(term, position);
    },
    word(_word, terms, position) {
      for (const term of terms) visit(term, position);
    },
  });
}

/** A word of a text that is all ASCII. One object serves for all: it is another word at the next call. */
export interface Span {
  /** The text, and where the word stands in it; its length is that of the text or more. */
  bytes: Uint8Array;
  start: number;
  end: number;
  /** A 32-bit hash of the word. */
  hash: number;
}

/** Is told the indexed words of a text with their positions. */
export interface WordVisitor {
  /** A word of a text that is all ASCII. Its terms are `termsOf` it. */
  span(span: Span, position: number): void;
  /** A word of any other text, and its terms, which depend on the word alone. */
  word(word: string, terms: readonly string[], position: number): void;
}

/** Tells `visitor` every indexed word of `text`. Of a run of East Asian characters each pair of neighbours is a word. */
export function scanWords(text: string, visitor: WordVisitor): void {
  if (scratch.length < text.length) scratch = new Uint8Array(2 * text.length);
  // Reading characters out of a text is slow where it was put together or cut out of another; bytes are always flat.
  if (encoder.encodeInto(text, scratch.subarray(0, text.length)).read === text.length) {
    scanAscii(scratch, text.length, visitor);
    return;
  }
  let position = 0;
  for (const [found] of withoutMarks(text).matchAll(WORD)) {
    for (const { text: run, eastAsian } of runsOf(found)) {
      if (eastAsian) position = visitBigrams(run, position, (pair, at) => visitor.word(pair, [pair], at));
      else visitor.word(run, termsOf(run), position++);
    }
  }
}

const APOSTROPHE = 0x27;
/** One for each ASCII character of words. */
const IN_WORD = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9]/.test(String.fromCharCode(code)) ? 1 : 0,
);

const encoder = new TextEncoder();
let scratch = new Uint8Array(4096);

/** What `WORD` finds in `length` bytes of ASCII, without an object or a text for each. */
function scanAscii(bytes: Uint8Array, length: number, visitor: WordVisitor): void {
  const span: Span = { bytes, start: 0, end: 0, hash: 0 };
  let position = 0;
  for (let at = 0; at < length; at++) {
    let code = bytes[at] ?? 0;
    if (IN_WORD[code] === 0) continue;
    span.start = at;
    let hash = 0;
    for (;;) {
      hash = (Math.imul(hash, 31) + code) | 0;
      at++;
      if (at >= length) break;
      code = bytes[at] ?? 0;
      if (IN_WORD[code] === 1) continue;
      // One between two characters of a word belongs to it.
      if (code !== APOSTROPHE || at + 1 >= length || IN_WORD[bytes[at + 1] ?? 0] === 0) break;
    }
    span.end = at;
    span.hash = hash;
    visitor.span(span, position++);
  }
}

/** Words whose terms are remembered: most of a text is a few thousand different ones. */
const REMEMBERED_WORDS_MAX = 65_536;
/** Longer slices would keep the whole text that they were cut from in memory. */
const REMEMBERED_WORD_LENGTH_MAX = 12;
const remembered = new Map<string, readonly string[]>();

/** The index terms of one word of a text without marks. */
export function termsOf(word: string): readonly string[] {
  const known = remembered.get(word);
  if (known !== undefined) return known;
  const terms = wordTerms(word);
  if (word.length > REMEMBERED_WORD_LENGTH_MAX) return terms;
  if (remembered.size >= REMEMBERED_WORDS_MAX) remembered.clear();
  remembered.set(word, terms);
  return terms;
}

/**
 * The distinct terms of a question, in the order of their first occurrence: parts of compound words count, the
 * wrapping words ("explain", "tell") do not where anything else is asked.
 */
export function questionTerms(question: string): string[] {
  const all = [...new Set(analyse(question).map((token) => token.term))];
  const topical = all.filter((term) => !QUESTION_STEMS.has(term));
  return topical.length > 0 ? topical : all;
}

/** How many words `text` has, for the size of chunks and the length of sentences: each CJK character is one. */
export function countWords(text: string): number {
  let count = 0;
  for (const [word] of text.matchAll(WORD)) {
    for (const { text: run, eastAsian } of runsOf(word)) count += eastAsian ? [...run].length : 1;
  }
  return count;
}

const QUESTION_STEMS: ReadonlySet<string> = new Set([...QUESTION_WORDS].map(stem));

/** Most words are Latin and one run: only others are looked at character by character. */
function runsOf(word: string): readonly { readonly text: string; readonly eastAsian: boolean }[] {
  for (let i = 0; i < word.length; i++) if (word.charCodeAt(i) >= 0x1100) return scriptRuns(word);
  return [{ text: word, eastAsian: false }];
}

function withoutMarks(text: string): string {
  // ASCII needs no folding, and most text is ASCII.
  if (!/[^\p{ASCII}]/u.test(text)) return text;
  return text.normalize('NFKD').replace(MARKS, '').normalize('NFKC');
}

function wordTerms(word: string): string[] {
  const bare = word.replace(/['\u2019]s$/i, '').replace(/['\u2019]/g, '');
  const whole = bare.toLowerCase();
  const terms = new Set<string>();
  const parts = bare.match(PARTS) ?? [];
  for (const part of parts.length > 1 ? [...parts, bare] : [bare]) {
    const term = part.toLowerCase();
    if (STOPWORDS.has(term) || term.length > TERM_CHARACTERS_MAX) continue;
    // A single letter that is only a part of a word says nothing.
    if (term.length === 1 && term !== whole && !/\p{N}/u.test(term)) continue;
    terms.add(stem(term));
  }
  return [...terms];
}

function visitBigrams(run: string, start: number, visit: (term: string, position: number) => void): number {
  const characters = [...run];
  if (characters.length === 1) visit(run, start);
  for (let i = 0; i + 1 < characters.length; i++) visit(`${characters[i]}${characters[i + 1]}`, start + i);
  return start + characters.length;
}
