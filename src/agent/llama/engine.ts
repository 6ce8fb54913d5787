/**
 * Local models for all agents of a daemon: one host per model file, one queue for all. Prompts go in, text comes
 * out; who waits, who goes first and what is loaded is decided here.
 */
import { availableParallelism, totalmem } from 'node:os';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { checkAdapterFits } from './adapter-check.ts';
import { checkGgufHeader } from './gguf-check.ts';
import { JUDGED_TEXTS_PER_TURN, JUDGED_TOKENS } from './limits.ts';
import type { AdapterUse, ContextKey, Prompt, ReadyMessage } from './messages.ts';
import type { GenerateRequest, HostPart, ModelHost, ModelHostOptions } from './model-host.ts';
import {
  contextBytes,
  type LoadedModel,
  type ModelPlace,
  ModelRoom,
  type ModelSource,
  modelBytes,
  type RoomOptions,
} from './room.ts';
import {
  type QueueStanding,
  SCHEDULER_DEFAULTS,
  Scheduler,
  type SchedulerLoad,
  type SchedulerOptions,
} from './scheduler.ts';

/** How an engine works. */
export interface EngineOptions extends RoomOptions, SchedulerOptions {
  /** Times of hosts. */
  readonly host: Partial<ModelHostOptions>;
}

/**
 * What an engine does where nothing is said: half of the machine's memory and of its logical processors. Threads of
 * ggml wait by spinning: more of them than physical cores make it slower, not faster.
 */
export const ENGINE_DEFAULTS: EngineOptions = {
  ...SCHEDULER_DEFAULTS,
  gpu: 'auto',
  threads: Math.max(1, Math.floor(availableParallelism() / 2)),
  memoryBytes: Math.floor(totalmem() / 2),
  host: {},
};

/** Which model a request runs on, and who asks. */
export interface EngineTarget {
  readonly model: ModelSource;
  readonly adapters: readonly AdapterUse[];
  /** Tokens of one sequence, and sequences that are decoded together. */
  readonly context: Omit<ContextKey, 'adapters'>;
  /** Who pays: requests of different payers get equal shares, times `weight`. */
  readonly payer: string;
  /** At least 1. */
  readonly weight: number;
  /** Longest wait for a turn, milliseconds. Default: for ever. */
  readonly withinMs?: number;
  /** Told where the request stands in the queue. */
  readonly waiting?: (standing: QueueStanding) => void;
}

/** What is asked of a model. */
export type EngineRequest = EngineTarget & Omit<GenerateRequest, 'context'>;

/** What is asked of a model that judges texts, and who asks. */
export type JudgeTarget = Pick<EngineTarget, 'model' | 'payer' | 'weight' | 'withinMs'>;

