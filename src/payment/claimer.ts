/**
 * Claims what is due. One claim per channel, each on its own, so that one that is refused never holds up the
 * rest. A claim that was sent and not heard of is looked up by its id before anything is sent again; amounts are
 * cumulative and the ledger pays the difference, so even a repeated claim pays nothing twice.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { point } from '../base/points.ts';
import type { Hash } from '../protocol/ids.ts';
import { type Claimable, claimBody, type LostClaim, unpaid } from './claims.ts';
import { CLAIMS_AT_ONCE_MAX } from './limits.ts';
import type { PayeeBook } from './payee-book.ts';
import type { ChannelView, Claim, ClaimLedger } from './ports.ts';

/** Parts of a claimer. */
export interface ClaimerParts {
  readonly book: PayeeBook;
  readonly channels: ChannelView;
  readonly ledger: ClaimLedger;
  readonly clock: Clock;
  readonly log: Log;
}

/** Options of a claimer. */
export interface ClaimerOptions {
  /** Claim from this amount on, grains. Default 1 SAHARA. */
  readonly amountMin: bigint;
  /** Claim whatever is due once it has waited this long, milliseconds. Default one hour. */
  readonly ageMs: number;
  /** How often is looked, milliseconds. Default 30,000. */
  readonly everyMs: number;
}

/** Values for every option. */
export const CLAIMER_DEFAULTS: ClaimerOptions = {
  amountMin: 1_000_000_000n,
  ageMs: 3_600_000,
  everyMs: 30_000,
};

/** What one round did. */
export interface ClaimRound {
  readonly claimed: number;
  readonly waiting: number;
  readonly failed: readonly { readonly channel: Hash; readonly code: string }[];
}

interface Sent {
  readonly transaction: Hash;
  readonly claim: Claim;
}

/** What one round looks at. */
export interface RoundOptions {
  readonly all?: boolean;
  readonly only?: Hash;
  readonly signal?: AbortSignal;
}

/** Claims by thresholds. */
export interface Claimer {
  /** Begins to look regularly. */
  start(): void;
  /** Looks once; `all` claims whatever is due, `only` looks at one channel alone. */
  round(options?: RoundOptions): Promise<ClaimRound>;
  /** Stops looking and waits for the round under way. */
  stop(): Promise<void>;
}

/** A claimer for `parts.book`. */
export function createClaimer(parts: ClaimerParts, options: Partial<ClaimerOptions> = {}): Claimer {
  return new ThresholdClaimer(parts, { ...CLAIMER_DEFAULTS, ...options });
}

class ThresholdClaimer implements Claimer {
  readonly #parts: ClaimerParts;
  readonly #options: ClaimerOptions;
  readonly #since = new Map<string, number>();
  readonly #sent = new Map<string, Sent>();
  /** Channels whose loss was told. */
  readonly #lost = new Set<string>();
  readonly #stopping = new AbortController();
  #running: Promise<ClaimRound> | undefined;
  #cancel: (() => void) | undefined;

  constructor(parts: ClaimerParts, options: ClaimerOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  start(): void {
    if (this.#cancel || this.#stopping.signal.aborted) return;
    this.#cancel = this.#parts.clock.after(this.#options.everyMs, () => {
      this.#cancel = undefined;
      this.round().then(
        () => this.start(),
        (error: unknown) => {
          this.#parts.log.warn('claim round failed', { code: asSaharaError(error).code });
          this.start();
        },
      );
    });
  }

  round(options: RoundOptions = {}): Promise<ClaimRound> {
    const before = this.#running?.catch(() => {}) ?? Promise.resolve();
    const running = before
      .then(() => this.#round(options))
      .finally(() => {
        if (this.#running === running) this.#running = undefined;
      });
    this.#running = running;
    return running;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#running?.catch(() => {});
  }

  async #round(options: RoundOptions): Promise<ClaimRound> {
    const signals = [this.#stopping.signal, ...(options.signal ? [options.signal] : [])];
    const signal = AbortSignal.any(signals);
    const failed: { channel: Hash; code: string }[] = [];
    let claimed = 0;
    let waiting = 0;
    let batch: Claimable[] = [];
    const send = async (): Promise<void> => {
      const outcomes = await Promise.all(batch.map((due) => this.#claim(due, signal)));
      outcomes.forEach((outcome, i) => {
        if (outcome === 'claimed') claimed++;
        else if (outcome === 'waiting') waiting++;
        else failed.push({ channel: (batch[i] as Claimable).channel, code: outcome });
      });
      batch = [];
    };
    for await (const due of unpaid(this.#parts.book, this.#parts.channels)) {
      if (options.only && !equalBytes(due.channel, options.only)) continue;
      if ('lost' in due) {
        this.#tellLoss(due);
        continue;
      }
      if (!options.all && !this.#isTime(due)) {
        waiting++;
        continue;
      }
      batch.push(due);
      if (batch.length === CLAIMS_AT_ONCE_MAX) await send();
    }
    await send();
    return { claimed, waiting, failed };
  }

  #tellLoss({ channel, lost }: LostClaim): void {
    const name = toHex(channel);
    if (this.#lost.has(name)) return;
    this.#lost.add(name);
    this.#parts.log.warn('a channel ended before it was claimed', { channel: name, lost: String(lost) });
  }

  #isTime(due: Claimable): boolean {
    if (due.closing || due.amount >= this.#options.amountMin) return true;
    const name = nameOf(due);
    const nowMs = this.#parts.clock.monotonicMs();
    const sinceMs = this.#since.get(name) ?? nowMs;
    this.#since.set(name, sinceMs);
    return nowMs - sinceMs >= this.#options.ageMs;
  }

  async #claim(due: Claimable, signal: AbortSignal): Promise<'claimed' | 'waiting' | string> {
    const name = nameOf(due);
    try {
      let sent = this.#sent.get(name);
      if (sent === undefined) {
        const claim = claimBody(due.lane);
        if (claim === undefined) return 'waiting';
        // A loss of power must not leave this book behind what it has claimed.
        await this.#parts.book.flush();
        point('claim:submitting');
        sent = { claim, transaction: await this.#parts.ledger.submitClaim(claim, { signal }) };
        this.#sent.set(name, sent);
        point('claim:submitted');
      }
      const code = await this.#parts.ledger.outcome(sent.transaction);
      if (code === undefined) return 'waiting';
      this.#sent.delete(name);
      this.#since.delete(name);
      if (code !== 0) return `ledger ${code}`;
      await this.#parts.book.lanes.settled(due.lane, sent.claim.attribution);
      point('claim:settled');
      return 'claimed';
    } catch (error) {
      const { code } = asSaharaError(error);
      this.#parts.log.warn('claim failed', { channel: name, code });
      return code;
    }
  }
}

function nameOf({ lane }: Claimable): string {
  return `${toHex(lane.channel)}/${lane.lane}`;
}
