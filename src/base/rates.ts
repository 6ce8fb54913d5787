/**
 * How often things happen, by name, and how many at a time. A rate is a bucket that fills with time; all that is kept
 * of it is the moment at which it will be full again, so a name that was quiet for long enough needs no memory.
 */
import type { Clock } from './clock.ts';

/** How often something may happen. */
export interface Rate {
  readonly perSecond: number;
  /** How many at once, after a quiet while. */
  readonly burst: number;
}

/** Share of the names that leave together when there are too many. */
const LEAVING = 1 / 16;
/** Tokens that rounding may have eaten. */
const ROUNDING = 1e-6;

/**
 * Buckets by name, `namesMax` of them. When there are more, first those that are full leave, which changes nothing;
 * then the fullest, so that who comes under many new names never gets a bucket refilled that somebody has emptied.
 */
export class Rates {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #namesMax: number;
  readonly #fullAtMs = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonicMs'>, namesMax: number) {
    this.#clock = clock;
    this.#namesMax = namesMax;
  }

  /** Names that are followed. */
  get size(): number {
    return this.#fullAtMs.size;
  }

  /** Milliseconds until `name` may do it again; 0: now. Counts nothing. */
  waitMs(name: string, rate: Rate): number {
    const missing = 1 - this.#left(name, rate, this.#clock.monotonicMs());
    return missing <= ROUNDING ? 0 : Math.ceil((missing * 1000) / rate.perSecond);
  }

  /** Counts one. Answers like `waitMs`, and counts only when that is 0. */
  take(name: string, rate: Rate): number {
    const waitMs = this.waitMs(name, rate);
    if (waitMs > 0) return waitMs;
    const nowMs = this.#clock.monotonicMs();
    this.#fullAtMs.set(name, Math.max(nowMs, this.#fullAtMs.get(name) ?? 0) + 1000 / rate.perSecond);
    if (this.#fullAtMs.size > this.#namesMax) this.#makeRoom(nowMs);
    return 0;
  }

  #left(name: string, rate: Rate, nowMs: number): number {
    const fullAtMs = this.#fullAtMs.get(name) ?? nowMs;
    return rate.burst - (Math.max(0, fullAtMs - nowMs) * rate.perSecond) / 1000;
  }

  #makeRoom(nowMs: number): void {
    for (const [name, fullAtMs] of this.#fullAtMs) if (fullAtMs <= nowMs) this.#fullAtMs.delete(name);
    if (this.#fullAtMs.size <= this.#namesMax) return;
    const fullest = [...this.#fullAtMs].sort(([, a], [, b]) => a - b);
    for (const [name] of fullest.slice(0, Math.ceil(this.#namesMax * LEAVING))) this.#fullAtMs.delete(name);
  }
}

/** How many there are by name. Holds what is under way and nothing else. */
export class Counts {
  readonly #counts = new Map<string, number>();

  /** How many `name` has. */
  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  /** One more. */
  add(name: string): void {
    this.#counts.set(name, this.of(name) + 1);
  }

  /** One less. */
  remove(name: string): void {
    const left = this.of(name) - 1;
    if (left > 0) this.#counts.set(name, left);
    else this.#counts.delete(name);
  }
}
