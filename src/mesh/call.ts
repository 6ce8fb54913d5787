/**
 * One call of a session: credit both ways, frames in order, and an end that is always explicit. A sender may send
 * a DATA frame while its credit is above zero, so it overdraws by at most one frame and never has to cut one.
 */
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import { malformed } from '../protocol/codec.ts';
import { toWireFailure } from '../protocol/failure.ts';
import { DATA_KIND_MAX, DATA_OVERHEAD_BYTES, type FrameWriter } from '../protocol/frames.ts';
import type { CallFrame, CallSink, CallStream } from './interface.ts';
import { CALL_PENDING_BYTES_MAX } from './limits.ts';
import { sendableError } from './sendable.ts';

/** What a call uses of its session. */
export interface CallLink {
  readonly peerId: string;
  readonly peerCertificate: Uint8Array;
  /** Greatest body that the peer takes, bytes. */
  readonly peerBodyBytesMax: number;
  /** Credit that a call grants, bytes. */
  readonly windowBytes: number;
  /** Frames go here; `flushSoon` afterwards. */
  readonly writer: FrameWriter;
  flushSoon(): void;
  /** As `flushSoon`, but nobody waits for it: it may leave with what comes next. */
  flushLater(): void;
  /** Gives a call of this side its number and tells the peer of it, with the frame that follows. */
  begin(call: Call): number;
  /** Whether the network takes no more for now. */
  held(): boolean;
  /** Counts bytes that wait for their reader. False: the session holds too many. */
  unread(bytes: number): boolean;
  /** The call is over: its slot is free. */
  release(call: Call): void;
  nowMs(): number;
}

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

const HALF = 2;
const UNBEGUN = 0;

/** A call as its session and its user see it. */
export class Call implements CallStream {
  readonly #link: CallLink;
  #id: number;
  #credit: number;
  #outstandingBytes = 0;
  #owedBytes = 0;
  #received: CallFrame[] = [];
  #receivedAt = 0;
  #unreadBytes = 0;
  #uncounted = false;
  #pending: CallFrame[] = [];
  #pendingBytes = 0;
  #endsAfterPending = false;
  #localDone = false;
  #remoteDone = false;
  #failure: SaharaError | undefined;
  #failedByPeer = false;
  #sink: CallSink | undefined;
  #reader: Waiter<IteratorResult<CallFrame>> | undefined;
  #writers: Waiter<void>[] = [];
  #controller: AbortController | undefined;

  /** `credit`: bytes that the peer's HELLO grants each call. `id`: its number; 0 before its first frame. */
  constructor(link: CallLink, credit: number, id: number = UNBEGUN) {
    this.#link = link;
    this.#id = id;
    this.#credit = credit;
  }

  /** The number on the wire; 0 while the peer does not know of the call. */
  get id(): number {
    return this.#id;
  }

  get peerId(): string {
    return this.#link.peerId;
  }

