/** The incoming half of an answer at its caller: every frame is checked as it comes and enters the hash chain. */
import { equalBytes, utf8 } from '../base/bytes.ts';
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
import { type CallChild, callChild } from '../protocol/checkpoint.ts';
import { envelope as envelopeSchema } from '../protocol/envelope.ts';
import type { Hash, Id } from '../protocol/ids.ts';
import { ATTRIBUTION_BYTES_MAX, DELIVERIES_MAX, SOURCES_MAX } from '../protocol/limits.ts';
import { costOf, receipt as receiptSchema } from '../protocol/payment.ts';
import type { Suite } from '../protocol/suite.ts';
import { UnitCounter } from '../protocol/units.ts';
import { DELIVERED_BYTES_MAX } from './call-limits.ts';
import type { CallEvent } from './caller.ts';
import type { CallFrame } from './ports.ts';

/** Kinds of frame that deliver something of an answer. */
export const DELIVERIES: ReadonlySet<number> = new Set([
  CALL_FRAME.source,
  CALL_FRAME.delta,
  CALL_FRAME.child,
  CALL_FRAME.attribution,
]);

/** What so many deliveries come to. */
export interface Standing {
  /** End of the hash chain over them. */
  readonly chain: Hash;
  readonly outputUnits: number;
  /** What the calls made directly below cost, grains. */
  readonly expenses: bigint;
}

/** What was delivered so far. */
export class Incoming {
  readonly #suite: Suite;
  readonly #callId: Id;
  // After each number of deliveries; only for a call that is paid for piece by piece.
  readonly #standings: Standing[] | undefined;
  readonly #units = new UnitCounter();
  #expenses = 0n;
  readonly #frames: CallFrame[] = [];
  readonly #sources: Source[] = [];
  readonly #sourceBytes: Uint8Array[] = [];
  readonly #citations: Citation[] = [];
  readonly #children: CallChild[] = [];
  readonly #texts: Uint8Array[] = [];
  #text = '';
  #textBytes = 0;
  #bytes = 0;
  #attribution: Uint8Array | undefined;
  #chain: Hash;

  /** `metered`: checkpoints will be held against it. */
  constructor(suite: Suite, callId: Id, metered = false) {
    this.#suite = suite;
    this.#callId = callId;
    this.#chain = chainStart(suite, callId);
    if (metered) this.#standings = [{ chain: this.#chain, outputUnits: 0, expenses: 0n }];
  }

  /** What the first `deliveries` come to; `undefined` when there are fewer, or nobody asked for it. */
  standing(deliveries: number): Standing | undefined {
    return this.#standings?.[deliveries];
  }

