/**
 * A payee leaves its latest claims with a watchtower: what calls have changed every few seconds, everything after the
 * tower could not be reached. No call waits for it, and nothing is told that is not on disk here (PAY-50).
 */
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ClaimBody } from '../protocol/actions-channel.ts';
import type { Hash } from '../protocol/ids.ts';
import { WATCH_CLAIMS_MAX, type WatchVerdict } from '../protocol/watchtower.ts';
import { claimable, claimBody } from './claims.ts';
import { HAND_OVER_LANES_MAX, HANDED_OVER_REFUSALS_MAX } from './limits.ts';
import type { PayeeBook } from './payee-book.ts';
import type { ChannelView } from './ports.ts';

/** Parts of the handing over. */
export interface HandOverParts {
  readonly book: PayeeBook;
  readonly channels: ChannelView;
  readonly clock: Clock;
  readonly log: Log;
  /** Leaves up to `WATCH_CLAIMS_MAX` claims with the tower; resolves with one verdict each. */
  send(
    claims: readonly ClaimBody[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly WatchVerdict[]>;
}

/** Options of the handing over. */
export interface HandOverOptions {
  /** Time between two rounds, milliseconds. Default 3,000. */
  readonly everyMs: number;
  /** After this time everything that is due is left again, milliseconds. Default 600,000. */
  readonly againMs: number;
}

/** Values for every option. */
export const HAND_OVER_DEFAULTS: HandOverOptions = { everyMs: 3_000, againMs: 600_000 };

/** How the handing over stands. */
export interface HandOverState {
  /** Wall clock of the last claims that the tower answered for, milliseconds; absent before the first. */
  readonly lastAtMs: number | undefined;
  /** Why the tower could not be asked the last time. */
  readonly failure: string | undefined;
  /** Claims that the tower refused the last time that they were left, the latest. */
  readonly refused: readonly { readonly channel: Hash; readonly verdict: WatchVerdict }[];
}

/** Leaves claims with one tower until it is stopped. */
export class HandOver {
  readonly #parts: HandOverParts;
  readonly #options: HandOverOptions;
  readonly #changed = new Map<string, { readonly channel: Hash; readonly lane: number }>();
  readonly #refused = new Map<string, { readonly channel: Hash; readonly verdict: WatchVerdict }>();
  readonly #stopping = new AbortController();
  readonly #unwatch: () => void;
  #everything = true;
  #everythingAtMs = 0;
  #lastAtMs: number | undefined;
  #failure: string | undefined;
  #round: Promise<void> = Promise.resolve();
  #cancel = (): void => {};

  constructor(parts: HandOverParts, options: Partial<HandOverOptions> = {}) {
    this.#parts = parts;
    this.#options = { ...HAND_OVER_DEFAULTS, ...options };
    this.#unwatch = parts.book.onCharge(({ channel, lane }) => {
      if (this.#everything) return;
      this.#changed.set(`${toHex(channel)}/${lane}`, { channel, lane });
      if (this.#changed.size > HAND_OVER_LANES_MAX) this.again();
    });
    this.#next(0);
  }

  /** How it stands. */
  get state(): HandOverState {
    return { lastAtMs: this.#lastAtMs, failure: this.#failure, refused: [...this.#refused.values()] };
  }

  /** Leaves everything anew in the next round: the tower may have lost it. */
  again(): void {
    this.#everything = true;
    this.#changed.clear();
  }

  /** Leaves nothing more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unwatch();
    this.#cancel();
    await this.#round;
  }

  #next(afterMs: number): void {
    this.#cancel = this.#parts.clock.after(afterMs, () => {
      this.#round = this.#leave().finally(() => {
        if (!this.#stopping.signal.aborted) this.#next(this.#options.everyMs);
      });
    });
  }

  async #leave(): Promise<void> {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#everythingAtMs >= this.#options.againMs) this.again();
    const everything = this.#everything;
    const changed = [...this.#changed.values()];
    if (everything) this.#everythingAtMs = nowMs;
    this.#everything = false;
    this.#changed.clear();
    try {
      let batch: ClaimBody[] = [];
      for await (const claim of everything ? this.#due() : this.#of(changed)) {
        batch.push(claim);
        if (batch.length < WATCH_CLAIMS_MAX) continue;
        await this.#send(batch);
        batch = [];
      }
      if (batch.length > 0) await this.#send(batch);
      this.#failure = undefined;
    } catch (error) {
      const { code } = asSaharaError(error);
      this.again();
      if (this.#stopping.signal.aborted || this.#failure === code) return;
      this.#failure = code;
      this.#parts.log.warn('nothing could be left with the watchtower', { code });
    }
  }

  async *#due(): AsyncIterable<ClaimBody> {
    for await (const { lane } of claimable(this.#parts.book, this.#parts.channels)) {
      const claim = claimBody(lane);
      if (claim !== undefined) yield claim;
    }
  }

  async *#of(
    changed: readonly { readonly channel: Hash; readonly lane: number }[],
  ): AsyncIterable<ClaimBody> {
    for (const { channel, lane } of changed) {
      const found = await this.#parts.book.lanes.find(channel, lane);
      const claim = found && claimBody(found);
      if (claim !== undefined) yield claim;
    }
  }

  async #send(claims: readonly ClaimBody[]): Promise<void> {
    await this.#parts.book.flush();
    const verdicts = await this.#parts.send(claims, { signal: this.#stopping.signal });
    this.#lastAtMs = this.#parts.clock.nowMs();
    claims.forEach(({ channel }, i) => {
      const verdict = verdicts[i];
      const name = toHex(channel);
      this.#refused.delete(name);
      if (verdict === undefined || verdict === 'watched' || verdict === 'paid') return;
      this.#refused.set(name, { channel, verdict });
      if (this.#refused.size > HANDED_OVER_REFUSALS_MAX) {
        this.#refused.delete(this.#refused.keys().next().value as string);
      }
      this.#parts.log.warn('the watchtower refused a claim', { channel: name, verdict });
    });
  }
}
