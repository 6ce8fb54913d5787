/** Vectors from any endpoint that speaks OpenAI's embeddings, hosted or local. */
import OpenAI from 'openai';
import { utf8 } from '../../base/bytes.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { domainSha256 } from '../../vault/hash.ts';
import type { Embedder } from '../../vault/search/embedder.ts';
import { ENDPOINT_IDLE_MS } from '../backends/limits.ts';

/** Texts of one request. */
const TEXTS_MAX = 64;

/** The embedder behind an endpoint. `apiKey` never appears in errors or logs. Errors: `cancelled`, `backend-failed`. */
export function createOpenAiEmbedder(
  parts: { readonly apiKey?: string },
  options: { readonly endpoint: string; readonly model: string },
): Embedder {
  const { endpoint, model } = options;
  const client = new OpenAI({
    baseURL: endpoint,
    // The client insists on a key; endpoints that want none ignore it.
    apiKey: parts.apiKey ?? 'none',
    organization: null,
    project: null,
    maxRetries: 0,
    timeout: ENDPOINT_IDLE_MS,
    logLevel: 'off',
  });
  const some = async (texts: readonly string[], signal: AbortSignal): Promise<readonly Float32Array[]> => {
    const { data } = await client.embeddings.create(
      { model, input: [...texts], encoding_format: 'float' },
      { signal },
    );
    const vectors = new Map(data.map(({ index, embedding }) => [index, embedding]));
    return texts.map((_, i) => {
      const vector = vectors.get(i);
      if (!Array.isArray(vector)) throw unanswered(model, `it left out text ${i} of ${texts.length}`);
      return Float32Array.from(vector);
    });
  };
  return {
    digest: domainSha256('sahara/1/model/embeddings', utf8(`${endpoint}\n${model}`)),
    async embed(texts, { signal }) {
      const vectors: Float32Array[] = [];
      try {
        for (let first = 0; first < texts.length; first += TEXTS_MAX) {
          vectors.push(...(await some(texts.slice(first, first + TEXTS_MAX), signal)));
        }
        return vectors;
      } catch (error) {
        if (signal.aborted) throw new SaharaError('cancelled', {}, { cause: error });
        if (asSaharaError(error).code === 'backend-failed') throw error;
        throw unanswered(model, 'it gave no embeddings', error);
      }
    },
  };
}

function unanswered(model: string, what: string, cause?: unknown): SaharaError {
  return new SaharaError(
    'backend-failed',
    { backend: 'openai', model, reason: `the endpoint: ${what}` },
    { cause },
  );
}
