/**
 * A sealed call as an ordinary `CallStream`: what is sent goes into the seal and what is read comes out of it, so the
 * caller and the host of a call know nothing of who carries it. What the carrier itself says is believed for nothing:
 * an end or a failure that does not come out of the seal is a cut, `peer-gone`.
 */
import type { Clock } from '../base/clock.ts';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import { failureSchema, fromWireFailure, toWireFailure } from '../protocol/failure.ts';
import type { SealSession } from '../protocol/seal.ts';
import type { SealedMessage } from '../protocol/sealed-message.ts';
import type { CallFrame, CallSink, CallStream } from './ports.ts';

/** What a sealed stream is made of. */
export interface SealedStreamParts {
  /** What carries the call. Nothing of it was read yet, except through `source`. */
  readonly stream: CallStream;
  /** Frames of `stream`, if reading them had begun. */
  readonly source?: AsyncIterator<CallFrame>;
  readonly session: SealSession;
  /** A first message that was opened already. */
  readonly first?: SealedMessage;
  /** The peer that carries the call, where this side chose it. */
  readonly seenAs?: string;
  readonly clock: Clock;
  /** What a peer may be told of an error. */
  readonly sendable: (error: SaharaError) => SaharaError;
}

/** `parts.stream` with everything on it sealed. */
export function sealStream(parts: SealedStreamParts): CallStream {
  return new SealedStream(parts);
}

class SealedStream implements CallStream {
  readonly peerId: string;
  readonly seenAs: string | undefined;
  readonly #parts: SealedStreamParts;
  readonly #carrier: CallStream;
  #first: SealedMessage | undefined;
  #ended = false;
  #endRead = false;
  /** The call's ending went out or came: what the caller still says is that it has it. */
  #endingSent = false;
  #endingRead = false;
  #failure: SaharaError | undefined;
  #failedByPeer = false;
  #controller: AbortController | undefined;

