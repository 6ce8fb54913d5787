/**
 * Ranked search over one or several corpora as if they were one: BM25 with a title field, then the nearness of the
 * question's neighbouring words among the best. All sums are integers, ties fall by chunk id: the same contents give
 * the same ranking everywhere. Who may see a chunk is decided inside the search, not after it.
 */
import { compareBytes, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Chunk } from '../chunk.ts';
import { CORPORA_MAX, SEARCH_RESULTS_MAX } from '../limits.ts';
import { positionsOf } from './postings.ts';
import {
  compareCorrections,
  correctedTerm,
  corrections,
  QUESTION_SHARE,
  type WantedTerm,
  wantedTerms,
} from './query.ts';
import { type CorpusStats, lengthNorm, saturation, TITLE_WEIGHT, termWeight } from './score.ts';
import type { SearchIndex, Snapshot } from './search-index.ts';

/** What is asked of a search. */
export interface SearchQuery {
  readonly question: string;
  /** Earlier questions of the conversation; their terms count a quarter. Default none. */
  readonly context?: readonly string[];
  /** Most results, 1 to 100. Default 8. */
  readonly limit?: number;
  /** Whether a chunk may be seen; what may not is as if it were not there. Default all. */
  readonly visible?: (chunk: Chunk) => boolean;
}

/** A term as it was searched. */
export interface QueryTerm extends WantedTerm {
  /** Chunks that hold it, over all corpora. */
  readonly chunksWith: number;
  /** Its weight, share included, in 1/65536 bit. */
  readonly weight: number;
}

/** A chunk that was found. */
export interface SearchHit {
  readonly chunk: Chunk;
  /** Position of its corpus in the search, from 0. */
  readonly corpus: number;
  /** Name of its document. */
  readonly name: string;
  readonly score: number;
}

/** What was found, best first, and what the scores rest on. */
export interface SearchResult {
  readonly hits: readonly SearchHit[];
  readonly terms: readonly QueryTerm[];
  readonly stats: CorpusStats;
}

/** What a search reads of a vault. */
export interface Corpus {
  readonly index: SearchIndex;
  stats(): CorpusStats;
  chunkAt(number: number): Promise<Chunk | undefined>;
  nameOf(document: Uint8Array): Promise<string>;
}

/** Results that get the nearness of words added, at least. */
const NEARNESS_RESULTS = 100;
/** Words within which two terms are near. */
const NEARNESS_WINDOW = 8;
/** Nearness counts one part in this many of a term. */
const NEARNESS_PART = 8;
const LIMIT_DEFAULT = 8;

interface Candidate {
  readonly corpus: number;
  readonly number: number;
  score: number;
}

type Found = Candidate & { readonly chunk: Chunk };

/** Searches `corpora`, at most 16, with their statistics added up. */
export async function searchCorpora(corpora: readonly Corpus[], query: SearchQuery): Promise<SearchResult> {
  if (corpora.length > CORPORA_MAX) {
    throw new SaharaError('usage', { reason: `at most ${CORPORA_MAX} vaults can be searched together` });
  }
  const limit = Math.min(SEARCH_RESULTS_MAX, Math.max(1, query.limit ?? LIMIT_DEFAULT));
  const snapshots = corpora.map((corpus) => corpus.index.acquire());
  try {
    const search = new Search(corpora, snapshots);
    const terms = await search.resolve(wantedTerms(query.question, query.context ?? []));
    const hits = await search.run(terms, limit, query.visible);
    return { hits, terms, stats: search.stats };
  } finally {
    for (const snapshot of snapshots) snapshot.release();
  }
}

class Search {
  readonly stats: CorpusStats;
  readonly #corpora: readonly Corpus[];
  readonly #snapshots: readonly Snapshot[];

  constructor(corpora: readonly Corpus[], snapshots: readonly Snapshot[]) {
    this.#corpora = corpora;
    this.#snapshots = snapshots;
    const all = corpora.map((corpus) => corpus.stats());
    this.stats = {
      chunks: all.reduce((sum, { chunks }) => sum + chunks, 0),
      lengthTotal: all.reduce((sum, { lengthTotal }) => sum + lengthTotal, 0),
    };
  }

