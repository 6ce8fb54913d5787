/** What a call is opened with: the request whose price stays inside what may be spent, its envelope, and its voucher. */
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { childContext, rootContext } from '../protocol/budget.ts';
import { type CallOpening, type CallRequest, callOpening, callRequest } from '../protocol/call.ts';
import type { Card, PriceSchedule } from '../protocol/card.ts';
import { certificateChain, verifyChainWith } from '../protocol/certificate.ts';
import { type CallBudget, type Envelope, envelope } from '../protocol/envelope.ts';
import { didOf, type Hash, type Id, PROTOCOL_VERSION } from '../protocol/ids.ts';
import { CLOCK_SKEW_MS, ENVELOPE_LIFE_MS_MAX } from '../protocol/limits.ts';
import { type Offer, offerFault, offer as offerSchema } from '../protocol/offer.ts';
import { ONCE_EXTENSION } from '../protocol/once.ts';
import { chargeOf } from '../protocol/payment.ts';
import type { Signed } from '../protocol/signing.ts';
import { inputUnits } from '../protocol/units.ts';
import type { AskRequest, CallerShared, KnownCard } from './caller.ts';
import { coverOf } from './caller-meter.ts';
import type { CallTicket } from './open-calls.ts';
import type { PayerLease } from './ports.ts';
import { findWork } from './work.ts';

/** What was sent, in its parts and on the wire. */
export interface Outgoing {
  readonly callId: Id;
  readonly peerId: string;
  readonly card: Signed;
  readonly known: KnownCard;
  /** The offer that prices the call in place of its card. */
  readonly offer: Offer | undefined;
  readonly request: CallRequest;
  readonly requestHash: Hash;
  readonly envelope: Envelope;
  readonly opening: CallOpening;
  readonly bytes: Uint8Array;
  /** Absent for a free call. */
  readonly lease: PayerLease | undefined;
}

/** What a call costs by its card or offer. */
export interface CallPrice {
  readonly price: PriceSchedule;
  readonly inputUnits: number;
  /** What the first word costs, grains: everything but the answer's own units. */
  readonly least: bigint;
}

/** The price of a call that was opened. */
export function priceOf({ known, offer, request }: Pick<Outgoing, 'known' | 'offer' | 'request'>): CallPrice {
  const { price } = offer ?? known.card;
  const units = inputUnits(request);
  return { price, inputUnits: units, least: chargeOf(price, units, 0) };
}

/**
 * Opens a call: bounds its price, reserves its cover and signs. `workBits`: zero bits of work that the agent asks of
 * strangers; `stopped` throws once the call was stopped. Throws `price-above-max`, `too-large`, `skill-unknown`, `offer-invalid`, and what reserving throws.
 */
export async function openCall(
  shared: CallerShared,
  asked: AskRequest,
  call: Pick<Outgoing, 'callId' | 'known'> & { readonly workBits: number; readonly stopped: () => void },
): Promise<Outgoing> {
  const { parts } = shared;
  const { callId, known, workBits, stopped } = call;
  const nowMs = parts.clock.nowMs();
  if (shared.skewMs !== 0 && !(await isVouched(parts, known.card, nowMs + shared.skewMs))) {
    shared.skewMs = 0;
  }
  const issuedAtMs = nowMs + shared.skewMs;
  const offer = asked.offer && (await offerOf(shared, asked, { known, signed: asked.offer, issuedAtMs }));
  const request = requestOf(shared, asked, { known, offer });
  const encoded = callRequest.encode(request);
  const requestHash = parts.suite.sha256(encoded);
  const opened: Envelope = {
    version: PROTOCOL_VERSION,
    network: parts.network,
    id: callId,
    from: parts.operator.publicKey,
    to: { kind: 'agent', name: known.card.agent },
    sequence: shared.nextSequence(),
    issuedAtMs,
    expiresAtMs: issuedAtMs + Math.min(ENVELOPE_LIFE_MS_MAX, request.deadlineMs + CLOCK_SKEW_MS),
    context: asked.below
      ? childContext(asked.below.parent, asked.budget)
      : rootContext(callId, budgetFor(asked, shared.skewMs)),
    bodyType: 'call',
    bodyHash: requestHash,
    extensions: new Map(asked.payment === 'once' ? [[ONCE_EXTENSION, new Uint8Array(0)]] : []),
  };
  const payload = envelope.encode(opened);
  const subject = { network: parts.network, agent: known.card.agent, envelope: payload };
  const work = workBits > 0 ? await findWork(subject, workBits, { dice: parts.dice, stopped }) : undefined;
  // Asked for together, so that voucher and request leave under one signature.
  const reserving = reserve(shared, asked, { callId, known, request });
  const signing = parts.operator.sign('call', payload);
  const [lease, signed] = await Promise.all([reserving, signing]);
  const opening: CallOpening = {
    envelope: signed,
    request: encoded,
    voucher: lease?.voucher,
    offer: asked.offer,
    work,
    parents: asked.below?.parents ?? [],
  };
  const { peerId, card } = asked.target;
  const bytes = callOpening.encode(opening);
  return {
    callId,
    peerId,
    card,
    known,
    offer,
    request,
    requestHash,
    envelope: opened,
    opening,
    bytes,
    lease,
  };
}

/** The budget with its end by the clock that the call's own times go by. */
function budgetFor({ budget }: AskRequest, skewMs: number): CallBudget | undefined {
  return budget && { ...budget, deadlineMs: budget.deadlineMs + skewMs };
}

