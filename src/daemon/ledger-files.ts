/** A home's ledger as files, while its daemon is stopped: exported, imported, and as a snapshot. */
import { constants, createReadStream, createWriteStream } from 'node:fs';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { utf8 } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { openLevelStore } from '../base/level-store.ts';
import { prefixed, type Store } from '../base/store.ts';
import { type Chain, openChain } from '../ledger/chain.ts';
import { exportChain, importChain, readChainFile } from '../ledger/chain-file.ts';
import { networkNameOf } from '../ledger/genesis.ts';
import { createSnapshot } from '../ledger/snapshot.ts';
import { snapshotManifest } from '../ledger/snapshot-form.ts';
import { restoreSnapshot } from '../ledger/snapshot-restore.ts';
import { type Genesis, genesis as genesisSchema } from '../protocol/block.ts';
import { nativeSuite } from '../protocol/suite-native.ts';
import { keepNetwork, knownNetwork } from './genesis.ts';
import { createFileMark } from './head-mark.ts';
import { type Home, homeInUse, prepareHome } from './home.ts';

/** What was written or taken. */
export interface LedgerFileReport {
  readonly network: string;
  readonly height: number;
}

interface Options {
  readonly signal: AbortSignal;
}

/** Writes the ledger of `home` to the new file `path`. Throws `home-in-use`, `usage`, `store-corrupt`. */
export function exportLedger(home: Home, path: string, { signal }: Options): Promise<LedgerFileReport> {
  return withChain(home, async ({ genesis, chain, network }) => {
    const { height } = chain.head();
    const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
    await pipeline(Readable.from(exportChain({ genesis, chain }, { signal })), file).catch(notWritten(path));
    return { network, height };
  });
}

/**
 * Executes the blocks of the file `path` into `home`, which has no network yet or is of the same one. Throws
 * `home-in-use`, `file-missing`, `malformed`, `network-mismatch`, `block-invalid`.
 */
export async function importLedger(home: Home, path: string, { signal }: Options): Promise<LedgerFileReport> {
  await access(path, constants.R_OK).catch((error: unknown) => {
    throw new SaharaError('file-missing', { path }, { cause: error });
  });
  prepareHome(home);
  return withStore(home, async (store) => {
    const file = await readChainFile(createReadStream(path));
    await demandNetwork(store, file.genesis);
    const mark = createFileMark(home.headMark);
    const parts = { suite: nativeSuite, store: ledgerOf(store), mark };
    const { height } = await importChain(parts, file, { signal });
    await keepNetwork(networkOf(store), file.genesis);
    return { network: networkNameOf(nativeSuite, genesisSchema.decode(file.genesis)), height };
  });
}

/** What pruning left. */
export interface PruneReport extends LedgerFileReport {
  /** Every block above it is here. */
  readonly base: number;
  readonly removed: number;
}

/** Drops all but the last `keep` blocks of the ledger of `home` (`ledger/prune.ts`). Throws like `exportLedger`. */
export function pruneLedger(home: Home, keep: number, { signal }: Options): Promise<PruneReport> {
  return withChain(home, async ({ chain, network }) => {
    const removed = await chain.prune(keep, { signal });
    return { network, height: chain.head().height, base: chain.base, removed };
  });
}

const MANIFEST = 'manifest';
const GENESIS = 'genesis';

/** Writes a snapshot of the ledger of `home` into the new folder `path`. Throws like `exportLedger`. */
export function snapshotLedger(home: Home, path: string, { signal }: Options): Promise<LedgerFileReport> {
  return withChain(home, async ({ genesis, chain, network }) => {
    await mkdir(path, { mode: 0o700 }).catch(notWritten(path));
    const write = (name: string, bytes: Uint8Array): Promise<void> =>
      writeFile(join(path, name), bytes, { flag: 'wx', mode: 0o600 }).catch(notWritten(path));
    const put = (index: number, chunk: Uint8Array): Promise<void> => write(String(index), chunk);
    const manifest = await createSnapshot({ suite: nativeSuite, genesis, chain }, put, { signal });
    await write(GENESIS, genesisSchema.encode(genesis));
    await write(MANIFEST, snapshotManifest.encode(manifest));
    return { network, height: chain.head().height };
  });
}

/**
 * Restores the snapshot in the folder `path` into `home`, which has no ledger yet. Throws `home-in-use`,
 * `file-missing`, `network-mismatch`, `snapshot-invalid`.
 */
export async function restoreLedger(
  home: Home,
  path: string,
  { signal }: Options,
): Promise<LedgerFileReport> {
  const [manifest, bytes] = await Promise.all([
    readable(join(path, MANIFEST)),
    readable(join(path, GENESIS)),
  ]);
  const genesis = genesisSchema.decode(bytes);
  prepareHome(home);
  return withStore(home, async (store) => {
    await demandNetwork(store, bytes);
    const mark = createFileMark(home.headMark);
    const chunk = (index: number): Promise<Uint8Array | undefined> =>
      readable(join(path, String(index))).catch((error: unknown) => {
        if (asSaharaError(error).code === 'file-missing') return undefined;
        throw error;
      });
    const parts = { suite: nativeSuite, store: ledgerOf(store), genesis };
    const { height, headerHash } = await restoreSnapshot(parts, { manifest, chunk }, { signal });
    await mark.write({ genesisHash: nativeSuite.sha256(bytes), height, headerHash });
    await keepNetwork(networkOf(store), bytes);
    return { network: networkNameOf(nativeSuite, genesis), height };
  });
}

const networkOf = (store: Store): Store => prefixed(store, utf8('network/'));
const ledgerOf = (store: Store): Store => prefixed(store, utf8('ledger/'));

async function withStore<T>(home: Home, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openLevelStore(home.store).catch((error: unknown) => {
    throw homeInUse(home, error);
  });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

interface Opened {
  readonly genesis: Genesis;
  readonly chain: Chain;
  readonly network: string;
}

async function withChain<T>(home: Home, work: (opened: Opened) => Promise<T>): Promise<T> {
  prepareHome(home);
  return withStore(home, async (store) => {
    const bytes = await knownNetwork(networkOf(store));
    if (bytes === undefined) throw new SaharaError('usage', { reason: `${home.root} has no ledger yet` });
    const genesis = genesisSchema.decode(bytes);
    const mark = createFileMark(home.headMark);
    const chain = await openChain({ suite: nativeSuite, store: ledgerOf(store), mark }, genesis);
    return work({ genesis, chain, network: networkNameOf(nativeSuite, genesis) });
  });
}

async function demandNetwork(store: Store, genesis: Uint8Array): Promise<void> {
  const known = await knownNetwork(networkOf(store));
  if (known !== undefined && Buffer.compare(known, genesis) !== 0)
    throw new SaharaError('network-mismatch', { reason: 'the file is of another network than this home' });
}

async function readable(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw new SaharaError('file-missing', { path }, { cause: error });
  }
}

function notWritten(path: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof SaharaError) throw error;
    throw new SaharaError(
      'usage',
      { reason: `${path} cannot be written, or is there already` },
      { cause: error },
    );
  };
}
