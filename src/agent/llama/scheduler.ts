/**
 * Who is answered when. Requests wait in a fair queue until there is room where they run; what cannot be answered in
 * time is refused at once, with when to come again, rather than kept waiting for nothing.
 */
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { FairQueue, type Waiting } from './fair-queue.ts';
import { Pace } from './pace.ts';

/** How much may wait. */
export interface SchedulerOptions {
  /** Most requests that wait. Default 256. */
  readonly queueMax: number;
  /** Most of one payer. Default 32. */
  readonly queuePerPayerMax: number;
  /** After waiting this long for its own room, a request holds up others for the same memory, milliseconds. Default 10,000. */
  readonly patienceMs: number;
  /** What a refused caller is told to wait when nothing was measured yet, milliseconds. Default 1,000. */
  readonly retryMs: number;
}

/** What a scheduler keeps to where nothing is said. */
export const SCHEDULER_DEFAULTS: SchedulerOptions = {
  queueMax: 256,
  queuePerPayerMax: 32,
  patienceMs: 10_000,
  retryMs: 1_000,
};

/** Where requests run: sequences of loaded models. */
export interface Room<Place> {
  /** Room is given out anew: what was kept free for someone is nobody's. */
  begin(): void;
  /**
   * Takes room at `place` if there is some now; may begin to make some, and then calls the scheduler's `look`. If
   * there is none for an `urgent` one, nothing else is let in that would be in its way.
   */
  take(place: Place, options: { readonly urgent: boolean }): boolean;
  give(place: Place): void;
}

/** A request for a turn. */
export interface TurnRequest<Place> extends Waiting {
  readonly place: Place;
  /** Longest that it may wait, milliseconds. Default: for ever. */
  readonly withinMs?: number;
  /** Told where it stands, each time that changes. */
  readonly waiting?: (standing: QueueStanding) => void;
}

/** Where a request stands. */
export interface QueueStanding {
  /** How many go before it. */
  readonly ahead: number;
  /** How long that takes as far as is known, milliseconds. */
  readonly waitMs: number | undefined;
}

/** A turn. It must be ended. */
export interface Turn {
  end(usedTokens: number): void;
}

/** How busy a scheduler is. */
export interface SchedulerLoad {
  readonly queued: number;
  readonly running: number;
  readonly tokensPerSecond: number | undefined;
  /** What a request that came now would wait, milliseconds, as far as is known. */
  readonly waitMs: number | undefined;
}

interface Entry<Place> extends TurnRequest<Place> {
  readonly cameMs: number;
  readonly go: () => void;
  readonly refuse: (error: SaharaError) => void;
  lastAhead: number;
}

/** Gives turns. */
export class Scheduler<Place> {
  readonly #clock: Clock;
  readonly #room: Room<Place>;
  readonly #options: SchedulerOptions;
  readonly #queue = new FairQueue<Entry<Place>>();
  readonly #pace: Pace;
  #running = 0;
  #runningTokens = 0;
  #looking = false;
  /** Patience ends without anything happening. */
  #cancelTimer: () => void = () => {};
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(
    parts: { readonly clock: Clock; readonly room: Room<Place> },
    options: Partial<SchedulerOptions> = {},
  ) {
    this.#clock = parts.clock;
    this.#room = parts.room;
    this.#options = { ...SCHEDULER_DEFAULTS, ...options };
    this.#pace = new Pace(parts.clock);
  }

