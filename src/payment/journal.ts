/**
 * Group commit. Whoever has something to keep marks itself; one batch then takes the latest state of everything
 * that is marked, so a thousand vouchers of one channel are one write. There is one batch at a time; what is
 * marked meanwhile goes with the next.
 *
 * With a tail, what must survive the end of the process is appended there at once and needs no batch of its own;
 * batches then only serve what must survive the loss of power, and empty the tail.
 *
 * A batch that fails leaves memory ahead of the disk. The journal then refuses everything with that failure, and
 * with it the books serve nothing more until they are opened again.
 */
import { equalBytes, readU64be, u64be } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, type SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { Tail } from '../base/tail.ts';

/** Something that changes and is kept. */
export interface JournalSource {
  /** Adds all that changed since the last time. What is added must not change any more. */
  collect(into: StoreOperation[]): void;
}

/** Parts of a journal. */
export interface JournalParts {
  readonly store: Store;
  readonly clock: Clock;
  /** In front of the store; its batches must have been recovered. Without it every write waits for the store. */
  readonly tail?: Tail;
}

/** Options of a journal. */
export interface JournalOptions {
  /** How long a marked source waits for company when nobody waits for it and there is no tail, milliseconds. Default 20. */
  readonly lingerMs: number;
  /** The same with a tail: also how long what is safe there waits for the store, milliseconds. Default 50. */
  readonly tailLingerMs: number;
}

/** Values for every option. */
export const JOURNAL_DEFAULTS: JournalOptions = { lingerMs: 20, tailLingerMs: 50 };

const SYNC_MARK: StoreOperation = { type: 'put', key: Uint8Array.of(0), value: new Uint8Array(0) };

/** Where the store says which collection it has last taken over; each one counts from the one before. */
const COLLECTION_KEY: Uint8Array = Uint8Array.of(0, 1);

function collectionMark(collection: bigint): StoreOperation {
  return { type: 'put', key: COLLECTION_KEY, value: u64be(collection) };
}

/** The number of the collection that a batch of the tail holds. */
function collectionIn(batch: readonly StoreOperation[]): bigint | undefined {
  const mark = batch.find(({ key }) => equalBytes(key, COLLECTION_KEY));
  return mark?.type === 'put' ? readU64be(mark.value) : undefined;
}

interface Waiter {
  resolve(): void;
  reject(error: SaharaError): void;
}

/**
 * Puts what a tail still holds after a crash into its store. Before anything else is read. A loss of power may have
 * left either of them behind the other: what the store has is not taken back, and what rests on something that
 * neither has any more is left out.
 */
export async function recoverTail(store: Store, tail: Tail | undefined): Promise<void> {
  if (tail === undefined || tail.sizeBytes === 0) return;
  const operations: StoreOperation[] = [];
  let taken = collectionOf(store);
  for (const batch of tail.batches()) {
    const collection = collectionIn(batch) ?? taken + 1n;
    if (collection <= taken) continue;
    if (collection > taken + 1n) break;
    operations.push(...batch);
    taken = collection;
  }
  await store.batch([...operations, SYNC_MARK], { sync: true });
  point('tail:recovered');
  tail.clear();
}

function collectionOf(store: Store): bigint {
  const stored = store.getSync(COLLECTION_KEY);
  return stored === undefined ? 0n : readU64be(stored);
}

/** Writes marked sources in groups. */
export class Journal {
  readonly #parts: JournalParts;
  readonly #options: JournalOptions;
  readonly #marked = new Set<JournalSource>();
  // Safe in the tail, on their way to the store.
  #tailed: StoreOperation[] = [];
  #written: Waiter[] = [];
  #synced: Waiter[] = [];
  #running = false;
  #lingering = false;
  #failure: SaharaError | undefined;
  // Whether batches were written since the last one that was forced to disk.
  #loose = false;
  #collection: bigint;

  constructor(parts: JournalParts, options: Partial<JournalOptions> = {}) {
    this.#parts = parts;
    this.#options = { ...JOURNAL_DEFAULTS, ...options };
    this.#collection = parts.tail === undefined ? 0n : collectionOf(parts.store);
  }

  /** What stopped this journal, if anything. */
  get failure(): SaharaError | undefined {
    return this.#failure;
  }

  /** `source` has changed. */
  mark(source: JournalSource): void {
    this.#marked.add(source);
    this.#linger();
  }

  /** Everything marked so far survives the end of this process once this returns, or resolves. */
  secure(): Promise<void> | undefined {
    const { tail } = this.#parts;
    if (tail === undefined || this.#failure) return this.written();
    const operations = this.#collect();
    if (operations.length > 0) {
      try {
        tail.append(operations);
      } catch (error) {
        this.#fail(asSaharaError(error), []);
        return this.written();
      }
      this.#tailed.push(...operations);
      this.#linger();
    }
    return undefined;
  }

  /** Resolves once everything marked so far is in the store. */
  written(): Promise<void> {
    return this.#wait(this.#written);
  }

  /** Resolves once everything marked so far would survive the loss of power. */
  synced(): Promise<void> {
    return this.#wait(this.#synced);
  }

  #collect(): StoreOperation[] {
    const operations: StoreOperation[] = [];
    const sources = [...this.#marked];
    this.#marked.clear();
    for (const source of sources) source.collect(operations);
    if (this.#parts.tail !== undefined && operations.length > 0) {
      operations.push(collectionMark(++this.#collection));
    }
    return operations;
  }

  #linger(): void {
    if (this.#running || this.#lingering) return;
    const { lingerMs, tailLingerMs } = this.#options;
    const forMs = this.#parts.tail === undefined ? lingerMs : tailLingerMs;
    this.#lingering = true;
    this.#parts.clock.after(forMs, () => {
      this.#lingering = false;
      this.#start();
    });
  }

  #wait(waiters: Waiter[]): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      waiters.push({ resolve, reject });
      // The end of the microtask queue, so that all who wait in one tick share a batch.
      if (!this.#running) queueMicrotask(() => this.#start());
    });
  }

  get #idle(): boolean {
    const waiting = this.#written.length + this.#synced.length;
    return this.#marked.size === 0 && this.#tailed.length === 0 && waiting === 0;
  }

  #start(): void {
    if (this.#running || this.#failure || this.#idle) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    do {
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
    } while (this.#written.length > 0 || this.#synced.length > 0);
    this.#running = false;
    if (!this.#idle) this.#linger();
  }

  async #batch(sync: boolean): Promise<void> {
    const { tail, store } = this.#parts;
    const collected = this.#collect();
    // The tail must have no gap: what comes meanwhile rests on this, which the store may not have taken when we end.
    if (tail && collected.length > 0) tail.append(collected);
    const operations = [...this.#tailed, ...collected];
    const tailBytes = tail?.sizeBytes ?? 0;
    this.#tailed = [];
    // A batch forces everything before it to disk, but only if it holds something.
    if (sync && this.#loose && operations.length === 0) operations.push(SYNC_MARK);
    point('journal:batch');
    await store.batch(operations, { sync });
    point('journal:written');
    if (sync) this.#loose = false;
    else if (operations.length > 0) this.#loose = true;
    // What came meanwhile is only in the tail.
    if (tail && tailBytes > 0 && tail.sizeBytes === tailBytes) tail.clear();
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
