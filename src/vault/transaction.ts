/**
 * Changes of documents gathered into one atomic batch: what it reads it sees as already changed, and nothing is
 * written before `commit`. Every chunk of a document, its postings and the vault's head go together.
 */
import { equalBytes, utf8 } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { Provenance } from './chunk.ts';
import { type Chunk, chunkId, documentId } from './chunk.ts';
import type { VaultCodec } from './codec.ts';
import { DOCUMENT_NAMES_MAX, type DocumentRecord, documentRecord } from './document.ts';
import type { ExtractedDocument } from './extract/extract.ts';
import { tooMany } from './extract/refusals.ts';
import { type Head, headRecord, listed } from './head.ts';
import { itemKey } from './item-keys.ts';
import { chunkKey, chunkNumberKey, documentKey, HEAD_KEY, nameKey } from './keys.ts';
import { VAULT_CHUNKS_MAX } from './limits.ts';
import { BLOCK_PASSAGES, decodePassages, documentBlocks, encodePassages } from './passages.ts';
import type { Items } from './sealed/items.ts';
import type { IndexChange, SearchIndex } from './search/search-index.ts';
import { buildSegment, type IndexedChunk } from './search/segment.ts';
import { vectorRemovals } from './search/vectors.ts';

/** What a vault is made of. */
export interface VaultParts {
  readonly store: Store;
  readonly codec: VaultCodec;
  readonly index: SearchIndex;
  readonly items: Items;
  /** The epoch to which new items belong. */
  readonly epoch: number;
}

/** A document ready to be kept. */
export interface PreparedDocument {
  readonly name: string;
  readonly contentHash: Uint8Array;
  readonly sizeBytes: number;
  readonly provenance: Provenance;
  readonly extracted: Omit<ExtractedDocument, 'text'>;
  /** Size of the text that was extracted, bytes of UTF-8. */
  readonly textBytes: number;
  /** How those whose words it holds agreed; may be empty. */
  readonly consent: string;
}

/** What became of a document: new, in place of an older one, already there, or a further name of the same content. */
export type Outcome = 'added' | 'replaced' | 'unchanged' | 'named';

/** What a commit made. */
export interface Committed {
  readonly head: Head;
  readonly change: IndexChange;
}

const NOTHING = new Uint8Array(0);

/** One atomic batch of document changes. */
export class Transaction {
  readonly #parts: VaultParts;
  readonly #head: Head;
  readonly #overlay = new Map<string, StoreOperation>();
  /** Where new chunks stand, which nothing here reads; what is deleted of them is in the overlay and comes behind. */
  readonly #fresh: StoreOperation[] = [];
  readonly #added = new Map<number, IndexedChunk>();
  readonly #removed = new Set<number>();
  readonly #erasing: Set<number>;
  #nextChunk: number;
  #documents: number;

  constructor(parts: VaultParts, head: Head) {
    this.#parts = parts;
    this.#head = head;
    this.#erasing = new Set(head.erasing);
    this.#nextChunk = head.nextChunk;
    this.#documents = head.documents;
  }

  /** The document that carries `name`. */
  async named(name: string): Promise<DocumentRecord | undefined> {
    const id = await this.#read(this.#nameKey(name));
    return id === undefined ? undefined : this.#document(id);
  }

  /** Keeps a document under its name in place of what carried it before. */
  async add(
    document: PreparedDocument,
    nowMs: number,
  ): Promise<{ outcome: Outcome; document: DocumentRecord }> {
    const { name, provenance, contentHash, extracted } = document;
    const id = documentId({ ...provenance, mediaType: extracted.mediaType, contentHash });
    const before = await this.named(name);
    if (before !== undefined && equalBytes(before.id, id)) return { outcome: 'unchanged', document: before };
    if (before !== undefined) await this.#unname(before, name);
    const same = await this.#document(id);
    const kept = same === undefined ? this.#create(id, document, nowMs) : this.#rename(same, name);
    if (same !== undefined) await this.#putDocument(kept);
    this.#put(this.#nameKey(name), id);
    if (before !== undefined) return { outcome: 'replaced', document: kept };
    return { outcome: same === undefined ? 'added' : 'named', document: kept };
  }

