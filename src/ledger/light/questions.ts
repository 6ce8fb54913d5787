/**
 * Questions of a light client to its peers. A peer serves few at a time and refuses the rest, so they wait here for their
 * turn; who asks what is being asked already gets the same answer.
 */
import { SaharaError } from '../../base/errors.ts';
import { nameOf } from '../names.ts';

/** Questions under way at one peer: half of what a peer serves at a time, others ask too. */
export const LIGHT_QUESTIONS_AT_ONCE_MAX = 4;
/** Questions that wait for their turn at one peer. */
export const LIGHT_QUESTIONS_WAITING_MAX = 4_096;

/** Sends one question; ends when `signal` says that nobody wants the answer any more. */
export type SendQuestion = (peerId: string, question: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;

interface Asked {
  readonly answer: Promise<Uint8Array>;
  readonly given: AbortController;
  askers: number;
}

interface Line {
  running: number;
  readonly waiting: (() => void)[];
}

/** Questions under way, by peer. */
export class Questions {
  readonly #send: SendQuestion;
  readonly #asked = new Map<string, Asked>();
  readonly #lines = new Map<string, Line>();

  constructor(send: SendQuestion) {
    this.#send = send;
  }

  /** The peer's answer. Throws `overloaded` when too many wait for this peer, `cancelled`, or what sending threw. */
  async ask(peerId: string, question: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if (signal?.aborted) throw new SaharaError('cancelled');
    const name = `${peerId}/${nameOf(question)}`;
    const asked = this.#asked.get(name) ?? this.#begin(name, peerId, question);
    asked.askers++;
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(new SaharaError('cancelled'));
    signal?.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([asked.answer, left.promise]);
    } finally {
      signal?.removeEventListener('abort', leave);
      asked.askers--;
      if (asked.askers === 0) {
        if (this.#asked.get(name) === asked) this.#asked.delete(name);
        asked.given.abort();
      }
    }
  }

  #begin(name: string, peerId: string, question: Uint8Array): Asked {
    const line = this.#lines.get(peerId) ?? { running: 0, waiting: [] };
    if (line.waiting.length >= LIGHT_QUESTIONS_WAITING_MAX)
      throw new SaharaError('overloaded', {
        what: 'questions to a peer',
        limit: LIGHT_QUESTIONS_WAITING_MAX,
      });
    this.#lines.set(peerId, line);
    const given = new AbortController();
    const answer = this.#inTurn(line, given.signal, () => this.#send(peerId, question, given.signal)).finally(
      () => {
        if (this.#asked.get(name)?.given === given) this.#asked.delete(name);
        const idle = line.running === 0 && line.waiting.length === 0;
        if (idle && this.#lines.get(peerId) === line) this.#lines.delete(peerId);
      },
    );
    // Whoever asked may have left.
    answer.catch(() => {});
    const asked = { answer, given, askers: 0 };
    this.#asked.set(name, asked);
    return asked;
  }

  async #inTurn<T>(line: Line, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (line.running >= LIGHT_QUESTIONS_AT_ONCE_MAX) await waitIn(line, signal);
    else line.running++;
    try {
      return await work();
    } finally {
      // The place goes on to the next without being free in between.
      const next = line.waiting.shift();
      if (next === undefined) line.running--;
      else next();
    }
  }
}

/** Waits until a place is handed on. Throws `cancelled`. */
function waitIn(line: Line, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (): void => {
      signal.removeEventListener('abort', leave);
      resolve();
    };
    const leave = (): void => {
      line.waiting.splice(line.waiting.indexOf(next), 1);
      reject(new SaharaError('cancelled'));
    };
    line.waiting.push(next);
    signal.addEventListener('abort', leave, { once: true });
  });
}
