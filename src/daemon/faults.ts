/**
 * Faults that nobody handled. Node would end the process at once and lose what is not yet on disk or claimed, so the
 * daemon tells the log, stops in order and ends with the exit code 1.
 */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';

/** The part of `process` that faults come from. */
export interface FaultSource {
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (fault: unknown) => void): unknown;
  off(event: 'uncaughtException' | 'unhandledRejection', listener: (fault: unknown) => void): unknown;
}

/** Where faults come from, and what ends the process after them. */
export interface FaultHandling {
  readonly source: FaultSource;
  /** Ends the process with a failure. */
  readonly end: () => void;
}

/** What is done about a fault. */
export interface FaultParts extends FaultHandling {
  readonly log: Log;
  /** Stops everything in order. */
  readonly stop: () => Promise<void>;
  readonly clock: Pick<Clock, 'after'>;
}

/** Longest time that a stop after a fault may take beyond the drain, milliseconds. */
export const FAULT_STOP_MARGIN_MS = 10_000;

/**
 * Watches for faults until the returned function is called. The first one stops and ends the process, at the latest
 * after `drainMs + FAULT_STOP_MARGIN_MS`; further ones are only told.
 */
export function watchFaults(parts: FaultParts, options: { readonly drainMs: number }): () => void {
  let stopping = false;
  const listenerFor = (event: string) => (fault: unknown) => {
    const stack = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
    parts.log.error('fault that nobody handled', { event, stack });
    if (stopping) return;
    stopping = true;
    const cancel = parts.clock.after(options.drainMs + FAULT_STOP_MARGIN_MS, parts.end);
    void parts
      .stop()
      .catch((error: unknown) => parts.log.error('did not stop cleanly', { reason: String(error) }))
      .then(() => {
        cancel();
        parts.end();
      });
  };
  const exception = listenerFor('uncaughtException');
  const rejection = listenerFor('unhandledRejection');
  parts.source.on('uncaughtException', exception);
  parts.source.on('unhandledRejection', rejection);
  return () => {
    parts.source.off('uncaughtException', exception);
    parts.source.off('unhandledRejection', rejection);
  };
}
