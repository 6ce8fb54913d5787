/** What share of the machine a price buys. */
import type { PriceSchedule } from '../../protocol/card.ts';

/** The call that prices are compared by, units. */
const INPUT_UNITS = 100n;
const OUTPUT_UNITS = 300n;
/** The price that weighs twice what a free call does, grains: a thousandth of a SAHARA. */
const TWICE_GRAINS = 1_000_000;
/** Greatest weight: a flood of dear calls leaves cheap ones a sixteenth. */
const WEIGHT_MAX = 16;

/**
 * The weight of calls at `price` (MODEL-83): 1 + log2(1 + P / 0.001 SAHARA), at most 16, where P is what a call of 100
 * input and 300 output units costs. A price ten times as high buys about three shares more, not ten times as many.
 */
export function weightOfPrice({ perCall, perInputUnit, perOutputUnit }: PriceSchedule): number {
  const whole = perCall + INPUT_UNITS * perInputUnit + OUTPUT_UNITS * perOutputUnit;
  return Math.min(WEIGHT_MAX, 1 + Math.log2(1 + Number(whole) / TWICE_GRAINS));
}
