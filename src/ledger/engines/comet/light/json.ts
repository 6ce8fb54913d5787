/** Blocks of consensus as a node's RPC answers them, brought into the form in which they are checked and kept. */
import type { Timestamp } from 'cosmjs-types/google/protobuf/timestamp';
import { BlockID, Commit, Header, LightBlock } from 'cosmjs-types/tendermint/types/types';
import { malformed } from '../../../../protocol/codec.ts';
import { VALIDATORS_MAX } from '../limits.ts';
import { type CometRpc, fieldsOf } from '../rpc.ts';

/**
 * Asks a node for the block of `height` with its votes and its voters. Nothing of it is verified. Rejects with
 * `peer-unreachable`, also while there is no such block, `malformed` and `cancelled`.
 */
export async function fetchLightBlock(
  rpc: CometRpc,
  height: number,
  options: { readonly signal: AbortSignal },
): Promise<LightBlock> {
  const at = String(height);
  const signed = fieldsOf(fieldsOf(await rpc.call('commit', { height: at }, options)).signed_header);
  const page = { height: at, page: '1', per_page: String(VALIDATORS_MAX) };
  const { validators } = fieldsOf(await rpc.call('validators', page, options));
  return LightBlock.fromPartial({
    signedHeader: { header: headerIn(signed.header), commit: commitIn(signed.commit) },
    validatorSet: { validators: listIn(validators).map(validatorIn) },
  });
}

function headerIn(value: unknown): Header {
  const fields = fieldsOf(value);
  const version = fieldsOf(fields.version);
  return Header.fromPartial({
    version: { block: integer(version.block ?? '0'), app: integer(version.app ?? '0') },
    chainId: text(fields.chain_id),
    height: integer(fields.height),
    time: timeIn(fields.time),
    lastBlockId: blockIdIn(fields.last_block_id),
    lastCommitHash: hex(fields.last_commit_hash),
    dataHash: hex(fields.data_hash),
    validatorsHash: hex(fields.validators_hash),
    nextValidatorsHash: hex(fields.next_validators_hash),
    consensusHash: hex(fields.consensus_hash),
    appHash: hex(fields.app_hash),
    lastResultsHash: hex(fields.last_results_hash),
    evidenceHash: hex(fields.evidence_hash),
    proposerAddress: hex(fields.proposer_address),
  });
}

function commitIn(value: unknown): Commit {
  const fields = fieldsOf(value);
  return Commit.fromPartial({
    height: integer(fields.height),
    round: Number(fields.round),
    blockId: blockIdIn(fields.block_id),
    signatures: listIn(fields.signatures).map((one) => {
      const vote = fieldsOf(one);
      return {
        blockIdFlag: Number(vote.block_id_flag),
        validatorAddress: hex(vote.validator_address),
        timestamp: timeIn(vote.timestamp),
        signature: vote.signature === null ? new Uint8Array(0) : base64(vote.signature),
      };
    }),
  });
}

function blockIdIn(value: unknown): BlockID {
  const { hash, parts } = fieldsOf(value);
  const { total, hash: partsHash } = fieldsOf(parts);
  return BlockID.fromPartial({
    hash: hex(hash),
    partSetHeader: { total: Number(total ?? 0), hash: hex(partsHash) },
  });
}

function validatorIn(value: unknown): {
  readonly address: Uint8Array;
  readonly pubKey: { readonly ed25519: Uint8Array };
  readonly votingPower: bigint;
} {
  const fields = fieldsOf(value);
  const key = base64(fieldsOf(fields.pub_key).value);
  return {
    address: hex(fields.address),
    pubKey: { ed25519: key },
    votingPower: integer(fields.voting_power),
  };
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/;

/** A time with all its nanoseconds, which a date would lose. */
function timeIn(value: unknown): Timestamp {
  const found = TIME.exec(text(value));
  const seconds = found === null ? Number.NaN : Date.parse(`${found[1]}Z`) / 1000;
  if (!Number.isSafeInteger(seconds)) throw malformed('time of consensus');
  return { seconds: BigInt(seconds), nanos: Number((found?.[2] ?? '').padEnd(9, '0')) };
}

function listIn(value: unknown): readonly unknown[] {
  if (!Array.isArray(value) || value.length > VALIDATORS_MAX) throw malformed('list of voters or votes');
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw malformed('text expected');
  return value;
}

function integer(value: unknown): bigint {
  if (typeof value !== 'string' || !/^\d{1,19}$/.test(value)) throw malformed('integer expected');
  return BigInt(value);
}

function hex(value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^(?:[0-9A-Fa-f]{2}){0,64}$/.test(value))
    throw malformed('hexadecimal expected');
  return new Uint8Array(Buffer.from(value, 'hex'));
}

function base64(value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^[0-9A-Za-z+/]{0,128}={0,2}$/.test(value))
    throw malformed('base64 expected');
  return new Uint8Array(Buffer.from(value, 'base64'));
}
