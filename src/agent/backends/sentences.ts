/**
 * Which sentences of the passages answer a question: a score in integers for each, so that every machine chooses the
 * same. `spec/knowledge.md` is normative; millionths throughout.
 */

import { type Unit, unitsOf } from '../../vault/text/sentences.ts';
import { analyse, countWords, questionTerms } from '../../vault/text/words.ts';
import type { Passage, WeightedTerm } from './backend.ts';

/** One millionth is the unit of scores. */
export const WHOLE = 1_000_000;

/** A quotable unit of a passage with what it is worth. */
export interface Candidate {
  readonly passage: number;
  /** Position among the units of its passage. */
  readonly position: number;
  readonly unit: Unit;
  readonly text: string;
  /** Distinct terms of its text. */
  readonly terms: ReadonlySet<string>;
  /** Share of the question's weight that its own text covers. */
  readonly coverage: number;
  /** The same with half of what only its title covers; zero unless both hold enough terms of the question. */
  readonly support: number;
  readonly score: number;
}

const TITLE_PART = 2;
const NEIGHBOUR_NUMERATOR = 3;
const NEIGHBOUR_DENOMINATOR = 10;
const RANK_BONUS = 250_000;
const CUE_BONUS = 100_000;
const DEFINITION_BONUS = 200_000;
/** Tenths of its score that a table row keeps: out of its table it reads badly. */
const ROW_TENTHS = 7;
const PLAIN_LENGTH = 18;
const WORDS_MIN = 3;
/** A question of several terms is not answered by one of them. */
const TERMS_MIN = 2;

/** The terms of a question with the weights of the search, or all alike without them. */
export function weighedTerms(
  question: string,
  terms: readonly WeightedTerm[] | undefined,
): readonly WeightedTerm[] {
  if (terms !== undefined && terms.length > 0) return terms;
  return questionTerms(question).map((term) => ({ term, weight: 65_536 }));
}

/** Every quotable unit of the passages, scored. */
export function candidatesOf(
  question: string,
  passages: readonly Passage[],
  terms: readonly WeightedTerm[],
): Candidate[] {
  const total = terms.reduce((sum, { weight }) => sum + weight, 0);
  if (total === 0) return [];
  const share = (held: (term: string) => boolean): number =>
    Math.floor((WHOLE * terms.reduce((sum, { term, weight }) => sum + (held(term) ? weight : 0), 0)) / total);
  const best = Math.max(1, ...passages.map(({ score }) => score));
  return passages.flatMap((passage, index) => {
    const title = termSet(passage.title);
    const units = unitsOf(passage.text);
    const sets = units.map((unit) => termSet(passage.text.slice(unit.start, unit.end)));
    // Scores of a search reach 2^48.
    const rank = Number((BigInt(Math.max(0, passage.score)) * BigInt(RANK_BONUS)) / BigInt(best));
    return units.map((unit, position): Candidate => {
      const own = sets[position] ?? new Set<string>();
      const text = passage.text.slice(unit.start, unit.end);
      const coverage = share((term) => own.has(term));
      const titled = share((term) => own.has(term) || title.has(term)) - coverage;
      const near = [sets[position - 1], sets[position + 1], title];
      const around = share((term) => own.has(term) || near.some((set) => set?.has(term))) - coverage;
      const context = Math.floor((NEIGHBOUR_NUMERATOR * around) / NEIGHBOUR_DENOMINATOR);
      const shaped = Math.floor((1000 * (coverage + context)) / lengthDivisor(countWords(text)));
      const full = coverage === 0 && titled === 0 ? 0 : shaped + rank + cues(question, passage, unit, text);
      const score = unit.kind === 'row' ? Math.floor((ROW_TENTHS * full) / 10) : full;
      const held = terms.filter(({ term }) => own.has(term) || title.has(term)).length;
      const enough = held >= Math.min(TERMS_MIN, terms.length);
      const support = enough ? coverage + Math.floor(titled / TITLE_PART) : 0;
      return { passage: index, position, unit, text, terms: own, coverage, support, score };
    });
  });
}

/** Whether a unit says anything by itself. */
export function isQuotable(candidate: Candidate): boolean {
  return candidate.unit.kind !== 'sentence' || countWords(candidate.text) >= WORDS_MIN;
}

/** The integer square root, rounded down. */
export function integerRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** 1000 times the fourth root of `words` / 18, rounded down, so that long sentences pay for their length. */
export function lengthDivisor(words: number): number {
  const scaled = (BigInt(Math.max(words, 6)) * 10n ** 12n) / BigInt(PLAIN_LENGTH);
  return Number(integerRoot(integerRoot(scaled)));
}

function termSet(text: string): ReadonlySet<string> {
  return new Set(analyse(text).map((token) => token.term));
}

const NUMBER = /\p{N}/u;
const DATE =
  /\b(?:1\d{3}|20\d{2})\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b|\b\d{1,2}:\d{2}\b/i;
const NAME = /(?:^|\s)\p{Lu}[\p{L}'\u2019.-]*\s+\p{Lu}\p{L}/u;
const REASON =
  /\b(?:because|since|so that|therefore|in order to|otherwise|reason|to avoid|to keep|due to)\b/i;
const DEFINITION =
  /^(?:(?:an?|the)\s+)?[\p{L}\p{N}`_ -]{2,60}?\s+(?:is|are|means|refers to|holds|denotes)\s/iu;
const INSTRUCTION = /`|\b(?:run|use|set|call|add|open|click|type|install|choose|press|enter|first|then)\b/i;

/** What the kind of question favours: names for who, dates for when, numbers for how many, reasons for why. */
function cues(question: string, passage: Passage, unit: Unit, text: string): number {
  const asked = question.trim().toLowerCase();
  let bonus = 0;
  const favour = (kind: RegExp, holds: boolean): void => {
    if (kind.test(asked) && holds) bonus += CUE_BONUS;
  };
  favour(/\bwho(?:m|se)?\b/, NAME.test(text));
  favour(/\bwhen\b|\bwhat (?:date|time|year|day)\b/, DATE.test(text));
  favour(/\bhow (?:many|much|long|often|old|far|fast|big|large)\b/, NUMBER.test(text));
  favour(/\bwhy\b/, REASON.test(text));
  favour(
    /\bhow (?:do|does|to|can|should)\b/,
    unit.kind === 'code' || unit.kind === 'item' || INSTRUCTION.test(text),
  );
  favour(
    /^(?:which|list|name)\b|\bwhat (?:are|kinds?|types?)\b/,
    unit.kind === 'item' || unit.kind === 'row',
  );
  if (/^(?:what(?:'s| is| are)|define|explain)\b/.test(asked) && defines(asked, passage, text))
    bonus += DEFINITION_BONUS;
  return bonus;
}

/** A definition of what was asked: "X is ..." where X is in the question. */
function defines(asked: string, passage: Passage, text: string): boolean {
  const match = DEFINITION.exec(text);
  if (match === null) return false;
  const subject = termSet(match[0]);
  const wanted = termSet(asked);
  const pronoun = /^(?:it|this|that|they)\b/i.test(text);
  const known = pronoun ? termSet(passage.title) : subject;
  return [...wanted].some((term) => known.has(term));
}
