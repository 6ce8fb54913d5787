/**
 * From text to index terms, the same on every machine: Unicode compatibility folding, words by letter and digit,
 * camelCase and letter-digit parts beside the whole, two-character terms for Chinese, Japanese and Korean, small words
 * left out and stems in the language of the text. No locale and no segmenter of the platform takes part.
 */
import { TERM_CHARACTERS_MAX } from '../limits.ts';
import { type Language, languageOf } from './language.ts';
import { withoutMarks } from './marks.ts';
import { latin1, ownText, scanWords } from './scan.ts';
import { SMALL_WORDS } from './small-words.ts';
import { STEMMERS, stem } from './stem.ts';
import { QUESTION_WORDS, STOPWORDS } from './stopwords.ts';

/** Version of the rules of this module; part of what a vault commits to. */
export const ANALYSIS_VERSION = 2;

/** One index term and its position, in words from the start of the text. */
export interface Token {
  readonly term: string;
  readonly position: number;
}

const PARTS = /\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{Lo}\p{Lm}\p{M}]+|\p{Lu}+|\p{N}+/gu;

/** The folded form of `text`: compatibility forms and Latin, Greek and Cyrillic diacritics removed, lower case. */
export function fold(text: string): string {
  return withoutMarks(text).toLowerCase();
}

/**
 * The index terms of `text`, by default as its own language has them. A word and its parts share a position, and so do a
 * word's term in that language and the one that every text has, which is that of an English text.
 */
export function analyse(text: string, language: Language | undefined = languageOf(text)): Token[] {
  return tokensOf(text, (word) => termsOf(word, language));
}

/** The terms of a question, each word by the stem of its language alone. */
function asked(question: string, language: Language | undefined): Token[] {
  return tokensOf(question, (word) => termsAsked(word, language));
}

function tokensOf(text: string, terms: (word: string) => readonly string[]): Token[] {
  const tokens: Token[] = [];
  scanWords(text, {
    span(bytes, start, end, position) {
      for (const term of terms(latin1(bytes, start, end))) tokens.push({ term, position });
    },
    word(word, position) {
      for (const term of terms(word)) tokens.push({ term, position });
    },
    pair: (pair, position) => tokens.push({ term: pair, position }),
  });
  return tokens;
}

/** Words whose terms are remembered: most of a text is a few thousand different ones. */
const REMEMBERED_WORDS_MAX = 65_536;
/** Longer ones are seldom met again. */
const REMEMBERED_WORD_LENGTH_MAX = 24;
const remembered = new Map<Language | undefined, Map<string, readonly string[]>>();

/** The index terms of one word of a text in `language`. */
export function termsOf(word: string, language: Language | undefined): readonly string[] {
  const known = remembered.get(language) ?? new Map<string, readonly string[]>();
  const kept = known.get(word);
  if (kept !== undefined) return kept;
  const own = ownText(word);
  const terms = wordTerms(own, language, 'held');
  if (word.length > REMEMBERED_WORD_LENGTH_MAX) return terms;
  if (known.size >= REMEMBERED_WORDS_MAX) known.clear();
  known.set(own, terms);
  remembered.set(language, known);
  return terms;
}

/** The terms by which a question in `language` asks for a word. */
export function termsAsked(word: string, language: Language | undefined): readonly string[] {
  return wordTerms(word, language, 'asked');
}

/**
 * The distinct terms of a question, in the order of their first occurrence: parts of compound words count, the
 * wrapping words ("explain", "tell") do not where anything else is asked.
 */
export function questionTerms(question: string): string[] {
  const all = [...new Set(questionTokens(question).map((token) => token.term))];
  const topical = all.filter((term) => !QUESTION_STEMS.has(term));
  return topical.length > 0 ? topical : all;
}

/** The terms of a question, or of a part of one, with their positions: one for each word or part of a word. */
export function questionTokens(part: string, question: string = part): Token[] {
  return asked(part, languageOf(question));
}

const QUESTION_STEMS: ReadonlySet<string> = new Set([...QUESTION_WORDS].map(stem));

/** What stands before an apostrophe that joins two words. */
const ELIDED: Readonly<Partial<Record<Language, RegExp>>> = {
  fr: /^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu)['\u2019]/i,
  it: /^(?:[cdlmnstv]|al|all|anch|bell|c|com|cos|dall|dell|dov|l|nell|quest|quell|sull|un)['\u2019]/i,
};

function wordTerms(word: string, language: Language | undefined, form: 'held' | 'asked'): string[] {
  const other = language === undefined ? undefined : STEMMERS[language];
  const elided = language && ELIDED[language];
  const whole = elided === undefined ? word : word.replace(elided, '');
  const bare = whole.replace(/['\u2019]s$/i, '').replace(/['\u2019]/g, '');
  const folded = fold(bare);
  const terms = new Set<string>();
  const parts = bare.match(PARTS) ?? [];
  for (const part of parts.length > 1 ? [...parts, bare] : [bare]) {
    const term = fold(part);
    if (term.length > TERM_CHARACTERS_MAX) continue;
    // A single letter that is only a part of a word says nothing.
    if (term.length === 1 && term !== folded && !/\p{N}/u.test(term)) continue;
    if (other === undefined) {
      if (!STOPWORDS.has(term)) terms.add(stem(term));
      continue;
    }
    if (language !== undefined && SMALL_WORDS[language]?.has(term)) continue;
    if (form === 'held' && !STOPWORDS.has(term)) terms.add(stem(term));
    const base = other.forms.get(term);
    terms.add(fold(other.stem(base ?? part.toLowerCase())));
  }
  terms.delete('');
  return [...terms];
}
