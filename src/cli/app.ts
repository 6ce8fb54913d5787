/** What every command works with, and how a command ends. */
import type { Command } from 'commander';
import { parseAmount } from '../base/amount.ts';
import { wakefulClock } from '../base/clock.ts';
import { type ErrorCode, SaharaError } from '../base/errors.ts';
import type { AdminClient } from '../daemon/admin/client.ts';
import { type Home, homeOf } from '../daemon/home.ts';
import { createPatientClient } from './patient-client.ts';
import { createTerminal, type Terminal } from './terminal.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly home?: string;
  /** False under `--no-input`. */
  readonly input?: boolean;
}

/** What a command works with. */
export interface App {
  readonly home: Home;
  readonly terminal: Terminal;
  readonly client: AdminClient;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** A group of commands adds itself to the program. `run` gives a command its App and handles its end. */
export type CommandGroup = (program: Command, run: Runner) => void;

/** What a command does with its App, its arguments and its options. */
export type Action<A extends readonly unknown[]> = (app: App, ...args: A) => Promise<void>;

/** Makes an action into what commander calls: with the arguments that the command declares, then the command. */
export type Runner = <A extends readonly unknown[]>(
  action: Action<A>,
) => (...args: unknown[]) => Promise<void>;

/** The App of one invocation. */
export function createApp(options: GlobalOptions): App {
  const environment = options.home ? { ...process.env, SAHARA_HOME: options.home } : process.env;
  const home = homeOf(environment);
  const stopped = new AbortController();
  process.once('SIGINT', () => {
    stopped.abort(new SaharaError('cancelled'));
    // A second Ctrl-C ends at once.
    process.once('SIGINT', () => process.exit(130));
  });
  return {
    home,
    environment,
    signal: stopped.signal,
    client: createPatientClient(home, wakefulClock),
    terminal: createTerminal(
      { stdout: process.stdout, stderr: process.stderr, stdin: process.stdin, environment },
      { json: options.json === true, quiet: options.input === false },
    ),
  };
}

/** Exit codes: 1 refused or failed, 2 usage, 3 the daemon is not running, 4 a newer program is needed, 130 stopped by the user. */
export function exitCodeOf(code: ErrorCode): number {
  if (code === 'daemon-not-running') return 3;
  if (code === 'upgrade-needed') return 4;
  if (code === 'usage' || code === 'config-invalid' || code === 'node-unsupported') return 2;
  return code === 'cancelled' ? 130 : 1;
}

/** Grains of what the user wrote for `option`, as a decimal text. Throws `usage`. */
export function amountOption(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const grains = parseAmount(text);
  if (grains === undefined) {
    throw usage(`${option} takes an amount in SAHARA such as 0.002, not "${text}"`);
  }
  return String(grains);
}

/** A whole number from 1 to 999,999 that the user wrote for `option`. Throws `usage`. */
export function countOption(option: string, text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw usage(`${option} takes a whole number from 1 to 999999, not "${text}"`);
  return count;
}

/** The failure of a command line that makes no sense, as one sentence without its full stop. */
export function usage(reason: string): SaharaError {
  return new SaharaError('usage', { reason });
}
