/** Worker threads that do jobs, largest first, each with its own memory. Nothing is shared but files. */
import { Worker } from 'node:worker_threads';
import { type ErrorCode, type ErrorFacts, invariant, SaharaError } from '../base/errors.ts';
import { type Job, type JobResult, jobBytes } from './jobs.ts';
import {
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
}

/** What a worker answers. */
export type WorkerReply =
  | { readonly ok: true; readonly result: JobResult }
  | { readonly ok: false; readonly code: ErrorCode; readonly facts: ErrorFacts };

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
 * failure, of a job or of `done`, and fails with it; with `cancelled` when the signal says so.
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
  const setup: WorkerSetup = { memoryBytes: workerMemory(options), root };
  const threads: Worker[] = [];
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(new SaharaError('cancelled'));
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const lines = Array.from({ length: count }, () => {
      const worker = new Worker(WORKER, { workerData: setup });
      threads.push(worker);
      return serve(worker, queue, done);
    });
    await Promise.race([Promise.all(lines), stopped.promise]);
  } finally {
    signal?.removeEventListener('abort', stop);
    stopped.promise.catch(() => {});
    await Promise.all(threads.map((worker) => worker.terminate()));
  }
}

// Feeds one worker from the queue until it is empty.
function serve<T extends Job>(
  worker: Worker,
  queue: T[],
  done: (job: T, result: JobResult) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let current: T | undefined;
    const next = (): void => {
      current = queue.shift();
      if (current) worker.postMessage(current);
      else resolve();
    };
    worker.on('message', (reply: WorkerReply) => {
      if (!reply.ok) return reject(new SaharaError(reply.code, reply.facts));
      try {
        if (current) done(current, reply.result);
        next();
      } catch (error) {
        reject(error);
      }
    });
    worker.on('error', reject);
    worker.on('exit', () => reject(new SaharaError('internal', { reason: 'a merge worker stopped' })));
    next();
  });
}
