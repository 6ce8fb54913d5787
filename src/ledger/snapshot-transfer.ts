/**
 * Snapshots between peers: a manifest, and chunks by their hash, one answer each. Nothing of it is trusted before the
 * restore has rebuilt the tree; a chunk that is here already is not asked for again, whoever it came from.
 */
import { concat, equalBytes } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import { blockHeader } from '../protocol/block.ts';
import type { Hash } from '../protocol/ids.ts';
import { bytes, record, type Schema, uint, union } from '../protocol/schema.ts';
import type { Suite } from '../protocol/suite.ts';
import {
  PEERS_ASKED_MAX,
  SNAPSHOT_CHUNK_BYTES_MAX,
  SNAPSHOT_FETCHED_BYTES_MAX,
  SNAPSHOT_RENEWED_BLOCKS,
  SNAPSHOTS_SERVED_MAX,
} from './limits.ts';
import { badSnapshot, type SnapshotManifest, snapshotManifest } from './snapshot-form.ts';
import type { SnapshotSource } from './snapshot-restore.ts';
import type { LedgerMesh } from './sync.ts';

/** Asks for a snapshot's manifest or one of its chunks. */
export const SNAPSHOT_PROTOCOL = '/sahara/snapshot/1';

type SnapshotQuestion =
  /** The manifest of the snapshot that the node has, for somebody whose ledger is at this height. */
  | { readonly type: 'manifest'; readonly height: number }
  | { readonly type: 'chunk'; readonly hash: Uint8Array };

/** The wire form of a question; the answer is the manifest's bytes, or the chunk's. */
export const snapshotQuestion: Schema<SnapshotQuestion> = union('snapshot-question', {
  manifest: [1, record('snapshot-manifest-question', { height: uint() })],
  chunk: [2, record('snapshot-chunk-question', { hash: bytes(32) })],
});

const MANIFEST = Uint8Array.of(1);
const CHUNK = Uint8Array.of(2);
const QUESTION_BYTES_MAX = 64;
/** How long one chunk may take, milliseconds. */
const CHUNK_TIMEOUT_MS = 60_000;

/** Makes a snapshot of the head as it is now. */
export type MakeSnapshot = (
  put: (index: number, chunk: Uint8Array) => Promise<void>,
) => Promise<SnapshotManifest>;

/** Where snapshots that are served stand. */
export interface SnapshotShelf {
  readonly suite: Suite;
  /** Its own: keeps one snapshot. */
  readonly store: Store;
}

/** What is served. */
export interface SnapshotMaking {
  readonly make: MakeSnapshot;
  /** Height of the ledger's head. */
  readonly height: () => number;
}

/** Serves snapshots over a mesh until the returned function is called; made when first asked for, and anew after 1,024 blocks. */
export function serveSnapshots(
  mesh: Pick<LedgerMesh, 'serve'>,
  parts: SnapshotShelf & SnapshotMaking,
): () => void {
  const { suite, store, make, height } = parts;
  let making: Promise<Uint8Array> | undefined;
  const renew = async (): Promise<Uint8Array> => {
    const kept = new Set<string>();
    const manifest = await make(async (_, chunk) => {
      const key = concat(CHUNK, suite.sha256(chunk));
      await store.batch([{ type: 'put', key, value: chunk }]);
    });
    for (const { hash } of manifest.chunks) kept.add(Buffer.from(hash).toString('hex'));
    const value = snapshotManifest.encode(manifest);
    const gone: StoreOperation[] = [];
    for await (const [key] of store.entries({ gte: CHUNK }))
      if (!kept.has(Buffer.from(key.subarray(1)).toString('hex'))) gone.push({ type: 'del', key });
    await store.batch([{ type: 'put', key: MANIFEST, value }, ...gone], { sync: true });
    return value;
  };
  const manifestOf = async (): Promise<Uint8Array> => {
    const stored = await store.get(MANIFEST);
    // Nobody makes a node do this work more often by asking.
    if (
      stored !== undefined &&
      height() - heightOf(snapshotManifest.decode(stored)) < SNAPSHOT_RENEWED_BLOCKS
    )
      return stored;
    making ??= renew().finally(() => {
      making = undefined;
    });
    return making;
  };
  return mesh.serve(SNAPSHOT_PROTOCOL, {
    requestBytesMax: QUESTION_BYTES_MAX,
    answerBytesMax: SNAPSHOT_CHUNK_BYTES_MAX,
    concurrencyMax: SNAPSHOTS_SERVED_MAX,
    async handle(body) {
      const question = snapshotQuestion.decode(body);
      if (question.type === 'manifest') return manifestOf();
      const chunk = await store.get(concat(CHUNK, question.hash));
      if (chunk === undefined) throw badSnapshot('The peer does not have this chunk any more');
      return chunk;
    },
  });
}

