/**
 * Metered calls under way, kept so that they can go on, or at least be charged, after their host's process ended at any
 * moment. A call stands here from its first checkpoint to its charge: opening and terms once, then with every
 * checkpoint what was delivered since the last one. What one tick keeps is one write; nothing waits for it but the
 * checkpoint itself.
 */
import { concat, prefixEnd, toHex, u32be, utf8 } from '../base/bytes.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import { type Card, card as cardSchema, type PriceSchedule, priceSchedule } from '../protocol/card.ts';
import type { Hash, Id } from '../protocol/ids.ts';
import { DELIVERIES_MAX, PPM, RECEIPT_ASSETS_MAX } from '../protocol/limits.ts';
import {
  bytes,
  bytesUpTo,
  grains,
  list,
  oneOf,
  record,
  type Schema,
  text,
  u32,
  uint,
} from '../protocol/schema.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import { KEPT_BYTES_MAX, KEPT_CALLS_MAX } from './call-limits.ts';
import type { AnswerShares, CallFrame } from './ports.ts';

/** What a call began with. */
export interface CallHead {
  readonly callId: Id;
  /** The opening in its wire form. */
  readonly opening: Uint8Array;
  readonly peerId: string;
  readonly startedAtMs: number;
  /** The card that the call was made under, and its hash as the caller knows it. */
  readonly card: Card;
  readonly cardHash: Hash;
  readonly price: PriceSchedule;
  readonly inputUnits: number;
  readonly outputUnitsMax: number;
  readonly amountMax: bigint;
  readonly expensesMax: bigint;
  readonly deadlineMs: number;
}

const callHead: Schema<CallHead> = record('call-head', {
  callId: bytes(16),
  opening: bytesUpTo(1_048_576),
  peerId: text(128),
  startedAtMs: uint(),
  card: cardSchema,
  cardHash: bytes(32),
  price: priceSchedule,
  inputUnits: u32,
  outputUnitsMax: u32,
  amountMax: grains,
  expensesMax: grains,
  deadlineMs: uint(),
});

/** Where a call stood at one checkpoint. */
export interface KeptCheckpoint extends AnswerShares {
  /** As the agent signed it. */
  readonly checkpoint: Signed;
  /** How many frames it covers. */
  readonly deliveries: number;
  /** What was covered, grains, and the voucher that says so. */
  readonly cover: bigint;
  readonly voucher: Signed;
}

const keptCheckpoint: Schema<KeptCheckpoint> = record('kept-checkpoint', {
  checkpoint: signed,
  deliveries: u32,
  cover: grains,
  voucher: signed,
  rule: text(64),
  shares: list(
    record('kept-share', {
      asset: bytes(32),
      role: oneOf('knowledge', 'agent', 'model', 'prompt', 'calls'),
      ppm: uint(PPM),
    }),
    RECEIPT_ASSETS_MAX,
  ),
});

const keptFrames: Schema<{ readonly frames: readonly CallFrame[] }> = record('kept-frames', {
  frames: list(record('kept-frame', { kind: uint(255), body: bytesUpTo(65_536) }), DELIVERIES_MAX),
});

/** A call as it was kept. */
export interface KeptCall {
  readonly head: CallHead;
  readonly at: KeptCheckpoint;
  /** Everything kept; may go beyond the checkpoint when the call was about to be charged. */
  readonly frames: readonly CallFrame[];
}

/** One call under way. Nothing of it is kept before its first checkpoint. */
export interface RunningCall {
  /** Keeps a checkpoint and the deliveries up to it; resolves when they survive the end of the process. */
  keep(at: KeptCheckpoint, delivered: readonly CallFrame[]): Promise<void>;
  /** Keeps the deliveries after the last checkpoint, before the call is charged. */
  complete(delivered: readonly CallFrame[]): Promise<void>;
  /** The call has ended. */
  forget(): void;
}

/** Options of the store. */
export interface RunningCallsOptions {
  /** Calls kept at a time; a further one would not go on after a restart. Default 1,024. */
  readonly callsMax: number;
  /** Bytes of all of them. Default 256 MiB. */
  readonly bytesMax: number;
}

