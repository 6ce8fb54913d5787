/**
 * Whom to believe about a chain under CometBFT, without executing it: a header counts when more than two thirds of its
 * voters signed it, and its voters follow from a block that is trusted already. The next block's are named by the one
 * before; a later block's are believed when more than a third of the trusted ones signed too, for among those at least
 * one is honest. Trust ends after a time: later, voters that have left may sign anything at no cost.
 */
import type { LightBlock } from 'cosmjs-types/tendermint/types/types';
import { equalBytes } from '../../../../base/bytes.ts';
import { SaharaError } from '../../../../base/errors.ts';
import type { Hash } from '../../../../protocol/ids.ts';
import type { Suite } from '../../../../protocol/suite.ts';
import { VALIDATORS_MAX } from '../limits.ts';
import { millisecondsOf } from '../proposals.ts';
import { addressOf } from '../validators.ts';
import { consensusHash, type Voter, voteBytes, votersHash } from './header.ts';

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
}

/** What a block is held against. */
export interface LightParts {
  readonly suite: Suite;
  /** The network's full name, which is the chain's id. */
  readonly network: string;
}

/** When something is believed. */
export interface LightRules {
  /** How long a block is a ground to believe others, milliseconds. Default a week. */
  readonly trustMs: number;
  /** How far a block's time may be ahead of this machine's, milliseconds. Default 10,000. */
  readonly driftMs: number;
}

/** Defaults of the rules. */
export const LIGHT_RULES_DEFAULTS: LightRules = { trustMs: 604_800_000, driftMs: 10_000 };

/** The beginning of a chain, as its genesis commits to it. */
export function trustedBeginning(
  { suite }: LightParts,
  { voters, timeMs }: { readonly voters: readonly Voter[]; readonly timeMs: number },
): TrustedBlock {
  const sorted = voters.toSorted((a, b) => Number(b.power - a.power) || compareAddresses(suite, a, b));
  const zeros = new Uint8Array(32);
  const nextVotersHash = votersHash(suite, sorted);
  return { height: 0, timeMs, hash: zeros, appHash: zeros, voters: sorted, nextVotersHash };
}

/**
 * The block of `light`, once it follows from `trusted`. Throws `block-invalid` with the reason, and `state-unproven` when
 * `trusted` is too old, or too few of its voters signed, so that blocks between the two are needed.
 */
export function verifyLightBlock(
  parts: LightParts,
  trusted: TrustedBlock,
  light: LightBlock,
  { nowMs, ...rules }: LightRules & { readonly nowMs: number },
): TrustedBlock {
  const { suite, network } = parts;
  const block = openLightBlock(parts, light);
  const { height, timeMs, voters } = block;
  if (trusted.timeMs + rules.trustMs <= nowMs)
    throw new SaharaError('state-unproven', {
      reason: `Block ${trusted.height} is too old to believe others by it`,
    });
  if (height <= trusted.height) throw invalid(height, 'It is not later than the one that is trusted');
  if (timeMs < trusted.timeMs) throw invalid(height, 'It is older than a block before it');
  if (timeMs > nowMs + rules.driftMs) throw invalid(height, 'Its time is still to come');
  const signed = signedPower(parts, light);
  if (height === trusted.height + 1) {
    if (!equalBytes(trusted.nextVotersHash, votersHash(suite, voters)))
      throw invalid(height, 'Its voters are not those that the block before names');
  } else if (3n * powerOf(trusted.voters, signed.addresses, suite) <= totalOf(trusted.voters)) {
    throw new SaharaError('state-unproven', {
      reason: `Too few voters of block ${trusted.height} signed block ${height}`,
    });
  }
  if (3n * signed.power <= 2n * totalOf(voters))
    throw invalid(height, `Too few of its voters signed it, on ${network}`);
  return block;
}

/** What a block says, once its parts fit together. Throws `block-invalid`. */
function openLightBlock({ suite, network }: LightParts, light: LightBlock): TrustedBlock {
  const { header, commit } = light.signedHeader ?? {};
  const voters = votersIn(light);
  if (header === undefined || commit === undefined)
    throw invalid(0, 'It has no header, or nobody voted for it');
  const height = Number(header.height);
  if (header.chainId !== network) throw invalid(height, 'It belongs to another network');
  if (!Number.isSafeInteger(height) || height < 1) throw invalid(0, 'It has no height');
  if (!equalBytes(header.validatorsHash, votersHash(suite, voters)))
    throw invalid(height, 'Its voters are not those that its header names');
  const hash = consensusHash(suite, header);
  if (commit.height !== header.height || !equalBytes(commit.blockId.hash, hash))
    throw invalid(height, 'The votes are for another block');
  if (commit.signatures.length !== voters.length)
    throw invalid(height, 'It has not one vote, or none, of each voter');
  if (header.appHash.length !== 32 || header.nextValidatorsHash.length !== 32)
    throw invalid(height, 'A hash of its header has not 32 bytes');
  return {
    height,
    timeMs: millisecondsOf(header.time),
    hash,
    appHash: header.appHash,
    voters,
    nextVotersHash: header.nextValidatorsHash,
  };
}

function votersIn({ validatorSet }: LightBlock): readonly Voter[] {
  const found = validatorSet?.validators ?? [];
  if (found.length === 0 || found.length > VALIDATORS_MAX) throw invalid(0, 'It has no voters, or too many');
  return found.map(({ pubKey, votingPower }) => {
    const key = pubKey.ed25519;
    if (key?.length !== 32 || votingPower <= 0n) throw invalid(0, 'A voter has no key, or counts nothing');
    return { key, power: votingPower };
  });
}

/** What of the voters signed the block, and who. The place of a vote is that of its voter. */
function signedPower(
  { suite, network }: LightParts,
  light: LightBlock,
): { readonly power: bigint; readonly addresses: readonly Uint8Array[] } {
  const commit = light.signedHeader?.commit;
  if (commit === undefined) return { power: 0n, addresses: [] };
  let power = 0n;
  const addresses: Uint8Array[] = [];
  for (const [i, voter] of votersIn(light).entries()) {
    const vote = commit.signatures[i];
    if (vote?.blockIdFlag !== COMMITTED) continue;
    const address = addressOf(suite, voter.key);
    if (!equalBytes(vote.validatorAddress, address)) continue;
    if (!suite.verify(voter.key, voteBytes(network, commit, vote), vote.signature)) continue;
    power += voter.power;
    addresses.push(address);
  }
  return { power, addresses };
}

/** The flag of a vote for the block, rather than for none. */
const COMMITTED = 2;

function powerOf(voters: readonly Voter[], addresses: readonly Uint8Array[], suite: Suite): bigint {
  const signed = voters.filter((voter) =>
    addresses.some((one) => equalBytes(one, addressOf(suite, voter.key))),
  );
  return totalOf(signed);
}

function totalOf(voters: readonly Voter[]): bigint {
  return voters.reduce((sum, { power }) => sum + power, 0n);
}

function compareAddresses(suite: Suite, a: Voter, b: Voter): number {
  return Buffer.compare(addressOf(suite, a.key), addressOf(suite, b.key));
}

function invalid(height: number, reason: string): SaharaError {
  return new SaharaError('block-invalid', { height, reason });
}
