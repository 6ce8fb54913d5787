/**
 * Claims before a retired key's statements end to count. After a rotation, the payer's or one's own, what was promised
 * and charged under the key before can be claimed for as long as a channel takes to end, so it is claimed at once.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Claimer } from '../payment/claimer.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { LedgerTrust } from './trust.ts';

/** Wait before a claim that failed is made again, milliseconds. */
const RETRY_MS = 2_000;

/** What retired keys are watched with. */
export interface RetiringParts {
  readonly ledger: Pick<Ledger, 'channelsOf' | 'identity' | 'head'>;
  readonly claimer: Pick<Claimer, 'round'>;
  /** This operator. */
  readonly payee: PublicKey;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells whose keys change. */
  readonly trust: Pick<LedgerTrust, 'onChange'>;
}

/**
 * Channels to `payee` of which a side's key was retired so lately that what it signed still counts. All of what is due
 * there has to be claimed before that ends.
 */
function retiring({ ledger, payee }: RetiringParts): readonly Hash[] {
  const { height } = ledger.head();
  const fading = (did: PublicKey): boolean =>
    ledger.identity(did)?.retired.some(({ until }) => until > height) ?? false;
  const own = fading(payee);
  return ledger
    .channelsOf(payee)
    .filter((channel) => equalBytes(channel.payee, payee) && (own || fading(channel.payer)))
    .map(({ id }) => id);
}

/** Claims all that is due on such channels, now and after each change, again until it succeeded. Returns how to stop it. */
export function watchRetiring(parts: RetiringParts): () => void {
  const { claimer, clock, log, trust } = parts;
  const left = new Map<string, Hash>();
  let cancel = (): void => {};
  let stopped = false;
  const claim = async (): Promise<void> => {
    for (const [name, only] of left) {
      const { failed } = await claimer.round({ all: true, only });
      if (failed.length === 0) left.delete(name);
    }
  };
  const look = (): void => {
    cancel();
    claim()
      .catch((error: unknown) => log.warn('claim round failed', { code: asSaharaError(error).code }))
      .finally(() => {
        if (left.size > 0 && !stopped) cancel = clock.after(RETRY_MS, look);
      });
  };
  const note = (): void => {
    try {
      for (const id of retiring(parts)) left.set(toHex(id), id);
    } catch (error) {
      log.warn('channels with retired keys not found', { code: asSaharaError(error).code });
    }
    if (left.size > 0) look();
  };
  const unwatch = trust.onChange(() => queueMicrotask(note));
  note();
  return () => {
    stopped = true;
    unwatch();
    cancel();
  };
}