/** Local models. */
export interface LlamaEngine {
  readonly load: SchedulerLoad;
  readonly models: readonly LoadedModel[];
  /**
   * Goes on from a prompt. Throws `overloaded`, `deadline-exceeded`, `memory-insufficient`, `model-invalid`,
   * `context-overflow`, `backend-missing`, `backend-failed`, `cancelled`.
   */
  generate(request: EngineRequest, options: { readonly signal: AbortSignal }): AsyncIterable<HostPart>;
  /** Natural logarithms of the probabilities of an answer's tokens. Throws what `generate` throws. */
  score(
    request: EngineTarget & { readonly prompt: Prompt; readonly answer: string },
    options: { readonly signal: AbortSignal },
  ): Promise<readonly number[]>;
  /** Loads a model if it is not loaded, and says where it runs. */
  ready(target: EngineTarget, options: { readonly signal: AbortSignal }): Promise<ReadyMessage>;
  /** A text as the model divides it. Throws what `generate` throws. */
  tokenize(
    target: EngineTarget,
    text: string,
    options: { readonly signal: AbortSignal },
  ): Promise<readonly number[]>;
  /** A vector of each text, in order. Throws what `generate` throws; a text is read up to 1,024 tokens. */
  embed(
    target: JudgeTarget,
    texts: readonly string[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly (readonly number[])[]>;
  /** How well each passage answers a question, higher is better. Throws what `generate` throws, `model-invalid` for a model that ranks nothing. */
  rank(
    target: JudgeTarget,
    asked: { readonly question: string; readonly passages: readonly string[] },
    options: { readonly signal: AbortSignal },
  ): Promise<readonly number[]>;
  /** Refuses what waits, lets end what runs. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** An engine. Nothing is started before it is asked. */
export function createLlamaEngine(
  parts: { readonly clock: Clock },
  options: Partial<EngineOptions> = {},
): LlamaEngine {
  return new Engine(parts.clock, { ...ENGINE_DEFAULTS, ...options });
}

class Engine implements LlamaEngine {
  readonly #options: EngineOptions;
  readonly #room: ModelRoom;
  readonly #scheduler: Scheduler<ModelPlace>;
  /** Models and adapters that fit each other, by their paths and digests. */
  readonly #checked = new Map<string, Promise<void>>();

  constructor(clock: Clock, options: EngineOptions) {
    this.#options = options;
    this.#room = new ModelRoom(
      {
        clock,
        changed: () => this.#scheduler.look(),
        failed: (path, error) => this.#scheduler.refuse(({ model }) => model.path === path, error),
      },
      { ...options.host, gpu: options.gpu, threads: options.threads, memoryBytes: options.memoryBytes },
    );
    this.#scheduler = new Scheduler({ clock, room: this.#room }, options);
  }

  get load(): SchedulerLoad {
    return this.#scheduler.load;
  }

  get models(): readonly LoadedModel[] {
    return this.#room.models;
  }

  async *generate(
    request: EngineRequest,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<HostPart> {
    const { prompt, sampling, tokensMax, stops, watermark } = request;
    const place = await this.#placeOf(request);
    const prompted = tokensOf(prompt);
    const tokens = Math.min(place.key.tokens, prompted + tokensMax);
    const turn = await this.#scheduler.turn({ ...request, place, tokens }, { signal });
    let read = 0;
    // A reader that takes its time holds no sequence.
    const over = (generated: number): void => turn.end(read + generated);
    try {
      const asked: GenerateRequest = {
        context: place.key,
        prompt,
        sampling,
        tokensMax,
        stops,
        ...(watermark !== undefined && { watermark }),
      };
      for await (const part of this.#room.hostOf(place).generate(asked, { signal, over })) {
        if (part.type === 'started') read = part.promptTokens - part.reusedTokens;
        yield part;
      }
    } finally {
      over(0);
    }
  }

  async score(
    request: EngineTarget & { readonly prompt: Prompt; readonly answer: string },
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly number[]> {
    const { prompt, answer } = request;
    const place = await this.#placeOf(request);
    const tokens = Math.min(place.key.tokens, tokensOf(prompt) + tokensOf({ kind: 'text', text: answer }));
    const turn = await this.#scheduler.turn({ ...request, place, tokens }, { signal });
    try {
      return await this.#room.hostOf(place).score({ context: place.key, prompt, answer }, { signal });
    } finally {
      turn.end(tokens);
    }
  }

  ready(target: EngineTarget, options: { readonly signal: AbortSignal }): Promise<ReadyMessage> {
    return this.#loaded(target, options, (host) => host.ready(options));
  }

  tokenize(
    target: EngineTarget,
    text: string,
    options: { readonly signal: AbortSignal },
  ): Promise<readonly number[]> {
    return this.#loaded(target, options, (host) => host.tokenize(text, options));
  }

  embed(
    target: JudgeTarget,
    texts: readonly string[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly (readonly number[])[]> {
    const ask: JudgeCall = (host, some, tokens) =>
      host.judge({ type: 'embed', tokens, texts: some }, options);
    return this.#judge({ ...target, use: 'embed', ask }, texts, options);
  }

  async rank(
    target: JudgeTarget,
    { question, passages }: { readonly question: string; readonly passages: readonly string[] },
    options: { readonly signal: AbortSignal },
  ): Promise<readonly number[]> {
    const ask: JudgeCall = (host, some, tokens) =>
      host.judge({ type: 'rank', tokens, question, passages: some }, options);
    const found = await this.#judge({ ...target, use: 'rank', ask }, passages, options);
    return found.map(([worth = 0]) => worth);
  }

  /** Has texts judged, some in each turn. */
  async #judge(
    target: JudgeTarget & { readonly use: 'embed' | 'rank'; readonly ask: JudgeCall },
    texts: readonly string[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly (readonly number[])[]> {
    const context = { tokens: JUDGED_TOKENS, sequences: 1 };
    const place = { ...(await this.#placeOf({ ...target, adapters: [], context })), use: target.use };
    const longest = place.key.tokens;
    const found: (readonly number[])[] = [];
    for (let first = 0; first < texts.length; first += JUDGED_TEXTS_PER_TURN) {
      const some = texts.slice(first, first + JUDGED_TEXTS_PER_TURN);
      const tokens = some.reduce((sum, text) => sum + Math.min(longest, tokensOf({ kind: 'text', text })), 0);
      const turn = await this.#scheduler.turn({ ...target, place, tokens }, { signal });
      try {
        const judged = await target.ask(this.#room.hostOf(place), some, longest);
        if (judged.length !== some.length) throw unjudged(judged.length, some.length);
        found.push(...judged);
      } finally {
        turn.end(tokens);
      }
    }
    return found;
  }

  /** What a loaded model says at once. */
  async #loaded<T>(
    target: EngineTarget,
    { signal }: { readonly signal: AbortSignal },
    ask: (host: ModelHost) => Promise<T>,
  ): Promise<T> {
    const place = await this.#placeOf(target);
    const turn = await this.#scheduler.turn({ ...target, place, tokens: 1 }, { signal });
    try {
      return await ask(this.#room.hostOf(place));
    } finally {
      turn.end(0);
    }
  }

  drain(): Promise<void> {
    return this.#scheduler.drain();
  }

  async close(): Promise<void> {
    this.#scheduler.refuse(() => true, new SaharaError('cancelled'));
    await this.#room.close();
  }

  /** Where a request runs, if the model is sound, the adapters fit it, and all of it fits into memory at all. */
  async #placeOf({ model, adapters, context }: EngineTarget): Promise<ModelPlace> {
    const tokens = Math.min(context.tokens, model.facts.contextMax);
    const place = { model, key: { adapters, tokens, sequences: context.sequences } };
    const needsBytes = modelBytes(model) + contextBytes(place);
    const { memoryBytes } = this.#options;
    if (needsBytes > memoryBytes) {
      const reason = `It needs ${needsBytes} bytes with its context; models may take ${memoryBytes}`;
      throw new SaharaError('memory-insufficient', { reason, needsBytes, limitBytes: memoryBytes });
    }
    const paths = [model.path, ...adapters.map(({ path }) => path)];
    const name = JSON.stringify(paths);
    const known = this.#checked.get(name) ?? checkFit(paths);
    this.#checked.set(name, known);
    if (this.#checked.size > CHECKED_MAX) this.#checked.delete([...this.#checked.keys()][0] ?? '');
    try {
      await known;
    } catch (error) {
      this.#checked.delete(name);
      throw error;
    }
    return place;
  }
}

/** Asks a host about some texts, of each at most so many tokens. */
type JudgeCall = (
  host: ModelHost,
  some: readonly string[],
  tokens: number,
) => Promise<readonly (readonly number[])[]>;

function unjudged(found: number, wanted: number): SaharaError {
  const reason = `the model judged ${found} of ${wanted} texts`;
  return new SaharaError('backend-failed', { backend: 'llama', reason });
}

/** Combinations of models and adapters whose check is remembered. */
const CHECKED_MAX = 256;

async function checkFit([path, ...adapters]: readonly string[]): Promise<void> {
  const model = await checkGgufHeader(path ?? '');
  for (const adapter of adapters) checkAdapterFits(await checkGgufHeader(adapter), model);
}

/** About how many tokens a prompt has: three characters each, as the tokenizer is not here. */
function tokensOf(prompt: Prompt): number {
  const texts = prompt.kind === 'text' ? [prompt.text] : prompt.messages.map(({ content }) => content);
  return Math.ceil(texts.reduce((sum, text) => sum + text.length, 0) / 3) + 1;
}
