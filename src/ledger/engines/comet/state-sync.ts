/**
 * Snapshots as CometBFT passes them between nodes. A node offers the latest that it made; a new one takes what CometBFT
 * found, whose header's hash is the one that consensus certified, and restores it as any other snapshot (LEDGER-141).
 */
import {
  ResponseApplySnapshotChunk_Result as Applied,
  ResponseOfferSnapshot_Result as Offered,
  type RequestApplySnapshotChunk,
  type RequestLoadSnapshotChunk,
  type RequestOfferSnapshot,
  type ResponseApplySnapshotChunk,
  type Snapshot,
} from 'cosmjs-types/tendermint/abci/types';
import { concat, equalBytes, u64be } from '../../../base/bytes.ts';
import { asSaharaError } from '../../../base/errors.ts';
import type { Store } from '../../../base/store.ts';
import { headerHash } from '../../../protocol/block.ts';
import { bytesUpTo, record, type Schema, uint } from '../../../protocol/schema.ts';
import { RESTORING } from '../../layout.ts';
import { createSnapshot } from '../../snapshot.ts';
import { type SnapshotManifest, snapshotManifest } from '../../snapshot-form.ts';
import { abandonRestore, restoreSnapshot } from '../../snapshot-restore.ts';
import type { EngineCore } from '../core.ts';
import { progressIn, progressOperation } from './decisions.ts';
import { SNAPSHOT_MANIFEST_BYTES_MAX } from './limits.ts';

/** Parts of state sync. */
export interface StateSyncParts {
  readonly core: EngineCore;
  /** The ledger's own store. */
  readonly store: Store;
  /** Keeps the snapshot that is offered, and chunks of one that is being taken. */
  readonly shelf: Store;
  /** Opens the ledger anew, after it was restored. */
  readonly reopen: () => Promise<void>;
  /** Blocks of the ledger between two snapshots; 0: none are made. */
  readonly everyBlocks: number;
}

interface Kept {
  /** Height of consensus. */
  readonly height: number;
  readonly manifest: Uint8Array;
}

const kept: Schema<Kept> = record('kept-snapshot', {
  height: uint(),
  manifest: bytesUpTo(SNAPSHOT_MANIFEST_BYTES_MAX),
});

const FORMAT = 1;
const MANIFEST = Uint8Array.of(1);
const CHUNK = Uint8Array.of(2);
const TAKEN = Uint8Array.of(3);
const AFTER_TAKEN = Uint8Array.of(4);

interface Taking {
  readonly height: number;
  readonly appHash: Uint8Array;
  readonly encoded: Uint8Array;
  readonly manifest: SnapshotManifest;
}

/** The snapshot connection's part. */
export class StateSync {
  readonly #parts: StateSyncParts;
  #taking: Taking | undefined;
  #making: Promise<void> | undefined;

  constructor(parts: StateSyncParts) {
    this.#parts = parts;
  }

