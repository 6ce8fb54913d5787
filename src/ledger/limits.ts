/** Limits of the ledger. Those marked "consensus" stand in `spec/ledger.md`: changing one forks a network. */

/** Consensus: lanes of one channel that may have been claimed on. */
export const LANES_MAX = 64;
/** Consensus: steps that the agenda may take in one block (an entry costs one, each lane of a channel that ends one). */
export const AGENDA_STEPS_MAX = 1024;
/** Consensus: entries of the agenda for one height: more than the transactions and the agenda of two blocks can add. */
export const AGENDA_ENTRIES_MAX = 8_192;
/** Consensus: keys of one channel that may sign vouchers at a time, besides the payer's. */
export const VOUCHER_KEYS_MAX = 4;
/** Consensus: longest delay of a recovery, blocks, unless the network's own for closing channels is longer: a week of blocks of a second. */
export const RECOVERY_DELAY_BLOCKS_MAX = 604_800;
/** Consensus: largest cumulative counter of an asset's revenue, grains. */
export const COUNTER_MAX: bigint = 2n ** 63n - 1n;
/** Consensus: delegations to one bond. */
export const BACKERS_MAX = 64;
/** Consensus: parts of one stake that may be on their way back at a time. */
export const LEAVING_MAX = 8;
/** Consensus: epochs during which a reward can be collected, the running one among them. */
export const REWARD_EPOCHS_MAX = 16;
/** Consensus: claims that an earning names itself; all of them stand under its root. */
export const CAUSES_LISTED_MAX = 8;

/** Consensus: votes about the rules that are kept: of as many as can have one. */
export const APPROVALS_MAX = 100;

/** Transactions that wait for a block, in total. */
export const MEMPOOL_TRANSACTIONS_MAX = 20_000;
/** Bytes of transactions that wait for a block. */
export const MEMPOOL_BYTES_MAX = 67_108_864;
/** Transactions of one sender that wait for a block; also how far a nonce may run ahead. */
export const MEMPOOL_PER_SENDER_MAX = 2_048;
/** How long a transaction waits for a missing nonce before it is dropped, milliseconds. */
export const MEMPOOL_AGE_MS_MAX = 600_000;
/** Signatures under verification at a time. */
export const VERIFICATIONS_MAX = 128;
/** Verdicts on batch roots that are remembered. */
export const BATCH_VERDICTS_MAX = 4_096;
/** Pages of the state tree kept in memory: at 2,048 bytes each, 32 MiB. */
export const TREE_PAGES_CACHED_MAX = 16_384;
/** Records of the state kept in memory, bytes: some 35,000 accounts. */
export const STATE_CACHED_BYTES_MAX = 8_388_608;
/** Largest record kept in memory, bytes: accounts and channels, not full lanes. */
export const STATE_RECORD_CACHED_BYTES_MAX = 512;
/** Channels or assets of one key that a query lists. */
export const LISTED_MAX = 256;
/** Longest id of a list: a DID and a role. */
export const LISTED_ID_BYTES_MAX = 33;
/** Recent transactions that one query lists. */
export const TRANSACTIONS_LISTED_MAX = 256;

/** Blocks and transactions larger than this travel by request instead of gossip, bytes. */
export const GOSSIP_BODY_BYTES_MAX = 8_192;
/** Most blocks of one answer. */
export const BLOCKS_ANSWERED_MAX = 256;
/** Most bytes of blocks of one answer; one block always fits. */
export const BLOCKS_ANSWER_BYTES_MAX = 8_388_608;
/** Peers asked for blocks in one round, and handed a large transaction. */
export const PEERS_ASKED_MAX = 8;
/** Blocks that one peer may ask to have served at a time. */
export const BLOCK_REQUESTS_SERVED_MAX = 8;
/** Latest blocks that an opening checks for gaps, bytes: twice what LevelDB's log holds before it starts another. */
export const RECENT_BLOCKS_BYTES_MAX = 8_388_608;

/** Largest chunk of a snapshot, bytes. */
export const SNAPSHOT_CHUNK_BYTES_MAX = 10_000_000;
/** Blocks after which a node makes a new snapshot when it is asked for one. */
export const SNAPSHOT_RENEWED_BLOCKS = 1_024;
/** Largest snapshot that is fetched from peers, bytes. */
export const SNAPSHOT_FETCHED_BYTES_MAX = 68_719_476_736;
/** Questions about snapshots answered at a time. */
export const SNAPSHOTS_SERVED_MAX = 4;
/** Most records of one chunk. */
export const SNAPSHOT_CHUNK_RECORDS_MAX = 262_144;
/** Most chunks of one snapshot. */
export const SNAPSHOT_CHUNKS_MAX = 65_536;
/** Longest key of a record, bytes. */
export const STATE_KEY_BYTES_MAX = 256;
/** Largest record of the state, bytes. */
export const STATE_RECORD_BYTES_MAX = 1_048_576;

/** Most headers of one answer. */
export const HEADERS_ANSWERED_MAX = 256;
/** Most bytes of an answer with headers: each takes less than 1,024, and a proof of what validators decided less than the rest. */
export const HEADERS_ANSWER_BYTES_MAX = 2_097_152;
/** Most records that one question wants proved: a channel and all its lanes, and room. */
export const STATE_KEYS_ASKED_MAX = 128;
/** Most records that are proved at one head: 256 channels with all their lanes. */
export const STATE_KEYS_READ_MAX = 16_640;
/** Channels of its own that a light ledger follows. */
export const LIGHT_CHANNELS_MAX = 256;
/** Identities and revocations of others that a light ledger remembers. */
export const LIGHT_LATELY_MAX = 4_096;
/** How long it takes them for true without asking again, milliseconds. */
export const LIGHT_LATELY_MS = 60_000;
/** Proofs of its own transactions that a light ledger keeps. */
export const LIGHT_INCLUSIONS_KEPT_MAX = 1_024;
/** Most bytes of proofs in one answer. */
export const STATE_ANSWER_BYTES_MAX = 4_194_304;
/** Most records that one block may change, as its undo record can hold: far above what transactions can reach. */
export const UNDO_RECORDS_MAX = 4_194_304;
/** Blocks that one write of pruning drops at most. */
export const PRUNE_STEP_BLOCKS = 64;