  /** Counts each term, and replaces words of the question that occur nowhere by their nearest neighbour. */
  async resolve(wanted: readonly WantedTerm[]): Promise<QueryTerm[]> {
    const terms = new Map<string, QueryTerm>();
    for (const want of wanted) {
      let use = want;
      let chunksWith = await this.#count(want.term);
      if (chunksWith === 0 && want.share === QUESTION_SHARE) {
        const correction = await this.#correction(want.term);
        if (correction !== undefined) {
          use = correction;
          chunksWith = await this.#count(use.term);
        }
      }
      if (terms.has(use.term)) continue;
      const weight = Math.floor((termWeight(this.stats.chunks, chunksWith) * use.share) / QUESTION_SHARE);
      terms.set(use.term, { ...use, chunksWith, weight });
    }
    return [...terms.values()];
  }

  async run(
    terms: readonly QueryTerm[],
    limit: number,
    visible: ((chunk: Chunk) => boolean) | undefined,
  ): Promise<SearchHit[]> {
    const found: Candidate[] = [];
    for (const corpus of this.#corpora.keys()) found.push(...(await this.#score(corpus, terms)));
    const best = await this.#best(found, Math.max(limit, NEARNESS_RESULTS), visible);
    await this.#addNearness(best, terms);
    const chosen = await this.#distinct(best, limit);
    return Promise.all(
      chosen.map(async ({ chunk, corpus, score }) => {
        const name = await this.#corpus(corpus).nameOf(chunk.document);
        return { chunk, corpus, name, score };
      }),
    );
  }

  #corpus(position: number): Corpus {
    const corpus = this.#corpora[position];
    if (corpus === undefined) throw new SaharaError('internal', { reason: 'no such corpus' });
    return corpus;
  }

