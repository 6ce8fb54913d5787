/**
 * What a session has to say and has not yet sent. The frames of one turn of the event loop leave in one send, which
 * costs as much as the frames themselves; a network that takes no more holds them back, and who may wait is told.
 */
import type { Clock } from '../base/clock.ts';
import { FrameWriter } from '../protocol/frames.ts';
import { SESSION_UNSENT_BYTES_MAX } from './limits.ts';

/** Parts of an outbox. */
export interface OutboxParts {
  /** Takes bytes. False: full until `Outbox.drained`. Throws when the stream has closed. */
  readonly send: (bytes: Uint8Array) => boolean;
  readonly clock: Clock;
  /** Runs a function at the end of the turn. */
  readonly defer: (run: () => void) => void;
  /** More waits than a peer that reads can cause. */
  readonly onOverflow: () => void;
  /** The network takes frames again after `held` said that it did not. */
  readonly onWritable: () => void;
}

/** How long a frame that nobody waits for may wait for company, milliseconds. */
const LINGER_MS = 2;

/** Gathers frames and sends them together. */
export class Outbox {
  /** Frames go here; `soon` or `later` afterwards. */
  readonly writer: FrameWriter = new FrameWriter();
  readonly #parts: OutboxParts;
  #flushing = false;
  #lingering = false;
  #blocked = false;
  #heldBack = false;
  #closed = false;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  /** Whether the network takes no more for now; `onWritable` follows. */
  get held(): boolean {
    const held = this.#blocked || this.writer.length > SESSION_UNSENT_BYTES_MAX;
    if (held) this.#heldBack = true;
    return held;
  }

  /** Sends at the end of this turn. */
  soon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#parts.defer(() => {
      this.#flushing = false;
      this.flush();
    });
  }

  /** Sends with what comes next, or in a moment: for what nobody waits for. */
  later(): void {
    if (this.#flushing || this.#lingering) return;
    this.#lingering = true;
    this.#parts.clock.after(LINGER_MS, () => {
      this.#lingering = false;
      this.flush();
    });
  }

  /** The stream takes bytes again. */
  drained(): void {
    this.#blocked = false;
    this.flush();
  }

  /** Sends what waits, if the network takes it. */
  flush(): void {
    if (this.#closed) return;
    if (this.#blocked) {
      // Calls stop at the first limit; only answers to a peer that does not read get this far.
      if (this.writer.length > 2 * SESSION_UNSENT_BYTES_MAX) this.#parts.onOverflow();
      return;
    }
    if (this.writer.length > 0) this.#blocked = !this.#send();
    if (this.#blocked || !this.#heldBack) return;
    this.#heldBack = false;
    this.#parts.onWritable();
  }

  /** Sends what waits, whatever the network says, and nothing more. */
  close(): void {
    if (this.#closed) return;
    if (this.writer.length > 0) this.#send();
    this.#closed = true;
  }

  #send(): boolean {
    try {
      return this.#parts.send(this.writer.take());
    } catch {
      // The stream closed under us; its close event follows and says so.
      return false;
    }
  }
}
