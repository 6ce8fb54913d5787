/** What a snapshot is made of: a manifest and chunks of records. */
import { SaharaError } from '../base/errors.ts';
import type { Hash } from '../protocol/ids.ts';
import { bytes, bytesUpTo, list, record, type Schema, schema, uint } from '../protocol/schema.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import {
  SNAPSHOT_CHUNK_BYTES_MAX,
  SNAPSHOT_CHUNK_RECORDS_MAX,
  SNAPSHOT_CHUNKS_MAX,
  STATE_KEY_BYTES_MAX,
  STATE_RECORD_BYTES_MAX,
} from './limits.ts';

/** The only version of snapshots. */
export const SNAPSHOT_VERSION = 1;

/** One chunk as the manifest knows it. */
export interface SnapshotPart {
  /** SHA-256 of the chunk's bytes. */
  readonly hash: Hash;
  readonly sizeBytes: number;
  readonly records: number;
}

/** What belongs to a snapshot, in order. */
export interface SnapshotManifest {
  readonly version: number;
  /** SHA-256 of the genesis' bytes. */
  readonly genesisHash: Hash;
  /** The sequencer's header of the snapshot's height: it names the state root. */
  readonly header: Signed;
  readonly chunks: readonly SnapshotPart[];
}

/** The wire form of a manifest. */
export const snapshotManifest: Schema<SnapshotManifest> = record('snapshot-manifest', {
  version: uint(255),
  genesisHash: bytes(32),
  header: signed,
  chunks: list(
    record('snapshot-part', {
      hash: bytes(32),
      sizeBytes: uint(SNAPSHOT_CHUNK_BYTES_MAX),
      records: uint(SNAPSHOT_CHUNK_RECORDS_MAX),
    }),
    SNAPSHOT_CHUNKS_MAX,
  ),
});

/** One record of the state in its stored form. */
export interface SnapshotEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The wire form of a chunk: records in the order of their keys. */
export const snapshotChunk: Schema<readonly SnapshotEntry[]> = schema(
  'snapshot-chunk',
  list(
    record('snapshot-entry', {
      key: bytesUpTo(STATE_KEY_BYTES_MAX, 1),
      value: bytesUpTo(STATE_RECORD_BYTES_MAX),
    }),
    SNAPSHOT_CHUNK_RECORDS_MAX,
  ),
);

/** The error for a snapshot that is not taken. */
export function badSnapshot(reason: string): SaharaError {
  return new SaharaError('snapshot-invalid', { reason });
}
