/**
 * Search by words and by vectors, joined by rank (Cormack, Clarke and Buettcher 2009): what both find near the top
 * comes first, and neither needs to know the other's scores. A reranking model may have the last word on the best few.
 */
import { toHex } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Chunk } from '../chunk.ts';
import { RERANKED_MAX, SEARCH_RESULTS_MAX } from '../limits.ts';
import type { Reranker } from './embedder.ts';
import { phrasesOf } from './phrase.ts';
import { type Corpus, type SearchHit, type SearchQuery, type SearchResult, searchCorpora } from './search.ts';
import type { VectorIndex } from './vectors.ts';
import { viewsOf } from './view.ts';

/** Added to each rank: how little the very first places are favoured. */
const RANK_OFFSET = 60;
const UNIT = 1_000_000_000;
const PPM = 1_000_000;
const LIMIT_DEFAULT = 8;
/** Part of the vectors' ranking where nothing is said, millionths: as much as that of the words. */
export const VECTOR_WEIGHT: number = PPM / 2;

/** What a fused search uses beside the corpora. */
export interface FusedParts {
  /** The question's vector. */
  readonly question: Float32Array;
  /** Of each corpus, in their order; absent where one has none. */
  readonly vectors: readonly (VectorIndex | undefined)[];
  /** Part of the vectors' ranking, millionths; the other part is that of the words. Default `VECTOR_WEIGHT`. */
  readonly weight?: number;
}

/** Searches by words and vectors; a question with a phrase by words alone, as a vector knows of none. Scores are those of the joined ranks; terms and statistics are those of the words. */
export async function searchFused(
  corpora: readonly Corpus[],
  query: SearchQuery,
  parts: FusedParts,
): Promise<SearchResult> {
  const limit = Math.min(SEARCH_RESULTS_MAX, Math.max(1, query.limit ?? LIMIT_DEFAULT));
  const { weight = VECTOR_WEIGHT } = parts;
  if (phrasesOf(query.question).length > 0) return searchCorpora(corpora, { ...query, limit });
  const byWords = await searchCorpora(corpora, { ...query, limit: SEARCH_RESULTS_MAX });
  const byVectors = await nearest(corpora, query, parts);
  const joined = new Map<string, { hit: SearchHit; score: number }>();
  for (const { ranking, part } of [
    { ranking: byWords.hits, part: PPM - weight },
    { ranking: byVectors, part: weight },
  ]) {
    for (const [rank, hit] of ranking.entries()) {
      const key = toHex(hit.chunk.id);
      const known = joined.get(key) ?? { hit, score: 0 };
      joined.set(key, { hit: known.hit, score: known.score + worthOf(rank, part) });
    }
  }
  const hits = [...joined]
    .filter(([, { score }]) => score > 0)
    .sort(([a, x], [b, y]) => y.score - x.score || (a < b ? -1 : 1))
    .map(([, { hit, score }]) => ({ ...hit, score }));
  return { ...byWords, hits: hits.slice(0, limit) };
}

/** What a place in a ranking is worth, rank from 0: both rankings weigh 1 where they weigh alike. */
function worthOf(rank: number, part: number): number {
  return Math.floor(((UNIT / PPM) * 2 * part) / (RANK_OFFSET + rank + 1));
}

interface Near {
  readonly key: string;
  readonly corpus: number;
  readonly chunk: Chunk;
  readonly nearness: number;
}

async function nearest(
  corpora: readonly Corpus[],
  query: SearchQuery,
  parts: FusedParts,
): Promise<readonly SearchHit[]> {
  const found = new Map<string, Near>();
  const views = await viewsOf(corpora, query.visible);
  for (const [position, corpus] of corpora.entries()) {
    const vectors = parts.vectors[position];
    const lengths = views[position]?.lengths;
    if (vectors === undefined || lengths === undefined) continue;
    for (const { number, nearness } of await vectors.nearest(parts.question, SEARCH_RESULTS_MAX, lengths)) {
      const chunk = await corpus.chunkAt(number);
      const key = chunk && toHex(chunk.id);
      // A passage that stands in several documents is one result.
      if (chunk !== undefined && key !== undefined && !found.has(key)) {
        found.set(key, { key, corpus: position, chunk, nearness });
      }
    }
  }
  // The order must not depend on the order of imports.
  const sorted = [...found.values()].sort((a, b) => b.nearness - a.nearness || (a.key < b.key ? -1 : 1));
  return Promise.all(
    sorted.slice(0, SEARCH_RESULTS_MAX).map(async ({ corpus, chunk }): Promise<SearchHit> => {
      const name = (await corpora[corpus]?.nameOf(chunk.document)) ?? '';
      return { corpus, chunk, name, score: 0 };
    }),
  );
}

/** Orders the best results anew by a reranking model; the others stay behind them. Throws what the model throws. */
export async function rerank(
  question: string,
  hits: readonly SearchHit[],
  { reranker, signal }: { readonly reranker: Reranker; readonly signal: AbortSignal },
): Promise<readonly SearchHit[]> {
  const best = hits.slice(0, RERANKED_MAX);
  if (best.length === 0) return hits;
  const worths = await reranker.rank(
    question,
    best.map(({ chunk }) => `${chunk.title}\n${chunk.text}`),
    { signal },
  );
  if (worths.length !== best.length || !worths.every(Number.isFinite)) {
    throw new SaharaError('backend-failed', {
      reason: `the reranking model judged ${worths.length} of ${best.length} passages`,
    });
  }
  const order = [...best.keys()].sort((a, b) => (worths[b] ?? 0) - (worths[a] ?? 0) || a - b);
  const ordered = [...order.flatMap((i) => best[i] ?? []), ...hits.slice(RERANKED_MAX)];
  return ordered.map((hit, rank) => ({ ...hit, score: worthOf(rank, PPM / 2) }));
}
