/**
 * What one call has delivered: frames in order, the hash chain over them, the units of their text and what calls
 * below cost. Text goes out as far as the units allow and as far as it is paid for; what is only not paid for yet is
 * held until it is.
 */
import { invariant, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import {
  CALL_FRAME,
  type Citation,
  chainNext,
  chainStart,
  delta,
  type Source,
  source,
} from '../protocol/call.ts';
import type { Hash, Id } from '../protocol/ids.ts';
import { CITATIONS_MAX, DELIVERIES_MAX, DELTA_TEXT_BYTES_MAX, SOURCES_MAX } from '../protocol/limits.ts';
import type { Suite } from '../protocol/suite.ts';
import { UnitCounter } from '../protocol/units.ts';
import { DELIVERED_BYTES_MAX } from './call-limits.ts';
import type { CallFrame } from './ports.ts';

/** Characters that never take more than `DELTA_TEXT_BYTES_MAX` bytes. */
const DELTA_CHARACTERS = Math.floor(DELTA_TEXT_BYTES_MAX / 4);

/** Where a delivery goes. */
export interface DeliveryLine {
  /** Sends at once; false: wait for `ready` before the next. */
  send(frame: CallFrame): boolean;
  ready(signal: AbortSignal): Promise<void>;
}

/** Text that waits to be paid for. */
export interface HeldText {
  readonly text: string;
  readonly citations: readonly Citation[];
}

/** What one call has delivered so far. */
export class Delivery {
  readonly #suite: Suite;
  readonly #line: DeliveryLine;
  readonly #counter = new UnitCounter();
  readonly #unitsMax: number;
  readonly #frames: CallFrame[] = [];
  readonly #citations: Citation[] = [];
  #chain: Hash;
  #units = 0;
  #deltas = 0;
  #sources = 0;
  #text = '';
  #textBytes = 0;
  #bytes = 0;
  #cut = false;
  #held: HeldText | undefined;
  #expenses = 0n;
  /** Units of text that are paid for. Without a price, or when everything is covered, no bound. */
  unitsPaid: number = Number.POSITIVE_INFINITY;

  /** `unitsMax`: most units of text that are delivered. */
  constructor(parts: { readonly suite: Suite; readonly line: DeliveryLine }, callId: Id, unitsMax: number) {
    this.#suite = parts.suite;
    this.#line = parts.line;
    this.#unitsMax = unitsMax;
    this.#chain = chainStart(parts.suite, callId);
  }

  /** End of the hash chain. */
  get chain(): Hash {
    return this.#chain;
  }

  /** Everything delivered, in order. */
  get frames(): readonly CallFrame[] {
    return this.#frames;
  }

  get deltas(): number {
    return this.#deltas;
  }

  get text(): string {
    return this.#text;
  }

  /** The citations delivered. */
  get citations(): readonly Citation[] {
    return this.#citations;
  }

  /** Units of the text delivered. */
  get units(): number {
    return this.#units;
  }

  /** What the calls made directly below cost, grains. */
  get expenses(): bigint {
    return this.#expenses;
  }

  /** Whether text was cut off because it went beyond the units allowed. */
  get cut(): boolean {
    return this.#cut;
  }

  /** Text that is not paid for yet. While there is any, nothing else may be delivered. */
  get held(): HeldText | undefined {
    return this.#held;
  }

  /** Delivers a passage. Resolves when the next part may be made. */
  source(passage: Source, signal: AbortSignal): Promise<void> | undefined {
    if (this.#sources >= SOURCES_MAX) throw new SaharaError('backend-failed', { reason: 'too many sources' });
    const waiting = this.#deliver(CALL_FRAME.source, source.encode(passage), signal);
    this.#sources++;
    return waiting;
  }

  /** Delivers a call made below, in its wire form, which cost `amount` if it was made directly, else 0. */
  child(body: Uint8Array, amount: bigint, signal: AbortSignal): Promise<void> | undefined {
    const waiting = this.#deliver(CALL_FRAME.child, body, signal);
    this.#expenses += amount;
    return waiting;
  }

  /** Delivers the statement of who the answer rests on, in its wire form. */
  attribution(body: Uint8Array, signal: AbortSignal): Promise<void> | undefined {
    return this.#deliver(CALL_FRAME.attribution, body, signal);
  }

  /** Delivers text with its citations, in as many deltas as it takes. */
  say(text: string, citations: readonly Citation[], signal: AbortSignal): Promise<void> | undefined {
    invariant(this.#held === undefined, 'held text goes first');
    const whole = text.length <= DELTA_CHARACTERS && citations.length <= CITATIONS_MAX;
    return whole ? this.#piece(text, citations, signal) : this.#inPieces(text, citations, signal);
  }

  /** Delivers what was held, as far as it is paid for by now. */
  release(signal: AbortSignal): Promise<void> | undefined {
    const held = this.#held;
    this.#held = undefined;
    return held && this.say(held.text, held.citations, signal);
  }

  /** Nothing held will ever be paid for: it is left out. */
  drop(): void {
    if (this.#held !== undefined) this.#cut = true;
    this.#held = undefined;
  }

  async #inPieces(text: string, citations: readonly Citation[], signal: AbortSignal): Promise<void> {
    let rest = text;
    let left = citations;
    while (rest.length > 0 || left.length > 0) {
      let end = Math.min(DELTA_CHARACTERS, rest.length);
      // A surrogate pair stays together.
      if (end < rest.length && /[\ud800-\udbff]/.test(rest[end - 1] ?? '')) end--;
      const piece = rest.slice(0, end);
      rest = rest.slice(end);
      const now = rest.length === 0 ? left.slice(0, CITATIONS_MAX) : [];
      left = left.slice(now.length);
      await this.#piece(piece, now, signal);
      if (this.#held !== undefined) {
        const held: HeldText = this.#held;
        this.#held = { text: held.text + rest, citations: [...held.citations, ...left] };
        return;
      }
      if (this.#cut) {
        rest = '';
        left = left.filter((citation) => citation.end <= this.#textBytes);
      }
    }
  }

  #piece(text: string, citations: readonly Citation[], signal: AbortSignal): Promise<void> | undefined {
    const limit = Math.min(this.#unitsMax, this.unitsPaid);
    const allowed = text.slice(0, this.#counter.take(text, limit));
    const textBytes = this.#textBytes + Buffer.byteLength(allowed);
    const kept = citations.filter(({ end }) => end <= textBytes);
    const none = allowed.length === 0 && kept.length === 0;
    const waiting = none ? undefined : this.#delta(allowed, kept, signal);
    // Only now, so that a delta that cannot go leaves text, units and chain in step.
    this.#units = this.#counter.count;
    this.#text += allowed;
    this.#textBytes = textBytes;
    if (allowed.length === text.length) return waiting;
    if (limit === this.#unitsMax) this.#cut = true;
    else {
      const later = citations.filter(({ end }) => end > textBytes);
      this.#held = { text: text.slice(allowed.length), citations: later };
    }
    return waiting;
  }

  #delta(text: string, citations: readonly Citation[], signal: AbortSignal): Promise<void> | undefined {
    const sequence = this.#frames.length;
    const waiting = this.#deliver(CALL_FRAME.delta, delta.encode({ sequence, text, citations }), signal);
    this.#deltas++;
    this.#citations.push(...citations);
    return waiting;
  }

  #deliver(kind: number, body: Uint8Array, signal: AbortSignal): Promise<void> | undefined {
    const frame = { kind, body };
    this.#check(frame);
    const open = this.#line.send(frame);
    point('host:delivered');
    this.#count(frame);
    return open ? undefined : this.#line.ready(signal);
  }

  #check({ body }: CallFrame): void {
    if (this.#frames.length >= DELIVERIES_MAX || this.#bytes + body.length > DELIVERED_BYTES_MAX) {
      throw new SaharaError('backend-failed', { reason: 'answer too long' });
    }
  }

  #count(frame: CallFrame): void {
    this.#bytes += frame.body.length;
    this.#frames.push(frame);
    this.#chain = chainNext(this.#suite, this.#chain, frame.kind, frame.body);
  }

  /** Takes over what was delivered before a restart. Throws `malformed` for frames that cannot be read. */
  restore(frames: readonly CallFrame[], expenses: bigint): void {
    invariant(this.#frames.length === 0, 'only a new delivery is restored');
    for (const { kind, body } of frames) {
      if (kind === CALL_FRAME.source) this.#sources++;
      if (kind === CALL_FRAME.delta) {
        const { text, citations } = delta.decode(body);
        this.#deltas++;
        this.#counter.push(text);
        this.#units = this.#counter.count;
        this.#text += text;
        this.#textBytes += Buffer.byteLength(text);
        this.#citations.push(...citations);
      }
      this.#count({ kind, body });
    }
    this.#expenses = expenses;
  }
}
