import { concat, equalBytes, toHex, u32be, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store } from '../base/store.ts';
import type { MerklePath } from '../protocol/merkle.ts';
import type { AccessLog } from './access-log.ts';
import type { Books } from './books.ts';
import type { Chunk, Provenance } from './chunk.ts';
import type { VaultCodec } from './codec.ts';
import type { Commitment, TermProof } from './commitment.ts';
import { CommittedTrees } from './committed-trees.ts';
import { type DocumentRecord, documentRecord } from './document.ts';
import type { GrantBook } from './grants.ts';
import { type Head, headRecord } from './head.ts';
import { type ImportEvent, type ImportOptions, importPath, prepare, type SourceDocument } from './import.ts';
import {
  chunkNumberRange,
  documentKey,
  documentRange,
  HEAD_KEY,
  nameKey,
  range,
  SEGMENT_TAGS,
} from './keys.ts';
import type { LabelBook } from './labels.ts';
import { LICENCE_BYTES_MAX, NAME_BYTES_MAX } from './limits.ts';
import { blockKeys, decodePassage, decodePassages, documentBlocks } from './passages.ts';
import type { Items } from './sealed/items.ts';
import type { VaultKeys } from './sealed/key-tree.ts';
import type { Embedder } from './search/embedder.ts';
import { mergeCandidates, writeMerged } from './search/merge.ts';
import { type SearchQuery, type SearchResult, searchCorpora } from './search/search.ts';
import type { SearchIndex } from './search/search-index.ts';
import { VectorIndex } from './search/vectors.ts';
import { idSpans, itemSpans, segmentSpans } from './spans.ts';
import { type Committed, type Outcome, type PreparedDocument, Transaction } from './transaction.ts';
import type { Vault, VaultStats } from './vault.ts';

/** How long to wait between looks at whether the searches of a replaced segment have ended, milliseconds. */
const PURGE_WAIT_MS = 20;

/** How long words of forgotten documents wait for others to be erased with them, milliseconds. */
const ERASE_WAIT_MS = 10_000;

/** What a stored vault is made of. */
export interface StoredParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly codec: VaultCodec;
  readonly index: SearchIndex;
  readonly items: Items;
  readonly keys: VaultKeys | undefined;
  readonly books: Books;
  readonly grants: GrantBook;
  readonly accesses: AccessLog;
  readonly labels: LabelBook;
}

/** A vault over a store. Changes wait for each other in one queue; searches run beside. */
export class StoredVault implements Vault {
  readonly index: SearchIndex;
  readonly keys: VaultKeys | undefined;
  readonly books: Books;
  readonly grants: GrantBook;
  readonly accesses: AccessLog;
  readonly labels: LabelBook;
  readonly #parts: StoredParts;
  readonly #closing = new AbortController();
  #head: Head;
  #queue: Promise<unknown> = Promise.resolve();
  #trees: CommittedTrees | undefined;
  #cancelErasing: () => void = () => {};

  constructor(parts: StoredParts, head: Head) {
    this.#parts = parts;
    this.index = parts.index;
    this.keys = parts.keys;
    this.books = parts.books;
    this.grants = parts.grants;
    this.accesses = parts.accesses;
    this.labels = parts.labels;
    this.#head = head;
    this.#eraseSoon();
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
    return id === undefined ? undefined : this.#document(id);
  }

  async forget(name: string): Promise<DocumentRecord | undefined> {
    const document = await this.document(name);
    if (document === undefined) return undefined;
    await this.#transact((transaction) => transaction.forget(document));
    await this.#enqueue(async () => this.#parts.store.erase?.(itemSpans(document)));
    this.#eraseSoon();
    return document;
  }

