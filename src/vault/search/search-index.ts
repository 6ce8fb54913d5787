/**
 * The inverted index over a store: immutable segments, removed chunks marked, decoded postings kept within a budget.
 * Memory beside that budget is two bytes for each chunk number. Changes come from one writer at a time; searches run
 * beside it and keep the segments that they began with until they end.
 */
import { concat, u32be, utf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Store, StoreOperation } from '../../base/store.ts';
import type { VaultCodec } from '../codec.ts';
import { lengthsKey, postingsKey, range, SEGMENT_TAGS, termsRange, tombstonesKey } from '../keys.ts';
import { compareTerms, type DictionaryEntry, decodeTerms } from './dictionary.ts';
import { Lru } from './lru.ts';
import { decodePostings, type Postings, postingsBytes } from './postings.ts';
import { decodeLengths, decodeTombstones, type SegmentInfo, tombstones } from './segment.ts';

const NO_POSTINGS: Postings = {
  chunks: new Uint32Array(0),
  inText: new Uint16Array(0),
  inTitle: new Uint8Array(0),
  positions: new Uint8Array(0),
};
const PURGE_BATCH = 1000;

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

/** Reads the index of `segments` and keeps its state. */
export class SearchIndex {
  readonly #store: Store;
  readonly #codec: VaultCodec;
  readonly #cache: Lru<Postings>;
  readonly #removed = new Map<number, readonly number[]>();
  readonly #users = new Map<number, number>();
  readonly #retired = new Set<number>();
  #segments: readonly SegmentInfo[] = [];
  /** Length plus one of each live chunk; zero where none is. */
  #lengths = new Uint16Array(0);

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

  /** A term's postings in one segment; empty where it does not occur. */
  async postings(segment: number, term: string): Promise<Postings> {
    const name = `${segment}/${term}`;
    const kept = this.#cache.get(name);
    if (kept !== undefined) return kept;
    const stored = await this.#read(postingsKey(segment, this.#codec.blind('term', utf8(term))));
    const postings = stored === undefined ? NO_POSTINGS : decodePostings(stored);
    this.#cache.set(name, postings, postingsBytes(postings) + 2 * name.length);
    return postings;
  }

  /** How many live chunks of `postings` there are. */
  countLive(segment: number, postings: Postings): number {
    if (this.removedOf(segment).length === 0) return postings.chunks.length;
    let count = 0;
    for (const chunk of postings.chunks) if (this.lengthOf(chunk) !== undefined) count++;
    return count;
  }

  /** The terms of `segments` in byte order, from `from` on; a term that several hold comes once, counts added. */
  async *terms(segments: readonly SegmentInfo[], from = ''): AsyncGenerator<DictionaryEntry> {
    const cursors = await Promise.all(
      segments.map((segment) => Cursor.open(this.#entries(segment.number, from))),
    );
    for (;;) {
      let least: string | undefined;
      for (const { head } of cursors) {
        if (head !== undefined && (least === undefined || compareTerms(head.term, least) < 0))
          least = head.term;
      }
      if (least === undefined) return;
      let chunks = 0;
      for (const cursor of cursors) {
        if (cursor.head?.term !== least) continue;
        chunks += cursor.head.chunks;
        await cursor.next();
      }
      yield { term: least, chunks };
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
    }
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

  async *#entries(segment: number, from: string): AsyncGenerator<DictionaryEntry> {
    for await (const [key, stored] of this.#store.entries(termsRange(segment))) {
      const entries = decodeTerms(this.#codec.open(key, stored));
      const last = entries.at(-1);
      if (last === undefined || compareTerms(last.term, from) < 0) continue;
      for (const entry of entries) if (compareTerms(entry.term, from) >= 0) yield entry;
    }
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

class Cursor {
  head: DictionaryEntry | undefined;
  readonly #source: AsyncGenerator<DictionaryEntry>;

  private constructor(source: AsyncGenerator<DictionaryEntry>) {
    this.#source = source;
  }

  static async open(source: AsyncGenerator<DictionaryEntry>): Promise<Cursor> {
    const cursor = new Cursor(source);
    await cursor.next();
    return cursor;
  }

  async next(): Promise<void> {
    const { done, value } = await this.#source.next();
    this.head = done === true ? undefined : value;
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
