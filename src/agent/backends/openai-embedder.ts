/** Vectors from any endpoint that speaks OpenAI's embeddings, hosted or local. */
import OpenAI from 'openai';
import { utf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { domainSha256 } from '../../vault/hash.ts';
import type { Embedder } from '../../vault/search/embedder.ts';
import { ENDPOINT_IDLE_MS } from './limits.ts';

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
  return {
    digest: domainSha256('sahara/1/model/embeddings', utf8(`${endpoint}\n${model}`)),
    async embed(texts, { signal }) {
      try {
        const { data } = await client.embeddings.create(
          { model, input: [...texts], encoding_format: 'float' },
          { signal },
        );
        const sorted = [...data].sort((a, b) => a.index - b.index);
        return sorted.map(({ embedding }) => Float32Array.from(embedding));
      } catch (error) {
        if (signal.aborted) throw new SaharaError('cancelled', {}, { cause: error });
        const reason = 'the endpoint gave no embeddings';
        throw new SaharaError('backend-failed', { backend: 'openai', model, reason }, { cause: error });
      }
    },
  };
}