  /** The same as it was after the first `deliveries` frames. */
  rewound(deliveries: number): Incoming {
    const earlier = new Incoming(this.#suite, this.#callId, this.#standings !== undefined);
    for (const { kind, body } of this.#frames.slice(0, deliveries)) earlier.take(kind, body);
    return earlier;
  }

  /** The frames, as they were. */
  get frames(): readonly CallFrame[] {
    return this.#frames;
  }

  /** The answer in the form that the checks of a receipt take. */
  get answer(): {
    readonly text: string;
    readonly sources: readonly Source[];
    readonly citations: readonly Citation[];
    readonly children: readonly CallChild[];
    readonly attribution: Uint8Array | undefined;
    readonly chain: Hash;
  } {
    return {
      text: this.#text,
      sources: this.#sources,
      citations: this.#citations,
      children: this.#children,
      attribution: this.#attribution,
      chain: this.#chain,
    };
  }

  /** Takes a source, delta, child or attribution, of which it keeps a copy. Throws `answer-invalid`, `malformed`. */
  take(kind: number, view: Uint8Array): readonly CallEvent[] {
    const body = view.slice();
    this.#bytes += body.length;
    if (this.#frames.length >= DELIVERIES_MAX || this.#bytes > DELIVERED_BYTES_MAX) throw invalid('too long');
    const events = this.#read(kind, body);
    this.#frames.push({ kind, body });
    this.#chain = chainNext(this.#suite, this.#chain, kind, body);
    this.#standings?.push({
      chain: this.#chain,
      outputUnits: this.#units.count,
      expenses: this.#expenses,
    });
    return events;
  }

  #read(kind: number, body: Uint8Array): readonly CallEvent[] {
    if (kind === CALL_FRAME.source) return this.#source(body);
    if (kind === CALL_FRAME.delta) return this.#delta(body);
    if (kind === CALL_FRAME.attribution) return this.#state(body);
    const child = callChild.decode(body);
    this.#children.push(child);
    if (this.#standings !== undefined) this.#expenses += this.#expenseOf(child);
    return [{ type: 'child', child }];
  }

  #expenseOf(child: CallChild): bigint {
    const { context } = envelopeSchema.decode(child.envelope.payload);
    const direct = context?.parent !== undefined && equalBytes(context.parent, this.#callId);
    return direct ? costOf(receiptSchema.decode(child.receipt.payload)) : 0n;
  }

  /** What it says is the business of who recomputes it; here it is bytes of the chain. */
  #state(body: Uint8Array): readonly CallEvent[] {
    if (body.length > ATTRIBUTION_BYTES_MAX) throw invalid('attribution too large');
    if (this.#attribution !== undefined) throw invalid('two attributions');
    this.#attribution = body;
    return [];
  }

  #source(body: Uint8Array): readonly CallEvent[] {
    if (this.#sources.length >= SOURCES_MAX) throw invalid('too many sources');
    const passage = source.decode(body);
    this.#sources.push(passage);
    this.#sourceBytes.push(utf8(passage.text));
    return [{ type: 'source', index: this.#sources.length - 1, source: passage }];
  }

  #delta(body: Uint8Array): readonly CallEvent[] {
    if (this.#attribution !== undefined) throw invalid('text behind the attribution');
    const piece = delta.decode(body);
    if (piece.sequence !== this.#frames.length)
      throw invalid('out of sequence', { sequence: piece.sequence });
    const encoded = utf8(piece.text);
    this.#texts.push(encoded);
    this.#textBytes += encoded.length;
    this.#text += piece.text;
    if (this.#standings !== undefined) this.#units.push(piece.text);
    const events: CallEvent[] = piece.text === '' ? [] : [{ type: 'text', text: piece.text }];
    for (const citation of piece.citations) {
      this.#cite(citation);
      events.push({ type: 'citation', citation });
    }
    return events;
  }

  /** A citation lies inside the answer and its source, and what it covers stands there word for word. */
  #cite(citation: Citation): void {
    const passage = this.#sourceBytes[citation.source];
    if (passage === undefined) throw invalid('cites a source that did not come');
    const { start, end, sourceStart, sourceEnd } = citation;
    const inside =
      start < end && end <= this.#textBytes && sourceStart < sourceEnd && sourceEnd <= passage.length;
    if (!inside) throw invalid('citation out of bounds');
    if (!equalBytes(this.#said(start, end), passage.subarray(sourceStart, sourceEnd))) {
      throw invalid('citation is not what its source says');
    }
    this.#citations.push(citation);
  }

  #said(start: number, end: number): Uint8Array {
    const said = new Uint8Array(end - start);
    // Citations follow the text that they cover, so the piece wanted is among the last ones.
    let pieceEnd = this.#textBytes;
    for (let i = this.#texts.length - 1; i >= 0 && pieceEnd > start; i--) {
      const piece = this.#texts[i] as Uint8Array;
      const pieceStart = pieceEnd - piece.length;
      const from = Math.max(start, pieceStart);
      const to = Math.min(end, pieceEnd);
      if (from < to) said.set(piece.subarray(from - pieceStart, to - pieceStart), from - start);
      pieceEnd = pieceStart;
    }
    return said;
  }
}

function invalid(reason: string, facts: Readonly<Record<string, number>> = {}): SaharaError {
  return new SaharaError('answer-invalid', { reason, ...facts });
}
