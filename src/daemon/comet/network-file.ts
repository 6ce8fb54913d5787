/**
 * The file by which homes know a network of several validators: what it began with and where its nodes are. It is handed
 * from person to person; what it says of the network is bound by the network's name, which people compare.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { equalBytes, fromHex, toHex } from '../../base/bytes.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import type { CometNetwork } from '../../ledger/engines/comet/ledger.ts';
import { genesisFault } from '../../ledger/genesis.ts';
import { type Genesis, genesis as genesisSchema } from '../../protocol/block.ts';
import { firstValidatorsHash } from '../../protocol/consensus.ts';
import { didOf, type PublicKey, publicKeyOf } from '../../protocol/ids.ts';
import { VALIDATOR_POWER_MAX, VALIDATORS_MAX } from '../../protocol/limits.ts';
import { nativeSuite } from '../../protocol/suite-native.ts';
import type { Home } from '../home.ts';
import type { TrustedStart } from './trusting.ts';

/** Where a node is reached by others. */
export interface NodeAddress {
  /** Its id among the nodes: 40 hexadecimal digits. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** A network and where its nodes are. */
export interface KnownNetwork extends CometNetwork {
  readonly nodes: readonly NodeAddress[];
}

/** What a home knows of its own node. */
export interface OwnNode {
  readonly p2p: { readonly host: string; readonly port: number };
  readonly rpc: { readonly host: string; readonly port: number };
  /** Where it begins by a snapshot. Absent: it executes every block. */
  readonly stateSync?: TrustedStart;
}

const port = z.int().min(1).max(65_535);
const host = z.string().regex(/^[0-9A-Za-z.:-]{1,253}$/);
const place = z.strictObject({ host, port });

const networkSchema = z.strictObject({
  sahara: z.literal('network-1'),
  genesis: z.string().regex(/^(?:[0-9a-f]{2})+$/),
  validators: z
    .array(z.strictObject({ did: z.string(), power: z.int().min(0).max(VALIDATOR_POWER_MAX) }))
    .min(1)
    .max(VALIDATORS_MAX),
  nodes: z.array(z.strictObject({ id: z.string().regex(/^[0-9a-f]{40}$/), host, port })).max(1_000),
});

const ownSchema = z.strictObject({
  network: networkSchema,
  node: z.strictObject({
    p2p: place,
    rpc: place,
    stateSync: z
      .strictObject({
        rpc: z
          .array(z.url({ protocol: /^https?$/ }))
          .min(2)
          .max(16),
        height: z.int().min(1),
        hash: z.string().regex(/^[0-9A-F]{64}$/),
      })
      .optional(),
  }),
});

/** The folder of a home's CometBFT. */
export function cometFolder(home: Home): string {
  return join(home.root, 'cometbft');
}

function ownFile(home: Home): string {
  return join(cometFolder(home), 'sahara.json');
}

/** Writes a network's file. Throws `usage` for a path that is there already, or cannot be written. */
export async function writeNetworkFile(path: string, network: KnownNetwork): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, json(asJson(network)), { flag: 'wx' }).catch((cause: unknown) => {
    throw new SaharaError('usage', { reason: `${path} cannot be written, or is there already` }, { cause });
  });
}

/** Reads a network's file. Throws `file-missing`, `malformed`. */
export async function readNetworkFile(path: string): Promise<KnownNetwork> {
  return networkIn(path, parsed(networkSchema, path, await read(path)));
}

/** Has a home run a node of a network from its next start on. */
export async function writeOwnNode(home: Home, network: KnownNetwork, node: OwnNode): Promise<void> {
  await mkdir(cometFolder(home), { recursive: true, mode: 0o700 });
  await writeFile(ownFile(home), json({ network: asJson(network), node }), { mode: 0o600 });
}

/** What a home knows of its node; `undefined` where it runs none. Throws `malformed`. */
export async function readOwnNode(
  home: Home,
): Promise<{ readonly network: KnownNetwork; readonly node: OwnNode } | undefined> {
  const path = ownFile(home);
  const text = await read(path).catch((error: unknown) => {
    if (asSaharaError(error).code === 'file-missing') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const {
    network,
    node: { stateSync, ...node },
  } = parsed(ownSchema, path, text);
  return { network: networkIn(path, network), node: { ...node, ...(stateSync && { stateSync }) } };
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new SaharaError('file-missing', { path }, { cause });
  }
}

function parsed<T>(schema: z.ZodType<T>, path: string, text: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new SaharaError('malformed', { reason: `${path} is no file of a network` }, { cause });
  }
}

function networkIn(path: string, found: z.infer<typeof networkSchema>): KnownNetwork {
  const genesis = genesisIn(path, found.genesis);
  const first = found.validators.map(({ did, power }) => ({ did: keyIn(path, did), power }));
  if (!equalBytes(genesis.sequencer, firstValidatorsHash(nativeSuite, first)))
    throw new SaharaError('malformed', { reason: `${path}: the genesis commits to other validators` });
  return { genesis, first, nodes: found.nodes };
}

function keyIn(path: string, did: string): PublicKey {
  const key = publicKeyOf(did);
  if (key === undefined) throw new SaharaError('malformed', { reason: `${path}: ${did} is no DID` });
  return key;
}

function genesisIn(path: string, text: string): Genesis {
  const genesis = genesisSchema.decode(fromHex(text) ?? new Uint8Array(0));
  const fault = genesisFault(genesis);
  if (fault !== undefined) throw new SaharaError('malformed', { reason: `${path}: genesis: ${fault}` });
  return genesis;
}

function asJson({ genesis, first, nodes }: KnownNetwork): z.infer<typeof networkSchema> {
  return {
    sahara: 'network-1',
    genesis: toHex(genesisSchema.encode(genesis)),
    validators: first.map(({ did, power }) => ({ did: didOf(did), power })),
    nodes: nodes.map(({ id, host, port }) => ({ id, host, port })),
  };
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
