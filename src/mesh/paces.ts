import { type Bucket, createBucket } from './rate.ts';

/** A token bucket for each of many names. */
export interface Paces {
  /** Takes one token of `name`. False: it has none. */
  take(name: string, nowMs: number): boolean;
}

/** Buckets of `ratePerSecond` that hold `burst`; of more than `namesMax` names the one met first is forgotten. */
export function createPaces(options: {
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly namesMax: number;
}): Paces {
  const buckets = new Map<string, Bucket>();
  return {
    take(name, nowMs) {
      let bucket = buckets.get(name);
      if (bucket === undefined) {
        bucket = createBucket({ ...options, nowMs });
        buckets.set(name, bucket);
        for (const [first] of buckets) {
          if (buckets.size <= options.namesMax) break;
          buckets.delete(first);
        }
      }
      return bucket.take(nowMs);
    },
  };
}
