/**
 * Whom to believe about the chain of a network of several validators, without executing it: a block counts when more
 * than two thirds of its voters signed it, and its voters follow from a block that is believed already. The next block's
 * are named by the one before; a later block's are believed when more than a third of the believed ones signed too, for
 * among those at least one is honest.
 */
import { compareBytes, equalBytes, toHex } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { ConsensusBlock, FirstValidator, Voter } from './consensus.ts';
import { addressOf, consensusHash, voteBytes, votersHash } from './consensus-bytes.ts';
import type { Hash } from './ids.ts';
import type { Suite } from './suite.ts';

/** How much of a block's voters signed it. */
export interface Decision {
  /** How many voters signed, and how many there are. */
  readonly signed: number;
  readonly voters: number;
  /** What those who signed count together, and what all do. */
  readonly power: bigint;
  readonly powerOfAll: bigint;
}

/** A block of consensus that is believed. */
export interface TrustedBlock {
  readonly height: number;
  readonly timeMs: number;
  /** Hash of its header; zeros for the beginning of the chain. */
  readonly hash: Hash;
  /** Hash of the ledger's header that stood before it. */
  readonly appHash: Hash;
  readonly voters: readonly Voter[];
  /** Hash of the voters of the next block. */
  readonly nextVotersHash: Hash;
  /** Absent for the beginning, and for a block that a person names. */
  readonly decision?: Decision;
}

/** What a block is held against. */
export interface ConsensusContext {
  /** Knows every key as itself. */
  readonly suite: Suite;
  /** The network's full name, which is the chain's id. */
  readonly network: string;
}

/** When something is believed by who has a clock. */
export interface TrustRules {
  /** How long a block is a ground to believe others, milliseconds. Default a week. */
  readonly trustMs: number;
  /** How far a block's time may be ahead of this machine's, milliseconds. Default 10,000. */
  readonly driftMs: number;
}

/** Defaults of the rules. */
export const TRUST_RULES_DEFAULTS: TrustRules = { trustMs: 604_800_000, driftMs: 10_000 };

/** The beginning of a chain, as its genesis commits to it. */
export function trustedBeginning(
  { suite }: Pick<ConsensusContext, 'suite'>,
  { first, timeMs }: { readonly first: readonly FirstValidator[]; readonly timeMs: number },
): TrustedBlock {
  const voters = first.map(({ did, power }) => ({ key: did, power }));
  voters.sort((a, b) => b.power - a.power || compareBytes(addressOf(suite, a.key), addressOf(suite, b.key)));
  const zeros = new Uint8Array(32);
  return {
    height: 0,
    timeMs,
    hash: zeros,
    appHash: zeros,
    voters,
    nextVotersHash: votersHash(suite, voters),
  };
}

/**
 * What `block` says, once it follows from `trusted`. Without `rules` nothing is asked about how old anything is. Throws
 * `block-invalid` with the reason, and `state-unproven` when `trusted` is too old, or too few of its voters signed, so
 * that blocks between the two are needed.
 */
export function followBlock(
  parts: ConsensusContext,
  trusted: TrustedBlock,
  block: ConsensusBlock,
  rules?: TrustRules & { readonly nowMs: number },
): TrustedBlock {
  const opened = openBlock(parts, block);
  const { height, timeMs, decision } = opened;
  if (rules !== undefined) demandFresh(rules, trusted, opened);
  if (height <= trusted.height) throw invalid(height, 'it is not later than the block that is believed');
  if (timeMs < trusted.timeMs) throw invalid(height, 'it is older than a block before it');
  if (!votersFollow(trusted, block)) {
    if (height === trusted.height + 1)
      throw invalid(height, 'its voters are not those that the block before names');
    const before = trusted.height === 0 ? 'with whom the network began' : `of block ${trusted.height}`;
    throw new SaharaError('state-unproven', {
      height,
      reason: `no more than a third of the voters ${before} signed block ${height}`,
    });
  }
  if (3n * decision.power <= 2n * decision.powerOfAll) {
    const { power, powerOfAll } = decision;
    throw invalid(
      height,
      `voters who count ${power} of ${powerOfAll} signed it, which is not more than two thirds`,
    );
  }
  return opened;
}

