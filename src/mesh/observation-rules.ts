/**
 * Which observations count, pure: shape and time, one per call, one per payer and agent in a while. Signatures are
 * checked between `judge` and `mark`.
 */
import { toHex } from '../base/bytes.ts';
import { PROTOCOL_VERSION } from '../protocol/ids.ts';
import { CLOCK_SKEW_MS, OBSERVATION_AGE_MS_MAX, OBSERVATION_INTERVAL_MS_MIN } from '../protocol/limits.ts';
import type { Observation } from '../protocol/observation.ts';
import type { Receipt } from '../protocol/payment.ts';
import type { Instant } from './directory-state.ts';
import type { Verdict } from './interface.ts';
import { AUTHORS_FOLLOWED_MAX, RECEIPTS_SEEN_MAX } from './limits.ts';
import { createPaces } from './paces.ts';
import { createSeen } from './seen.ts';

/** Observations of one gossiping peer in a second, and at once. */
const PER_AUTHOR = { ratePerSecond: 2, burst: 32 };
/** By how much a payer's clock may run slower than the host's in one call, milliseconds. */
const DURATION_SLACK_MS = 1_000;

/** What an observation is held against. */
export interface ObservationSurroundings {
  /** The peer that gossiped it. */
  readonly author: string;
  readonly now: Instant;
  /** Whether that peer is listed as a host of that agent. */
  readonly isHost: (agent: Uint8Array, peerId: string) => boolean;
}

/** The rules, with what they remember. */
export interface ObservationRules {
  /** What an observation deserves as far as signatures do not matter. */
  judge(seen: Observation, receipt: Receipt, around: ObservationSurroundings): Verdict;
  /** Its signatures are right: nobody speaks of this call again, nor this payer of this agent for a while. */
  mark(receipt: Receipt, now: Instant): void;
  /** Whether this payer may speak of this agent now. */
  mayTell(receipt: Receipt, now: Instant): boolean;
}

/** Rules of a network, with nothing seen yet. */
export function createObservationRules(options: { readonly network: string }): ObservationRules {
  const authors = createPaces({ ...PER_AUTHOR, namesMax: AUTHORS_FOLLOWED_MAX });
  const calls = createSeen({ namesMax: RECEIPTS_SEEN_MAX });
  const told = createSeen({ namesMax: RECEIPTS_SEEN_MAX });
  const callOf = (receipt: Receipt): string => `${toHex(receipt.agent)} ${toHex(receipt.callId)}`;
  const pairOf = (receipt: Receipt): string => `${toHex(receipt.payer)} ${toHex(receipt.agent)}`;
  return {
    judge(seen, receipt, { author, now, isHost }) {
      const fault = faultOf(seen, receipt, options.network) ?? staleness(seen, receipt, now.wallMs);
      if (fault) return fault;
      if (!isHost(receipt.agent, seen.peerId)) return 'ignore';
      if (calls.has(callOf(receipt), now.monotonicMs)) return 'ignore';
      if (told.has(pairOf(receipt), now.monotonicMs)) return 'ignore';
      return authors.take(author, now.monotonicMs) ? 'accept' : 'ignore';
    },
    mark(receipt, now) {
      calls.add(callOf(receipt), now.monotonicMs + OBSERVATION_AGE_MS_MAX + 2 * CLOCK_SKEW_MS);
      told.add(pairOf(receipt), now.monotonicMs + OBSERVATION_INTERVAL_MS_MIN);
    },
    mayTell: (receipt, now) => !told.has(pairOf(receipt), now.monotonicMs),
  };
}

/** What its author knew to be wrong. A later version is nobody's fault. */
function faultOf(seen: Observation, receipt: Receipt, network: string): Verdict | undefined {
  if (seen.version !== PROTOCOL_VERSION || receipt.version !== PROTOCOL_VERSION) return 'ignore';
  if (seen.network !== network || receipt.network !== network) return 'reject';
  if (toHex(seen.payer) !== toHex(receipt.payer)) return 'reject';
  return seen.firstMs > seen.totalMs ? 'reject' : undefined;
}

/** Too old, from the future, or faster than the host itself says that it was. */
function staleness(seen: Observation, receipt: Receipt, nowMs: number): Verdict | undefined {
  const oldestMs = nowMs - OBSERVATION_AGE_MS_MAX;
  const newestMs = nowMs + CLOCK_SKEW_MS;
  for (const atMs of [seen.issuedAtMs, receipt.finishedAtMs]) {
    if (atMs < oldestMs || atMs > newestMs) return 'ignore';
  }
  const hostMs = receipt.finishedAtMs - receipt.startedAtMs;
  return seen.totalMs + DURATION_SLACK_MS < hostMs ? 'ignore' : undefined;
}
