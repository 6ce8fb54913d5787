/**
 * A byte stream between two parties, as TCP gives it: in order, delayed, slow if the link is, and cut anywhere. What
 * was sent and not yet taken is bounded, so a sender hears that it has to wait.
 */
import type { Random } from '../fuzz/random.ts';
import type { Life, Scheduler } from './time.ts';

/** How one link carries bytes. */
export interface LinkPace {
  /** Shortest way, virtual milliseconds. */
  delayMs: number;
  /** Most that is added to it. */
  jitterMs: number;
  bytesPerMs: number;
}

/** One reader of a pipe. */
export interface PipeEnd {
  receive(chunk: Uint8Array): void;
  onDrain(): void;
}

const UNSENT_BYTES_MAX = 262_144;

/** One direction of a stream. */
export class Flow {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #pace: LinkPace;
  /** Whether nothing passes for now. */
  readonly #stalled: () => boolean;
  readonly #queue: { readonly bytes: Uint8Array; readonly atMs: number }[] = [];
  #busyUntilMs = 0;
  #lastAtMs = 0;
  #inFlight = 0;
  #blocked = false;
  #pumping = false;
  #over = false;
  /** Who takes the bytes and who sent them. */
  reader: { readonly end: PipeEnd; readonly life: Life } | undefined;
  writer: { readonly end: PipeEnd; readonly life: Life } | undefined;

  constructor(parts: { scheduler: Scheduler; random: Random; pace: LinkPace; stalled: () => boolean }) {
    this.#scheduler = parts.scheduler;
    this.#random = parts.random;
    this.#pace = parts.pace;
    this.#stalled = parts.stalled;
  }

  /** Bytes on their way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Takes bytes; false when the next have to wait for `onDrain`. */
  send(bytes: Uint8Array): boolean {
    if (this.#over) return true;
    const { nowMs } = this.#scheduler;
    const { delayMs, jitterMs, bytesPerMs } = this.#pace;
    this.#busyUntilMs = Math.max(nowMs, this.#busyUntilMs) + bytes.length / bytesPerMs;
    const jitter = (jitterMs * this.#random.below(1_000)) / 1_000;
    this.#lastAtMs = Math.max(this.#lastAtMs, this.#busyUntilMs + delayMs + jitter);
    this.#queue.push({ bytes, atMs: this.#lastAtMs });
    this.#inFlight += bytes.length;
    this.#pump();
    this.#blocked = this.#inFlight > UNSENT_BYTES_MAX;
    return !this.#blocked;
  }

  /** The link passes bytes again. */
  resume(): void {
    this.#pump();
  }

  /** Nothing passes any more; of what is on its way the first bytes still arrive. */
  cut(): void {
    if (this.#over) return;
    this.#over = true;
    let left = this.#random.below(2) === 0 ? 0 : this.#random.below(this.#inFlight + 1);
    for (const { bytes } of this.#queue.splice(0)) {
      if (left <= 0) break;
      this.#hand(bytes.subarray(0, left));
      left -= bytes.length;
    }
  }

  #pump(): void {
    const [first] = this.#queue;
    if (this.#pumping || !first || this.#over || this.#stalled()) return;
    this.#pumping = true;
    this.#scheduler.after(first.atMs - this.#scheduler.nowMs, () => {
      this.#pumping = false;
      if (this.#over || this.#stalled()) return;
      this.#queue.shift();
      this.#inFlight -= first.bytes.length;
      this.#hand(first.bytes);
      if (this.#blocked && this.#inFlight < UNSENT_BYTES_MAX / 2) {
        this.#blocked = false;
        const { writer } = this;
        if (writer?.life.alive) writer.end.onDrain();
      }
      this.#pump();
    });
  }

  #hand(bytes: Uint8Array): void {
    const { reader } = this;
    if (!reader?.life.alive || bytes.length === 0) return;
    if (bytes.length > 1 && this.#random.below(16) === 0) {
      const at = 1 + this.#random.below(bytes.length - 1);
      reader.end.receive(bytes.subarray(0, at));
      reader.end.receive(bytes.subarray(at));
    } else reader.end.receive(bytes);
  }
}
