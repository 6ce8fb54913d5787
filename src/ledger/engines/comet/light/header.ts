/**
 * Headers of consensus and the votes for them, as CometBFT hashes and signs them. What no message type is shipped for is
 * written here field by field; a test holds it against blocks that the real program made.
 */
import { BinaryWriter } from 'cosmjs-types/binary';
import { Timestamp } from 'cosmjs-types/google/protobuf/timestamp';
import { BlockID, type Commit, type CommitSig, type Header } from 'cosmjs-types/tendermint/types/types';
import { SimpleValidator } from 'cosmjs-types/tendermint/types/validator';
import { Consensus } from 'cosmjs-types/tendermint/version/types';
import type { Hash, PublicKey } from '../../../../protocol/ids.ts';
import { merkleRoot } from '../../../../protocol/merkle.ts';
import type { Suite } from '../../../../protocol/suite.ts';

/** Who may vote for a block of consensus, and how much that counts. */
export interface Voter {
  readonly key: PublicKey;
  readonly power: bigint;
}

/** Tags of protobuf: the field's number and how it is written. */
const FIELD_1_VARINT = 0x08;
const FIELD_1_BYTES = 0x0a;
const FIELD_2_BYTES = 0x12;
const FIELD_2_FIXED64 = 0x11;
const FIELD_3_FIXED64 = 0x19;
const FIELD_4_BYTES = 0x22;
const FIELD_5_BYTES = 0x2a;
const FIELD_6_BYTES = 0x32;
const PRECOMMIT = 2;

/** The hash of a header, which votes name. */
export function consensusHash(suite: Suite, header: Header): Hash {
  return merkleRoot(suite, [
    Consensus.encode(header.version).finish(),
    wrapped(Buffer.from(header.chainId, 'utf8')),
    wrappedInteger(header.height),
    Timestamp.encode(header.time).finish(),
    BlockID.encode(header.lastBlockId).finish(),
    wrapped(header.lastCommitHash),
    wrapped(header.dataHash),
    wrapped(header.validatorsHash),
    wrapped(header.nextValidatorsHash),
    wrapped(header.consensusHash),
    wrapped(header.appHash),
    wrapped(header.lastResultsHash),
    wrapped(header.evidenceHash),
    wrapped(header.proposerAddress),
  ]);
}

/** The hash of a set of voters, in its order. */
export function votersHash(suite: Suite, voters: readonly Voter[]): Hash {
  return merkleRoot(
    suite,
    voters.map(({ key, power }) =>
      SimpleValidator.encode({ pubKey: { ed25519: key }, votingPower: power }).finish(),
    ),
  );
}

/** What a voter signed for the block of `commit`. */
export function voteBytes(chainId: string, commit: Commit, { timestamp }: CommitSig): Uint8Array {
  const { height, round, blockId } = commit;
  const vote = BinaryWriter.create().uint32(FIELD_1_VARINT).uint32(PRECOMMIT);
  if (height !== 0n) vote.uint32(FIELD_2_FIXED64).sfixed64(height);
  if (round !== 0) vote.uint32(FIELD_3_FIXED64).sfixed64(BigInt(round));
  const parts = BinaryWriter.create();
  if (blockId.partSetHeader.total !== 0) parts.uint32(FIELD_1_VARINT).uint32(blockId.partSetHeader.total);
  parts.uint32(FIELD_2_BYTES).bytes(blockId.partSetHeader.hash);
  const block = BinaryWriter.create()
    .uint32(FIELD_1_BYTES)
    .bytes(blockId.hash)
    .uint32(FIELD_2_BYTES)
    .bytes(parts.finish());
  vote.uint32(FIELD_4_BYTES).bytes(block.finish());
  vote.uint32(FIELD_5_BYTES).bytes(Timestamp.encode(timestamp).finish());
  vote.uint32(FIELD_6_BYTES).bytes(Buffer.from(chainId, 'utf8'));
  return BinaryWriter.create().bytes(vote.finish()).finish();
}

/** A value as the only field of a message; nothing for an empty one. */
function wrapped(value: Uint8Array): Uint8Array {
  if (value.length === 0) return value;
  return BinaryWriter.create().uint32(FIELD_1_BYTES).bytes(value).finish();
}

function wrappedInteger(value: bigint): Uint8Array {
  if (value === 0n) return new Uint8Array(0);
  return BinaryWriter.create().uint32(FIELD_1_VARINT).int64(value).finish();
}