/** What a snapshot is fetched with. */
export interface SnapshotFetchParts {
  readonly suite: Suite;
  readonly mesh: Pick<LedgerMesh, 'peers' | 'request'>;
  /** Its own: keeps what came so far, also over a restart. */
  readonly store: Store;
}

/**
 * Tries the snapshots that up to 8 peers have, later than `height`, until `restore` took one. Answers whether one was.
 * What came of a snapshot stays for the next try; it goes once it was restored or found to be wrong. Throws `cancelled`
 * and what `restore` throws besides `snapshot-invalid`.
 */
export async function fetchSnapshot(
  parts: SnapshotFetchParts,
  restore: (source: SnapshotSource) => Promise<unknown>,
  { height, signal }: { readonly height: number; readonly signal: AbortSignal },
): Promise<boolean> {
  const { mesh, store } = parts;
  for (const manifest of await manifests(parts, { height, signal })) {
    const { chunks } = manifest.content;
    const sizeBytes = chunks.reduce((sum, part) => sum + part.sizeBytes, 0);
    if (sizeBytes > SNAPSHOT_FETCHED_BYTES_MAX) continue;
    try {
      await store.batch([{ type: 'put', key: MANIFEST, value: manifest.encoded }]);
      await restore({
        manifest: manifest.encoded,
        chunk: async (index) => {
          const hash = chunks[index]?.hash;
          return hash && chunkOf(parts, hash, mesh.peers(), signal);
        },
      });
      await forget(store);
      return true;
    } catch (error) {
      const { code } = asSaharaError(error);
      if (signal.aborted || code === 'peer-unreachable') throw error;
      if (code !== 'snapshot-invalid') throw error;
      await forget(store);
    }
  }
  return false;
}

interface Named {
  readonly encoded: Uint8Array;
  readonly content: SnapshotManifest;
}

/** The manifest that was begun with, then what peers have. */
async function manifests(
  { mesh, store }: SnapshotFetchParts,
  { height, signal }: { readonly height: number; readonly signal: AbortSignal },
): Promise<readonly Named[]> {
  const found: Named[] = [];
  const add = (encoded: Uint8Array): void => {
    const content = snapshotManifest.decode(encoded);
    if (heightOf(content) > height && !found.some((one) => equalBytes(one.encoded, encoded)))
      found.push({ encoded, content });
  };
  const kept = await store.get(MANIFEST);
  if (kept !== undefined) add(kept);
  const question = snapshotQuestion.encode({ type: 'manifest', height });
  for (const { peerId } of mesh.peers().slice(0, PEERS_ASKED_MAX)) {
    try {
      add(await mesh.request(peerId, SNAPSHOT_PROTOCOL, question, limitsOf(signal)));
    } catch {
      if (signal.aborted) throw new SaharaError('cancelled');
    }
  }
  return found;
}

/** A chunk that is here, or that some peer has. */
async function chunkOf(
  { suite, mesh, store }: SnapshotFetchParts,
  hash: Hash,
  peers: readonly { readonly peerId: string }[],
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const key = concat(CHUNK, hash);
  const kept = await store.get(key);
  if (kept !== undefined) return kept;
  const question = snapshotQuestion.encode({ type: 'chunk', hash });
  for (const { peerId } of peers) {
    try {
      const value = await mesh.request(peerId, SNAPSHOT_PROTOCOL, question, limitsOf(signal));
      if (!equalBytes(suite.sha256(value), hash)) continue;
      await store.batch([{ type: 'put', key, value }]);
      return value;
    } catch {
      if (signal.aborted) throw new SaharaError('cancelled');
    }
  }
  // Not wrong: what came stays for the next try.
  throw new SaharaError('peer-unreachable', { reason: 'no peer has the rest of the snapshot' });
}

function limitsOf(signal: AbortSignal): {
  readonly answerBytesMax: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
} {
  return { answerBytesMax: SNAPSHOT_CHUNK_BYTES_MAX, timeoutMs: CHUNK_TIMEOUT_MS, signal };
}

async function forget(store: Store): Promise<void> {
  const gone: StoreOperation[] = [];
  for await (const [key] of store.entries()) gone.push({ type: 'del', key });
  await store.batch(gone);
}

function heightOf({ header }: SnapshotManifest): number {
  return blockHeader.decode(header.payload).height;
}
