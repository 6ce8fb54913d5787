/**
 * The calls that this peer has asked and not yet seen to their end: enough of each to go on with it after a restart,
 * or at another peer of the same caller. Writing runs behind, so a call that ends sooner is never written; money does
 * not rest on these but on the payment books.
 */
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { Hash, Id } from '../protocol/ids.ts';
import { bytes, bytesUpTo, grains, optional, record, type Schema, text, uint } from '../protocol/schema.ts';
import { type Signed, signed } from '../protocol/signing.ts';
import { OPEN_CALLS_BYTES_MAX, OPEN_CALLS_MAX } from './caller-limits.ts';

/** What it takes to go on with a call. Whoever has it can read the question. */
export interface CallTicket {
  readonly format: string;
  readonly callId: Id;
  /** The peer that was asked. */
  readonly peerId: string;
  /** The agent's signed card. */
  readonly card: Signed;
  /** The opening in its wire form. */
  readonly opening: Uint8Array;
  /** The channel that pays; absent for a free call. */
  readonly channel: Hash | undefined;
  /** What its vouchers cover so far, grains. */
  readonly cover: bigint;
  readonly askedAtMs: number;
}

/** What a ticket of this version begins with. */
export const TICKET_FORMAT = 'sahara/ticket/1';

/** The stored form of a ticket, and its file. */
export const callTicket: Schema<CallTicket> = record('call-ticket', {
  format: text(32),
  callId: bytes(16),
  peerId: text(128),
  card: signed,
  opening: bytesUpTo(1_048_576),
  channel: optional(bytes(32)),
  cover: grains,
  askedAtMs: uint(),
});

/** The ticket in `file`. Throws `malformed` for anything else. */
export function readTicket(file: Uint8Array): CallTicket {
  const ticket = callTicket.decode(file);
  if (ticket.format !== TICKET_FORMAT)
    throw new SaharaError('malformed', { reason: `not a ${TICKET_FORMAT}` });
  return ticket;
}

/** Parts of the open calls. */
export interface OpenCallsParts {
  /** The calls have this store for themselves. */
  readonly store: Store;
  readonly clock: Clock;
}

/** Options of the open calls. */
export interface OpenCallsOptions {
  /** How long a call must be open before it is written, milliseconds. Default 20. */
  readonly lingerMs: number;
  /** How long after it was asked a call that nobody could finish is kept, milliseconds. Default seven days. */
  readonly keepMs: number;
}

/** Values for every option. */
export const OPEN_CALLS_DEFAULTS: OpenCallsOptions = { lingerMs: 20, keepMs: 604_800_000 };

/** The open calls. */
export interface OpenCalls {
  /** A call is under way here. Above `OPEN_CALLS_MAX` calls or `OPEN_CALLS_BYTES_MAX` bytes it is not kept. */
  add(ticket: CallTicket): void;
  /** Its vouchers cover more now. */
  cover(callId: Id, cover: bigint): void;
  /** It is no longer under way here, but has not come to its end. */
  leave(callId: Id): void;
  /** It has come to its end. */
  remove(callId: Id): void;
  /** The ticket of a call that is kept, and whether it is under way here. */
  find(callId: Id): { readonly ticket: CallTicket; readonly live: boolean } | undefined;
  /** Tickets of calls that are not under way here, oldest first. */
  left(): readonly CallTicket[];
  /** Resolves once everything so far is written. */
  flushed(): Promise<void>;
}

/** Opens the calls kept in `parts.store`; those that were under way in another process are left over. */
export async function openOpenCalls(
  parts: OpenCallsParts,
  options: Partial<OpenCallsOptions> = {},
): Promise<OpenCalls> {
  const calls = new StoredOpenCalls(parts, { ...OPEN_CALLS_DEFAULTS, ...options });
  await calls.load();
  return calls;
}

/** Forgets a call once what it ended with is `saved`, and otherwise leaves it over. */
export function forgetAfter(saved: Promise<void>, calls: OpenCalls | undefined, callId: Id): void {
  saved.then(
    () => calls?.remove(callId),
    () => calls?.leave(callId),
  );
}

interface Entry {
  ticket: CallTicket;
  live: boolean;
  written: boolean;
}

class StoredOpenCalls implements OpenCalls {
  readonly #parts: OpenCallsParts;
  readonly #options: OpenCallsOptions;
  readonly #entries = new Map<string, Entry>();
  // Entries to write, and ids of written ones to delete.
  readonly #changed = new Map<string, Id>();
  #bytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #scheduled = false;

  constructor(parts: OpenCallsParts, options: OpenCallsOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  async load(): Promise<void> {
    const oldestMs = this.#parts.clock.nowMs() - this.#options.keepMs;
    const found: CallTicket[] = [];
    for await (const [key, value] of this.#parts.store.entries()) {
      const ticket = callTicket.decode(value);
      if (ticket.askedAtMs >= oldestMs) found.push(ticket);
      else this.#change(toHex(key), key);
    }
    found.sort((a, b) => a.askedAtMs - b.askedAtMs);
    for (const ticket of found) {
      this.#entries.set(toHex(ticket.callId), { ticket, live: false, written: true });
      this.#bytes += ticket.opening.length;
    }
  }

  add(ticket: CallTicket): void {
    const name = toHex(ticket.callId);
    const known = this.#entries.get(name);
    const sizeBytes = ticket.opening.length - (known?.ticket.opening.length ?? 0);
    if (known) {
      this.#bytes += sizeBytes;
      if (known.ticket !== ticket) this.#change(name, ticket.callId);
      known.ticket = ticket;
      known.live = true;
      return;
    }
    if (this.#entries.size >= OPEN_CALLS_MAX || this.#bytes + sizeBytes > OPEN_CALLS_BYTES_MAX) return;
    this.#bytes += sizeBytes;
    this.#entries.set(name, { ticket, live: true, written: false });
    this.#change(name, ticket.callId);
  }

  cover(callId: Id, cover: bigint): void {
    const name = toHex(callId);
    const entry = this.#entries.get(name);
    if (entry === undefined || cover <= entry.ticket.cover) return;
    entry.ticket = { ...entry.ticket, cover };
    this.#change(name, callId);
  }

  leave(callId: Id): void {
    const entry = this.#entries.get(toHex(callId));
    if (entry) entry.live = false;
  }

  remove(callId: Id): void {
    const name = toHex(callId);
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#bytes -= entry.ticket.opening.length;
    if (entry.written) this.#change(name, callId);
    else this.#changed.delete(name);
  }

  find(callId: Id): { readonly ticket: CallTicket; readonly live: boolean } | undefined {
    return this.#entries.get(toHex(callId));
  }

  left(): readonly CallTicket[] {
    return [...this.#entries.values()].filter(({ live }) => !live).map(({ ticket }) => ticket);
  }

  flushed(): Promise<void> {
    if (this.#changed.size === 0) return this.#writing;
    const operations: StoreOperation[] = [];
    for (const [name, key] of this.#changed) {
      const entry = this.#entries.get(name);
      if (entry) entry.written = true;
      operations.push(
        entry ? { type: 'put', key, value: callTicket.encode(entry.ticket) } : { type: 'del', key },
      );
    }
    this.#changed.clear();
    this.#writing = this.#writing.then(async () => {
      await this.#parts.store.batch(operations);
      point('caller:kept');
    });
    // Who waits hears of a failure; nobody may be waiting.
    this.#writing.catch(() => {});
    return this.#writing;
  }

  #change(name: string, callId: Id): void {
    this.#changed.set(name, callId);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.clock.after(this.#options.lingerMs, () => {
      this.#scheduled = false;
      void this.flushed();
    });
  }
}
