/** Starts parts in order and stops them in reverse; a start that fails stops what had started. */
import type { Log } from '../base/log.ts';

/** Keeps what was started, to stop it again. */
export interface Lifecycle {
  /** Starts one part and remembers how to stop it. */
  start<T>(name: string, begin: () => T | Promise<T>, end?: (part: T) => void | Promise<void>): Promise<T>;
  /** Where to tell of starts and stops from now on. */
  logTo(log: Log): void;
  /** Stops everything in reverse order, once. A part that fails to stop does not keep the others running. */
  stop(): Promise<void>;
}

/** An empty lifecycle. */
export function createLifecycle(parts: { readonly log: Log }): Lifecycle {
  let { log } = parts;
  const started: { readonly name: string; readonly end: () => void | Promise<void> }[] = [];
  let stopping: Promise<void> | undefined;
  const stopAll = async (): Promise<void> => {
    for (const { name, end } of started.reverse()) {
      log.debug('stopping', { part: name });
      try {
        await end();
      } catch (error) {
        log.error('part did not stop cleanly', { part: name, reason: String(error) });
      }
    }
  };
  return {
    async start(name, begin, end) {
      const part = await begin();
      if (end) started.push({ name, end: () => end(part) });
      return part;
    },
    logTo(next) {
      log = next;
    },
    stop() {
      stopping ??= stopAll();
      return stopping;
    },
  };
}
