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
  scanWords(text, (word, terms, position) => {
    for (const term of terms(word)) visit(term, position);
  });
}

/**
 * Calls `visit` with every indexed word of `text`, what gives its terms (which depend on the word alone), and its
 * position. Of a run of East Asian characters each pair of neighbours is a word.
 */
export function scanWords(
  text: string,
  visit: (word: string, terms: (word: string) => readonly string[], position: number) => void,
): void {
  let position = 0;
  if (!/[^\p{ASCII}]/u.test(text)) {
    asciiWords(text, (found) => visit(found, termsOf, position++));
    return;
  }
  for (const [found] of withoutMarks(text).matchAll(WORD)) {
    for (const { text: run, eastAsian } of runsOf(found)) {
      if (eastAsian) position = visitBigrams(run, position, (pair, at) => visit(pair, asItIs, at));
      else visit(run, termsOf, position++);
    }
  }
}

function asItIs(word: string): readonly string[] {
  return [word];
}

const APOSTROPHE = 0x27;

/** What `WORD` finds in a text of ASCII alone, without a match object for each. */
function asciiWords(text: string, word: (found: string) => void): void {
  let start = -1;
  for (let at = 0; at <= text.length; at++) {
    const inside = at < text.length && isAsciiWord(text.charCodeAt(at));
    if (inside) {
      if (start === -1) start = at;
      continue;
    }
    if (start === -1) continue;
    const joined =
      text.charCodeAt(at) === APOSTROPHE && at + 1 < text.length && isAsciiWord(text.charCodeAt(at + 1));
    if (joined) continue;
    word(text.slice(start, at));
    start = -1;
  }
}

function isAsciiWord(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39);
}

/** Words whose terms are remembered: most of a text is a few thousand different ones. */
const REMEMBERED_WORDS_MAX = 65_536;
/** Longer slices would keep the whole text that they were cut from in memory. */
const REMEMBERED_WORD_LENGTH_MAX = 12;
const remembered = new Map<string, readonly string[]>();

function termsOf(word: string): readonly string[] {
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
