/**
 * A stream at the host until it is known what it asks for: a new call, one that has ended, or one to go on with. What
 * comes later is passed on to the call that it then carries.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import { type ReadOpening, readOpening } from './admission.ts';
import { OPENING_TIMEOUT_MS, RESUME_FRAMES_MAX } from './call-limits.ts';
import type { CallRecord } from './call-records.ts';
import type { HostState } from './host.ts';
import { HostCall } from './host-call.ts';
import { repeatCall } from './host-repeat.ts';
import { checkResume, findResumed, readResume } from './host-resume.ts';
import type { CallFrame, CallSink, CallStream } from './ports.ts';
import { HOST_EDGES, type HostEvent, type HostState as HostPlace, Session } from './session.ts';

/** One stream. */
export class Arrival implements CallSink {
  readonly #host: HostState;
  readonly #stream: CallStream;
  readonly #session = new Session<HostPlace, HostEvent>(HOST_EDGES, 'opening');
  readonly #waiting: CallFrame[] = [];
  /** The payment of a call that one transaction pays: it comes before the opening. */
  #payment: Uint8Array | undefined;
  #call: HostCall | undefined;
  #cancelOpening: () => void = () => {};

  constructor(host: HostState, stream: CallStream) {
    this.#host = host;
    this.#stream = stream;
  }

  /** Begins to listen. */
  start(): void {
    this.#cancelOpening = this.#host.parts.clock.after(OPENING_TIMEOUT_MS, () => {
      this.#refuse(new SaharaError('deadline-exceeded', { what: 'opening', limitMs: OPENING_TIMEOUT_MS }));
    });
    this.#stream.consume(this);
  }

  /** The host begins to stop: a stream without an opening ends. */
  turnAway(): void {
    if (this.#session.state === 'opening') this.stop();
  }

  /** Ends what is not yet a call. */
  stop(): void {
    this.#refuse(new SaharaError('overloaded', { what: 'host', reason: 'stopping' }));
  }

  frame(kind: number, body: Uint8Array): void {
    if (this.#call !== undefined) {
      this.#call.frame(this.#stream, kind, body);
      return;
    }
    const { state } = this.#session;
    if (state === 'opening' && (kind === CALL_FRAME.opening || kind === CALL_FRAME.resume)) {
      this.#cancelOpening();
      // The body is a view that is only good during this call.
      if (kind === CALL_FRAME.opening) this.#open(body.slice());
      else void this.#resume(body.slice());
    } else if (state === 'opening' && kind === CALL_FRAME.payment && this.#payment === undefined) {
      this.#payment = body.slice();
    } else if (
      state === 'finding' &&
      kind !== CALL_FRAME.opening &&
      this.#waiting.length < RESUME_FRAMES_MAX
    ) {
      this.#waiting.push({ kind, body: body.slice() });
    } else if (!this.#session.over) {
      this.#refuse(new SaharaError('malformed', { reason: 'unexpected call frame', kind }));
    }
  }

  end(): void {
    // Every call ends; only one that never began is at fault.
    if (this.#session.state === 'opening') {
      this.#refuse(new SaharaError('malformed', { reason: 'no opening' }));
    }
  }

  fail(error: SaharaError): void {
    if (this.#call !== undefined) this.#call.left(this.#stream, error);
    else if (this.#session.can('leave')) {
      this.#session.move('leave');
      this.#over();
    }
  }

  #over(): void {
    this.#cancelOpening();
    this.#host.departed(this);
  }

  #refuse(error: SaharaError): void {
    if (!this.#session.can('refuse')) return;
    this.#session.move('refuse');
    this.#host.refused(error, this.#stream.peerId, undefined);
    this.#stream.fail(error);
    this.#over();
  }

  #open(body: Uint8Array): void {
    this.#session.move('open');
    point('host:opening');
    try {
      const read = readOpening(this.#host.parts, body, this.#payment);
      if (this.#known(read)) void this.#repeat(read);
      else this.#begin(read);
    } catch (error) {
      this.#refuse(asSaharaError(error));
    }
  }

  /** Whether this is a call that has ended and is kept. Throws for one that runs or was taken before. */
  #known({ envelope, once }: ReadOpening): boolean {
    const { parts, byId } = this.#host;
    const name = toHex(envelope.id);
    const runs = byId.has(name) || this.#host.recovering(envelope.id) !== undefined;
    if (runs) throw new SaharaError('call-conflict', { callId: name, state: 'running' });
    if (parts.records.has('host', envelope.id)) return true;
    // A call that is paid already may be opened again: it costs nothing more, whatever its caller was told.
    const late = once
      ? parts.once?.isUsed(envelope.id) === true
      : this.#host.disowned(envelope.id, envelope.from);
    if (late || parts.replay.has(envelope.id)) {
      throw new SaharaError('replayed', { id: name });
    }
    return false;
  }

  #begin(read: ReadOpening): void {
    const host = this.#host;
    const stream = this.#stream;
    const { peerId } = stream;
    const ticket = host.entrance.begin(read, peerId, host.gateOf(read.hosted));
    if (host.draining) {
      ticket.leave();
      throw new SaharaError('overloaded', { what: 'host', reason: 'stopping' });
    }
    this.#call = new HostCall(host, { read, session: this.#session, stream, peerId, ticket });
    host.began(this.#call);
    host.departed(this);
    void this.#call.serve();
  }

  /** The same call again: the same frames and the same ending, to the peer that had them before. */
  async #repeat(read: ReadOpening): Promise<void> {
    const { suite, records } = this.#host.parts;
    const { peerId } = this.#stream;
    try {
      this.#host.entrance.message(peerId);
      const known = await records.find('host', read.envelope.id);
      const same =
        known !== undefined &&
        equalBytes(known.caller, read.envelope.from) &&
        equalBytes(known.requestHash, suite.sha256(read.opening.request));
      if (!same) throw new SaharaError('call-conflict', { callId: toHex(read.envelope.id), state: 'ended' });
      if (known.peerId !== peerId) throw new SaharaError('replayed', { id: toHex(read.envelope.id) });
      await this.#tell(known, 0);
    } catch (error) {
      this.#refuse(asSaharaError(error));
    }
  }

  async #resume(body: Uint8Array): Promise<void> {
    this.#session.move('resume');
    const { parts, entrance } = this.#host;
    try {
      const read = readResume(parts, body, this.#stream.peerId);
      entrance.message(this.#stream.peerId);
      await checkResume(parts, read);
      point('host:resuming');
      let found = await findResumed(this.#host, read);
      // It may have ended while this was told.
      while ('call' in found && !found.call.attachable) found = await findResumed(this.#host, read);
      // The stream may have left meanwhile.
      if (this.#session.over) return;
      if ('record' in found) {
        await this.#tell(found.record, read.request.deliveries);
        return;
      }
      this.#session.move('attach');
      this.#call = found.call;
      const { message, request } = read;
      const more = message.voucher && { cover: request.cover, voucher: message.voucher };
      found.call.attach(this.#stream, request.deliveries, more);
      point('host:resumed');
      for (const { kind, body: waiting } of this.#waiting) this.frame(kind, waiting);
      this.#over();
    } catch (error) {
      this.#refuse(asSaharaError(error));
    }
  }

  async #tell(known: CallRecord, from: number): Promise<void> {
    if (!this.#session.can('repeat')) return;
    this.#session.move('repeat');
    await repeatCall(this.#stream, known, from);
    if (!this.#session.can('end')) return;
    this.#session.move('end');
    this.#over();
  }
}
