/** Limits that peers must share. Every one is listed in `spec/limits.md`; a test compares the two. */

/** Longest name of a network, bytes. */
export const NETWORK_NAME_BYTES_MAX = 64;
/** Skew allowed between two clocks, milliseconds. */
export const CLOCK_SKEW_MS = 30_000;
/** Longest life of an envelope, milliseconds. */
export const ENVELOPE_LIFE_MS_MAX = 600_000;
/** Most extensions of an envelope. */
export const EXTENSIONS_MAX = 16;
/** Longest value of one extension, bytes. */
export const EXTENSION_BYTES_MAX = 1024;
/** Most levels of a signature batch's tree: up to 4,096 messages under one signature. */
export const BATCH_DEPTH_MAX = 12;
/** Most guardians of an identity. */
export const GUARDIANS_MAX = 16;
/** Most retired keys of an identity whose statements still count. */
export const RETIRED_KEYS_MAX = 8;
/** Most DIDs whose keys one key evidence proves. */
export const KEY_EVIDENCE_DIDS_MAX = 128;
/** Most channels whose voucher keys one key evidence proves. */
export const KEY_EVIDENCE_CHANNELS_MAX = 8;
/** Most heights of which a bundle has key evidence. */
export const KEY_HEIGHTS_MAX = 4;
/** Longest certificate chain. */
export const CERTIFICATE_CHAIN_MAX = 4;
/** Largest signed card, bytes. */
export const CARD_BYTES_MAX = 32_768;
/** Largest signed advert, bytes. */
export const ADVERT_BYTES_MAX = 2048;
/** Longest life of an advert, milliseconds. */
export const ADVERT_LIFE_MS_MAX = 120_000;
/** Largest signed request for offers, bytes. */
export const OFFER_REQUEST_BYTES_MAX = 2048;
/** Longest life of a request for offers, milliseconds. */
export const OFFER_REQUEST_LIFE_MS_MAX = 120_000;
/** Largest signed offer, bytes. */
export const OFFER_BYTES_MAX = 2048;
/** Longest life of an offer, milliseconds. */
export const OFFER_LIFE_MS_MAX = 600_000;
/** Most calls that one offer prices. */
export const OFFER_CALLS_MAX = 16;
/** Most offers that one peer answers a request with. */
export const OFFERS_PER_PEER_MAX = 4;
/** Largest signed observation, bytes. */
export const OBSERVATION_BYTES_MAX = 2048;
/** Greatest age of the call that an observation speaks of, milliseconds. */
export const OBSERVATION_AGE_MS_MAX = 300_000;
/** Least time between two observations of one payer on one agent, milliseconds. */
export const OBSERVATION_INTERVAL_MS_MIN = 30_000;
/** Longest question, UTF-8 bytes. */
export const QUESTION_BYTES_MAX = 32_768;
/** Most earlier turns that travel with a question. */
export const CONTEXT_TURNS_MAX = 32;
/** Longest earlier turn, UTF-8 bytes. */
export const CONTEXT_TURN_BYTES_MAX = 16_384;
/** Longest proof of work, bytes. */
export const WORK_BYTES_MAX = 64;
/** Most checkpoints of one call. */
export const CHECKPOINTS_MAX = 256;
/** Most skills that a budget names. */
export const BUDGET_SKILLS_MAX = 16;
/** Deepest call tree. */
export const CALL_DEPTH_MAX = 16;
/** Most calls below one call. */
export const TREE_CALLS_MAX = 256;
/** How long after its block a payment of a single call can be presented, milliseconds. */
export const CALL_PAYMENT_LIFE_MS = 86_400_000;
/** Longest deadline of one call, milliseconds. */
export const CALL_DEADLINE_MS_MAX = 3_600_000;
/** Longest text of one delta, UTF-8 bytes. */
export const DELTA_TEXT_BYTES_MAX = 16_384;
/** Longest passage that a source quotes, UTF-8 bytes. */
export const SOURCE_TEXT_BYTES_MAX = 16_384;
/** Most frames that one answer delivers before its receipt. */
export const DELIVERIES_MAX = 65_536;
/** Most sources of one answer. */
export const SOURCES_MAX = 64;
/** Largest statement of who an answer rests on, bytes. */
export const ATTRIBUTION_BYTES_MAX = 61_440;
/** Most citations of one delta. */
export const CITATIONS_MAX = 64;
/** Most assets that one receipt pays. */
export const RECEIPT_ASSETS_MAX = 64;
/** Most assets that one claim pays. */
export const CLAIM_ASSETS_MAX = 256;
/** Most claims of one batch. */
export const CLAIM_BATCH_MAX = 128;
/** Most owners of an asset. */
export const ASSET_OWNERS_MAX = 64;
/** Most parents of an asset. */
export const ASSET_PARENTS_MAX = 16;
/** Most territories that a licence names. */
export const TERRITORIES_MAX = 64;
/** Deepest lineage. */
export const LINEAGE_DEPTH_MAX = 64;
/** Most assets that one transaction collects: the longest line of a lineage. */
export const COLLECT_PATH_MAX = 65;
/** Largest part of what an asset's owners are due that goes to who collects it, parts per million. */
export const BOUNTY_PPM_MAX = 10_000;
/** Most assets of which each replaces the one before. */
export const ASSET_VERSIONS_MAX = 256;
/** Bytes of a chunk under `sha256-merkle-1mib`; the last one of a file may be shorter. */
export const CONTENT_CHUNK_BYTES = 1_048_576;
/** Most chunks of one proof. */
export const CONTENT_PROOF_CHUNKS_MAX = 16;
/** Largest body of a content proof, bytes. */
export const CONTENT_PROOF_BYTES_MAX = 16_842_752;
/** Parts in a whole share. */
export const PPM = 1_000_000;
/** Largest transaction, bytes. */
export const TRANSACTION_BYTES_MAX = 65_536;
/** Most transactions of one block. */
export const BLOCK_TRANSACTIONS_MAX = 2000;
/** Largest block, bytes. */
export const BLOCK_BYTES_MAX = 4_194_304;
/** Largest evidence bundle, bytes. */
export const BUNDLE_BYTES_MAX = 16_777_216;
/** Largest audit file, bytes. */
export const AUDIT_BYTES_MAX = 33_554_432;
/** Most records of the state in one audit file. */
export const AUDIT_RECORDS_MAX = 4_096;
/** Most transactions in one audit file. */
export const AUDIT_CLAIMS_MAX = 64;
/** Most channels, lanes, owned assets or assets made from it that one audit file names. */
export const AUDIT_LISTED_MAX = 128;
/** Most assets of a lineage, or versions of an asset, in one audit file. */
export const AUDIT_LINEAGE_MAX = 256;
/** Most validators of a network at a time. */
export const VALIDATORS_MAX = 100;
/** The most that one validator counts: with all of them, well below what CometBFT adds up. */
export const VALIDATOR_POWER_MAX = 1_000_000_000_000_000;
/** Most blocks of consensus by which one header is certified. */
export const CONSENSUS_BLOCKS_MAX = 64;
/** Most votes of one proof that only the cofactored rule takes, each of which costs 1.5 ms to check. */
export const COFACTORED_VOTES_MAX = 1_000;
