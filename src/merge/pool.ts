/**
 * Worker threads that do jobs, largest first, each with its own memory. Nothing is shared but files and one flag.
 *
 * A thread that is terminated while it still loads its modules can take the whole process along: V8 checks there for
 * what termination leaves empty (nodejs/node#43182). So threads end by themselves: the flag stops a job at its next
 * read or write, and a message closes the thread's port. Only one that was ready and then does not end in time is
 * terminated.
 */
import { Worker } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { type ErrorCode, type ErrorFacts, invariant, SaharaError } from '../base/errors.ts';
import { type Job, type JobResult, jobBytes } from './jobs.ts';
import {
  WORKER_END_MS_MAX,
  WORKER_LOAD_MS_MAX,
  WORKER_MEMORY_BYTES_MAX,
  WORKER_MEMORY_BYTES_MIN,
  WORKER_SHARE_BYTES_MIN,
  WORKERS_MAX,
} from './limits.ts';

/** What a worker is started with. */
export interface WorkerSetup {
  readonly memoryBytes: number;
  /** Folder that tasks write below; absent: nothing is written. */
  readonly root: string | undefined;
  /** One shared number; anything but zero stops the job that runs. */
  readonly stop: Int32Array;
}

/** What a worker is told: a job, or to end. */
export type WorkerOrder = { readonly type: 'job'; readonly job: Job } | { readonly type: 'end' };

/** What a worker says: first that it is ready, then one answer to each job. */
export type WorkerReply =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly result: JobResult }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly facts: ErrorFacts };

/** How many workers with how much memory. */
export interface PoolOptions {
  /** Threads, at least 1; no more are started than there is work for. Default: one per processor, at most 4. */
  readonly workers: number;
  /** Memory of all workers together in bytes. Default 96 MiB; each has at least 8 MiB. */
  readonly memoryBytes: number;
  /** Stops the work. */
  readonly signal?: AbortSignal;
}

/** A worker's memory in bytes, out of what all have together. */
function workerMemory({ workers, memoryBytes }: Pick<PoolOptions, 'workers' | 'memoryBytes'>): number {
  const each = Math.floor(memoryBytes / workers);
  return Math.min(WORKER_MEMORY_BYTES_MAX, Math.max(WORKER_MEMORY_BYTES_MIN, each));
}

// As source the worker is TypeScript, compiled it is JavaScript.
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/**
 * Does `jobs`, calling `done` for each as it is finished, in no particular order. Stops all workers on the first
 * failure, of a job or of `done`, and fails with it; with `cancelled` when the signal says so; with `internal` when a
 * worker dies. No worker runs any more when it returns.
 */
export async function runJobs<T extends Job>(
  jobs: readonly T[],
  options: PoolOptions & { readonly root?: string },
  done: (job: T, result: JobResult) => void,
): Promise<void> {
  const { workers, signal, root } = options;
  invariant(workers >= 1 && workers <= WORKERS_MAX, 'a sensible number of workers');
  if (signal?.aborted) throw new SaharaError('cancelled');
  const queue = [...jobs].sort((a, b) => jobBytes(b) - jobBytes(a));
  const bytes = queue.reduce((sum, job) => sum + jobBytes(job), 0);
  const count = Math.min(workers, queue.length, Math.ceil(bytes / WORKER_SHARE_BYTES_MIN) || 1);
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const setup: WorkerSetup = { memoryBytes: workerMemory(options), root, stop };
  const threads: Thread<T>[] = [];
  const cancelled = Promise.withResolvers<never>();
  const cancel = (): void => cancelled.reject(new SaharaError('cancelled'));
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    for (let i = 0; i < count; i++) threads.push(new Thread(setup, queue, done));
    await Promise.race([Promise.all(threads.map((thread) => thread.finished)), cancelled.promise]);
  } finally {
    signal?.removeEventListener('abort', cancel);
    cancelled.promise.catch(() => {});
    Atomics.store(stop, 0, 1);
    await Promise.all(threads.map((thread) => thread.end()));
  }
}

/** One worker, fed from the queue until that is empty. */
class Thread<T extends Job> {
  /** Resolves when the queue is empty and its own job done; rejects with what failed. */
  readonly finished: Promise<void>;
  readonly #worker: Worker;
  readonly #ready: Promise<void>;
  readonly #gone: Promise<void>;
  #ending = false;

  constructor(setup: WorkerSetup, queue: T[], done: (job: T, result: JobResult) => void) {
    this.#worker = new Worker(WORKER, { workerData: setup });
    const finished = Promise.withResolvers<void>();
    const ready = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    this.finished = finished.promise;
    this.#ready = ready.promise;
    this.#gone = gone.promise;
    // Heard through `Promise.all`, unless the work was cancelled first.
    this.finished.catch(() => {});
    let current: T | undefined;
    const next = (): void => {
      current = queue.shift();
      if (current === undefined) finished.resolve();
      else this.#tell({ type: 'job', job: current });
    };
    this.#worker.on('message', (reply: WorkerReply) => {
      if (reply.type === 'ready') ready.resolve();
      if (this.#ending) return;
      if (reply.type === 'failed') return finished.reject(new SaharaError(reply.code, reply.facts));
      try {
        if (reply.type === 'done' && current !== undefined) done(current, reply.result);
        next();
      } catch (error) {
        finished.reject(error);
      }
    });
    this.#worker.on('error', (error) => finished.reject(died(error)));
    this.#worker.on('exit', () => {
      finished.reject(died());
      gone.resolve();
    });
  }

  /** Has it end by itself, and waits for that. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#tell({ type: 'end' });
    const loaded = await within(WORKER_LOAD_MS_MAX, Promise.race([this.#ready, this.#gone]));
    // It has no job and finds the message when it has loaded; nobody needs to wait for that.
    if (!loaded) this.#worker.unref();
    else if (!(await within(WORKER_END_MS_MAX, this.#gone))) await this.#worker.terminate();
  }

  #tell(order: WorkerOrder): void {
    this.#worker.postMessage(order);
  }
}

function died(cause?: unknown): SaharaError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new SaharaError('internal', { reason: `a merge worker stopped${why}` }, { cause });
}

/** Whether `event` comes within `ms` milliseconds. */
async function within(ms: number, event: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const cancel = systemClock.after(ms, () => late.resolve(false));
  try {
    return await Promise.race([event.then(() => true), late.promise]);
  } finally {
    cancel();
  }
}
