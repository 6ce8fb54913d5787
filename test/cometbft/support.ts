/** Nodes of a network under CometBFT: the ledger in this process, the real program beside it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { type CometNode, nodeIdOf, writeCometFiles } from '../../src/daemon/comet/files.ts';
import { type CometProcess, superviseComet } from '../../src/daemon/comet/process.ts';
import {
  type CometLedger,
  type CometLedgerOptions,
  type CometNetwork,
  createCometLedger,
} from '../../src/ledger/engines/comet/ledger.ts';
import { type CometRpc, createCometRpc } from '../../src/ledger/engines/comet/rpc.ts';
import { type GenesisOptions, networkNameOf } from '../../src/ledger/genesis.ts';
import { firstValidatorsHash } from '../../src/protocol/consensus.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { suite, testGenesis } from '../ledger/support.ts';
import { freePorts } from './ports.ts';

/** The program, as `scripts/install-cometbft` or the environment names it. */
export const program: string = process.env.COMETBFT_BIN ?? '';

/** The private key of the validator with this number. */
export function seedOf(number: number): Uint8Array {
  return suite.sha256(utf8(`test validator ${number}`));
}

/** A network with as many validators. */
export function testNetwork(validators: number, options: GenesisOptions = {}): CometNetwork {
  const first = Array.from({ length: validators }, (_, i) => ({
    did: createSigner(seedOf(i)).publicKey,
    power: 10,
  }));
  return { genesis: { ...testGenesis(options), sequencer: firstValidatorsHash(suite, first) }, first };
}

/** Where one node's CometBFT is reached. */
export interface Place {
  readonly host: string;
  readonly p2p: number;
  readonly rpc: number;
}

/** Places for as many nodes: 127.0.0.2 and on. */
export async function places(count: number): Promise<readonly Place[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const host = `127.0.0.${i + 2}`;
      const [p2p = 0, rpc = 0] = await freePorts(host, 2);
      return { host, p2p, rpc };
    }),
  );
}

/** One node under test. */
export interface TestNode {
  readonly ledger: CometLedger;
  readonly comet: CometProcess;
  readonly rpc: CometRpc;
  readonly folder: string;
  /** Ends CometBFT, then the ledger; its files stay. */
  stop(): Promise<void>;
}

/** What a node is started with. */
export interface NodeSetup {
  readonly network: CometNetwork;
  readonly number: number;
  readonly all: readonly Place[];
  readonly folder: string;
  readonly store?: Store;
  readonly options?: Partial<CometLedgerOptions>;
  readonly files?: Partial<CometNode>;
  /** Default: the real one. */
  readonly program?: string;
}

/** Starts a node. */
export async function startNode(setup: NodeSetup): Promise<TestNode> {
  const { network, number, all, folder, store = createMemoryStore() } = setup;
  const place = all[number];
  if (place === undefined) throw new RangeError('no such node');
  const rpc = createCometRpc(fetch, `http://${place.host}:${place.rpc}`);
  const parts = { store, shelf: createMemoryStore(), suite, clock: systemClock, log: silentLog, rpc };
  const listen = { path: join(folder, 'abci.sock') };
  const ledger = await createCometLedger({ ...parts, listen }, network, { repeatMs: 300, ...setup.options });
  const peers = all.flatMap(({ host, p2p }, i) =>
    i === number ? [] : [`${nodeIdOf(seedOf(100 + i))}@${host}:${p2p}`],
  );
  const chain = {
    network: networkNameOf(suite, network.genesis),
    createdAtMs: network.genesis.createdAtMs,
    first: network.first,
  };
  await writeCometFiles(join(folder, 'cometbft'), chain, {
    nodeSeed: seedOf(100 + number),
    votingSeed: seedOf(number),
    abciAddress: ledger.abciAddress,
    p2p: { host: place.host, port: place.p2p },
    rpc: { host: place.host, port: place.rpc },
    peers,
    commitMs: 20,
    ...setup.files,
  });
  const supervised = {
    program: setup.program ?? program,
    folder: join(folder, 'cometbft'),
    clock: systemClock,
    log: silentLog,
  };
  const comet = superviseComet(supervised, { restartMs: 200 });
  return {
    ledger,
    comet,
    rpc,
    folder,
    async stop() {
      await comet.stop();
      await ledger.stop();
    },
  };
}

/** A folder for one test's nodes, and how to be rid of it. */
export async function testFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'sahara-comet-'));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}
