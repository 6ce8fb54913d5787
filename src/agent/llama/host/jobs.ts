/** The two things that a model is asked: to go on, and how probable something is. */
import type { ControlledEvaluateIndexOutput, Token } from 'node-llama-cpp';
import type { SaharaError } from '../../../base/errors.ts';
import type { GenerateMessage, HostFinish } from '../messages.ts';
import { candidatesOf, candidatesWanted, randomOf, type SamplingOptions } from '../sampler.ts';
import { type Chosen, chooserOf } from './choosers.ts';
import type { Job, NextOptions } from './lockstep.ts';
import type { TokenStream } from './stream.ts';

/** What a job tells. */
export interface JobEvents {
  started(promptTokens: number, reusedTokens: number): void;
  failed(error: SaharaError): void;
}

/** What a generation tells besides. */
export interface GenerationEvents extends JobEvents {
  text(text: string, tokens: number): void;
  ended(finish: HostFinish, tokens: number): void;
}

/** Parts of a generation. */
export interface GenerationParts {
  readonly prompt: readonly Token[];
  readonly stream: TokenStream;
  /** Whether the model ends with this token. */
  isEnd(token: Token): boolean;
  readonly events: GenerationEvents;
}

/**
 * The best scores as they are. llama.cpp's own cut to the best few comes before they are handed out: a filter behind
 * it would have the whole vocabulary sorted, which costs more than a small model's step.
 */
function scores(best: number): NextOptions {
  return { generateNext: { logits: true, options: { temperature: 1, topK: best, topP: 1, minP: 0 } } };
}

/** Goes on from a prompt until the model, a stop or the limit ends it. */
export class Generation implements Job {
  readonly prompt: readonly Token[];
  readonly reusable: number;
  cancelled = false;
  paused = false;
  readonly #parts: GenerationParts;
  readonly #sampling: SamplingOptions;
  readonly #tokensMax: number;
  readonly #chosen: Chosen;
  readonly #wanted: NextOptions;
  readonly #random: () => number;
  readonly #tokens: Token[];
  #generated = 0;
  #finish: HostFinish = 'cancelled';

  constructor(
    parts: GenerationParts,
    request: Pick<GenerateMessage, 'sampling' | 'tokensMax' | 'watermark'>,
  ) {
    this.prompt = parts.prompt;
    // The last token is read again even when all is known: its scores are not kept.
    this.reusable = parts.prompt.length - 1;
    this.#parts = parts;
    this.#sampling = request.sampling;
    this.#tokensMax = request.tokensMax;
    this.#chosen = chooserOf(request);
    this.#wanted = scores(candidatesWanted(request.sampling, this.#chosen.wantsMany));
    this.#random = randomOf(request.sampling.seed);
    this.#tokens = [...parts.prompt];
  }

  wanted(index: number): NextOptions | undefined {
    return index >= this.prompt.length - 1 ? this.#wanted : undefined;
  }

  begin(reused: number): void {
    this.#parts.events.started(this.prompt.length, reused);
  }

  take(_index: number, { next }: ControlledEvaluateIndexOutput): Token | undefined {
    const { stream, events, isEnd } = this.#parts;
    const token = this.#choose([...(next.logits ?? [])]);
    if (isEnd(token)) return this.#over('stop');
    this.#tokens.push(token);
    this.#generated++;
    const { text, stopped } = stream.push(token);
    if (text !== '') events.text(text, this.#generated);
    if (stopped) return this.#over('stop');
    return this.#generated < this.#tokensMax ? token : this.#over('length');
  }

  end(): void {
    const { stream, events } = this.#parts;
    const rest = this.cancelled ? '' : stream.finish();
    if (rest !== '') events.text(rest, this.#generated);
    events.ended(this.cancelled ? 'cancelled' : this.#finish, this.#generated);
  }

  fail(error: SaharaError): void {
    this.#parts.events.failed(error);
  }

  #over(finish: HostFinish): undefined {
    this.#finish = finish;
    return undefined;
  }

  #choose(logits: readonly (readonly [Token, number])[]): Token {
    const candidates = candidatesOf(logits, this.#sampling);
    const context = { tokens: this.#tokens, generated: this.#generated, random: this.#random };
    // Tokens are numbers with a brand that this project does not carry around.
    return this.#chosen.choose(candidates, context) as Token;
  }
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
export class Scoring implements Job {
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

  take(index: number, { next }: ControlledEvaluateIndexOutput): undefined {
    const token = this.#behind(index);
    const logit = token === undefined ? undefined : next.logits?.get(token);
    const best = Math.max(...(next.logits?.values() ?? [0]));
    const found = (logit ?? Number.NEGATIVE_INFINITY) - best - Math.log(next.totalLogitWeight ?? 1);
    this.#found.push(Math.max(LOG_PROBABILITY_MIN, Math.min(0, found)));
    return undefined;
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
