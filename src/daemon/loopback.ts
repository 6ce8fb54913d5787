/**
 * Calls inside one process, for an operator who asks an agent of their own: a peer cannot dial itself. The two ends
 * behave like the mesh's: frames in order, an explicit end, credit, cancellation.
 */

import type { CallFrame, CallSink, CallStream } from '../agent/ports.ts';
import { SaharaError } from '../base/errors.ts';

/** Frames that one end may have on their way unread before its sender is held. */
const FRAMES_WAITING_MAX = 64;

/** Two ends of one call. */
export function createLoopback(peerId: string): readonly [CallStream, CallStream] {
  const a = new LoopbackEnd(peerId);
  const b = new LoopbackEnd(peerId);
  a.join(b);
  b.join(a);
  return [a, b];
}

type Item = CallFrame | 'end' | SaharaError;

class LoopbackEnd implements CallStream {
  readonly peerId: string;
  readonly #abort = new AbortController();
  readonly #inbox: Item[] = [];
  #peer: LoopbackEnd | undefined;
  #sink: CallSink | undefined;
  #wake: (() => void) | undefined;
  #room: (() => void)[] = [];
  #over: SaharaError | undefined;

  constructor(peerId: string) {
    this.peerId = peerId;
  }

  join(peer: LoopbackEnd): void {
    this.#peer = peer;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  send(frame: CallFrame): boolean {
    if (this.#over) throw this.#over;
    this.#peer?.take({ kind: frame.kind, body: frame.body.slice() });
    return !this.#full;
  }

  async writable(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    while (this.#full && !this.#over) {
      if (signal?.aborted) throw new SaharaError('cancelled');
      await new Promise<void>((resolve) => {
        this.#peer?.whenRoom(resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    if (this.#over) throw this.#over;
  }

  async *frames(): AsyncGenerator<CallFrame> {
    for (;;) {
      const item = this.#inbox.shift();
      if (item === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#makeRoom();
      if (item === 'end') return;
      if (item instanceof SaharaError) throw item;
      yield item;
    }
  }

  consume(sink: CallSink): void {
    this.#sink = sink;
    for (const item of this.#inbox.splice(0)) this.#hand(sink, item);
    this.#makeRoom();
  }

  end(): void {
    if (!this.#over) this.#peer?.take('end');
  }

  fail(error: SaharaError): void {
    this.#close(error, error);
  }

  cancel(): void {
    this.#close(new SaharaError('cancelled'), new SaharaError('cancelled'));
  }

  take(item: Item): void {
    if (item instanceof SaharaError) {
      this.#over = item;
      this.#abort.abort(item);
    }
    if (this.#sink) {
      const sink = this.#sink;
      // Each frame in a turn of its own, as from a network: a sender never runs inside its receiver.
      queueMicrotask(() => this.#hand(sink, item));
      return;
    }
    this.#inbox.push(item);
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  whenRoom(resolve: () => void): void {
    if (this.#inbox.length < FRAMES_WAITING_MAX) resolve();
    else this.#room.push(resolve);
  }

  get waiting(): number {
    return this.#inbox.length;
  }

  get #full(): boolean {
    return (this.#peer?.waiting ?? 0) >= FRAMES_WAITING_MAX;
  }

  #hand(sink: CallSink, item: Item): void {
    if (item === 'end') sink.end();
    else if (item instanceof SaharaError) sink.fail(item);
    else sink.frame(item.kind, item.body);
  }

  #makeRoom(): void {
    if (this.#inbox.length >= FRAMES_WAITING_MAX) return;
    const room = this.#room;
    this.#room = [];
    for (const resolve of room) resolve();
  }

  #close(here: SaharaError, there: SaharaError): void {
    if (this.#over) return;
    this.#over = here;
    // Its own reader hears of it too, and of nothing that came before.
    if (!this.#sink) this.#inbox.splice(0, this.#inbox.length, here);
    this.#wake?.();
    this.#peer?.take(there);
  }
}
