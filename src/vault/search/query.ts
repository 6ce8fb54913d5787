/** From a question to weighted terms, the statistics they need, and the words that were probably misspelt. */
import { FUZZY_TERMS_MAX, QUERY_TERMS_MAX } from '../limits.ts';
import { questionTerms } from '../text/words.ts';
import { compareTerms } from './dictionary.ts';
import { editDistance, editsMax } from './fuzzy.ts';
import type { SearchIndex } from './search-index.ts';
import type { SegmentInfo } from './segment.ts';

/** A term of a query. */
export interface WantedTerm {
  readonly term: string;
  /** How much it counts, in 256ths: 256 for the question's own words. */
  readonly share: number;
  /** The word of the question that it stands for, where that one occurs nowhere. */
  readonly corrects?: string;
}

/** Share of a question's own term. */
export const QUESTION_SHARE = 256;
/** Share of a term that only stands in the context. */
const CONTEXT_SHARE = 64;
/** Share of a term by its edits from the word that was asked. */
const CORRECTED_SHARES: readonly number[] = [QUESTION_SHARE, 128, 64];
/** The terms of a question and then those that only its context has. */
export function wantedTerms(question: string, context: readonly string[]): WantedTerm[] {
  const wanted = new Map<string, WantedTerm>();
  for (const term of questionTerms(question)) wanted.set(term, { term, share: QUESTION_SHARE });
  for (const term of context.flatMap(questionTerms)) {
    if (!wanted.has(term)) wanted.set(term, { term, share: CONTEXT_SHARE });
  }
  return [...wanted.values()].slice(0, QUERY_TERMS_MAX);
}

/** A term of the dictionary that a word may have meant. */
export interface Correction {
  readonly term: string;
  /** Edits between the two. */
  readonly distance: number;
  /** Chunks that hold it. */
  readonly chunks: number;
}

/** The query's term for a word that occurs nowhere, given its correction. */
export function correctedTerm(word: string, correction: Correction): WantedTerm {
  return { term: correction.term, share: CORRECTED_SHARES[correction.distance] ?? 0, corrects: word };
}

/** Order of corrections: nearest first, then the more frequent, then in byte order. */
export function compareCorrections(a: Correction, b: Correction): number {
  return a.distance - b.distance || b.chunks - a.chunks || compareTerms(a.term, b.term);
}

/** The first letter of a word. */
export function firstLetter(word: string): string {
  return String.fromCodePoint(word.codePointAt(0) ?? 0);
}

/**
 * Terms of the dictionary within a few edits of a word. Those with the same first letter are tried first; at most
 * `FUZZY_TERMS_MAX` are looked at in each turn. `every`: both turns are made and whole, because terms may not count.
 */
export async function corrections(
  index: SearchIndex,
  segments: readonly SegmentInfo[],
  asked: { readonly word: string; readonly every: boolean },
): Promise<Correction[]> {
  const { word, every } = asked;
  const max = editsMax(word.length);
  if (max === 0 || !/^\p{L}+$/u.test(word)) return [];
  const near = await withinEdits(index, segments, { word, max, every, initial: firstLetter(word) });
  if (near.length > 0 && !every) return near;
  return withinEdits(index, segments, { word, max, every, initial: '' });
}

async function withinEdits(
  index: SearchIndex,
  segments: readonly SegmentInfo[],
  wanted: { readonly word: string; readonly max: number; readonly every: boolean; readonly initial: string },
): Promise<Correction[]> {
  const found: Correction[] = [];
  let seen = 0;
  for await (const { term, chunks } of index.terms(segments, wanted.initial)) {
    if ((++seen > FUZZY_TERMS_MAX && !wanted.every) || !term.startsWith(wanted.initial)) break;
    const distance = editDistance(wanted.word, term, wanted.max);
    if (distance !== undefined && distance > 0) found.push({ term, distance, chunks });
  }
  return found;
}
