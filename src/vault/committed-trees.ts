import { compareBytes } from '../base/bytes.ts';
import type { Store } from '../base/store.ts';
import type { MerklePath } from '../protocol/merkle.ts';
import { ID_SCHEME } from './chunk.ts';
import {
  type Commitment,
  type FlatTree,
  LeafHashes,
  type ProvenTerm,
  type TermProof,
  termLeaf,
} from './commitment.ts';
import type { Head } from './head.ts';
import { chunkNumberRange } from './keys.ts';
import { compareTerms, type DictionaryEntry } from './search/dictionary.ts';
import type { SearchIndex } from './search/search-index.ts';

/** Leaves between two remembered places. */
const STRIDE = 256;
const ID_BYTES = 32;

interface Sources {
  readonly store: Store;
  readonly index: SearchIndex;
}

interface Place<T> {
  readonly at: T;
  readonly index: number;
}

/** The trees behind a vault's commitment, in memory: 64 bytes for each chunk and each term. */
export class CommittedTrees {
  readonly generation: number;
  readonly commitment: Commitment;
  readonly #sources: Sources;
  readonly #chunkTree: FlatTree;
  readonly #chunkPlaces: readonly Place<Uint8Array>[];
  readonly #termTree: FlatTree;
  readonly #termPlaces: readonly Place<string>[];

  private constructor(
    sources: Sources,
    head: Head,
    chunks: { readonly tree: FlatTree; readonly places: readonly Place<Uint8Array>[] },
    terms: { readonly tree: FlatTree; readonly places: readonly Place<string>[] },
  ) {
    this.#sources = sources;
    this.generation = head.generation;
    this.#chunkTree = chunks.tree;
    this.#chunkPlaces = chunks.places;
    this.#termTree = terms.tree;
    this.#termPlaces = terms.places;
    this.commitment = {
      scheme: ID_SCHEME,
      analysis: head.analysis,
      chunks: head.chunks,
      lengthTotal: head.lengthTotal,
      chunkRoot: chunks.tree.root,
      terms: terms.tree.count,
      termRoot: terms.tree.root,
    };
  }

  /** Reads every chunk id and every term once. Nothing may change meanwhile. */
  static async build(sources: Sources, head: Head): Promise<CommittedTrees> {
    const chunkLeaves = new LeafHashes();
    const chunkPlaces: Place<Uint8Array>[] = [];
    let index = 0;
    let previous: Uint8Array = new Uint8Array(0);
    for await (const id of chunkIds(sources.store)) {
      // A place is the first of equal ids, where reading can start again.
      const due = index >= (chunkPlaces.at(-1)?.index ?? -STRIDE) + STRIDE;
      if (due && compareBytes(id, previous) !== 0) chunkPlaces.push({ at: id, index });
      previous = id;
      chunkLeaves.push(id);
      index++;
    }
    const termLeaves = new LeafHashes();
    const termPlaces: Place<string>[] = [];
    index = 0;
    for await (const { term, chunks } of liveTerms(sources.index)) {
      if (index % STRIDE === 0) termPlaces.push({ at: term, index });
      termLeaves.push(termLeaf(term, chunks));
      index++;
    }
    const chunks = { tree: chunkLeaves.finish(), places: chunkPlaces };
    return new CommittedTrees(sources, head, chunks, { tree: termLeaves.finish(), places: termPlaces });
  }

  /** The path of a chunk id's first leaf. */
  async chunkPath(id: Uint8Array): Promise<MerklePath | undefined> {
    const from = this.#chunkPlaces.findLast((place) => compareBytes(place.at, id) < 0);
    let index = from?.index ?? 0;
    for await (const found of chunkIds(this.#sources.store, from?.at)) {
      const order = compareBytes(found, id);
      if (order === 0) return this.#chunkTree.path(index);
      if (order > 0) return undefined;
      index++;
    }
    return undefined;
  }

  /** A term's count, or its absence, with what proves it. */
  async termProof(term: string): Promise<TermProof> {
    const from = this.#termPlaces.findLast((place) => compareTerms(place.at, term) <= 0);
    let index = from?.index ?? 0;
    let below: ProvenTerm | undefined;
    for await (const found of liveTerms(this.#sources.index, from?.at)) {
      const order = compareTerms(found.term, term);
      const proven = { term: found.term, chunksWith: found.chunks, path: this.#termTree.path(index) };
      if (order === 0) return { present: true, ...proven };
      if (order > 0) return { present: false, below, above: proven };
      below = proven;
      index++;
    }
    return { present: false, below, above: undefined };
  }
}

/** Chunk ids in byte order, an id as often as it stands somewhere, from the first leaf of `from`. */
async function* chunkIds(store: Store, from?: Uint8Array): AsyncGenerator<Uint8Array> {
  const range = chunkNumberRange();
  const start = from === undefined ? range : { ...range, ...pick(chunkNumberRange(from)) };
  for await (const [key] of store.entries(start)) yield key.slice(1, 1 + ID_BYTES);
}

function pick(range: { readonly gte?: Uint8Array }): { readonly gte?: Uint8Array } {
  return range.gte === undefined ? {} : { gte: range.gte };
}

async function* liveTerms(index: SearchIndex, from = ''): AsyncGenerator<DictionaryEntry> {
  const { segments } = index;
  const worn = segments.some((segment) => index.removedOf(segment.number).length > 0);
  for await (const entry of index.terms(segments, from)) {
    if (!worn) {
      yield entry;
      continue;
    }
    let chunks = 0;
    for (const { number } of segments) {
      chunks += index.countLive(number, await index.postings(number, entry.term));
    }
    if (chunks > 0) yield { term: entry.term, chunks };
  }
}