  get peerCertificate(): Uint8Array {
    return this.#link.peerCertificate;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#failedByPeer) this.#controller.abort(this.#failure);
    }
    return this.#controller.signal;
  }

  send(frame: CallFrame): boolean {
    if (this.#failure) throw this.#failure;
    invariant(!this.#localDone, 'nothing is sent after END');
    invariant(frame.kind >= 0 && frame.kind <= DATA_KIND_MAX, 'call frame kind in range');
    const limitBytes = this.#link.peerBodyBytesMax;
    if (frame.body.length > limitBytes) {
      throw new SaharaError('too-large', { what: 'call frame', sizeBytes: frame.body.length, limitBytes });
    }
    if (this.#pending.length === 0 && this.#credit > 0 && !this.#link.held()) {
      this.#write(frame);
      return this.#credit > 0 && !this.#link.held();
    }
    if (this.#pendingBytes + frame.body.length > CALL_PENDING_BYTES_MAX) {
      throw new SaharaError('overloaded', { what: 'call stream', limitBytes: CALL_PENDING_BYTES_MAX });
    }
    this.#pending.push(frame);
    this.#pendingBytes += frame.body.length + DATA_OVERHEAD_BYTES;
    return false;
  }

  async writable(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (options.signal?.aborted) throw new SaharaError('cancelled');
    if (this.#takes()) return;
    const { signal } = options;
    let abort = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        const waiter = { resolve, reject };
        this.#writers.push(waiter);
        abort = () => {
          this.#writers = this.#writers.filter((other) => other !== waiter);
          reject(new SaharaError('cancelled'));
        };
        signal?.addEventListener('abort', abort, { once: true });
      });
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  frames(): AsyncIterable<CallFrame> {
    const next = (): Promise<IteratorResult<CallFrame>> => this.#next();
    const leave = async (): Promise<IteratorResult<CallFrame>> => {
      if (!this.#remoteDone) this.cancel();
      return { done: true, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next, return: leave }) };
  }

  consume(sink: CallSink): void {
    invariant(!this.#sink, 'a call has one reader');
    this.#sink = sink;
    for (let frame = this.#shift(); frame; frame = this.#shift()) sink.frame(frame.kind, frame.body);
    if (this.#failure && !this.#remoteDone) sink.fail(this.#failure);
    else if (this.#remoteDone) sink.end();
  }

  end(): void {
    if (this.#localDone || this.#failure) return;
    this.#localDone = true;
    if (this.#pending.length > 0) this.#endsAfterPending = true;
    else this.#sendEnd();
  }

  fail(error: SaharaError): void {
    if (this.#over()) return;
    if (this.#id !== UNBEGUN) {
      this.#link.writer.fail(this.#id, toWireFailure(sendableError(error), this.#link.nowMs()));
      this.#link.flushSoon();
    }
    this.#break(error);
  }

  cancel(): void {
    if (this.#over()) return;
    if (this.#id !== UNBEGUN) {
      this.#link.writer.cancel(this.#id);
      this.#link.flushSoon();
    }
    this.#break(new SaharaError('cancelled'));
  }

  /** The peer sent a DATA frame. `malformed`: it broke the rules of the stream. */
  onData(kind: number, body: Uint8Array): void {
    if (this.#remoteDone) throw malformed('DATA after END');
    if (this.#outstandingBytes >= this.#link.windowBytes) throw malformed('DATA beyond the credit');
    const cost = body.length + DATA_OVERHEAD_BYTES;
    this.#outstandingBytes += cost;
    if (this.#sink) {
      this.#tell(this.#sink, kind, body);
      this.#giveBack(cost);
    } else if (this.#reader) {
      const reader = this.#reader;
      this.#reader = undefined;
      this.#giveBack(cost);
      reader.resolve({ done: false, value: { kind, body } });
    } else {
      // A copy: a small body must not keep the large chunk alive in which it came.
      this.#received.push({ kind, body: body.slice() });
      if (!this.#count(cost)) this.fail(new SaharaError('overloaded', { what: 'call stream' }));
    }
  }

  /** The peer sent END. */
  onEnd(): void {
    if (this.#remoteDone) throw malformed('END twice');
    this.#remoteDone = true;
    this.#sink?.end();
    this.#reader?.resolve({ done: true, value: undefined });
    this.#reader = undefined;
    this.#releaseIfDone();
  }

  /** The peer sent CREDIT. */
  onCredit(bytes: number): void {
    this.#credit = Math.min(this.#credit + bytes, Number.MAX_SAFE_INTEGER);
    this.onWritable();
  }

  /** Credit or the network opened again: sends what waits. */
  onWritable(): void {
    let sent = 0;
    while (sent < this.#pending.length && this.#credit > 0 && !this.#link.held()) {
      const frame = this.#pending[sent++] as CallFrame;
      this.#pendingBytes -= frame.body.length + DATA_OVERHEAD_BYTES;
      this.#write(frame);
    }
    if (sent > 0) this.#pending.splice(0, sent);
    if (this.#endsAfterPending && this.#pending.length === 0) {
      this.#endsAfterPending = false;
      this.#sendEnd();
    }
    if (!this.#takes() || this.#writers.length === 0) return;
    const writers = this.#writers;
    this.#writers = [];
    for (const writer of writers) writer.resolve();
  }

  /** The other side ended the call early, or is gone. */
  onBroken(error: SaharaError): void {
    if (this.#failure) return;
    this.#failedByPeer = true;
    const told = this.#remoteDone;
    this.#break(error);
    if (!told) this.#sink?.fail(error);
    this.#controller?.abort(error);
  }

  // A consumer's defect ends its own call, not the others of the stream.
  #tell(sink: CallSink, kind: number, body: Uint8Array): void {
    try {
      sink.frame(kind, body);
    } catch (error) {
      this.fail(asSaharaError(error));
    }
  }

  #over(): boolean {
    return this.#failure !== undefined || (this.#remoteDone && this.#localDone && !this.#endsAfterPending);
  }

  #takes(): boolean {
    return this.#pending.length === 0 && this.#credit > 0 && !this.#link.held();
  }

  #write(frame: CallFrame): void {
    this.#credit -= frame.body.length + DATA_OVERHEAD_BYTES;
    this.#begin();
    this.#link.writer.data(this.#id, frame.kind, frame.body);
    this.#link.flushSoon();
  }

  // The peer hears of a call with its first frame, so that both travel together.
  #begin(): void {
    if (this.#id === UNBEGUN) this.#id = this.#link.begin(this);
  }

  #sendEnd(): void {
    this.#begin();
    this.#link.writer.end(this.#id);
    this.#link.flushLater();
    this.#releaseIfDone();
  }

  #releaseIfDone(): void {
    if (!this.#over()) return;
    this.#stopCounting();
    this.#link.release(this);
  }

  #shift(): CallFrame | undefined {
    const frame = this.#received[this.#receivedAt];
    if (!frame) return undefined;
    this.#receivedAt++;
    if (this.#receivedAt === this.#received.length) {
      this.#received = [];
      this.#receivedAt = 0;
    }
    const cost = frame.body.length + DATA_OVERHEAD_BYTES;
    this.#count(-cost);
    this.#giveBack(cost);
    return frame;
  }

  async #next(): Promise<IteratorResult<CallFrame>> {
    invariant(!this.#sink && !this.#reader, 'a call has one reader, one frame at a time');
    const frame = this.#shift();
    if (frame) return { done: false, value: frame };
    if (this.#remoteDone) return { done: true, value: undefined };
    if (this.#failure) throw this.#failure;
    return await new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  #giveBack(cost: number): void {
    this.#owedBytes += cost;
    if (this.#owedBytes * HALF < this.#link.windowBytes || this.#remoteDone || this.#failure) return;
    this.#link.writer.credit(this.#id, this.#owedBytes);
    this.#link.flushSoon();
    this.#outstandingBytes -= this.#owedBytes;
    this.#owedBytes = 0;
  }

  #break(error: SaharaError): void {
    this.#failure = error;
    this.#localDone = true;
    this.#endsAfterPending = false;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#stopCounting();
    if (!this.#failedByPeer) this.#received = [];
    this.#link.release(this);
    this.#reader?.reject(error);
    this.#reader = undefined;
    const writers = this.#writers;
    this.#writers = [];
    for (const writer of writers) writer.reject(error);
  }

  /** Counts bytes that wait for the reader. False: the session holds too many. */
  #count(bytes: number): boolean {
    if (this.#uncounted) return true;
    this.#unreadBytes += bytes;
    return this.#link.unread(bytes);
  }

  // What a call that is over still holds for its reader lives as long as the reader keeps the call.
  #stopCounting(): void {
    if (this.#uncounted) return;
    this.#uncounted = true;
    this.#link.unread(-this.#unreadBytes);
  }
}
