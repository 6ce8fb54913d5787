/**
 * The disk of one party: one ordered store, as LevelDB promises it, and one append-only tail. Batches take effect
 * one after the other, each whole or not at all. What a crash leaves:
 *
 *   kill    everything that took effect; of batches under way the first ones
 *   power   what was forced to disk, and of what came after it the first batches; of the tail the first appends
 *   lost    nothing
 */
import { SaharaError } from '../../src/base/errors.ts';
import type { Store, StoreOperation, StoreRange } from '../../src/base/store.ts';
import type { Tail } from '../../src/base/tail.ts';
import type { Random } from '../fuzz/random.ts';
import type { Life, Scheduler } from './time.ts';

/** How a party goes down. */
export type CrashKind = 'kill' | 'power' | 'lost';

type Operation = { readonly name: string; readonly value: Uint8Array | undefined };

interface Waiting {
  readonly operations: readonly Operation[];
  readonly sync: boolean;
  resolve(): void;
}

const nameOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
const keyOf = (name: string): Uint8Array => new Uint8Array(Buffer.from(name, 'latin1'));

/** Names in byte order with their values. */
class Sorted {
  readonly values = new Map<string, Uint8Array>();
  readonly names: string[] = [];

  apply(operations: readonly Operation[]): void {
    for (const { name, value } of operations) {
      const known = this.values.has(name);
      if (value !== undefined) {
        this.values.set(name, value);
        if (!known) this.names.splice(this.place(name), 0, name);
      } else if (known) {
        this.values.delete(name);
        this.names.splice(this.place(name), 1);
      }
    }
  }

  /** Where `name` stands or would stand. */
  place(name: string): number {
    let low = 0;
    let high = this.names.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.names[middle] as string) < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** How long things take, virtual milliseconds. Changed by the story. */
export interface DiskPace {
  /** Longest plain write or read. */
  quickMs: number;
  /** Longest write that is forced to disk. */
  syncMs: number;
}

/** A disk that outlives the runs of its party. */
export class Disk {
  readonly pace: DiskPace = { quickMs: 0.3, syncMs: 6 };
  /** A planted defect: batches that were forced to disk are forgotten like others. */
  readonly forgetful: boolean;
  /** While true every write fails. */
  full = false;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  #kept = new Sorted();
  #now = new Sorted();
  /** What took effect since the last forced write. */
  #loose: Operation[][] = [];
  #queue: Waiting[] = [];
  #working = false;
  #tail: (readonly StoreOperation[])[] = [];
  #tailBytes = 0;

  constructor(scheduler: Scheduler, random: Random, options: { readonly forgetful?: boolean } = {}) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.forgetful = options.forgetful ?? false;
  }

  /** Entries at this moment, for the one who knows everything. */
  *peek(prefix: Uint8Array): Iterable<readonly [Uint8Array, Uint8Array]> {
    const start = nameOf(prefix);
    const { names, values } = this.#now;
    for (let at = this.#now.place(start); at < names.length; at++) {
      const name = names[at] as string;
      if (!name.startsWith(start)) return;
      yield [keyOf(name), values.get(name) as Uint8Array];
    }
  }

  /** Changes a record behind everybody's back. */
  tamper(key: Uint8Array, value: Uint8Array): void {
    const operation = { name: nameOf(key), value };
    this.#now.apply([operation]);
    this.#kept.apply([operation]);
  }

  /** The party is gone. */
  crash(kind: CrashKind): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#working = false;
    if (kind === 'lost') {
      this.#kept = new Sorted();
      this.#now = new Sorted();
      this.#loose = [];
      this.#tail = [];
    } else {
      for (const { operations } of queue.slice(0, this.#random.below(queue.length + 1))) {
        this.#now.apply(operations);
        this.#loose.push([...operations]);
      }
      if (kind === 'power' || this.forgetful) {
        const kept = this.#loose.slice(0, this.#random.below(this.#loose.length + 1));
        for (const operations of kept) this.#kept.apply(operations);
        this.#loose = [];
        this.#now = new Sorted();
        this.#now.apply([...this.#kept.values].map(([name, value]) => ({ name, value })));
        this.#tail = this.#tail.slice(0, this.#random.below(this.#tail.length + 1));
      }
    }
    this.#tailBytes = this.#tail.reduce((sum, batch) => sum + sizeOf(batch), 0);
  }

