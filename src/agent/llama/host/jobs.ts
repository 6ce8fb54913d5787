/** How probable an answer is; and what jobs of any kind tell. */
import type { ControlledEvaluateIndexOutput, Token } from 'node-llama-cpp';
import type { SaharaError } from '../../../base/errors.ts';
import type { LookingJob, NextOptions } from './lockstep.ts';

/** What a job tells. */
export interface JobEvents {
  started(promptTokens: number, reusedTokens: number): void;
  failed(error: SaharaError): void;
}

/** Parts of a scoring. */
export interface ScoringParts {
  readonly prompt: readonly Token[];
  readonly answer: readonly Token[];
  readonly events: JobEvents & { scored(logProbabilities: readonly number[]): void };
}

/** Least logarithm of a probability that is told. */
const LOG_PROBABILITY_MIN = -1e6;

/** Tells how probable each token of an answer is behind the prompt and the tokens before it. */
export class Scoring implements LookingJob {
  readonly prompt: readonly Token[];
  readonly reusable: number;
  cancelled = false;
  paused = false;
  readonly #parts: ScoringParts;
  readonly #found: number[] = [];

  constructor(parts: ScoringParts) {
    this.#parts = parts;
    this.prompt = [...parts.prompt, ...parts.answer].slice(0, -1);
    this.reusable = parts.prompt.length - 1;
  }

  wanted(index: number): NextOptions | undefined {
    const token = this.#behind(index);
    if (token === undefined) return undefined;
    return {
      generateNext: {
        // With `includeMax` the best token would be missing where others are named.
        logits: { filter: { tokens: [token], includeTop: 1 } },
        totalLogitWeight: true,
        options: { temperature: 1, topK: 0, topP: 1, minP: 0 },
      },
    };
  }

  begin(reused: number): void {
    this.#parts.events.started(this.prompt.length, reused);
  }

  take(index: number, { next }: ControlledEvaluateIndexOutput): void {
    const token = this.#behind(index);
    const logit = token === undefined ? undefined : next.logits?.get(token);
    const best = Math.max(...(next.logits?.values() ?? [0]));
    const found = (logit ?? Number.NEGATIVE_INFINITY) - best - Math.log(next.totalLogitWeight ?? 1);
    this.#found.push(Math.max(LOG_PROBABILITY_MIN, Math.min(0, found)));
  }

  end(): void {
    this.#parts.events.scored(this.#found);
  }

  fail(error: SaharaError): void {
    this.#parts.events.failed(error);
  }

  #behind(index: number): Token | undefined {
    return this.#parts.answer[index + 1 - this.#parts.prompt.length];
  }
}
