/** Limits of the engine under CometBFT. Those marked "consensus" stand in `spec/engines.md`. */

/** Bytes of one ABCI message: more than a block with its evidence, or a chunk of a snapshot, ever takes. */
export const FRAME_BYTES_MAX = 33_554_432;
/** Connections to one ABCI socket: CometBFT has four, and as many again while it restarts. */
export const CONNECTIONS_MAX = 8;
/** Requests of one connection that wait for their turn before its socket is no longer read. */
export const REQUESTS_WAITING_MAX = 256;
/** Offences that one block brings; CometBFT's own bound in bytes is reached first. */
export const OFFENCES_PER_BLOCK_MAX = 1_024;
/** Transactions that were checked lately, so that a block that brings them does not verify them again. */
export const CHECKED_TRANSACTIONS_MAX = 20_000;
/** Bytes of a snapshot's manifest: CometBFT carries it beside the snapshot's name, in messages of at most 4,000,000. */
export const SNAPSHOT_MANIFEST_BYTES_MAX = 3_900_000;
/** Blocks of consensus by way of which a light client comes to one. */
export const LIGHT_STEPS_MAX = 1_024;
/** Votes in blocks of consensus that are kept with their votes checked, to prove headers by: a hundred blocks of 100 votes. */
export const SOUND_VOTES_KEPT_MAX = 10_000;
/** Votes in proofs that are kept, whose blocks are mostly those: three of the greatest that there may be. */
export const PROOF_VOTES_KEPT_MAX = 20_000;
/** Requests with transactions to CometBFT's RPC at a time: a sender's are always in the same one of them. */
export const RELAY_REQUESTS_MAX = 4;
/** Transactions of one such request. */
export const RELAY_BATCH_MAX = 128;
/** Their bytes: in base64, with what is around them, less than CometBFT's RPC takes. */
export const RELAY_BATCH_BYTES_MAX = 600_000;
