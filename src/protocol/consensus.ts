/**
 * Blocks of consensus on a network of several validators, as far as a proof needs them: the header that CometBFT made,
 * the votes for it, and who voted. A run of them leads from the validators that the network's name commits to up to the
 * block whose header names the hash of a header of the ledger. The network's name is not in them: it is what the votes
 * are checked for.
 */
import { domain, type Hash, type PublicKey } from './ids.ts';
import { CONSENSUS_BLOCKS_MAX, VALIDATOR_POWER_MAX, VALIDATORS_MAX } from './limits.ts';
import { bytes, bytesUpTo, int, list, optional, record, type Schema, schema, u32, uint } from './schema.ts';
import type { Suite } from './suite.ts';

/** A validator with which a network begins. */
export interface FirstValidator {
  readonly did: PublicKey;
  readonly power: number;
}

const firstList = list(
  record('first-validator', { did: bytes(32), power: uint(VALIDATOR_POWER_MAX) }),
  VALIDATORS_MAX,
);

/** The wire form of the validators with which a network begins. */
export const firstValidators: Schema<readonly FirstValidator[]> = schema('first-validators', firstList);

/**
 * What the genesis of such a network names where others name their sequencer: a hash, so that nobody has its key, and
 * the network's name says with whom it began.
 */
export function firstValidatorsHash(suite: Suite, first: readonly FirstValidator[]): Hash {
  return suite.sha256(domain('', 'first-validators'), firstValidators.encode(first));
}

/** Who may vote for a block of consensus, and how much that counts. */
export interface Voter {
  readonly key: PublicKey;
  readonly power: number;
}

/** A time of consensus, with all its digits. That of a block is not before 1970; that of a vote may be, from year 1 on. */
export interface ConsensusTime {
  readonly seconds: number;
  readonly nanos: number;
}

/** The parts in which a block of consensus travels. */
export interface ConsensusParts {
  readonly total: number;
  readonly hash: Uint8Array;
}

/** A header of consensus, but for the network's name. */
export interface ConsensusHeader {
  readonly blockVersion: number;
  readonly appVersion: number;
  readonly height: number;
  readonly time: ConsensusTime;
  /** Of the block before; both empty in the first. */
  readonly lastBlockHash: Uint8Array;
  readonly lastBlockParts: ConsensusParts;
  readonly lastCommitHash: Uint8Array;
  readonly dataHash: Uint8Array;
  /** Hash of who votes for this block. */
  readonly votersHash: Hash;
  /** Hash of who votes for the next one. */
  readonly nextVotersHash: Hash;
  readonly rulesHash: Uint8Array;
  /** Hash of the ledger's header before this block. */
  readonly appHash: Hash;
  readonly lastResultsHash: Uint8Array;
  readonly evidenceHash: Uint8Array;
  /** Consensus address of who proposed it. */
  readonly proposer: Uint8Array;
}

/** One voter's vote for a block. */
export interface ConsensusVote {
  readonly time: ConsensusTime;
  readonly signature: Uint8Array;
}

/** A block of consensus with its votes and its voters. */
export interface ConsensusBlock {
  readonly header: ConsensusHeader;
  /** The round in which it was decided. */
  readonly round: number;
  readonly parts: ConsensusParts;
  readonly voters: readonly Voter[];
  /** Of each voter in their order; `undefined` of who did not vote for this block. */
  readonly votes: readonly (ConsensusVote | undefined)[];
}

const hashOrNone = bytesUpTo(32);
const nanos = uint(999_999_999);
const time = record('consensus-time', { seconds: uint(), nanos });
/** The first second of the year 1, before which CometBFT knows no time. */
const FIRST_SECOND = -62_135_596_800;
const voteTime = record('vote-time', { seconds: int(FIRST_SECOND, Number.MAX_SAFE_INTEGER), nanos });
const parts = record('consensus-parts', { total: u32, hash: hashOrNone });

/** The wire form of a block of consensus. */
export const consensusBlock: Schema<ConsensusBlock> = record('consensus-block', {
  header: record('consensus-header', {
    blockVersion: uint(),
    appVersion: uint(),
    height: uint(),
    time,
    lastBlockHash: hashOrNone,
    lastBlockParts: parts,
    lastCommitHash: hashOrNone,
    dataHash: hashOrNone,
    votersHash: bytes(32),
    nextVotersHash: bytes(32),
    rulesHash: hashOrNone,
    appHash: bytes(32),
    lastResultsHash: hashOrNone,
    evidenceHash: hashOrNone,
    proposer: hashOrNone,
  }),
  round: uint(0x7fff_ffff),
  parts,
  voters: list(record('voter', { key: bytes(32), power: uint(VALIDATOR_POWER_MAX) }), VALIDATORS_MAX),
  votes: list(optional(record('consensus-vote', { time: voteTime, signature: bytes(64) })), VALIDATORS_MAX),
});

/** What certifies a header of the ledger in place of a sequencer's signature. */
export interface ConsensusProof {
  /** With whom the network began: its genesis commits to them. */
  readonly first: readonly FirstValidator[];
  /** Each follows from the one before, the first from the beginning; the header of the last names the ledger's. */
  readonly blocks: readonly ConsensusBlock[];
}

/** The wire form of a proof by consensus. */
export const consensusProof: Schema<ConsensusProof> = record('consensus-proof', {
  first: firstList,
  blocks: list(consensusBlock, CONSENSUS_BLOCKS_MAX),
});
