/**
 * What the agents of this home offer to who asks around: their published price, less a discount that is whole while
 * nothing runs and gone when every place is taken. An offer is remembered before it leaves, so that a call that comes
 * with it is known.
 */
import type { PublishedAgent } from '../agent/hosting.ts';
import type { OfferBook } from '../agent/offer-book.ts';
import { checkPolicy, type Licensed } from '../agent/policy.ts';
import { equalBytes } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Mesh } from '../mesh/interface.ts';
import type { PriceSchedule } from '../protocol/card.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { PROTOCOL_VERSION } from '../protocol/ids.ts';
import { OFFERS_PER_PEER_MAX } from '../protocol/limits.ts';
import { type Offer, type OfferRequest, offer as offerSchema } from '../protocol/offer.ts';
import { chargeOf } from '../protocol/payment.ts';
import type { Signed } from '../protocol/signing.ts';

/** What offers are made of. */
export interface OfferingParts {
  readonly mesh: Pick<Mesh, 'peerId' | 'addresses'>;
  readonly clock: Clock;
  readonly network: string;
  readonly book: OfferBook;
  /** The agents that are served here, under their newest cards. */
  readonly agents: () => readonly PublishedAgent[];
  /** Calls waiting or running at an agent. */
  readonly queueOf: (agent: PublicKey) => number;
  /** Who may use which asset. Default: nobody. */
  readonly licensed?: Licensed | undefined;
}

/** How offers are made. */
export interface OfferingOptions {
  /** Whether requests are answered at all. Default true. */
  readonly offers: boolean;
  /** Part of the price that an idle agent lets go, percent. Default 0. */
  readonly discountPercent: number;
  /** How long an offer holds, milliseconds. Default 60,000. */
  readonly holdMs: number;
}

/** Values for every option. */
export const OFFERING_DEFAULTS: OfferingOptions = { offers: true, discountPercent: 0, holdMs: 60_000 };

/** An offer prices one call: who wants more asks again, at the price of that moment. */
const CALLS_PER_OFFER = 1;
const ADDRESSES_MAX = 4;

/** Makes offers: what `answer` of the mesh's market asks for. */
export function createOffering(
  parts: OfferingParts,
  given: Partial<OfferingOptions> = {},
): (request: OfferRequest) => Promise<readonly Signed[]> {
  const options = { ...OFFERING_DEFAULTS, ...given };
  const signedOffer = async (agent: PublishedAgent, made: Offer): Promise<readonly Signed[]> => {
    const message = await agent.signer.sign('offer', offerSchema.encode(made));
    return parts.book.add(message, made) ? [message] : [];
  };
  return async (request) => {
    if (!options.offers) return [];
    const made = parts.agents().flatMap((agent) => {
      const offer = offerOf(parts, agent, request, options);
      return offer === undefined ? [] : [{ agent, offer }];
    });
    made.sort((a, b) => (costOf(a.offer, request) < costOf(b.offer, request) ? -1 : 1));
    const cheapest = made.slice(0, OFFERS_PER_PEER_MAX);
    return (await Promise.all(cheapest.map(({ agent, offer }) => signedOffer(agent, offer)))).flat();
  };
}

function costOf(made: Offer, { inputUnits, outputUnits }: OfferRequest): bigint {
  return chargeOf(made.price, inputUnits, outputUnits);
}

/** The offer of an agent, if it fits what is asked. */
function offerOf(
  parts: OfferingParts,
  agent: PublishedAgent,
  request: OfferRequest,
  options: OfferingOptions,
): Offer | undefined {
  const { card, cardHash } = agent;
  const places = Math.max(1, card.limits.concurrency);
  const free = places - parts.queueOf(card.agent);
  if (free <= 0 || !fits(parts, agent, request)) return undefined;
  const price = discounted(card.price, { discountPercent: options.discountPercent, free, places });
  const { inputUnits, outputUnits, ceiling } = request;
  if (chargeOf(price, inputUnits, outputUnits) > ceiling) return undefined;
  const issuedAtMs = parts.clock.nowMs();
  return {
    version: PROTOCOL_VERSION,
    network: parts.network,
    request: request.id,
    payer: request.payer,
    agent: card.agent,
    operator: card.operator,
    cardHash,
    skill: request.skill,
    price,
    inputUnitsMax: inputUnits,
    outputUnitsMax: outputUnits,
    modelDigest: card.model.digest,
    determinism: card.model.determinism,
    deadlineMs: Math.min(request.deadlineMs, card.limits.deadlineMs),
    calls: CALLS_PER_OFFER,
    peerId: parts.mesh.peerId,
    addresses: parts.mesh.addresses().slice(0, ADDRESSES_MAX),
    issuedAtMs,
    notAfterMs: issuedAtMs + options.holdMs,
  };
}

/** Whether an agent is one that is asked for, and would answer this payer. */
function fits(
  { licensed }: OfferingParts,
  { card, manifest }: PublishedAgent,
  request: OfferRequest,
): boolean {
  if (request.agent !== undefined && !equalBytes(request.agent, card.agent)) return false;
  if (request.skill !== undefined && !card.skills.some(({ name }) => name === request.skill)) return false;
  if (request.outputUnits > card.limits.outputUnits) return false;
  const speaks = card.languages.some((language) => request.languages.includes(language));
  if (request.languages.length > 0 && card.languages.length > 0 && !speaks) return false;
  try {
    checkPolicy(manifest, { caller: request.payer, question: '' }, licensed);
    return true;
  } catch (error) {
    if (error instanceof SaharaError) return false;
    throw error;
  }
}

/** A price less `discountPercent` times the part of places that are free, each part rounded up to the grain. */
export function discounted(
  price: PriceSchedule,
  by: { readonly discountPercent: number; readonly free: number; readonly places: number },
): PriceSchedule {
  const whole = 100n * BigInt(by.places);
  const kept = whole - BigInt(by.discountPercent) * BigInt(Math.min(by.free, by.places));
  const less = (amount: bigint): bigint => (amount * kept + whole - 1n) / whole;
  return {
    perCall: less(price.perCall),
    perInputUnit: less(price.perInputUnit),
    perOutputUnit: less(price.perOutputUnit),
  };
}
