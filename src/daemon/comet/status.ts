/** How a home's node stands in its network, as its CometBFT says. */

import { existsSync } from 'node:fs';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { asSaharaError, invariant, SaharaError } from '../../base/errors.ts';
import { STATE_QUERY_PATH } from '../../ledger/engines/comet/abci.ts';
import { fetchConsensusBlock } from '../../ledger/engines/comet/light/json.ts';
import { type CometRpc, createCometRpc, fieldsOf } from '../../ledger/engines/comet/rpc.ts';
import { networkNameOf } from '../../ledger/genesis.ts';
import { stateAnswer, stateQuestion } from '../../ledger/light/messages.ts';
import { ONLY, stateKey } from '../../ledger/records.ts';
import { RULES } from '../../ledger/records-rules.ts';
import { blockHeader } from '../../protocol/block.ts';
import { consensusHash } from '../../protocol/consensus-bytes.ts';
import { didOf } from '../../protocol/ids.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import type { RulesReport } from '../admin/methods-network.ts';
import { rulesReport } from '../handlers/network.ts';
import type { Home } from '../home.ts';
import { lastWords } from './last-words.ts';
import { cometFolder, readOwnNode } from './network-file.ts';

/** One validator. */
export interface VoterRow {
  /** The key that votes, as a name. */
  readonly key: string;
  readonly power: string;
  /** Whether it is one that the network began with. */
  readonly first: boolean;
}

/** A node's place in its network. */
export interface NetworkStatus {
  readonly network: string;
  /** Height of consensus. */
  readonly height: number;
  /** Its last block as people name it to each other: height and hash. Absent before the first. */
  readonly block?: string;
  readonly catchingUp: boolean;
  /** Other nodes that it is connected to. */
  readonly peers: number;
  readonly validators: readonly VoterRow[];
  /** By which rules the network goes, as the node's own ledger has it. */
  readonly rules: RulesReport;
}

/** A node that does not run while its daemon does. */
export interface StoppedNode {
  readonly network: string;
  readonly running: false;
  /** The last lines that its CometBFT wrote. */
  readonly lines: readonly string[];
}

/**
 * Asks the node of `home`. Throws `usage` where there is none, `daemon-not-running` where it does not answer, and
 * `upgrade-needed` where it ended because its program does not know the network's rules.
 */
export async function networkStatus(
  home: Home,
  options: { readonly signal: AbortSignal },
): Promise<NetworkStatus | StoppedNode> {
  const own = await readOwnNode(home);
  if (own === undefined)
    throw new SaharaError('usage', {
      reason: `${home.root} is no node of a network of several validators (sahara network join makes it one)`,
    });
  const { genesis, first } = own.network;
  const rpc = createCometRpc(fetch, `http://${own.node.rpc.host}:${own.node.rpc.port}`);
  const network = networkNameOf(nativeSuite, genesis);
  const found = await rpc.status(options).catch((error: unknown) => asSaharaError(error));
  if (found instanceof SaharaError) return whyStopped(home, network, found);
  const { height, catchingUp } = found;
  const peers = fieldsOf(await rpc.call('net_info', {}, options)).n_peers;
  const { validators } = fieldsOf(await rpc.call('validators', { page: '1', per_page: '100' }, options));
  const rows = (Array.isArray(validators) ? validators : []).map((one: unknown): VoterRow => {
    const { pub_key, voting_power } = fieldsOf(one);
    const key = new Uint8Array(Buffer.from(String(fieldsOf(pub_key).value), 'base64'));
    return {
      key: didOf(key),
      power: String(voting_power),
      first: first.some(({ did }) => equalBytes(did, key)),
    };
  });
  const rules = await rulesOf(rpc, options);
  const { latest_block_height: at, latest_block_hash: hash } = fieldsOf(
    fieldsOf(await rpc.call('status', {}, options)).sync_info,
  );
  const block = at === '0' ? {} : { block: `${String(at)}:${String(hash).toLowerCase()}` };
  return { network, height, ...block, catchingUp, peers: Number(peers), validators: rows, rules };
}

/**
 * The name of the block of consensus of a height, as the node of `home` has it: what others verify by way of. Throws
 * `usage` where there is none, also of that height, and `daemon-not-running`.
 */
export async function blockNameAt(
  home: Home,
  height: number,
  options: { readonly signal: AbortSignal },
): Promise<{ readonly network: string; readonly block: string }> {
  const own = await readOwnNode(home);
  if (own === undefined)
    throw new SaharaError('usage', { reason: `${home.root} is no node, so it has no blocks of consensus` });
  const rpc = createCometRpc(fetch, `http://${own.node.rpc.host}:${own.node.rpc.port}`);
  const network = networkNameOf(nativeSuite, own.network.genesis);
  const { height: latest } = await rpc.status(options).catch((error: unknown) => {
    throw new SaharaError('daemon-not-running', { home: home.root }, { cause: error });
  });
  const found = await fetchConsensusBlock(rpc, height, options).catch((error: unknown) =>
    asSaharaError(error),
  );
  if (found instanceof SaharaError)
    throw new SaharaError(
      'usage',
      {
        reason: `This node has no block ${height} of consensus: it is at ${latest}, and old ones may be dropped`,
      },
      { cause: found },
    );
  return { network, block: `${height}:${toHex(consensusHash(nativeSuite, network, found.header))}` };
}

/** What is known of a node that does not answer. */
async function whyStopped(home: Home, network: string, failure: SaharaError): Promise<StoppedNode> {
  if (failure.code !== 'peer-unreachable') throw failure;
  const { upgrade, lines } = await lastWords(cometFolder(home));
  if (upgrade !== undefined) throw new SaharaError('upgrade-needed', upgrade, { cause: failure });
  // The node runs as long as the daemon does, and answers a little later.
  const starting = existsSync(home.socket);
  if (starting && lines !== undefined) return { network, running: false, lines };
  const facts = { home: home.root, ...(starting && { reason: 'starting' }) };
  throw new SaharaError('daemon-not-running', facts, { cause: failure });
}

async function rulesOf(rpc: CometRpc, options: { readonly signal: AbortSignal }): Promise<RulesReport> {
  const keys = [stateKey(RULES, ONLY)];
  const question = stateQuestion.encode({ type: 'records', height: 0, keys });
  const answer = stateAnswer.decode(await rpc.query(STATE_QUERY_PATH, question, options));
  invariant(answer.type === 'records', 'records are answered with records');
  const height = answer.header === undefined ? 0 : blockHeader.decode(answer.header.payload).height;
  return rulesReport(answer.entries[0]?.value, height);
}
