/**
 * What one peer may begin here, over all of its streams: calls, questions, gossip handed over. Whoever keeps standing
 * is told what a peer does wrong, and says what share of the limits is left to it.
 */
import type { Clock } from '../base/clock.ts';
import { type ErrorCode, SaharaError } from '../base/errors.ts';
import { type Rate, Rates } from '../base/rates.ts';
import type { PeerConduct, PeerFact } from './interface.ts';
import {
  CALL_OPENS_PER_SECOND_MAX,
  NEIGHBOUR_MESSAGES_PER_SECOND_MAX,
  QUESTIONS_PER_SECOND_MAX,
  STANDINGS_MAX,
} from './limits.ts';

/** The limits of each peer. */
export interface PeerDoor {
  /** Counts a call that a peer begins. `rate-limited` when it is one too many. */
  call(peerId: string): SaharaError | undefined;
  /** Counts a question of a peer. `rate-limited` when it is one too many. */
  question(peerId: string): SaharaError | undefined;
  /** Counts a message that a neighbour handed over. False: it is one too many. */
  gossip(peerId: string): boolean;
  /** Tells of a failure, if it is one that an honest peer does not cause. */
  broke(peerId: string, fact: 'stream-broken' | 'question-broken', error: SaharaError): void;
  /** Tells of what a peer did. */
  note(peerId: string, fact: PeerFact): void;
}

/** What only who does not keep to the protocol causes. */
const BREACHES: ReadonlySet<ErrorCode> = new Set([
  'malformed',
  'too-large',
  'unknown-critical',
  'signature-missing',
  'signature-invalid',
]);

/** Limits over `conduct`; without it every peer has the whole of them. */
export function createPeerDoor(parts: {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly conduct?: PeerConduct | undefined;
}): PeerDoor {
  const { clock, conduct } = parts;
  const rates = (): Rates => new Rates(clock, STANDINGS_MAX);
  const [calls, questions, messages] = [rates(), rates(), rates()];
  const shared = (peerId: string, perSecond: number, bursts: number): Rate => {
    const left = Math.max(1, perSecond * (conduct?.shareOf(peerId) ?? 1));
    return { perSecond: left, burst: bursts * left };
  };
  const refusal = (
    peerId: string,
    what: 'calls' | 'questions',
    retryAfterMs: number,
    rate: Rate,
  ): SaharaError => {
    conduct?.note(peerId, `${what}-refused`);
    return new SaharaError('rate-limited', { what, limit: Math.floor(rate.perSecond), retryAfterMs });
  };
  return {
    call(peerId) {
      const rate = shared(peerId, CALL_OPENS_PER_SECOND_MAX, 1);
      const waitMs = calls.take(peerId, rate);
      return waitMs > 0 ? refusal(peerId, 'calls', waitMs, rate) : undefined;
    },
    question(peerId) {
      const rate = shared(peerId, QUESTIONS_PER_SECOND_MAX, 2);
      const waitMs = questions.take(peerId, rate);
      return waitMs > 0 ? refusal(peerId, 'questions', waitMs, rate) : undefined;
    },
    gossip(peerId) {
      const perSecond = NEIGHBOUR_MESSAGES_PER_SECOND_MAX;
      if (messages.take(peerId, { perSecond, burst: 4 * perSecond }) === 0) return true;
      conduct?.note(peerId, 'gossip-excess');
      return false;
    },
    broke(peerId, fact, error) {
      if (BREACHES.has(error.code)) conduct?.note(peerId, fact);
    },
    note: (peerId, fact) => conduct?.note(peerId, fact),
  };
}
