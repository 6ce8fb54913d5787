/**
 * A model that is there when it is asked: starts its process with the first request, starts it again when it died,
 * and waits longer each time it dies without having answered anything.
 */
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { UNREAD_LENGTH_MAX } from './limits.ts';
import type {
  GenerateMessage,
  HostFinish,
  HostStats,
  LoadMessage,
  MadeCall,
  ReadyMessage,
  ScoreMessage,
} from './messages.ts';
import type { EmbedMessage, RankMessage } from './messages-judging.ts';
import {
  type Asking,
  HostProcess,
  PROCESS_DEFAULTS,
  type ProcessOptions,
  type RequestSink,
} from './process.ts';

/** How a host is kept. */
export interface ModelHostOptions extends ProcessOptions {
  /** Wait after a host died that had answered nothing, milliseconds; doubled for each further time. Default 1,000. */
  readonly restartMs: number;
  /** Longest such wait, milliseconds. Default 60,000. */
  readonly restartMsMax: number;
}

/** What a host is kept by where nothing is said. */
export const MODEL_HOST_DEFAULTS: ModelHostOptions = {
  ...PROCESS_DEFAULTS,
  restartMs: 1_000,
  restartMsMax: 60_000,
};

/** A piece of what a model says. */
export type HostPart =
  | { readonly type: 'started'; readonly promptTokens: number; readonly reusedTokens: number }
  | { readonly type: 'text'; readonly text: string; readonly tokens: number }
  /** What it thinks before it answers; no part of the answer. */
  | { readonly type: 'thought'; readonly text: string; readonly tokens: number }
  | {
      readonly type: 'end';
      readonly finish: HostFinish;
      readonly tokens: number;
      readonly calls: readonly MadeCall[];
    };

/** A request to go on. */
export type GenerateRequest = Omit<GenerateMessage, 'type' | 'id'>;

/** A request for probabilities. */
export type ScoreRequest = Omit<ScoreMessage, 'type' | 'id'>;

/** A request to judge texts. */
export type JudgeRequest = Omit<EmbedMessage, 'id'> | Omit<RankMessage, 'id'>;

/** What goes with a request. */
export interface GenerateOptions {
  readonly signal: AbortSignal;
  readonly over?: (tokens: number) => void;
}

/** A model in a process of its own. */
export interface ModelHost {
  /** The process's id while there is one. */
  readonly pid: number | undefined;
  /** The end of what the last process wrote to its standard error. */
  readonly stderr: string;
  /** Starts the process if there is none and says what it loaded. Throws why it cannot. */
  ready(options?: { readonly signal?: AbortSignal }): Promise<ReadyMessage>;
  /**
   * Goes on from a prompt; the last part is `end`. Throws `cancelled` at once when `signal` aborts. `over` is called
   * once when nothing more is decoded for it, which may be long before its reader is through, with the tokens that
   * were generated.
   */
  generate(request: GenerateRequest, options: GenerateOptions): AsyncIterable<HostPart>;
  /** Natural logarithms of the probabilities of the answer's tokens. */
  score(request: ScoreRequest, options: { readonly signal: AbortSignal }): Promise<readonly number[]>;
  /** A text as the model divides it, without what a prompt begins with. */
  tokenize(text: string, options: { readonly signal: AbortSignal }): Promise<readonly number[]>;
  /** What each text comes to, in order: a vector, or the one number that it is worth. */
  judge(
    request: JudgeRequest,
    options: { readonly signal: AbortSignal },
  ): Promise<readonly (readonly number[])[]>;
  stats(): Promise<HostStats>;
  /** Ends the process; the next request starts another. Whatever runs fails. */
  unload(): Promise<void>;
}

/** A host for one model file. */
export function createModelHost(
  load: Omit<LoadMessage, 'type'>,
  parts: { readonly clock: Clock },
  options: Partial<ModelHostOptions> = {},
): ModelHost {
  return new KeptHost(load, parts, { ...MODEL_HOST_DEFAULTS, ...options });
}

class KeptHost implements ModelHost {
  readonly #load: Omit<LoadMessage, 'type'>;
  readonly #parts: { readonly clock: Clock };
  readonly #options: ModelHostOptions;
  #running: HostProcess | undefined;
  #failures = 0;
  #notBeforeMs = 0;
  #lastStderr = '';

  constructor(load: Omit<LoadMessage, 'type'>, parts: { readonly clock: Clock }, options: ModelHostOptions) {
    this.#load = load;
    this.#parts = parts;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  get stderr(): string {
    return this.#running?.stderr ?? this.#lastStderr;
  }

