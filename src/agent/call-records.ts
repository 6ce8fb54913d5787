/**
 * The calls that this peer made and served, kept for receipts, evidence and repetition: the opening, the raw
 * delivered frames and the ending. Bounded by number and bytes, the oldest leave first. Writing runs behind;
 * money does not rest on these records but on the payment books.
 */
import { concat, fromHex, prefixEnd, toHex, u64be, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { Passing } from '../base/passing.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import { DELIVERIES_MAX } from '../protocol/limits.ts';
import type { Finish } from '../protocol/payment.ts';
import {
  bytes,
  bytesUpTo,
  grains,
  list,
  oneOf,
  record,
  type Schema,
  text,
  uint,
} from '../protocol/schema.ts';

/** A call as it is kept. */
export interface CallRecord {
  /** Whether this peer asked or answered. */
  readonly side: 'caller' | 'host';
  readonly callId: Id;
  readonly agent: PublicKey;
  readonly caller: PublicKey;
  /** The peer on the other end of the stream. */
  readonly peerId: string;
  readonly cardHash: Hash;
  readonly requestHash: Hash;
  readonly finish: Finish;
  readonly amount: bigint;
  readonly finishedAtMs: number;
  /** The opening in its wire form. */
  readonly opening: Uint8Array;
  /** The delivered frames, as they were. */
  readonly deliveries: readonly { readonly kind: number; readonly body: Uint8Array }[];
  /** The ending in its wire form. */
  readonly ending: Uint8Array;
}

const callRecord: Schema<CallRecord> = record('call-record', {
  side: oneOf('caller', 'host'),
  callId: bytes(16),
  agent: bytes(32),
  caller: bytes(32),
  peerId: text(128),
  cardHash: bytes(32),
  requestHash: bytes(32),
  finish: oneOf('done', 'length', 'nothing-found', 'cancelled', 'failed'),
  amount: grains,
  finishedAtMs: uint(),
  opening: bytesUpTo(1_048_576),
  deliveries: list(record('delivery', { kind: uint(255), body: bytesUpTo(65_536) }), DELIVERIES_MAX),
  ending: bytesUpTo(65_536),
});

/** Parts of the records. */
export interface CallRecordsParts {
  /** The records have this store for themselves. */
  readonly store: Store;
  readonly clock: Clock;
}

/** Options of the records. */
export interface CallRecordsOptions {
  /** Calls kept. Default 20,000. */
  readonly callsMax: number;
  /** Bytes kept. Default 256 MiB. */
  readonly bytesMax: number;
  /** Bytes that may wait to be written; more are not kept. Default 32 MiB. */
  readonly waitingBytesMax: number;
  /** How long records wait to be written together, milliseconds. Default 20. */
  readonly lingerMs: number;
}

/** Values for every option. */
export const CALL_RECORDS_DEFAULTS: CallRecordsOptions = {
  callsMax: 20_000,
  bytesMax: 268_435_456,
  waitingBytesMax: 33_554_432,
  lingerMs: 20,
};

/** The kept calls. */
export interface CallRecords {
  /** Keeps a call; what does not fit any more is forgotten, oldest first. */
  add(call: CallRecord): void;
  /** The call `callId` as this peer's `side` knows it. */
  find(side: CallRecord['side'], callId: Id): Promise<CallRecord | undefined>;
  /** Whether `find` would find it. */
  has(side: CallRecord['side'], callId: Id): boolean;
  /** Up to `limit` calls, the newest first. Default 100. */
  recent(options?: {
    readonly side?: CallRecord['side'];
    readonly limit?: number;
  }): Promise<readonly CallRecord[]>;
  /** Resolves once everything added so far is written. */
  flushed(): Promise<void>;
}

/** Opens the records kept in `parts.store`. */
export async function openCallRecords(
  parts: CallRecordsParts,
  options: Partial<CallRecordsOptions> = {},
): Promise<CallRecords> {
  const records = new StoredCalls(parts, { ...CALL_RECORDS_DEFAULTS, ...options });
  await records.load();
  return records;
}

interface Entry {
  readonly order: bigint;
  readonly sizeBytes: number;
}

const BY_ORDER = utf8('t');
const BY_ID = utf8('c');
const SIDES: Readonly<Record<CallRecord['side'], number>> = { caller: 0, host: 1 };

class StoredCalls implements CallRecords {
  readonly #parts: CallRecordsParts;
  readonly #options: CallRecordsOptions;
  // In the order of their ages: a map keeps the order in which it was filled.
  readonly #entries = new Map<string, Entry>();
  readonly #waiting = new Passing<string, CallRecord>();
  #bytes = 0;
  #waitingBytes = 0;
  #writingBytes = 0;
  #order = 0n;
  #pending: StoreOperation[] = [];
  #writing: Promise<void> = Promise.resolve();
  #scheduled = false;

  constructor(parts: CallRecordsParts, options: CallRecordsOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  async load(): Promise<void> {
    const lt = prefixEnd(BY_ORDER);
    for await (const [key, value] of this.#parts.store.entries({ gte: BY_ORDER, ...(lt && { lt }) })) {
      const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
      const order = view.getBigUint64(1);
      const sizeBytes = new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0);
      this.#entries.set(toHex(value.subarray(4)), { order, sizeBytes });
      this.#bytes += sizeBytes;
      this.#order = order + 1n;
    }
  }

  add(call: CallRecord): void {
    const key = nameOf(call.side, call.callId);
    const name = toHex(key);
    if (this.#entries.has(name)) return;
    const value = callRecord.encode(call);
    if (this.#waitingBytes + this.#writingBytes + value.length > this.#options.waitingBytesMax) return;
    const order = this.#order++;
    this.#entries.set(name, { order, sizeBytes: value.length });
    this.#bytes += value.length;
    this.#waitingBytes += value.length;
    this.#waiting.set(name, call);
    const index = concat(new Uint8Array(4), key);
    new DataView(index.buffer).setUint32(0, value.length);
    this.#pending.push({ type: 'put', key: concat(BY_ID, key), value });
    this.#pending.push({ type: 'put', key: concat(BY_ORDER, u64be(order)), value: index });
    this.#trim();
    this.#schedule();
  }

  has(side: CallRecord['side'], callId: Id): boolean {
    return this.#entries.has(toHex(nameOf(side, callId)));
  }

  async find(side: CallRecord['side'], callId: Id): Promise<CallRecord | undefined> {
    const key = nameOf(side, callId);
    const name = toHex(key);
    if (!this.#entries.has(name)) return undefined;
    const waiting = this.#waiting.get(name);
    if (waiting) return waiting;
    const stored = await this.#parts.store.get(concat(BY_ID, key));
    return stored === undefined ? undefined : callRecord.decode(stored);
  }

  async recent(
    options: { readonly side?: CallRecord['side']; readonly limit?: number } = {},
  ): Promise<readonly CallRecord[]> {
    await this.flushed();
    const found: CallRecord[] = [];
    const limit = options.limit ?? 100;
    const lt = prefixEnd(BY_ORDER);
    const newest = this.#parts.store.entries({ gte: BY_ORDER, ...(lt && { lt }), reverse: true });
    for await (const [, value] of newest) {
      const stored = await this.#parts.store.get(concat(BY_ID, value.subarray(4)));
      const call = stored && callRecord.decode(stored);
      if (call && (options.side === undefined || call.side === options.side)) found.push(call);
      if (found.length >= limit) break;
    }
    return found;
  }

  flushed(): Promise<void> {
    if (this.#pending.length > 0) {
      const operations = this.#pending;
      const names = [...this.#waiting.keys()];
      const bytesWritten = this.#waitingBytes;
      this.#pending = [];
      this.#waitingBytes = 0;
      this.#writingBytes += bytesWritten;
      this.#writing = this.#writing
        .then(() => this.#parts.store.batch(operations))
        .finally(() => {
          for (const name of names) this.#waiting.delete(name);
          this.#writingBytes -= bytesWritten;
        });
      // Who waits hears of a failure; nobody may be waiting.
      this.#writing.catch(() => {});
    }
    return this.#writing;
  }

  #trim(): void {
    for (const [name, { order, sizeBytes }] of this.#entries) {
      if (this.#entries.size <= this.#options.callsMax && this.#bytes <= this.#options.bytesMax) return;
      this.#entries.delete(name);
      this.#waiting.delete(name);
      this.#bytes -= sizeBytes;
      const key = fromHex(name) ?? new Uint8Array(0);
      this.#pending.push({ type: 'del', key: concat(BY_ID, key) });
      this.#pending.push({ type: 'del', key: concat(BY_ORDER, u64be(order)) });
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

function nameOf(side: CallRecord['side'], callId: Id): Uint8Array {
  return concat(Uint8Array.of(SIDES[side]), callId);
}
