/**
 * Claims in time. What a payee has not claimed when a channel ends is lost, so a channel that begins to close, or from
 * which a withdrawal is announced, or whose voucher key is replaced, is claimed at once, what is due is looked at well within the network's delay, and a stop claims what is left.
 */

import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Channel, Ledger } from '../ledger/ledger.ts';
import { CLAIMER_DEFAULTS, type Claimer } from '../payment/claimer.ts';
import type { LedgerParameters } from '../protocol/block.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';

/** Longest time that a stop waits for its last claims, milliseconds. */
export const LAST_CLAIMS_MS = 5_000;

/** Looks that fit into the delay of a closing channel, so that one that fails is not the last. */
const LOOKS_PER_DELAY = 4;

/** What claims are watched with. */
export interface ClaimingParts {
  readonly ledger: Pick<Ledger, 'channel' | 'channelsOf' | 'onBlock'>;
  readonly claimer: Claimer;
  /** This operator. */
  readonly payee: PublicKey;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the highest voucher of a lane of this channel is by a key that will count no more. Default: never. */
  readonly fading?: (channel: Hash) => Promise<boolean>;
}

/** Time between a payer's request to close a channel and its end, milliseconds. */
export function closeDelayMs({ closeDelayBlocks, blockIntervalMs }: LedgerParameters): number {
  return closeDelayBlocks * blockIntervalMs;
}

/** How often to look for what is due on a network with these rules, milliseconds. */
export function claimPollMs(parameters: LedgerParameters): number {
  const often = Math.floor(closeDelayMs(parameters) / LOOKS_PER_DELAY);
  return Math.max(1, Math.min(CLAIMER_DEFAULTS.everyMs, often));
}

/**
 * Starts the claimer, has it look once now and whenever a block shows a channel to this payee closing, or that a part of
 * its deposit is to leave. The function
 * that it returns stops all of it after a last round that claims whatever is due, within `LAST_CLAIMS_MS`.
 */
export function startClaiming(parts: ClaimingParts): () => Promise<void> {
  const { ledger, claimer, payee, clock, log, fading = async () => false } = parts;
  const keys = new ReplacedKeys(payee, fading);
  let queued = false;
  let begun = false;
  const round = async (): Promise<void> => {
    if (!begun) for (const channel of ledger.channelsOf(payee)) keys.note(channel);
    begun = true;
    await claimer.round();
    await keys.claim(claimer);
  };
  const look = (): void => {
    if (queued) return;
    queued = true;
    // A block's listener must be left before the ledger is written to again.
    queueMicrotask(() => {
      queued = false;
      round().catch((error: unknown) => log.warn('claim round failed', { code: asSaharaError(error).code }));
    });
  };
  const unwatch = ledger.onBlock(({ channels, height }) => {
    keys.pass(height);
    const ending = channels.some((id) => {
      const channel = ledger.channel(id);
      if (channel === undefined) keys.forget(id);
      else keys.note(channel);
      const leaves = channel?.state === 'closing' || channel?.withdrawal !== undefined;
      return leaves && equalBytes(channel.payee, payee);
    });
    if (ending || keys.waiting || !begun) look();
  });
  claimer.start();
  look();
  return async () => {
    unwatch();
    const deadline = new AbortController();
    const late = new Promise<void>((resolve) => {
      const cancel = clock.after(LAST_CLAIMS_MS, () => deadline.abort());
      deadline.signal.addEventListener('abort', () => {
        cancel();
        resolve();
      });
    });
    const last = claimer.round({ all: true, signal: deadline.signal }).then(
      ({ failed }) => {
        if (failed.length > 0) log.warn('not everything was claimed at the stop', { left: failed.length });
      },
      (error: unknown) => log.warn('last claims failed', { code: asSaharaError(error).code }),
    );
    await Promise.race([last, late]);
    deadline.abort();
    await claimer.stop();
  };
}

/** Channels to a payee whose voucher key was replaced: what the former key promised counts for one delay more. */
class ReplacedKeys {
  readonly #payee: PublicKey;
  readonly #fading: (channel: Hash) => Promise<boolean>;
  /** Channels to be claimed, by name. */
  readonly #left = new Map<string, Hash>();
  /** The last height at which a former key counts, of each channel that was noted for it. */
  readonly #noted = new Map<string, number>();
  /** Channels on which a former key counts still: calls that it covered may end. */
  readonly #watched = new Map<string, { readonly id: Hash; readonly until: number }>();

  constructor(payee: PublicKey, fading: (channel: Hash) => Promise<boolean>) {
    this.#payee = payee;
    this.#fading = fading;
  }

  /** Whether any is still to be claimed, or may become so by a call that ends. */
  get waiting(): boolean {
    return this.#left.size > 0 || this.#watched.size > 0;
  }

  /** What counted up to this height has been claimed, or is lost. */
  pass(height: number): void {
    for (const [name, { until }] of this.#watched) {
      if (until > height) continue;
      this.#watched.delete(name);
      this.#left.delete(name);
    }
  }

  /** Notes a channel the first time that it is seen with this replacement. */
  note({ id, payee, voucherKeys }: Channel): void {
    if (!equalBytes(payee, this.#payee)) return;
    const name = toHex(id);
    const until = Math.max(0, ...voucherKeys.map((key) => key.until ?? 0));
    if (until > (this.#noted.get(name) ?? 0)) {
      this.#left.set(name, id);
      this.#watched.set(name, { id, until });
    }
    if (until > 0) this.#noted.set(name, until);
    else this.#noted.delete(name);
  }

  /** A channel has ended. */
  forget(id: Hash): void {
    this.#noted.delete(toHex(id));
    this.#watched.delete(toHex(id));
    this.#left.delete(toHex(id));
  }

  /** Claims all that is due on them; one that fails is claimed again with the next block. */
  async claim(claimer: Pick<Claimer, 'round'>): Promise<void> {
    for (const [name, { id }] of this.#watched) if (await this.#fading(id)) this.#left.set(name, id);
    for (const [name, only] of this.#left) {
      const { failed } = await claimer.round({ all: true, only });
      if (failed.length === 0) this.#left.delete(name);
    }
  }
}
