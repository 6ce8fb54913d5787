/** Events of one call on their way to one reader, who may be slow, late or never come. */
import { invariant, SaharaError } from '../base/errors.ts';
import { EVENTS_WAITING_MAX } from './call-limits.ts';

/** A bounded queue of events. */
export class EventQueue<Event> {
  readonly #waiting: Event[] = [];
  #reader: { resolve(next: IteratorResult<Event>): void; reject(error: unknown): void } | undefined;
  #attached = false;
  #overflown = false;
  #done = false;
  #failure: SaharaError | undefined;
  #room: (() => void) | undefined;

  /** Adds events. Resolves when more may be made: a reader that does not read holds the maker back. */
  push(events: readonly Event[]): Promise<void> | undefined {
    for (const event of events) {
      const reader = this.#reader;
      this.#reader = undefined;
      if (reader) reader.resolve({ done: false, value: event });
      else if (!this.#overflown) this.#waiting.push(event);
    }
    if (this.#waiting.length < EVENTS_WAITING_MAX) return undefined;
    if (!this.#attached) {
      // Nobody reads: the result holds the whole answer, and later events would only be the end of it.
      this.#overflown = true;
      this.#waiting.length = 0;
      return undefined;
    }
    return new Promise((resolve) => {
      this.#room = resolve;
    });
  }

  /** Nothing follows; with `failure` the reader is thrown it. */
  close(failure?: SaharaError): void {
    this.#done = true;
    this.#failure = failure;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader && failure) reader.reject(failure);
    else reader?.resolve({ done: true, value: undefined });
  }

  /** The events for their one reader. */
  read(): AsyncIterable<Event> {
    invariant(!this.#attached, 'the events of a call have one reader');
    this.#attached = true;
    const leave = async (): Promise<IteratorResult<Event>> => {
      this.#attached = false;
      this.#overflown = true;
      this.#waiting.length = 0;
      this.#makeRoom();
      return { done: true, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next: () => this.#next(), return: leave }) };
  }

  async #next(): Promise<IteratorResult<Event>> {
    if (this.#overflown) throw new SaharaError('overloaded', { what: 'events', limit: EVENTS_WAITING_MAX });
    const event = this.#waiting.shift();
    if (this.#waiting.length < EVENTS_WAITING_MAX / 2) this.#makeRoom();
    if (event !== undefined) return { done: false, value: event };
    if (this.#failure) throw this.#failure;
    if (this.#done) return { done: true, value: undefined };
    return await new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  #makeRoom(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }
}