/** Values for every option. */
export const RUNNING_CALLS_DEFAULTS: RunningCallsOptions = {
  callsMax: KEPT_CALLS_MAX,
  bytesMax: KEPT_BYTES_MAX,
};

/** The kept calls of one host. */
export interface RunningCalls {
  /** A call that begins; it is kept from its first checkpoint on. */
  begin(head: CallHead): RunningCall;
  /** A call that was kept, to go on with it or to forget it. */
  reopen(kept: KeptCall): RunningCall;
  /** Whether the call stands here. */
  has(callId: Id): boolean;
  /** Whether it was kept when the store was opened and is neither reopened nor forgotten. */
  isLeft(callId: Id): boolean;
  /** Calls that were kept when the store was opened and are neither reopened nor forgotten. Throws `store-corrupt`. */
  left(): Promise<readonly KeptCall[]>;
  /** Resolves once everything so far is written. */
  flushed(): Promise<void>;
}

const HEAD = utf8('h');
const CHECKPOINT = utf8('c');
const FRAMES = utf8('d');

/** Opens the calls kept in `parts.store`, which they have for themselves. */
export async function openRunningCalls(
  parts: { readonly store: Store },
  options: Partial<RunningCallsOptions> = {},
): Promise<RunningCalls> {
  const calls = new StoredRunningCalls(parts.store, { ...RUNNING_CALLS_DEFAULTS, ...options });
  await calls.open();
  return calls;
}

class StoredRunningCalls implements RunningCalls {
  readonly store: Store;
  readonly #options: RunningCallsOptions;
  readonly #sizes = new Map<string, number>();
  readonly #left = new Map<string, Id>();
  readonly #removals = new Set<Promise<void>>();
  #bytes = 0;
  #pending: StoreOperation[] = [];
  #writing: Promise<void> = Promise.resolve();
  #batch: Promise<void> | undefined;

  constructor(store: Store, options: RunningCallsOptions) {
    this.store = store;
    this.#options = options;
  }

  async open(): Promise<void> {
    for await (const [key] of this.#range(HEAD)) {
      const callId = key.slice(1);
      this.#left.set(toHex(callId), callId);
      this.#sizes.set(toHex(callId), 0);
    }
  }

  begin(head: CallHead): RunningCall {
    return new StoredRunningCall(this, head, { deliveries: 0, chunks: [] });
  }

  reopen(kept: KeptCall): RunningCall {
    const { callId } = kept.head;
    this.#left.delete(toHex(callId));
    return new StoredRunningCall(this, kept.head, {
      deliveries: kept.at.deliveries,
      chunks: undefined,
    });
  }

  has(callId: Id): boolean {
    return this.#sizes.has(toHex(callId));
  }

  isLeft(callId: Id): boolean {
    return this.#left.has(toHex(callId));
  }

  async left(): Promise<readonly KeptCall[]> {
    const found: KeptCall[] = [];
    for (const callId of this.#left.values()) {
      const [head, at] = await Promise.all([
        this.store.get(concat(HEAD, callId)),
        this.store.get(concat(CHECKPOINT, callId)),
      ]);
      if (head === undefined || at === undefined) continue;
      const frames: CallFrame[] = [];
      for await (const [, value] of this.#range(concat(FRAMES, callId))) {
        frames.push(...keptFrames.decode(value).frames);
      }
      found.push({ head: callHead.decode(head), at: keptCheckpoint.decode(at), frames });
    }
    return found;
  }

