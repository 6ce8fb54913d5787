/**
 * The market between peers. Who wants an answer gossips how much of what is wanted and what it may cost, never the
 * question; agents that fit send signed offers straight to that peer, which gathers some for a while. What an offer is
 * held against stands here; which one is taken in `offer-score.ts`; what an agent offers is the daemon's business.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { type Clock, timeoutSignal } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Dice } from '../base/random.ts';
import { PROTOCOL_VERSION } from '../protocol/ids.ts';
import { OFFER_BYTES_MAX, OFFER_REQUEST_BYTES_MAX, OFFER_REQUEST_LIFE_MS_MAX } from '../protocol/limits.ts';
import { type OfferRequest, offerRequest } from '../protocol/offer.ts';
import { type Signed, signed, type TickSigner, type Verifier } from '../protocol/signing.ts';
import type { CardWanted, VerifiedCard } from './cards.ts';
import type { HostListing, Instant } from './directory-state.ts';
import type { Mesh, Verdict } from './interface.ts';
import { OFFERS_GATHERED_MAX, REQUESTS_OPEN_MAX } from './limits.ts';
import { createOfferDesk, type GatheredOffer } from './offer-desk.ts';
import { createOfferRules } from './offer-rules.ts';
import { createPaces } from './paces.ts';
import { topicName } from './topics.ts';

/** The protocol under which offers are handed in: the question is a signed offer, the answer is empty. */
export const OFFER_PROTOCOL = '/sahara/offer/1';

/** What is wanted. */
export interface OfferWish
  extends Pick<OfferRequest, 'agent' | 'skill' | 'languages' | 'inputUnits' | 'outputUnits' | 'ceiling'> {
  /** How long the answer may take, milliseconds. */
  readonly deadlineMs: number;
}

/** Requests and offers of this peer. */
export interface Offers {
  /**
   * Asks the network, and resolves with the offers that held, in the order of their arrival: after `waitMs`, or as
   * soon as there are `countMax`. Throws `overloaded`, `rate-limited`, `cancelled`.
   */
  gather(
    wish: OfferWish,
    options: { readonly waitMs: number; readonly countMax: number; readonly signal?: AbortSignal },
  ): Promise<readonly GatheredOffer[]>;
  stop(): void;
}

/** What the market works with. */
export interface OffersParts {
  readonly mesh: Pick<Mesh, 'peerId' | 'addresses' | 'subscribe' | 'publish' | 'request' | 'serve'>;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly log: Log;
  /** The key of who pays for calls from here. */
  readonly payer: TickSigner;
  /** An agent's card, verified. */
  readonly card: (wanted: CardWanted, options: { readonly signal: AbortSignal }) => Promise<VerifiedCard>;
  /** Makes sure of a connection to a peer. */
  readonly reach: (
    peer: Pick<HostListing, 'peerId' | 'addresses'>,
    options: { readonly signal: AbortSignal },
  ) => Promise<void>;
  /** What the agents here offer for a request: signed offers, few. */
  readonly answer: (request: OfferRequest) => Promise<readonly Signed[]>;
}

/** How long an answering peer waits at most before it dials, so that not all do at once, milliseconds. */
const ANSWER_SPREAD_MS = 200;
/** Longest delivery of the offers for one request, milliseconds. */
const ANSWER_MS_MAX = 5_000;
/** Requests that this peer answers in a second, and at once. */
const ANSWERS = { ratePerSecond: 8, burst: 32, namesMax: 1 };
const ADDRESSES_MAX = 4;

