/**
 * Joins neighbouring segments into one, dropping removed chunks. The new segment is written in bounded pieces under
 * a number that no head names yet; the caller then names it in one atomic batch, so a crash at any moment leaves
 * either the old segments or the new one, and the rest is swept at the next start.
 */
import type { Store, StoreOperation } from '../../base/store.ts';
import type { VaultCodec } from '../codec.ts';
import { compareTerms, type PlacedEntry } from './dictionary.ts';
import { PageReader } from './pages.ts';
import { decodePostings, storedPositions } from './postings.ts';
import type { SearchIndex } from './search-index.ts';
import { type SegmentInfo, SegmentWriter } from './segment.ts';

/** Neighbouring segments of a size that are joined together. */
const MERGE_WIDTH = 8;
/** Bytes after which a merge writes what it has. */
const MERGE_BATCH_BYTES = 1_048_576;

/**
 * The segments to join next, or none: a run of at least `MERGE_WIDTH` neighbours no larger than a step, steps being
 * powers of eight, or one segment of which more than half was removed.
 */
export function mergeCandidates(index: SearchIndex): readonly SegmentInfo[] {
  const { segments } = index;
  const worn = segments.find((segment) => 2 * index.removedOf(segment.number).length > segment.chunks);
  if (worn !== undefined) return [worn];
  for (let step = MERGE_WIDTH; step <= 2 ** 30; step *= MERGE_WIDTH) {
    let run: SegmentInfo[] = [];
    for (const segment of segments) {
      if (segment.chunks <= step) run.push(segment);
      else if (run.length >= MERGE_WIDTH) break;
      else run = [];
    }
    if (run.length >= MERGE_WIDTH) return run;
  }
  return [];
}

/**
 * Writes the join of `sources` as segment `number`; `undefined` when every chunk of them was removed. The result
 * counts only once a head names it. Stops between terms when `signal` aborts (throws its reason).
 */
export async function writeMerged(
  parts: { readonly store: Store; readonly codec: VaultCodec; readonly index: SearchIndex },
  merge: { readonly number: number; readonly sources: readonly SegmentInfo[]; readonly signal: AbortSignal },
): Promise<SegmentInfo | undefined> {
  const { index, codec, store } = parts;
  let operations: StoreOperation[] = [];
  let bytes = 0;
  const writer = new SegmentWriter(merge.number, codec, (operation) => {
    operations.push(operation);
    if (operation.type === 'put') bytes += operation.value.length;
  });
  const flush = async (): Promise<void> => {
    await store.batch(operations);
    operations = [];
    bytes = 0;
  };
  const sources = merge.sources.map(({ number }) => new MergeSource(index, number));
  for (;;) {
    const term = least(sources);
    if (term === undefined) break;
    for (const source of sources) if (source.head?.term === term) source.copy(writer);
    writer.close(term);
    if (bytes < MERGE_BATCH_BYTES) continue;
    await flush();
    merge.signal.throwIfAborted();
  }
  let [first, last, chunks] = [-1, -1, 0];
  for (const [chunk] of liveLengths(index, merge.sources)) {
    if (chunks++ === 0) first = chunk;
    last = chunk;
  }
  if (chunks === 0) return undefined;
  writer.finish(liveLengths(index, merge.sources), chunks);
  await flush();
  return { number: merge.number, first, last, chunks };
}

/** Chunks and their lengths one by one: a list of millions would take more memory than all else. */
function* liveLengths(
  index: SearchIndex,
  sources: readonly SegmentInfo[],
): Generator<readonly [chunk: number, length: number]> {
  for (const { first, last } of sources) {
    for (let chunk = first; chunk <= last; chunk++) {
      const length = index.lengthOf(chunk);
      if (length !== undefined) yield [chunk, length];
    }
  }
}

/** The first term in byte order that a source stands at; `undefined` when all are at their end. */
function least(sources: readonly MergeSource[]): string | undefined {
  let found: string | undefined;
  for (const { head } of sources) {
    if (head !== undefined && (found === undefined || compareTerms(head.term, found) < 0)) found = head.term;
  }
  return found;
}

/**
 * Reads a segment once from its first term to its last. It reads without promises: one for each page costs more than
 * the page, which was written a short while ago.
 */
class MergeSource {
  /** The term at which it stands; none at its end. */
  head: PlacedEntry | undefined;
  readonly #index: SearchIndex;
  readonly #segment: number;
  readonly #blocks: Iterator<readonly PlacedEntry[]>;
  readonly #postings: PageReader;
  readonly #positions: PageReader;
  #block: readonly PlacedEntry[] = [];
  #at = 0;

  constructor(index: SearchIndex, segment: number) {
    this.#index = index;
    this.#segment = segment;
    this.#blocks = index.blocksNow(segment);
    this.#postings = new PageReader((page) => index.pageNow('postings', segment, page));
    this.#positions = new PageReader((page) => index.pageNow('positions', segment, page));
    this.#step();
  }

  /** Adds what is live of the present term to the segment that is being written, and goes to the next. */
  copy(writer: SegmentWriter): void {
    const entry = this.head;
    if (entry === undefined) return;
    const [postings, positions] = [this.#postings, this.#positions];
    postings.stretch(entry.postingsAt, entry.postingsBytes);
    positions.stretch(entry.positionsAt, entry.positionsBytes);
    if (this.#index.removedOf(this.#segment).length === 0) {
      writer.addAll(postings.bytes, postings.start, entry.chunks);
      writer.addStored(positions.bytes, positions.start, positions.start + entry.positionsBytes);
    } else {
      const stored = postings.bytes.subarray(postings.start);
      this.#copyLive(writer, decodePostings(stored, entry.chunks), positions.bytes.subarray(positions.start));
    }
    this.#step();
  }

  #copyLive(writer: SegmentWriter, postings: ReturnType<typeof decodePostings>, positions: Uint8Array): void {
    const { chunks, inText, inTitle } = postings;
    let i = 0;
    for (const span of storedPositions(postings, positions)) {
      const chunk = chunks[i] ?? 0;
      if (this.#index.lengthOf(chunk) !== undefined) {
        writer.add(chunk, inText[i] ?? 0, inTitle[i] ?? 0);
        writer.addStored(span);
      }
      i++;
    }
  }

  #step(): void {
    if (++this.#at >= this.#block.length) {
      const { done, value } = this.#blocks.next();
      this.#block = done === true ? [] : value;
      this.#at = 0;
    }
    this.head = this.#block[this.#at];
  }
}
