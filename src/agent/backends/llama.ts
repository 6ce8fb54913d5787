/**
 * Answers by a model on this machine. It is told the same as a model behind an endpoint, and its words are taken the
 * same way: streamed as they come, citations checked against the passages, no more than the caller asked for.
 */
import { arch } from 'node:os';
import { concat, toHex, utf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Dice } from '../../base/random.ts';
import { inputUnits, UnitCounter } from '../../protocol/units.ts';
import { domainSha256 } from '../../vault/hash.ts';
import type { EngineTarget, LlamaEngine } from '../llama/engine.ts';
import type { ReadyMessage, WatermarkUse } from '../llama/messages.ts';
import type { ModelSource } from '../llama/room.ts';
import { SAMPLING_DEFAULTS, type SamplingOptions } from '../llama/sampler.ts';
import { STEP_RULES } from '../llama/step-rules.ts';
import type { AnswerPart, AnswerRequest, Backend } from './backend.ts';
import { keepUnits } from './kept.ts';
import { TOKENS_PER_UNIT } from './limits.ts';
import { generateInTurns } from './llama-turns.ts';
import { MarkFilter } from './marks.ts';
import { buildPrompt } from './prompt.ts';

/** An adapter of an agent. */
export interface LlamaAdapter {
  readonly path: string;
  /** SHA-256 of its file. */
  readonly digest: Uint8Array;
  /** How much of it; 0 leaves the model as it is. */
  readonly scale: number;
}

/** Options of a local model. */
export interface LlamaOptions {
  /** Its name, for cards and receipts. */
  readonly name: string;
  readonly model: ModelSource;
  /** Default none. */
  readonly adapters: readonly LlamaAdapter[];
  /** Tokens of one conversation, prompt and answer. Default 4,096; at most what the model was made for. */
  readonly contextTokens: number;
  /** Answers that are decoded together. Default 4. With 1 an answer depends on no other. */
  readonly sequences: number;
  /** Default: the best token, always. A request's own seed goes before. */
  readonly sampling: Partial<SamplingOptions>;
  /** Most units of rules, question, context and passages that it is told. Default 2,400. */
  readonly contextUnitsMax: number;
  /** Share of the machine against other agents here, at least 1. Default 1. */
  readonly weight: number;
  /** Marks what is said. Default none. */
  readonly watermark?: WatermarkUse;
}

/** What `createLlamaBackend` uses where nothing is said; name and model have no default. */
export const LLAMA_DEFAULTS: Omit<LlamaOptions, 'name' | 'model'> = {
  adapters: [],
  contextTokens: 4_096,
  sequences: 4,
  sampling: {},
  contextUnitsMax: 2_400,
  weight: 1,
};

/** The backend of a local model. */
export interface LlamaBackend extends Backend {
  /**
   * What has to be the same for the same request and seed to give the same answer: the release of llama.cpp, what
   * computes, how many are decoded together, and the rules of steps. The model and the sampling are in `model.digest`. Loads the model.
   */
  determinismClass(options: { readonly signal: AbortSignal }): Promise<string>;
  score: NonNullable<Backend['score']>;
}

/** The backend of a local model. `dice` gives seeds where a request names none and the sampling draws. */
export function createLlamaBackend(
  parts: { readonly engine: LlamaEngine; readonly dice: Dice },
  options: Pick<LlamaOptions, 'name' | 'model'> & Partial<LlamaOptions>,
): LlamaBackend {
  return new LocalModel(parts, { ...LLAMA_DEFAULTS, ...options });
}

class LocalModel implements LlamaBackend {
  readonly kind = 'llama';
  readonly model: Backend['model'];
  readonly #engine: LlamaEngine;
  readonly #dice: Dice;
  readonly #options: LlamaOptions;
  readonly #sampling: SamplingOptions;
  readonly #closing = new AbortController();

