/**
 * The way from a call to its caller: the stream that carries it at the moment, or none. What is delivered meanwhile
 * is kept by the call; a new stream first gets what its caller has not, and only then is the line open again. Whoever
 * delivers waits for that, and so does the backend behind it.
 */
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { Bell } from './bell.ts';
import type { CallFrame, CallStream } from './ports.ts';

/** What a line tells its call. */
export interface LineOwner {
  /** The stream is gone. */
  lost(error: SaharaError): void;
  /** A new stream has got everything. */
  caughtUp(): void;
}

/** What a new stream gets first. */
export interface Replay {
  /** Everything delivered; may grow meanwhile. */
  readonly frames: readonly CallFrame[];
  /** How many of them the caller has. */
  readonly from: number;
  /** What follows them. */
  after(): readonly CallFrame[];
}

/** Failures of a send that are no broken stream: the frame itself cannot go. */
const UNSENDABLE: ReadonlySet<string> = new Set(['too-large', 'overloaded', 'internal']);

/** The line of one call. */
export class HostLine {
  /** Rung when a stream came, caught up or went. */
  readonly bell: Bell = new Bell();
  readonly #owner: LineOwner;
  #stream: CallStream | undefined;
  #open = false;
  #last: CallFrame | undefined;
  #peerId: string;

  /** Without a stream the call waits for one from its beginning; `peerId` then is who had it last. */
  constructor(owner: LineOwner, stream: CallStream | undefined, peerId: string) {
    this.#owner = owner;
    this.#stream = stream;
    this.#peerId = peerId;
    this.#open = stream !== undefined;
  }

  /** Whether what is sent goes to a stream at once. */
  get open(): boolean {
    return this.#open;
  }

  /** The peer that has the call, or had it last. */
  get peerId(): string {
    return this.#peerId;
  }

  /** Whether `stream` is the one that carries the call. */
  carries(stream: CallStream): boolean {
    return this.#stream === stream;
  }

  /** Sends at once; false: wait for `ready` before the next. Where no stream is open, nothing is sent. */
  send(frame: CallFrame): boolean {
    const stream = this.#stream;
    if (!this.#open || stream === undefined) return false;
    try {
      return stream.send(frame);
    } catch (error) {
      this.#broke(stream, error);
      return false;
    }
  }

  /** Resolves once there is a stream that has everything and takes more. Throws the reason of `signal`. */
  async ready(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted) throw signal.reason;
      const stream = this.#stream;
      if (!this.#open || stream === undefined) {
        await this.bell.wait(signal);
        continue;
      }
      try {
        await stream.writable({ signal });
        if (this.#open && this.#stream === stream) return;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        this.#broke(stream, error);
      }
    }
  }

  /** Has `stream` carry the call from now on; the one before fails as `peer-gone`. */
  attach(stream: CallStream, replay: Replay): void {
    const before = this.#stream;
    this.#stream = stream;
    this.#peerId = stream.peerId;
    this.#open = false;
    before?.fail(new SaharaError('peer-gone', { reason: 'the call goes on over another stream' }));
    this.bell.ring();
    void this.#replay(stream, replay);
  }

  /** `stream` is gone. False when it carried nothing any more. */
  detach(stream: CallStream): boolean {
    if (this.#stream !== stream) return false;
    this.#stream = undefined;
    this.#open = false;
    this.bell.ring();
    return true;
  }

  /** Nothing follows `ending`; a stream that has not caught up gets it after the rest. */
  close(ending: CallFrame): void {
    this.#last = ending;
    const stream = this.#stream;
    if (this.#open && stream !== undefined) this.#finish(stream, ending);
  }

  /** The call failed. */
  fail(error: SaharaError): void {
    this.#stream?.fail(error);
    this.#stream = undefined;
    this.#open = false;
    this.bell.ring();
  }

  async #replay(stream: CallStream, { frames, from, after }: Replay): Promise<void> {
    try {
      for (let at = from; this.#stream === stream && at < frames.length; at++) {
        if (!stream.send(frames[at] as CallFrame)) await stream.writable();
      }
      if (this.#stream !== stream) return;
      for (const frame of after()) stream.send(frame);
    } catch (error) {
      const failure = asSaharaError(error);
      stream.fail(failure);
      if (this.detach(stream)) this.#owner.lost(failure);
      return;
    }
    this.#open = true;
    if (this.#last !== undefined) this.#finish(stream, this.#last);
    else this.#owner.caughtUp();
    this.bell.ring();
  }

  #finish(stream: CallStream, ending: CallFrame): void {
    try {
      stream.send(ending);
      point('host:ended');
      stream.end();
    } catch (error) {
      // The caller resumes, or asks for the ending.
      stream.fail(asSaharaError(error));
    }
  }

  #broke(stream: CallStream, error: unknown): void {
    const failure = asSaharaError(error);
    if (UNSENDABLE.has(failure.code)) throw failure;
    if (this.detach(stream)) this.#owner.lost(failure);
  }
}
