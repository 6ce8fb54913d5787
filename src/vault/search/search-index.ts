/**
 * The inverted index over a store: immutable segments, removed chunks marked, decoded postings kept within a budget.
 * Memory beside that budget is two bytes for each chunk number and one term of 256. Changes come from one writer at a
 * time; searches run beside it and keep the segments that they began with until they end.
 */
import { concat, u32be } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Store, StoreOperation } from '../../base/store.ts';
import type { VaultCodec } from '../codec.ts';
import { directoryKey, lengthsKey, pageKey, range, SEGMENT_TAGS, termsKey, tombstonesKey } from '../keys.ts';
import {
  blockOf,
  compareTerms,
  type DictionaryEntry,
  decodeDirectory,
  decodeTerms,
  entryOf,
  type PlacedEntry,
} from './dictionary.ts';
import { Lru } from './lru.ts';
import { readStretch } from './pages.ts';
import {
  decodePostings,
  NO_POSTINGS,
  type Positions,
  type Postings,
  placePositions,
  postingsBytes,
} from './postings.ts';
import { decodeLengths, decodeTombstones, type SegmentInfo, tombstones } from './segment.ts';

const PURGE_BATCH = 1000;
/** Memory of one decoded dictionary entry, bytes. */
const ENTRY_BYTES = 120;

/** The segments of one moment; `release` it when done. */
export interface Snapshot {
  readonly segments: readonly SegmentInfo[];
  release(): void;
}

/** What a writer changes in the index, applied in memory once it is on disk. */
export interface IndexChange {
  readonly segments: readonly SegmentInfo[];
  readonly added: readonly (readonly [number: number, length: number])[];
  readonly removed: readonly number[];
}

type Cached =
  | { readonly kind: 'block'; readonly entries: readonly PlacedEntry[] }
  | { readonly kind: 'postings'; readonly postings: Postings }
  | { readonly kind: 'positions'; readonly positions: Positions };

/** Reads the index of `segments` and keeps its state. */
export class SearchIndex {
  readonly #store: Store;
  readonly #codec: VaultCodec;
  readonly #cache: Lru<Cached>;
  readonly #removed = new Map<number, readonly number[]>();
  readonly #users = new Map<number, number>();
  readonly #retired = new Set<number>();
  readonly #directories = new Map<number, Promise<readonly string[]>>();
  #segments: readonly SegmentInfo[] = [];
  /** Length plus one of each live chunk; zero where none is. */
  #lengths: Uint16Array = new Uint16Array(0);

  constructor(store: Store, codec: VaultCodec, cacheBytesMax: number) {
    this.#store = store;
    this.#codec = codec;
    this.#cache = new Lru(cacheBytesMax);
  }

  /** Takes up the state on disk, and removes what a crash left of segments that no head names. */
  async load(segments: readonly SegmentInfo[]): Promise<void> {
    for (const segment of segments) {
      const lengths = await this.#read(lengthsKey(segment.number));
      if (lengths === undefined) throw damaged(segment.number);
      for (const [chunk, length] of decodeLengths(lengths)) this.#setLength(chunk, length);
      const gone = await this.#read(tombstonesKey(segment.number));
      if (gone === undefined) continue;
      const removed = decodeTombstones(gone);
      this.#removed.set(segment.number, removed);
      for (const chunk of removed) this.#lengths[chunk] = 0;
    }
    this.#segments = segments;
    await this.#removeOrphans();
  }

  get segments(): readonly SegmentInfo[] {
    return this.#segments;
  }

  /** Length plus one of each live chunk by its number, zero where none is; changes with the index. */
  get lengths(): Uint16Array {
    return this.#lengths;
  }

  /** Chunks of a segment that were removed since it was written. */
  removedOf(segment: number): readonly number[] {
    return this.#removed.get(segment) ?? [];
  }

  /** Index tokens of a live chunk; `undefined` when it was removed. */
  lengthOf(chunk: number): number | undefined {
    const stored = this.#lengths[chunk] ?? 0;
    return stored === 0 ? undefined : stored - 1;
  }

