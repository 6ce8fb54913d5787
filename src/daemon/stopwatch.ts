import type { CallEvent } from '../agent/caller.ts';
import type { Clock } from '../base/clock.ts';

/** What a call took, as its caller saw it. */
export interface CallTimes {
  /** To the first part of the answer, and to its end, milliseconds. */
  readonly firstMs: number;
  readonly totalMs: number;
  /** Most calls that were said to be before it while it waited. */
  readonly ahead: number;
}

/** Times one call. */
export interface Stopwatch {
  /** Takes an event of the call as it comes. */
  take(event: CallEvent): void;
  /** What the call took until now. */
  read(): CallTimes;
}

/** A stopwatch that runs from now on. */
export function createStopwatch(clock: Pick<Clock, 'monotonicMs'>): Stopwatch {
  const begunMs = clock.monotonicMs();
  let firstMs: number | undefined;
  let ahead = 0;
  return {
    take(event) {
      if (event.type === 'progress') ahead = Math.max(ahead, event.ahead);
      else firstMs ??= clock.monotonicMs() - begunMs;
    },
    read() {
      const totalMs = clock.monotonicMs() - begunMs;
      return { firstMs: firstMs ?? totalMs, totalMs, ahead };
    },
  };
}
