import { invariant } from '../base/errors.ts';

/** A value and what it counts. */
export interface Weighed<T> {
  readonly value: T;
  readonly weight: bigint;
}

/**
 * The least value such that values up to it hold half of all weight or more. What has less than half of the weight
 * moves it no further than the values of the others. There must be one.
 */
export function weightedMedian<T extends number | bigint>(values: readonly Weighed<T>[]): T {
  const sorted = [...values].sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0));
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0n);
  let below = 0n;
  const middle = sorted.find(({ weight }) => {
    below += weight;
    return 2n * below >= total;
  });
  invariant(middle, 'a median is of something');
  return middle.value;
}

/** The part of all weight whose value is true, 0 to 1. */
export function share(values: readonly Weighed<boolean>[]): number {
  const total = values.reduce((sum, { weight }) => sum + weight, 0n);
  const held = values.reduce((sum, { value, weight }) => (value ? sum + weight : sum), 0n);
  return total === 0n ? 0 : Number(held) / Number(total);
}