  async flushed(): Promise<void> {
    await Promise.allSettled(this.#removals);
    await (this.#pending.length > 0 ? this.write([]) : this.#writing);
  }

  /** Whether a call may take `bytes` more. */
  hasRoom(name: string, size: number): boolean {
    const { callsMax, bytesMax } = this.#options;
    const known = this.#sizes.has(name);
    return (known || this.#sizes.size < callsMax) && this.#bytes + size <= bytesMax;
  }

  grow(name: string, size: number): void {
    this.#sizes.set(name, (this.#sizes.get(name) ?? 0) + size);
    this.#bytes += size;
  }

  /** Forgets a call. What it has kept is under the keys `chunks`; without them it is looked for. */
  remove(callId: Id, chunks: readonly Uint8Array[] | undefined): void {
    // What stays on a disk that takes no more is found by the next start to have been charged.
    const removal = this.#remove(callId, chunks).catch(() => {});
    this.#removals.add(removal);
    void removal.then(() => this.#removals.delete(removal));
  }

  async #remove(callId: Id, chunks: readonly Uint8Array[] | undefined): Promise<void> {
    const name = toHex(callId);
    this.#left.delete(name);
    if (!this.#sizes.has(name)) return;
    this.#bytes -= this.#sizes.get(name) ?? 0;
    this.#sizes.delete(name);
    const keys = [concat(HEAD, callId), concat(CHECKPOINT, callId), ...(chunks ?? [])];
    if (chunks === undefined) {
      for await (const [key] of this.#range(concat(FRAMES, callId))) keys.push(key);
    }
    await this.write(keys.map((key) => ({ type: 'del', key })));
  }

  /** Adds to the next batch and resolves with it. */
  write(operations: readonly StoreOperation[]): Promise<void> {
    this.#pending.push(...operations);
    this.#batch ??= this.#after(this.#writing);
    this.#writing = this.#batch;
    return this.#batch;
  }

  async #after(before: Promise<void>): Promise<void> {
    await before.catch(() => {});
    this.#batch = undefined;
    const operations = this.#pending;
    this.#pending = [];
    await this.store.batch(operations);
  }

  #range(prefix: Uint8Array): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    const lt = prefixEnd(prefix);
    return this.store.entries({ gte: prefix, ...(lt && { lt }) });
  }
}

class StoredRunningCall implements RunningCall {
  readonly #calls: StoredRunningCalls;
  readonly #head: CallHead;
  readonly #name: string;
  /** Keys of what was kept of the deliveries; absent when they were kept before a restart too. */
  readonly #chunks: Uint8Array[] | undefined;
  #deliveries: number;
  #forgotten = false;

  constructor(
    calls: StoredRunningCalls,
    head: CallHead,
    from: { readonly deliveries: number; readonly chunks: Uint8Array[] | undefined },
  ) {
    this.#calls = calls;
    this.#head = head;
    this.#name = toHex(head.callId);
    this.#deliveries = from.deliveries;
    this.#chunks = from.chunks;
  }

  async keep(at: KeptCheckpoint, delivered: readonly CallFrame[]): Promise<void> {
    const { callId } = this.#head;
    const known = this.#calls.has(callId);
    const operations: StoreOperation[] = [
      { type: 'put', key: concat(CHECKPOINT, callId), value: keptCheckpoint.encode(at) },
    ];
    if (!known)
      operations.push({ type: 'put', key: concat(HEAD, callId), value: callHead.encode(this.#head) });
    await this.#write(operations, delivered.slice(this.#deliveries, at.deliveries));
  }

  async complete(delivered: readonly CallFrame[]): Promise<void> {
    if (!this.#calls.has(this.#head.callId)) return;
    await this.#write([], delivered.slice(this.#deliveries));
  }

  forget(): void {
    if (this.#forgotten) return;
    this.#forgotten = true;
    this.#calls.remove(this.#head.callId, this.#chunks);
  }

  async #write(operations: StoreOperation[], frames: readonly CallFrame[]): Promise<void> {
    if (this.#forgotten) return;
    if (frames.length > 0) {
      const key = concat(FRAMES, this.#head.callId, u32be(this.#deliveries));
      operations.push({ type: 'put', key, value: keptFrames.encode({ frames }) });
    }
    const size = operations.reduce((sum, op) => sum + (op.type === 'put' ? op.value.length : 0), 0);
    // Beyond the limits a call is served all the same; after a restart it costs what was kept, or nothing.
    if (!this.#calls.hasRoom(this.#name, size)) return;
    this.#calls.grow(this.#name, size);
    for (const { key } of operations) if (key[0] === FRAMES[0]) this.#chunks?.push(key);
    this.#deliveries += frames.length;
    await this.#calls.write(operations);
  }
}
