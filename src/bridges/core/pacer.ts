/**
 * Keeps requests inside a platform's pace: a rate for each chat and one for all. A 429 says how long to wait; that
 * long nothing more goes out there, and then the same request goes again. So nothing is lost and nothing doubled: a
 * request that got a 429 was not carried out.
 *
 * The platform counts when requests arrive, which nobody knows here: some time between their start and their answer. So a
 * request counts from its start until a whole window after its end. Whatever the machines and the network in between do,
 * those that arrive in one window were all counted at the start of the last of them.
 */
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { PACED_CHATS_MAX } from '../limits.ts';

/** `burst` requests at once, and one more each `intervalMs`. */
export interface Pace {
  readonly burst: number;
  readonly intervalMs: number;
  /** At most `count` arrive in any `windowMs`. Default: as the rate happens to have it. */
  readonly window?: { readonly count: number; readonly windowMs: number };
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
  total: { burst: 2, intervalMs: 44, window: { count: 30, windowMs: 1000 } },
  direct: { burst: 2, intervalMs: 1050, window: { count: 3, windowMs: 1000 } },
  group: { burst: 4, intervalMs: 3800, window: { count: 20, windowMs: 60_000 } },
};

/** Discord's pace: 50 a second, five each five seconds in a channel. */
export const DISCORD_PACE: PacerOptions = {
  total: { burst: 5, intervalMs: 25, window: { count: 50, windowMs: 1000 } },
  direct: { burst: 1, intervalMs: 1050, window: { count: 5, windowMs: 5000 } },
  group: { burst: 1, intervalMs: 1050, window: { count: 5, windowMs: 5000 } },
};

/** Requests in order of arrival for each chat, each at its time. */
export interface Pacer {
  /** Runs `task` when it is its chat's turn, again after each 429. Other failures are the caller's. */
  run<T>(chat: PacedChat, task: Task<T>, options?: { readonly signal?: AbortSignal }): Promise<T>;
  /** Runs `task` at once when no request waits or went just now, else not at all: for what may be left out. */
  spare(task: () => Promise<void>): Promise<void>;
  /** How many 429s came so far. */
  readonly refusals: () => number;
}

/**
 * Makes one request. Who makes another one waits for `next` first, once the one before has ended: it heeds the windows, but not
 * the rate, as what follows another belongs to it.
 */
export type Task<T> = (next: () => Promise<void>) => Promise<T>;

/** Whose pace counts. */
export interface PacedChat {
  readonly chat: string;
  readonly direct: boolean;
}

interface Lane {
  readonly pace: Pace;
  /** When the burst would be whole again, monotonic milliseconds. */
  fullAtMs: number;
  /** Requests that have begun and not ended. */
  underWay: number;
  /** When those that have ended stop counting, monotonic milliseconds, rising. */
  readonly countedUntilMs: number[];
  /** Resolves when one ends. */
  ended: PromiseWithResolvers<void>;
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

  /** Waits for the chat's turn and for that of all chats, and counts the request from now on. */
  async function begin(lane: Lane, isFirst: boolean, signal: AbortSignal | undefined): Promise<void> {
    await room(lane, isFirst, { clock, signal });
    const before = total.gate;
    const passed = Promise.withResolvers<void>();
    total.gate = passed.promise;
    try {
      await before;
      signal?.throwIfAborted();
      await room(total, isFirst, { clock, signal });
      for (const one of [lane, total]) {
        if (isFirst) one.fullAtMs = Math.max(one.fullAtMs, clock.monotonicMs()) + one.pace.intervalMs;
        one.underWay += 1;
      }
    } finally {
      passed.resolve();
    }
  }

  function end(lane: Lane): void {
    for (const one of [lane, total]) ended(one, clock);
  }

  async function attempt<T>(lane: Lane, task: Task<T>, signal: AbortSignal | undefined): Promise<T> {
    for (;;) {
      await begin(lane, true, signal);
      let isCounted = true;
      const next = async (): Promise<void> => {
        end(lane);
        isCounted = false;
        await begin(lane, false, signal);
        isCounted = true;
      };
      try {
        return await task(next);
      } catch (error) {
        const waitMs = retryAfterOf(error);
        if (waitMs === undefined) throw error;
        refusals += 1;
        lane.fullAtMs = clock.monotonicMs() + waitMs + lane.pace.intervalMs * (lane.pace.burst - 1);
      } finally {
        if (isCounted) end(lane);
      }
    }
  }

  return {
    refusals: () => refusals,
    async spare(task) {
      const now = clock.monotonicMs();
      if (total.fullAtMs > now || freeAtMs(total, now) > now) return;
      total.fullAtMs = now + total.pace.intervalMs;
      total.underWay += 1;
      try {
        await task();
      } finally {
        ended(total, clock);
      }
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
    underWay: 0,
    countedUntilMs: [],
    ended: Promise.withResolvers(),
    tail: Promise.resolve(),
    gate: Promise.resolve(),
    waiting: 0,
  };
}

/**
 * Waits until the lane may have one more request. What counts is when the one before really went, so a process that stood
 * still does not catch up in a burst.
 */
async function room(
  lane: Lane,
  isRated: boolean,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal | undefined },
): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const now = clock.monotonicMs();
    const { fullAtMs, pace } = lane;
    const ratedAtMs = isRated ? fullAtMs - pace.intervalMs * (pace.burst - 1) : now;
    const atMs = Math.max(ratedAtMs, freeAtMs(lane, now));
    if (atMs <= now) return;
    if (atMs < Number.POSITIVE_INFINITY) await sleep(clock, atMs - now, signal);
    // All that count are under way: whenever one ends, it is looked again.
    else await untilEnded(lane, signal);
  }
}

/** When the lane's window has room for one more; infinite while all of them are under way. */
function freeAtMs({ pace, underWay, countedUntilMs }: Lane, now: number): number {
  while (countedUntilMs[0] !== undefined && countedUntilMs[0] <= now) countedUntilMs.shift();
  const over = underWay + countedUntilMs.length - (pace.window?.count ?? Number.POSITIVE_INFINITY);
  return over < 0 ? now : (countedUntilMs[over] ?? Number.POSITIVE_INFINITY);
}

function ended(lane: Lane, clock: Clock): void {
  lane.underWay -= 1;
  if (lane.pace.window) lane.countedUntilMs.push(clock.monotonicMs() + lane.pace.window.windowMs);
  const { resolve } = lane.ended;
  lane.ended = Promise.withResolvers();
  resolve();
}

async function untilEnded(lane: Lane, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal?.addEventListener('abort', stop, { once: true });
  await Promise.race([lane.ended.promise, promise]);
  signal?.removeEventListener('abort', stop);
}

function retryAfterOf(error: unknown): number | undefined {
  if (!(error instanceof SaharaError) || error.code !== 'rate-limited') return undefined;
  const waitMs = error.facts.retryAfterMs;
  return typeof waitMs === 'number' ? waitMs : undefined;
}

function forgetIdle(lanes: Map<string, Lane>, nowMs: number): void {
  for (const [chat, lane] of lanes) {
    const isIdle = lane.waiting === 0 && lane.fullAtMs <= nowMs && freeAtMs(lane, nowMs) <= nowMs;
    if (isIdle && lane.countedUntilMs.length === 0) lanes.delete(chat);
  }
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
