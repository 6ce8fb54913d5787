/**
 * Claims in time. What a payee has not claimed when a channel ends is lost, so a channel that begins to close, or from
 * which a withdrawal is announced, is claimed at once, what is due is looked at well within the network's delay, and a stop claims what is left.
 */

import { equalBytes } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { CLAIMER_DEFAULTS, type Claimer } from '../payment/claimer.ts';
import type { LedgerParameters } from '../protocol/block.ts';
import type { PublicKey } from '../protocol/ids.ts';

/** Longest time that a stop waits for its last claims, milliseconds. */
export const LAST_CLAIMS_MS = 5_000;

/** Looks that fit into the delay of a closing channel, so that one that fails is not the last. */
const LOOKS_PER_DELAY = 4;

/** What claims are watched with. */
export interface ClaimingParts {
  readonly ledger: Pick<Ledger, 'channel' | 'onBlock'>;
  readonly claimer: Claimer;
  /** This operator. */
  readonly payee: PublicKey;
  readonly clock: Clock;
  readonly log: Log;
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
  const { ledger, claimer, payee, clock, log } = parts;
  let queued = false;
  const look = (): void => {
    if (queued) return;
    queued = true;
    // A block's listener must be left before the ledger is written to again.
    queueMicrotask(() => {
      queued = false;
      claimer.round().then(undefined, (error: unknown) => {
        log.warn('claim round failed', { code: asSaharaError(error).code });
      });
    });
  };
  const unwatch = ledger.onBlock(({ channels }) => {
    const ending = channels.some((id) => {
      const channel = ledger.channel(id);
      const leaves = channel?.state === 'closing' || channel?.withdrawal !== undefined;
      return leaves && equalBytes(channel.payee, payee);
    });
    if (ending) look();
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
