/**
 * A store of knowledge: documents in, passages with content ids and owners out, a search over them, and a commitment
 * that a dataset asset on the ledger can carry. Every change of a document is one atomic, synced batch, so a crash at
 * any moment leaves the vault as it was before or after it. One process writes; searches run beside.
 */
import { equalBytes, toHex, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store } from '../base/store.ts';
import type { MerklePath } from '../protocol/merkle.ts';
import { type Chunk, chunkRecord, type Provenance } from './chunk.ts';
import { plainCodec, type VaultCodec } from './codec.ts';
import type { Commitment, TermProof } from './commitment.ts';
import { CommittedTrees } from './committed-trees.ts';
import { type DocumentRecord, documentRecord } from './document.ts';
import { checkHead, EMPTY_HEAD, type Head, headRecord } from './head.ts';
import {
  type ImportEvent,
  type ImportOptions,
  type ImportTarget,
  importPath,
  prepare,
  type SourceDocument,
} from './import.ts';
import { chunkKey, chunkNumberRange, documentKey, documentRange, HEAD_KEY, nameKey } from './keys.ts';
import { LICENCE_BYTES_MAX, NAME_BYTES_MAX } from './limits.ts';
import { mergeCandidates, writeMerged } from './search/merge.ts';
import type { CorpusStats } from './search/score.ts';
import { type Corpus, type SearchQuery, type SearchResult, searchCorpora } from './search/search.ts';
import { SearchIndex } from './search/search-index.ts';
import { type Committed, type Outcome, type PreparedDocument, Transaction } from './transaction.ts';

/** Options of a vault. */
export interface VaultOptions {
  /** How keys and values are protected at rest. Default: not at all. */
  readonly codec: VaultCodec;
  /** Memory for decoded postings, bytes. Default 32 MiB, minimum 0. */
  readonly postingsCacheBytes: number;
}

/** What `openVault` uses where nothing is said. */
const VAULT_DEFAULTS: VaultOptions = { codec: plainCodec, postingsCacheBytes: 33_554_432 };

/** What a vault holds. */
interface VaultStats extends CorpusStats {
  readonly documents: number;
  /** Rises with every change. */
  readonly generation: number;
}

/** A store of knowledge. */
export interface Vault extends Corpus {
  stats(): VaultStats;
  /** Keeps one document. Errors: `document-unsupported`, `document-too-large`, `document-unreadable`. */
  importDocument(document: SourceDocument): Promise<{ outcome: Outcome; document: DocumentRecord }>;
  /** Keeps the file or every readable file of the folder at `path`; see `ImportEvent`. Errors: `file-missing`, `cancelled`. */
  importPath(path: string, provenance: Provenance, options?: ImportOptions): AsyncIterable<ImportEvent>;
  /** Removes the document of that name; false when there is none. */
  remove(name: string): Promise<boolean>;
  /** The document of that name. */
  document(name: string): Promise<DocumentRecord | undefined>;
  /** Every document, in no order that means anything. */
  documents(): AsyncIterable<DocumentRecord>;
  /** A chunk by its content id. */
  chunk(id: Uint8Array): Promise<Chunk | undefined>;
  /** The chunks that answer a question best. */
  search(query: SearchQuery): Promise<SearchResult>;
  /** What the vault holds, committed to; see `commitment.ts`. */
  commitment(): Promise<Commitment>;
  /** Where a chunk stands under the commitment's chunk root. */
  chunkPath(id: Uint8Array): Promise<MerklePath | undefined>;
  /** In how many chunks an index term stands, or that it stands in none, provable under the commitment's term root. */
  termProof(term: string): Promise<TermProof>;
  /** Waits for what runs and stops; the store stays open. */
  close(): Promise<void>;
}

/**
 * Opens the vault in `store`, empty when nothing is there. Nothing else may write into `store` meanwhile.
 * Errors: `store-corrupt` when what is there is damaged or of another version.
 */