  ready({ signal }: { readonly signal?: AbortSignal } = {}): Promise<ReadyMessage> {
    return unlessAborted(signal, () => this.#process().ready);
  }

  async *generate(request: GenerateRequest, options: GenerateOptions): AsyncGenerator<HostPart> {
    const { signal } = options;
    let tokens = 0;
    let isOver = false;
    const over = (): void => {
      if (!isOver) options.over?.(tokens);
      isOver = true;
    };
    try {
      const host = this.#process();
      await unlessAborted(signal, () => host.ready);
      const parts = new Parts<HostPart>((part) => ('text' in part ? part.text.length : 0));
      const sink = this.#sink(parts);
      const asking = host.ask(
        { type: 'generate', ...request },
        {
          ...sink,
          text: (text) => {
            tokens = text.tokens;
            sink.text(text);
          },
          ended: (error) => {
            over();
            sink.ended(error);
          },
        },
      );
      // The host ends it with its next step; whoever comes next waits for that there.
      signal.addEventListener('abort', over, { once: true });
      try {
        yield* parts.read(signal, asking);
      } finally {
        signal.removeEventListener('abort', over);
      }
    } finally {
      over();
    }
  }

  score(request: ScoreRequest, options: { readonly signal: AbortSignal }): Promise<readonly number[]> {
    return this.#numbers({ type: 'score', ...request }, options);
  }

  tokenize(text: string, options: { readonly signal: AbortSignal }): Promise<readonly number[]> {
    return this.#numbers({ type: 'tokenize', text }, options);
  }

  judge(
    request: JudgeRequest,
    options: { readonly signal: AbortSignal },
  ): Promise<readonly (readonly number[])[]> {
    return this.#lists(request, options);
  }

  /** What is answered with one list of numbers. */
  async #numbers(
    request: Parameters<HostProcess['ask']>[0],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly number[]> {
    return (await this.#lists(request, options)).at(-1) ?? [];
  }

  /** What is answered with lists of numbers. */
  async #lists(
    request: Parameters<HostProcess['ask']>[0],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly (readonly number[])[]> {
    const host = this.#process();
    await unlessAborted(signal, () => host.ready);
    const parts = new Parts<readonly number[]>();
    const asking = host.ask(request, {
      text: () => {},
      message: (message) => {
        if (message.type === 'scored') parts.push(message.logProbabilities);
        else if (message.type === 'tokens') parts.push(message.tokens);
        else if (message.type === 'judged') parts.push(message.numbers);
      },
      ended: (error) => parts.end(error),
    });
    const found: (readonly number[])[] = [];
    for await (const part of parts.read(signal, asking)) found.push(part);
    this.#failures = 0;
    return found;
  }

  stats(): Promise<HostStats> {
    const none: HostStats = {
      memoryBytes: 0,
      processorMs: 0,
      contexts: 0,
      steps: [],
      tokens: 0,
      lateSteps: 0,
    };
    return this.#running?.stats() ?? Promise.resolve(none);
  }

  async unload(): Promise<void> {
    await this.#running?.close();
  }

  #sink(parts: Parts<HostPart>): RequestSink {
    return {
      text: ({ kind, ...text }) => parts.push({ type: kind === 'answer' ? 'text' : 'thought', ...text }),
      message: (message) => {
        if (message.type === 'started') {
          const { promptTokens, reusedTokens } = message;
          parts.push({ type: 'started', promptTokens, reusedTokens });
        } else if (message.type === 'end') {
          this.#failures = 0;
          const { finish, tokens, calls } = message;
          parts.push({ type: 'end', finish, tokens, calls });
        }
      },
      ended: (error) => parts.end(error),
    };
  }

  #process(): HostProcess {
    if (this.#running !== undefined) return this.#running;
    const waitMs = this.#notBeforeMs - this.#parts.clock.monotonicMs();
    if (waitMs > 0) {
      const reason = 'the model process ended and is started again shortly';
      throw new SaharaError('backend-failed', {
        backend: 'llama',
        reason,
        retryAfterMs: Math.ceil(waitMs),
      });
    }
    const host = new HostProcess(this.#load, this.#parts, this.#options);
    this.#running = host;
    void host.gone.then((error) => {
      this.#lastStderr = host.stderr;
      this.#running = undefined;
      if (error.code === 'cancelled') return;
      const { restartMs, restartMsMax } = this.#options;
      const waitMs = this.#failures === 0 ? 0 : Math.min(restartMsMax, restartMs * 2 ** (this.#failures - 1));
      this.#notBeforeMs = this.#parts.clock.monotonicMs() + waitMs;
      this.#failures++;
    });
    return host;
  }
}

/** What comes, until its reader takes it. Where that is too much, no more is made until half of it is taken. */
class Parts<T> {
  readonly #lengthOf: (part: T) => number;
  readonly #queue: T[] = [];
  #length = 0;
  #ended = false;
  #error: SaharaError | undefined;
  #wake: () => void = () => {};
  #pause: (paused: boolean) => void = () => {};

  constructor(lengthOf: (part: T) => number = () => 0) {
    this.#lengthOf = lengthOf;
  }

  push(part: T): void {
    this.#queue.push(part);
    this.#length += this.#lengthOf(part);
    if (this.#length > UNREAD_LENGTH_MAX) this.#pause(true);
    this.#wake();
  }

  end(error?: SaharaError): void {
    this.#ended = true;
    this.#error = error;
    this.#wake();
  }

  async *read(signal: AbortSignal, asking: Asking): AsyncGenerator<T> {
    const stop = (): void => {
      // At once: a reader that stands still may never ask for the next part.
      asking.cancel();
      this.#wake();
    };
    signal.addEventListener('abort', stop);
    this.#pause = (paused) => asking.pause(paused);
    try {
      for (;;) {
        if (signal.aborted) throw new SaharaError('cancelled');
        const part = this.#queue.shift();
        if (part !== undefined) {
          yield part;
          this.#length -= this.#lengthOf(part);
          if (2 * this.#length < UNREAD_LENGTH_MAX) this.#pause(false);
        } else if (this.#error !== undefined) throw this.#error;
        else if (this.#ended) return;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      signal.removeEventListener('abort', stop);
      asking.cancel();
    }
  }
}

async function unlessAborted<T>(signal: AbortSignal | undefined, start: () => Promise<T>): Promise<T> {
  if (signal?.aborted) throw new SaharaError('cancelled');
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(new SaharaError('cancelled'));
  signal?.addEventListener('abort', stop, { once: true });
  stopped.promise.catch(() => {});
  try {
    return await Promise.race([start(), stopped.promise]);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
