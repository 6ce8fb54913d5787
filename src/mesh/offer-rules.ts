/**
 * Which requests for offers are answered and passed on, pure. The signature is checked between `judge` and `mark`: a
 * request that somebody forged must not use up what the key that it names may ask.
 */
import { toHex } from '../base/bytes.ts';
import { PROTOCOL_VERSION } from '../protocol/ids.ts';
import { CLOCK_SKEW_MS, OFFER_REQUEST_LIFE_MS_MAX } from '../protocol/limits.ts';
import type { OfferRequest } from '../protocol/offer.ts';
import { peerIdIn } from './addresses.ts';
import type { Instant } from './directory-state.ts';
import type { Verdict } from './interface.ts';
import { AUTHORS_FOLLOWED_MAX, REQUESTS_SEEN_MAX } from './limits.ts';
import { createPaces } from './paces.ts';
import { createSeen } from './seen.ts';

/** Requests of one peer, and of one key, in a second; and at once. */
const PER_AUTHOR = { ratePerSecond: 1, burst: 8 };

/** The rules, with what they remember. */
export interface OfferRules {
  /** What a request deserves as far as its signature does not matter. `author`: the peer that gossiped it. */
  judge(request: OfferRequest, author: string, now: Instant): Verdict;
  /** Its signature is right, so it is not answered again. False when it was already, or its key asks too often. */
  mark(request: OfferRequest, now: Instant): boolean;
}

/** Rules of a network, with nothing seen yet. */
export function createOfferRules(options: { readonly network: string }): OfferRules {
  const authors = createPaces({ ...PER_AUTHOR, namesMax: AUTHORS_FOLLOWED_MAX });
  const payers = createPaces({ ...PER_AUTHOR, namesMax: AUTHORS_FOLLOWED_MAX });
  const requests = createSeen({ namesMax: REQUESTS_SEEN_MAX });
  const nameOf = ({ payer, id }: OfferRequest): string => `${toHex(payer)} ${toHex(id)}`;
  return {
    judge(request, author, now) {
      const fault = faultOf(request, author, { network: options.network, nowMs: now.wallMs });
      if (fault) return fault;
      if (requests.has(nameOf(request), now.monotonicMs)) return 'ignore';
      return authors.take(author, now.monotonicMs) ? 'accept' : 'ignore';
    },
    mark(request, now) {
      const name = nameOf(request);
      if (requests.has(name, now.monotonicMs)) return false;
      requests.add(name, now.monotonicMs + OFFER_REQUEST_LIFE_MS_MAX + 2 * CLOCK_SKEW_MS);
      return payers.take(toHex(request.payer), now.monotonicMs);
    },
  };
}

/** Shape and time, in this order: version, network, peer, what is wanted, addresses, life, expiry, skew. */
function faultOf(
  request: OfferRequest,
  author: string,
  { network, nowMs }: { readonly network: string; readonly nowMs: number },
): Verdict | undefined {
  // A later version is nobody's fault; passing on what cannot be read would be ours.
  if (request.version !== PROTOCOL_VERSION) return 'ignore';
  if (request.network !== network) return 'reject';
  // Otherwise somebody could have all hosts dial a third peer.
  if (request.peerId !== author) return 'reject';
  if (request.agent === undefined && request.skill === undefined) return 'reject';
  const foreign = request.addresses.some(
    (address) => !address.startsWith('/') || peerIdIn(address) !== author,
  );
  if (foreign) return 'reject';
  const lifeMs = request.expiresAtMs - request.issuedAtMs;
  if (lifeMs <= 0 || lifeMs > OFFER_REQUEST_LIFE_MS_MAX) return 'reject';
  if (request.expiresAtMs <= nowMs) return 'ignore';
  return request.issuedAtMs > nowMs + CLOCK_SKEW_MS ? 'ignore' : undefined;
}
