/**
 * Snapshots: the state at one height in the order of its keys, cut into chunks, so that a node can begin there
 * instead of at the genesis. One chunk is in memory at a time. Who takes a snapshot trusts nothing but the header
 * that the sequencer signed: `snapshot-restore.ts` rebuilds the tree and compares its root.
 */
import { SaharaError } from '../base/errors.ts';
import { type Genesis, genesis as genesisSchema } from '../protocol/block.ts';
import type { Suite } from '../protocol/suite.ts';
import type { Chain } from './chain.ts';
import { SNAPSHOT_CHUNK_BYTES_MAX, SNAPSHOT_CHUNK_RECORDS_MAX } from './limits.ts';
import {
  badSnapshot,
  SNAPSHOT_VERSION,
  type SnapshotEntry,
  type SnapshotManifest,
  type SnapshotPart,
  snapshotChunk,
} from './snapshot-form.ts';

/** What a snapshot is taken of. */
export interface SnapshotParts {
  readonly suite: Suite;
  readonly genesis: Genesis;
  readonly chain: Pick<Chain, 'head' | 'pinned' | 'header'>;
}

/** Options of `createSnapshot`. */
export interface SnapshotOptions {
  /** Most bytes of one chunk, at most 10,000,000; a single record always fits. Default 4,194,304. */
  readonly chunkBytesMax: number;
}

/** Defaults of `createSnapshot`. */
export const SNAPSHOT_DEFAULTS: SnapshotOptions = { chunkBytesMax: 4_194_304 };

/** Bytes that an entry takes besides its key and value, at most; also what the list's head takes. */
const ENTRY_HEAD_BYTES = 16;

/**
 * Takes a snapshot of the head as it is now, whatever is written meanwhile. `put` gets each chunk in order and is
 * waited for. Throws `snapshot-invalid` before the first block, and `cancelled`.
 */
export async function createSnapshot(
  parts: SnapshotParts,
  put: (index: number, chunk: Uint8Array) => Promise<void>,
  options: Partial<SnapshotOptions> & { readonly signal?: AbortSignal } = {},
): Promise<SnapshotManifest> {
  const { suite, genesis, chain } = parts;
  const room = Math.min(options.chunkBytesMax ?? SNAPSHOT_DEFAULTS.chunkBytesMax, SNAPSHOT_CHUNK_BYTES_MAX);
  if (chain.head().height === 0) throw badSnapshot('There is no block yet whose header could vouch for it');
  const { head, entries } = await chain.pinned();
  const chunks: SnapshotPart[] = [];
  const flush = async (records: readonly SnapshotEntry[]): Promise<void> => {
    const chunk = snapshotChunk.encode(records);
    await put(chunks.length, chunk);
    chunks.push({ hash: suite.sha256(chunk), sizeBytes: chunk.length, records: records.length });
  };
  let records: SnapshotEntry[] = [];
  let size = ENTRY_HEAD_BYTES;
  for await (const [key, value] of entries) {
    if (options.signal?.aborted) throw new SaharaError('cancelled');
    const more = key.length + value.length + ENTRY_HEAD_BYTES;
    if (records.length > 0 && (size + more > room || records.length === SNAPSHOT_CHUNK_RECORDS_MAX)) {
      await flush(records);
      records = [];
      size = ENTRY_HEAD_BYTES;
    }
    records.push({ key, value });
    size += more;
  }
  if (records.length > 0) await flush(records);
  const header = await chain.header(head.height);
  if (header === undefined)
    throw new SaharaError('store-corrupt', {
      reason: 'the block of the head is missing',
      height: head.height,
    });
  const genesisHash = suite.sha256(genesisSchema.encode(genesis));
  return { version: SNAPSHOT_VERSION, genesisHash, header, chunks };
}
