/**
 * What CometBFT hashes and what its validators sign, byte for byte: protobuf of a few messages, written out here because
 * a verifier needs no more of it and runs in a browser. Tests hold it against blocks that the real program made.
 */
import { concat, u64be, utf8 } from '../base/bytes.ts';
import type {
  ConsensusBlock,
  ConsensusHeader,
  ConsensusParts,
  ConsensusTime,
  ConsensusVote,
  Voter,
} from './consensus.ts';
import type { Hash, PublicKey } from './ids.ts';
import { merkleRoot } from './merkle.ts';
import type { Suite } from './suite.ts';

const NOTHING = new Uint8Array(0);
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const PRECOMMIT = 2;
const ADDRESS_BYTES = 20;

/** The consensus address of a key. */
export function addressOf(suite: Suite, key: PublicKey): Uint8Array {
  return suite.sha256(key).subarray(0, ADDRESS_BYTES);
}

/** The hash of a header of the network's chain, which votes name. */
export function consensusHash(suite: Suite, network: string, header: ConsensusHeader): Hash {
  return merkleRoot(suite, [
    concat(integer(1, header.blockVersion), integer(2, header.appVersion)),
    bytesIn(1, utf8(network)),
    integer(1, header.height),
    timeBytes(header.time),
    blockIdBytes(header.lastBlockHash, header.lastBlockParts),
    bytesIn(1, header.lastCommitHash),
    bytesIn(1, header.dataHash),
    bytesIn(1, header.votersHash),
    bytesIn(1, header.nextVotersHash),
    bytesIn(1, header.rulesHash),
    bytesIn(1, header.appHash),
    bytesIn(1, header.lastResultsHash),
    bytesIn(1, header.evidenceHash),
    bytesIn(1, header.proposer),
  ]);
}

/** The hash of who votes, in their order. */
export function votersHash(suite: Suite, voters: readonly Voter[]): Hash {
  return merkleRoot(
    suite,
    voters.map(({ key, power }) => concat(messageIn(1, bytesIn(1, key)), integer(2, power))),
  );
}

/** What a voter signed for a block whose header has `hash`. */
export function voteBytes(
  network: string,
  block: Pick<ConsensusBlock, 'round' | 'parts'> & { readonly height: number; readonly hash: Hash },
  { time }: Pick<ConsensusVote, 'time'>,
): Uint8Array {
  const vote = concat(
    integer(1, PRECOMMIT),
    fixed(2, block.height),
    fixed(3, block.round),
    messageIn(4, blockIdBytes(block.hash, block.parts)),
    messageIn(5, timeBytes(time)),
    bytesIn(6, utf8(network)),
  );
  return concat(varint(vote.length), vote);
}

function blockIdBytes(hash: Uint8Array, { total, hash: partsHash }: ConsensusParts): Uint8Array {
  return concat(bytesIn(1, hash), messageIn(2, concat(integer(1, total), bytesIn(2, partsHash))));
}

function timeBytes({ seconds, nanos }: ConsensusTime): Uint8Array {
  return concat(integer(1, seconds), integer(2, nanos));
}

function tag(field: number, kind: number): Uint8Array {
  return Uint8Array.of((field << 3) | kind);
}

/** An integer, a negative one in two's complement of 64 bits; nothing for 0. */
function integer(field: number, value: number): Uint8Array {
  return value === 0 ? NOTHING : concat(tag(field, VARINT), varint(value));
}

/** An integer in 8 bytes; nothing for 0. */
function fixed(field: number, value: number): Uint8Array {
  return value === 0 ? NOTHING : concat(tag(field, FIXED64), u64be(BigInt(value)).reverse());
}

/** A byte string; nothing for an empty one. */
function bytesIn(field: number, value: Uint8Array): Uint8Array {
  return value.length === 0 ? NOTHING : messageIn(field, value);
}

/** A message inside another, also an empty one. */
function messageIn(field: number, value: Uint8Array): Uint8Array {
  return concat(tag(field, BYTES), varint(value.length), value);
}

function varint(value: number): Uint8Array {
  if (value < 0) return varintOfBig(BigInt.asUintN(64, BigInt(value)));
  const found: number[] = [];
  let left = value;
  for (; left > 0x7f; left = Math.floor(left / 0x80)) found.push((left % 0x80) | 0x80);
  found.push(left);
  return Uint8Array.from(found);
}

function varintOfBig(value: bigint): Uint8Array {
  const found: number[] = [];
  let left = value;
  for (; left > 0x7fn; left >>= 7n) found.push(Number(left & 0x7fn) | 0x80);
  found.push(Number(left));
  return Uint8Array.from(found);
}
