/** How fast work is done, as it was measured, and what that says about waiting. */
import type { Clock } from '../../base/clock.ts';

/** After this much work, in milliseconds, older measurements weigh half. */
const HALF_MS = 30_000;

/** Measures the rate of all requests together, and how much of what they reserve they use. */
export class Pace {
  readonly #clock: Clock;
  #tokens = 0;
  #reserved = 0;
  #busyMs = 0;
  #running = 0;
  #sinceMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something begins. */
  begin(): void {
    this.#count();
    this.#running++;
  }

  /** Something is through that had reserved `reserved` tokens and used `used`. */
  end(used: number, reserved: number): void {
    this.#count();
    this.#running--;
    this.#tokens += used;
    this.#reserved += reserved;
  }

  /** Tokens per second, or `undefined` before the first measurement. */
  get tokensPerSecond(): number | undefined {
    this.#count();
    return this.#tokens === 0 || this.#busyMs === 0 ? undefined : (1_000 * this.#tokens) / this.#busyMs;
  }

  /** How long `reserved` tokens of others take, milliseconds, or `undefined` before the first measurement. */
  waitMs(reserved: number): number | undefined {
    const rate = this.tokensPerSecond;
    if (rate === undefined) return undefined;
    return Math.round((1_000 * reserved * (this.#tokens / Math.max(1, this.#reserved))) / rate);
  }

  #count(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#running > 0) this.#busyMs += nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
    if (this.#busyMs < 2 * HALF_MS) return;
    this.#busyMs /= 2;
    this.#tokens /= 2;
    this.#reserved /= 2;
  }
}
