/**
 * A question to whoever offers best: asks around for offers, shows them, and asks the agents in the order of their
 * score until one takes the call. What an offer promised is what the call costs.
 */
import { parseAmount } from '../base/amount.ts';
import { asSaharaError, type ErrorCode, SaharaError } from '../base/errors.ts';
import type { Measures } from '../mesh/measures.ts';
import type { GatheredOffer } from '../mesh/offer-desk.ts';
import { type Bid, expectedPrice, rankBids, scoreOf } from '../mesh/offer-score.ts';
import type { Offers, OfferWish } from '../mesh/offers.ts';
import { didOf } from '../protocol/ids.ts';
import { signed } from '../protocol/signing.ts';
import { inputUnits } from '../protocol/units.ts';
import type { AuctionInput } from './admin/methods.ts';
import type { AskEvent, OfferRow } from './admin/types.ts';
import { type Ask, type AskingParts, checkSizes } from './asking.ts';
import { findAgent } from './finding.ts';

/** What auctions work with. */
export interface AuctionParts extends AskingParts {
  readonly offers: Offers;
  readonly measures: Measures;
}

/** Holds auctions and tells what happens. */
export type Auction = (input: AuctionInput, signal: AbortSignal) => AsyncIterable<AskEvent>;

/** How long offers are waited for, milliseconds, unless the asker says otherwise. */
const WAIT_MS = 2_000;
const OFFERS_WANTED = 8;
/** Units of answer that a price is asked for, unless the asker says otherwise. */
const OUTPUT_UNITS = 300;
const DEADLINE_MS = 120_000;
/** Offers that are tried one after the other when agents do not take the call after all. */
const TRIES_MAX = 3;

/** Why the next best offer is tried: nothing was delivered and nothing is owed. */
const NEXT: ReadonlySet<ErrorCode> = new Set([
  'offer-invalid',
  'overloaded',
  'rate-limited',
  'peer-unreachable',
  'peer-gone',
  'caller-refused',
  'expired',
]);

/** An offer that holds, with what is known of who made it. */
export type RankedBid = GatheredOffer & Bid;

/** Auctions over `parts`; `ask` puts the question to who won. */
export function createAuction(parts: AuctionParts, ask: Ask): Auction {
  return async function* auction(input, signal) {
    checkSizes(input);
    const wish = await wishOf(parts, input, signal);
    yield { type: 'progress', step: 'offers', detail: 'Asking for offers' };
    const { waitMs = WAIT_MS, offersMax = OFFERS_WANTED } = input;
    const gathered = await parts.offers.gather(wish, { waitMs, countMax: offersMax, signal });
    const bids = rankBids(
      gathered.map((each) => ({
        ...each,
        measured: parts.measures.of(each.offer.agent, each.offer.peerId),
      })),
      wish,
    );
    yield { type: 'offers', offers: bids.map((bid) => rowOf(bid, wish)) };
    if (bids.length === 0) throw noOffers(input);
    if (input.listOnly !== true) yield* askInTurn(ask, bids, { input, signal });
  };
}

async function wishOf(parts: AuctionParts, input: AuctionInput, signal: AbortSignal): Promise<OfferWish> {
  const { agent, skill, languages = [], question, context = [] } = input;
  if (agent === undefined && skill === undefined) {
    throw new SaharaError('usage', { reason: 'an auction needs a skill or an agent' });
  }
  if (parts.config.gateway.via.length > 0) {
    throw new SaharaError('usage', {
      reason: 'offers come to this peer directly, which gateways are to hide',
    });
  }
  const ceiling =
    input.priceMax === undefined ? parseAmount(parts.config.wallet.priceMax) : BigInt(input.priceMax);
  return {
    agent: agent === undefined ? undefined : (await findAgent(parts, agent, signal)).agent,
    skill,
    languages,
    inputUnits: inputUnits({ question, context }),
    outputUnits: input.outputUnits ?? OUTPUT_UNITS,
    ceiling: ceiling ?? 0n,
    deadlineMs: input.deadlineMs ?? DEADLINE_MS,
  };
}

function noOffers({ agent, skill = '' }: AuctionInput): SaharaError {
  return new SaharaError('agent-unknown', { reason: 'no-offers', name: agent ?? skill });
}

/**
 * Asks who offered best; when it does not take the call after all, the next. Throws the last refusal, or at once what
 * came after something was delivered or may have been charged.
 */
export async function* askInTurn(
  ask: Ask,
  bids: readonly RankedBid[],
  { input, signal }: { readonly input: AuctionInput; readonly signal: AbortSignal },
): AsyncGenerator<AskEvent, void> {
  const { question, context, priceMax, skill, deadlineMs } = input;
  let failure: unknown;
  for (const { offer, message, card } of bids.slice(0, TRIES_MAX)) {
    const asked = {
      agent: didOf(offer.agent),
      question,
      ...(context && { context }),
      ...(priceMax !== undefined && { priceMax }),
      ...(skill !== undefined && { skill }),
      ...(deadlineMs !== undefined && { deadlineMs }),
    };
    const target = { peerId: offer.peerId, card: signed.decode(card.bytes) };
    let answered = false;
    try {
      for await (const event of ask(asked, signal, { target, offer: message })) {
        answered ||= event.type === 'source' || event.type === 'delta';
        yield event;
      }
      return;
    } catch (error) {
      const { code, facts } = asSaharaError(error);
      if (answered || signal.aborted || facts.outcome === 'unknown' || !NEXT.has(code)) throw error;
      failure = error;
      yield {
        type: 'progress',
        step: 'offers',
        detail: `${card.card.name} did not take it; asking the next`,
      };
    }
  }
  throw failure;
}

function rowOf(bid: RankedBid, wish: OfferWish): OfferRow {
  const { offer, card, measured } = bid;
  return {
    name: card.card.name,
    did: didOf(offer.agent),
    operator: didOf(offer.operator),
    peerId: offer.peerId,
    perCall: String(offer.price.perCall),
    perInputUnit: String(offer.price.perInputUnit),
    perOutputUnit: String(offer.price.perOutputUnit),
    expected: String(expectedPrice(offer, wish)),
    notAfterMs: offer.notAfterMs,
    model: card.card.model.name,
    determinism: offer.determinism,
    score: Math.round(scoreOf(bid, wish) * 1_000) / 1_000,
    ...(measured && { measured: { ...measured, paid: String(measured.paid) } }),
  };
}
