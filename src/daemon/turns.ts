/** One at a time: work on the same thing waits for the work before it. */
import { SaharaError } from '../base/errors.ts';

/** Work that waits for one thing, at most. */
export const TURNS_WAITING_MAX = 4_096;

/** What those who had their turn since anybody began to wait have taken, in whatever unit they count. */
export interface Turn {
  taken: bigint;
}

/** Turns by name. */
export class Turns {
  readonly #lines = new Map<string, { last: Promise<unknown>; waiting: number; readonly turn: Turn }>();

  /**
   * Runs `work` once all work of this name that came before has ended, however it ended. Throws `overloaded`, and
   * `cancelled` when the signal comes before its turn.
   */
  async take<T>(
    name: string,
    work: (turn: Turn) => Promise<T>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<T> {
    const line = this.#lines.get(name) ?? { last: Promise.resolve(), waiting: 0, turn: { taken: 0n } };
    if (line.waiting >= TURNS_WAITING_MAX) {
      throw new SaharaError('overloaded', { what: 'turns', limit: TURNS_WAITING_MAX });
    }
    this.#lines.set(name, line);
    line.waiting++;
    const mine = line.last.then(() => {
      if (signal.aborted) throw new SaharaError('cancelled');
      return work(line.turn);
    });
    line.last = mine.catch(() => {});
    const left = Promise.withResolvers<never>();
    left.promise.catch(() => {});
    const leave = (): void => left.reject(new SaharaError('cancelled'));
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([mine, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
      void line.last.then(() => {
        line.waiting--;
        if (line.waiting === 0) this.#lines.delete(name);
      });
    }
  }
}
