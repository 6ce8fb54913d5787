/**
 * Parses PDF files in a process of its own: the parser is large, the files are strangers', and what it throws where
 * nobody waits, runs out of memory on, or never ends with, must not take the daemon along. A thread would not do: one
 * that runs out of memory can end the whole process in spite of its limits (nodejs/node#47224). One process serves
 * file after file; it ends when it was idle for a while, and with whoever started it.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import {
  PDF_HEAP_MIB_MIN,
  PDF_IDLE_MS,
  PDF_MEMORY_MIB_MAX,
  PDF_OUTSIDE_HEAP_MIB,
  PDF_READ_MS_MAX,
  PDF_REPLY_BYTES_MAX,
} from '../limits.ts';
import { decodeRead, frameHead, type PdfRead, readFrames } from './pdf-messages.ts';

/** What the process may take. */
export interface PdfReaderOptions {
  /** Most memory of the process, MiB, the program itself (about 120) included. Default 1,024, minimum 256. */
  readonly memoryMiB: number;
  /** Longest time for one file, milliseconds. Default 180,000. */
  readonly readMs: number;
  /** How long the process waits for another file, milliseconds. Default 10,000. */
  readonly idleMs: number;
}

/** What the process may take where nothing is said. */
export const PDF_READER_DEFAULTS: PdfReaderOptions = {
  memoryMiB: PDF_MEMORY_MIB_MAX,
  readMs: PDF_READ_MS_MAX,
  idleMs: PDF_IDLE_MS,
};

/** Reads PDF files, one after the other. */
export interface PdfReader {
  /** The process's id while there is one. */
  readonly pid: number | undefined;
  /** What is in a PDF file; `bytes` stay the caller's. Never rejects. */
  read(bytes: Uint8Array): Promise<PdfRead>;
}

/** A reader; its process is started with the first file. It does not keep this process alive unless it reads. */
export function createPdfReader(
  parts: { readonly clock: Clock },
  options: Partial<PdfReaderOptions> = {},
): PdfReader {
  return new Reader(parts.clock, { ...PDF_READER_DEFAULTS, ...options });
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

interface Running {
  readonly child: Child;
  readonly replies: AsyncGenerator<Uint8Array>;
  /** Resolves when it is gone, with why. */
  readonly gone: Promise<string>;
}

// As source the program is TypeScript, compiled it is JavaScript.
const MAIN = new URL(import.meta.url.endsWith('.ts') ? './pdf-child.ts' : './pdf-child.js', import.meta.url);

/** What of the daemon's environment the process is given: what a program needs to start, and no secret. */
const PASSED = /^(?:PATH|SystemRoot|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH)$/i;

class Reader implements PdfReader {
  readonly #clock: Clock;
  readonly #options: PdfReaderOptions;
  #running: Running | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #cancelIdle: () => void = () => {};

  constructor(clock: Clock, options: PdfReaderOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  read(bytes: Uint8Array): Promise<PdfRead> {
    const done = this.#queue.then(() => this.#ask(bytes));
    this.#queue = done;
    return done;
  }

  async #ask(bytes: Uint8Array): Promise<PdfRead> {
    this.#cancelIdle();
    this.#running ??= this.#start();
    const running = this.#running;
    const { child, replies, gone } = running;
    let late = false;
    const cancel = this.#clock.after(this.#options.readMs, () => {
      late = true;
      child.kill('SIGKILL');
    });
    hold(child, true);
    try {
      child.stdin.write(frameHead(bytes));
      child.stdin.write(bytes);
      const { value, done } = await replies.next();
      if (done !== true) return decodeRead(value);
      const reason = await gone;
      return { type: 'stopped', reason: late ? 'reading it takes too long' : reason };
    } catch (error) {
      child.kill('SIGKILL');
      await gone;
      return { type: 'stopped', reason: asSaharaError(error).message };
    } finally {
      cancel();
      hold(child, false);
      this.#cancelIdle = this.#clock.after(this.#options.idleMs, () => this.#end(running));
    }
  }

  #end(running: Running): void {
    if (this.#running === running) this.#running = undefined;
    running.child.stdin.end();
  }

  #start(): Running {
    const { memoryMiB } = this.#options;
    const heapMiB = Math.max(PDF_HEAP_MIB_MIN, memoryMiB - PDF_OUTSIDE_HEAP_MIB);
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED.test(name)));
    const program = [`--max-old-space-size=${heapMiB}`, fileURLToPath(MAIN), String(memoryMiB)];
    const child = spawn(process.execPath, program, { env, stdio: ['pipe', 'pipe', 'ignore'] });
    // What could not be written is told by its end.
    child.stdin.on('error', () => {});
    const gone = new Promise<string>((resolve) => {
      child.on('error', (error) => resolve(`it cannot be read here: ${error.message}`));
      child.on('close', (code, signal) => resolve(deathOf(signal ?? `code ${code}`, memoryMiB)));
    });
    const running = { child, replies: readFrames(child.stdout, PDF_REPLY_BYTES_MAX), gone };
    void gone.then(() => this.#end(running));
    return running;
  }
}

/** Whether the process, and the pipes to it, keep this one alive. */
function hold(child: Child, held: boolean): void {
  const pipes = [child.stdin, child.stdout].filter((pipe) => pipe instanceof Socket);
  for (const one of [child, ...pipes]) {
    if (held) one.ref();
    else one.unref();
  }
}

function deathOf(how: string, memoryMiB: number): string {
  return `the process that read it ended (${how}), as it does when a file asks for more than ${memoryMiB} MiB of memory`;
}
