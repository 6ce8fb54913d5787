/** The part of a manifest about models that help to find passages (KNOW-177). */
import { VECTOR_WEIGHT } from '../vault/search/fused.ts';
import {
  fields,
  given,
  invalid,
  type Place,
  readInteger,
  readShare,
  readText,
  readUrl,
  readVariable,
  required,
} from './manifest-reader.ts';

/** What makes vectors: a model of this home, or one behind an endpoint. */
export interface ManifestEmbedder {
  /** Its name here, or at the endpoint. */
  readonly model: string;
  /** Base URL of an OpenAI-compatible endpoint; absent for a model of this home. */
  readonly endpoint: string | undefined;
  /** Environment variable that holds the endpoint's key; absent for one that wants none. */
  readonly keyVariable: string | undefined;
  /** Longest wait for a question's vector, milliseconds, 10 to 60,000. Default 5,000. */
  readonly withinMs: number;
}

/** What orders passages anew: a model of this home. */
export interface ManifestReranker {
  /** Its name, or the first characters of its digest. */
  readonly model: string;
  /** Longest wait for its order, milliseconds, 10 to 60,000. Default 5,000. */
  readonly withinMs: number;
}

/** Models that help to find passages; at least one. */
export interface ManifestSearch {
  readonly embedder: ManifestEmbedder | undefined;
  readonly reranker: ManifestReranker | undefined;
  /** Part of the ranking by vectors, millionths. Default 500,000. */
  readonly weight: number;
}

/** Most bytes of what a manifest says about search, as JSON. */
export const SEARCH_BYTES_MAX = 2_048;

const WITHIN_MS_DEFAULT = 5_000;
const NAME_BYTES_MAX = 64;
const ENDPOINT_NAME_BYTES_MAX = 128;

/** Reads which models help to find passages. Throws `manifest-invalid`. */
export function readSearch(place: Place): ManifestSearch {
  const of = fields(place, ['embedder', 'reranker', 'weight']);
  const [embedder, reranker] = [given(of('embedder'), readEmbedder), given(of('reranker'), readReranker)];
  if (embedder === undefined && reranker === undefined) {
    throw invalid(place, 'an embedder, a reranker, or both', 'neither');
  }
  const weight = of('weight');
  if (weight !== undefined && embedder === undefined) {
    throw invalid(weight, 'no weight without an embedder: there is nothing to weigh');
  }
  return { embedder, reranker, weight: given(weight, readShare) ?? VECTOR_WEIGHT };
}

function readEmbedder(place: Place): ManifestEmbedder {
  const of = fields(place, ['model', 'endpoint', 'keyVariable', 'withinMs']);
  const endpoint = given(of('endpoint'), readUrl);
  const keyVariable = of('keyVariable');
  if (keyVariable !== undefined && endpoint === undefined) {
    throw invalid(keyVariable, 'no key without an endpoint: a model of this home wants none');
  }
  return {
    model: readModel(place, of('model'), endpoint === undefined ? NAME_BYTES_MAX : ENDPOINT_NAME_BYTES_MAX),
    endpoint,
    keyVariable: given(keyVariable, readVariable),
    withinMs: readWithin(of('withinMs')),
  };
}

function readReranker(place: Place): ManifestReranker {
  const of = fields(place, ['model', 'withinMs']);
  return { model: readModel(place, of('model'), NAME_BYTES_MAX), withinMs: readWithin(of('withinMs')) };
}

function readModel(place: Place, found: Place | undefined, max: number): string {
  return readText(required(place, 'model', found, 'the name of a model, see `sahara model list`'), { max });
}

function readWithin(place: Place | undefined): number {
  return given(place, (at) => readInteger(at, { min: 10, max: 60_000 })) ?? WITHIN_MS_DEFAULT;
}

/** Names of the models of this home that it needs. */
export function searchFilesOf(search: ManifestSearch | undefined): readonly string[] {
  const { embedder, reranker } = search ?? {};
  const here = embedder !== undefined && embedder.endpoint === undefined ? [embedder.model] : [];
  return reranker === undefined ? here : [...here, reranker.model];
}