  async eraseWords(): Promise<void> {
    this.#cancelErasing();
    await this.#enqueue(async () => {
      const erasing = this.#head.erasing ?? [];
      if (erasing.length === 0) return;
      for (const number of erasing) {
        const segment = this.index.segments.find((one) => one.number === number);
        if (segment !== undefined) await this.#merge([segment]);
        await this.#gone(number);
      }
      await this.#parts.store.erase?.([...idSpans(), ...erasing.flatMap(segmentSpans)]);
      await this.#putHead({ ...this.#head, erasing: undefined });
    });
  }

  async *documents(): AsyncGenerator<DocumentRecord> {
    const { store, items } = this.#parts;
    for await (const [key, stored] of store.entries(documentRange())) {
      // One that is removed meanwhile has no key any more.
      const live = await store.get(key);
      if (live !== undefined)
        yield documentRecord.decode(await items.open(key.slice(), stored.slice(), this.#raw));
    }
  }

  async *passages(document: DocumentRecord): AsyncGenerator<Chunk> {
    for (const key of documentBlocks(document)) {
      const stored = await this.#item(key);
      if (stored !== undefined) yield* decodePassages(stored);
    }
  }

  async epochOf({ firstChunk }: DocumentRecord): Promise<number> {
    return (await this.#parts.items.epochOf(firstChunk, this.#raw)) ?? 0;
  }

  vectors(embedder: Embedder): Promise<VectorIndex> {
    const { store, codec } = this.#parts;
    return VectorIndex.open({ store, codec, embedder });
  }

  quiet<T>(work: () => Promise<T>): Promise<T> {
    return this.#enqueue(work);
  }

  async chunk(id: Uint8Array): Promise<Chunk | undefined> {
    for await (const [key] of this.#parts.store.entries({ ...chunkNumberRange(id), limit: 1 })) {
      return this.chunkAt(new DataView(key.buffer, key.byteOffset + key.length - 4).getUint32(0));
    }
    return undefined;
  }

  async chunkAt(number: number): Promise<Chunk | undefined> {
    for (const [key, index] of blockKeys(number)) {
      const stored = await this.#item(key);
      if (stored !== undefined) return decodePassage(stored, index);
    }
    return undefined;
  }

  async nameOf(document: Uint8Array): Promise<string> {
    return (await this.#document(document))?.names[0] ?? toHex(document);
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
    this.#cancelErasing();
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
      const epoch = await this.grants.epochAt(this.#parts.clock.nowMs());
      const transaction = new Transaction({ ...this.#parts, epoch }, this.#head);
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
    await this.#putHead({ ...this.#head, segments });
    this.index.apply({ segments, added: [], removed: [] });
    await this.index.purge();
  }

  async #putHead(head: Head): Promise<void> {
    const { store, codec } = this.#parts;
    const value = codec.seal(HEAD_KEY, headRecord.encode(head));
    await store.batch([{ type: 'put', key: HEAD_KEY, value }], { sync: true });
    this.#head = head;
  }

  /** Erases the words of what was forgotten in a while, so that several that are forgotten in a row cost it once. */
  #eraseSoon(): void {
    this.#cancelErasing();
    if (this.#head.erasing === undefined) return;
    this.#cancelErasing = this.#parts.clock.after(ERASE_WAIT_MS, () => {
      // What is stopped or fails is listed in the head, and done at the next start.
      this.eraseWords().catch(() => {});
    });
  }

  /** Waits until the last search that began with a replaced segment has ended, so that it is deleted. */
  async #gone(segment: number): Promise<void> {
    const { store, clock } = this.#parts;
    for (;;) {
      let left = false;
      for (const tag of SEGMENT_TAGS) {
        for await (const _ of store.entries({ ...range(concat(tag, u32be(segment))), limit: 1 })) left = true;
      }
      if (!left) return;
      this.#closing.signal.throwIfAborted();
      await new Promise<void>((resolve) => clock.after(PURGE_WAIT_MS, resolve));
      await this.index.purge();
    }
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(() => {
      if (this.#closing.signal.aborted) throw new SaharaError('cancelled', { reason: 'the vault is closed' });
      return work();
    });
    this.#queue = run.catch(() => {});
    return run;
  }

  async #document(id: Uint8Array): Promise<DocumentRecord | undefined> {
    const stored = await this.#item(documentKey(id));
    return stored === undefined ? undefined : documentRecord.decode(stored);
  }

  /** What belongs to a document; `undefined` when it is gone, also since the reading began. */
  async #item(key: Uint8Array): Promise<Uint8Array | undefined> {
    const { items, store } = this.#parts;
    // A search reads a few of these: each by itself is found sooner than a thread that would look for it.
    const stored = store.getSync(key);
    if (stored === undefined) return undefined;
    try {
      return await items.open(key, stored, this.#raw);
    } catch (error) {
      if ((await store.get(key)) === undefined) return undefined;
      throw error;
    }
  }

  readonly #raw = (key: Uint8Array): Promise<Uint8Array | undefined> => this.#parts.store.get(key);

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