export async function openVault(
  parts: { readonly store: Store; readonly clock: Clock },
  options: Partial<VaultOptions> = {},
): Promise<Vault> {
  const { codec, postingsCacheBytes } = { ...VAULT_DEFAULTS, ...options };
  const stored = await parts.store.get(HEAD_KEY);
  const head = stored === undefined ? EMPTY_HEAD : checkHead(headRecord.decode(codec.open(HEAD_KEY, stored)));
  const index = new SearchIndex(parts.store, codec, postingsCacheBytes);
  await index.load(head.segments);
  return new StoredVault({ ...parts, codec, index }, head);
}

/** Searches several vaults as if they were one. */
export function searchVaults(vaults: readonly Corpus[], query: SearchQuery): Promise<SearchResult> {
  return searchCorpora(vaults, query);
}

class StoredVault implements Vault, ImportTarget {
  readonly index: SearchIndex;
  readonly #parts: { readonly store: Store; readonly clock: Clock; readonly codec: VaultCodec };
  readonly #closing = new AbortController();
  #head: Head;
  #queue: Promise<unknown> = Promise.resolve();
  #trees: CommittedTrees | undefined;

  constructor(
    parts: {
      readonly store: Store;
      readonly clock: Clock;
      readonly codec: VaultCodec;
      readonly index: SearchIndex;
    },
    head: Head,
  ) {
    this.#parts = parts;
    this.index = parts.index;
    this.#head = head;
  }

  stats(): VaultStats {
    const { documents, chunks, lengthTotal, generation } = this.#head;
    return { documents, chunks, lengthTotal, generation };
  }

  async importDocument(source: SourceDocument): Promise<{ outcome: Outcome; document: DocumentRecord }> {
    checkSource(source.name, source.provenance);
    const prepared = await prepare(source);
    const [result] = await this.keep([prepared]);
    if (result === undefined) throw new SaharaError('internal', { reason: 'a kept document has an outcome' });
    return result;
  }

  importPath(path: string, provenance: Provenance, options: ImportOptions = {}): AsyncIterable<ImportEvent> {
    checkSource('', provenance);
    return importPath(this, { path, provenance }, options);
  }

