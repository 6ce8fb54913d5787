/**
 * The offers that this peer made and how often each was used. They live in memory and no longer than they hold: after
 * a restart none is known, and who comes with one is told so and may ask again.
 */
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Offer } from '../protocol/offer.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';

/** Offers made here. */
export interface OfferBook {
  /** Remembers an offer before it is sent. False when there are too many; then it must not be sent. */
  add(message: Signed, made: Offer): boolean;
  /** Counts a call that came with an offer. Throws `offer-invalid` for one that is unknown, over or used up. */
  take(message: Signed): void;
}

/** Options of an offer book. */
export interface OfferBookOptions {
  /** Offers remembered at a time. Default 4,096. */
  readonly offersMax: number;
}

/** Values for every option. */
export const OFFER_BOOK_DEFAULTS: OfferBookOptions = { offersMax: 4_096 };

/** A book without offers. */
export function createOfferBook(
  parts: { readonly suite: Suite; readonly clock: Clock },
  options: Partial<OfferBookOptions> = {},
): OfferBook {
  const { offersMax } = { ...OFFER_BOOK_DEFAULTS, ...options };
  const { suite, clock } = parts;
  const open = new Map<string, { left: number; readonly untilMs: number }>();
  const nameOf = (message: Signed): string => toHex(suite.sha256(signed.encode(message)));
  const expire = (): void => {
    const nowMs = clock.monotonicMs();
    for (const [name, { untilMs }] of open) if (untilMs <= nowMs) open.delete(name);
  };
  return {
    add(message, made) {
      if (open.size >= offersMax) expire();
      if (open.size >= offersMax) return false;
      const untilMs = clock.monotonicMs() + made.notAfterMs - made.issuedAtMs;
      open.set(nameOf(message), { left: made.calls, untilMs });
      return true;
    },
    take(message) {
      const known = open.get(nameOf(message));
      if (known === undefined) throw refused('this peer did not make it, or has forgotten it');
      if (known.untilMs <= clock.monotonicMs()) throw refused('it has expired');
      if (known.left === 0) throw refused('it is used up');
      known.left -= 1;
    },
  };
}

function refused(reason: string): SaharaError {
  return new SaharaError('offer-invalid', { reason });
}
