/**
 * The market's words: the open request that a caller gossips, and the offer that an agent answers with. A request
 * says how much is asked, never what; an offer is a price for one payer, for a while, never above the card's.
 */
import { equalBytes } from '../base/bytes.ts';
import { type Card, type Determinism, type PriceSchedule, priceSchedule } from './card.ts';
import type { Hash, Id, PublicKey } from './ids.ts';
import { PROTOCOL_VERSION } from './ids.ts';
import {
  CALL_DEADLINE_MS_MAX,
  CLOCK_SKEW_MS,
  NETWORK_NAME_BYTES_MAX,
  OFFER_CALLS_MAX,
  OFFER_LIFE_MS_MAX,
} from './limits.ts';
import { bytes, grains, list, oneOf, optional, record, type Schema, text, u32, uint } from './schema.ts';

/** An open request for offers, signed under the type `offer-request` by the key of who would pay. */
export interface OfferRequest {
  readonly version: number;
  readonly network: string;
  readonly id: Id;
  readonly payer: PublicKey;
  /** The peer that takes the offers, which is also the one that gossips the request, and where to dial it. */
  readonly peerId: string;
  readonly addresses: readonly string[];
  /** Asked of this agent alone; absent: of any with the skill. One of the two is there. */
  readonly agent: PublicKey | undefined;
  readonly skill: string | undefined;
  /** Any of these will do; none: any language. */
  readonly languages: readonly string[];
  /** Units of the question and its context. */
  readonly inputUnits: number;
  /** Units of answer that are wanted. */
  readonly outputUnits: number;
  /** Most that these units may cost, grains. */
  readonly ceiling: bigint;
  /** How long the answer may take, milliseconds. */
  readonly deadlineMs: number;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** The wire form of a request for offers. */
export const offerRequest: Schema<OfferRequest> = record('offer-request', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  id: bytes(16),
  payer: bytes(32),
  peerId: text(64),
  addresses: list(text(160), 4),
  agent: optional(bytes(32)),
  skill: optional(text(64)),
  languages: list(text(16), 8),
  inputUnits: u32,
  outputUnits: u32,
  ceiling: grains,
  deadlineMs: uint(CALL_DEADLINE_MS_MAX),
  issuedAtMs: uint(),
  expiresAtMs: uint(),
});

/** A price for one payer, signed under the type `offer` by the agent's key. */
export interface Offer {
  readonly version: number;
  readonly network: string;
  /** Id of the request that it answers. */
  readonly request: Id;
  readonly payer: PublicKey;
  readonly agent: PublicKey;
  readonly operator: PublicKey;
  /** The card that holds in everything but the price. */
  readonly cardHash: Hash;
  readonly skill: string | undefined;
  readonly price: PriceSchedule;
  /** Most units of a question, and of its answer, that it holds for. */
  readonly inputUnitsMax: number;
  readonly outputUnitsMax: number;
  readonly modelDigest: Hash;
  readonly determinism: Determinism;
  /** Most that an answer takes, milliseconds. */
  readonly deadlineMs: number;
  /** How many calls it may price. */
  readonly calls: number;
  /** The peer that made it, where alone it holds. */
  readonly peerId: string;
  readonly addresses: readonly string[];
  readonly issuedAtMs: number;
  /** A call that is issued later is not priced by it. */
  readonly notAfterMs: number;
}

/** The wire form of an offer. */
export const offer: Schema<Offer> = record('offer', {
  version: uint(255),
  network: text(NETWORK_NAME_BYTES_MAX),
  request: bytes(16),
  payer: bytes(32),
  agent: bytes(32),
  operator: bytes(32),
  cardHash: bytes(32),
  skill: optional(text(64)),
  price: priceSchedule,
  inputUnitsMax: u32,
  outputUnitsMax: u32,
  modelDigest: bytes(32),
  determinism: oneOf('exact', 'seeded', 'none'),
  deadlineMs: uint(CALL_DEADLINE_MS_MAX),
  calls: uint(OFFER_CALLS_MAX),
  peerId: text(64),
  addresses: list(text(160), 4),
  issuedAtMs: uint(),
  notAfterMs: uint(),
});

/** What an offer is held against: the call that it is to price. */
export interface OfferUse {
  readonly network: string;
  readonly payer: PublicKey;
  readonly card: Card;
  readonly cardHash: Hash;
  readonly skill: string | undefined;
  readonly inputUnits: number;
  /** When the call's envelope was issued. */
  readonly issuedAtMs: number;
}

/**
 * Why an offer does not price a call, in this order: version, network, agent, operator, payer, card, skill, life,
 * time, units, price above the card's. `undefined` when it does. The signature is checked apart.
 */
export function offerFault(made: Offer, use: OfferUse): string | undefined {
  const { card } = use;
  if (made.version !== PROTOCOL_VERSION) return 'it is of another version';
  if (made.network !== use.network) return 'it is of another network';
  if (!equalBytes(made.agent, card.agent)) return 'it is another agent’s';
  if (!equalBytes(made.operator, card.operator)) return 'it pays another operator';
  if (!equalBytes(made.payer, use.payer)) return 'it is for another payer';
  if (!equalBytes(made.cardHash, use.cardHash)) return 'it is for another card';
  if (made.skill !== undefined && made.skill !== use.skill) return 'it is for another skill';
  const lifeMs = made.notAfterMs - made.issuedAtMs;
  if (lifeMs <= 0 || lifeMs > OFFER_LIFE_MS_MAX || made.calls === 0) return 'it prices no call';
  if (use.issuedAtMs > made.notAfterMs) return 'it has expired';
  if (use.issuedAtMs + CLOCK_SKEW_MS < made.issuedAtMs) return 'it is from the future';
  if (use.inputUnits > made.inputUnitsMax) return 'the question has more units than it holds for';
  return isAbove(made.price, card.price) ? 'it is above the price of the card' : undefined;
}

/** Whether any part of `price` is above that of `published`. */
export function isAbove(price: PriceSchedule, published: PriceSchedule): boolean {
  return (
    price.perCall > published.perCall ||
    price.perInputUnit > published.perInputUnit ||
    price.perOutputUnit > published.perOutputUnit
  );
}
