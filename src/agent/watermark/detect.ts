/**
 * Whether a text carries the mark of a key. Without the mark every bit is a fair coin, whatever the text says, so the
 * count of ones has a known distribution and a p-value. What it cannot tell: who wrote a text without the mark, and
 * anything about a short text, one with little choice in it, or one that was put into other words.
 */
import { MARK_CONTEXT, MARK_LAYERS, markBits } from './tournament.ts';

/** Fewest tokens that can be counted for a word on a text. */
export const SCORED_TOKENS_MIN = 100;
/** Greatest p-value, after the correction for several keys, of a text that is said to be marked: as rare as four standard deviations. */
export const MARKED_P_MAX = 3.2e-5;
/** Most tokens of a text that are counted, and most keys that are tried. */
export const SCORED_TOKENS_MAX = 100_000;
/** Most keys that one text is held against. */
export const MARK_KEYS_MAX = 256;

/** A key and whose it is. */
export interface MarkKey {
  readonly name: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** What one key says of a text. */
export interface MarkScore {
  readonly name: string;
  /** Tokens that were counted: each context once. */
  readonly scored: number;
  /** Share of ones among their bits, 0 to 1; a half without a mark. */
  readonly ones: number;
  /** Standard deviations above what chance gives, earlier rounds counting more. */
  readonly z: number;
  /** How often chance gives as much, for this key alone. */
  readonly p: number;
  /** The same for all keys that were tried (Bonferroni). */
  readonly pAll: number;
}

/** What can be said of a text: it is marked; nothing shows that it is; it is too short to say. */
export type MarkVerdict = 'marked' | 'not-shown' | 'too-short';

/** What came of holding a text against keys. */
export interface MarkReport {
  readonly verdict: MarkVerdict;
  /** Best first. */
  readonly scores: readonly MarkScore[];
  readonly tokens: number;
  /** Tokens left out because their context came before: much of that means a text with little choice in it. */
  readonly repeated: number;
}

/** Earlier rounds say more, because later ones have less probability left to move: weights 10 down to 1. */
const WEIGHTS: readonly number[] = Array.from({ length: MARK_LAYERS }, (_, layer) => MARK_LAYERS - layer);
const WEIGHT_SQUARES: number = WEIGHTS.reduce((sum, weight) => sum + weight * weight, 0);

/** Holds `tokens` of a text against `keys`. */
export function detectMarks(tokens: readonly number[], keys: readonly MarkKey[]): MarkReport {
  const counted = tokens.slice(0, SCORED_TOKENS_MAX);
  const tried = keys.slice(0, MARK_KEYS_MAX);
  const scores = tried
    .map(({ name, key }) => scoreOf(counted, { name, key, tried: tried.length }))
    .sort((a, b) => a.p - b.p || (a.name < b.name ? -1 : 1));
  const places = placesOf(counted).length;
  const [best] = scores;
  const marked = best !== undefined && best.pAll <= MARKED_P_MAX;
  return {
    verdict: places < SCORED_TOKENS_MIN ? 'too-short' : marked ? 'marked' : 'not-shown',
    scores,
    tokens: counted.length,
    repeated: Math.max(0, counted.length - MARK_CONTEXT) - places,
  };
}

function scoreOf(
  tokens: readonly number[],
  { name, key, tried }: MarkKey & { readonly tried: number },
): MarkScore {
  const places = placesOf(tokens);
  let ones = 0;
  let excess = 0;
  for (const at of places) {
    const bits = markBits(key, tokens.slice(at - MARK_CONTEXT, at))(tokens[at] ?? 0);
    for (let layer = 0; layer < MARK_LAYERS; layer++) {
      const bit = (bits >>> layer) & 1;
      ones += bit;
      excess += (2 * bit - 1) * (WEIGHTS[layer] ?? 0);
    }
  }
  const scored = places.length;
  const z = scored === 0 ? 0 : excess / Math.sqrt(scored * WEIGHT_SQUARES);
  const p = scored === 0 ? 1 : normalTail(z);
  const share = scored === 0 ? 0.5 : ones / (scored * MARK_LAYERS);
  return { name, scored, ones: share, z, p, pAll: Math.min(1, p * tried) };
}

/** Where tokens stand whose context comes for the first time. */
function placesOf(tokens: readonly number[]): readonly number[] {
  const seen = new Set<string>();
  const places: number[] = [];
  for (let at = MARK_CONTEXT; at < tokens.length; at++) {
    const context = tokens.slice(at - MARK_CONTEXT, at).join(' ');
    if (!seen.has(context)) places.push(at);
    seen.add(context);
  }
  return places;
}

/**
 * The chance that a normal variable is above `z`, to seven digits: the complementary error function by the Chebyshev
 * fit of Numerical Recipes (erfcc).
 */
export function normalTail(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + x / 2);
  const fit = COEFFICIENTS.reduceRight((sum, coefficient) => sum * t + coefficient, 0);
  const erfc = t * Math.exp(-x * x + fit);
  return z >= 0 ? erfc / 2 : 1 - erfc / 2;
}

const COEFFICIENTS: readonly number[] = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277,
];
