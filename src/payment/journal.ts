/**
 * Group commit. Whoever has something to keep marks itself; one batch then takes the latest state of everything
 * that is marked, so a thousand vouchers of one channel are one write. There is one batch at a time; what is
 * marked meanwhile goes with the next.
 *
 * A batch that fails leaves memory ahead of the disk. The journal then refuses everything with that failure, and
 * with it the books serve nothing more until they are opened again.
 */

import type { Clock } from '../base/clock.ts';
import { asSaharaError, type SaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';

/** Something that changes and is kept. */
export interface JournalSource {
  /** Adds all that changed since the last time. What is added must not change any more. */
  collect(into: StoreOperation[]): void;
}

/** Parts of a journal. */
export interface JournalParts {
  readonly store: Store;
  readonly clock: Clock;
}

/** Options of a journal. */
export interface JournalOptions {
  /** How long a marked source waits for company when nobody waits for it, milliseconds. Default 5. */
  readonly lingerMs: number;
}

/** Values for every option. */
export const JOURNAL_DEFAULTS: JournalOptions = { lingerMs: 5 };

const SYNC_MARK: StoreOperation = { type: 'put', key: Uint8Array.of(0), value: new Uint8Array(0) };

interface Waiter {
  resolve(): void;
  reject(error: SaharaError): void;
}

/** Writes marked sources in groups. */
export class Journal {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #lingerMs: number;
  readonly #marked = new Set<JournalSource>();
  #written: Waiter[] = [];
  #synced: Waiter[] = [];
  #running = false;
  #lingering = false;
  #failure: SaharaError | undefined;
  // Whether batches were written since the last one that was forced to disk.
  #loose = false;

  constructor(parts: JournalParts, options: Partial<JournalOptions> = {}) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#lingerMs = options.lingerMs ?? JOURNAL_DEFAULTS.lingerMs;
  }

  /** What stopped this journal, if anything. */
  get failure(): SaharaError | undefined {
    return this.#failure;
  }

  /** `source` has changed. */
  mark(source: JournalSource): void {
    this.#marked.add(source);
    if (this.#running || this.#lingering) return;
    this.#lingering = true;
    this.#clock.after(this.#lingerMs, () => {
      this.#lingering = false;
      this.#start();
    });
  }

  /** Resolves once everything marked so far would survive the end of this process. */
  written(): Promise<void> {
    return this.#wait(this.#written);
  }

  /** Resolves once everything marked so far would survive the loss of power. */
  synced(): Promise<void> {
    return this.#wait(this.#synced);
  }

  #wait(waiters: Waiter[]): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      waiters.push({ resolve, reject });
      // The end of the microtask queue, so that all who wait in one tick share a batch.
      if (!this.#running) queueMicrotask(() => this.#start());
    });
  }

  #start(): void {
    if (this.#running || this.#failure) return;
    if (this.#marked.size === 0 && this.#written.length === 0 && this.#synced.length === 0) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    while (this.#marked.size > 0 || this.#written.length > 0 || this.#synced.length > 0) {
      const written = this.#written;
      const synced = this.#synced;
      this.#written = [];
      this.#synced = [];
      try {
        await this.#batch(synced.length > 0);
      } catch (error) {
        this.#fail(asSaharaError(error), [...written, ...synced]);
        return;
      }
      for (const waiter of written) waiter.resolve();
      for (const waiter of synced) waiter.resolve();
    }
    this.#running = false;
  }

  async #batch(sync: boolean): Promise<void> {
    const operations: StoreOperation[] = [];
    const sources = [...this.#marked];
    this.#marked.clear();
    for (const source of sources) source.collect(operations);
    // A batch forces everything before it to disk, but only if it holds something.
    if (sync && this.#loose && operations.length === 0) operations.push(SYNC_MARK);
    await this.#store.batch(operations, { sync });
    if (sync) this.#loose = false;
    else if (operations.length > 0) this.#loose = true;
  }

  #fail(error: SaharaError, waiters: readonly Waiter[]): void {
    this.#failure = error;
    this.#running = false;
    const late = [...this.#written, ...this.#synced];
    this.#written = [];
    this.#synced = [];
    for (const waiter of [...waiters, ...late]) waiter.reject(error);
  }
}