/**
 * Whether those who voted for `block` follow from a block before it that is believed: the next one's are named by it; of
 * a later one, more than a third of its own signed it. Votes are not checked.
 */
export function votersFollow(trusted: TrustedBlock, block: ConsensusBlock): boolean {
  if (block.header.height === trusted.height + 1)
    return equalBytes(trusted.nextVotersHash, block.header.votersHash);
  return 3n * bothSigned(trusted.voters, block) > powerOf(trusted.voters);
}

function demandFresh(
  { nowMs, trustMs, driftMs }: TrustRules & { readonly nowMs: number },
  trusted: TrustedBlock,
  { height, timeMs }: TrustedBlock,
): void {
  if (trusted.timeMs + trustMs <= nowMs)
    throw new SaharaError('state-unproven', {
      height: trusted.height,
      reason: `block ${trusted.height} of consensus is too old to believe others by it`,
    });
  if (timeMs > nowMs + driftMs) throw invalid(height, 'its time is still to come');
}

/**
 * What a block says whose parts fit together: it has its voters, and each vote in it is one of them for it. Who the
 * voters are to decide is not asked. Throws `block-invalid`.
 */
export function openBlock(
  { suite, network }: ConsensusContext,
  block: ConsensusBlock,
): TrustedBlock & { readonly decision: Decision } {
  const { header, voters, votes, round, parts } = block;
  const { height, time } = header;
  if (height === 0) throw invalid(height, 'no block has this height');
  if (voters.length === 0) throw invalid(height, 'it has no voters');
  if (new Set(voters.map(({ key }) => toHex(key))).size !== voters.length)
    throw invalid(height, 'a voter is there twice');
  if (voters.some(({ power }) => power === 0)) throw invalid(height, 'a voter counts nothing');
  if (!equalBytes(header.votersHash, votersHash(suite, voters)))
    throw invalid(height, 'its voters are not those that its header names');
  if (votes.length !== voters.length) throw invalid(height, 'it has not one vote, or none, of each voter');
  const hash = consensusHash(suite, network, header);
  const signers = voters.filter(({ key }, i) => {
    const vote = votes[i];
    if (vote === undefined) return false;
    if (suite.verify(key, voteBytes(network, { height, round, parts, hash }, vote), vote.signature))
      return true;
    throw invalid(height, `vote ${i + 1} is not its voter’s for this block of this network`);
  });
  return {
    height,
    timeMs: time.seconds * 1_000 + Math.floor(time.nanos / 1_000_000),
    hash,
    appHash: header.appHash,
    voters,
    nextVotersHash: header.nextVotersHash,
    decision: {
      signed: signers.length,
      voters: voters.length,
      power: powerOf(signers),
      powerOfAll: powerOf(voters),
    },
  };
}

/**
 * A block without those of its votes that spoil it. CometBFT takes signatures that others rightly do not (ZIP-215), so one
 * validator could have every block lack a proof.
 */
export function withSoundVotes({ suite, network }: ConsensusContext, block: ConsensusBlock): ConsensusBlock {
  const { header, voters, round, parts } = block;
  const signed = { height: header.height, round, parts, hash: consensusHash(suite, network, header) };
  const votes = block.votes.map((vote, i) => {
    const key = voters[i]?.key;
    if (vote === undefined || key === undefined) return undefined;
    return suite.verify(key, voteBytes(network, signed, vote), vote.signature) ? vote : undefined;
  });
  return { ...block, votes };
}

/** What those of `believed` count who signed the block, whose votes are checked. */
function bothSigned(believed: readonly Voter[], { voters, votes }: ConsensusBlock): bigint {
  const signed = new Set(voters.filter((_, i) => votes[i] !== undefined).map(({ key }) => toHex(key)));
  return powerOf(believed.filter(({ key }) => signed.has(toHex(key))));
}

function powerOf(voters: readonly Voter[]): bigint {
  return voters.reduce((sum, { power }) => sum + BigInt(power), 0n);
}

function invalid(height: number, reason: string): SaharaError {
  return new SaharaError('block-invalid', { height, reason });
}
