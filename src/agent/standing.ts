/**
 * What this host thinks of peers and callers: counted facts by name, which decay, in bounded memory, written behind
 * and read back after a restart.
 *
 * A name costs nothing, so whoever makes many of them must not be able to crowd out what is known of others. There is
 * a shelf each for names that paid, for names whose free calls ended, and for the rest, and each is full by itself:
 * what a name needs to stand on a better shelf costs free calls and work, or money. On a full shelf those leave first
 * that paid least, had fewest calls, or have fewest points. Who crowds out its own points has what a new name has.
 */
import { fromUtf8, toHex, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { bytes, mapOf, record, type Schema, uint } from '../protocol/schema.ts';
import type { StandingNotes } from './entrance.ts';
import { callerName } from './standing-names.ts';
import { countMax, decayed, type Facts, MERITS, pointsOf, STEPS, stepOf } from './standing-rules.ts';

/** Parts of a standing book. */
export interface StandingParts {
  /** The book has this store for itself. */
  readonly store: Store;
  readonly clock: Clock;
}

/** Options of a standing book. */
export interface StandingOptions {
  /** Names on each of the six shelves (three of peers, three of callers). Default 4,096. */
  readonly shelfMax: number;
  /** How long changes wait to be written together, milliseconds. Default 1,000. */
  readonly lingerMs: number;
}

/** Values for every option. */
export const STANDING_DEFAULTS: StandingOptions = { shelfMax: 4_096, lingerMs: 1_000 };

/** What is thought of one peer or caller now. */
export interface Standing {
  readonly name: string;
  readonly facts: Facts;
  readonly points: number;
  /** 0 is the best. */
  readonly step: number;
  readonly lastAtMs: number;
}

/** What this host thinks of whom. */
export interface StandingBook extends StandingNotes {
  of(name: string): Standing;
  /** Everybody there is anything to say of, the most points first; at most `limit`. */
  list(limit: number): readonly Standing[];
  /** Resolves once everything so far is written. */
  flushed(): Promise<void>;
}

interface Entry {
  readonly facts: Map<string, number>;
  /** When the counts were last brought up to date, wall clock. */
  atMs: number;
  lastAtMs: number;
  shelf: string;
  /** Follows from the facts; absent until it is asked for, because every call asks. */
  step: number | undefined;
}

/** Counts below this are forgotten. */
const NOTHING = 0.05;
/** How much of a full shelf leaves at once. */
const LEAVING = 1 / 16;
/** Time over which counts are taken for unchanged, milliseconds. */
const FRESH_MS = 1_000;
/** Kinds of facts of one name. */
const FACTS_MAX = 96;
const NAME_BYTES_MAX = 80;

const kept: Schema<{
  readonly atMs: number;
  readonly lastAtMs: number;
  readonly facts: ReadonlyMap<string, Uint8Array>;
}> = record('standing', {
  atMs: uint(),
  lastAtMs: uint(),
  facts: mapOf(bytes(8), FACTS_MAX, NAME_BYTES_MAX),
});

/** Opens the book kept in `parts.store`. */
export async function openStanding(
  parts: StandingParts,
  options: Partial<StandingOptions> = {},
): Promise<StandingBook> {
  const book = new Book(parts, { ...STANDING_DEFAULTS, ...options });
  await book.load();
  return book;
}

class Book implements StandingBook {
  readonly #parts: StandingParts;
  readonly #options: StandingOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #shelves = new Map<string, number>();
  readonly #changed = new Set<string>();
  #writing: Promise<void> = Promise.resolve();
  #scheduled = false;

  constructor(parts: StandingParts, options: StandingOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  async load(): Promise<void> {
    for await (const [key, value] of this.#parts.store.entries()) {
      const name = fromUtf8(key) ?? toHex(key);
      const { atMs, lastAtMs, facts } = kept.decode(value);
      const counts = [...facts].map(([fact, count]): [string, number] => [fact, numberOf(count)]);
      const entry: Entry = { facts: new Map(counts), atMs, lastAtMs, shelf: '', step: undefined };
      this.#entries.set(name, entry);
      if ((this.#current(name)?.facts.size ?? 0) > 0) {
        this.#settle(name, entry);
        continue;
      }
      this.#entries.delete(name);
      this.#changed.add(name);
    }
    await this.flushed();
  }

  note(name: string, fact: string, amount = 1): void {
    const entry = this.#current(name) ?? this.#begin(name);
    const { facts } = entry;
    if (!facts.has(fact) && facts.size >= FACTS_MAX) return;
    facts.set(fact, Math.min(countMax(fact), (facts.get(fact) ?? 0) + amount));
    entry.lastAtMs = this.#parts.clock.nowMs();
    // A merit changes nothing at the best step.
    if (entry.step !== 0 || !MERITS.has(fact)) entry.step = undefined;
    this.#settle(name, entry);
    this.#touch(name);
  }

  shareOf(name: string): number {
    return STEPS[this.stepsOf(name)]?.share ?? 1;
  }

  stepsOf(name: string): number {
    const entry = this.#current(name);
    if (entry === undefined) return 0;
    entry.step ??= stepOf(pointsOf(entry.facts));
    return entry.step;
  }

  knows(caller: PublicKey): boolean {
    return (this.#current(callerName(caller))?.facts.get('answered') ?? 0) >= NOTHING;
  }

  of(name: string): Standing {
    const entry = this.#current(name);
    const facts: Facts = new Map(entry?.facts);
    const points = pointsOf(facts);
    return { name, facts, points, step: stepOf(points), lastAtMs: entry?.lastAtMs ?? 0 };
  }

  list(limit: number): readonly Standing[] {
    const all = [...this.#entries.keys()].map((name) => this.of(name)).filter(({ facts }) => facts.size > 0);
    return all.sort((a, b) => b.points - a.points || b.lastAtMs - a.lastAtMs).slice(0, limit);
  }

  flushed(): Promise<void> {
    const names = [...this.#changed];
    this.#changed.clear();
    if (names.length > 0) {
      const operations = names.map((name) => this.#operation(name));
      const write = (): Promise<void> =>
        this.#parts.store.batch(operations).catch((error: unknown) => {
          // A disk that is full now takes them with the next change.
          for (const name of names) this.#changed.add(name);
          throw error;
        });
      this.#writing = this.#writing.then(write, write);
      // Who waits hears of a failure; nobody may be waiting.
      this.#writing.catch(() => {});
    }
    return this.#writing;
  }

  #operation(name: string): StoreOperation {
    const key = utf8(name);
    const entry = this.#entries.get(name);
    if (entry === undefined) return { type: 'del', key };
    const facts = [...entry.facts].map(([fact, count]): [string, Uint8Array] => [fact, bytesOf(count)]);
    const { atMs, lastAtMs } = entry;
    const value = kept.encode({
      atMs: Math.trunc(atMs),
      lastAtMs: Math.trunc(lastAtMs),
      facts: new Map(facts),
    });
    return { type: 'put', key, value };
  }

  #begin(name: string): Entry {
    const nowMs = this.#parts.clock.nowMs();
    const entry: Entry = { facts: new Map(), atMs: nowMs, lastAtMs: nowMs, shelf: '', step: 0 };
    this.#entries.set(name, entry);
    return entry;
  }

  /** The entry with its counts as they are now. Where the clock went back they decay from there. */
  #current(name: string): Entry | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    const nowMs = this.#parts.clock.nowMs();
    const passedMs = nowMs - entry.atMs;
    if (passedMs < 0) entry.atMs = nowMs;
    if (passedMs < FRESH_MS) return entry;
    for (const [fact, count] of entry.facts) {
      const left = decayed(fact, count, passedMs);
      if (left < NOTHING) entry.facts.delete(fact);
      else entry.facts.set(fact, left);
    }
    entry.atMs = nowMs;
    entry.step = undefined;
    return entry;
  }

  /** Puts an entry on the shelf where it belongs, and makes room there. */
  #settle(name: string, entry: Entry): void {
    const shelf = shelfOf(name, entry);
    if (shelf === entry.shelf) return;
    this.#count(entry.shelf, -1);
    entry.shelf = shelf;
    if (this.#count(shelf, 1) > this.#options.shelfMax) this.#makeRoom(shelf);
  }

  #count(shelf: string, change: number): number {
    if (shelf === '') return 0;
    const count = (this.#shelves.get(shelf) ?? 0) + change;
    this.#shelves.set(shelf, count);
    return count;
  }

  #makeRoom(shelf: string): void {
    const standing = [...this.#entries].filter(([, entry]) => entry.shelf === shelf);
    const least = standing
      .map(([name]) => ({
        name,
        worth: worthOf(this.of(name)),
        lastAtMs: this.#entries.get(name)?.lastAtMs ?? 0,
      }))
      .sort((a, b) => a.worth - b.worth || a.lastAtMs - b.lastAtMs);
    for (const { name } of least.slice(0, Math.ceil(this.#options.shelfMax * LEAVING))) {
      this.#entries.delete(name);
      this.#count(shelf, -1);
      this.#touch(name);
    }
  }

  #touch(name: string): void {
    this.#changed.add(name);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.clock.after(this.#options.lingerMs, () => {
      this.#scheduled = false;
      void this.flushed();
    });
  }
}

/** Peers and callers stand apart, and each by the best that is known of it. */
function shelfOf(name: string, { facts }: Pick<Entry, 'facts'>): string {
  const kind = name.slice(0, name.indexOf(':'));
  if ((facts.get('paid') ?? 0) >= NOTHING) return `${kind}, paid`;
  return (facts.get('answered') ?? 0) >= NOTHING ? `${kind}, answered` : `${kind}, other`;
}

/** What decides who leaves a full shelf. On one shelf the same of the three decides for all. */
function worthOf({ facts, points }: Standing): number {
  return facts.get('paid') ?? facts.get('answered') ?? points;
}

function bytesOf(value: number): Uint8Array {
  const made = new Uint8Array(8);
  new DataView(made.buffer).setFloat64(0, value);
  return made;
}

/** A count as it was kept; what is no count was not kept here. */
function numberOf(held: Uint8Array): number {
  const value = new DataView(held.buffer, held.byteOffset, 8).getFloat64(0);
  return Number.isFinite(value) && value >= 0 ? value : 0;
}
