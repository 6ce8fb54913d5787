/** The outgoing half of an answer: frames in order, the hash chain over them, and a wait where the reader is slow. */
import { SaharaError } from '../base/errors.ts';
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
import type { CallFrame, CallStream } from './ports.ts';

/** Characters that never take more than `DELTA_TEXT_BYTES_MAX` bytes. */
const DELTA_CHARACTERS = Math.floor(DELTA_TEXT_BYTES_MAX / 4);

/** What one call has delivered so far. */
export class Delivery {
  readonly #suite: Suite;
  readonly #stream: CallStream;
  readonly #units = new UnitCounter();
  readonly #unitsMax: number;
  readonly #frames: CallFrame[] = [];
  readonly #citations: Citation[] = [];
  #chain: Hash;
  #deltas = 0;
  #sources = 0;
  #text = '';
  #textBytes = 0;
  #bytes = 0;
  #cut = false;

  /** `unitsMax`: most units of text that are delivered. */
  constructor(parts: { readonly suite: Suite; readonly stream: CallStream }, callId: Id, unitsMax: number) {
    this.#suite = parts.suite;
    this.#stream = parts.stream;
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
    return this.#units.count;
  }

  /** Whether text was cut off because it went beyond the units allowed. */
  get cut(): boolean {
    return this.#cut;
  }

  /** Delivers a passage. Resolves when the next part may be made. */
  source(passage: Source, signal: AbortSignal): Promise<void> | undefined {
    if (++this.#sources > SOURCES_MAX)
      throw new SaharaError('backend-failed', { reason: 'too many sources' });
    return this.#deliver(CALL_FRAME.source, source.encode(passage), signal);
  }

  /** Delivers text with its citations, in as many deltas as it takes. */
  say(text: string, citations: readonly Citation[], signal: AbortSignal): Promise<void> | undefined {
    const allowed = text.slice(0, this.#units.take(text, this.#unitsMax));
    if (allowed.length < text.length) this.#cut = true;
    this.#textBytes += Buffer.byteLength(allowed);
    this.#text += allowed;
    const kept = citations.filter(({ end }) => end <= this.#textBytes);
    if (allowed.length <= DELTA_CHARACTERS && kept.length <= CITATIONS_MAX) {
      if (allowed.length === 0 && kept.length === 0) return undefined;
      return this.#delta(allowed, kept, signal);
    }
    return this.#inPieces(allowed, kept, signal);
  }

  async #inPieces(text: string, citations: readonly Citation[], signal: AbortSignal): Promise<void> {
    let rest = text;
    let left = [...citations];
    while (rest.length > 0 || left.length > 0) {
      let end = Math.min(DELTA_CHARACTERS, rest.length);
      // A surrogate pair stays together.
      if (end < rest.length && /[\ud800-\udbff]/.test(rest[end - 1] ?? '')) end--;
      const piece = rest.slice(0, end);
      rest = rest.slice(end);
      const now = rest.length === 0 ? left.slice(0, CITATIONS_MAX) : [];
      left = left.slice(now.length);
      await this.#delta(piece, now, signal);
    }
  }

  #delta(text: string, citations: readonly Citation[], signal: AbortSignal): Promise<void> | undefined {
    const sequence = this.#frames.length;
    this.#deltas++;
    this.#citations.push(...citations);
    return this.#deliver(CALL_FRAME.delta, delta.encode({ sequence, text, citations }), signal);
  }

  #deliver(kind: number, body: Uint8Array, signal: AbortSignal): Promise<void> | undefined {
    this.#bytes += body.length;
    if (this.#frames.length >= DELIVERIES_MAX || this.#bytes > DELIVERED_BYTES_MAX) {
      throw new SaharaError('backend-failed', { reason: 'answer too long' });
    }
    const frame = { kind, body };
    const open = this.#stream.send(frame);
    this.#frames.push(frame);
    this.#chain = chainNext(this.#suite, this.#chain, kind, body);
    return open ? undefined : this.#stream.writable({ signal });
  }
}
