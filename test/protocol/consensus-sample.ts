/** Chains of consensus whose voters the test has the keys of. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { compareBytes, concat, utf8 } from '../../src/base/bytes.ts';
import type { ConsensusBlock, ConsensusVote, FirstValidator } from '../../src/protocol/consensus.ts';
import { addressOf, consensusHash, voteBytes, votersHash } from '../../src/protocol/consensus-bytes.ts';
import { ED25519_ORDER, fromLittleEndian } from '../../src/protocol/ed25519.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';

const STARTED_AT_S = 1_760_000_000;

/** A chain of which blocks can be made. */
export interface MadeChain {
  readonly network: string;
  readonly votersAt: (height: number) => readonly Signer[];
}

const place = ({ publicKey }: Signer): Uint8Array => addressOf(suite, publicKey);
const seedAt = (number: number): Uint8Array => suite.sha256(utf8(`voter ${number}`));
/** An honest voter by its number. */
export const voterAt = (number: number): Signer => createSigner(seedAt(number));

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
  /** The time that all voters name, seconds since 1970. Default: that of the block. */
  readonly votedAtS?: number;
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
  const votedAt = { ...time, seconds: options.votedAtS ?? time.seconds };
  const votes = (options.signers ?? votersAt(height)).map((one, i) =>
    options.away?.includes(i) === true
      ? undefined
      : { time: votedAt, signature: one.sign(voteBytes(network, voted, { time: votedAt })) },
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

/** How a vote is made that the cofactored rule takes and the strict one does not. */
export const CROOKED = {
  /** R has a component of order 8. */
  'a commitment with a component of order 8': (number: number): Signer => crooked(number, { tilted: 'r' }),
  /** R is the neutral point, written as p + 1. */
  'a commitment that is not canonical': (number: number): Signer => crooked(number, { tilted: 'encoding' }),
} as const;

const EIGHTH = ed25519.Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a');
/** The neutral point with y as p + 1. */
const NEUTRAL = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 0xee : i === 31 ? 0x7f : 0xff));

/** A voter whose very key has a component of order 8. */
export function tiltedVoter(number: number): Signer {
  return crooked(number, { tilted: 'key' });
}

/** A voter whose key is the neutral point, written as p + 1: whoever wants to signs for it. */
export function nobodysVoter(): Signer {
  return { publicKey: NEUTRAL, sign: () => concat(NEUTRAL, new Uint8Array(32)) };
}

/** The voter of a number, who signs so that only the cofactored equation holds. */
function crooked(number: number, { tilted }: { readonly tilted: 'r' | 'encoding' | 'key' }): Signer {
  const { scalar, point } = ed25519.utils.getExtendedPublicKey(seedAt(number));
  const key = (tilted === 'key' ? point.add(EIGHTH) : point).toBytes();
  const sign = (message: Uint8Array): Uint8Array => {
    for (let nonce = 0; ; nonce++) {
      const digest = sha512(concat(utf8(`nonce ${nonce}`), seedAt(number), message));
      const r = tilted === 'encoding' ? 0n : fromLittleEndian(digest) % ED25519_ORDER;
      const straight = r === 0n ? ed25519.Point.ZERO : ed25519.Point.BASE.multiply(r);
      const bytes =
        tilted === 'encoding'
          ? NEUTRAL
          : straight.add(tilted === 'r' ? EIGHTH : ed25519.Point.ZERO).toBytes();
      const k = fromLittleEndian(sha512(concat(bytes, key, message))) % ED25519_ORDER;
      // One time in eight the strict equation holds by chance, where the key is tilted.
      if (tilted === 'key' && k % 8n === 0n) continue;
      return concat(bytes, littleEndian((r + k * scalar) % ED25519_ORDER));
    }
  };
  return { publicKey: key, sign };
}

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** A chain of the voters that are given. */
export function chainOf(signers: readonly Signer[], network = 'made-0123456789abcdef'): MadeChain {
  const all = signers.toSorted((a, b) => compareBytes(place(a), place(b)));
  return { network, votersAt: () => all };
}
