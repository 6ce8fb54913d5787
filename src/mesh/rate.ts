/** A token bucket: `rate` tokens a second, at most `burst` at once. */
export interface Bucket {
  /** Takes one token. False: there is none. */
  take(nowMs: number): boolean;
  /** Milliseconds until a token is there. */
  waitMs(nowMs: number): number;
}

/** A full bucket. `nowMs` is monotonic time. */
export function createBucket(options: {
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly nowMs: number;
}): Bucket {
  const { ratePerSecond, burst } = options;
  let tokens = burst;
  let filledAtMs = options.nowMs;
  const fill = (nowMs: number): void => {
    tokens = Math.min(burst, tokens + (Math.max(0, nowMs - filledAtMs) * ratePerSecond) / 1000);
    filledAtMs = nowMs;
  };
  return {
    take(nowMs) {
      fill(nowMs);
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
    waitMs(nowMs) {
      fill(nowMs);
      return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * 1000) / ratePerSecond);
    },
  };
}
