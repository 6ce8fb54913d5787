/**
 * Ranked search over one or several corpora as if they were one: BM25 with a title field, then the nearness of the
 * question's neighbouring words among the best. All sums are integers, ties fall by chunk id: the same contents give
 * the same ranking everywhere. Who may see a chunk is decided before anything is counted, not after the search.
 */
import { compareBytes, toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { MerklePath } from '../../protocol/merkle.ts';
import type { Chunk } from '../chunk.ts';
import type { Commitment, TermProof } from '../commitment.ts';
import type { DocumentRecord } from '../document.ts';
import { CORPORA_MAX, SEARCH_RESULTS_MAX } from '../limits.ts';
import { countPairs } from './nearness.ts';
import { holdersOf, type Phrase, phrasesOf } from './phrase.ts';
import { indexOfChunk, positionsAt } from './postings.ts';
import {
  compareCorrections,
  correctedTerm,
  corrections,
  firstLetter,
  QUESTION_SHARE,
  type WantedTerm,
  wantedTerms,
} from './query.ts';
import { type CorpusStats, lengthNorm, saturation, TITLE_WEIGHT, termWeight } from './score.ts';
import type { SearchIndex, Snapshot } from './search-index.ts';
import type { SegmentInfo } from './segment.ts';
import { giveScores, TopScores, takeScores } from './top.ts';
import { type CorpusView, countVisible, type Visible, viewsOf } from './view.ts';

/** What is asked of a search. */
export interface SearchQuery {
  /** What stands in it between quotation marks is looked for as it is. */
  readonly question: string;
  /** Earlier questions of the conversation; their terms count a quarter. Default none. */
  readonly context?: readonly string[];
  /** Most results, 1 to 100. Default 8. */
  readonly limit?: number;
  /**
   * Whether a document may be seen; what may not is as if it were not there, in results, scores and counts. One
   * function that is used again is asked again only when the vault has changed. Default all.
   */
  readonly visible?: Visible;
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
  /** `generation` rises with every change of content. */
  stats(): CorpusStats & { readonly generation: number };
  documents(): AsyncIterable<DocumentRecord>;
  /** What the corpus commits to, and what proves parts of it; see `commitment.ts`. */
  commitment(): Promise<Commitment>;
  chunkPath(id: Uint8Array): Promise<MerklePath | undefined>;
  termProof(term: string): Promise<TermProof>;
  chunkAt(number: number): Promise<Chunk | undefined>;
  nameOf(document: Uint8Array): Promise<string>;
}

/** Results that get the nearness of words added, at least. */
const NEARNESS_RESULTS = 100;
/** Nearness counts one part in this many of a term. */
const NEARNESS_PART = 8;
const LIMIT_DEFAULT = 8;
/** Lengths up to which norms are remembered; chunks aim at far less. */
const NORMS = 1024;

interface Candidate {
  readonly corpus: number;
  readonly number: number;
  score: number;
}

type Found = Candidate & { readonly chunk: Chunk };

interface Part {
  readonly corpus: Corpus;
  readonly view: CorpusView;
  readonly segments: readonly SegmentInfo[];
}

/** Searches `corpora`, at most 16, with their statistics added up. */
export async function searchCorpora(corpora: readonly Corpus[], query: SearchQuery): Promise<SearchResult> {
  if (corpora.length > CORPORA_MAX) {
    throw new SaharaError('usage', { reason: `at most ${CORPORA_MAX} vaults can be searched together` });
  }
  const limit = Math.min(SEARCH_RESULTS_MAX, Math.max(1, query.limit ?? LIMIT_DEFAULT));
  const views = await viewsOf(corpora, query.visible);
  const snapshots: Snapshot[] = [];
  try {
    const parts = corpora.flatMap((corpus, i): Part[] => {
      const snapshot = corpus.index.acquire();
      snapshots.push(snapshot);
      const view = views[i];
      return view === undefined ? [] : [{ corpus, view, segments: snapshot.segments }];
    });
    const search = new Search(parts);
    const terms = await search.resolve(wantedTerms(query.question, query.context ?? []));
    const hits = await search.run({ terms, limit, phrases: phrasesOf(query.question) });
    return { hits, terms, stats: search.stats };
  } finally {
    for (const snapshot of snapshots) snapshot.release();
  }
}

class Search {
  readonly stats: CorpusStats;
  readonly #parts: readonly Part[];
  readonly #norms = new Uint32Array(NORMS);

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
    this.stats = {
      chunks: parts.reduce((sum, { view }) => sum + view.stats.chunks, 0),
      lengthTotal: parts.reduce((sum, { view }) => sum + view.stats.lengthTotal, 0),
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

  async run(wanted: {
    readonly terms: readonly QueryTerm[];
    readonly limit: number;
    readonly phrases: readonly Phrase[];
  }): Promise<SearchHit[]> {
    const { terms, limit } = wanted;
    const holders = await this.#holders(wanted.phrases);
    const best = await this.#best(terms, Math.max(limit, NEARNESS_RESULTS), holders);
    await this.#addNearness(best, terms);
    const chosen = await this.#distinct(best, limit);
    return Promise.all(
      chosen.map(async ({ chunk, corpus, score }) => {
        const name = await this.#part(corpus).corpus.nameOf(chunk.document);
        return { chunk, corpus, name, score };
      }),
    );
  }

  #part(position: number): Part {
    const part = this.#parts[position];
    if (part === undefined) throw new SaharaError('internal', { reason: 'no such corpus' });
    return part;
  }

  async #count(term: string): Promise<number> {
    let count = 0;
    for (const { corpus, view, segments } of this.#parts) {
      for (const { number } of segments) {
        if (view.whole && corpus.index.removedOf(number).length === 0) {
          count += (await corpus.index.entry(number, term))?.chunks ?? 0;
        } else count += countVisible(view, (await corpus.index.postings(number, term)).chunks);
      }
    }
    return count;
  }

  async #correction(word: string): Promise<WantedTerm | undefined> {
    const nearest = new Map<string, number>();
    for (const { corpus, segments, view } of this.#parts) {
      const found = await corrections(corpus.index, segments, {
        word,
        every: !view.whole || worn(corpus.index, segments),
      });
      for (const { term, distance } of found) nearest.set(term, distance);
    }
    const all = [];
    // The dictionary may still hold terms of which every chunk was removed, or may not be seen.
    for (const [term, distance] of nearest) {
      const chunks = await this.#count(term);
      const initial = term.startsWith(firstLetter(word));
      if (chunks > 0) all.push({ term, distance, chunks, initial });
    }
    const near = all.some(({ initial }) => initial) ? all.filter(({ initial }) => initial) : all;
    const [best] = near.sort(compareCorrections);
    return best === undefined ? undefined : correctedTerm(word, best);
  }

  /** Of each corpus the chunks that the phrases leave; `undefined` where none of them is to be looked for. */
  async #holders(phrases: readonly Phrase[]): Promise<readonly ReadonlySet<number>[] | undefined> {
    let left: readonly ReadonlySet<number>[] | undefined;
    for (const phrase of phrases) {
      const found: Set<number>[] = [];
      for (const [position, part] of this.#parts.entries()) {
        const before = left?.[position];
        const { lengths } = part.view;
        const holds = (await phraseHolders(part, phrase)).filter((chunk) => (lengths[chunk] ?? 0) > 0);
        found.push(new Set(before === undefined ? holds : holds.filter((chunk) => before.has(chunk))));
      }
      // What no passage holds as it is was not meant as it is.
      if (found.some((chunks) => chunks.size > 0)) left = found;
    }
    return left;
  }

  /** The best `count` and all that tie with the last of them. */
  async #best(
    terms: readonly QueryTerm[],
    count: number,
    holders: readonly ReadonlySet<number>[] | undefined,
  ): Promise<Candidate[]> {
    const top = new TopScores(count);
    const scored: { readonly corpus: number; readonly first: number; readonly scores: Float64Array }[] = [];
    for (const [corpus, part] of this.#parts.entries()) {
      for (const segment of part.segments) {
        const scores = await this.#score(part, segment, terms);
        const held = holders?.[corpus];
        for (let at = 0; at < scores.length; at++) {
          const score = scores[at] ?? 0;
          if (score === 0) continue;
          if (held !== undefined && !held.has(segment.first + at)) scores[at] = 0;
          else top.push(score);
        }
        scored.push({ corpus, first: segment.first, scores });
      }
    }
    const floor = Math.max(1, top.floor);
    const best: Candidate[] = [];
    for (const { corpus, first, scores } of scored) {
      for (let at = 0; at < scores.length; at++) {
        const score = scores[at] ?? 0;
        if (score >= floor) best.push({ corpus, number: first + at, score });
      }
      giveScores(scores);
    }
    return best;
  }

  async #score(part: Part, segment: SegmentInfo, terms: readonly QueryTerm[]): Promise<Float64Array> {
    const scores = takeScores(segment.last - segment.first + 1);
    const { lengths } = part.view;
    const norms = this.#norms;
    for (const { term, weight, chunksWith } of terms) {
      if (chunksWith === 0) continue;
      const { chunks, inText, inTitle } = await part.corpus.index.postings(segment.number, term);
      for (let i = 0; i < chunks.length; i++) {
        const chunk = chunks[i] ?? 0;
        const length = lengths[chunk] ?? 0;
        if (length === 0) continue;
        let norm = norms[length] ?? 0;
        if (norm === 0) {
          norm = lengthNorm(length - 1, this.stats);
          // Beyond its end nothing is kept.
          norms[length] = norm;
        }
        const occurrences = (inText[i] ?? 0) + TITLE_WEIGHT * (inTitle[i] ?? 0);
        const at = chunk - segment.first;
        scores[at] = (scores[at] ?? 0) + weight * saturation(occurrences, norm);
      }
    }
    return scores;
  }

  /** Adds what neighbouring words of the question that stand near each other are worth. */
  async #addNearness(found: readonly Candidate[], terms: readonly QueryTerm[]): Promise<void> {
    const asked = terms.filter(({ share, chunksWith }) => share === QUESTION_SHARE && chunksWith > 0);
    if (asked.length < 2) return;
    for (const [position, part] of this.#parts.entries()) {
      const inCorpus = found.filter((hit) => hit.corpus === position);
      if (inCorpus.length === 0) continue;
      let left: { readonly term: QueryTerm; readonly places: ReadonlyMap<number, number[]> } | undefined;
      for (const term of asked) {
        const places = await this.#places(part, term.term, inCorpus);
        if (left !== undefined) this.#addPair(part, inCorpus, [left, { term, places }]);
        left = { term, places };
      }
    }
  }

  #addPair(part: Part, found: readonly Candidate[], pair: readonly [PlacedQueryTerm, PlacedQueryTerm]): void {
    const [left, right] = pair;
    const weight = Math.min(left.term.weight, right.term.weight);
    for (const hit of found) {
      const [before, behind] = [left.places.get(hit.number), right.places.get(hit.number)];
      const pairs = before && behind ? countPairs(before, behind) : 0;
      if (pairs === 0) continue;
      const length = (part.view.lengths[hit.number] ?? 1) - 1;
      hit.score += Math.floor((weight * saturation(pairs, lengthNorm(length, this.stats))) / NEARNESS_PART);
    }
  }

  async #places(
    part: Part,
    term: string,
    wanted: readonly Candidate[],
  ): Promise<ReadonlyMap<number, number[]>> {
    const { index } = part.corpus;
    const places = new Map<number, number[]>();
    for (const segment of part.segments) {
      const postings = await index.postings(segment.number, term);
      const positions = await index.positions(segment.number, term, postings);
      for (const { number } of wanted) {
        if (number < segment.first || number > segment.last) continue;
        const at = indexOfChunk(postings, number);
        if (at >= 0) places.set(number, positionsAt(postings, positions, at));
      }
    }
    return places;
  }

  /** The best `limit` by score and then id; of the same passage in several places only one. */
  async #distinct(candidates: readonly Candidate[], limit: number): Promise<Found[]> {
    const sorted = [...candidates].sort((a, b) => b.score - a.score);
    const read = new Map<Candidate, Promise<Chunk | undefined>>();
    const chunkOf = (candidate: Candidate): Promise<Chunk | undefined> => {
      const reading = read.get(candidate) ?? this.#part(candidate.corpus).corpus.chunkAt(candidate.number);
      read.set(candidate, reading);
      return reading;
    };
    // Most results have no equals: all are read at once, and further ones only where they tie or repeat.
    await Promise.all(sorted.slice(0, limit).map(chunkOf));
    const seen = new Set<string>();
    const chosen: Found[] = [];
    for (let at = 0; at < sorted.length && chosen.length < limit; ) {
      const score = sorted[at]?.score;
      const tied: Found[] = [];
      for (; sorted[at]?.score === score && at < sorted.length; at++) {
        const candidate = sorted[at];
        const chunk = candidate && (await this.#part(candidate.corpus).corpus.chunkAt(candidate.number));
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

interface PlacedQueryTerm {
  readonly term: QueryTerm;
  readonly places: ReadonlyMap<number, number[]>;
}

/** Whether the dictionary holds terms that may occur nowhere any more. */
function worn(index: SearchIndex, segments: readonly SegmentInfo[]): boolean {
  return segments.some(({ number }) => index.removedOf(number).length > 0);
}

async function phraseHolders({ corpus, segments }: Part, phrase: Phrase): Promise<number[]> {
  const { index } = corpus;
  const holders: number[] = [];
  for (const { number } of segments) {
    const entries = await Promise.all(phrase.map(({ term }) => index.entry(number, term)));
    if (entries.includes(undefined)) continue;
    const placed = [];
    for (const word of phrase) {
      const postings = await index.postings(number, word.term);
      placed.push({ ...word, postings, positions: await index.positions(number, word.term, postings) });
    }
    holders.push(...holdersOf(placed));
  }
  return holders;
}