  /** The store as one run of the party sees it. */
  open(life: Life): Store {
    const read = <T>(value: () => T): Promise<T> =>
      new Promise((resolve) => {
        this.#scheduler.after(this.#time(this.pace.quickMs), () => resolve(value()), life);
      });
    const get = (key: Uint8Array): Uint8Array | undefined => this.#now.values.get(nameOf(key))?.slice();
    return {
      get: (key) => read(() => get(key)),
      getSync: get,
      batch: (operations, options) => {
        if (!life.alive) return new Promise(() => {});
        if (this.full) return Promise.reject(new SaharaError('disk-full', { path: life.name }));
        return new Promise<void>((resolve) => {
          this.#queue.push({
            operations: operations.map((operation) => ({
              name: nameOf(operation.key),
              value: operation.type === 'put' ? operation.value.slice() : undefined,
            })),
            sync: options?.sync ?? false,
            resolve,
          });
          this.#work(life);
        });
      },
      entries: (range) => this.#entries(range, read),
      close: async () => {},
    };
  }

  /** The tail as one run of the party sees it. */
  openTail(life: Life): Tail {
    const disk = this;
    return {
      get sizeBytes() {
        return disk.#tailBytes;
      },
      append(operations) {
        if (!life.alive) return;
        if (disk.full) throw new SaharaError('disk-full', { path: life.name });
        const copy = operations.map((operation) =>
          operation.type === 'put'
            ? { ...operation, key: operation.key.slice(), value: operation.value.slice() }
            : { ...operation, key: operation.key.slice() },
        );
        disk.#tail.push(copy);
        disk.#tailBytes += sizeOf(copy);
      },
      batches: () => [...disk.#tail],
      clear() {
        if (!life.alive) return;
        disk.#tail = [];
        disk.#tailBytes = 0;
      },
      close: () => {},
    };
  }

  async *#entries(
    range: StoreRange | undefined,
    read: <T>(value: () => T) => Promise<T>,
  ): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
    const { gte, lt, reverse, limit = Number.POSITIVE_INFINITY } = range ?? {};
    // An iterator reads the store as it was when it was made.
    const found = await read(() => {
      const { names, values } = this.#now;
      const from = gte ? this.#now.place(nameOf(gte)) : 0;
      const to = lt ? this.#now.place(nameOf(lt)) : names.length;
      const some = reverse
        ? names.slice(Math.max(from, to - limit), to).reverse()
        : names.slice(from, Math.min(to, from + limit));
      return some.map((name) => [keyOf(name), values.get(name)?.slice() as Uint8Array] as const);
    });
    yield* found;
  }

  #work(life: Life): void {
    const [first] = this.#queue;
    if (this.#working || !first) return;
    this.#working = true;
    const longest = first.sync ? this.pace.syncMs : this.pace.quickMs;
    const done = (): void => {
      this.#working = false;
      this.#queue.shift();
      this.#now.apply(first.operations);
      this.#loose.push([...first.operations]);
      if (first.sync && !this.forgetful) {
        for (const operations of this.#loose) this.#kept.apply(operations);
        this.#loose = [];
      }
      first.resolve();
      this.#work(life);
    };
    this.#scheduler.after(this.#time(longest), done, life);
  }

  #time(longestMs: number): number {
    return (longestMs * (1 + this.#random.below(1_000))) / 1_000;
  }
}

function sizeOf(batch: readonly StoreOperation[]): number {
  return batch.reduce(
    (sum, operation) =>
      sum + 9 + operation.key.length + (operation.type === 'put' ? operation.value.length : 0),
    8,
  );
}
