/** Phrases: what stands between quotation marks in a question must stand in a passage as it is. */
import { questionTokens } from '../text/words.ts';
import { indexOfChunk, type Positions, type Postings, positionsAt } from './postings.ts';

/** Most phrases of one question. */
const PHRASES_MAX = 8;
/** Most different terms of one phrase. */
const PHRASE_TERMS_MAX = 16;
const QUOTED =
  /["\u201c\u201d\u201e]([^"\u201c\u201d\u201e]{1,256})["\u201c\u201d]|\u00ab([^\u00bb]{1,256})\u00bb|\u300c([^\u300d]{1,256})\u300d/gu;

/** One word of a phrase: a term and its distance from the phrase's first word. */
export interface PhraseTerm {
  readonly term: string;
  readonly offset: number;
}

/** A phrase as its terms; never empty. */
export type Phrase = readonly PhraseTerm[];

/** The phrases of a question, in order. Stopwords inside a phrase only keep its words apart. */
export function phrasesOf(question: string): Phrase[] {
  const phrases: Phrase[] = [];
  for (const [, straight, angled, cornered] of question.matchAll(QUOTED)) {
    const tokens = questionTokens(straight ?? angled ?? cornered ?? '', question).slice(0, PHRASE_TERMS_MAX);
    const [first] = tokens;
    if (first === undefined) continue;
    phrases.push(tokens.map(({ term, position }) => ({ term, offset: position - first.position })));
  }
  return phrases.slice(0, PHRASES_MAX);
}

/** What a segment says of one word of a phrase. */
export interface PlacedTerm extends PhraseTerm {
  readonly postings: Postings;
  readonly positions: Positions;
}

/** The chunks of a segment whose text holds the phrase. */
export function holdersOf(terms: readonly PlacedTerm[]): number[] {
  const [rarest, ...others] = [...terms].sort((a, b) => a.postings.chunks.length - b.postings.chunks.length);
  if (rarest === undefined) return [];
  const holders: number[] = [];
  for (const [at, chunk] of rarest.postings.chunks.entries()) {
    const places = others.map((term) => indexOfChunk(term.postings, chunk));
    if (places.includes(-1)) continue;
    const starts = new Set(positionsAt(rarest.postings, rarest.positions, at).map((p) => p - rarest.offset));
    for (const [i, term] of others.entries()) {
      const found = new Set(positionsAt(term.postings, term.positions, places[i] ?? 0));
      for (const start of starts) if (!found.has(start + term.offset)) starts.delete(start);
    }
    if (starts.size > 0) holders.push(chunk);
  }
  return holders;
}