  /** Says that a block was written: now and then a snapshot is made of it, beside everything else. */
  noteBlock(height: number): void {
    const { everyBlocks, core } = this.#parts;
    if (everyBlocks === 0 || height % everyBlocks !== 0 || this.#making !== undefined) return;
    this.#making = this.#make()
      .catch((error) => core.parts.log.warn('no snapshot was made', { error: asSaharaError(error).message }))
      .finally(() => {
        this.#making = undefined;
      });
  }

  /** Resolves when no snapshot is being made. */
  async idle(): Promise<void> {
    await this.#making;
  }

  /** Removes the chunks of a snapshot that was being taken: it was given up, or is restored. */
  async forgetTaken(): Promise<void> {
    const { shelf } = this.#parts;
    for await (const [key] of shelf.entries({ gte: TAKEN, lt: AFTER_TAKEN }))
      await shelf.batch([{ type: 'del', key }]);
  }

  list(): readonly Snapshot[] {
    const stored = this.#kept();
    if (stored === undefined) return [];
    const { chunks } = snapshotManifest.decode(stored.manifest);
    const hash = this.#parts.core.parts.suite.sha256(stored.manifest);
    const height = BigInt(stored.height);
    return [{ height, format: FORMAT, chunks: chunks.length, hash, metadata: stored.manifest }];
  }

  async load({ height, format, chunk }: RequestLoadSnapshotChunk): Promise<Uint8Array> {
    const stored = this.#kept();
    if (stored === undefined || BigInt(stored.height) !== height || format !== FORMAT)
      return new Uint8Array(0);
    return (await this.#parts.shelf.get(chunkKey(CHUNK, chunk))) ?? new Uint8Array(0);
  }

  /** Takes up a snapshot when this ledger has no block yet and its header is what consensus certified. */
  async offer({ snapshot, appHash }: RequestOfferSnapshot): Promise<Offered> {
    const { core } = this.#parts;
    this.#taking = undefined;
    if (snapshot === undefined || core.parts.chain.head().height > 0) return Offered.ABORT;
    if (snapshot.format !== FORMAT) return Offered.REJECT_FORMAT;
    const manifest = this.#read(snapshot.metadata);
    if (manifest === undefined || manifest.chunks.length !== snapshot.chunks) return Offered.REJECT_SENDER;
    if (!equalBytes(headerHash(core.parts.suite, manifest.header.payload), appHash)) return Offered.REJECT;
    await this.forgetTaken();
    this.#taking = { height: Number(snapshot.height), appHash, encoded: snapshot.metadata, manifest };
    return Offered.ACCEPT;
  }

  async apply({ index, chunk, sender }: RequestApplySnapshotChunk): Promise<ResponseApplySnapshotChunk> {
    const { core, shelf } = this.#parts;
    const taking = this.#taking;
    if (taking === undefined) return applied(Applied.ABORT);
    const part = taking.manifest.chunks[index];
    if (part === undefined || !equalBytes(core.parts.suite.sha256(chunk), part.hash))
      return { ...applied(Applied.RETRY), refetchChunks: [index], rejectSenders: [sender] };
    await shelf.batch([{ type: 'put', key: chunkKey(TAKEN, index), value: chunk }]);
    if (index < taking.manifest.chunks.length - 1) return applied(Applied.ACCEPT);
    return applied(await this.#restore(taking));
  }

  async #restore({ height, appHash, encoded }: Taking): Promise<Applied> {
    const { core, store, shelf, reopen } = this.#parts;
    const { suite, genesis, log } = core.parts;
    this.#taking = undefined;
    const vouches = ({ payload }: SnapshotManifest['header']): boolean =>
      equalBytes(headerHash(suite, payload), appHash);
    const chunk = (index: number): Promise<Uint8Array | undefined> => shelf.get(chunkKey(TAKEN, index));
    return core.exclusive(async () => {
      // Whatever the ledger began with goes: until the snapshot holds, nothing in the store is one.
      await store.batch([{ type: 'put', key: RESTORING, value: new Uint8Array(0) }], { sync: true });
      try {
        const beside = [progressOperation(height)];
        await restoreSnapshot({ suite, store, genesis, vouches, beside }, { manifest: encoded, chunk });
      } catch (error) {
        const { code, message } = asSaharaError(error);
        if (code !== 'snapshot-invalid' && code !== 'network-mismatch') throw error;
        log.warn('a snapshot was not taken', { reason: message });
        await abandonRestore(store);
        await this.forgetTaken();
        await reopen();
        return Applied.REJECT_SNAPSHOT;
      }
      await this.forgetTaken();
      await reopen();
      log.info('began from a snapshot of a peer', { height: core.parts.chain.head().height });
      return Applied.ACCEPT;
    });
  }

  async #make(): Promise<void> {
    const { core, store, shelf } = this.#parts;
    const { suite, genesis, chain } = core.parts;
    // Both of one moment: the state, and how far consensus was.
    const { height, pinned } = await core.exclusive(async () => ({
      height: progressIn(store),
      pinned: await chain.pinned(),
    }));
    const before = this.#kept();
    const source = { head: chain.head, header: chain.header, pinned: async () => pinned };
    const put = (index: number, chunk: Uint8Array): Promise<void> =>
      shelf.batch([{ type: 'put', key: chunkKey(CHUNK, index), value: chunk }]);
    if (before !== undefined) await shelf.batch([{ type: 'del', key: MANIFEST }], { sync: true });
    const { signal } = core.stopping;
    const manifest = await createSnapshot({ suite, genesis, chain: source }, put, { signal });
    const value = kept.encode({ height, manifest: snapshotManifest.encode(manifest) });
    await shelf.batch([{ type: 'put', key: MANIFEST, value }], { sync: true });
    core.parts.log.debug('snapshot made', { height, chunks: manifest.chunks.length });
  }

  #kept(): Kept | undefined {
    const stored = this.#parts.shelf.getSync(MANIFEST);
    return stored && kept.decode(stored);
  }

  #read(encoded: Uint8Array): SnapshotManifest | undefined {
    try {
      return snapshotManifest.decode(encoded);
    } catch (error) {
      if (asSaharaError(error).code !== 'malformed') throw error;
      return undefined;
    }
  }
}

function applied(result: Applied): ResponseApplySnapshotChunk {
  return { result, refetchChunks: [], rejectSenders: [] };
}

function chunkKey(prefix: Uint8Array, index: number): Uint8Array {
  return concat(prefix, u64be(BigInt(index)));
}
