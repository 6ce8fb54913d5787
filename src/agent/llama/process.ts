/**
 * One run of a model host: a forked process with one model. It is asked over its channel and believed nothing that
 * `messages.ts` does not allow; when it dies, everything that it was asked fails with a code.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { STDERR_LENGTH_MAX } from './limits.ts';
import type {
  FromHost,
  GenerateMessage,
  HostStats,
  LoadMessage,
  ReadyMessage,
  ScoreMessage,
  TextKind,
  ToHost,
  TokenizeMessage,
} from './messages.ts';
import type { EmbedMessage, RankMessage } from './messages-judging.ts';
import { readFromHost } from './read-messages.ts';

/** How long a host may take. */
export interface ProcessOptions {
  /** Longest time from the fork to the loaded model, milliseconds. Default 600,000. */
  readonly loadMs: number;
  /** Longest silence while something is asked of it, milliseconds. Default 120,000. */
  readonly idleMs: number;
  /** Most memory of its JavaScript, megabytes; tensors are outside of it. Default 1,024. */
  readonly heapMegabytes: number;
}

/** What a host is given where nothing is said. */
export const PROCESS_DEFAULTS: ProcessOptions = { loadMs: 600_000, idleMs: 120_000, heapMegabytes: 1_024 };

/** What is told about one request. The last call is `ended`. */
export interface RequestSink {
  message(message: Extract<FromHost, { readonly id: number }>): void;
  text(text: { readonly text: string; readonly tokens: number; readonly kind: TextKind }): void;
  /** Nothing more comes: it ended, or the host failed. */
  ended(error?: SaharaError): void;
}

/** A request under way. */
export interface Asking {
  cancel(): void;
  /** Has no more decoded for it, or again. */
  pause(paused: boolean): void;
}

// As source the host is TypeScript, compiled it is JavaScript.
const MAIN = new URL(import.meta.url.endsWith('.ts') ? './host/main.ts' : './host/main.js', import.meta.url);

/** What of the daemon's environment a host needs: where libraries and devices are, and no secret. */
const PASSED =
  /^(?:PATH|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|HOME|USERPROFILE|SystemRoot|TEMP|TMP|TMPDIR|XDG_[A-Z_]+|CUDA_[A-Z_]+|NVIDIA_[A-Z_]+|HIP_[A-Z_]+|VK_[A-Z_]+|GGML_[A-Z_]+)$/i;

/** What a host is asked. */
type Asked =
  | Omit<GenerateMessage, 'id'>
  | Omit<ScoreMessage, 'id'>
  | Omit<TokenizeMessage, 'id'>
  | Omit<EmbedMessage, 'id'>
  | Omit<RankMessage, 'id'>;

/** A running host. */
export class HostProcess {
  /** Resolves with what was loaded; rejects with why nothing could be. */
  readonly ready: Promise<ReadyMessage>;
  /** Resolves when the process is gone. */
  readonly gone: Promise<SaharaError>;
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #options: ProcessOptions;
  readonly #readied = Promise.withResolvers<ReadyMessage>();
  readonly #left = Promise.withResolvers<SaharaError>();
  readonly #requests = new Map<number, RequestSink>();
  /** Those of them whose readers are behind. */
  readonly #paused = new Set<number>();
  readonly #statsAsked: PromiseWithResolvers<HostStats>[] = [];
  #id = 0;
  #stderr = '';
  #failure: SaharaError | undefined;
  #dead = false;
  #cancelTimer: () => void;

