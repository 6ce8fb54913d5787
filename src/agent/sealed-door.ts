/**
 * Where calls come in. The first frame of a stream says what it is: a call in the open, a sealed one, or the request
 * to carry one to another peer. The host gets the first two as the same kind of stream and never hears of the third.
 */
import type { Clock } from '../base/clock.ts';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import type { PublicKey } from '../protocol/ids.ts';
import type { SealKey, Unsealer } from '../protocol/seal.ts';
import { type CallQuestion, callSealed } from '../protocol/sealed-message.ts';
import type { CallFrame, CallSink, CallStream } from './ports.ts';
import { sealStream } from './sealed.ts';
import { answerSealed } from './sealed-question.ts';

/** What comes in by a door. */
export interface DoorParts {
  readonly unsealer: Unsealer;
  readonly clock: Clock;
  /** What a peer may be told of an error. */
  readonly sendable: (error: SaharaError) => SaharaError;
  /** The sealing key of an agent that is hosted here. */
  readonly keyOf: (agent: PublicKey) => SealKey | undefined;
  /** Takes over a stream that asks to be carried elsewhere: the rest of its frames and the request. */
  readonly carry: (source: AsyncIterator<CallFrame>, request: Uint8Array) => void;
  /** Answers a question that came sealed. Throws what the asker is told. */
  readonly answer: (question: CallQuestion) => Promise<Uint8Array>;
}

/** The call that comes in on `stream`, opened if it is sealed. */
export function throughDoor(parts: DoorParts, stream: CallStream): CallStream {
  return new DoorStream(parts, stream);
}

/** How a stream began. */
type Entry =
  | { readonly type: 'plain'; readonly source: AsyncIterator<CallFrame>; readonly first: CallFrame }
  | { readonly type: 'sealed'; readonly stream: CallStream }
  | { readonly type: 'ended' };

class DoorStream implements CallStream {
  readonly peerId: string;
  readonly #parts: DoorParts;
  readonly #carrier: CallStream;
  /** What is spoken to, once the first frame has told. */
  #inner: CallStream | undefined;
  #left = false;
  #controller: AbortController | undefined;

  constructor(parts: DoorParts, stream: CallStream) {
    this.#parts = parts;
    this.#carrier = stream;
    this.peerId = stream.peerId;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#follow(this.#inner ?? this.#carrier);
    }
    return this.#controller.signal;
  }

  send(frame: CallFrame): boolean {
    invariant(this.#inner, 'a caller speaks first');
    return this.#inner.send(frame);
  }

  writable(options?: { readonly signal?: AbortSignal }): Promise<void> {
    return (this.#inner ?? this.#carrier).writable(options);
  }

  async *frames(): AsyncIterable<CallFrame> {
    const entry = await this.#enter();
    if (entry.type === 'ended') return;
    if (entry.type === 'sealed') {
      yield* entry.stream.frames();
      return;
    }
    let over = false;
    try {
      yield entry.first;
      for (;;) {
        const next = await entry.source.next();
        over = next.done === true;
        if (next.done) return;
        yield next.value;
      }
    } finally {
      if (!over) this.#carrier.cancel();
    }
  }

  consume(sink: CallSink): void {
    this.#enter().then(
      (entry) => {
        if (this.#left) return;
        if (entry.type === 'ended') sink.end();
        else if (entry.type === 'sealed') entry.stream.consume(sink);
        else {
          sink.frame(entry.first.kind, entry.first.body);
          this.#carrier.consume(sink);
        }
      },
      (error: unknown) => {
        if (!this.#left) sink.fail(asSaharaError(error));
      },
    );
  }

  end(): void {
    (this.#inner ?? this.#carrier).end();
  }

  fail(error: SaharaError): void {
    this.#left = true;
    (this.#inner ?? this.#carrier).fail(error);
  }

  cancel(): void {
    this.#left = true;
    (this.#inner ?? this.#carrier).cancel();
  }

  #follow({ signal }: CallStream): void {
    const abort = (): void => this.#controller?.abort(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  }

  /** Reads the first frame. Throws what broke the stream, and `cancelled` for one that is carried elsewhere. */
  async #enter(): Promise<Entry> {
    const source = this.#carrier.frames()[Symbol.asyncIterator]();
    const taken = await source.next();
    if (taken.done) {
      this.#inner = this.#carrier;
      return { type: 'ended' };
    }
    const first = taken.value;
    if (first.kind === CALL_FRAME.via) {
      this.#parts.carry(source, first.body);
      throw elsewhere();
    }
    if (first.kind === CALL_FRAME.sealed) {
      const stream = await this.#open(source, first);
      if (stream === undefined) throw elsewhere();
      return { type: 'sealed', stream };
    }
    this.#inner = this.#carrier;
    return { type: 'plain', source, first };
  }

  /** The call inside; `undefined` when it is a question, which is answered here. */
  async #open(source: AsyncIterator<CallFrame>, { body }: CallFrame): Promise<CallStream | undefined> {
    const { keyOf, unsealer } = this.#parts;
    try {
      const opening = callSealed.decode(body);
      const key = keyOf(opening.agent);
      if (key === undefined) throw new SaharaError('seal-invalid', { reason: 'no such agent here' });
      const opened = await unsealer.open(key, opening);
      const { first, session } = opened;
      const sealed = { ...this.#parts, session, stream: this.#carrier, source };
      if (first.type === 'frame' && first.kind === CALL_FRAME.question) {
        void answerSealed(sealStream(sealed), first.body, this.#parts.answer);
        return undefined;
      }
      const inner = sealStream({ ...sealed, first });
      this.#inner = inner;
      // Whoever asked for the signal before has to hear what is said inside the seal too.
      if (this.#controller !== undefined) this.#follow(inner);
      return inner;
    } catch (error) {
      const failure = asSaharaError(error);
      this.#carrier.fail(failure);
      throw failure;
    }
  }
}

/** What a host hears of a stream that is not for it. */
function elsewhere(): SaharaError {
  return new SaharaError('cancelled', { reason: 'not a call to this host' });
}
