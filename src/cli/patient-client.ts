/** The admin client as commands use it: a daemon that is just starting is waited for. */
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { type AdminClient, createAdminClient } from '../daemon/admin/client.ts';
import { type Home, startingPid } from '../daemon/home.ts';

/** How long a starting daemon is waited for. */
export interface Patience {
  /** Milliseconds. Default 10,000. */
  readonly waitMs: number;
  /** Time between two attempts, milliseconds. Default 100. */
  readonly everyMs: number;
}

/** What commands wait unless told otherwise. */
export const PATIENCE_DEFAULTS: Patience = { waitMs: 10_000, everyMs: 100 };

/** Failures to connect, after which nothing can have been carried out. */
const UNCONNECTED: ReadonlySet<unknown> = new Set(['ENOENT', 'ECONNREFUSED']);

/**
 * A client of the daemon of `home`. While a process holds the home but does not answer yet, it tries again; what it
 * throws in the end is `daemon-not-running`, with `reason` 'starting' if the process is still there.
 */
export function createPatientClient(
  home: Home,
  clock: Clock,
  patience: Patience = PATIENCE_DEFAULTS,
): AdminClient {
  const client = createAdminClient(home.socket);
  /** Returns when another attempt makes sense; throws `error` when none does. */
  const waitAfter = async (error: unknown, untilMs: number, signal?: AbortSignal): Promise<void> => {
    const failure = asSaharaError(error);
    const isOff = failure.code === 'daemon-not-running' && UNCONNECTED.has(failure.facts.reason);
    if (!isOff || signal?.aborted) throw error;
    const pid = startingPid(home, clock.nowMs());
    if (pid === undefined) throw error;
    if (clock.monotonicMs() >= untilMs) {
      throw new SaharaError('daemon-not-running', { path: home.root, pid, reason: 'starting' });
    }
    await new Promise<void>((resolve) => clock.after(patience.everyMs, resolve));
  };
  return {
    async call(method, input, options) {
      const untilMs = clock.monotonicMs() + patience.waitMs;
      for (;;) {
        try {
          return await client.call(method, input, options);
        } catch (error) {
          await waitAfter(error, untilMs, options?.signal);
        }
      }
    },
    async *stream(method, input, options) {
      const untilMs = clock.monotonicMs() + patience.waitMs;
      for (;;) {
        try {
          return yield* client.stream(method, input, options);
        } catch (error) {
          await waitAfter(error, untilMs, options?.signal);
        }
      }
    },
  };
}
