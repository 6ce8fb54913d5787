/**
 * Who an answer rests on, in parts per million that sum to exactly one million. The passages that were cited play a
 * coverage game over the question's words (an answer that quotes) or over the answer's own words (an answer that a
 * model wrote); its exact Shapley value is what each earned, and what no passage covers is the residual. Pure and in
 * integers: whoever has the inputs gets the same result to the byte. `spec/knowledge.md` is normative.
 */
import { compareBytes, toHex } from '../../base/bytes.ts';
import { invariant } from '../../base/errors.ts';
import { PPM } from '../../protocol/limits.ts';
import {
  type CorpusStats,
  lengthNorm,
  SATURATION_UNIT,
  saturation,
  TITLE_WEIGHT,
  termWeight,
} from '../../vault/search/score.ts';
import { chunkLength } from '../../vault/search/segment.ts';
import { languageOf } from '../../vault/text/language.ts';
import { analyse, questionTerms } from '../../vault/text/words.ts';
import { apportion } from './apportion.ts';
import { groupNearDuplicates, wordSequence } from './duplicates.ts';
import { type CoverageGame, lcmUpTo, shapleyValues } from './game.ts';
import { ANSWER_WORDS_MAX, PASSAGES_MAX, SPAN_WORDS_FULL, SPAN_WORDS_MIN, TERMS_MAX } from './limits.ts';

/** A passage that an answer cites. */
export interface CitedPassage {
  /** Content id of its chunk, 32 bytes. */
  readonly id: Uint8Array;
  readonly title: string;
  readonly text: string;
  /** 32 bytes. */
  readonly contributor: Uint8Array;
  /** Asset that earns for it, 32 bytes; absent when the contributor registered none. */
  readonly contribution: Uint8Array | undefined;
}

/** A term of the question and in how many chunks it stands. */
interface CountedTerm {
  readonly term: string;
  readonly chunksWith: number;
}

/** What an attribution rests on. */
export type AttributionInput =
  /** The answer quotes: the game is over the question's terms. With `corpus`, terms weigh what they weigh there. */
  | {
      readonly method: 'coverage';
      readonly question: string;
      readonly passages: readonly CitedPassage[];
      readonly corpus?: { readonly stats: CorpusStats; readonly terms: readonly CountedTerm[] };
    }
  /** A model wrote the answer: the game is over the answer's words that stand in a passage, three or more in a row. */
  | { readonly method: 'spans'; readonly answer: string; readonly passages: readonly CitedPassage[] };

/** What one passage earned. */
interface SourceShare {
  readonly id: Uint8Array;
  readonly contributor: Uint8Array;
  readonly contribution: Uint8Array | undefined;
  readonly ppm: number;
}

/** What one contributor earned, by the asset that earns for it or, without one, by its key. */
interface ContributorShare {
  readonly contributor: Uint8Array;
  readonly contribution: Uint8Array | undefined;
  readonly ppm: number;
}

/** Name and version of a rule, for receipts. */
type AttributionRule = 'coverage/1' | 'coverage-plain/1' | 'spans/1';

/** Who an answer rests on. Sources and the residual sum to exactly 1,000,000, and so do contributors and the residual. */
export interface Attribution {
  readonly rule: AttributionRule;
  /** In byte order of their ids. */
  readonly sources: readonly SourceShare[];
  /** In byte order of their asset or key. */
  readonly contributors: readonly ContributorShare[];
  /** What no cited passage covers: it goes to the model, or without one to the agent. */
  readonly residualPpm: number;
}

const ONE = BigInt(SATURATION_UNIT);
const PLAIN_WEIGHT = 65_536n;

/** Divides one answer among the passages that it cites. At most 64 passages count: the first ones. */
export function attribute(input: AttributionInput): Attribution {
  const passages = distinct(input.passages.slice(0, PASSAGES_MAX));
  const rule = ruleOf(input);
  const terms =
    input.method === 'coverage' ? coverageTerms(input, passages) : spanTerms(input.answer, passages);
  const whole = terms.reduce((sum, { weight }) => sum + weight * ONE, 0n);
  if (whole === 0n || passages.length === 0) return settle(rule, passages, [], PPM);
  const { numerators, denominator } = playInGroups(passages, terms);
  const covered = numerators.reduce((sum, value) => sum + value, 0n);
  const shares = apportion(BigInt(PPM), [...numerators, whole * denominator - covered]).map(Number);
  return settle(rule, passages, shares, shares.at(-1) ?? 0);
}

/** The rule that `attribute` follows for an input. */
function ruleOf(input: AttributionInput): AttributionRule {
  if (input.method === 'spans') return 'spans/1';
  return input.corpus === undefined ? 'coverage-plain/1' : 'coverage/1';
}

/** Who earns for a passage: its asset, or its contributor's key. */
function earnerOf(share: {
  readonly contributor: Uint8Array;
  readonly contribution: Uint8Array | undefined;
}): Uint8Array {
  return share.contribution ?? share.contributor;
}

function distinct(passages: readonly CitedPassage[]): CitedPassage[] {
  const byId = new Map(passages.map((passage) => [toHex(passage.id), passage]));
  return [...byId.values()].sort((a, b) => compareBytes(a.id, b.id));
}

interface GameTerm {
  readonly weight: bigint;
  readonly values: readonly bigint[];
}

