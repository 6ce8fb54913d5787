/** Beginning a network of several validators, and making a home a node of one. Nothing of it may run meanwhile. */
import { join, resolve } from 'node:path';
import { utf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { openLevelStore } from '../../base/level-store.ts';
import { prefixed, type Store } from '../../base/store.ts';
import { COMET_LEDGER_DEFAULTS } from '../../ledger/engines/comet/ledger.ts';
import { createGenesis, networkNameOf } from '../../ledger/genesis.ts';
import { genesis as genesisSchema } from '../../protocol/block.ts';
import { firstValidatorsHash } from '../../protocol/consensus.ts';
import { VALIDATORS_MAX } from '../../protocol/limits.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import { keepNetwork, knownNetwork } from '../genesis.ts';
import { type Home, homeInUse, homeOf, prepareHome } from '../home.ts';
import { type DaemonKeys, openKeys } from '../keys.ts';
import { nodeIdOf } from './files.ts';
import {
  type KnownNetwork,
  type OwnNode,
  readNetworkFile,
  writeNetworkFile,
  writeOwnNode,
} from './network-file.ts';
import { findTrusted } from './trusting.ts';

/** What a network begins with. */
export interface NetworkPlan {
  /** Folder for the homes of its validators and its file. */
  readonly folder: string;
  readonly name: string;
  readonly validators: number;
  /** Address of this machine at which nodes are reached. */
  readonly host: string;
  /** First of their ports: each node takes two. */
  readonly port: number;
  readonly createdAtMs: number;
  readonly passphrase: string | undefined;
}

/** What was made. */
export interface MadeNetwork {
  readonly network: string;
  /** Hand it to whoever is to join. */
  readonly file: string;
  readonly homes: readonly string[];
}

/** What each validator of the genesis counts. */
const FIRST_POWER = 10;

/** Makes the homes of a network's validators. Throws `usage`, `home-in-use`. */
export async function initNetwork(plan: NetworkPlan): Promise<MadeNetwork> {
  const { validators, name, createdAtMs } = plan;
  if (validators < 1 || validators > VALIDATORS_MAX)
    throw new SaharaError('usage', { reason: `A network begins with 1 to ${VALIDATORS_MAX} validators` });
  if (plan.port + 2 * validators > 65_536)
    throw new SaharaError('usage', { reason: 'There are not so many ports from there on' });
  const folder = resolve(plan.folder);
  const made: { readonly home: Home; readonly keys: DaemonKeys; readonly node: OwnNode }[] = [];
  for (let i = 0; i < validators; i++) {
    const home = homeOf({ SAHARA_HOME: join(folder, `validator-${i + 1}`) });
    prepareHome(home);
    await demandNew(home);
    const keys = await openKeys(home.keys, plan.passphrase);
    made.push({ home, keys, node: nodeAt(plan.host, plan.port + 2 * i) });
  }
  const first = made.map(({ keys }) => ({ did: keys.operator.publicKey, power: FIRST_POWER }));
  const sequencer = firstValidatorsHash(nativeSuite, first);
  const genesis = createGenesis({ sequencer, createdAtMs }, { name });
  const nodes = made.map(({ keys, node }) => ({ id: nodeIdOf(nodeSeedOf(keys)), ...node.p2p }));
  const network: KnownNetwork = { genesis, first, nodes };
  const file = join(folder, 'network.json');
  await writeNetworkFile(file, network);
  for (const { home, node } of made) await takeUp(home, network, node);
  return { network: networkNameOf(nativeSuite, genesis), file, homes: made.map(({ home }) => home.root) };
}

/** How a home joins. */
export interface JoinPlan {
  readonly host: string;
  readonly port: number;
  /** RPCs of nodes whose snapshot it begins with; empty: it executes every block. */
  readonly snapshot: readonly string[];
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/**
 * Makes `home` a node of the network in the file `path`. Throws `file-missing`, `malformed`, `usage`, `home-in-use`, and
 * for a snapshot what `findTrusted` throws.
 */
export async function joinNetwork(
  home: Home,
  path: string,
  { host, port, snapshot, nowMs, signal }: JoinPlan,
): Promise<{ readonly network: string; readonly home: string; readonly trusted?: number }> {
  const known = await readNetworkFile(path);
  const network = networkNameOf(nativeSuite, known.genesis);
  const snapshotFrom = COMET_LEDGER_DEFAULTS.snapshotEveryBlocks;
  const stateSync =
    snapshot.length === 0 ? undefined : await findTrusted(snapshot, { network, nowMs, snapshotFrom, signal });
  prepareHome(home);
  await takeUp(home, known, { ...nodeAt(host, port), ...(stateSync && { stateSync }) });
  return { network, home: home.root, ...(stateSync && { trusted: stateSync.height }) };
}

/** The key by which other nodes know this home's: it follows from the home's own among peers. */
export function nodeSeedOf({ peerSeed }: Pick<DaemonKeys, 'peerSeed'>): Uint8Array {
  return nativeSuite.sha256(utf8('sahara/1/cometbft-node'), peerSeed);
}

function nodeAt(host: string, port: number): OwnNode {
  return { p2p: { host, port }, rpc: { host: '127.0.0.1', port: port + 1 } };
}

async function demandNew(home: Home): Promise<void> {
  await withNetworkStore(home, async (known) => {
    if (known !== undefined)
      throw new SaharaError('usage', { reason: `${home.root} is of a network already; take another folder` });
  });
}

async function takeUp(home: Home, network: KnownNetwork, node: OwnNode): Promise<void> {
  const genesis = genesisSchema.encode(network.genesis);
  await withNetworkStore(home, async (known, keep) => {
    if (known !== undefined && Buffer.compare(known, genesis) !== 0)
      throw new SaharaError('usage', { reason: `${home.root} is of another network; take another home` });
    await writeOwnNode(home, network, node);
    await keep(genesis);
  });
}

/** Works on the part of a home's store that holds its network, while nothing else has it open. Throws `home-in-use`. */
export async function withNetworkStore(
  home: Home,
  work: (
    known: Uint8Array | undefined,
    keep: (genesis: Uint8Array) => Promise<void>,
    part: Store,
  ) => Promise<void>,
): Promise<void> {
  const store = await openLevelStore(home.store).catch((error: unknown) => {
    throw homeInUse(home, error);
  });
  try {
    const part = prefixed(store, utf8('network/'));
    await work(await knownNetwork(part), (genesis) => keepNetwork(part, genesis), part);
  } finally {
    await store.close();
  }
}
