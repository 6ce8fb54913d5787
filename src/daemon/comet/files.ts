/**
 * The files of a CometBFT node, written by this program at every start: nobody edits them. What the node itself keeps,
 * above all what it has signed, is never touched.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../../base/bytes.ts';
import { asSaharaError } from '../../base/errors.ts';
import { RELAY_BATCH_MAX } from '../../ledger/engines/comet/limits.ts';
import type { FirstValidator } from '../../protocol/consensus.ts';
import { addressOf } from '../../protocol/consensus-bytes.ts';
import { TRANSACTION_BYTES_MAX } from '../../protocol/limits.ts';
import { createSigner, nativeSuite } from '../../protocol/suite-native.ts';
import type { TrustedStart } from './trusting.ts';

/** A network as all its nodes begin it. */
export interface CometChain {
  /** The network's full name. */
  readonly network: string;
  readonly createdAtMs: number;
  readonly first: readonly FirstValidator[];
}

/** One node of it. */
export interface CometNode {
  /** Private key by which other nodes know it: 32 bytes. */
  readonly nodeSeed: Uint8Array;
  /** Private key with which it votes: 32 bytes. A node whose key is not that of a validator follows. */
  readonly votingSeed: Uint8Array;
  /** What its application listens at. */
  readonly abciAddress: string;
  readonly p2p: { readonly host: string; readonly port: number };
  readonly rpc: { readonly host: string; readonly port: number };
  /** Other nodes: `id@host:port`. */
  readonly peers: readonly string[];
  /** How long a block waits for further votes before the next one begins, milliseconds. */
  readonly commitMs: number;
  /** Where a node that joins begins: a block that is trusted, and RPCs of two nodes or more. Absent: from the first block. */
  readonly stateSync?: TrustedStart;
}

/** Bytes of one block of consensus: the ledger's own limit with room for what consensus adds. */
const BLOCK_BYTES = 5_242_880;
/** For how many blocks of consensus an offence can be told; CometBFT needs its own blocks for as long. */
export const EVIDENCE_BLOCKS = 100_000;
/** The same, nanoseconds. */
const EVIDENCE_NS = 172_800_000_000_000;
/** How long headers are trusted that a joining node is told of. */
const TRUST_PERIOD = '168h0m0s';

/** The id under which other nodes know the one with this key. */
export function nodeIdOf(nodeSeed: Uint8Array): string {
  return toHex(addressOf(nativeSuite, createSigner(nodeSeed).publicKey));
}

/** Writes the files of `node` below `folder`. */
export async function writeCometFiles(folder: string, chain: CometChain, node: CometNode): Promise<void> {
  const config = join(folder, 'config');
  const data = join(folder, 'data');
  await mkdir(config, { recursive: true, mode: 0o700 });
  await mkdir(data, { recursive: true, mode: 0o700 });
  const write = (name: string, text: string): Promise<void> =>
    writeFile(join(config, name), text, { mode: 0o600 });
  await write('config.toml', configToml(node));
  await write('genesis.json', json(genesisOf(chain)));
  await write('node_key.json', json({ priv_key: privateKey(node.nodeSeed) }));
  await write('priv_validator_key.json', json(votingKey(node.votingSeed)));
  // What was signed last stands here. A node that forgets it may sign two blocks of one height, and is punished.
  await writeFile(join(data, 'priv_validator_state.json'), json({ height: '0', round: 0, step: 0 }), {
    flag: 'wx',
    mode: 0o600,
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw asSaharaError(error);
  });
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function publicKey(key: Uint8Array): object {
  return { type: 'tendermint/PubKeyEd25519', value: base64(key) };
}

function privateKey(seed: Uint8Array): object {
  const both = Buffer.concat([seed, createSigner(seed).publicKey]);
  return { type: 'tendermint/PrivKeyEd25519', value: base64(both) };
}

function votingKey(seed: Uint8Array): object {
  const key = createSigner(seed).publicKey;
  return { address: shownAddress(key), pub_key: publicKey(key), priv_key: privateKey(seed) };
}

function shownAddress(key: Uint8Array): string {
  return toHex(addressOf(nativeSuite, key)).toUpperCase();
}

function genesisOf({ network, createdAtMs, first }: CometChain): object {
  return {
    genesis_time: new Date(createdAtMs).toISOString(),
    chain_id: network,
    initial_height: '1',
    consensus_params: {
      block: { max_bytes: String(BLOCK_BYTES), max_gas: '-1' },
      evidence: {
        max_age_num_blocks: String(EVIDENCE_BLOCKS),
        max_age_duration: String(EVIDENCE_NS),
        max_bytes: '65536',
      },
      validator: { pub_key_types: ['ed25519'] },
      version: { app: '1' },
      abci: { vote_extensions_enable_height: '0' },
    },
    validators: first.map(({ did, power }) => ({
      address: shownAddress(did),
      pub_key: publicKey(did),
      power: String(power),
      name: '',
    })),
    app_hash: '',
  };
}

/** Only what differs from what CometBFT does unless told otherwise. */
function configToml(node: CometNode): string {
  const { p2p, rpc, stateSync } = node;
  const sections: Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>> = {
    '': { proxy_app: node.abciAddress, abci: 'socket', moniker: 'sahara', db_backend: 'goleveldb' },
    rpc: {
      laddr: `tcp://${rpc.host}:${rpc.port}`,
      max_body_bytes: 1_000_000,
      max_request_batch_size: RELAY_BATCH_MAX,
    },
    p2p: {
      laddr: `tcp://${p2p.host}:${p2p.port}`,
      external_address: `${p2p.host}:${p2p.port}`,
      persistent_peers: node.peers.join(','),
      addr_book_strict: false,
      allow_duplicate_ip: true,
    },
    mempool: { max_tx_bytes: TRANSACTION_BYTES_MAX, recheck: true, cache_size: 20_000 },
    consensus: {
      timeout_propose: '1s',
      timeout_propose_delta: '500ms',
      timeout_commit: `${node.commitMs}ms`,
      create_empty_blocks: false,
    },
    tx_index: { indexer: 'null' },
    statesync:
      stateSync === undefined
        ? { enable: false }
        : {
            enable: true,
            rpc_servers: stateSync.rpc.join(','),
            trust_height: stateSync.height,
            trust_hash: stateSync.hash,
            trust_period: TRUST_PERIOD,
            discovery_time: '5s',
          },
  };
  const lines = Object.entries(sections).flatMap(([name, fields]) => [
    ...(name === '' ? [] : ['', `[${name}]`]),
    ...Object.entries(fields).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
  ]);
  return `${lines.join('\n')}\n`;
}
