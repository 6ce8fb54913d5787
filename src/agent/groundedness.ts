/** How much of an answer rests on what it cites (AGENT-12). */
import { utf8 } from '../base/bytes.ts';
import type { Citation } from '../protocol/call.ts';
import { PPM } from '../protocol/limits.ts';
import { type Language, languageOf } from '../vault/text/language.ts';
import { unitsOf } from '../vault/text/sentences.ts';
import { analyse } from '../vault/text/words.ts';

/** The sentences of an answer, and how many of them are grounded. */
export interface Groundedness {
  readonly sentences: number;
  readonly grounded: number;
  /** `grounded` of `sentences` in millionths, rounded down; all of an answer without sentences. */
  readonly ppm: number;
  /** The first sentence that is not, if any. */
  readonly first?: string;
}

/** An answer as it was delivered. */
export interface DeliveredAnswer {
  readonly text: string;
  /** Texts of its sources, by number. */
  readonly sources: readonly string[];
  readonly citations: readonly Citation[];
}

/** Share of a sentence's terms that what it cites must have, millionths. */
const TERMS_MIN_PPM = 500_000;

/** How much of `answer` rests on what it cites. Sentences without a term, such as a heading's dash, do not count. */
export function groundednessOf(answer: DeliveredAnswer): Groundedness {
  let sentences = 0;
  let grounded = 0;
  let first: string | undefined;
  const language = languageOf(answer.text);
  for (const { start, end } of unitsOf(answer.text)) {
    const sentence = answer.text.slice(start, end);
    const terms = termsOf(sentence, language);
    if (terms.size === 0) continue;
    sentences++;
    const from = utf8(answer.text.slice(0, start)).length;
    const known = citedTerms(answer, { from, to: from + utf8(sentence).length, language });
    const held = [...terms].filter((term) => known.has(term)).length;
    if (held * PPM >= terms.size * TERMS_MIN_PPM) grounded++;
    else first ??= sentence;
  }
  const ppm = sentences === 0 ? PPM : Math.floor((grounded * PPM) / sentences);
  return { sentences, grounded, ppm, ...(first !== undefined && { first }) };
}

/** The terms of all spans that the answer cites for the bytes from `from` to `to`. */
function citedTerms(
  answer: DeliveredAnswer,
  {
    from,
    to,
    language,
  }: { readonly from: number; readonly to: number; readonly language: Language | undefined },
): ReadonlySet<string> {
  const terms = new Set<string>();
  for (const { start, end, source, sourceStart, sourceEnd } of answer.citations) {
    if (end <= from || start >= to) continue;
    const bytes = utf8(answer.sources[source] ?? '').subarray(sourceStart, sourceEnd);
    for (const term of termsOf(new TextDecoder().decode(bytes), language)) terms.add(term);
  }
  return terms;
}

function termsOf(text: string, language: Language | undefined): Set<string> {
  return new Set(analyse(text, language).map(({ term }) => term));
}
