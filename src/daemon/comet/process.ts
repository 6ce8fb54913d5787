/**
 * The CometBFT process of this home: found, started, watched and ended. It comes after the application that it asks and
 * goes before it. One that ends by itself is started again, each time after a longer wait.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Clock, every } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { COMET_INSTALL } from './version.ts';

/** Where the program is: `COMETBFT_BIN`, or on the path. Throws `program-missing` with the line that installs it. */
export async function findComet(environment: NodeJS.ProcessEnv): Promise<string> {
  const named = environment.COMETBFT_BIN || undefined;
  const places =
    named === undefined
      ? (environment.PATH ?? '').split(delimiter).map((folder) => join(folder, 'cometbft'))
      : [named];
  for (const place of places) {
    const found = await access(place, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return place;
  }
  throw new SaharaError('program-missing', {
    program: 'CometBFT',
    reason:
      named === undefined
        ? 'It is not on the path'
        : `There is no program at ${named}, which COMETBFT_BIN names`,
    advice: `Install it with Go, ${COMET_INSTALL}, or name the program in COMETBFT_BIN`,
  });
}

/** Parts of a supervised process. */
export interface CometProcessParts {
  readonly program: string;
  /** The folder with its files. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Is told the last lines that it wrote when it has ended by itself. */
  readonly ended?: (lines: readonly string[]) => void;
}

/** Options of a supervised process. */
export interface CometProcessOptions {
  /** First wait before it is started again, milliseconds; each further one is twice as long. Default 500. */
  readonly restartMs: number;
  /** Longest wait, milliseconds. Default 30,000. */
  readonly restartMsMax: number;
  /** How long it has to end before it is killed, milliseconds. Default 10,000. */
  readonly endMs: number;
}

/** Defaults of a supervised process. */
export const COMET_PROCESS_DEFAULTS: CometProcessOptions = {
  restartMs: 500,
  restartMsMax: 30_000,
  endMs: 10_000,
};

/** Lines of its log that are kept to say why it ended. */
const LINES_KEPT = 8;
/** Longest of them, characters. */
const LINE_CHARS_MAX = 400;
/** What of the environment reaches it: neither the home's passphrase, nor tokens, nor what would change its configuration. */
const PASSED = /^(?:PATH|HOME|TMPDIR|TEMP|TMP|TZ|SYSTEMROOT|WINDIR|GO\w+|SSL_CERT_\w+)$/i;

/** A supervised process. */
export interface CometProcess {
  /** Its number now; `undefined` between two of them. */
  pid(): number | undefined;
  /** How often it was started. */
  starts(): number;
  /** The last lines that it wrote, for a person who asks why it does not run. */
  lastLines(): readonly string[];
  /** Ends it and waits until it has ended. */
  stop(): Promise<void>;
}

/** Starts CometBFT on the files in `parts.folder`. */
export function superviseComet(
  parts: CometProcessParts,
  options: Partial<CometProcessOptions> = {},
): CometProcess {
  return new Supervised(parts, { ...COMET_PROCESS_DEFAULTS, ...options });
}

class Supervised implements CometProcess {
  readonly #parts: CometProcessParts;
  readonly #options: CometProcessOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #lines: readonly string[] = [];
  #waitMs: number;
  #cancelRestart: (() => void) | undefined;
  #stopping = false;
  #starts = 0;

  constructor(parts: CometProcessParts, options: CometProcessOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#waitMs = options.restartMs;
    this.#start();
  }

  pid(): number | undefined {
    return this.#child?.pid;
  }

  starts(): number {
    return this.#starts;
  }

  lastLines(): readonly string[] {
    return this.#lines;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelRestart?.();
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    const cancel = this.#parts.clock.after(this.#options.endMs, () => child.kill('SIGKILL'));
    await this.#ended;
    cancel();
  }

  #start(): void {
    const { program, folder, clock, log } = this.#parts;
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED.test(name)));
    const child = spawn(program, ['start', '--home', folder, '--log_level', 'error'], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#starts++;
    child.stdout?.on('data', (text: Buffer) => this.#keep(text));
    child.stderr?.on('data', (text: Buffer) => this.#keep(text));
    // Once it has run for as long as the longest wait, an end is a new one.
    const settle = every(clock, this.#options.restartMsMax, () => {
      this.#waitMs = this.#options.restartMs;
    });
    this.#ended = new Promise((resolve) => {
      const ended = (how: string): void => {
        if (this.#child !== child) return;
        settle();
        this.#child = undefined;
        if (!this.#stopping) this.#restart(how);
        resolve();
      };
      child.on('error', (error) => ended(error.message));
      child.on('close', (code, signal) => ended(signal ?? `exit code ${code}`));
    });
    log.info('CometBFT started', { pid: child.pid ?? 0 });
  }

  #restart(how: string): void {
    const { clock, log, ended } = this.#parts;
    log.warn('CometBFT ended by itself', { how, again: this.#waitMs, last: this.#lines.at(-1) ?? '' });
    ended?.([...this.#lines, how]);
    this.#cancelRestart = clock.after(this.#waitMs, () => {
      if (!this.#stopping) this.#start();
    });
    this.#waitMs = Math.min(2 * this.#waitMs, this.#options.restartMsMax);
  }

  #keep(text: Buffer): void {
    const lines = text
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '');
    this.#lines = [...this.#lines, ...lines.map((line) => line.slice(0, LINE_CHARS_MAX))].slice(-LINES_KEPT);
  }
}
