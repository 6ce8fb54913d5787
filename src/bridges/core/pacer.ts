/**
 * Keeps requests inside a platform's pace: a rate for each chat and one for all. A 429 says how long to wait; that
 * long nothing more goes out there, and then the same request goes again. So nothing is lost and nothing doubled: a
 * request that got a 429 was not carried out.
 */
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { PACED_CHATS_MAX } from '../limits.ts';

/** `burst` requests at once, and one more each `intervalMs`. */
export interface Pace {
  readonly burst: number;
  readonly intervalMs: number;
}

/** The paces of one platform. */
export interface PacerOptions {
  /** For all requests together. */
  readonly total: Pace;
  /** For one chat between a person and the bot. */
  readonly direct: Pace;
  /** For one group or channel. */
  readonly group: Pace;
}

/** Inside Telegram's published pace of 30 a second, one a second in a chat, 20 a minute in a group (4 + 60 s / 3.8 s). */
export const TELEGRAM_PACE: PacerOptions = {
  total: { burst: 2, intervalMs: 48 },
  direct: { burst: 2, intervalMs: 1050 },
  group: { burst: 4, intervalMs: 3800 },
};

/** Discord's pace: 50 a second, five each five seconds in a channel. */
export const DISCORD_PACE: PacerOptions = {
  total: { burst: 5, intervalMs: 25 },
  direct: { burst: 1, intervalMs: 1050 },
  group: { burst: 1, intervalMs: 1050 },
};

/** Requests in order of arrival for each chat, each at its time. */
export interface Pacer {
  /** Runs `task` when it is its chat's turn, again after each 429. Other failures are the caller's. */
  run<T>(chat: PacedChat, task: () => Promise<T>, options?: { readonly signal?: AbortSignal }): Promise<T>;
  /** Runs `task` at once when no request waits or went just now, else not at all: for what may be left out. */
  spare(task: () => Promise<void>): Promise<void>;
  /** How many 429s came so far. */
  readonly refusals: () => number;
}

/** Whose pace counts. */
export interface PacedChat {
  readonly chat: string;
  readonly direct: boolean;
}

interface Lane {
  readonly pace: Pace;
  /** When the burst would be whole again, monotonic milliseconds. */
  fullAtMs: number;
  /** Ends when the chat's last request has ended, and when the last turn was given. */
  tail: Promise<void>;
  gate: Promise<void>;
  waiting: number;
}

/** A pacer for one bot. */
export function createPacer(parts: { readonly clock: Clock }, options: PacerOptions): Pacer {
  const { clock } = parts;
  const lanes = new Map<string, Lane>();
  const total: Lane = newLane(options.total, clock);
  let refusals = 0;

  function laneOf({ chat, direct }: PacedChat): Lane {
    const known = lanes.get(chat);
    if (known) return known;
    if (lanes.size >= PACED_CHATS_MAX) forgetIdle(lanes, clock.monotonicMs());
    const lane = newLane(direct ? options.direct : options.group, clock);
    lanes.set(chat, lane);
    return lane;
  }

  async function attempt<T>(lane: Lane, task: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (;;) {
      await turn(lane, clock, signal);
      await turn(total, clock, signal);
      try {
        return await task();
      } catch (error) {
        const waitMs = retryAfterOf(error);
        if (waitMs === undefined) throw error;
        refusals += 1;
        lane.fullAtMs = clock.monotonicMs() + waitMs + lane.pace.intervalMs * (lane.pace.burst - 1);
      }
    }
  }

  return {
    refusals: () => refusals,
    async spare(task) {
      const now = clock.monotonicMs();
      if (total.fullAtMs > now) return;
      total.fullAtMs = now + total.pace.intervalMs;
      await task();
    },
    async run(chat, task, runOptions = {}) {
      const lane = laneOf(chat);
      const before = lane.tail;
      const done = Promise.withResolvers<void>();
      lane.tail = done.promise;
      lane.waiting += 1;
      try {
        await before;
        return await attempt(lane, task, runOptions.signal);
      } finally {
        lane.waiting -= 1;
        done.resolve();
      }
    },
  };
}

function newLane(pace: Pace, clock: Clock): Lane {
  return {
    pace,
    fullAtMs: clock.monotonicMs(),
    tail: Promise.resolve(),
    gate: Promise.resolve(),
    waiting: 0,
  };
}

/**
 * Waits for the lane's next request and takes it: whoever asks first goes first. What counts is when the one before
 * really went, so a process that stood still does not catch up in a burst.
 */
async function turn(lane: Lane, clock: Clock, signal: AbortSignal | undefined): Promise<void> {
  const before = lane.gate;
  const passed = Promise.withResolvers<void>();
  lane.gate = passed.promise;
  try {
    await before;
    signal?.throwIfAborted();
    const waitMs = lane.fullAtMs - lane.pace.intervalMs * (lane.pace.burst - 1) - clock.monotonicMs();
    if (waitMs > 0) await sleep(clock, waitMs, signal);
    lane.fullAtMs = Math.max(lane.fullAtMs, clock.monotonicMs()) + lane.pace.intervalMs;
  } finally {
    passed.resolve();
  }
}

function retryAfterOf(error: unknown): number | undefined {
  if (!(error instanceof SaharaError) || error.code !== 'rate-limited') return undefined;
  const waitMs = error.facts.retryAfterMs;
  return typeof waitMs === 'number' ? waitMs : undefined;
}

function forgetIdle(lanes: Map<string, Lane>, nowMs: number): void {
  for (const [chat, lane] of lanes) if (lane.waiting === 0 && lane.fullAtMs <= nowMs) lanes.delete(chat);
}

/** Waits `delayMs`; throws the signal's reason when it is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const cancel = clock.after(delayMs, () => {
    signal?.removeEventListener('abort', stop);
    resolve();
  });
  function stop(): void {
    cancel();
    reject(signal?.reason);
  }
  if (signal?.aborted) stop();
  else signal?.addEventListener('abort', stop, { once: true });
  return promise;
}
