/** One interface for everything that answers: quoted sentences, a model on this machine, a model behind an endpoint. */

import type { Turn } from '../../protocol/call.ts';
import type { ModelInfo } from '../../protocol/card.ts';
import type { Chunk } from '../../vault/chunk.ts';
import type { QueryTerm, SearchHit } from '../../vault/search/search.ts';
import type { Toolbox } from '../tools/toolbox.ts';

/** What answers a call. Its conformance suite is `test/agent/backend-conforms.ts`. */
export interface Backend {
  readonly kind: BackendKind;
  /** What produced the answers, for cards and receipts. */
  readonly model: ModelInfo;
  /**
   * Answers; the last part is `end`. Citations follow the text that they cover. Pauses while nobody reads.
   * Errors: `cancelled` soon after `signal` aborts, `backend-failed`, `backend-missing`, `rate-limited`, `overloaded`,
   * `deadline-exceeded`, `context-overflow`, `model-invalid`, `memory-insufficient`.
   */
  answer(request: AnswerRequest, options: { readonly signal: AbortSignal }): AsyncIterable<AnswerPart>;
  /**
   * The natural logarithm of the probability of an answer to a request, where the model tells: with all its adapters,
   * or without the one at a position. Decoded beside nothing else. Throws what `answer` throws.
   */
  score?(
    request: AnswerRequest,
    answer: string,
    options: { readonly signal: AbortSignal; readonly without: number | undefined },
  ): Promise<number>;
  close(): Promise<void>;
}

/** Kinds of backend. */
type BackendKind = 'extractive' | 'openai' | 'llama';

/** A retrieved passage: what a backend may rest an answer on. */
export interface Passage {
  /** Content id of its chunk, 32 bytes. */
  readonly id: Uint8Array;
  /** Headings above it. */
  readonly title: string;
  readonly text: string;
  /** What the search gave it; higher is better. */
  readonly score: number;
}

/** A word of the question and what it weighs, in 1/65536 bit. */
export interface WeightedTerm {
  /** The word of the question that `term` stands for, where that one occurs nowhere. */
  readonly corrects?: string;
  readonly term: string;
  readonly weight: number;
}

/** What is asked of a backend. */
export interface AnswerRequest {
  readonly question: string;
  /** Earlier turns, oldest first. */
  readonly context: readonly Turn[];
  /** Best first. */
  readonly passages: readonly Passage[];
  /** The question's own terms as the search weighed them; without them all terms weigh the same. */
  readonly terms?: readonly WeightedTerm[];
  /** Makes a `seeded` backend repeat itself. */
  readonly seed?: number;
  /** Most units of answer. */
  readonly unitsMax: number;
  /** The operator's instructions to a model. */
  readonly prompt?: string;
  /** Who pays: where several wait for one model, each payer gets its share. Default: all the same one. */
  readonly payer?: string;
  /** Longest wait for a model's turn, milliseconds. Default: for ever. */
  readonly withinMs?: number;
  /** What a model may use while it answers. */
  readonly tools?: Toolbox;
}

/** Offsets are UTF-8 bytes, end excluded: `start` and `end` in the whole answer, the others in the passage's text. */
export interface AnswerCitation {
  readonly type: 'citation';
  readonly start: number;
  readonly end: number;
  /** Position of the passage in the request. */
  readonly passage: number;
  readonly passageStart: number;
  readonly passageEnd: number;
}

/** How an answer ended: complete, cut at `unitsMax`, or nothing in the passages answers the question. */
export type AnswerFinish = 'done' | 'length' | 'nothing-found';

/** A piece of an answer. */
export type AnswerPart =
  | { readonly type: 'text'; readonly text: string }
  | AnswerCitation
  | {
      readonly type: 'end';
      readonly finish: AnswerFinish;
      readonly units: { readonly input: number; readonly output: number };
    };

/** The passage of a chunk. */
function passageOf(chunk: Chunk, score: number): Passage {
  return { id: chunk.id, title: chunk.title, text: chunk.text, score };
}

/** What a search gives to a backend: its passages, and the weights of the question's own terms. */
export function requestParts(result: {
  readonly hits: readonly SearchHit[];
  readonly terms: readonly QueryTerm[];
}): { readonly passages: readonly Passage[]; readonly terms: readonly WeightedTerm[] } {
  return {
    passages: result.hits.map(({ chunk, score }) => passageOf(chunk, score)),
    // What a correction weighs less for the search it does not for what has to be answered.
    terms: result.terms
      .filter((term) => isAsked(term))
      .map(({ term, weight, share, corrects }) => ({
        term,
        weight: Math.floor((weight * 256) / share),
        ...(corrects !== undefined && { corrects }),
      })),
  };
}

/** Whether a term belongs to the question itself, as asked or corrected, and not only to its context. */
export function isAsked(term: QueryTerm): boolean {
  return term.corrects !== undefined || term.share === 256;
}
