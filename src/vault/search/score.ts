/**
 * BM25 (Robertson and Zaragoza 2009; k1 1.2, b 0.75) in integers, so that every machine ranks and pays the same.
 * Units: weights are 1/65536 of a bit of information, saturation is in millionths. `spec/knowledge.md` is normative.
 *
 * Every division here is of integers whose sum stays below 2^53, for which the floor of a double's quotient is exact.
 */

/** What a corpus says about its chunks as a whole. */
export interface CorpusStats {
  /** Chunks. */
  readonly chunks: number;
  /** Index tokens of all titles and texts together. */
  readonly lengthTotal: number;
}

/** What a title's occurrence of a term counts, in occurrences in the text. */
export const TITLE_WEIGHT = 2;
/** Saturation of a term that occurs once in a chunk of average length, and the whole of one term in attribution. */
export const SATURATION_UNIT = 1_000_000;

const LOG_BITS = 16;
const MANTISSA_BITS = 62n;

/** Base-2 logarithm of an integer from 1 to 2^31 in units of 1/65536, rounded down, by repeated squaring. */
export function log2Units(value: number): number {
  const whole = 31 - Math.clz32(value);
  let mantissa = BigInt(value) << (MANTISSA_BITS - BigInt(whole));
  let result = whole;
  for (let i = 0; i < LOG_BITS; i++) {
    mantissa = (mantissa * mantissa) >> MANTISSA_BITS;
    result *= 2;
    if (mantissa >> (MANTISSA_BITS + 1n)) {
      mantissa >>= 1n;
      result++;
    }
  }
  return result;
}

/** Weight of a term that `chunksWith` of `chunks` chunks hold: log2((chunks + 1) / (chunksWith + 1/2)). */
export function termWeight(chunks: number, chunksWith: number): number {
  return log2Units(2 * chunks + 2) - log2Units(2 * chunksWith + 1);
}

/** What a chunk's length adds below the fraction, in thousandths: k1 (1 - b + b length / average). */
export function lengthNorm(length: number, stats: CorpusStats): number {
  if (stats.lengthTotal === 0) return 1200;
  return 300 + Math.floor((900 * length * stats.chunks) / stats.lengthTotal);
}

/** How far `occurrences` (title ones weighted) fill a term, in millionths, below 2.2 million. */
export function saturation(occurrences: number, norm: number): number {
  return Math.floor((2_200_000_000 * occurrences) / (1000 * occurrences + norm));
}