  /** How busy it is. */
  get load(): SchedulerLoad {
    const { length: queued } = this.#queue;
    const tokensPerSecond = this.#pace.tokensPerSecond;
    const waitMs = queued === 0 ? 0 : this.#pace.waitMs(this.#tokensAhead(Number.POSITIVE_INFINITY));
    return { queued, running: this.#running, tokensPerSecond, waitMs };
  }

  /**
   * Waits for a turn. Throws `overloaded` with `retryAfterMs` when too much waits, `deadline-exceeded` when it would
   * wait longer than it may or has, `cancelled`.
   */
  async turn(request: TurnRequest<Place>, { signal }: { readonly signal: AbortSignal }): Promise<Turn> {
    if (signal.aborted) throw new SaharaError('cancelled');
    this.#admit(request);
    const came = Promise.withResolvers<void>();
    const entry: Entry<Place> = {
      ...request,
      cameMs: this.#clock.monotonicMs(),
      go: came.resolve,
      refuse: came.reject,
      lastAhead: -1,
    };
    const refuse = (error: SaharaError): void => {
      if (this.#queue.remove(entry)) came.reject(error);
      this.look();
    };
    const stop = (): void => refuse(new SaharaError('cancelled'));
    signal.addEventListener('abort', stop, { once: true });
    const { withinMs } = request;
    const late = (): void => refuse(new SaharaError('deadline-exceeded', { withinMs: withinMs ?? 0 }));
    const cancelTimer = withinMs === undefined ? (): void => {} : this.#clock.after(withinMs, late);
    this.#queue.push(entry);
    this.look();
    try {
      await came.promise;
    } finally {
      cancelTimer();
      signal.removeEventListener('abort', stop);
    }
    return this.#turnOf(entry);
  }

  /** Gives turns while there is room; called again whenever there may be more. */
  look(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#room.begin();
    const sinceMs = this.#clock.monotonicMs() - this.#options.patienceMs;
    this.#give(({ cameMs, place }) => cameMs <= sinceMs && this.#room.take(place, { urgent: true }));
    this.#give(({ cameMs, place }) => cameMs > sinceMs && this.#room.take(place, { urgent: false }));
    this.#looking = false;
    this.#tellStandings();
    this.#cancelTimer();
    if (this.#queue.length > 0) {
      this.#cancelTimer = this.#clock.after(Math.ceil(this.#options.patienceMs / 2), () => this.look());
    }
    if (this.#running === 0 && this.#queue.length === 0) this.#drained?.resolve();
  }

  #give(mayGo: (entry: Entry<Place>) => boolean): void {
    for (let entry = this.#queue.take(mayGo); entry !== undefined; entry = this.#queue.take(mayGo)) {
      this.#running++;
      this.#runningTokens += entry.tokens;
      this.#pace.begin();
      entry.go();
    }
  }

  /** Refuses those who wait and whatever comes from now on, and waits for what runs. */
  async drain(): Promise<void> {
    this.#drained ??= Promise.withResolvers<void>();
    for (const entry of [...this.#queue.order()]) {
      if (this.#queue.remove(entry))
        entry.refuse(overloaded('the model is being stopped', this.#options.retryMs));
    }
    this.look();
    await this.#drained.promise;
  }

  /** Refuses all who wait for a place: it can no longer be had. */
  refuse(at: (place: Place) => boolean, error: SaharaError): void {
    for (const entry of [...this.#queue.order()]) {
      if (at(entry.place) && this.#queue.remove(entry)) entry.refuse(error);
    }
  }

  #admit({ payer, withinMs }: TurnRequest<Place>): void {
    const { queueMax, queuePerPayerMax, retryMs } = this.#options;
    const waitMs = this.#pace.waitMs(this.#tokensAhead(Number.POSITIVE_INFINITY));
    if (this.#drained !== undefined) throw overloaded('the model is being stopped', retryMs);
    if (this.#queue.length >= queueMax) throw overloaded('too many requests wait', waitMs ?? retryMs);
    if (this.#queue.lengthOf(payer) >= queuePerPayerMax) {
      throw overloaded('too many requests of one caller wait', waitMs ?? retryMs);
    }
    if (withinMs !== undefined && this.#queue.length > 0 && waitMs !== undefined && waitMs > withinMs) {
      throw new SaharaError('deadline-exceeded', { withinMs, waitMs, retryAfterMs: waitMs - withinMs });
    }
  }

  #turnOf(entry: Entry<Place>): Turn {
    let ended = false;
    return {
      end: (usedTokens) => {
        if (ended) return;
        ended = true;
        this.#running--;
        this.#runningTokens -= entry.tokens;
        this.#pace.end(Math.min(usedTokens, entry.tokens), entry.tokens);
        this.#queue.settle(entry, usedTokens);
        this.#room.give(entry.place);
        this.look();
      },
    };
  }

  /** Tokens before a place in the queue: half of what runs, which is on average how far it is, and what waits. */
  #tokensAhead(count: number): number {
    let tokens = this.#runningTokens / 2;
    let passed = 0;
    for (const entry of this.#queue.order()) {
      if (passed++ >= count) break;
      tokens += entry.tokens;
    }
    return tokens;
  }

  #tellStandings(): void {
    let ahead = 0;
    let tokens = this.#runningTokens / 2;
    for (const entry of this.#queue.order()) {
      if (entry.waiting !== undefined && entry.lastAhead !== ahead) {
        entry.lastAhead = ahead;
        entry.waiting({ ahead, waitMs: this.#pace.waitMs(tokens) });
      }
      ahead++;
      tokens += entry.tokens;
    }
  }
}

function overloaded(reason: string, retryAfterMs: number): SaharaError {
  return new SaharaError('overloaded', { what: 'a model', reason, retryAfterMs });
}
