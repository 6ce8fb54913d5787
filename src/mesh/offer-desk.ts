/** Where offers for this peer's requests come in: each is held against its request and the agent's card, or refused. */
import { equalBytes, toHex } from '../base/bytes.ts';
import { type Clock, timeoutSignal } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import { OFFERS_PER_PEER_MAX } from '../protocol/limits.ts';
import { type Offer, type OfferRequest, offerFault, offer as offerSchema } from '../protocol/offer.ts';
import { chargeOf } from '../protocol/payment.ts';
import type { Signed, Verifier } from '../protocol/signing.ts';
import type { CardWanted, VerifiedCard } from './cards.ts';
import { OFFERS_GATHERED_MAX } from './limits.ts';

/** An offer that holds, with the card of who made it. */
export interface GatheredOffer {
  readonly message: Signed;
  readonly offer: Offer;
  readonly card: VerifiedCard;
}

/** One request that is open. */
interface Gathering {
  /** The offers so far, once the time or the count is reached. Rejects with `cancelled`. */
  readonly done: Promise<readonly GatheredOffer[]>;
  /** Takes no more offers. */
  end(): void;
}

/** Open requests of this peer. */
export interface OfferDesk {
  readonly open: number;
  begin(
    request: OfferRequest,
    options: { readonly waitMs: number; readonly countMax: number; readonly signal?: AbortSignal },
  ): Gathering;
  /** Takes an offer from a peer. Throws `offer-invalid`, `overloaded`, or what reading the card throws. */
  take(message: Signed, from: string): Promise<void>;
  stop(): void;
}

/** What a desk works with. */
export interface OfferDeskParts {
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly card: (wanted: CardWanted, options: { readonly signal: AbortSignal }) => Promise<VerifiedCard>;
}

interface Open {
  readonly request: OfferRequest;
  readonly countMax: number;
  /** Offers taken for judgement, by agent and peer: each may try once. */
  readonly tried: Map<string, number>;
  readonly offers: GatheredOffer[];
  readonly stopping: AbortController;
  readonly full: () => void;
}

const CARD_MS_MAX = 5_000;
/** Peers and agents together that may try to make an offer for one request. */
const TRIED_MAX = 4 * OFFERS_GATHERED_MAX;

/** A desk without requests. */
export function createOfferDesk(parts: OfferDeskParts, options: { readonly network: string }): OfferDesk {
  const { clock, verifier } = parts;
  const open = new Map<string, Open>();

  const judged = async (at: Open, message: Signed, made: Offer): Promise<GatheredOffer> => {
    const fault = await verifier.check(options.network, 'offer', made.agent, message);
    if (fault) throw refused('the agent did not sign it');
    const signal = AbortSignal.any([at.stopping.signal, timeoutSignal(clock, CARD_MS_MAX)]);
    const { agent, operator, cardHash, peerId, addresses } = made;
    const hosts = [{ peerId, addresses }];
    const card = await parts.card({ agent, operator, cardHash, name: toHex(agent), hosts }, { signal });
    const wrong = wrongWith(made, at.request, { card, network: options.network, nowMs: clock.nowMs() });
    if (wrong !== undefined) throw refused(wrong);
    return { message, offer: made, card };
  };

  return {
    get open() {
      return open.size;
    },
    begin(request, { waitMs, countMax, signal }) {
      const name = toHex(request.id);
      const offers: GatheredOffer[] = [];
      const { promise, resolve, reject } = Promise.withResolvers<readonly GatheredOffer[]>();
      const full = (): void => resolve([...offers]);
      const cancel = clock.after(waitMs, full);
      const abort = (): void => reject(new SaharaError('cancelled'));
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) abort();
      const stopping = new AbortController();
      const limit = Math.min(countMax, OFFERS_GATHERED_MAX);
      open.set(name, { request, countMax: limit, tried: new Map(), offers, stopping, full });
      // Who began may fail before it waits.
      promise.catch(() => {});
      return {
        done: promise,
        end() {
          cancel();
          signal?.removeEventListener('abort', abort);
          stopping.abort();
          open.delete(name);
        },
      };
    },
    async take(message, from) {
      const made = offerSchema.decode(message.payload);
      const at = open.get(toHex(made.request));
      if (at === undefined) throw refused('nobody here asked for it, or not any more');
      if (made.peerId !== from) throw refused('it holds at another peer');
      const ofPeer = at.tried.get(from) ?? 0;
      const ofAgent = `${from} ${toHex(made.agent)}`;
      if (ofPeer >= OFFERS_PER_PEER_MAX) throw refused('this peer has offered enough');
      if (at.tried.has(ofAgent)) throw refused('this agent has offered already');
      if (at.tried.size >= TRIED_MAX) throw new SaharaError('overloaded', { what: 'offers' });
      at.tried.set(from, ofPeer + 1).set(ofAgent, 1);
      const gathered = await judged(at, message, made);
      if (at.offers.length < at.countMax) at.offers.push(gathered);
      if (at.offers.length >= at.countMax) at.full();
    },
    stop() {
      for (const { stopping, full } of open.values()) {
        stopping.abort();
        full();
      }
      open.clear();
    },
  };
}

/** What is wrong with an offer, held against what was asked for and against the agent's card. */
function wrongWith(
  made: Offer,
  request: OfferRequest,
  { card, network, nowMs }: { readonly card: VerifiedCard; readonly network: string; readonly nowMs: number },
): string | undefined {
  const { agent, skill, inputUnits, outputUnits } = request;
  if (agent !== undefined && !equalBytes(agent, made.agent)) return 'another agent was asked';
  if (skill !== undefined && !card.card.skills.some(({ name }) => name === skill)) {
    return 'its card does not name the skill';
  }
  const { languages } = card.card;
  const understood = [request.languages, languages].some((some) => some.length === 0);
  if (!understood && !languages.some((language) => request.languages.includes(language))) {
    return 'it does not speak the languages that were asked for';
  }
  const use = { network, payer: request.payer, card: card.card, cardHash: card.hash, skill, inputUnits };
  const fault = offerFault(made, { ...use, issuedAtMs: nowMs });
  if (fault !== undefined) return fault;
  if (made.outputUnitsMax < outputUnits) return 'it holds for fewer units than are wanted';
  if (chargeOf(made.price, inputUnits, outputUnits) > request.ceiling) return 'it is above the ceiling';
  return made.deadlineMs > request.deadlineMs ? 'it takes longer than was asked' : undefined;
}

function refused(reason: string): SaharaError {
  return new SaharaError('offer-invalid', { reason });
}
