/**
 * A session: many calls over one byte stream between two peers (`spec/mesh.md`). What all calls queue in one turn
 * of the event loop leaves in one send. The session knows nothing of libp2p: it writes to a pipe and is told what
 * came, so tests and a simulator can drive it.
 */
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { Passing } from '../base/passing.ts';
import { deferTo } from '../base/turn.ts';
import { malformed } from '../protocol/codec.ts';
import { fromWireFailure, toWireFailure, type WireFailure } from '../protocol/failure.ts';
import { FRAMES_VERSION, FrameDecoder, type FrameSink, type Hello } from '../protocol/frames.ts';
import { Call, type CallLink } from './call.ts';
import type { CallStream } from './interface.ts';
import { CALL_OPENS_PER_SECOND_MAX, SESSION_UNREAD_BYTES_MAX } from './limits.ts';
import { Outbox } from './outbox.ts';
import { type Bucket, createBucket } from './rate.ts';

/** The byte stream under a session. */
interface Pipe {
  /** Takes bytes. False: full until `Session.onDrain`. */
  send(bytes: Uint8Array): boolean;
  /** Lets what was sent leave, then closes both ways. */
  close(): void;
}

/** What a session works with. */
export interface SessionParts {
  readonly pipe: Pipe;
  readonly clock: Clock;
  readonly log: Log;
  readonly peerId: string;
  /** Runs a function at the end of the turn. Default: its last stage. */
  readonly defer?: (run: () => void) => void;
}

/** How a session behaves. */
export interface SessionOptions {
  /** Whether this side opened the stream; it speaks first and numbers its calls odd. */
  readonly initiator: boolean;
  /** What this side says of itself. */
  readonly hello: Hello;
  /** Silence after which the peer is pinged; after three times it is gone. Milliseconds. */
  readonly pingIntervalMs: number;
  /** Time without a call after which the stream is closed. Milliseconds. */
  readonly idleMs: number;
  /** Counts bytes that wait for their reader, over all sessions. False: there are too many. */
  readonly unread: (bytes: number) => boolean;
  /** Takes a call of the peer; what it throws fails the call. */
  readonly onCall: (call: CallStream) => void;
  /** Why the peer may not begin a call now, over all of its sessions. Default: it may. */
  readonly mayOpen?: () => SaharaError | undefined;
  /** What the peer sent broke the rules; the session fails. */
  readonly onBroken?: (error: SaharaError) => void;
  /** The session is over. */
  readonly onClosed: (session: Session) => void;
}

const SILENT_INTERVALS_MAX = 3;
const LAST_CALL_ID = 0xffff_fffd;

/** Calls over one stream. */
export class Session {
  /** No new calls from here; those of the peer are taken as before, and the stream closes when nobody uses it. */
  retired = false;
  readonly #parts: SessionParts;
  readonly #options: SessionOptions;
  readonly #outbox: Outbox;
  readonly #decoder: FrameDecoder;
  readonly #calls = new Passing<number, Call>();
  // Calls of this side that have said nothing yet.
  readonly #unbegun = new Set<Call>();
  readonly #opens: Bucket;
  readonly #sink: FrameSink = this.#createSink();
  readonly #ready: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  #peer: Hello | undefined;
  #link: CallLink | undefined;
  #nextCall: number;
  #lastPeerCall = 0;
  #peerCalls = 0;
  #unreadBytes = 0;
  #goingAway: 'idle' | 'stopping' | undefined;
  #peerGoingAway = false;
  #over: SaharaError | undefined;
  #heard = true;
  #silentIntervals = 0;
  #idleSinceMs: number;
  #tickAtMs = 0;
  #stopTicking: () => void = () => {};

  constructor(parts: SessionParts, options: SessionOptions) {
    this.#parts = parts;
    this.#options = options;
    const { clock, defer = deferTo('send'), pipe } = parts;
    this.#outbox = new Outbox({
      send: (bytes) => pipe.send(bytes),
      clock,
      defer,
      onOverflow: () => this.fail(new SaharaError('overloaded')),
      onWritable: () => {
        for (const call of [...this.#calls.values(), ...this.#unbegun]) call.onWritable();
      },
    });
    this.#decoder = new FrameDecoder({ bodyBytesMax: options.hello.bodyBytesMax });
    this.#nextCall = options.initiator ? 1 : 2;
    const nowMs = parts.clock.monotonicMs();
    this.#idleSinceMs = nowMs;
    const rate = CALL_OPENS_PER_SECOND_MAX;
    this.#opens = createBucket({ ratePerSecond: rate, burst: rate, nowMs });
    // Whoever waits sees the rejection; nobody has to wait.
    this.#ready.promise.catch(() => {});
    if (options.initiator) this.#sendHello();
    this.#schedule();
  }

  get peerId(): string {
    return this.#parts.peerId;
  }

  /** Resolves when the peer's HELLO was taken; rejects when there will be none. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Whether the peer's HELLO was taken. */
  get greeted(): boolean {
    return this.#peer !== undefined;
  }