  /** Keeps the present segments readable until it is released. */
  acquire(): Snapshot {
    const segments = this.#segments;
    for (const { number } of segments) this.#users.set(number, (this.#users.get(number) ?? 0) + 1);
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      for (const { number } of segments) this.#users.set(number, (this.#users.get(number) ?? 1) - 1);
    };
    return { segments, release };
  }

  /** What the dictionary of a segment says of a term. */
  async entry(segment: number, term: string): Promise<PlacedEntry | undefined> {
    const block = blockOf(await this.#directory(segment), term);
    return block < 0 ? undefined : entryOf(await this.#block(segment, block), term);
  }

  /** A term's postings in one segment; empty where it does not occur. */
  async postings(segment: number, term: string): Promise<Postings> {
    const name = `p${segment}/${term}`;
    const kept = this.#cache.get(name);
    if (kept?.kind === 'postings') return kept.postings;
    const entry = await this.entry(segment, term);
    if (entry === undefined) return NO_POSTINGS;
    const stored = await this.#stretch('postings', segment, entry);
    const postings = decodePostings(stored, entry.chunks);
    this.#cache.set(name, { kind: 'postings', postings }, postingsBytes(postings) + 2 * name.length);
    return postings;
  }

  /** The positions that belong to `postings` of a term in one segment. */
  async positions(segment: number, term: string, postings: Postings): Promise<Positions> {
    const name = `o${segment}/${term}`;
    const kept = this.#cache.get(name);
    if (kept?.kind === 'positions') return kept.positions;
    const entry = await this.entry(segment, term);
    const stored = entry === undefined ? new Uint8Array(0) : await this.#stretch('positions', segment, entry);
    const positions = placePositions(postings, stored);
    const weight = stored.length + 4 * positions.skips.length + 2 * name.length + 200;
    this.#cache.set(name, { kind: 'positions', positions }, weight);
    return positions;
  }

  /** How many live chunks of `postings` there are. */
  countLive(segment: number, postings: Postings): number {
    if (this.removedOf(segment).length === 0) return postings.chunks.length;
    let count = 0;
    for (const chunk of postings.chunks) if (this.lengthOf(chunk) !== undefined) count++;
    return count;
  }

  /** The entries of a segment's dictionary, block by block, from the block of `from` on. */
  async *blocks(segment: number, from = ''): AsyncGenerator<readonly PlacedEntry[]> {
    const directory = await this.#directory(segment);
    for (let block = Math.max(0, blockOf(directory, from)); block < directory.length; block++) {
      // Who reads from a place on looks for a few terms, and soon again; who reads all reads once.
      yield from === '' ? this.#readBlock(segment, block) : this.#block(segment, block);
    }
  }

  /** The blocks of a segment's dictionary from its first on, read without promises: for who reads all of it. */
  *blocksNow(segment: number): Generator<readonly PlacedEntry[]> {
    const count = decodeDirectory(this.#readNow(segment, directoryKey(segment))).length;
    for (let block = 0; block < count; block++)
      yield decodeTerms(this.#readNow(segment, termsKey(segment, block)));
  }

  /** A page of a segment's postings or positions, read without a promise. */
  pageNow(stream: 'postings' | 'positions', segment: number, page: number): Uint8Array {
    return this.#readNow(segment, pageKey(stream, segment, page));
  }

  /** A page of a segment's postings or positions. */
  async #page(stream: 'postings' | 'positions', segment: number, page: number): Promise<Uint8Array> {
    const content = await this.#read(pageKey(stream, segment, page));
    if (content === undefined) throw damaged(segment);
    return content;
  }

  /** The terms of `segments` in byte order, from `from` on; a term that several hold comes once, counts added. */
  async *terms(segments: readonly SegmentInfo[], from = ''): AsyncGenerator<DictionaryEntry> {
    const sources = segments.map(({ number }) => this.blocks(number, from));
    for await (const { term, entries } of mergedTerms(sources, from)) {
      yield { term, chunks: entries.reduce((sum, entry) => sum + (entry?.chunks ?? 0), 0) };
    }
  }

  /** Writes that mark `removed` chunks (rising) in their segments. */
  removalOperations(removed: readonly number[]): StoreOperation[] {
    return this.#segments.flatMap((segment) => {
      const inside = removed.filter((chunk) => chunk >= segment.first && chunk <= segment.last);
      if (inside.length === 0) return [];
      const all = [...new Set([...this.removedOf(segment.number), ...inside])].sort((a, b) => a - b);
      return [tombstones(segment.number, all, this.#codec)];
    });
  }

  /** Takes over a change that is on disk. */
  apply(change: IndexChange): void {
    for (const segment of this.#segments) {
      const inside = change.removed.filter((chunk) => chunk >= segment.first && chunk <= segment.last);
      if (inside.length === 0) continue;
      const all = new Set([...this.removedOf(segment.number), ...inside]);
      this.#removed.set(
        segment.number,
        [...all].sort((a, b) => a - b),
      );
    }
    for (const chunk of change.removed) this.#lengths[chunk] = 0;
    for (const [chunk, length] of change.added) this.#setLength(chunk, length);
    const kept = new Set(change.segments.map((segment) => segment.number));
    for (const { number } of this.#segments) if (!kept.has(number)) this.#retired.add(number);
    this.#segments = change.segments;
  }

  /** Deletes replaced segments that no search reads any more. */
  async purge(): Promise<void> {
    for (const segment of this.#retired) {
      if ((this.#users.get(segment) ?? 0) > 0) continue;
      await this.#deleteSegment(segment);
      this.#retired.delete(segment);
      this.#removed.delete(segment);
      this.#users.delete(segment);
      this.#directories.delete(segment);
    }
  }

  #directory(segment: number): Promise<readonly string[]> {
    const known = this.#directories.get(segment);
    if (known !== undefined) return known;
    const reading = this.#read(directoryKey(segment)).then((stored) => {
      if (stored === undefined) throw damaged(segment);
      return decodeDirectory(stored);
    });
    this.#directories.set(segment, reading);
    // What could not be read is tried again.
    reading.catch(() => this.#directories.delete(segment));
    return reading;
  }

  async #block(segment: number, block: number): Promise<readonly PlacedEntry[]> {
    const name = `t${segment}/${block}`;
    const kept = this.#cache.get(name);
    if (kept?.kind === 'block') return kept.entries;
    const entries = await this.#readBlock(segment, block);
    this.#cache.set(name, { kind: 'block', entries }, ENTRY_BYTES * entries.length);
    return entries;
  }

  async #readBlock(segment: number, block: number): Promise<readonly PlacedEntry[]> {
    const stored = await this.#read(termsKey(segment, block));
    if (stored === undefined) throw damaged(segment);
    return decodeTerms(stored);
  }

  #stretch(stream: 'postings' | 'positions', segment: number, entry: PlacedEntry): Promise<Uint8Array> {
    const [at, length] =
      stream === 'postings'
        ? [entry.postingsAt, entry.postingsBytes]
        : [entry.positionsAt, entry.positionsBytes];
    return readStretch((page) => this.#page(stream, segment, page), at, length);
  }

  async #removeOrphans(): Promise<void> {
    const named = new Set(this.#segments.map((segment) => segment.number));
    const orphans = new Set<number>();
    for (const tag of SEGMENT_TAGS) {
      let from = tag;
      for (;;) {
        const next = await first(this.#store, { ...range(tag), gte: from });
        if (next === undefined) break;
        const segment = new DataView(next.buffer, next.byteOffset).getUint32(tag.length);
        if (!named.has(segment)) orphans.add(segment);
        if (segment === 0xffff_ffff) break;
        from = concat(tag, u32be(segment + 1));
      }
    }
    for (const segment of orphans) await this.#deleteSegment(segment);
  }

  async #deleteSegment(segment: number): Promise<void> {
    for (const tag of SEGMENT_TAGS) {
      let batch: StoreOperation[] = [];
      for await (const [key] of this.#store.entries(range(concat(tag, u32be(segment))))) {
        batch.push({ type: 'del', key: key.slice() });
        if (batch.length < PURGE_BATCH) continue;
        await this.#store.batch(batch);
        batch = [];
      }
      await this.#store.batch(batch);
    }
  }

  #readNow(segment: number, key: Uint8Array): Uint8Array {
    const stored = this.#store.getSync(key);
    if (stored === undefined) throw damaged(segment);
    return this.#codec.open(key, stored);
  }

  async #read(key: Uint8Array): Promise<Uint8Array | undefined> {
    const stored = await this.#store.get(key);
    return stored === undefined ? undefined : this.#codec.open(key, stored);
  }

  #setLength(chunk: number, length: number): void {
    if (chunk >= this.#lengths.length) {
      const grown = new Uint16Array(Math.max(chunk + 1, 1024, 2 * this.#lengths.length));
      grown.set(this.#lengths);
      this.#lengths = grown;
    }
    this.#lengths[chunk] = length + 1;
  }
}

/** A term with the entry that each source has of it. */
interface MergedTerm {
  readonly term: string;
  readonly entries: readonly (PlacedEntry | undefined)[];
}

/** The terms of several dictionaries in byte order, from `from` on, each once. */
async function* mergedTerms(
  sources: readonly AsyncGenerator<readonly PlacedEntry[]>[],
  from = '',
): AsyncGenerator<MergedTerm> {
  const cursors = sources.map((source) => new Cursor(source));
  await Promise.all(cursors.map((cursor) => cursor.skipTo(from)));
  for (;;) {
    let least: string | undefined;
    for (const { head } of cursors) {
      if (head !== undefined && (least === undefined || compareTerms(head.term, least) < 0))
        least = head.term;
    }
    if (least === undefined) return;
    const entries = cursors.map(({ head }) => (head?.term === least ? head : undefined));
    yield { term: least, entries };
    for (const [i, cursor] of cursors.entries()) {
      if (entries[i] !== undefined && !cursor.step()) await cursor.fill();
    }
  }
}

class Cursor {
  head: PlacedEntry | undefined;
  readonly #source: AsyncGenerator<readonly PlacedEntry[]>;
  #block: readonly PlacedEntry[] = [];
  #at = 0;

  constructor(source: AsyncGenerator<readonly PlacedEntry[]>) {
    this.#source = source;
  }

  /** Goes on inside the block that is there; false at its end. */
  step(): boolean {
    this.head = this.#block[++this.#at];
    return this.head !== undefined;
  }

  async fill(): Promise<void> {
    const { done, value } = await this.#source.next();
    this.#block = done === true ? [] : value;
    this.#at = 0;
    this.head = this.#block[0];
  }

  async skipTo(term: string): Promise<void> {
    await this.fill();
    while (this.head !== undefined && compareTerms(this.head.term, term) < 0) {
      if (!this.step()) await this.fill();
    }
  }
}

async function first(store: Store, bounds: ReturnType<typeof range>): Promise<Uint8Array | undefined> {
  for await (const [key] of store.entries({ ...bounds, limit: 1 })) return key.slice();
  return undefined;
}

function damaged(segment: number): SaharaError {
  const reason = `segment ${segment} of the search index is incomplete`;
  return new SaharaError('store-corrupt', { reason, advice: 'import the documents into a new vault' });
}
