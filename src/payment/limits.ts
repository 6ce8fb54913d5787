/** Limits of the payment books. Those that peers must share stand in `spec/payment.md`. */
import { invariant } from '../base/errors.ts';
import { CLAIM_ASSETS_MAX, RECEIPT_ASSETS_MAX } from '../protocol/limits.ts';

/** Lanes of one channel that a payer uses in turn: what was at stake on one that its payee left may still be claimed. */
export const PAYER_LANES_MAX = 8;
/** How long a payee looks again for a channel that its ledger does not have yet, milliseconds. */
export const CHANNEL_WAIT_MS = 3_000;
/** Calls that wait for channels at a time; further ones are refused at once. */
export const CHANNEL_WAITERS_MAX = 64;
/** Those of one payer among them. */
export const CHANNEL_WAITERS_PER_PAYER_MAX = 4;
/** Calls that hold a part of one channel at a time. */
export const LEASES_PER_CHANNEL_MAX = 4_096;
/** Channels whose state is held in memory; the least lately used ones without leases leave. */
export const CHANNELS_HELD_MAX = 10_000;
/** Places in a channel's attribution that only the assets of agents may take, so that no agent is left out. */
export const AGENT_ASSETS_RESERVED = 32;
/** Tree roots remembered per channel, to check what the payer says it has accepted. */
export const ROOTS_REMEMBERED = 1_024;
/** Receipts that may arrive ahead of an earlier one before the payer asks for the missing. */
export const RECEIPTS_AHEAD_MAX = 4_096;
/** Endings in one answer about a channel's state. */
export const STATE_ENDINGS_MAX = 128;
/** Calls charged last that are remembered beside the store, which takes them over a moment later. */
export const ENDED_REMEMBERED = 16_384;
/** Lanes that a watchtower watches in all. */
export const WATCHED_LANES_MAX = 16_384;
/** Lanes that a watchtower watches for one payee. */
export const WATCHED_PER_PAYEE_MAX = 1_024;
/** Changed lanes that a payee remembers before it leaves everything with its watchtower anew. */
export const HAND_OVER_LANES_MAX = 4_096;
/** Refusals of a watchtower that are told. */
export const HANDED_OVER_REFUSALS_MAX = 64;
/** Endings that contradicted others, kept of one lane as evidence; the oldest leave. */
export const CONTRADICTED_ENDINGS_MAX = 16;
/** Claims of one lane that a payer could not explain yet and compares again; those of the highest totals stay. */
export const UNEXPLAINED_CLAIMS_MAX = 8;
/** Blocks after which a payer notes how far it has looked for claims, though none was on its channels. */
export const CLAIMS_MARK_BLOCKS = 256;
/** Claims in flight at a time. */
export const CLAIMS_AT_ONCE_MAX = 16;

invariant(AGENT_ASSETS_RESERVED + RECEIPT_ASSETS_MAX <= CLAIM_ASSETS_MAX, 'one receipt fits a claim');