  constructor(parts: { readonly engine: LlamaEngine; readonly dice: Dice }, options: LlamaOptions) {
    this.#engine = parts.engine;
    this.#dice = parts.dice;
    this.#options = options;
    this.#sampling = { ...SAMPLING_DEFAULTS, ...options.sampling };
    this.model = {
      name: options.name.slice(0, 128),
      digest: digestOf(options, this.#sampling),
      determinism: 'seeded',
    };
  }

  async *answer(
    request: AnswerRequest,
    options: { readonly signal: AbortSignal },
  ): AsyncGenerator<AnswerPart> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    if (signal.aborted) throw new SaharaError('cancelled');
    const { messages, passages } = this.#prompt(request);
    const marks = new MarkFilter(passages);
    const output = new UnitCounter();
    const sampling = { ...this.#sampling, seed: this.#seed(request) };
    const { watermark } = this.#options;
    const asked = {
      ...this.#target(request),
      prompt: { kind: 'chat', messages } as const,
      sampling,
      tokensMax: request.unitsMax * TOKENS_PER_UNIT,
      stops: [],
      ...(watermark !== undefined && { watermark }),
    };
    let finish: 'done' | 'length' = 'length';
    const parts = { engine: this.#engine, tools: request.tools };
    for await (const part of generateInTurns(parts, asked, { signal })) {
      if (part.type === 'end') finish = part.finish === 'stop' ? 'done' : 'length';
      if (part.type !== 'text') continue;
      const kept = keepUnits(marks.push(part.text), output, request.unitsMax);
      yield* kept.parts;
      if (!kept.full) continue;
      yield { type: 'end', finish: 'length', units: { input: inputUnits(request), output: output.count } };
      return;
    }
    const rest = keepUnits(marks.finish(), output, request.unitsMax);
    yield* rest.parts;
    const units = { input: inputUnits(request), output: output.count };
    yield { type: 'end', finish: rest.full ? 'length' : finish, units };
  }

  async determinismClass({ signal }: { readonly signal: AbortSignal }): Promise<string> {
    const ready = await this.#engine.ready(this.#target({}), { signal });
    return classOf(ready, this.#options);
  }

  async score(
    request: AnswerRequest,
    answer: string,
    { signal, without }: { readonly signal: AbortSignal; readonly without: number | undefined },
  ): Promise<number> {
    const { messages } = this.#prompt(request);
    const prompt = { kind: 'chat', messages } as const;
    const whole = this.#target(request);
    const on = this.#options.adapters.filter(({ scale }, i) => i !== without && scale !== 0);
    const target = {
      ...whole,
      adapters: on.map(({ path, scale }) => ({ path, scale })),
      // Alone, so that what others ask at the time changes nothing.
      context: { ...whole.context, sequences: 1 },
    };
    const found = await this.#engine.score({ ...target, prompt, answer }, { signal });
    return found.reduce((sum, logProbability) => sum + logProbability, 0);
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  #prompt(request: AnswerRequest): ReturnType<typeof buildPrompt> {
    const { contextUnitsMax } = this.#options;
    // Tools, what is called and what comes of it need room too.
    const tools = (request.tools?.specs.length ?? 0) > 0;
    return buildPrompt(request, tools ? Math.floor((2 * contextUnitsMax) / 3) : contextUnitsMax);
  }

  #target({ payer = '', withinMs }: Pick<AnswerRequest, 'payer' | 'withinMs'>): EngineTarget {
    const { model, adapters, contextTokens, sequences, weight } = this.#options;
    return {
      model,
      // At scale 0 it would change nothing but take a context of its own.
      adapters: adapters.filter(({ scale }) => scale !== 0).map(({ path, scale }) => ({ path, scale })),
      context: { tokens: contextTokens, sequences },
      payer,
      weight,
      ...(withinMs !== undefined && { withinMs }),
    };
  }

  #seed({ seed }: AnswerRequest): number {
    if (seed !== undefined) return seed >>> 0;
    if (this.#options.sampling.seed !== undefined) return this.#options.sampling.seed;
    return new DataView(this.#dice.bytes(4).buffer).getUint32(0);
  }
}

/** What the answers depend on besides the request: the model, its adapters with scales, and the sampling. */
function digestOf({ model, adapters }: LlamaOptions, sampling: SamplingOptions): Uint8Array {
  const { temperature, topK, topP, minP } = sampling;
  const uses = adapters.map(({ digest, scale }) => `${toHex(digest)} ${scale}`).join('\n');
  const text = `${uses}\ntemperature ${temperature} top-k ${topK} top-p ${topP} min-p ${minP}`;
  return domainSha256('sahara/1/model/llama', concat(model.digest, utf8(text)));
}

function classOf({ build, gpu, devices }: ReadyMessage, { model, sequences }: LlamaOptions): string {
  const place = gpu === 'none' ? `cpu ${arch()}` : `${gpu} ${devices.join('+')}`;
  return `llama.cpp ${build}, ${place}, ${model.facts.quantisation}, ${sequences} together, steps ${STEP_RULES}`;
}
