/** Blocks of consensus as a node's RPC answers them, brought into the form in which they are checked and kept. */
import { malformed } from '../../../../protocol/codec.ts';
import type {
  ConsensusBlock,
  ConsensusHeader,
  ConsensusParts,
  ConsensusTime,
  ConsensusVote,
  Voter,
} from '../../../../protocol/consensus.ts';
import { VALIDATORS_MAX } from '../../../../protocol/limits.ts';
import { type CometRpc, fieldsOf } from '../rpc.ts';

/** The flag of a vote for the block, rather than for none. */
const COMMITTED = 2;

/**
 * Asks a node for the block of `height` with its votes and its voters. Nothing of it is verified. Rejects with
 * `peer-unreachable`, also while there is no such block, `malformed` and `cancelled`.
 */
export async function fetchConsensusBlock(
  rpc: CometRpc,
  height: number,
  options: { readonly signal: AbortSignal },
): Promise<ConsensusBlock> {
  const at = String(height);
  const { header, commit } = fieldsOf(
    fieldsOf(await rpc.call('commit', { height: at }, options)).signed_header,
  );
  const page = { height: at, page: '1', per_page: String(VALIDATORS_MAX) };
  const { validators } = fieldsOf(await rpc.call('validators', page, options));
  const { round, block_id, signatures } = fieldsOf(commit);
  return {
    header: headerIn(header),
    round: integer(String(round)),
    parts: partsIn(fieldsOf(block_id).parts),
    voters: listIn(validators).map(voterIn),
    votes: listIn(signatures).map(voteIn),
  };
}

function headerIn(value: unknown): ConsensusHeader {
  const fields = fieldsOf(value);
  const version = fieldsOf(fields.version);
  const last = fieldsOf(fields.last_block_id);
  return {
    blockVersion: integer(version.block ?? '0'),
    appVersion: integer(version.app ?? '0'),
    height: integer(fields.height),
    time: timeIn(fields.time),
    lastBlockHash: hex(last.hash),
    lastBlockParts: partsIn(last.parts),
    lastCommitHash: hex(fields.last_commit_hash),
    dataHash: hex(fields.data_hash),
    votersHash: hash(fields.validators_hash),
    nextVotersHash: hash(fields.next_validators_hash),
    rulesHash: hex(fields.consensus_hash),
    appHash: hash(fields.app_hash),
    lastResultsHash: hex(fields.last_results_hash),
    evidenceHash: hex(fields.evidence_hash),
    proposer: hex(fields.proposer_address),
  };
}

/** A vote for the block, whatever time its voter named; none where they were away or voted for no block. */
function voteIn(value: unknown): ConsensusVote | undefined {
  const vote = fieldsOf(value);
  if (vote.block_id_flag !== COMMITTED) return undefined;
  return { time: timeOf(vote.timestamp), signature: base64(vote.signature, 64) };
}

function partsIn(value: unknown): ConsensusParts {
  const { total, hash: of } = fieldsOf(value);
  return { total: integer(String(total ?? 0)), hash: hex(of) };
}

function voterIn(value: unknown): Voter {
  const { pub_key, voting_power } = fieldsOf(value);
  return { key: base64(fieldsOf(pub_key).value, 32), power: integer(voting_power) };
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/;

/** The time of a block, which is not before 1970. */
function timeIn(value: unknown): ConsensusTime {
  const time = timeOf(value);
  if (time.seconds < 0) throw malformed('time of consensus');
  return time;
}

/** A time with all its nanoseconds, which a date would lose. */
function timeOf(value: unknown): ConsensusTime {
  const found = TIME.exec(typeof value === 'string' ? value : '');
  const seconds = found === null ? Number.NaN : Date.parse(`${found[1]}Z`) / 1000;
  if (!Number.isSafeInteger(seconds)) throw malformed('time of consensus');
  return { seconds, nanos: Number((found?.[2] ?? '').padEnd(9, '0')) };
}

function listIn(value: unknown): readonly unknown[] {
  if (!Array.isArray(value) || value.length > VALIDATORS_MAX) throw malformed('list of voters or votes');
  return value;
}

function integer(value: unknown): number {
  const found = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(found)) throw malformed('integer expected');
  return found;
}

function hash(value: unknown): Uint8Array {
  const found = hex(value);
  if (found.length !== 32) throw malformed('hash expected');
  return found;
}

function hex(value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^(?:[0-9A-Fa-f]{2}){0,32}$/.test(value))
    throw malformed('hexadecimal expected');
  return new Uint8Array(Buffer.from(value, 'hex'));
}

function base64(value: unknown, length: number): Uint8Array {
  const text = typeof value === 'string' && /^[0-9A-Za-z+/]{0,128}={0,2}$/.test(value) ? value : '';
  const found = new Uint8Array(Buffer.from(text, 'base64'));
  if (found.length !== length) throw malformed('base64 expected');
  return found;
}
