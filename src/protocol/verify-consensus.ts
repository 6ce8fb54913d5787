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
import { holdsCofactored, type SignedVote, voteRule } from './vote-signature.ts';

/** How much of a block's voters signed it. */
export interface Decision {
  /** How many voters signed, and how many there are. */
  readonly signed: number;
  readonly voters: number;
  /** What those who signed count together, and what all do. */
  readonly power: bigint;
  readonly powerOfAll: bigint;
  /** How many of the votes only the cofactored rule takes. */
  readonly cofactored: number;
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
 * that blocks between the two are needed. Votes are checked last: who has no voter's key makes nobody check any.
 */
export function followBlock(
  parts: ConsensusContext,
  trusted: TrustedBlock,
  block: ConsensusBlock,
  rules?: TrustRules & { readonly nowMs: number },
): TrustedBlock {
  const says = readBlock(parts, block);
  follow(trusted, { block, says }, rules);
  return withVotesChecked(parts, block, says);
}

/** The same for a block whose votes were checked already. */
export function followSound(
  trusted: TrustedBlock,
  sound: SoundBlock,
  rules?: TrustRules & { readonly nowMs: number },
): TrustedBlock {
  follow(trusted, sound, rules);
  return sound.says;
}

/** Demands that a block follows from `trusted`, its votes being those of its voters. */
function follow(
  trusted: TrustedBlock,
  { block, says }: SoundBlock,
  rules: (TrustRules & { readonly nowMs: number }) | undefined,
): void {
  const { height, timeMs, decision } = says;
  if (rules !== undefined) demandFresh(rules, trusted, says);
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
  if (moreThanTwoThirds(decision)) return;
  const { power, powerOfAll } = decision;
  throw invalid(
    height,
    `voters who count ${power} of ${powerOfAll} signed it, which is not more than two thirds`,
  );
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

/** What a block says, and how much of its voters signed it. */
type Says = TrustedBlock & { readonly decision: Decision };

/** A block every vote of which is its voter's, with what it says. */
export interface SoundBlock {
  readonly block: ConsensusBlock;
  readonly says: Says;
}

/**
 * What a block says whose parts fit together: it has its voters, and each vote in it is one of them for it. Who the
 * voters are to decide is not asked. Throws `block-invalid`.
 */
export function openBlock(parts: ConsensusContext, block: ConsensusBlock): Says {
  return withVotesChecked(parts, block, readBlock(parts, block));
}

/** The same, taking every vote that is there for one of its voter. */
function readBlock({ suite, network }: ConsensusContext, block: ConsensusBlock): Says {
  const { header, voters, votes } = block;
  const { height, time } = header;
  if (height === 0) throw invalid(height, 'no block has this height');
  if (voters.length === 0) throw invalid(height, 'it has no voters');
  if (new Set(voters.map(({ key }) => toHex(key))).size !== voters.length)
    throw invalid(height, 'a voter is there twice');
  if (voters.some(({ power }) => power === 0)) throw invalid(height, 'a voter counts nothing');
  if (!equalBytes(header.votersHash, votersHash(suite, voters)))
    throw invalid(height, 'its voters are not those that its header names');
  if (votes.length !== voters.length) throw invalid(height, 'it has not one vote, or none, of each voter');
  return {
    height,
    timeMs: time.seconds * 1_000 + Math.floor(time.nanos / 1_000_000),
    hash: consensusHash(suite, network, header),
    appHash: header.appHash,
    voters,
    nextVotersHash: header.nextVotersHash,
    decision: decisionOf(block),
  };
}

/** Each vote has to be its voter's: the first that is not ends it. */
function withVotesChecked(parts: ConsensusContext, block: ConsensusBlock, says: Says): Says {
  let cofactored = 0;
  for (const [i, signed] of signedVotes(parts, block, says.hash).entries()) {
    if (signed === undefined) continue;
    const rule = voteRule(parts.suite, signed);
    if (rule === undefined)
      throw invalid(says.height, `vote ${i + 1} is not its voter’s for this block of this network`);
    if (rule === 'cofactored') cofactored++;
  }
  return { ...says, decision: { ...says.decision, cofactored } };
}

/**
 * A block with those of its votes that a proof needs: all that hold by the strict rule, and where these are not more than
 * two thirds, those too that hold as CometBFT counts them. So whoever can do without the slow check does. Throws
 * `block-invalid` for one whose parts do not fit together.
 */
export function soundBlock(parts: ConsensusContext, block: ConsensusBlock): SoundBlock {
  const says = readBlock(parts, block);
  const signed = signedVotes(parts, block, says.hash);
  const votes = block.votes.map((vote, i) => {
    const one = signed[i];
    return one && parts.suite.verify(one.key, one.message, one.signature) ? vote : undefined;
  });
  const strict = decisionOf({ ...block, votes });
  if (moreThanTwoThirds(strict)) return { block: { ...block, votes }, says: { ...says, decision: strict } };
  let cofactored = 0;
  for (const [i, one] of signed.entries()) {
    if (one === undefined || votes[i] !== undefined || !holdsCofactored(one)) continue;
    votes[i] = block.votes[i];
    cofactored++;
  }
  const decision = { ...decisionOf({ ...block, votes }), cofactored };
  return { block: { ...block, votes }, says: { ...says, decision } };
}

/** What each voter has to have signed of a block whose header has `hash`; `undefined` of who did not vote for it. */
function signedVotes(
  { network }: ConsensusContext,
  { header, round, parts, voters, votes }: ConsensusBlock,
  hash: Hash,
): readonly (SignedVote | undefined)[] {
  return voters.map(({ key }, i) => {
    const vote = votes[i];
    if (vote === undefined) return undefined;
    const message = voteBytes(network, { height: header.height, round, parts, hash }, vote);
    return { key, message, signature: vote.signature };
  });
}

/** How much of its voters a block's votes are of, which are not checked. */
function decisionOf({ voters, votes }: Pick<ConsensusBlock, 'voters' | 'votes'>): Decision {
  const signers = voters.filter((_, i) => votes[i] !== undefined);
  return {
    signed: signers.length,
    voters: voters.length,
    power: powerOf(signers),
    powerOfAll: powerOf(voters),
    cofactored: 0,
  };
}

function moreThanTwoThirds({ power, powerOfAll }: Decision): boolean {
  return 3n * power > 2n * powerOfAll;
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
