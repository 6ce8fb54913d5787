/**
 * Which offer is taken. Each is given a score out of what it will probably cost, how long it will probably take and
 * how much is known against it; the lowest wins. Pure, and the same for the same offers in any order.
 */
import { toHex } from '../base/bytes.ts';
import type { Offer } from '../protocol/offer.ts';
import { chargeOf } from '../protocol/payment.ts';
import type { Measured } from './measures.ts';

/** An offer with what is known of who made it. */
export interface Bid {
  readonly offer: Offer;
  /** What payers measured of this host; absent when nobody did. */
  readonly measured: Measured | undefined;
}

/** What is asked, as far as it decides. */
export interface Wish {
  readonly inputUnits: number;
  readonly outputUnits: number;
  /** Most that these units may cost, grains. */
  readonly ceiling: bigint;
  readonly deadlineMs: number;
}

/** What each part of a score weighs. They sum to 1. */
export interface ScoreWeights {
  readonly price: number;
  readonly time: number;
  readonly doubt: number;
}

/** Values for every weight. */
export const SCORE_WEIGHTS: ScoreWeights = { price: 0.5, time: 0.3, doubt: 0.2 };

/** What is not known counts as the middle between the best and the worst. */
const UNKNOWN = 0.5;

/** What an offer costs when as much is said as is wanted, grains. */
export function expectedPrice(offer: Offer, wish: Pick<Wish, 'inputUnits' | 'outputUnits'>): bigint {
  return chargeOf(offer.price, wish.inputUnits, wish.outputUnits);
}

/**
 * A bid's score, 0 (best) to 1: `price` as a part of the ceiling; `time`, the median time of an answer as a part of the
 * deadline; `doubt`, the part of answers that failed, moved towards one half the fewer payers say so.
 */
export function scoreOf(bid: Bid, wish: Wish, weights: ScoreWeights = SCORE_WEIGHTS): number {
  const { measured } = bid;
  const price = wish.ceiling === 0n ? 0 : Number(expectedPrice(bid.offer, wish)) / Number(wish.ceiling);
  const time = measured === undefined ? UNKNOWN : measured.totalMs / Math.max(1, wish.deadlineMs);
  return (
    weights.price * Math.min(1, price) + weights.time * Math.min(1, time) + weights.doubt * doubtOf(measured)
  );
}

function doubtOf(measured: Measured | undefined): number {
  if (measured === undefined || measured.from === 'free') return UNKNOWN;
  if (measured.from === 'own') return measured.failed;
  return (measured.failed * measured.payers + UNKNOWN) / (measured.payers + 1);
}

/** The bids, the best first: by score, then price, then agent and host, so that there is always one order. */
export function rankBids<T extends Bid>(
  bids: readonly T[],
  wish: Wish,
  weights: ScoreWeights = SCORE_WEIGHTS,
): readonly T[] {
  return bids
    .map((bid) => ({ bid, score: scoreOf(bid, wish, weights), price: expectedPrice(bid.offer, wish) }))
    .sort((a, b) => order(a.score, b.score) || order(a.price, b.price) || order(nameOf(a.bid), nameOf(b.bid)))
    .map(({ bid }) => bid);
}

function nameOf({ offer }: Bid): string {
  return `${toHex(offer.agent)} ${offer.peerId} ${toHex(offer.request)}`;
}

function order<T extends number | bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
