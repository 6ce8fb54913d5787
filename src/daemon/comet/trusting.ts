/**
 * Where a node that joins by a snapshot begins to trust: a block of consensus of which several nodes, named by whoever
 * joins, say the same. From there on every header is proved by votes; whoever names nodes of one liar alone is lied to.
 */
import { invariant, SaharaError } from '../../base/errors.ts';
import { STATE_QUERY_PATH } from '../../ledger/engines/comet/abci.ts';
import { type CometRpc, createCometRpc, fieldsOf } from '../../ledger/engines/comet/rpc.ts';
import { stateAnswer, stateQuestion } from '../../ledger/light/messages.ts';
import { ONLY, stateKey } from '../../ledger/records.ts';
import { RULES } from '../../ledger/records-rules.ts';
import { blockHeader } from '../../protocol/block.ts';

/** Where a node that joins begins: a block that is trusted, and the RPCs of nodes that have it. */
export interface TrustedStart {
  readonly rpc: readonly string[];
  readonly height: number;
  /** Hash of that block in hexadecimal. */
  readonly hash: string;
}

/** What a start is looked for with. */
export interface TrustParts {
  /** The network's full name. */
  readonly network: string;
  readonly nowMs: number;
  /** Blocks of the ledger before there is a snapshot. */
  readonly snapshotFrom: number;
  readonly signal: AbortSignal;
}

interface Node {
  readonly url: string;
  readonly rpc: CometRpc;
}

interface Block {
  readonly timeMs: number;
  readonly hash: string;
}

/** Fewest nodes that are asked. */
const NODES_MIN = 2;
/** Oldest block that is begun with: half of the time for which CometBFT trusts it, milliseconds. */
const AGE_MS_MAX = 302_400_000;

/**
 * Finds the oldest block of consensus that all of these nodes have and that is young enough to be trusted. Throws
 * `usage` for fewer than two nodes, while there is no snapshot, and where they do not say the same;
 * `network-mismatch` for one of another network; `peer-unreachable`.
 */
export async function findTrusted(urls: readonly string[], parts: TrustParts): Promise<TrustedStart> {
  const distinct = [...new Set(urls.map((url) => url.replace(/\/+$/, '')))];
  if (distinct.length < NODES_MIN)
    throw new SaharaError('usage', {
      reason: `--snapshot takes the RPC addresses of at least ${NODES_MIN} nodes, such as http://192.0.2.7:26657: what one says alone proves nothing`,
    });
  const nodes = distinct.map((url) => ({ url, rpc: createCometRpc(fetch, url) }));
  const ranges = await Promise.all(nodes.map((node) => rangeOf(node, parts)));
  const [earliest, latest] = [
    Math.max(...ranges.map((one) => one.earliest)),
    Math.min(...ranges.map((one) => one.latest)),
  ];
  if (earliest > latest)
    throw new SaharaError('usage', { reason: 'These nodes have no block in common; try again in a while' });
  const [first] = nodes;
  invariant(first !== undefined, 'there are at least two nodes');
  const height = await firstSince(parts.nowMs - AGE_MS_MAX, earliest, latest, (at) =>
    blockAt(first, at, parts.signal),
  );
  const blocks = await Promise.all(nodes.map((node) => blockAt(node, height, parts.signal)));
  const hashes = new Set(blocks.map(({ hash }) => hash));
  if (hashes.size !== 1)
    throw new SaharaError('usage', {
      reason: `These nodes do not have the same block ${height}: one of them at least is not to be trusted`,
    });
  return { rpc: distinct, height, hash: blocks[0]?.hash ?? '' };
}

/** The lowest height whose block is not older, or the latest. */
async function firstSince(
  sinceMs: number,
  earliest: number,
  latest: number,
  block: (height: number) => Promise<Block>,
): Promise<number> {
  let [low, high] = [earliest, latest];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((await block(middle)).timeMs < sinceMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function rangeOf(
  { url, rpc }: Node,
  { network, snapshotFrom, signal }: TrustParts,
): Promise<{ readonly earliest: number; readonly latest: number }> {
  const status = fieldsOf(await rpc.call('status', {}, { signal }));
  const found = String(fieldsOf(status.node_info).network);
  if (found !== network)
    throw new SaharaError('network-mismatch', { reason: `${url} is a node of ${found}, not of ${network}` });
  const blocks = await ledgerHeight(rpc, signal);
  if (blocks < snapshotFrom)
    throw new SaharaError('usage', {
      reason: `There is no snapshot yet: the ledger of ${url} has ${blocks} blocks, and the first snapshot is of block ${snapshotFrom}. Join without --snapshot`,
    });
  const { earliest_block_height: earliest, latest_block_height: latest } = fieldsOf(status.sync_info);
  return { earliest: Number(earliest), latest: Number(latest) };
}

async function ledgerHeight(rpc: CometRpc, signal: AbortSignal): Promise<number> {
  const question = stateQuestion.encode({ type: 'records', height: 0, keys: [stateKey(RULES, ONLY)] });
  const answer = stateAnswer.decode(await rpc.query(STATE_QUERY_PATH, question, { signal }));
  invariant(answer.type === 'records', 'records are answered with records');
  return answer.header === undefined ? 0 : blockHeader.decode(answer.header.payload).height;
}

async function blockAt({ url, rpc }: Node, height: number, signal: AbortSignal): Promise<Block> {
  const { signed_header: signed } = fieldsOf(
    await rpc.call('commit', { height: String(height) }, { signal }),
  );
  const { header, commit } = fieldsOf(signed);
  const { time, height: named } = fieldsOf(header);
  const hash = String(fieldsOf(fieldsOf(commit).block_id).hash);
  const timeMs = Date.parse(String(time));
  if (Number(named) !== height || !/^[0-9A-F]{64}$/.test(hash) || Number.isNaN(timeMs))
    throw new SaharaError('peer-unreachable', { reason: `${url} does not tell its block ${height}` });
  return { timeMs, hash };
}
