/**
 * Chooses the next token. Everything is decided here, from the scores that a model gives, so that the same scores
 * and the same seed give the same token on every machine: sums in one order, one generator, no clock.
 */
import { CANDIDATES_MAX } from './limits.ts';

/** A token that may come next. */
export interface Candidate {
  readonly token: number;
  /** Above 0; those of all candidates add up to 1. */
  readonly probability: number;
}

/** What a chooser may look at. */
export interface ChoiceContext {
  /** All tokens so far, prompt included. A view that is only good during the call. */
  readonly tokens: readonly number[];
  /** How many of them were generated. */
  readonly generated: number;
  /** The next number of the request's own generator: at least 0, below 1. */
  random(): number;
}

/** Takes one of the candidates, which come best first and are at least one. The place for a watermark. */
export type TokenChooser = (candidates: readonly Candidate[], context: ChoiceContext) => number;

/** How tokens are sampled. */
export interface SamplingOptions {
  /** 0 always takes the best. Default 0; at most 5. */
  readonly temperature: number;
  /** Candidates that are kept. Default 40; 1 to 256. */
  readonly topK: number;
  /** Share of the probability that the kept candidates reach together. Default 0.95; above 0, at most 1. */
  readonly topP: number;
  /** Least probability, as a share of the best candidate's. Default 0.05; 0 to 1. */
  readonly minP: number;
  /** Starts the generator. Default 0; 0 to 2^32 - 1. */
  readonly seed: number;
}

/** What is used where nothing is said: the best token, always. */
export const SAMPLING_DEFAULTS: SamplingOptions = {
  temperature: 0,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  seed: 0,
};

/** How many scores are asked of the model for each step. */
export function candidatesWanted({ temperature, topK }: SamplingOptions, chosen: boolean): number {
  return temperature === 0 && !chosen ? 1 : Math.min(topK, CANDIDATES_MAX);
}

/**
 * The candidates among `scores`, which are logits with the best first: the best `topK`, of those the fewest that
 * reach `topP`, of those all with at least `minP` of the best, then the temperature, in the order of llama.cpp.
 */
export function candidatesOf(
  scores: readonly (readonly [token: number, logit: number])[],
  { temperature, topK, topP, minP }: SamplingOptions,
): readonly Candidate[] {
  // Equal scores come in the order of their tokens, so that a tie is the same everywhere.
  const ordered = scores.toSorted((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, topK);
  if (temperature === 0) return softmax(ordered.slice(0, 1), 1);
  const plain = softmax(ordered, 1);
  const least = minP * (plain[0]?.probability ?? 0);
  let reached = 0;
  let kept = 0;
  for (const { probability } of plain) {
    if (kept > 0 && (reached >= topP || probability < least)) break;
    reached += probability;
    kept++;
  }
  return softmax(ordered.slice(0, kept), temperature);
}

function softmax(
  scores: readonly (readonly [token: number, logit: number])[],
  temperature: number,
): readonly Candidate[] {
  const best = scores[0]?.[1] ?? 0;
  const weights = scores.map(([, logit]) => Math.exp((logit - best) / temperature));
  const sum = weights.reduce((a, b) => a + b, 0);
  return scores.map(([token], i) => ({ token, probability: (weights[i] ?? 0) / sum }));
}

/** Draws by probability. */
export const drawToken: TokenChooser = (candidates, { random }) => {
  const first = candidates[0]?.token ?? 0;
  if (candidates.length === 1) return first;
  let left = random();
  for (const { token, probability } of candidates) {
    left -= probability;
    if (left < 0) return token;
  }
  return candidates.at(-1)?.token ?? first;
};

/** A generator of numbers from 0 up to 1, by a seed of 32 bits: sfc32, which passes PractRand. */
export function randomOf(seed: number): () => number {
  let [a, b, c, counter] = [0x9e37_79b9, 0x243f_6a88, seed >>> 0, 1];
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  // The first outputs of near seeds are alike.
  for (let i = 0; i < 15; i++) next();
  return () => next() / 2 ** 32;
}