  /** Removes a name, and with its last name the document. False when nothing carries it. */
  async remove(name: string): Promise<boolean> {
    const document = await this.named(name);
    if (document === undefined) return false;
    await this.#unname(document, name);
    this.#delete(this.#nameKey(name));
    return true;
  }

  /** The same for all names of a document, of which nothing is to stay on disk. */
  async forget(document: DocumentRecord): Promise<void> {
    for (const name of document.names) await this.remove(name);
    const last = document.firstChunk + document.chunks - 1;
    for (const { number, first, last: end } of this.#parts.index.segments) {
      if (first <= last && end >= document.firstChunk) this.#erasing.add(number);
    }
  }

  /** Writes everything, synced; returns what to take over in memory, or `undefined` when nothing changed. */
  async commit(): Promise<Committed | undefined> {
    if (this.#overlay.size === 0) return undefined;
    const { store, codec, index } = this.#parts;
    const operations = [...this.#fresh, ...this.#overlay.values()];
    const removed = [...this.#removed].sort((a, b) => a - b);
    operations.push(...index.removalOperations(removed), ...(await vectorRemovals(store, removed)));
    const chunks = [...this.#added.values()];
    const number = this.#head.nextSegment;
    const built = buildSegment(number, chunks, codec);
    const first = chunks[0];
    const last = chunks.at(-1);
    const segments = [...index.segments];
    if (first !== undefined && last !== undefined) {
      operations.push(...built.operations);
      segments.push({ number, first: first.number, last: last.number, chunks: chunks.length });
    }
    const gained = built.lengths.reduce((sum, [, length]) => sum + length, 0);
    const lost = removed.reduce((sum, chunk) => sum + (index.lengthOf(chunk) ?? 0), 0);
    const head: Head = {
      ...this.#head,
      generation: this.#head.generation + 1,
      nextChunk: this.#nextChunk,
      nextSegment: number + 1,
      documents: this.#documents,
      chunks: this.#head.chunks + chunks.length - removed.length,
      lengthTotal: this.#head.lengthTotal + gained - lost,
      segments,
      erasing: listed(this.#erasing),
    };
    operations.push(this.#sealed(HEAD_KEY, headRecord.encode(head)));
    await store.batch(operations, { sync: true });
    return { head, change: { segments, added: built.lengths, removed } };
  }

  #create(id: Uint8Array, document: PreparedDocument, nowMs: number): DocumentRecord {
    const { name, provenance, contentHash, sizeBytes, textBytes, extracted } = document;
    const firstChunk = this.#nextChunk;
    const item = this.#parts.items.create(firstChunk, this.#parts.epoch);
    const count = extracted.chunks.length;
    if (this.#head.chunks + this.#added.size + count > VAULT_CHUNKS_MAX) {
      throw tooMany(name, 'more passages than the vault has room for', VAULT_CHUNKS_MAX);
    }
    const { contributor, contribution, licence } = provenance;
    const chunks = extracted.chunks.map(({ title, text, start, end }, ordinal): Chunk => {
      const content = { title, text, contributor, contribution, licence };
      const place = { document: id, ordinal, start, end };
      return { id: chunkId(content), ...place, title, text, contributor, contribution, licence };
    });
    for (let at = 0; at < count; at += BLOCK_PASSAGES) {
      const key = chunkKey(firstChunk + at);
      this.#keep(key, item.seal(key, encodePassages(chunks.slice(at, at + BLOCK_PASSAGES))));
    }
    for (const { id: chunk, title, text } of chunks) {
      const number = this.#nextChunk++;
      this.#fresh.push({ type: 'put', key: chunkNumberKey(chunk, number), value: NOTHING });
      this.#added.set(number, { number, title, text });
    }
    this.#documents++;
    const { mediaType } = extracted;
    const { consent } = document;
    const sizes = { consent, firstChunk, chunks: count, sizeBytes, textBytes, importedAtMs: nowMs };
    const kept = { ...provenance, ...sizes, id, mediaType, contentHash, names: [name] };
    if (item.operation?.type === 'put') this.#keep(item.operation.key, item.operation.value);
    this.#keep(documentKey(id), item.seal(documentKey(id), documentRecord.encode(kept)));
    // A document without passages would leave its number to the next one.
    if (count === 0) this.#nextChunk++;
    return kept;
  }

  #rename(document: DocumentRecord, name: string): DocumentRecord {
    if (document.names.length >= DOCUMENT_NAMES_MAX) {
      throw tooMany(name, `${document.names.length + 1} names`, DOCUMENT_NAMES_MAX);
    }
    return { ...document, names: [...document.names, name] };
  }

  async #unname(document: DocumentRecord, name: string): Promise<void> {
    const names = document.names.filter((other) => other !== name);
    if (names.length > 0) {
      await this.#putDocument({ ...document, names });
      return;
    }
    for (const key of documentBlocks(document)) {
      const stored = await this.#open(key);
      invariant(stored !== undefined, 'a document has all its chunks');
      this.#delete(key);
      for (const { id, ordinal } of decodePassages(stored)) {
        const number = document.firstChunk + ordinal;
        this.#delete(chunkNumberKey(id, number));
        if (!this.#added.delete(number)) this.#removed.add(number);
      }
    }
    this.#delete(documentKey(document.id));
    this.#delete(itemKey(document.firstChunk));
    this.#parts.items.drop(document.firstChunk);
    this.#documents--;
  }

  async #document(id: Uint8Array): Promise<DocumentRecord | undefined> {
    const stored = await this.#open(documentKey(id));
    return stored === undefined ? undefined : documentRecord.decode(stored);
  }

  async #putDocument(document: DocumentRecord): Promise<void> {
    const item = await this.#parts.items.reopen(document.firstChunk, this.#raw);
    const key = documentKey(document.id);
    this.#keep(key, item.seal(key, documentRecord.encode(document)));
  }

  #nameKey(name: string): Uint8Array {
    return nameKey(this.#parts.codec.blind('name', utf8(name)));
  }

  async #read(key: Uint8Array): Promise<Uint8Array | undefined> {
    const stored = await this.#raw(key);
    return stored === undefined ? undefined : this.#parts.codec.open(key, stored);
  }

  /** What belongs to an item. */
  async #open(key: Uint8Array): Promise<Uint8Array | undefined> {
    const stored = await this.#raw(key);
    return stored === undefined ? undefined : this.#parts.items.open(key, stored, this.#raw);
  }

  readonly #raw = async (key: Uint8Array): Promise<Uint8Array | undefined> => {
    const changed = this.#overlay.get(nameOf(key));
    if (changed?.type === 'del') return undefined;
    // One or two for each document: each by itself is found sooner than a thread that would look for it.
    return changed?.value ?? this.#parts.store.getSync(key);
  };

  #put(key: Uint8Array, value: Uint8Array): void {
    this.#overlay.set(nameOf(key), this.#sealed(key, value));
  }

  #keep(key: Uint8Array, value: Uint8Array): void {
    this.#overlay.set(nameOf(key), { type: 'put', key, value });
  }

  #delete(key: Uint8Array): void {
    this.#overlay.set(nameOf(key), { type: 'del', key });
  }

  #sealed(key: Uint8Array, value: Uint8Array): StoreOperation {
    return { type: 'put', key, value: this.#parts.codec.seal(key, value) };
  }
}

/** A key as a text, one character for each byte. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