function coverageTerms(
  input: Extract<AttributionInput, { method: 'coverage' }>,
  passages: readonly CitedPassage[],
): GameTerm[] {
  const { corpus } = input;
  const counts = passages.map(countTerms);
  const norms = counts.map(({ length }) => (corpus === undefined ? 1200 : lengthNorm(length, corpus.stats)));
  const terms =
    corpus === undefined
      ? questionTerms(input.question).map((term) => ({ term, weight: PLAIN_WEIGHT }))
      : corpus.terms.map(({ term, chunksWith }) => ({
          term,
          weight: BigInt(termWeight(corpus.stats.chunks, chunksWith)),
        }));
  return terms.slice(0, TERMS_MAX).map(({ term, weight }) => ({
    weight,
    values: counts.map(({ occurrences }, i) => {
      const count = occurrences.get(term) ?? 0;
      const filled = count === 0 ? 0 : saturation(count, norms[i] ?? 1200);
      return BigInt(Math.min(SATURATION_UNIT, filled));
    }),
  }));
}

function countTerms(passage: CitedPassage): {
  readonly occurrences: Map<string, number>;
  readonly length: number;
} {
  const occurrences = new Map<string, number>();
  const language = languageOf(passage.text);
  const text = analyse(passage.text, language);
  const title = analyse(passage.title, language);
  for (const { term } of text) occurrences.set(term, (occurrences.get(term) ?? 0) + 1);
  for (const { term } of title) occurrences.set(term, (occurrences.get(term) ?? 0) + TITLE_WEIGHT);
  return { occurrences, length: chunkLength(title.length, text.length) };
}

/** One term for each word of the answer; a passage has of it what the longest match around it gives. */
function spanTerms(answer: string, passages: readonly CitedPassage[]): GameTerm[] {
  const words = wordSequence(answer).slice(0, ANSWER_WORDS_MAX);
  const runs = passages.map((passage) => longestRuns(words, wordSequence(passage.text)));
  return words.map((_, i) => ({
    weight: PLAIN_WEIGHT,
    values: runs.map(
      (run) => (BigInt(Math.min(SPAN_WORDS_FULL, run[i] ?? 0)) * ONE) / BigInt(SPAN_WORDS_FULL),
    ),
  }));
}

/** For each word, the length of the longest run of words around it that stands in `passage` too; below three none. */
function longestRuns(words: readonly string[], passage: readonly string[]): number[] {
  const starts = new Map<string, number[]>();
  for (let j = 0; j + SPAN_WORDS_MIN <= passage.length; j++) {
    const key = passage.slice(j, j + SPAN_WORDS_MIN).join(' ');
    starts.set(key, [...(starts.get(key) ?? []), j]);
  }
  const runs: number[] = new Array(words.length).fill(0);
  for (let i = 0; i + SPAN_WORDS_MIN <= words.length; i++) {
    let longest = 0;
    for (const j of starts.get(words.slice(i, i + SPAN_WORDS_MIN).join(' ')) ?? []) {
      let length = SPAN_WORDS_MIN;
      while (i + length < words.length && words[i + length] === passage[j + length]) length++;
      longest = Math.max(longest, length);
    }
    for (let k = i; k < i + longest; k++) runs[k] = Math.max(runs[k] ?? 0, longest);
  }
  return runs;
}

/** Near-duplicates play as one; what a group earns is shared by its earners alike, and by an earner's passages alike. */
function playInGroups(
  passages: readonly CitedPassage[],
  terms: readonly GameTerm[],
): { readonly numerators: readonly bigint[]; readonly denominator: bigint } {
  const groups = groupNearDuplicates(passages.map(({ text }) => text));
  const game: CoverageGame = {
    players: groups.length,
    terms: terms.map(({ weight, values }) => ({
      weight,
      values: groups.map((group) => group.reduce((most, i) => max(most, values[i] ?? 0n), 0n)),
    })),
  };
  const { numerators, denominator } = shapleyValues(game);
  const inner = lcmUpTo(passages.length);
  const shares: bigint[] = new Array(passages.length).fill(0n);
  for (const [g, group] of groups.entries()) {
    const earners = new Map<string, number[]>();
    for (const i of group) {
      const passage = passages[i];
      invariant(passage !== undefined, 'a group holds passages');
      const key = toHex(earnerOf(passage));
      earners.set(key, [...(earners.get(key) ?? []), i]);
    }
    for (const members of earners.values()) {
      const part = ((numerators[g] ?? 0n) * inner * inner) / BigInt(earners.size) / BigInt(members.length);
      for (const i of members) shares[i] = part;
    }
  }
  return { numerators: shares, denominator: denominator * inner * inner };
}

function settle(
  rule: AttributionRule,
  passages: readonly CitedPassage[],
  shares: readonly number[],
  residualPpm: number,
): Attribution {
  const sources = passages.map(({ id, contributor, contribution }, i) => ({
    id,
    contributor,
    contribution,
    ppm: shares[i] ?? 0,
  }));
  const byEarner = new Map<string, ContributorShare>();
  for (const source of sources) {
    const key = toHex(earnerOf(source));
    const { contributor, contribution } = byEarner.get(key) ?? source;
    byEarner.set(key, { contributor, contribution, ppm: (byEarner.get(key)?.ppm ?? 0) + source.ppm });
  }
  const contributors = [...byEarner.values()].sort((a, b) => compareBytes(earnerOf(a), earnerOf(b)));
  return { rule, sources, contributors, residualPpm };
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
