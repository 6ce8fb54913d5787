/** Which language a text is in, by its script and its most frequent small words: a fixed rule, and no more than a guess. */
import { withoutMarks } from './marks.ts';
import { latin1, scanWords } from './scan.ts';
import { SMALL_WORDS } from './small-words.ts';

/** Languages that are told apart. */
export type Language = 'en' | 'de' | 'fr' | 'es' | 'it' | 'pt' | 'nl' | 'zh' | 'ja' | 'ko' | 'ru';

/** Those in Latin letters; the bit of each in what `languageBits` gives is 1 shifted by its place. */
export const LATIN: readonly Language[] = ['en', 'de', 'fr', 'es', 'it', 'pt', 'nl'];

/** A text of which less than one word in so many is small is in no language: a table, code, a list of names. */
const WORDS_FOR_ONE = 16;
/** Letters with marks that only some of the languages write: they count as small words do. */
const MARKED: readonly (readonly [letters: RegExp, language: Language])[] = [
  [/[äöüß]/, 'de'],
  [/[çèêëîïôœûù]/, 'fr'],
  [/[ñ]/, 'es'],
  [/[ìò]/, 'it'],
  [/[ãõ]/, 'pt'],
];

/** An article, pronoun or preposition before an apostrophe. */
const ELIDED = /^(?:[dl]|qu|dell|nell|all|dall|sull)['\u2019](?=\p{L}\p{L})/u;
const ELIDING: readonly Language[] = ['fr', 'it'];

const BITS: ReadonlyMap<string, number> = smallWords();

/** Which languages a word counts for: those that have it as a small word or alone write its marked letters. */
export function languageBits(word: string): number {
  const lower = word.toLowerCase();
  const rest = lower.replace(ELIDED, '');
  let bits = BITS.get(withoutMarks(rest)) ?? 0;
  if (bits === 0 && rest !== lower) for (const language of ELIDING) bits |= 1 << LATIN.indexOf(language);
  for (const [letters, language] of MARKED) if (letters.test(lower)) bits |= 1 << LATIN.indexOf(language);
  return bits;
}

/** Counts the words of one text by the languages that they count for. */
export class LanguageCounts {
  readonly #counts: Uint32Array = new Uint32Array(LATIN.length);
  #words = 0;

  /** Begins with another text. */
  clear(): void {
    this.#counts.fill(0);
    this.#words = 0;
  }

  /** So many words for which `languageBits` says nothing. */
  addOthers(count: number): void {
    this.#words += count;
  }

  /** One more word with what `languageBits` says of it. */
  add(bits: number): void {
    this.#words++;
    for (let left = bits, at = 0; left !== 0; left >>= 1, at++) {
      if (left & 1) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    }
  }

  /** The language that most words count for, if no other has as many and they are enough. */
  language(): Language | undefined {
    let best = 0;
    let count = 0;
    for (let at = 0; at < LATIN.length; at++) {
      const found = this.#counts[at] ?? 0;
      if (found > count) [best, count] = [at, found];
      else if (found === count) best = -1;
    }
    return count === 0 || best < 0 || WORDS_FOR_ONE * count < this.#words ? undefined : LATIN[best];
  }
}

const SCRIPTS = /[\u00a1\u00bf\u0400-\u04ff\u3041-\u30ff\u4e00-\u9fff\uac00-\ud7a3]/;

/** The language that a script tells; `undefined` for Latin and all others. */
export function languageOfScript(text: string): Language | undefined {
  if (!SCRIPTS.test(text)) return undefined;
  if (/[\u00a1\u00bf]/.test(text)) return 'es';
  if (/[\u3041-\u30ff]/.test(text)) return 'ja';
  if (/[\uac00-\ud7a3]/.test(text)) return 'ko';
  return /[\u4e00-\u9fff]/.test(text) ? 'zh' : 'ru';
}

/** The language of a text; `undefined` when its script and small words do not tell. */
export function languageOf(text: string): Language | undefined {
  const told = languageOfScript(text);
  if (told !== undefined) return told;
  const counts = new LanguageCounts();
  scanWords(text, {
    span: (bytes, start, end) => counts.add(languageBits(latin1(bytes, start, end))),
    word: (word) => counts.add(languageBits(word)),
    pair: () => {},
  });
  return counts.language();
}

function smallWords(): ReadonlyMap<string, number> {
  const bits = new Map<string, number>();
  for (const [at, language] of LATIN.entries()) {
    // A letter by itself is as often a name or a sign.
    for (const word of SMALL_WORDS[language] ?? [])
      if (word.length > 1) bits.set(word, (bits.get(word) ?? 0) | (1 << at));
  }
  return bits;
}
