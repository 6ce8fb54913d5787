/**
 * The question of `/sahara/watchtower/1`: somebody leaves the claims of a payee's lanes with a peer that makes them when
 * the payee does not. A claim carries both parties' signatures and pays nobody but them, so it needs no other.
 */
import { type ClaimBody, claimBody } from './actions-channel.ts';
import { NETWORK_NAME_BYTES_MAX } from './limits.ts';
import { list, oneOf, record, type Schema, text } from './schema.ts';

/** The protocol id of what is left with watchtowers. */
export const WATCHTOWER_PROTOCOL = '/sahara/watchtower/1';

/** Largest question, bytes. */
export const WATCH_REQUEST_BYTES_MAX = 524_288;

/** Largest answer, bytes. */
export const WATCH_ANSWER_BYTES_MAX = 4_096;

/** Most claims in one question. */
export const WATCH_CLAIMS_MAX = 16;

/** Claims to be kept, each the latest of its lane. None: asks only whether the peer is a watchtower. */
export interface WatchRequest {
  readonly network: string;
  readonly claims: readonly ClaimBody[];
}

/** The wire form of a question. */
export const watchRequest: Schema<WatchRequest> = record('watch-request', {
  network: text(NETWORK_NAME_BYTES_MAX),
  claims: list(claimBody, WATCH_CLAIMS_MAX),
});

/**
 * What became of a claim that was left. `watched`: it is on disk and will be made. `paid`: the ledger has paid it, or
 * nothing of the deposit is left for it. The others are refusals.
 */
export type WatchVerdict = 'watched' | 'paid' | 'channel-unknown' | 'older' | 'full' | 'unverified';

/** The answer: one verdict for each claim, in their order. */
export interface WatchAnswer {
  readonly network: string;
  readonly verdicts: readonly WatchVerdict[];
}

/** The wire form of an answer. */
export const watchAnswer: Schema<WatchAnswer> = record('watch-answer', {
  network: text(NETWORK_NAME_BYTES_MAX),
  verdicts: list(
    oneOf('watched', 'paid', 'channel-unknown', 'older', 'full', 'unverified'),
    WATCH_CLAIMS_MAX,
  ),
});
