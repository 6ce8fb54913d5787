/**
 * What a call must pass before any work is done for it, in the order of `spec/calls.md` CALL-10, so that two hosts
 * give the same reason for the same call: size, shape, version, network, recipient, expiry, duplicate, rate,
 * signature, policy, limits, offer, price. The voucher, last, is the payee's book's to check.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import type { ReplayStore } from '../base/replay.ts';
import { checkParents } from '../protocol/budget.ts';
import { type CallOpening, type CallRequest, callOpening, callRequest } from '../protocol/call.ts';
import type { Card, PriceSchedule } from '../protocol/card.ts';
import { type Envelope, openEnvelope } from '../protocol/envelope.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { CLOCK_SKEW_MS } from '../protocol/limits.ts';
import { type Offer, offerFault, offer as offerSchema } from '../protocol/offer.ts';
import { ONCE_EXTENSION } from '../protocol/once.ts';
import { chargeOf } from '../protocol/payment.ts';
import type { TickSigner, Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { inputUnits } from '../protocol/units.ts';
import { checkOnce, type OnceOpening, readOnce } from './host-once.ts';
import type { OfferBook } from './offer-book.ts';
import type { Answerer } from './ports.ts';

/** Largest opening in its wire form, bytes. */
export const OPENING_BYTES_MAX = 1_048_576;

/** An agent as its host serves it. */
export interface HostedAgent {
  readonly card: Card;
  /** SHA-256 of the signed card in its wire form. */
  readonly cardHash: Hash;
  /** Signs receipts with the agent's key. */
  readonly signer: TickSigner;
  readonly answerer: Answerer;
  /** Why this caller may not ask this, if so: `caller-refused`. */
  readonly policy?: (caller: PublicKey, request: CallRequest) => SaharaError | undefined;
}

/** Finds the agents of this peer. */
export interface HostedAgents {
  /** The agent with this key, under its newest card. */
  find(agent: PublicKey): HostedAgent | undefined;
  /** The same agent under an earlier card that is still served. */
  underCard?(agent: PublicKey, cardHash: Hash): HostedAgent | undefined;
}

/** Parts of admission. */
export interface AdmissionParts {
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly replay: ReplayStore;
  readonly network: string;
  readonly agents: HostedAgents;
  /** The offers made here; without it no offer is taken. */
  readonly offers?: OfferBook | undefined;
}

/** A call that passed everything that can be checked without its signature. */
export interface ReadOpening {
  readonly bytes: Uint8Array;
  readonly opening: CallOpening;
  readonly envelope: Envelope;
  readonly request: CallRequest;
  readonly hosted: HostedAgent;
  /** The offer that came along, not yet checked. */
  readonly offer?: Offer | undefined;
  /** Present where one transaction pays the call. */
  readonly once?: OnceOpening | undefined;
}

/** What a call may cost and take. */
export interface CallTerms {
  readonly hosted: HostedAgent;
  /** The offer's price, or else the card's. */
  readonly price: PriceSchedule;
  readonly inputUnits: number;
  readonly outputUnitsMax: number;
  /** Most that it can cost, with all calls below it, grains. */
  readonly amountMax: bigint;
  /** Most that the calls directly below it may cost, grains. */
  readonly expensesMax: bigint;
  readonly deadlineMs: number;
}

/** Size, shape, version, network, recipient, expiry and binding of the body. `payment`: what came before the opening. */
export function readOpening(parts: AdmissionParts, bytes: Uint8Array, payment?: Uint8Array): ReadOpening {
  if (bytes.length > OPENING_BYTES_MAX) {
    throw new SaharaError('too-large', {
      what: 'opening',
      sizeBytes: bytes.length,
      limitBytes: OPENING_BYTES_MAX,
    });
  }
  const opening = callOpening.decode(bytes);
  const request = callRequest.decode(opening.request);
  let hosted: HostedAgent | undefined;
  const opened = openEnvelope(parts.suite, opening.envelope, opening.request, {
    network: parts.network,
    // Without an agent of that name the envelope is for somebody else, whoever that is.
    to: ({ to: { kind, name } }) => {
      hosted = kind === 'agent' && name.length === 32 ? parts.agents.find(name) : undefined;
      return { kind: 'agent', name: hosted?.card.agent ?? NOBODY };
    },
    bodyType: 'call',
    nowMs: parts.clock.nowMs(),
    critical: [ONCE_EXTENSION],
  });
  if (hosted === undefined) throw new SaharaError('wrong-recipient', { expected: 'agent' });
  const offer = opening.offer && offerSchema.decode(opening.offer.payload);
  const once = readOnce(opening, opened, payment);
  return { bytes, opening, envelope: opened, request, hosted, offer, once };
}

const NOBODY = new Uint8Array(0);

/**
 * The caller's signature, the agent's on an offer, and what is shown of calls above. Throws `signature-missing`,
 * `signature-invalid`, `offer-invalid`, and what `checkParents` throws.
 */
