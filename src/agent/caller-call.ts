/** One call at its caller, from the price to the checked ending, over as many streams as it takes. */
import { asSaharaError, type ErrorFacts, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { CALL_FRAME, type CallEnding, callEnding, progress } from '../protocol/call.ts';
import type { Id } from '../protocol/ids.ts';
import { CLOCK_SKEW_MS } from '../protocol/limits.ts';
import type { AskRequest, CallEvent, CallerShared, CallHandle, CallResult } from './caller.ts';
import { type Begun, beginCall } from './caller-begin.ts';
import { type Arrived, lookUp, settleEnding } from './caller-ending.ts';
import { FAULTS, MENDED_ONCE, RESUMED_LATER } from './caller-limits.ts';
import { CallerMeter } from './caller-meter.ts';
import { type Outgoing, priceOf, reopenCall } from './caller-opening.ts';
import { canResume, Patience, recallMoney, reconnect } from './caller-resume.ts';
import { Retelling } from './caller-retelling.ts';
import { EventQueue } from './events.ts';
import { DELIVERIES, Incoming } from './incoming.ts';
import { type CallTicket, forgetAfter, TICKET_FORMAT } from './open-calls.ts';
import type { CallFrame, CallStream } from './ports.ts';
import { CALLER_EDGES, type CallerEvent, type CallerState, Session } from './session.ts';

/** How a call begins: with a request, or with what is left of one. */
export type CallBeginning =
  | { readonly callId: Id; readonly request: AskRequest }
  | { readonly callId: Id; readonly ticket: CallTicket | undefined };

/** One call. */
export class CallerCall implements CallHandle {
  readonly callId: Id;
  readonly result: Promise<CallResult>;
  readonly #shared: CallerShared;
  readonly #beginning: CallBeginning;
  readonly #queue = new EventQueue<CallEvent>();
  readonly #patience: Patience;
  #session = new Session<CallerState, CallerEvent>(CALLER_EDGES, 'reserving');
  #incoming: Incoming;
  #meter: CallerMeter | undefined;
  #stream: CallStream | undefined;
  #stopping: SaharaError | undefined;
  #stopGivenUp = false;
  #had = 0;
  #retelling: Retelling | undefined;
  // The stream has asked to go on, and nothing came over it yet.
  #resuming = false;
  #ticket: CallTicket | undefined;
  #give: (() => void) | undefined;
  #resolve: (result: CallResult) => void = () => {};
  #reject: (error: SaharaError) => void = () => {};

  constructor(shared: CallerShared, beginning: CallBeginning) {
    this.#shared = shared;
    this.#beginning = beginning;
    this.callId = beginning.callId;
    this.#patience = new Patience(shared.parts, shared.options.resumeForMs);
    this.#incoming = new Incoming(shared.parts.suite, this.callId);
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Who only reads the events hears of a failure there.
    this.result.catch(() => {});
  }

  get state(): CallerState {
    return this.#session.state;
  }

  get cover(): bigint {
    return this.#session.state === 'refused' ? 0n : (this.#meter?.cover ?? 0n);
  }

  get ticket(): CallTicket | undefined {
    return this.#ticket && { ...this.#ticket, cover: this.#meter?.cover ?? this.#ticket.cover };
  }

  events(): AsyncIterable<CallEvent> {
    return this.#queue.read();
  }

  /** Begins; `signal` stops the call. */
  start(signal: AbortSignal | undefined): void {
    const abort = (): void => this.stop();
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) this.stop();
    void this.#run().finally(() => signal?.removeEventListener('abort', abort));
  }

  stop(): void {
    this.#stop(new SaharaError('cancelled'));
  }

  #stop(reason: SaharaError): void {
    if (this.#stopping !== undefined) return;
    this.#stopping = reason;
    this.#meter?.stop();
    this.#patience.hurry(this.#shared.options.stopTimeoutMs);
    if (this.#stream !== undefined && this.#session.can('stop')) this.#sendStop(this.#stream);
  }

  #sendStop(stream: CallStream): void {
    this.#session.move('stop');
    this.#send(stream, { kind: CALL_FRAME.stop, body: new Uint8Array(0) });
    point('caller:stopped');
    this.#give?.();
    this.#give = this.#shared.parts.clock.after(this.#shared.options.stopTimeoutMs, () => {
      this.#stopGivenUp = true;
      stream.cancel();
    });
  }

  #send(stream: CallStream | undefined, frame: CallFrame): void {
    try {
      stream?.send(frame);
    } catch {
      // The stream is broken; its reader hears of it.
    }
  }

  async #run(): Promise<void> {
    const { openCalls, ended } = this.#shared.parts;
    try {
      const result = await ('request' in this.#beginning
        ? this.#tries(this.#beginning.request)
        : this.#again(this.#beginning.ticket));
      if (ended === undefined) openCalls?.remove(this.callId);
      else forgetAfter(ended(result), openCalls, this.callId);
      const last = this.#queue.push([{ type: 'ending', receipt: result.receipt }]);
      this.#queue.close();
      this.#resolve(result);
      await last;
    } catch (error) {
      const failure = asSaharaError(error);
      if (!this.#session.over) this.#session.move(this.#session.can('lose') ? 'lose' : 'refuse');
      if (this.#session.state === 'refused') openCalls?.remove(this.callId);
      else if (this.#ticket !== undefined) openCalls?.leave(this.callId);
      this.#queue.close(failure);
      this.#reject(failure);
    } finally {
      this.#give?.();
    }
  }

  /** A refusal that this side can mend is mended once. */
  async #tries(request: AskRequest): Promise<CallResult> {
    try {
      return await this.#once(request, 0);
    } catch (error) {
      const failure = asSaharaError(error);
      const { receiverTimeMs: clock, bits, what } = failure.facts;
      const workBits = typeof bits === 'number' ? bits : 0;
      const mendable = MENDED_ONCE.has(failure.code) && (what === undefined || workBits > 0);
      const tooMuch = workBits > this.#shared.options.workBitsMax;
      if (this.#session.state !== 'refused' || !mendable || tooMuch || this.#stopping) throw failure;
      if (typeof clock === 'number') this.#shared.skewMs = clock - this.#shared.parts.clock.nowMs();
      this.#session = new Session<CallerState, CallerEvent>(CALLER_EDGES, 'reserving');
      return await this.#once(request, workBits);
    }
  }

  async #once(asked: AskRequest, workBits: number): Promise<CallResult> {
    const stopped = (): void => {
      if (this.#stopping) throw this.#stopping;
    };
    let begun: Begun;
    try {
      begun = await beginCall(this.#shared, asked, { callId: this.callId, workBits, stopped });
    } catch (error) {
      this.#session.move('refuse');
      throw error;
    }
    const { out, stream } = begun;
    this.#begin(out, out.request.cover);
    // A store that fails must not keep it from being asked: then a crash may lose it, as it does behind.
    if (asked.kept) await this.#shared.parts.openCalls?.flushed().catch(() => {});
    this.#session.move('send');
    this.#stream = stream;
    point('caller:opening');
    this.#send(stream, { kind: CALL_FRAME.opening, body: out.bytes });
    point('caller:sent');
    if (this.#stopping !== undefined) this.#sendStop(stream);
    return this.#follow(out, stream);
  }

  /** Goes on with a call that this process did not begin. */
  async #again(ticket: CallTicket | undefined): Promise<CallResult> {
    const { openCalls } = this.#shared.parts;
    this.#session = new Session<CallerState, CallerEvent>(CALLER_EDGES, 'cut');
    if (ticket === undefined) throw new SaharaError('call-unknown', { reason: 'no ticket of it is here' });
    if (openCalls?.find(this.callId)?.live) throw new SaharaError('call-conflict', { state: 'running' });
    this.#patience.broke(true);
    const reopened = await reopenCall(this.#shared, ticket);
    const lease = await recallMoney(this.#shared, reopened, { ticket, patience: this.#patience });
    if (ticket.channel !== undefined && lease === undefined) {
      this.#session.move('refuse');
      throw new SaharaError('call-unknown', { outcome: 'uncharged' });
    }
    const out = { ...reopened, lease };
    this.#begin(out, ticket.cover);
    const stream = await this.#reconnect(out);
    return stream ? this.#follow(out, stream) : this.#lookUp(out, new SaharaError('peer-gone'));
  }

  /** From here the call may cost something. */
  #begin(out: Outgoing, cover: bigint): void {
    const { parts } = this.#shared;
    const { lease, known, request, callId, peerId, card, bytes: opening } = out;
    const price = priceOf(out);
    const paid = lease !== undefined && request.cover < request.priceMax;
    if (paid) this.#incoming = new Incoming(parts.suite, callId, true);
    const channel = lease?.channel;
    const { issuedAtMs: askedAtMs } = out.envelope;
    this.#ticket = { format: TICKET_FORMAT, callId, peerId, card, opening, channel, cover, askedAtMs };
    parts.openCalls?.add(this.#ticket);
    this.#meter =
      lease &&
      new CallerMeter({
        ...{ network: parts.network, verifier: parts.verifier, callId, lease, price },
        agent: known.card.agent,
        operator: known.card.operator,
        priceMax: request.priceMax,
        opened: request.cover,
        cover: lease.cover > cover ? lease.cover : cover,
        recalled: !('request' in this.#beginning),
        incoming: () => this.#incoming,
        send: (frame) => this.#send(this.#stream, frame),
        checked: (checkpoint) => {
          parts.openCalls?.cover(callId, checkpoint.cover);
          void this.#queue.push([{ type: 'checkpoint', ...checkpoint }]);
        },
        failed: (error) => this.#meterFailed(error),
      });
  }

  #meterFailed(error: SaharaError): void {
    if (FAULTS.has(error.code)) this.#stream?.cancel();
    else this.#stop(error);
  }

  async #follow(out: Outgoing, first: CallStream): Promise<CallResult> {
    const { deadlineMs } = out.request;
    const cancelDeadline = this.#shared.parts.clock.after(deadlineMs + CLOCK_SKEW_MS, () =>
      this.#stop(new SaharaError('deadline-exceeded', { deadlineMs })),
    );
    try {
      for (let stream: CallStream | undefined = first; stream !== undefined; ) {
        this.#stream = stream;
        try {
          return await this.#settle(out, callEnding.decode(await this.#receive(stream)));
        } catch (error) {
          const failure = this.#meter?.fault ?? asSaharaError(error);
          stream = await this.#failed(out, stream, failure);
          if (stream === undefined) return await this.#lookUp(out, failure);
        }
      }
      throw new SaharaError('internal', { reason: 'a call without a stream' });
    } finally {
      cancelDeadline();
      this.#stream = undefined;
    }
  }

  async #receive(stream: CallStream): Promise<Uint8Array> {
    for await (const { kind, body } of stream.frames()) {
      if (this.#resuming) void this.#queue.push([{ type: 'stream', state: 'resumed' }]);
      this.#resuming = false;
      if (kind === CALL_FRAME.ending) {
        this.#session.move('end');
        stream.end();
        return body.slice();
      }
      const waiting = this.#queue.push(this.#events(kind, body));
      if (waiting !== undefined) await waiting;
    }
    throw new SaharaError('answer-invalid', { reason: 'ended without an ending' });
  }

  #events(kind: number, body: Uint8Array): readonly CallEvent[] {
    if (kind === CALL_FRAME.progress) {
      const said = progress.decode(body);
      if (said.stage === 'paused') this.#session.move('pause');
      return [{ type: 'progress', ...said }];
    }
    if (kind === CALL_FRAME.checkpoint && this.#meter !== undefined) {
      this.#meter.take(body);
      return [];
    }
    if (!DELIVERIES.has(kind)) throw new SaharaError('answer-invalid', { reason: 'unexpected frame', kind });
    const events = this.#incoming.take(kind, body);
    point('caller:delivered');
    this.#session.move('deliver');
    return this.#retelling?.fresh(events) ?? events;
  }

  async #settle(out: Outgoing, ending: CallEnding): Promise<CallResult> {
    const result = await settleEnding(this.#shared, out, ending, this.#arrived);
    this.#session.move('settle');
    return this.#stopping ? { ...result, stopped: this.#stopping } : result;
  }

  get #arrived(): Arrived {
    return { incoming: this.#incoming, meter: this.#meter };
  }

  /**
   * Where a failure leaves the call: with another stream, or with none and its end to be looked up. Throws what people
   * see when the call was refused, or something in it is not what it must be.
   */
  async #failed(out: Outgoing, stream: CallStream, failure: SaharaError): Promise<CallStream | undefined> {
    // Only what the other side says carries its clock.
    const said = failure.facts.peerTimeMs !== undefined;
    const resuming = this.#resuming;
    const { length } = this.#incoming.frames;
    if (said && length === 0 && !resuming && this.#session.can('refuse')) {
      this.#session.move('refuse');
      out.lease?.release(failure);
      throw this.#stopping ?? failure;
    }
    stream.cancel();
    if ((FAULTS.has(failure.code) && !said) || !this.#session.can('break')) {
      this.#session.move('reject');
      throw this.#left(out, failure);
    }
    this.#session.move('break');
    this.#stream = undefined;
    this.#meter?.leap();
    this.#patience.broke(length > this.#had);
    this.#had = length;
    const { receiverTimeMs: clock } = failure.facts;
    if (resuming && typeof clock === 'number') this.#shared.skewMs = clock - this.#shared.parts.clock.nowMs();
    const rewound = resuming && said && this.#rewind(failure);
    const over = said && !rewound && !(resuming && RESUMED_LATER.has(failure.code));
    if (over || this.#stopGivenUp) return undefined;
    if (!resuming && canResume(this.#shared)) void this.#queue.push([{ type: 'stream', state: 'cut' }]);
    return this.#reconnect(out);
  }

  /** Goes back to where an agent's peer says that it has come, if that is what was kept. */
  #rewind({ code, facts: { deliveries } }: SaharaError): boolean {
    const had = this.#incoming.frames.length;
    const fits =
      typeof deliveries === 'number' && deliveries < had && deliveries >= (this.#meter?.kept ?? had);
    if (code !== 'call-conflict' || !fits) return false;
    const earlier = this.#incoming.rewound(deliveries);
    this.#retelling = new Retelling(this.#incoming, earlier, this.#retelling);
    this.#incoming = earlier;
    this.#had = deliveries;
    return true;
  }

  /** A new stream that has asked to go on; `undefined` when it is time to give up. */
  async #reconnect(out: Outgoing): Promise<CallStream | undefined> {
    const stream = await reconnect(this.#shared, out, { ...this.#arrived, patience: this.#patience });
    if (stream === undefined) return undefined;
    this.#stream = stream;
    this.#resuming = true;
    this.#session.move('resume');
    this.#meter?.joined();
    if (this.#stopping !== undefined) this.#sendStop(stream);
    return stream;
  }

  /** Settles a call whose stream is gone for good by what its payee says, or says what is known of it. */
  async #lookUp(out: Outgoing, failure: SaharaError): Promise<CallResult> {
    const after = await lookUp(this.#shared, out, this.#incoming);
    const seen = this.#stopping ?? failure;
    const told = (facts: ErrorFacts): SaharaError =>
      new SaharaError(seen.code, { ...seen.facts, ...facts }, { cause: failure });
    switch (after.type) {
      case 'uncharged':
        this.#session.move('refuse');
        throw told({ outcome: 'uncharged' });
      case 'charged':
        this.#session.move('lose');
        throw told({ outcome: 'charged', amount: String(after.amount) });
      case 'unknown':
        this.#session.move('lose');
        throw this.#left(out, seen);
      case 'wrong':
        this.#session.move('reject');
        throw this.#left(out, after.fault);
      case 'ended':
        this.#session.move('end');
    }
    try {
      return await this.#settle(out, after.ending);
    } catch (error) {
      this.#session.move('reject');
      throw this.#left(out, asSaharaError(error));
    }
  }

  /** The money stays held; answers the error that people see. */
  #left(out: Outgoing, failure: SaharaError): SaharaError {
    out.lease?.unknown();
    this.#meter?.stop();
    const facts = { ...failure.facts, ...(out.lease && { outcome: 'unknown' }) };
    return new SaharaError(failure.code, facts, { cause: failure });
  }
}
