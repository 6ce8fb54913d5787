/**
 * Places for calls of one agent: as many at a time as its card says. Calls that wait take turns by caller, one call
 * of each in the order in which the callers came, so that who has many waiting does not make others wait for all of
 * them; and when the queue is full, who has most gives a place to who has less.
 */
import { SaharaError } from '../base/errors.ts';

/** How long to wait where nothing tells when a call will end, milliseconds. */
export const BUSY_RETRY_MS = 1_000;

interface Waiting {
  start(): void;
  refuse(error: SaharaError): void;
}

/** The places of one agent and the queue for them. A `turn` names whose turn a call waits for. */
export class Gate {
  readonly #places: number;
  readonly #queueMax: number;
  // In the order of turns: who was served goes to the end, where newcomers join.
  readonly #turns = new Map<string, Waiting[]>();
  #waiting = 0;
  #taken = 0;

  constructor(places: number, queueMax: number) {
    this.#places = Math.max(1, places);
    this.#queueMax = queueMax;
  }

  /** Calls waiting or running. */
  get load(): number {
    return this.#taken + this.#waiting;
  }

  /** Calls waiting. */
  get queued(): number {
    return this.#waiting;
  }

  /** Whether a further call would have to wait. */
  get full(): boolean {
    return this.#taken >= this.#places;
  }

  /** How hard it is pressed: 0 up to half of its places taken, 1 with every place of the queue taken. */
  get pressure(): number {
    const free = this.#places / 2;
    const room = this.#places + this.#queueMax - free;
    return Math.min(1, Math.max(0, this.load - free) / room);
  }

  /** Calls that start before one that comes now, if nobody else comes. */
  ahead(turn: string): number {
    const own = this.#turns.get(turn)?.length ?? 0;
    let ahead = own;
    let before = true;
    for (const [other, { length }] of this.#turns) {
      if (other === turn) before = false;
      // Others whose turn comes first start one call more before this one than those after.
      else ahead += Math.min(length, before ? own + 1 : own);
    }
    return ahead;
  }

  /** Throws `overloaded` when not even the queue has a place for this turn. */
  check(turn: string): void {
    if (!this.full || this.#waiting < this.#queueMax) return;
    if (this.#longest().length > (this.#turns.get(turn)?.length ?? 0) + 1) return;
    throw this.#overloaded();
  }

  /**
   * Takes a place, at once or in turn. Throws `cancelled` when `signal` aborts first, `overloaded` without a place
   * to wait, also later, when it has to make room for somebody with fewer calls.
   */
  async enter(signal: AbortSignal, turn: string): Promise<void> {
    this.check(turn);
    if (!this.full) {
      this.#taken++;
      return;
    }
    if (this.#waiting >= this.#queueMax) this.#makeRoom();
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => {
        this.#remove(turn, waiting);
        reject(new SaharaError('cancelled'));
      };
      const waiting: Waiting = {
        start: () => {
          signal.removeEventListener('abort', abort);
          resolve();
        },
        refuse: (error) => {
          signal.removeEventListener('abort', abort);
          reject(error);
        },
      };
      const queue = this.#turns.get(turn);
      if (queue) queue.push(waiting);
      else this.#turns.set(turn, [waiting]);
      this.#waiting++;
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  /** Gives a place back; the next in turn takes it. */
  leave(): void {
    const [next] = this.#turns;
    if (next === undefined) {
      this.#taken--;
      return;
    }
    const [turn, queue] = next;
    const waiting = queue.shift();
    this.#turns.delete(turn);
    if (queue.length > 0) this.#turns.set(turn, queue);
    this.#waiting--;
    waiting?.start();
  }

  #longest(): Waiting[] {
    let longest: Waiting[] = [];
    for (const queue of this.#turns.values()) if (queue.length > longest.length) longest = queue;
    return longest;
  }

  #makeRoom(): void {
    const last = this.#longest().pop();
    this.#waiting--;
    last?.refuse(this.#overloaded());
  }

  #overloaded(): SaharaError {
    const facts = { limit: this.#queueMax, queued: this.#waiting, retryAfterMs: BUSY_RETRY_MS };
    return new SaharaError('overloaded', { what: 'agent', ...facts });
  }

  #remove(turn: string, waiting: Waiting): void {
    const queue = this.#turns.get(turn) ?? [];
    const at = queue.indexOf(waiting);
    if (at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.#turns.delete(turn);
    this.#waiting--;
  }
}
