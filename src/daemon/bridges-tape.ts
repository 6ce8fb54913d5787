/** What an answer told so far, for any number of readers, each from the beginning. */
import type { SaharaError } from '../base/errors.ts';
import type { AnswerEvent } from '../bridges/core/ports.ts';

/** The events of one answer; the limits of an answer bound it. */
export interface Tape {
  readonly isEmpty: boolean;
  push(events: readonly AnswerEvent[]): void;
  /** Nothing follows; with `failure` every reader is thrown it. */
  close(failure?: SaharaError): void;
  /** From the first event to the last. Throws `signal`'s reason once it is aborted; the others read on. */
  read(signal?: AbortSignal): AsyncGenerator<AnswerEvent, void>;
}

/** An empty tape. */
export function createTape(): Tape {
  const events: AnswerEvent[] = [];
  let wake = Promise.withResolvers<void>();
  let over: { readonly failure: SaharaError | undefined } | undefined;
  const told = (): void => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  return {
    get isEmpty() {
      return events.length === 0;
    },
    push(more) {
      events.push(...more);
      told();
    },
    close(failure) {
      over = { failure };
      told();
    },
    async *read(signal) {
      const aborted = Promise.withResolvers<void>();
      const abort = (): void => aborted.resolve();
      signal?.addEventListener('abort', abort, { once: true });
      try {
        for (let at = 0; ; ) {
          signal?.throwIfAborted();
          const event = events[at];
          if (event !== undefined) {
            at += 1;
            yield event;
          } else if (over === undefined) await Promise.race([wake.promise, aborted.promise]);
          else if (over.failure === undefined) return;
          else throw over.failure;
        }
      } finally {
        signal?.removeEventListener('abort', abort);
      }
    },
  };
}
