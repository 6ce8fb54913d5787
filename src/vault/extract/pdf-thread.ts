/**
 * Parses PDF files in a thread of their own: the parser is large, the files are strangers', and what it throws where
 * nobody waits, runs out of memory on, or never ends with, must not take the daemon along. One thread serves one file
 * after the other and does not keep the process alive.
 */
import { Worker } from 'node:worker_threads';
import { systemClock } from '../../base/clock.ts';
import { PDF_MEMORY_MIB_MAX, PDF_READ_MS_MAX } from '../limits.ts';
import type { PdfRead } from './pdf-worker.ts';

let thread: Worker | undefined;
let queue: Promise<unknown> = Promise.resolve();

/** What is in a PDF file; `bytes` stay the caller's. */
export function readPdf(bytes: Uint8Array): Promise<PdfRead> {
  const done = queue.then(() => ask(bytes));
  queue = done;
  return done;
}

function ask(bytes: Uint8Array): Promise<PdfRead> {
  const worker = thread ?? start();
  thread = worker;
  worker.ref();
  return new Promise((resolve) => {
    const finish = (read: PdfRead): void => {
      cancel();
      worker.off('message', finish).off('error', failed).off('exit', ended);
      worker.unref();
      resolve(read);
    };
    const giveUp = (reason: string): void => {
      if (thread === worker) thread = undefined;
      finish({ type: 'failed', reason });
      void worker.terminate();
    };
    const failed = (error: unknown): void => giveUp(error instanceof Error ? error.message : String(error));
    const ended = (): void => giveUp('the parser stopped');
    const cancel = systemClock.after(PDF_READ_MS_MAX, () => giveUp('reading it takes too long'));
    worker.on('message', finish).on('error', failed).on('exit', ended);
    worker.postMessage(bytes);
  });
}

function start(): Worker {
  // Beside this file, compiled or not.
  const file = import.meta.url.endsWith('.ts') ? './pdf-worker.ts' : './pdf-worker.js';
  const worker = new Worker(new URL(file, import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: PDF_MEMORY_MIB_MAX },
  });
  // Told to whoever waits; without a listener it would be the process's.
  worker.on('error', () => {});
  return worker;
}
