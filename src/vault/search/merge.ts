/**
 * Joins neighbouring segments into one, dropping removed chunks. The new segment is written in bounded pieces under
 * a number that no head names yet; the caller then names it in one atomic batch, so a crash at any moment leaves
 * either the old segments or the new one, and the rest is swept at the next start.
 */
import { utf8 } from '../../base/bytes.ts';
import type { Store, StoreOperation } from '../../base/store.ts';
import type { VaultCodec } from '../codec.ts';
import { lengthsKey, postingsKey } from '../keys.ts';
import { DICTIONARY_BLOCK_TERMS, type DictionaryEntry } from './dictionary.ts';
import { PostingsWriter, storedPositions } from './postings.ts';
import type { SearchIndex } from './search-index.ts';
import { dictionaryBlock, encodeLengths, type SegmentInfo, sealed } from './segment.ts';

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
  const { index, codec } = parts;
  const output = new MergeOutput(parts.store, merge.number, codec);
  for await (const { term } of index.terms(merge.sources)) {
    merge.signal.throwIfAborted();
    const writer = new PostingsWriter();
    for (const source of merge.sources) {
      const postings = await index.postings(source.number, term);
      let i = 0;
      for (const positions of storedPositions(postings)) {
        const chunk = postings.chunks[i] ?? 0;
        const live = index.lengthOf(chunk) !== undefined;
        if (live) writer.addStored(chunk, postings.inText[i] ?? 0, postings.inTitle[i] ?? 0, positions);
        i++;
      }
    }
    if (writer.count > 0) await output.term(term, writer);
  }
  return output.finish(liveLengths(index, merge.sources));
}

function liveLengths(index: SearchIndex, sources: readonly SegmentInfo[]): [number, number][] {
  const lengths: [number, number][] = [];
  for (const { first, last } of sources) {
    for (let chunk = first; chunk <= last; chunk++) {
      const length = index.lengthOf(chunk);
      if (length !== undefined) lengths.push([chunk, length]);
    }
  }
  return lengths;
}

class MergeOutput {
  readonly #store: Store;
  readonly #number: number;
  readonly #codec: VaultCodec;
  #operations: StoreOperation[] = [];
  #bytes = 0;
  #entries: DictionaryEntry[] = [];
  #block = 0;

  constructor(store: Store, number: number, codec: VaultCodec) {
    this.#store = store;
    this.#number = number;
    this.#codec = codec;
  }

  async term(term: string, writer: PostingsWriter): Promise<void> {
    const value = writer.finish();
    const key = postingsKey(this.#number, this.#codec.blind('term', utf8(term)));
    this.#operations.push(sealed(this.#codec, key, value));
    this.#bytes += value.length + key.length;
    this.#entries.push({ term, chunks: writer.count });
    if (this.#entries.length === DICTIONARY_BLOCK_TERMS) this.#closeBlock();
    if (this.#bytes >= MERGE_BATCH_BYTES) await this.#write();
  }

  async finish(lengths: readonly [number, number][]): Promise<SegmentInfo | undefined> {
    const first = lengths[0];
    const last = lengths.at(-1);
    if (first === undefined || last === undefined) return undefined;
    this.#closeBlock();
    this.#operations.push(sealed(this.#codec, lengthsKey(this.#number), encodeLengths(lengths)));
    await this.#write();
    return { number: this.#number, first: first[0], last: last[0], chunks: lengths.length };
  }

  #closeBlock(): void {
    if (this.#entries.length === 0) return;
    this.#operations.push(dictionaryBlock(this.#number, this.#block++, this.#entries, this.#codec));
    this.#entries = [];
  }

  async #write(): Promise<void> {
    await this.#store.batch(this.#operations);
    this.#operations = [];
    this.#bytes = 0;
  }
}
