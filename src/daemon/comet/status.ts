/** How a home's node stands in its network, as its CometBFT says. */

import { existsSync } from 'node:fs';
import { equalBytes } from '../../base/bytes.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { createCometRpc, fieldsOf } from '../../ledger/engines/comet/rpc.ts';
import { networkNameOf } from '../../ledger/genesis.ts';
import { didOf } from '../../protocol/ids.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import type { Home } from '../home.ts';
import { readOwnNode } from './network-file.ts';

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
  readonly catchingUp: boolean;
  /** Other nodes that it is connected to. */
  readonly peers: number;
  readonly validators: readonly VoterRow[];
}

/** Asks the node of `home`. Throws `usage` where there is none, `daemon-not-running` where it does not answer. */
export async function networkStatus(
  home: Home,
  options: { readonly signal: AbortSignal },
): Promise<NetworkStatus> {
  const own = await readOwnNode(home);
  if (own === undefined)
    throw new SaharaError('usage', {
      reason: `${home.root} is no node of a network of several validators (sahara network join makes it one)`,
    });
  const { genesis, first } = own.network;
  const rpc = createCometRpc(fetch, `http://${own.node.rpc.host}:${own.node.rpc.port}`);
  const { height, catchingUp } = await rpc.status(options).catch((error: unknown) => {
    const failure = asSaharaError(error);
    if (failure.code !== 'peer-unreachable') throw failure;
    // The node runs as long as the daemon does, and answers a little later.
    const starting = existsSync(home.socket);
    const facts = { home: home.root, ...(starting && { reason: 'starting' }) };
    throw new SaharaError('daemon-not-running', facts, { cause: error });
  });
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
  const network = networkNameOf(nativeSuite, genesis);
  return { network, height, catchingUp, peers: Number(peers), validators: rows };
}