  keep(
    documents: readonly PreparedDocument[],
  ): Promise<readonly { outcome: Outcome; document: DocumentRecord }[]> {
    return this.#transact(async (transaction) => {
      const results = [];
      const nowMs = this.#parts.clock.nowMs();
      for (const document of documents) results.push(await transaction.add(document, nowMs));
      return results;
    });
  }

  async known(
    name: string,
    contentHash: Uint8Array,
    provenance: Provenance,
  ): Promise<DocumentRecord | undefined> {
    const document = await this.document(name);
    if (document === undefined || !equalBytes(document.contentHash, contentHash)) return undefined;
    return sameProvenance(document, provenance) ? document : undefined;
  }

  remove(name: string): Promise<boolean> {
    return this.#transact((transaction) => transaction.remove(name));
  }

  async document(name: string): Promise<DocumentRecord | undefined> {
    const id = await this.#read(nameKey(this.#parts.codec.blind('name', utf8(name))));
    const stored = id === undefined ? undefined : await this.#read(documentKey(id));
    return stored === undefined ? undefined : documentRecord.decode(stored);
  }

  async *documents(): AsyncGenerator<DocumentRecord> {
    const { store, codec } = this.#parts;
    for await (const [key, stored] of store.entries(documentRange())) {
      yield documentRecord.decode(codec.open(key, stored).slice());
    }
  }

  async chunk(id: Uint8Array): Promise<Chunk | undefined> {
    for await (const [key] of this.#parts.store.entries({ ...chunkNumberRange(id), limit: 1 })) {
      return this.chunkAt(new DataView(key.buffer, key.byteOffset + key.length - 4).getUint32(0));
    }
    return undefined;
  }

  async chunkAt(number: number): Promise<Chunk | undefined> {
    const stored = await this.#read(chunkKey(number));
    return stored === undefined ? undefined : chunkRecord.decode(stored);
  }

  async nameOf(document: Uint8Array): Promise<string> {
    const stored = await this.#read(documentKey(document));
    return stored === undefined ? toHex(document) : (documentRecord.decode(stored).names[0] ?? '');
  }

  search(query: SearchQuery): Promise<SearchResult> {
    return searchCorpora([this], query);
  }

  async commitment(): Promise<Commitment> {
    return (await this.#committed()).commitment;
  }

  async chunkPath(id: Uint8Array): Promise<MerklePath | undefined> {
    return this.#enqueue(async () => (await this.#treesNow()).chunkPath(id));
  }

  async termProof(term: string): Promise<TermProof> {
    return this.#enqueue(async () => (await this.#treesNow()).termProof(term));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#queue;
  }

  #committed(): Promise<CommittedTrees> {
    return this.#enqueue(() => this.#treesNow());
  }

  /** Runs inside the queue: nothing changes while it reads. */
  async #treesNow(): Promise<CommittedTrees> {
    if (this.#trees?.generation !== this.#head.generation) {
      this.#trees = await CommittedTrees.build({ store: this.#parts.store, index: this.index }, this.#head);
    }
    return this.#trees;
  }

  #transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const done = this.#enqueue(async () => {
      const { store, codec } = this.#parts;
      const transaction = new Transaction({ store, codec, index: this.index }, this.#head);
      const result = await work(transaction);
      const committed = await transaction.commit();
      if (committed !== undefined) this.#take(committed);
      return result;
    });
    done.then(
      () => this.#maintain(),
      () => {},
    );
    return done;
  }

  #take(committed: Committed): void {
    this.#head = committed.head;
    this.index.apply(committed.change);
  }

  /** Joins segments in turn with other writes, and deletes what nobody reads any more. */
  #maintain(): void {
    const work = this.#enqueue(async () => {
      await this.index.purge();
      const sources = mergeCandidates(this.index);
      if (sources.length > 0) await this.#merge(sources);
      return sources.length > 0;
    });
    work.then(
      (merged) => merged && this.#maintain(),
      // A merge that fails or is stopped by closing changes nothing; the next change tries again.
      () => {},
    );
  }

  async #merge(sources: ReturnType<typeof mergeCandidates>): Promise<void> {
    const { store, codec } = this.#parts;
    const number = this.#head.nextSegment;
    // A merge that fails half-way leaves records under its number: no later segment may take it.
    this.#head = { ...this.#head, nextSegment: number + 1 };
    const parts = { store, codec, index: this.index };
    const merged = await writeMerged(parts, { number, sources, signal: this.#closing.signal });
    const replaced = new Set(sources.map((segment) => segment.number));
    const segments = this.index.segments.filter((segment) => !replaced.has(segment.number));
    if (merged !== undefined) segments.push(merged);
    segments.sort((a, b) => a.first - b.first);
    const head: Head = { ...this.#head, segments };
    const value = codec.seal(HEAD_KEY, headRecord.encode(head));
    await store.batch([{ type: 'put', key: HEAD_KEY, value }], { sync: true });
    this.#take({ head, change: { segments, added: [], removed: [] } });
    await this.index.purge();
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(() => {
      if (this.#closing.signal.aborted) throw new SaharaError('cancelled', { reason: 'the vault is closed' });
      return work();
    });
    this.#queue = run.catch(() => {});
    return run;
  }

  async #read(key: Uint8Array): Promise<Uint8Array | undefined> {
    const stored = await this.#parts.store.get(key);
    return stored === undefined ? undefined : this.#parts.codec.open(key, stored);
  }
}

function sameProvenance(a: Provenance, b: Provenance): boolean {
  const empty = new Uint8Array(0);
  return (
    equalBytes(a.contributor, b.contributor) &&
    equalBytes(a.contribution ?? empty, b.contribution ?? empty) &&
    a.licence === b.licence
  );
}

function checkSource(name: string, provenance: Provenance): void {
  const wrong =
    utf8(name).length > NAME_BYTES_MAX
      ? `a name has at most ${NAME_BYTES_MAX} bytes`
      : utf8(provenance.licence).length > LICENCE_BYTES_MAX
        ? `a licence has at most ${LICENCE_BYTES_MAX} bytes`
        : provenance.contributor.length !== 32 || (provenance.contribution?.length ?? 32) !== 32
          ? 'a contributor and a contribution have 32 bytes'
          : undefined;
  if (wrong !== undefined) throw new SaharaError('usage', { reason: wrong });
}
