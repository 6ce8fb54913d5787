/** Chains of consensus whose voters the test has the keys of. */
import { compareBytes, concat, utf8 } from '../../src/base/bytes.ts';
import type { ConsensusBlock, ConsensusVote, FirstValidator } from '../../src/protocol/consensus.ts';
import { addressOf, consensusHash, voteBytes, votersHash } from '../../src/protocol/consensus-bytes.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';

const STARTED_AT_S = 1_760_000_000;

/** A chain of which blocks can be made. */
export interface MadeChain {
  readonly network: string;
  readonly votersAt: (height: number) => readonly Signer[];
}

const place = ({ publicKey }: Signer): Uint8Array => addressOf(suite, publicKey);
const voterAt = (number: number): Signer => createSigner(suite.sha256(utf8(`voter ${number}`)));

/** A chain whose voters change with every block: of three, one goes and one comes. */
export function madeChain(people: number, network = 'made-0123456789abcdef'): MadeChain {
  const all = Array.from({ length: people }, (_, i) => voterAt(i));
  return {
    network,
    votersAt: (height) => all.slice(height, height + 3).sort((a, b) => compareBytes(place(a), place(b))),
  };
}

/** A chain of as many voters who stay. */
export function steadyChain(voters: number, network = 'made-0123456789abcdef'): MadeChain {
  const all = Array.from({ length: voters }, (_, i) => voterAt(i));
  all.sort((a, b) => compareBytes(place(a), place(b)));
  return { network, votersAt: () => all };
}

/** With whom a chain begins whose first block has `height`. */
export function firstOf(chain: MadeChain, height = 1): readonly FirstValidator[] {
  return chain.votersAt(height).map(({ publicKey: did }) => ({ did, power: 1 }));
}

/** How a block differs from what everybody would make. */
export interface MadeOptions {
  readonly appHash?: Uint8Array;
  /** Its time, seconds since 1970. */
  readonly atS?: number;
  /** Numbers of voters that do not vote. */
  readonly away?: readonly number[];
  /** Who signs, where it is not the voters. */
  readonly signers?: readonly Signer[];
  /** What the votes are for. Default: the block. */
  readonly voted?: Uint8Array;
}

/** The block of a height, with the votes of all of its voters. */
export function madeBlock(chain: MadeChain, height: number, options: MadeOptions = {}): ConsensusBlock {
  const { network, votersAt } = chain;
  const voters = votersAt(height).map(({ publicKey: key }) => ({ key, power: 1 }));
  const next = votersAt(height + 1).map(({ publicKey: key }) => ({ key, power: 1 }));
  const time = { seconds: options.atS ?? STARTED_AT_S + height, nanos: 250_000_000 };
  const hash = (text: string): Uint8Array => suite.sha256(utf8(`${text} ${height}`));
  const header = {
    blockVersion: 11,
    appVersion: 1,
    height,
    time,
    lastBlockHash: hash('last'),
    lastBlockParts: { total: 1, hash: hash('last parts') },
    lastCommitHash: hash('commit'),
    dataHash: hash('data'),
    votersHash: votersHash(suite, voters),
    nextVotersHash: votersHash(suite, next),
    rulesHash: hash('rules'),
    appHash: options.appHash ?? hash('app'),
    lastResultsHash: hash('results'),
    evidenceHash: hash('evidence'),
    proposer: addressOf(suite, voters[0]?.key ?? new Uint8Array(32)),
  };
  const block = { header, round: 0, parts: { total: 1, hash: hash('parts') }, voters };
  const voted = { ...block, height, hash: options.voted ?? consensusHash(suite, network, header) };
  const votes = (options.signers ?? votersAt(height)).map((one, i) =>
    options.away?.includes(i) === true
      ? undefined
      : { time, signature: one.sign(voteBytes(network, voted, { time })) },
  );
  return { ...block, votes };
}

/** What all voters of a block sign who vote for none: the same, but for the block. */
export function nilVotes(chain: MadeChain, block: ConsensusBlock): readonly ConsensusVote[] {
  const { network, votersAt } = chain;
  const { height, time } = block.header;
  const nowhere = {
    height,
    hash: new Uint8Array(0),
    round: block.round,
    parts: { total: 0, hash: new Uint8Array(0) },
  };
  // Behind its length, kind and height, where the round is 0.
  const [about, named] = [12, 4];
  const empty = voteBytes(network, nowhere, { time });
  const bytes = concat(
    Uint8Array.of((empty[0] ?? 0) - named),
    empty.subarray(1, about),
    empty.subarray(about + named),
  );
  return votersAt(height).map((one) => ({ time, signature: one.sign(bytes) }));
}