  constructor(load: Omit<LoadMessage, 'type'>, parts: { readonly clock: Clock }, options: ProcessOptions) {
    this.#clock = parts.clock;
    this.#options = options;
    this.ready = this.#readied.promise;
    this.gone = this.#left.promise;
    this.ready.catch(() => {});
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED.test(name)));
    this.#child = fork(MAIN, {
      env,
      execArgv: [`--max-old-space-size=${options.heapMegabytes}`],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8');
    this.#child.stderr?.on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_LENGTH_MAX);
    });
    this.#child.on('message', (value) => this.#take(value));
    this.#child.on('error', (error) => this.#fail(failed(error.message)));
    this.#child.on('close', (code, signal) => this.#gone(code, signal));
    this.#cancelTimer = this.#clock.after(options.loadMs, () =>
      this.#fail(failed('the model took too long to load')),
    );
    this.#send({ type: 'load', ...load });
  }

  /** The process's id, for whoever looks from outside. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The end of what it wrote to its standard error. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Asks. The sink hears of it from the next turn on. */
  ask(request: Asked, sink: RequestSink): Asking {
    const id = ++this.#id;
    if (this.#dead) {
      queueMicrotask(() => sink.ended(this.#failure ?? failed('the model process is gone')));
      return { cancel: () => {}, pause: () => {} };
    }
    this.#requests.set(id, sink);
    if (this.#requests.size - this.#paused.size === 1) this.#watch();
    this.#send({ ...request, id });
    return {
      cancel: () => {
        if (this.#requests.has(id)) this.#send({ type: 'cancel', id });
        this.#forget(id);
      },
      pause: (paused) => {
        if (!this.#requests.has(id) || this.#paused.has(id) === paused) return;
        this.#send({ type: 'pause', id, paused });
        if (paused) this.#paused.add(id);
        else this.#paused.delete(id);
        this.#watch();
      },
    };
  }

  #forget(id: number): void {
    this.#requests.delete(id);
    this.#paused.delete(id);
    // Who is left may all be paused.
    if (this.#requests.size === this.#paused.size) this.#cancelTimer();
  }

  /** How it decodes. */
  stats(): Promise<HostStats> {
    if (this.#dead) return Promise.reject(this.#failure ?? failed('the model process is gone'));
    const asked = Promise.withResolvers<HostStats>();
    this.#statsAsked.push(asked);
    this.#send({ type: 'ask-stats' });
    return asked.promise;
  }

  /** Ends the process and waits for that; whatever it was asked fails. */
  async close(): Promise<void> {
    this.#fail(new SaharaError('cancelled'));
    await this.gone;
  }

  #send(message: ToHost): void {
    // A channel that is closed is told by `close`.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #take(value: unknown): void {
    let message: FromHost;
    try {
      message = readFromHost(value);
    } catch (error) {
      this.#fail(failed('the model process said something malformed', asSaharaError(error)));
      return;
    }
    if (this.#requests.size > 0) this.#watch();
    if (message.type === 'ready') {
      this.#cancelTimer();
      this.#readied.resolve(message);
    } else if (message.type === 'unable') {
      this.#fail(new SaharaError(message.code, message.facts));
    } else if (message.type === 'stats') {
      const { type: _, ...stats } = message;
      this.#statsAsked.shift()?.resolve(stats);
    } else if (message.type === 'texts') {
      for (const [id, text, tokens, kind] of message.texts) {
        this.#requests.get(id)?.text({ text, tokens, kind });
      }
    } else this.#tell(message);
  }

  #tell(message: Extract<FromHost, { readonly id: number }>): void {
    const sink = this.#requests.get(message.id);
    if (sink === undefined) return;
    const goesOn = message.type === 'started' || (message.type === 'judged' && !message.last);
    if (!goesOn) {
      this.#forget(message.id);
    }
    if (message.type === 'failed') {
      sink.ended(new SaharaError(message.code, message.facts));
      return;
    }
    sink.message(message);
    if (!goesOn) sink.ended();
  }

  /** Begins to wait anew for the next word of a host that is asked something, and not told to pause. */
  #watch(): void {
    if (this.#dead) return;
    this.#cancelTimer();
    if (this.#requests.size === this.#paused.size) return;
    this.#cancelTimer = this.#clock.after(this.#options.idleMs, () => {
      this.#fail(failed(`the model process was silent for ${this.#options.idleMs} ms`));
    });
  }

  #fail(error: SaharaError): void {
    this.#failure ??= error;
    this.#child.kill('SIGKILL');
  }

  #gone(code: number | null, signal: string | null): void {
    this.#dead = true;
    this.#cancelTimer();
    const failure = this.#failure ?? failed(`the model process ended (${signal ?? `code ${code}`})`);
    this.#failure = failure;
    this.#readied.reject(failure);
    for (const asked of this.#statsAsked.splice(0)) asked.reject(failure);
    const sinks = [...this.#requests.values()];
    this.#requests.clear();
    for (const sink of sinks) sink.ended(failure);
    this.#left.resolve(failure);
  }
}

function failed(reason: string, cause?: unknown): SaharaError {
  return new SaharaError('backend-failed', { backend: 'llama', reason }, { cause });
}