export async function checkSignature(parts: AdmissionParts, read: ReadOpening): Promise<void> {
  const { opening, envelope: opened, hosted } = read;
  const fault = await parts.verifier.check(parts.network, 'call', opened.from, opening.envelope);
  if (fault) throw new SaharaError(fault);
  if (opening.offer !== undefined) {
    const forged = await parts.verifier.check(parts.network, 'offer', hosted.card.agent, opening.offer);
    if (forged) throw new SaharaError('offer-invalid', { reason: 'the agent did not sign it' });
  }
  const { parents } = opening;
  if (opened.context !== undefined || parents.length > 0) {
    await checkParents(parts, { envelope: opened, request: read.request, parents });
  }
}

/**
 * From here the message counts as taken, and its offer as used once more; a call that was refused before may be sent
 * again. Throws `offer-invalid`, `replayed`.
 */
export function claimMessage(parts: AdmissionParts, read: ReadOpening): void {
  const { id, expiresAtMs } = read.envelope;
  const { offer } = read.opening;
  // A payment is used up by the answer, not by the question (CALL-145).
  if (read.once !== undefined) return;
  // A message that is not new must not use its offer up.
  if (offer !== undefined && !parts.replay.has(id)) {
    if (!parts.offers) throw new SaharaError('offer-invalid', { reason: 'this peer makes no offers' });
    parts.offers.take(offer);
  }
  if (!parts.replay.claim(id, expiresAtMs + CLOCK_SKEW_MS))
    throw new SaharaError('replayed', { id: toHex(id) });
  point('host:admitted');
}

/**
 * Policy, limits, offer and price: throws `caller-refused`, `expired` (another card), `skill-unknown`, `too-large`,
 * `offer-invalid`, `payment-invalid`, `price-above-max`.
 */
export function termsOf(parts: AdmissionParts, read: ReadOpening): CallTerms {
  const { request, envelope: opened } = read;
  const hosted = underCard(parts, read);
  const refusal = hosted.policy?.(opened.from, request);
  if (refusal) throw refusal;
  const { card } = hosted;
  if (request.skill !== undefined && !card.skills.some(({ name }) => name === request.skill)) {
    throw new SaharaError('skill-unknown', {
      skill: request.skill,
      known: card.skills.map(({ name }) => name),
    });
  }
  const sizeBytes = Buffer.byteLength(request.question);
  if (sizeBytes > card.limits.questionBytes) {
    throw new SaharaError('too-large', {
      what: 'question',
      sizeBytes,
      limitBytes: card.limits.questionBytes,
    });
  }
  const input = inputUnits(request);
  const offer = offerOf(parts, read, { hosted, input });
  const { price } = offer ?? card;
  const least = chargeOf(price, input, 0);
  const expensesMax = opened.context?.budget?.amount ?? 0n;
  checkOnce(read, { card, offer });
  const isPaid = read.opening.voucher !== undefined || read.once !== undefined;
  if (isPaid && least + expensesMax > request.priceMax) {
    const price = String(least + expensesMax);
    throw new SaharaError('price-above-max', { price, priceMax: String(request.priceMax) });
  }
  // Only an operator's own money may be spent by a call that nobody pays for.
  if (!isPaid && expensesMax > 0n && !equalBytes(opened.from, card.operator)) {
    throw new SaharaError('payment-required', { price: String(least + expensesMax) });
  }
  const allowed = Math.min(card.limits.outputUnits, offer?.outputUnitsMax ?? card.limits.outputUnits);
  const wanted = Math.min(request.outputUnitsMax, allowed);
  const perUnit = price.perOutputUnit;
  const paid = perUnit > 0n && isPaid ? (request.priceMax - expensesMax - least) / perUnit : undefined;
  const outputUnitsMax = paid !== undefined && paid < BigInt(wanted) ? Number(paid) : wanted;
  return {
    hosted,
    price,
    inputUnits: input,
    outputUnitsMax,
    amountMax: chargeOf(price, input, outputUnitsMax) + (isPaid ? expensesMax : 0n),
    expensesMax,
    deadlineMs: Math.min(request.deadlineMs, card.limits.deadlineMs, offer?.deadlineMs ?? request.deadlineMs),
  };
}

/** The offer that prices the call, if it came with one. Throws `offer-invalid`. */
function offerOf(
  parts: AdmissionParts,
  read: ReadOpening,
  { hosted, input }: { readonly hosted: HostedAgent; readonly input: number },
): Offer | undefined {
  if (read.offer === undefined) return undefined;
  const { card, cardHash } = hosted;
  const reason = offerFault(read.offer, {
    network: parts.network,
    payer: read.envelope.from,
    card,
    cardHash,
    skill: read.request.skill,
    inputUnits: input,
    issuedAtMs: read.envelope.issuedAtMs,
  });
  if (reason !== undefined) throw new SaharaError('offer-invalid', { reason });
  return read.offer;
}

function underCard(parts: AdmissionParts, read: ReadOpening): HostedAgent {
  const { hosted, request } = read;
  if (equalBytes(hosted.cardHash, request.cardHash)) return hosted;
  const earlier = parts.agents.underCard?.(hosted.card.agent, request.cardHash);
  if (earlier) return earlier;
  throw new SaharaError('expired', { what: 'card', newest: toHex(hosted.cardHash) });
}
