/**
 * Finds the passages that an answer may rest on: by words among what the caller may have, joined with vectors and
 * ordered anew where models for that are at hand. A model that is missing, fails or takes too long is left out of that
 * search, and whoever watches is told: words alone find well enough to answer.
 */

import { type Clock, timeoutSignal } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import type { PublicKey } from '../../protocol/ids.ts';
import { RERANKED_MAX } from '../../vault/limits.ts';
import type { Embedder, Reranker } from '../../vault/search/embedder.ts';
import { rerank, searchFused } from '../../vault/search/fused.ts';
import {
  type Corpus,
  type SearchHit,
  type SearchQuery,
  type SearchResult,
  searchCorpora,
} from '../../vault/search/search.ts';
import type { VectorIndex } from '../../vault/search/vectors.ts';
import type { Visibility } from '../../vault/search/view.ts';
import type { SearchHow, SearchModel } from './how.ts';

/** What was found for a caller. */
export interface Found extends SearchResult {
  /** Absent where words found it among all. */
  readonly how: SearchHow | undefined;
}

/** Finds passages. */
export interface Finder {
  find(
    query: Pick<SearchQuery, 'question' | 'context' | 'limit'>,
    options: { readonly caller: PublicKey; readonly signal: AbortSignal },
  ): Promise<Found>;
}

/** A model that helps, and how long it may take. */
interface Helping extends SearchModel {
  readonly withinMs: number;
}

/** Models that help to find passages, those that are at hand just now. */
export interface SearchModels {
  readonly embedder?: Helping & {
    readonly embedder: Embedder;
    /** Of each corpus, in their order. */
    readonly vectors: readonly (VectorIndex | undefined)[];
    readonly weight: number;
  };
  readonly reranker?: Helping & { readonly reranker: Reranker };
}

/** Parts of a finder. */
export interface FinderParts {
  readonly clock: Clock;
  /** Searched as if they were one; may be empty. */
  readonly vaults: readonly Corpus[];
  /** What a caller may have of each; all where it is absent or says nothing. */
  readonly visible?: (caller: PublicKey) => readonly (Visibility | undefined)[];
  /** What helps. Default nothing. */
  readonly models?: () => SearchModels;
  /** Told what a model did: it helped, or why it did not. */
  readonly told?: (model: 'embedder' | 'reranker', fault: SaharaError | undefined) => void;
}

/** A finder. It throws what a search throws, and `cancelled`. */
export function createFinder(parts: FinderParts): Finder {
  return new VaultFinder(parts);
}

/** A finder by words, among all that `vaults` hold. */
export function findByWords(vaults: readonly Corpus[]): Finder {
  return { find: async (query) => ({ ...(await searchCorpora(vaults, query)), how: undefined }) };
}

/** What was used for one search. */
interface Used {
  readonly embedder: SearchModels['embedder'] | undefined;
  readonly reranker: SearchModels['reranker'] | undefined;
}

class VaultFinder implements Finder {
  readonly #parts: FinderParts;

  constructor(parts: FinderParts) {
    this.#parts = parts;
  }

  async find(
    query: Pick<SearchQuery, 'question' | 'context' | 'limit'>,
    { caller, signal }: { readonly caller: PublicKey; readonly signal: AbortSignal },
  ): Promise<Found> {
    const visible = this.#parts.visible?.(caller) ?? [];
    const restricted = visible.some((one) => one !== undefined);
    const { embedder, reranker } = this.#parts.models?.() ?? {};
    const limit = Math.max(query.limit ?? 0, reranker === undefined ? 0 : RERANKED_MAX);
    const wanted = { ...query, ...(restricted && { visible }), ...(limit > 0 && { limit }) };
    const fused = embedder && (await this.#fuse(wanted, embedder, signal));
    const found = fused ?? (await searchCorpora(this.#parts.vaults, wanted));
    const ordered = reranker && (await this.#order(query.question, { ...reranker, found }, signal));
    signal.throwIfAborted();
    const hits = (ordered ?? found.hits).slice(0, query.limit);
    const how = this.#how(restricted, { embedder: fused && embedder, reranker: ordered && reranker });
    return { ...found, hits, how };
  }

  #fuse(
    query: SearchQuery,
    helping: NonNullable<SearchModels['embedder']>,
    signal: AbortSignal,
  ): Promise<SearchResult | undefined> {
    const { embedder, vectors, weight, withinMs } = helping;
    return this.#try({ kind: 'embedder', withinMs, signal }, async (given) => {
      const [question] = await embedder.embed([query.question], { signal: given });
      if (question === undefined)
        throw new SaharaError('backend-failed', { reason: 'the model gave no vector' });
      return searchFused(this.#parts.vaults, query, { question, vectors, weight });
    });
  }

  #order(
    question: string,
    { reranker, withinMs, found }: NonNullable<SearchModels['reranker']> & { readonly found: SearchResult },
    signal: AbortSignal,
  ): Promise<readonly SearchHit[] | undefined> {
    return this.#try({ kind: 'reranker', withinMs, signal }, (given) =>
      rerank(question, found.hits, { reranker, signal: given }),
    );
  }

  /** What a model comes to; `undefined` where it fails or is late. */
  async #try<T>(
    {
      kind,
      withinMs,
      signal,
    }: {
      readonly kind: 'embedder' | 'reranker';
      readonly withinMs: number;
      readonly signal: AbortSignal;
    },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    const { clock, told } = this.#parts;
    const late = timeoutSignal(clock, withinMs);
    try {
      const done = await work(AbortSignal.any([signal, late]));
      told?.(kind, undefined);
      return done;
    } catch (error) {
      if (signal.aborted) throw new SaharaError('cancelled', {}, { cause: error });
      told?.(kind, late.aborted ? new SaharaError('deadline-exceeded', { withinMs }) : asSaharaError(error));
      return undefined;
    }
  }

  #how(restricted: boolean, { embedder, reranker }: Used): SearchHow | undefined {
    if (!restricted && embedder === undefined && reranker === undefined) return undefined;
    const { vaults } = this.#parts;
    return {
      restricted,
      embedder: embedder && { name: embedder.name, digest: embedder.digest },
      reranker: reranker && { name: reranker.name, digest: reranker.digest },
      weight: embedder?.weight ?? 0,
      whole: embedder === undefined || vaults.every((vault, i) => embedder.vectors[i]?.isWhole(vault)),
    };
  }
}
