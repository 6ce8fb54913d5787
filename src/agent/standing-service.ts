/** The question of `/sahara/standing/1`, at both of its ends. */
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Dice } from '../base/random.ts';
import { type Envelope, envelope, openEnvelope } from '../protocol/envelope.ts';
import { PROTOCOL_VERSION, type PublicKey, peerIdBytes } from '../protocol/ids.ts';
import { CLOCK_SKEW_MS } from '../protocol/limits.ts';
import type { TickSigner, Verifier } from '../protocol/signing.ts';
import {
  STANDING_FACTS_MAX,
  STANDING_QUESTION_BYTES_MAX,
  STANDING_TYPE,
  type StandingAnswer,
  type StandingView,
  standingAnswer,
  standingQuestion,
  standingRequest,
} from '../protocol/standing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { Standing, StandingBook } from './standing.ts';
import { callerName, peerName } from './standing-names.ts';
import { wayUp } from './standing-rules.ts';
import type { CallLimit } from './throttle.ts';

/** Parts of the answering side. */
export interface StandingServiceParts {
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly network: string;
  /** This peer's id. */
  readonly peerId: string;
  readonly standing: StandingBook;
  /** What a host gives a peer and a key; `Entrance` knows. */
  limitsOf(peerId: string, caller: PublicKey): CallerLimits;
}

/** The limits of one peer and one key. */
export interface CallerLimits {
  readonly stranger: boolean;
  readonly peer: readonly CallLimit[];
  readonly caller: readonly CallLimit[];
}

/**
 * Answers one question of the peer `from`. Refusals in this order: `too-large`, `malformed`, those of `openEnvelope`,
 * `wrong-recipient` for another peer than the one that the question names, `signature-invalid`.
 */
export async function answerStanding(
  parts: StandingServiceParts,
  body: Uint8Array,
  from: string,
): Promise<Uint8Array> {
  const { suite, network, clock, standing } = parts;
  if (body.length > STANDING_QUESTION_BYTES_MAX) {
    throw new SaharaError('too-large', { what: 'question', limitBytes: STANDING_QUESTION_BYTES_MAX });
  }
  const question = standingQuestion.decode(body);
  const opened = openEnvelope(suite, question.envelope, question.body, {
    network,
    to: { kind: 'peer', name: bytesOfPeer(parts.peerId) },
    bodyType: STANDING_TYPE,
    nowMs: clock.nowMs(),
  });
  // A question that was overheard tells nothing to anybody else.
  if (standingRequest.decode(question.body).peer !== from) {
    throw new SaharaError('wrong-recipient', { expected: 'the peer that asks' });
  }
  const fault = await parts.verifier.check(network, STANDING_TYPE, opened.from, question.envelope);
  if (fault) throw new SaharaError(fault);
  const { stranger, peer, caller } = parts.limitsOf(from, opened.from);
  return standingAnswer.encode({
    network,
    atMs: Math.trunc(clock.nowMs()),
    stranger,
    peer: viewOf(standing.of(peerName(from)), peer),
    caller: viewOf(standing.of(callerName(opened.from)), caller),
  });
}

/** What is told of a standing. Counts are rounded up, so that what weighs is never shown as nothing. */
export function viewOf(standing: Standing, limits: readonly CallLimit[]): StandingView {
  const facts = [...standing.facts].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, STANDING_FACTS_MAX);
  const way = wayUp(standing.facts);
  return {
    step: standing.step,
    points: Math.ceil(standing.points),
    facts: facts.map(([fact, count]) => ({
      fact,
      count: Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(count)),
    })),
    limits,
    betterAfterMs: way?.afterMs,
    betterAfterCalls: way?.afterCalls,
  };
}

/** Parts of the asking side. */
export interface StandingAskerParts {
  readonly clock: Clock;
  readonly dice: Dice;
  readonly network: string;
  /** This peer's id. */
  readonly peerId: string;
  /** The key that calls are made with. */
  readonly operator: TickSigner;
  readonly suite: Suite;
  /** Asks a peer and gives its answer; `mesh` provides it. */
  request(peerId: string, body: Uint8Array, options: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}

/** Life of a question, milliseconds. */
const QUESTION_LIFE_MS = CLOCK_SKEW_MS;

/** Asks a peer what it thinks of this one. Throws what asking throws, and `malformed` or `network-mismatch`. */
export async function askStanding(
  parts: StandingAskerParts,
  peerId: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<StandingAnswer> {
  const { clock, dice, network, operator, suite } = parts;
  const body = standingRequest.encode({ peer: parts.peerId });
  const nowMs = Math.trunc(clock.nowMs());
  const asked: Envelope = {
    version: PROTOCOL_VERSION,
    network,
    id: dice.bytes(16),
    from: operator.publicKey,
    to: { kind: 'peer', name: bytesOfPeer(peerId) },
    sequence: nowMs,
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + QUESTION_LIFE_MS,
    context: undefined,
    bodyType: STANDING_TYPE,
    bodyHash: suite.sha256(body),
    extensions: new Map(),
  };
  const signed = await operator.sign(STANDING_TYPE, envelope.encode(asked));
  const question = standingQuestion.encode({ envelope: signed, body });
  const answer = standingAnswer.decode(await parts.request(peerId, question, options));
  if (answer.network !== network) throw new SaharaError('network-mismatch', { found: answer.network });
  return answer;
}

function bytesOfPeer(peerId: string): Uint8Array {
  const bytes = peerIdBytes(peerId);
  if (bytes === undefined || bytes.length === 0 || bytes.length > 128) {
    throw new SaharaError('malformed', { reason: 'no peer id' });
  }
  return bytes;
}
