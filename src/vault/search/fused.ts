/**
 * Search by words and by vectors, joined by rank (Cormack, Clarke and Buettcher 2009): what both find near the top
 * comes first, and neither needs to know the other's scores. A reranking model may have the last word on the best few.
 */
import { toHex } from '../../base/bytes.ts';
import type { Chunk } from '../chunk.ts';
import { SEARCH_RESULTS_MAX } from '../limits.ts';
import type { Embedder, Reranker } from './embedder.ts';
import { type Corpus, type SearchHit, type SearchQuery, type SearchResult, searchCorpora } from './search.ts';
import type { VectorIndex } from './vectors.ts';
import { viewOf } from './view.ts';

/** Added to each rank: how little the very first places are favoured. */
const RANK_OFFSET = 60;
const UNIT = 1_000_000_000;
/** Results that a reranking model is shown. */
const RERANK_MAX = 32;
const LIMIT_DEFAULT = 8;

/** What a fused search uses beside the corpora. */
export interface FusedParts {
  readonly embedder: Embedder;
  /** Of each corpus, in their order; absent where one has none. */
  readonly vectors: readonly (VectorIndex | undefined)[];
  readonly reranker?: Reranker;
}

/** Searches by words and vectors. Scores are those of the joined ranks; terms and statistics are those of the words. */
export async function searchFused(
  corpora: readonly Corpus[],
  query: SearchQuery,
  parts: FusedParts & { readonly signal: AbortSignal },
): Promise<SearchResult> {
  const { signal } = parts;
  const limit = Math.min(SEARCH_RESULTS_MAX, Math.max(1, query.limit ?? LIMIT_DEFAULT));
  const byWords = await searchCorpora(corpora, { ...query, limit: SEARCH_RESULTS_MAX });
  const [question] = await parts.embedder.embed([query.question], { signal });
  const byVectors = question === undefined ? [] : await nearest(corpora, query, { ...parts, question });
  const joined = new Map<string, { hit: SearchHit; score: number }>();
  for (const ranking of [byWords.hits, byVectors]) {
    for (const [rank, hit] of ranking.entries()) {
      const key = toHex(hit.chunk.id);
      const known = joined.get(key) ?? { hit, score: 0 };
      joined.set(key, { hit: known.hit, score: known.score + Math.floor(UNIT / (RANK_OFFSET + rank + 1)) });
    }
  }
  const hits = [...joined]
    .sort(([a, x], [b, y]) => y.score - x.score || (a < b ? -1 : 1))
    .map(([, { hit, score }]) => ({ ...hit, score }));
  const ordered = await reranked(query.question, hits, parts);
  return { ...byWords, hits: ordered.slice(0, limit) };
}

async function nearest(
  corpora: readonly Corpus[],
  query: SearchQuery,
  parts: FusedParts & { readonly question: Float32Array },
): Promise<readonly SearchHit[]> {
  const found: { readonly corpus: number; readonly chunk: Chunk; readonly nearness: number }[] = [];
  for (const [position, corpus] of corpora.entries()) {
    const vectors = parts.vectors[position];
    if (vectors === undefined) continue;
    const { lengths } = await viewOf(corpus, query.visible);
    for (const { number, nearness } of await vectors.nearest(parts.question, SEARCH_RESULTS_MAX, lengths)) {
      const chunk = await corpus.chunkAt(number);
      if (chunk !== undefined) found.push({ corpus: position, chunk, nearness });
    }
  }
  found.sort((a, b) => b.nearness - a.nearness);
  return Promise.all(
    found.slice(0, SEARCH_RESULTS_MAX).map(async ({ corpus, chunk }): Promise<SearchHit> => {
      const name = (await corpora[corpus]?.nameOf(chunk.document)) ?? '';
      return { corpus, chunk, name, score: 0 };
    }),
  );
}

async function reranked(
  question: string,
  hits: readonly SearchHit[],
  { reranker, signal }: FusedParts & { readonly signal: AbortSignal },
): Promise<readonly SearchHit[]> {
  if (reranker === undefined) return hits;
  const best = hits.slice(0, RERANK_MAX);
  const scores = await reranker.rank(
    question,
    best.map(({ chunk }) => `${chunk.title}\n${chunk.text}`),
    { signal },
  );
  const order = [...best.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  return [...order.flatMap((i) => best[i] ?? []), ...hits.slice(RERANK_MAX)];
}
