/** Vectors and orders from models of this machine. */
import { concat, u32be } from '../../base/bytes.ts';
import { domainSha256 } from '../../vault/hash.ts';
import type { Embedder, Reranker } from '../../vault/search/embedder.ts';
import type { JudgeTarget, LlamaEngine } from '../llama/engine.ts';
import { JUDGED_TOKENS } from '../llama/limits.ts';
import type { ModelSource } from '../llama/room.ts';

/** A model and what runs it. */
export interface LocalModel {
  readonly engine: LlamaEngine;
  readonly model: ModelSource;
}

/** Who waits for a turn of a model: questions go before passages that get their vectors. */
export type JudgingWork = 'question' | 'passages';

const WEIGHTS: Readonly<Record<JudgingWork, number>> = { question: 8, passages: 1 };

function targetOf(model: ModelSource, work: JudgingWork): JudgeTarget {
  return { model, payer: `search of ${work}`, weight: WEIGHTS[work] };
}

/** Makes vectors with a model of this machine. Throws what the engine throws. */
export function createLocalEmbedder({ engine, model }: LocalModel, work: JudgingWork): Embedder {
  return {
    digest: domainSha256('sahara/1/model/vectors', concat(model.digest, u32be(JUDGED_TOKENS))),
    async embed(texts, options) {
      const vectors = await engine.embed(targetOf(model, work), texts, options);
      return vectors.map((vector) => Float32Array.from(vector));
    },
  };
}

/** Orders passages with a model of this machine. Throws what the engine throws. */
export function createLocalReranker({ engine, model }: LocalModel): Reranker {
  return {
    rank: (question, passages, options) =>
      engine.rank(targetOf(model, 'question'), { question, passages }, options),
  };
}
