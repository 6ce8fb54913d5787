import type { CallFrame, CallSink, CallStream } from '../../src/agent/ports.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { fromWireFailure, toWireFailure } from '../../src/protocol/failure.ts';

/** What may happen to a frame on its way. */
export type Fate = CallFrame | 'cut';

/** How a pair behaves. */
export interface PairOptions {
  /** Unread frames before a sender is held. Default 64. */
  readonly windowFrames?: number;
  /** Sees every frame in order; may replace it or cut the connection before it arrives. */
  readonly tap?: (frame: CallFrame, from: 'caller' | 'host', index: number) => Fate;
  readonly peerIds?: { readonly caller: string; readonly host: string };
}

type Message =
  | { readonly type: 'data'; readonly frame: CallFrame }
  | { readonly type: 'end' }
  | { readonly type: 'broken'; readonly error: SaharaError };

/** Both ends of one call's stream inside one process: a real implementation of the port, with credit and an order. */
export function createStreamPair(options: PairOptions = {}): { readonly caller: End; readonly host: End } {
  const names = options.peerIds ?? { caller: 'peer-caller', host: 'peer-host' };
  const caller = new End(names.host, 'caller', options);
  const host = new End(names.caller, 'host', options);
  caller.join(host);
  host.join(caller);
  return { caller, host };
}

/** One end. */
export class End implements CallStream {
  readonly peerId: string;
  readonly #side: 'caller' | 'host';
  readonly #options: PairOptions;
  readonly #abort = new AbortController();
  #other: End | undefined;
  #inbox: Message[] = [];
  #sink: CallSink | undefined;
  #wake: (() => void) | undefined;
  #room: (() => void)[] = [];
  #unread = 0;
  #sent = 0;
  #failure: SaharaError | undefined;
  #ended = false;

  constructor(peerId: string, side: 'caller' | 'host', options: PairOptions) {
    this.peerId = peerId;
    this.#side = side;
    this.#options = options;
  }

  join(other: End): void {
    this.#other = other;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get unread(): number {
    return this.#unread;
  }

  send(frame: CallFrame): boolean {
    if (this.#failure) throw this.#failure;
    const copy = { kind: frame.kind, body: frame.body.slice() };
    const fate = this.#options.tap?.(copy, this.#side, this.#sent++) ?? copy;
    if (fate === 'cut') {
      this.cut();
      return false;
    }
    this.#other?.receive({ type: 'data', frame: fate });
    return this.#open();
  }

  async writable(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    while (!this.#open()) {
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve, reject) => {
        this.#room.push(resolve);
        options.signal?.addEventListener('abort', () => reject(new SaharaError('cancelled')), { once: true });
      });
    }
    if (this.#failure) throw this.#failure;
  }

  async *frames(): AsyncIterable<CallFrame> {
    let whole = false;
    try {
      for (;;) {
        const message = this.#inbox.shift();
        if (message === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          continue;
        }
        if (message.type !== 'data') whole = true;
        if (message.type === 'end') return;
        if (message.type === 'broken') throw message.error;
        this.#read();
        yield message.frame;
      }
    } finally {
      if (!whole) this.cancel();
    }
  }

  consume(sink: CallSink): void {
    this.#sink = sink;
    const waiting = this.#inbox;
    this.#inbox = [];
    for (const message of waiting) this.#tell(sink, message);
  }

  end(): void {
    if (this.#ended || this.#failure) return;
    this.#ended = true;
    this.#other?.receive({ type: 'end' });
  }

  fail(error: SaharaError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#other?.broken(fromWireFailure(toWireFailure(error, Date.now())));
  }

  cancel(): void {
    if (this.#failure || this.#ended) return;
    this.#failure = new SaharaError('cancelled');
    // Its own reader hears of it too, and of nothing that came before.
    this.#inbox = [{ type: 'broken', error: this.#failure }];
    this.#wake?.();
    this.#other?.broken(new SaharaError('cancelled', { by: 'peer' }));
  }

  /** The connection is gone for both ends. */
  cut(): void {
    const gone = new SaharaError('peer-gone', { reason: 'cut' });
    this.#other?.broken(gone);
    this.broken(gone);
  }

  receive(message: Message): void {
    if (this.#failure) return;
    if (message.type === 'data') this.#unread++;
    // Never inside the sender's own call, as over a network.
    queueMicrotask(() => {
      if (this.#sink) this.#tell(this.#sink, message);
      else {
        this.#inbox.push(message);
        this.#wake?.();
      }
    });
  }

  broken(error: SaharaError): void {
    if (this.#failure) return;
    this.receive({ type: 'broken', error });
    this.#failure = error;
    for (const wake of this.#room.splice(0)) wake();
    queueMicrotask(() => this.#abort.abort(error));
  }

  #tell(sink: CallSink, message: Message): void {
    if (message.type === 'end') sink.end();
    else if (message.type === 'broken') sink.fail(message.error);
    else {
      this.#read();
      sink.frame(message.frame.kind, message.frame.body);
    }
  }

  #read(): void {
    this.#unread--;
    this.#other?.granted();
  }

  granted(): void {
    if (!this.#open()) return;
    for (const wake of this.#room.splice(0)) wake();
  }

  #open(): boolean {
    return (this.#other?.unread ?? 0) < (this.#options.windowFrames ?? 64);
  }
}
