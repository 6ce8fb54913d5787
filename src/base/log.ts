import { destination, type Logger as PinoLogger, pino } from 'pino';

/** Facts of one log line. Never secrets, prompts or answers. */
export type LogFacts = Readonly<Record<string, unknown>>;

/** Structured log lines; `child` adds facts to every line below it. */
export interface Log {
  debug(event: string, facts?: LogFacts): void;
  info(event: string, facts?: LogFacts): void;
  warn(event: string, facts?: LogFacts): void;
  error(event: string, facts?: LogFacts): void;
  child(facts: LogFacts): Log;
}

/** How much is written. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Drops everything. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

const SECRETS = [
  'token',
  'secret',
  'passphrase',
  'password',
  'seed',
  'privateKey',
  'authorization',
  'apiKey',
];

/** JSON lines to the file `path`, or to standard error without one. Fields named like secrets are removed. */
export function createLog(options: { readonly level: LogLevel; readonly path?: string }): Log {
  const target =
    options.path === undefined
      ? destination(2)
      : destination({ dest: options.path, mkdir: true, mode: 0o600 });
  const redact = {
    paths: SECRETS.flatMap((name) => [name, `*.${name}`]),
    remove: true,
  };
  return wrap(pino({ level: options.level, base: null, redact }, target));
}

function wrap(logger: PinoLogger): Log {
  return {
    debug: (event, facts) => logger.debug(facts ?? {}, event),
    info: (event, facts) => logger.info(facts ?? {}, event),
    warn: (event, facts) => logger.warn(facts ?? {}, event),
    error: (event, facts) => logger.error(facts ?? {}, event),
    child: (facts) => wrap(logger.child(facts)),
  };
}
