import { Rates } from '../base/rates.ts';

/** A token bucket for each of many names. */
export interface Paces {
  /** Takes one token of `name`. False: it has none. */
  take(name: string, nowMs: number): boolean;
}

/** Buckets of `ratePerSecond` that hold `burst`, for `namesMax` names; `Rates` says who leaves when there are more. */
export function createPaces(options: {
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly namesMax: number;
}): Paces {
  const { ratePerSecond: perSecond, burst, namesMax } = options;
  let atMs = 0;
  const rates = new Rates({ monotonicMs: () => atMs }, namesMax);
  return {
    take(name, nowMs) {
      atMs = nowMs;
      return rates.take(name, { perSecond, burst }) === 0;
    },
  };
}