  /** Whether a new call can begin here. */
  get accepting(): boolean {
    const next = this.#nextCall + 2 * this.#unbegun.size;
    return !this.#over && !this.retired && !this.#goingAway && !this.#peerGoingAway && next < LAST_CALL_ID;
  }

  /** Calls open now, of both sides. */
  get activeCalls(): number {
    return this.#calls.size + this.#unbegun.size;
  }

  /**
   * Begins a call, of which the peer hears with its first frame. The session must be ready. `overloaded` when the
   * peer takes no more at a time.
   */
  openCall(): CallStream {
    if (this.#over) throw this.#over;
    const link = this.#link;
    const peer = this.#peer;
    if (!link || !peer || !this.accepting) {
      throw new SaharaError('peer-unreachable', {
        peer: this.peerId,
        reason: 'the stream takes no new call',
      });
    }
    if (this.activeCalls - this.#peerCalls >= peer.callsMax) {
      throw new SaharaError('overloaded', { what: 'calls to the peer', limit: peer.callsMax });
    }
    const call = new Call(link, peer.windowBytes);
    this.#unbegun.add(call);
    return call;
  }

  /** Takes what the stream brought. */
  receive(chunk: Uint8Array): void {
    if (this.#over) return;
    this.#heard = true;
    try {
      this.#decoder.push(chunk, this.#sink);
    } catch (error) {
      const failure = asSaharaError(error);
      this.#options.onBroken?.(failure);
      this.fail(failure);
    }
  }

  /** The stream takes bytes again. */
  onDrain(): void {
    if (this.#over) return;
    this.#outbox.drained();
  }

  /** The stream is gone: calls that were not done are cut. */
  onClosed(): void {
    if (this.#over) return;
    let reason = 'the stream closed';
    try {
      this.#decoder.finish();
    } catch {
      reason = 'the stream was cut inside a frame';
    }
    this.#finish(new SaharaError('peer-gone', { peer: this.peerId, reason }));
  }

  /** Gives the stream up: calls fail with `error`, and the peer is told its code. */
  fail(error: SaharaError): void {
    if (this.#over) return;
    this.#parts.log.debug('call stream failed', { peer: this.peerId, code: error.code, ...error.facts });
    if (this.#peer) this.#outbox.writer.goAway(this.#lastPeerCall, error.code);
    this.#finish(error);
  }

  /** The certificates of the peer's HELLO; empty before it came. */
  get peerCertificate(): Uint8Array {
    return this.#peer?.certificate ?? new Uint8Array(0);
  }

  /** No new calls; the stream closes when the running ones have ended. */
  goAway(reason: 'idle' | 'stopping'): void {
    if (this.#over || this.#goingAway) return;
    this.#goingAway = reason;
    if (this.#peer) this.#outbox.writer.goAway(this.#lastPeerCall, reason);
    this.#outbox.soon();
    this.#closeIfDone();
  }

  #createSink(): FrameSink {
    return {
      hello: (hello) => this.#onHello(hello),
      open: (call) => this.#onOpen(call),
      data: (call, kind, body) => this.#of(call)?.onData(kind, body),
      end: (call) => this.#of(call)?.onEnd(),
      fail: (call, failure: WireFailure) => this.#of(call)?.onBroken(fromWireFailure(failure)),
      cancel: (call) => this.#of(call)?.onBroken(new SaharaError('cancelled', { by: 'peer' })),
      credit: (call, bytes) => this.#of(call)?.onCredit(bytes),
      goAway: (lastCall, reason) => this.#onGoAway(lastCall, reason),
      ping: (token) => {
        this.#mustBeGreeted();
        this.#outbox.writer.pong(token);
        this.#outbox.soon();
      },
      pong: () => this.#mustBeGreeted(),
    };
  }

  #sendHello(): void {
    this.#outbox.writer.hello(this.#options.hello);
    this.#outbox.soon();
  }

  #onHello(hello: Hello): void {
    if (this.#peer) throw malformed('HELLO twice');
    if (!this.#options.initiator) this.#sendHello();
    if (hello.version !== FRAMES_VERSION) {
      throw new SaharaError('version-unsupported', { found: hello.version, supported: FRAMES_VERSION });
    }
    const { network } = this.#options.hello;
    if (hello.network !== network) {
      throw new SaharaError('network-mismatch', { found: hello.network, expected: network });
    }
    this.#peer = { ...hello, certificate: hello.certificate.slice() };
    this.#link = this.#createLink(this.#peer);
    if (this.#goingAway) this.#outbox.writer.goAway(this.#lastPeerCall, this.#goingAway);
    this.#ready.resolve();
  }

  #mustBeGreeted(): void {
    if (!this.#peer) throw malformed('the first frame must be HELLO');
  }

  #onOpen(id: number): void {
    this.#mustBeGreeted();
    if (this.#isMine(id) || id <= this.#lastPeerCall) throw malformed('OPEN of a call number not next');
    this.#lastPeerCall = id;
    const refusal = this.#refusal();
    if (refusal) {
      this.#outbox.writer.fail(id, toWireFailure(refusal, this.#parts.clock.nowMs()));
      this.#outbox.soon();
      return;
    }
    const call = new Call(this.#link as CallLink, (this.#peer as Hello).windowBytes, id);
    this.#calls.set(id, call);
    this.#peerCalls++;
    try {
      this.#options.onCall(call);
    } catch (error) {
      call.fail(asSaharaError(error));
    }
  }

  #refusal(): SaharaError | undefined {
    if (this.#goingAway) return new SaharaError('overloaded', { reason: 'going away' });
    if (!this.#options.onCall)
      return new SaharaError('caller-refused', { reason: 'no calls are served here' });
    const { callsMax } = this.#options.hello;
    if (this.#peerCalls >= callsMax) return new SaharaError('overloaded', { what: 'calls', limit: callsMax });
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#opens.take(nowMs)) return this.#options.mayOpen?.();
    return new SaharaError('rate-limited', { retryAfterMs: this.#opens.waitMs(nowMs) });
  }

  #onGoAway(lastCall: number, reason: string): void {
    this.#mustBeGreeted();
    this.#peerGoingAway = true;
    const error = new SaharaError('peer-unreachable', { peer: this.peerId, reason: `going away: ${reason}` });
    for (const call of [...this.#calls.values()]) {
      if (this.#isMine(call.id) && call.id > lastCall) call.onBroken(error);
    }
    for (const call of [...this.#unbegun]) call.onBroken(error);
    this.#closeIfDone();
  }

  #isMine(id: number): boolean {
    return (id % 2 === 1) === this.#options.initiator;
  }

  // Frames of a call that ended here may still be on their way; of one that never began, they break the rules.
  #of(id: number): Call | undefined {
    const call = this.#calls.get(id);
    if (call) return call;
    this.#mustBeGreeted();
    if (id >= (this.#isMine(id) ? this.#nextCall : this.#lastPeerCall + 1)) throw malformed('no such call');
    return undefined;
  }

  #createLink(peer: Hello): CallLink {
    const { clock } = this.#parts;
    return {
      peerId: this.peerId,
      peerCertificate: peer.certificate,
      peerBodyBytesMax: peer.bodyBytesMax,
      windowBytes: this.#options.hello.windowBytes,
      writer: this.#outbox.writer,
      flushSoon: () => this.#outbox.soon(),
      flushLater: () => this.#outbox.later(),
      begin: (call) => this.#begin(call),
      held: () => this.#outbox.held,
      unread: (bytes) => {
        this.#unreadBytes += bytes;
        const fits = this.#options.unread(bytes);
        return fits && this.#unreadBytes <= SESSION_UNREAD_BYTES_MAX;
      },
      release: (call) => this.#release(call),
      nowMs: () => clock.nowMs(),
    };
  }

  #begin(call: Call): number {
    const id = this.#nextCall;
    this.#nextCall += 2;
    this.#unbegun.delete(call);
    this.#calls.set(id, call);
    this.#outbox.writer.open(id);
    return id;
  }

  #release(call: Call): void {
    if (!this.#unbegun.delete(call)) {
      if (!this.#calls.delete(call.id)) return;
      if (!this.#isMine(call.id)) this.#peerCalls--;
    }
    if (this.activeCalls > 0) return;
    this.#idleSinceMs = this.#parts.clock.monotonicMs();
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (!(this.#goingAway || this.#peerGoingAway) || this.activeCalls > 0) return;
    this.#finish(new SaharaError('peer-gone', { peer: this.peerId, reason: 'the stream was closed' }));
  }

  #finish(error: SaharaError): void {
    if (this.#over) return;
    this.#outbox.close();
    this.#over = error;
    this.#stopTicking();
    this.#ready.reject(error);
    for (const call of [...this.#calls.values(), ...this.#unbegun]) call.onBroken(error);
    this.#parts.pipe.close();
    this.#options.onClosed(this);
  }

  #schedule(): void {
    this.#tickAtMs = this.#parts.clock.monotonicMs();
    this.#stopTicking = this.#parts.clock.after(this.#options.pingIntervalMs, () => this.#tick());
  }

  #tick(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const late = nowMs - this.#tickAtMs > 2 * this.#options.pingIntervalMs;
    if (this.#heard) this.#silentIntervals = 0;
    // After a stall of our own, what the peer sent may not have been read yet.
    else if (!late) this.#silentIntervals++;
    this.#heard = false;
    if (this.#silentIntervals >= SILENT_INTERVALS_MAX) {
      this.#finish(new SaharaError('peer-gone', { peer: this.peerId, reason: 'no sign of life' }));
      return;
    }
    if (this.activeCalls === 0 && nowMs - this.#idleSinceMs > this.#options.idleMs) {
      this.goAway('idle');
      return;
    }
    if (this.#silentIntervals > 0 && this.#peer) {
      this.#outbox.writer.ping(this.#silentIntervals);
      this.#outbox.soon();
    }
    this.#schedule();
  }
}