/** Takes part in the market of `network`. */
export function createOffers(parts: OffersParts, options: { readonly network: string }): Offers {
  const { mesh, clock, dice } = parts;
  const topic = topicName(options.network, 'offers');
  const stopping = new AbortController();
  const desk = createOfferDesk(parts, options);
  const stopAnswering = answerRequests(parts, { ...options, topic, signal: stopping.signal });
  const unserve = mesh.serve(OFFER_PROTOCOL, {
    requestBytesMax: OFFER_BYTES_MAX,
    answerBytesMax: 0,
    concurrencyMax: OFFERS_GATHERED_MAX,
    async handle(body, from) {
      await desk.take(signed.decode(body), from);
      return new Uint8Array(0);
    },
  });

  return {
    async gather(wish, { waitMs, countMax, signal }) {
      if (desk.open >= REQUESTS_OPEN_MAX)
        throw new SaharaError('overloaded', { what: 'requests for offers' });
      const issuedAtMs = clock.nowMs();
      const request: OfferRequest = {
        version: PROTOCOL_VERSION,
        network: options.network,
        id: dice.bytes(16),
        payer: parts.payer.publicKey,
        peerId: mesh.peerId,
        addresses: mesh.addresses().slice(0, ADDRESSES_MAX),
        ...wish,
        issuedAtMs,
        expiresAtMs: issuedAtMs + Math.min(OFFER_REQUEST_LIFE_MS_MAX, Math.max(1_000, waitMs)),
      };
      const message = signed.encode(await parts.payer.sign('offer-request', offerRequest.encode(request)));
      const gathering = desk.begin(request, { waitMs, countMax, ...(signal && { signal }) });
      try {
        await mesh.publish(topic, message);
        return await gathering.done;
      } finally {
        gathering.end();
      }
    },
    stop() {
      stopping.abort();
      stopAnswering();
      unserve();
      desk.stop();
    },
  };
}

/** Hears requests and has the agents here answer them. */
function answerRequests(
  parts: OffersParts,
  options: { readonly network: string; readonly topic: string; readonly signal: AbortSignal },
): () => void {
  const { mesh, clock, dice, log, verifier, payer } = parts;
  const { network } = options;
  const rules = createOfferRules({ network });
  const answers = createPaces(ANSWERS);
  const now = (): Instant => ({ wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() });

  const judge = async (message: Uint8Array, author: string): Promise<Verdict> => {
    const read = decoded(message);
    if (!read) return 'reject';
    const verdict = rules.judge(read.request, author, now());
    if (verdict !== 'accept') return verdict;
    const fault = await verifier.check(network, 'offer-request', read.request.payer, read.message);
    if (fault) return 'reject';
    return rules.mark(read.request, now()) ? 'accept' : 'ignore';
  };
  const answer = async (request: OfferRequest): Promise<void> => {
    // The operator's own questions cost nothing; there is nothing to offer.
    if (equalBytes(request.payer, payer.publicKey) || !answers.take('', clock.monotonicMs())) return;
    const made = await parts.answer(request);
    if (made.length === 0) return;
    const spread = ((dice.bytes(1)[0] ?? 0) / 256) * ANSWER_SPREAD_MS;
    await new Promise<void>((resolve) => clock.after(spread, resolve));
    const signal = AbortSignal.any([options.signal, timeoutSignal(clock, ANSWER_MS_MAX)]);
    await parts.reach(request, { signal });
    for (const offer of made) {
      const sending = { signal, timeoutMs: ANSWER_MS_MAX, answerBytesMax: 0 };
      await mesh.request(request.peerId, OFFER_PROTOCOL, signed.encode(offer), sending);
    }
  };
  return mesh.subscribe(options.topic, {
    sizeBytesMax: OFFER_REQUEST_BYTES_MAX,
    validate: (message, _from, author) => judge(message, author),
    deliver(message) {
      const read = decoded(message);
      if (!read) return;
      answer(read.request).catch((error: unknown) => {
        log.debug('request not answered', { request: toHex(read.request.id), reason: String(error) });
      });
    },
  });
}

function decoded(
  bytes: Uint8Array,
): { readonly message: Signed; readonly request: OfferRequest } | undefined {
  try {
    const message = signed.decode(bytes);
    return { message, request: offerRequest.decode(message.payload) };
  } catch {
    return undefined;
  }
}