/**
 * Whether the operator vouches for the agent at the time that a call would be dated. A clock that was corrected by what
 * an agent's peer takes for the time must not make evidence that proves nothing, nor outlive that peer's mistake. The
 * verifier remembers the signatures, so that each call asks for the times alone.
 */
async function isVouched(
  { network, verifier }: CallerShared['parts'],
  card: Card,
  nowMs: number,
): Promise<boolean> {
  if (card.operatorCertificate.length === 0) return true;
  try {
    await verifyChainWith(verifier, certificateChain.decode(card.operatorCertificate), {
      network,
      root: card.operator,
      subject: { kind: 'key', id: card.agent },
      capability: `serve:agent/${didOf(card.agent)}`,
      nowMs,
    });
    return true;
  } catch {
    return false;
  }
}

/** A call as it was opened, read back from its ticket; nothing is held for it yet. */
export async function reopenCall(shared: CallerShared, ticket: CallTicket): Promise<Outgoing> {
  const { card, peerId, callId, opening: bytes } = ticket;
  const opening = callOpening.decode(bytes);
  return {
    callId,
    peerId,
    card,
    known: await shared.cardOf(card),
    offer: opening.offer && offerSchema.decode(opening.offer.payload),
    request: callRequest.decode(opening.request),
    requestHash: shared.parts.suite.sha256(opening.request),
    envelope: envelope.decode(opening.envelope.payload),
    opening,
    bytes,
    lease: undefined,
  };
}

/** The request whose price stays inside what may be spent. Throws `price-above-max`, `too-large`, `skill-unknown`. */
function requestOf(
  shared: CallerShared,
  asked: AskRequest,
  { known, offer }: Pick<Outgoing, 'known' | 'offer'>,
): CallRequest {
  const { card, hash } = known;
  const { question, context = [], skill, seed } = asked;
  checkAsked(asked, known);
  const { price } = offer ?? card;
  const input = inputUnits({ question, context });
  const least = chargeOf(price, input, 0);
  const free = asked.payment === 'free';
  const below = asked.budget?.amount ?? 0n;
  if (least + below > asked.priceMax && !free) {
    throw new SaharaError('price-above-max', {
      price: String(least + below),
      priceMax: String(asked.priceMax),
    });
  }
  const limit = Math.min(card.limits.outputUnits, offer?.outputUnitsMax ?? card.limits.outputUnits);
  const wanted = Math.min(asked.outputUnitsMax ?? limit, limit);
  const perUnit = price.perOutputUnit;
  const affordable = perUnit === 0n || free ? BigInt(wanted) : (asked.priceMax - below - least) / perUnit;
  const outputUnitsMax = affordable < BigInt(wanted) ? Number(affordable) : wanted;
  const priceMax = free ? 0n : chargeOf(price, input, outputUnitsMax) + below;
  return {
    cardHash: hash,
    skill,
    question,
    context,
    priceMax,
    cover: free ? 0n : coverOf(shared, card.operator, { priceMax, least, perOutputUnit: perUnit, below }),
    outputUnitsMax,
    deadlineMs: Math.min(asked.deadlineMs ?? shared.options.deadlineMs, card.limits.deadlineMs),
    seed,
  };
}

function checkAsked({ question, skill }: AskRequest, { card }: KnownCard): void {
  const sizeBytes = Buffer.byteLength(question);
  const limitBytes = card.limits.questionBytes;
  if (sizeBytes > limitBytes) throw new SaharaError('too-large', { what: 'question', sizeBytes, limitBytes });
  if (skill !== undefined && !card.skills.some(({ name }) => name === skill)) {
    throw new SaharaError('skill-unknown', { skill, known: card.skills.map(({ name }) => name) });
  }
}

/** The offer that prices a call, checked. Throws `offer-invalid`. */
async function offerOf(
  { parts }: CallerShared,
  asked: AskRequest,
  {
    known,
    signed,
    issuedAtMs,
  }: { readonly known: KnownCard; readonly signed: Signed; readonly issuedAtMs: number },
): Promise<Offer> {
  const { network, verifier, operator } = parts;
  const offer = offerSchema.decode(signed.payload);
  const reason =
    offerFault(offer, {
      network,
      payer: operator.publicKey,
      card: known.card,
      cardHash: known.hash,
      skill: asked.skill,
      inputUnits: inputUnits({ question: asked.question, context: asked.context ?? [] }),
      issuedAtMs,
    }) ?? (await verifier.check(network, 'offer', known.card.agent, signed));
  if (reason !== undefined) throw new SaharaError('offer-invalid', { reason });
  return offer;
}

async function reserve(
  { parts: { payer } }: CallerShared,
  { payment = 'auto' }: AskRequest,
  {
    callId,
    known,
    request,
  }: { readonly callId: Id; readonly known: KnownCard; readonly request: CallRequest },
): Promise<PayerLease | undefined> {
  const { priceMax, cover } = request;
  if (priceMax === 0n || payment === 'free' || payment === 'once') return undefined;
  const { card } = known;
  const free = payment === 'auto' && card.free.calls > 0;
  if (payer === undefined) {
    if (free) return undefined;
    throw new SaharaError('payment-required', { price: String(priceMax) });
  }
  try {
    return await payer.reserve({ callId, payee: card.operator, amountMax: cover, limit: priceMax });
  } catch (error) {
    if (free && asSaharaError(error).code === 'channel-unknown') return undefined;
    throw error;
  }
}