  async #count(term: string): Promise<number> {
    let count = 0;
    for (const [position, { index }] of this.#corpora.entries()) {
      for (const { number } of this.#snapshots[position]?.segments ?? []) {
        count += index.countLive(number, await index.postings(number, term));
      }
    }
    return count;
  }

  async #correction(word: string): Promise<WantedTerm | undefined> {
    const all = [];
    for (const [position, { index }] of this.#corpora.entries()) {
      all.push(...(await corrections(index, this.#snapshots[position]?.segments ?? [], word)));
    }
    for (const correction of all.sort(compareCorrections)) {
      // The dictionary may still hold terms of which every chunk was removed.
      if ((await this.#count(correction.term)) > 0) return correctedTerm(word, correction);
    }
    return undefined;
  }

  async #score(corpus: number, terms: readonly QueryTerm[]): Promise<Candidate[]> {
    const { index } = this.#corpus(corpus);
    const norms = new Map<number, number>();
    const normOf = (length: number): number => {
      const known = norms.get(length);
      if (known !== undefined) return known;
      const norm = lengthNorm(length, this.stats);
      norms.set(length, norm);
      return norm;
    };
    const candidates: Candidate[] = [];
    for (const segment of this.#snapshots[corpus]?.segments ?? []) {
      const scores = new Float64Array(segment.last - segment.first + 1);
      for (const { term, weight } of terms) {
        const { chunks, inText, inTitle } = await index.postings(segment.number, term);
        for (let i = 0; i < chunks.length; i++) {
          const chunk = chunks[i] ?? 0;
          const length = index.lengthOf(chunk);
          if (length === undefined) continue;
          const occurrences = (inText[i] ?? 0) + TITLE_WEIGHT * (inTitle[i] ?? 0);
          const at = chunk - segment.first;
          scores[at] = (scores[at] ?? 0) + weight * saturation(occurrences, normOf(length));
        }
      }
      for (let at = 0; at < scores.length; at++) {
        const score = scores[at] ?? 0;
        if (score > 0) candidates.push({ corpus, number: segment.first + at, score });
      }
    }
    return candidates;
  }

  /** The best `count` that may be seen, and all that tie with the last of them. */
  async #best(
    candidates: Candidate[],
    count: number,
    visible: ((chunk: Chunk) => boolean) | undefined,
  ): Promise<Candidate[]> {
    if (visible === undefined) {
      const floor = threshold(candidates, count);
      return candidates.filter(({ score }) => score >= floor);
    }
    const best: Candidate[] = [];
    for (const candidate of [...candidates].sort((a, b) => b.score - a.score)) {
      if (best.length >= count && candidate.score < (best.at(-1)?.score ?? 0)) break;
      const chunk = await this.#chunk(candidate);
      if (chunk !== undefined && visible(chunk)) best.push(candidate);
    }
    return best;
  }

  #chunk({ corpus, number }: Candidate): Promise<Chunk | undefined> {
    return this.#corpus(corpus).chunkAt(number);
  }

  /** Adds what neighbouring words of the question that stand near each other are worth. */
  async #addNearness(found: readonly Candidate[], terms: readonly QueryTerm[]): Promise<void> {
    const asked = terms.filter(({ share, chunksWith }) => share === QUESTION_SHARE && chunksWith > 0);
    if (asked.length < 2) return;
    for (const corpus of this.#corpora.keys()) {
      const inCorpus = new Map(found.filter((hit) => hit.corpus === corpus).map((hit) => [hit.number, hit]));
      if (inCorpus.size === 0) continue;
      let left: { readonly term: QueryTerm; readonly places: Map<number, number[]> } | undefined;
      for (const term of asked) {
        const places = await this.#positions(corpus, term.term, inCorpus);
        if (left !== undefined) this.#addPair(inCorpus, left, { term, places });
        left = { term, places };
      }
    }
  }

  #addPair(
    found: ReadonlyMap<number, Candidate>,
    left: { readonly term: QueryTerm; readonly places: ReadonlyMap<number, readonly number[]> },
    right: { readonly term: QueryTerm; readonly places: ReadonlyMap<number, readonly number[]> },
  ): void {
    const weight = Math.min(left.term.weight, right.term.weight);
    for (const [number, places] of right.places) {
      const hit = found.get(number);
      const pairs = countPairs(left.places.get(number) ?? [], places);
      if (hit === undefined || pairs === 0) continue;
      const length = this.#corpus(hit.corpus).index.lengthOf(number) ?? 0;
      hit.score += Math.floor((weight * saturation(pairs, lengthNorm(length, this.stats))) / NEARNESS_PART);
    }
  }

  async #positions(
    corpus: number,
    term: string,
    wanted: ReadonlyMap<number, Candidate>,
  ): Promise<Map<number, number[]>> {
    const { index } = this.#corpus(corpus);
    const places = new Map<number, number[]>();
    for (const segment of this.#snapshots[corpus]?.segments ?? []) {
      const postings = await index.postings(segment.number, term);
      for (const [chunk, positions] of positionsOf(postings, wanted)) places.set(chunk, positions);
    }
    return places;
  }

  /** The best `limit` by score and then id; of the same passage in several places only one. */
  async #distinct(candidates: readonly Candidate[], limit: number): Promise<Found[]> {
    const sorted = [...candidates].sort((a, b) => b.score - a.score);
    const seen = new Set<string>();
    const chosen: Found[] = [];
    for (let at = 0; at < sorted.length && chosen.length < limit; ) {
      const score = sorted[at]?.score;
      const tied: Found[] = [];
      for (; sorted[at]?.score === score && at < sorted.length; at++) {
        const candidate = sorted[at];
        const chunk = candidate && (await this.#chunk(candidate));
        if (candidate !== undefined && chunk !== undefined) tied.push({ ...candidate, chunk });
      }
      tied.sort((a, b) => compareBytes(a.chunk.id, b.chunk.id) || a.corpus - b.corpus);
      for (const hit of tied) {
        const id = toHex(hit.chunk.id);
        if (!seen.has(id) && chosen.length < limit) chosen.push(hit);
        seen.add(id);
      }
    }
    return chosen;
  }
}

/** How often `right` stands within the window of `left`; right behind it counts twice. */
export function countPairs(left: readonly number[], right: readonly number[]): number {
  let pairs = 0;
  let from = 0;
  for (const position of left) {
    while (from < right.length && (right[from] ?? 0) < position - NEARNESS_WINDOW) from++;
    for (let i = from; i < right.length; i++) {
      const other = right[i] ?? 0;
      if (other > position + NEARNESS_WINDOW) break;
      // Parts of one compound word share a position and are no phrase.
      if (other !== position) pairs += other === position + 1 ? 2 : 1;
    }
  }
  return pairs;
}

/** The score that the `count`-th best candidate has, by a bounded heap. */
function threshold(candidates: readonly Candidate[], count: number): number {
  if (candidates.length <= count) return 0;
  const heap = new Float64Array(count);
  for (const { score } of candidates) {
    if (score <= (heap[0] ?? 0)) continue;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
      if ((heap[child] ?? 0) >= score) break;
      heap[at] = heap[child] ?? 0;
      at = child;
    }
    heap[at] = score;
  }
  return heap[0] ?? 0;
}
