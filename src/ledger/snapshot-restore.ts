/**
 * Restoring a snapshot. While it goes on, a mark in the store keeps everybody from opening it; the mark goes in the
 * same write that brings the head, after the rebuilt tree had the root of the sequencer's header and the money added
 * up. What was not finished, or did not hold, is cleared away.
 */
import { compareBytes, concat, equalBytes, toHex } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import {
  type BlockHeader,
  blockHeader,
  type Genesis,
  genesis as genesisSchema,
  headerHash,
} from '../protocol/block.ts';
import { PROTOCOL_VERSION } from '../protocol/ids.ts';
import { checkSigned, type Signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { networkNameOf, supplyOf } from './genesis.ts';
import {
  BASE,
  type ChainHead,
  chainBase,
  chainHead,
  GENESIS,
  HEAD,
  LISTS,
  RESTORING,
  STATE,
} from './layout.ts';
import { SNAPSHOT_CHUNK_BYTES_MAX } from './limits.ts';
import { listOperations } from './listings.ts';
import {
  badSnapshot,
  SNAPSHOT_VERSION,
  type SnapshotEntry,
  type SnapshotManifest,
  snapshotChunk,
  snapshotManifest,
} from './snapshot-form.ts';
import { State } from './state.ts';
import { underPrefix } from './tree.ts';
import { type BuildParts, buildTree, hashedOperations } from './tree-build.ts';

/** What a snapshot is restored into. */
export interface RestoreParts {
  readonly suite: Suite;
  /** The ledger's own store: empty, or left by a restore that was cut short. */
  readonly store: Store;
  readonly genesis: Genesis;
  /** Whether the snapshot's header is to be believed. Default: when the sequencer signed it. */
  readonly vouches?: (header: Signed) => boolean;
  /** What the engine keeps beside the ledger: written with its head. */
  readonly beside?: readonly StoreOperation[];
}

/** Where a snapshot comes from. Nothing of it is trusted. */
export interface SnapshotSource {
  readonly manifest: Uint8Array;
  /** The bytes of a chunk; `undefined` when it is missing. */
  chunk(index: number): Promise<Uint8Array | undefined>;
}

/** Records that are written and hashed together. */
export const STEP_RECORDS = 4_096;

/**
 * Restores a snapshot into an empty store; afterwards `openChain` finds a ledger of its height there. Throws
 * `network-mismatch`, `snapshot-invalid` with the reason, and `cancelled`; the store is then empty again.
 */
export async function restoreSnapshot(
  parts: RestoreParts,
  source: SnapshotSource,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ChainHead> {
  const { suite, store, genesis, beside = [] } = parts;
  const manifest = openManifest(source.manifest);
  const header = checkManifest(parts, manifest);
  if (store.getSync(RESTORING) !== undefined) await clear(store);
  else if (await holdsAnything(store)) throw badSnapshot('The store holds a ledger already');
  await store.batch([{ type: 'put', key: RESTORING, value: new Uint8Array(0) }], { sync: true });
  try {
    const held = await restoreRecords(parts, { manifest, header, source }, options.signal);
    if (held !== supplyOf(genesis))
      throw badSnapshot(`Its money is ${held} grains, the genesis says ${supplyOf(genesis)}`);
    const { height, stateRoot, timeMs } = header;
    const hash = headerHash(suite, manifest.header.payload);
    const head: ChainHead = { height, headerHash: hash, stateRoot, timeMs };
    const finish: readonly StoreOperation[] = [
      { type: 'put', key: GENESIS, value: genesisSchema.encode(genesis) },
      { type: 'put', key: BASE, value: chainBase.encode({ header: manifest.header }) },
      { type: 'put', key: HEAD, value: chainHead.encode(head) },
      { type: 'del', key: RESTORING },
      ...beside,
    ];
    await store.batch(finish, { sync: true });
    return head;
  } catch (error) {
    await clear(store);
    throw error;
  }
}

function openManifest(encoded: Uint8Array): SnapshotManifest {
  try {
    return snapshotManifest.decode(encoded);
  } catch (error) {
    throw badSnapshot(`Its manifest cannot be read: ${asSaharaError(error).message}`);
  }
}

/** The header that a manifest rests on, when it is this network's. Throws `network-mismatch`, `snapshot-invalid`. */
function checkManifest({ suite, genesis, vouches }: RestoreParts, manifest: SnapshotManifest): BlockHeader {
  if (manifest.version !== SNAPSHOT_VERSION)
    throw badSnapshot(`Its version ${manifest.version} is not known`);
  if (!equalBytes(manifest.genesisHash, suite.sha256(genesisSchema.encode(genesis))))
    throw new SaharaError('network-mismatch', { reason: 'the snapshot is of another network' });
  const network = networkNameOf(suite, genesis);
  if (vouches !== undefined && !vouches(manifest.header)) throw badSnapshot('Nobody vouches for its header');
  if (
    vouches === undefined &&
    checkSigned(suite, network, 'block-header', genesis.sequencer, manifest.header)
  )
    throw badSnapshot('The sequencer did not sign its header');
  const header = readHeader(manifest.header.payload);
  const ours = header.version === PROTOCOL_VERSION && header.network === network && header.height > 0;
  if (!ours) throw badSnapshot('Its header is none of this network');
  return header;
}

function readHeader(payload: Uint8Array): BlockHeader {
  try {
    return blockHeader.decode(payload);
  } catch (error) {
    throw badSnapshot(`Its header cannot be read: ${asSaharaError(error).message}`);
  }
}

interface Restoring {
  readonly manifest: SnapshotManifest;
  readonly header: BlockHeader;
  readonly source: SnapshotSource;
}

/** Writes every record, the tree over them and the lists; answers the money in them once the root is the header's. */
async function restoreRecords(
  { suite, store }: RestoreParts,
  { manifest, header, source }: Restoring,
  signal: AbortSignal | undefined,
): Promise<bigint> {
  let held = 0n;
  let last: Uint8Array | undefined;
  for (const index of manifest.chunks.keys()) {
    const records = openChunk(suite, manifest, index, await source.chunk(index));
    for (const { key } of records) {
      if (last !== undefined && compareBytes(last, key) >= 0)
        throw badSnapshot(`The records of chunk ${index} are not in order`);
      last = key;
    }
    for (let at = 0; at < records.length; at += STEP_RECORDS) {
      if (signal?.aborted) throw new SaharaError('cancelled');
      held += await writeRecords({ suite, store }, records.slice(at, at + STEP_RECORDS));
    }
  }
  const root = await buildTree({ suite, store }, signal);
  if (!equalBytes(root, header.stateRoot))
    throw badSnapshot(
      `Its records give the state root ${toHex(root)}, its header says ${toHex(header.stateRoot)}`,
    );
  return held;
}

/** The records of a chunk that is the one the manifest means. Throws `snapshot-invalid`. */
function openChunk(
  suite: Suite,
  { chunks }: SnapshotManifest,
  index: number,
  chunk: Uint8Array | undefined,
): readonly SnapshotEntry[] {
  if (chunk === undefined) throw badSnapshot(`Chunk ${index} of ${chunks.length} is missing`);
  if (chunk.length > SNAPSHOT_CHUNK_BYTES_MAX) throw badSnapshot(`Chunk ${index} is too large`);
  const hash = suite.sha256(chunk);
  const part = chunks[index];
  if (part === undefined || !equalBytes(hash, part.hash)) {
    const other = chunks.findIndex((one) => equalBytes(one.hash, hash));
    throw badSnapshot(
      other < 0
        ? `Chunk ${index} is damaged or foreign`
        : `Chunk ${other} stands in the place of chunk ${index}`,
    );
  }
  const records = decodeChunk(index, chunk);
  if (records.length !== part.records || chunk.length !== part.sizeBytes)
    throw badSnapshot(`Chunk ${index} does not hold what the manifest counts`);
  return records;
}

function decodeChunk(index: number, chunk: Uint8Array): readonly SnapshotEntry[] {
  try {
    return snapshotChunk.decode(chunk);
  } catch (error) {
    throw badSnapshot(`Chunk ${index} cannot be read: ${asSaharaError(error).message}`);
  }
}

/** Writes records with their lists, and puts down their hashes for `buildTree`; answers the money in them. */
export async function writeRecords(
  { suite, store }: BuildParts,
  records: readonly SnapshotEntry[],
): Promise<bigint> {
  const state = new State(() => undefined);
  for (const { key, value } of records) {
    if (!loaded(state, key, value))
      throw badSnapshot(`The record ${toHex(key)} is none that the ledger knows`);
  }
  const operations: readonly StoreOperation[] = [
    ...records.map(({ key, value }) => ({ type: 'put' as const, key: concat(STATE, key), value })),
    ...hashedOperations(suite, records),
    ...underPrefix(
      LISTS,
      listOperations((key) => store.getSync(concat(LISTS, key)), state),
    ),
  ];
  await store.batch(operations, { sync: true });
  return state.heldChange();
}

function loaded(state: State, key: Uint8Array, value: Uint8Array): boolean {
  try {
    return state.load(key, value);
  } catch (error) {
    if (asSaharaError(error).code === 'malformed') return false;
    throw error;
  }
}

/** Whether a restore was cut short in `store`: nothing there is a ledger. */
export function restoreCutShort(store: Store): boolean {
  return store.getSync(RESTORING) !== undefined;
}

/** Clears away what a restore that was cut short left. */
export async function abandonRestore(store: Store): Promise<void> {
  if (restoreCutShort(store)) await clear(store);
}

async function holdsAnything(store: Store): Promise<boolean> {
  for await (const _ of store.entries({ limit: 1 })) return true;
  return false;
}

/** Empties the store; the mark of a restore goes last, so that a crash meanwhile changes nothing. */
async function clear(store: Store): Promise<void> {
  let operations: StoreOperation[] = [];
  for await (const [key] of store.entries()) {
    if (equalBytes(key, RESTORING)) continue;
    operations.push({ type: 'del', key });
    if (operations.length < STEP_RECORDS) continue;
    await store.batch(operations);
    operations = [];
  }
  await store.batch(operations);
  await store.batch([{ type: 'del', key: RESTORING }], { sync: true });
}
