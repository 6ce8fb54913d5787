/**
 * Remembers which messages were taken, so that none is taken twice, also after a restart. A message is named by
 * the hash or id that its signature covers and is forgotten once it would be refused as expired anyway. Names are
 * held in memory in full: one that had to be forgotten early could be replayed, so a full store refuses instead.
 *
 * Writing runs behind: `claim` answers at once, `flushed` tells when what was claimed survives this process.
 */
import { readU64be, toHex, u64be } from './bytes.ts';
import type { Clock } from './clock.ts';
import { SaharaError } from './errors.ts';
import type { Store, StoreOperation } from './store.ts';

/** Parts of a replay store. */
export interface ReplayParts {
  readonly clock: Clock;
  readonly store: Store;
}

/** Options of a replay store. */
export interface ReplayOptions {
  /** Names held at a time; above, messages are refused with `overloaded`. Default 1,000,000. */
  readonly entriesMax: number;
  /** How long names wait to be written together, milliseconds. Default 20. */
  readonly lingerMs: number;
}

/** Values for every option. */
export const REPLAY_DEFAULTS: ReplayOptions = { entriesMax: 1_000_000, lingerMs: 20 };

/** Which messages were taken. */
export interface ReplayStore {
  /** How many names are held. */
  readonly size: number;
  /**
   * Takes the message named `id`: false when it was taken before. Held until `expiresAtMs` (wall clock).
   * Throws `overloaded` when the store is full.
   */
  claim(id: Uint8Array, expiresAtMs: number): boolean;
  /** Whether `id` was taken and has not expired. */
  has(id: Uint8Array): boolean;
  /** Resolves once everything claimed so far is written. */
  flushed(): Promise<void>;
  /** Writes what is left; the underlying store stays open. */
  close(): Promise<void>;
}

const BUCKET_MS = 10_000;

/** Opens the replay store kept in `parts.store`, which it has for itself. */
export async function openReplayStore(
  parts: ReplayParts,
  options: Partial<ReplayOptions> = {},
): Promise<ReplayStore> {
  const replay = new Replay(parts, { ...REPLAY_DEFAULTS, ...options });
  await replay.load();
  return replay;
}

class Replay implements ReplayStore {
  readonly #parts: ReplayParts;
  readonly #options: ReplayOptions;
  readonly #expiry = new Map<string, number>();
  // Names by the ten seconds in which they expire, so that pruning never walks the living.
  readonly #buckets = new Map<number, Uint8Array[]>();
  #pending: StoreOperation[] = [];
  #writing: Promise<void> = Promise.resolve();
  #scheduled = false;

  constructor(parts: ReplayParts, options: ReplayOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  get size(): number {
    return this.#expiry.size;
  }

  async load(): Promise<void> {
    const nowMs = this.#parts.clock.nowMs();
    for await (const [key, value] of this.#parts.store.entries()) {
      const expiresAtMs = Number(readU64be(value));
      if (expiresAtMs < nowMs) this.#pending.push({ type: 'del', key });
      else this.#remember(key, expiresAtMs);
    }
    await this.flushed();
  }

  has(id: Uint8Array): boolean {
    const expiresAtMs = this.#expiry.get(toHex(id));
    return expiresAtMs !== undefined && expiresAtMs >= this.#parts.clock.nowMs();
  }

  claim(id: Uint8Array, expiresAtMs: number): boolean {
    this.#prune();
    if (this.has(id)) return false;
    if (this.#expiry.size >= this.#options.entriesMax) {
      throw new SaharaError('overloaded', { what: 'replay store', limit: this.#options.entriesMax });
    }
    const key = id.slice();
    this.#remember(key, expiresAtMs);
    this.#pending.push({ type: 'put', key, value: u64be(BigInt(Math.trunc(expiresAtMs))) });
    this.#schedule();
    return true;
  }

  flushed(): Promise<void> {
    if (this.#pending.length > 0) {
      const operations = this.#pending;
      this.#pending = [];
      this.#writing = this.#writing.then(() => this.#parts.store.batch(operations));
      // Who waits hears of a failure; nobody may be waiting.
      this.#writing.catch(() => {});
    }
    return this.#writing;
  }

  close(): Promise<void> {
    return this.flushed();
  }

  #remember(key: Uint8Array, expiresAtMs: number): void {
    this.#expiry.set(toHex(key), expiresAtMs);
    const bucket = Math.floor(expiresAtMs / BUCKET_MS);
    const keys = this.#buckets.get(bucket);
    if (keys) keys.push(key);
    else this.#buckets.set(bucket, [key]);
  }

  #prune(): void {
    const current = Math.floor(this.#parts.clock.nowMs() / BUCKET_MS);
    for (const [bucket, keys] of this.#buckets) {
      if (bucket >= current) continue;
      for (const key of keys) {
        this.#expiry.delete(toHex(key));
        this.#pending.push({ type: 'del', key });
      }
      this.#buckets.delete(bucket);
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.clock.after(this.#options.lingerMs, () => {
      this.#scheduled = false;
      void this.flushed();
    });
  }
}