  constructor(parts: SealedStreamParts) {
    this.#parts = parts;
    this.#carrier = parts.stream;
    this.#first = parts.first;
    this.peerId = parts.stream.peerId;
    this.seenAs = parts.seenAs;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      const { signal } = this.#carrier;
      // What came before the break is still read; only who waits for the end of everything hears of it at once.
      const abort = (): void => controller.abort(this.#failure ?? carrierFailure(signal.reason));
      if (signal.aborted || this.#failedByPeer) abort();
      else signal.addEventListener('abort', abort, { once: true });
    }
    return this.#controller.signal;
  }

  send(frame: CallFrame): boolean {
    if (this.#failure) throw this.#failure;
    invariant(!this.#ended, 'nothing is sent after the end');
    if (frame.kind === CALL_FRAME.ending) this.#endingSent = true;
    return this.#write({ type: 'frame', ...frame });
  }

  async writable(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#failure) throw this.#failure;
    try {
      await this.#carrier.writable(options);
    } catch (error) {
      throw this.#failure ?? (options.signal?.aborted ? error : carrierFailure(error));
    }
  }

  frames(): AsyncIterable<CallFrame> {
    const source = this.#parts.source ?? this.#carrier.frames()[Symbol.asyncIterator]();
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => this.#next(source),
        return: async () => {
          if (!this.#endRead) this.cancel();
          return { done: true, value: undefined };
        },
      }),
    };
  }

  consume(sink: CallSink): void {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) this.#tell(sink, () => first);
    this.#carrier.consume({
      frame: (kind, body) => {
        if (!this.#over()) this.#tell(sink, () => this.#read(kind, body));
      },
      end: () => {
        if (this.#over()) return;
        if (this.#endingSent) this.#tell(sink, () => ({ type: 'end' }));
        else sink.fail(this.#broken(cut('no end inside the seal')));
      },
      fail: (error) => {
        if (!this.#over()) sink.fail(this.#broken(carrierFailure(error)));
      },
    });
  }

  end(): void {
    if (this.#ended || this.#failure) return;
    this.#ended = true;
    // After the ending a bare END is enough, and costs no frame of its own.
    if (!this.#endingRead) this.#say({ type: 'end' });
    this.#carrier.end();
  }

  fail(error: SaharaError): void {
    if (this.#failure) return;
    const said = toWireFailure(this.#parts.sendable(error), this.#parts.clock.nowMs());
    this.#leave({ type: 'failure', body: failureSchema.encode(said) });
    this.#failure = error;
  }

  cancel(): void {
    if (this.#failure) return;
    this.#leave({ type: 'cancel' });
    this.#failure = new SaharaError('cancelled');
  }

  #over(): boolean {
    return this.#endRead || this.#failure !== undefined;
  }

  /** Says a last word, and ends the carrier's stream once that is on its way. */
  #leave(message: SealedMessage): void {
    const carrier = this.#carrier;
    const gone = this.#ended || this.#say(message);
    this.#ended = true;
    if (gone) carrier.cancel();
    else
      carrier.writable().then(
        () => carrier.cancel(),
        () => carrier.cancel(),
      );
  }

  /** Sends what nobody waits for. False: it waits for the carrier's credit. */
  #say(message: SealedMessage): boolean {
    try {
      return this.#write(message);
    } catch {
      // The carrier is gone; who reads hears of it.
      return true;
    }
  }

  #write(message: SealedMessage): boolean {
    const body = this.#parts.session.write(message);
    try {
      return this.#carrier.send({ kind: CALL_FRAME.sealed, body });
    } catch (error) {
      throw carrierFailure(error);
    }
  }

  async #next(source: AsyncIterator<CallFrame>): Promise<IteratorResult<CallFrame>> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return this.#result(first);
    if (this.#endRead) return { done: true, value: undefined };
    if (this.#failure) throw this.#failure;
    let taken: IteratorResult<CallFrame>;
    try {
      taken = await source.next();
    } catch (error) {
      throw this.#failure ?? this.#broken(carrierFailure(error));
    }
    if (this.#failure) throw this.#failure;
    if (taken.done && this.#endingSent) return this.#result({ type: 'end' });
    if (taken.done) throw this.#broken(cut('no end inside the seal'));
    return this.#result(this.#read(taken.value.kind, taken.value.body));
  }

  #result(message: SealedMessage): IteratorResult<CallFrame> {
    if (message.type === 'frame') return { done: false, value: { kind: message.kind, body: message.body } };
    if (message.type !== 'end') throw this.#broken(saidFailure(message));
    this.#endRead = true;
    return { done: true, value: undefined };
  }

  #tell(sink: CallSink, read: () => SealedMessage): void {
    let message: SealedMessage;
    try {
      message = read();
    } catch (error) {
      sink.fail(asSaharaError(error));
      return;
    }
    if (message.type === 'frame') sink.frame(message.kind, message.body);
    else if (message.type === 'end') {
      this.#endRead = true;
      sink.end();
    } else sink.fail(this.#broken(saidFailure(message)));
  }

  #read(kind: number, body: Uint8Array): SealedMessage {
    try {
      if (kind !== CALL_FRAME.sealed) throw new SaharaError('seal-invalid', { reason: 'not sealed' });
      const message = this.#parts.session.read(body);
      if (message.type === 'frame' && message.kind === CALL_FRAME.ending) this.#endingRead = true;
      return message;
    } catch (error) {
      const failure = asSaharaError(error);
      this.#carrier.fail(failure);
      throw this.#broken(failure);
    }
  }

  #broken(failure: SaharaError): SaharaError {
    this.#failure = failure;
    this.#failedByPeer = true;
    this.#carrier.cancel();
    this.#controller?.abort(failure);
    return failure;
  }
}

function saidFailure(message: Extract<SealedMessage, { type: 'failure' | 'cancel' }>): SaharaError {
  if (message.type === 'cancel') return new SaharaError('cancelled', { by: 'peer' });
  try {
    return fromWireFailure(failureSchema.decode(message.body));
  } catch {
    return new SaharaError('seal-invalid', { reason: 'failure that cannot be read' });
  }
}

function cut(reason: string): SaharaError {
  return new SaharaError('peer-gone', { reason });
}

/** What is wrong with the carrier, without the facts that only the other end of the call could vouch for. */
function carrierFailure(error: unknown): SaharaError {
  const failure = asSaharaError(error);
  const said = failure.facts.peerTimeMs !== undefined || failure.code === 'cancelled';
  if (!said) return failure;
  return new SaharaError('peer-gone', { reason: 'cut', said: failure.code }, { cause: failure });
}
