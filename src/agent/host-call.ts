/**
 * One call at its host, from its opening, or from what was kept of it before a restart, to its ending. The stream that
 * carries it comes and goes (`host-line.ts`); what was delivered stays, is charged exactly once, and is kept.
 */
import { toHex } from '../base/bytes.ts';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import { CALL_FRAME, progress } from '../protocol/call.ts';
import type { CallVoucher } from '../protocol/checkpoint.ts';
import type { Finish } from '../protocol/payment.ts';
import { checkSignature, claimMessage, type ReadOpening, termsOf } from './admission.ts';
import { callsBelow } from './child-calls.ts';
import { Delivery } from './delivery.ts';
import type { Ticket } from './entrance.ts';
import type { Gate } from './gate.ts';
import type { HostState } from './host.ts';
import { Answering, type Metering } from './host-answer.ts';
import { Checkpoints } from './host-checkpoints.ts';
import { chargeCall } from './host-ending.ts';
import { checkpointOf, expensesOf, headOf } from './host-kept.ts';
import { HostLine, type LineOwner } from './host-line.ts';
import { keepOnce } from './host-once.ts';
import { type Admitted, giveBack, leaseFor, meterFor } from './host-payment.ts';
import { retrace } from './host-retrace.ts';
import { TopUps } from './host-topups.ts';
import type { AnswerRun, AnswerShares, CallFrame, CallStream } from './ports.ts';
import type { KeptCall, RunningCall } from './running-calls.ts';
import type { HostEvent, HostState as HostPlace, Session } from './session.ts';
import { callerName } from './standing-names.ts';

/** What a call is known by. */
export interface CallBegun {
  readonly read: Pick<ReadOpening, 'bytes' | 'opening' | 'envelope' | 'request' | 'hosted' | 'once'>;
  readonly session: Session<HostPlace, HostEvent>;
  /** Absent for a call that was kept before a restart. */
  readonly stream: CallStream | undefined;
  readonly peerId: string;
  readonly ticket: Ticket | undefined;
}

type Stop = 'stopped' | 'gone' | 'deadline' | 'unpaid' | 'lost';

const STOP_CODES: Readonly<Record<Stop, 'cancelled' | 'peer-gone' | 'deadline-exceeded' | 'internal'>> = {
  stopped: 'cancelled',
  gone: 'peer-gone',
  deadline: 'deadline-exceeded',
  unpaid: 'cancelled',
  lost: 'internal',
};

/** One call. */
export class HostCall implements LineOwner {
  readonly begun: CallBegun;
  /** Id of the call, in hexadecimal. */
  readonly name: string;
  readonly #host: HostState;
  readonly #session: Session<HostPlace, HostEvent>;
  readonly #line: HostLine;
  readonly #abort = new AbortController();
  #admitted: Admitted | undefined;
  #delivery: Delivery | undefined;
  #metering: Metering | undefined;
  #topUps: TopUps | undefined;
  #running: RunningCall | undefined;
  #kept: KeptCall | undefined;
  #stopReason: Stop | undefined;
  #resumed = false;
  #cancelGrace: () => void = () => {};

  constructor(host: HostState, begun: CallBegun) {
    this.#host = host;
    this.begun = begun;
    this.name = begun.ticket?.callId ?? toHex(begun.read.envelope.id);
    this.#session = begun.session;
    this.#line = new HostLine(this, begun.stream, begun.peerId);
  }

  /** Where the call stands. */
  get state(): HostPlace {
    return this.#session.state;
  }

  /** Whether another stream can carry it. */
  get attachable(): boolean {
    return this.#session.can('attach');
  }

  /** Everything delivered so far. */
  get delivered(): readonly CallFrame[] {
    return this.#delivery?.frames ?? [];
  }

  /** Resolves when the call's state has changed, or its stream. */
  changed(): Promise<void> {
    return this.#line.bell.wait();
  }

  /** Checks, answers and charges the call. Never throws. */
  serve(): Promise<void> {
    return this.#run(() => this.#serve());
  }

  /** Waits for the caller of a call that was kept, and goes on with it or charges what was kept. Never throws. */
  goOn(kept: KeptCall, admitted: Admitted, running: RunningCall): Promise<void> {
    return this.#run(() => this.#goOn(kept, admitted, running));
  }

  /** A frame of one of the call's streams; only the one that carries it is heard. */
  frame(stream: CallStream, kind: number, body: Uint8Array): void {
    if (!this.#line.carries(stream)) return;
    if (kind === CALL_FRAME.stop && body.length === 0) this.#stop('stopped');
    else if (kind !== CALL_FRAME.voucher || this.#topUps?.take(body) !== true) {
      this.#unexpected(stream, kind);
    }
  }

  /** One of the call's streams is gone. */
  left(stream: CallStream, error: SaharaError): void {
    if (this.#line.detach(stream)) this.lost(error);
  }

  lost(error: SaharaError): void {
    if (this.state === 'checking' || this.state === 'queued') this.#stop('gone');
    if (!this.#session.can('detach')) return;
    this.#session.move('detach');
    if (this.state !== 'detached') return;
    // Who cancels does not come back.
    if (error.code === 'cancelled' || this.#stopReason !== undefined) this.#stop('gone');
    else this.#wait();
  }

  caughtUp(): void {
    if (this.#session.can('proceed')) this.#session.move('proceed');
  }

  /** Has `stream` carry the call from delivery `from` on, paid for by `more` if that came with it. */
  attach(stream: CallStream, from: number, more?: CallVoucher): void {
    this.#cancelGrace();
    this.#host.waitsNoMore(this);
    this.#resumed = true;
    this.#session.move('attach');
    this.#line.attach(stream, {
      frames: this.delivered,
      from,
      after: () => {
        const last = this.#metering?.checkpoints.last ?? (this.#kept && checkpointOf(this.#kept));
        return last === undefined ? [] : [last];
      },
    });
    if (more !== undefined) this.#topUps?.add(more);
  }

  /** Stops the answer; what was delivered is charged and the ending is sent. */
  stop(): void {
    this.#stop('stopped');
  }

  /** A call whose caller is gone is not waited for any longer. */
  giveUp(): void {
    if (this.state === 'detached') this.#stop('gone');
  }

  #stop(reason: Stop, error: SaharaError = new SaharaError(STOP_CODES[reason])): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = reason;
    this.#abort.abort(error);
  }

  #wait(): void {
    const { parts, options, draining } = this.#host;
    if (draining || options.resumeGraceMs <= 0) {
      this.#stop('gone');
      return;
    }
    this.#cancelGrace = parts.clock.after(options.resumeGraceMs, () => this.#stop('gone'));
    this.#host.waits(this);
  }

  #unexpected(stream: CallStream, kind: number): void {
    const error = new SaharaError('malformed', { reason: 'unexpected call frame', kind });
    stream.fail(error);
    this.#line.detach(stream);
    const unserved = this.state === 'checking' || this.state === 'queued';
    this.#stop('gone', error);
    if (unserved) return;
    this.#host.refused(error, stream.peerId, this.begun.ticket?.caller);
    if (this.#session.can('detach')) this.#session.move('detach');
  }

  async #run(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#refuse(asSaharaError(error));
    } finally {
      this.#over();
    }
  }

  async #serve(): Promise<void> {
    const { parts } = this.#host;
    const { read, ticket } = this.begun;
    invariant(ticket, 'a call that is opened has a ticket');
    const startedAtMs = parts.clock.nowMs();
    const begunMs = parts.clock.monotonicMs();
    await checkSignature(parts, read);
    ticket.count();
    const terms = termsOf(parts, read);
    const gate = this.#host.gateOf(read.hosted);
    gate.check(ticket.turn);
    const meter = meterFor(read, terms);
    const { peerId } = this.#line;
    const { signal } = this.#abort;
    const lease = await leaseFor(parts, { read, terms, meter, peerId, signal });
    const cancelDeadline = parts.clock.after(terms.deadlineMs, () => this.#stop('deadline'));
    let entered = false;
    try {
      claimMessage(parts, read);
      this.#admit({ terms, meter, lease, startedAtMs });
      this.#session.move('admit');
      this.#line.bell.ring();
      await lease?.durable();
      await this.#enter(gate, ticket.turn);
      entered = true;
      this.#session.move('start');
      await this.#answer();
      this.#host.latency(terms.hosted.card.agent, parts.clock.monotonicMs() - begunMs);
    } catch (error) {
      giveBack(parts, { read, terms, lease }, this.begun.peerId);
      throw error;
    } finally {
      cancelDeadline();
      if (entered) gate.leave();
    }
  }

  #admit(admitted: Admitted): Delivery {
    const { envelope } = this.begun.read;
    const { suite } = this.#host.parts;
    const delivery = new Delivery({ suite, line: this.#line }, envelope.id, admitted.terms.outputUnitsMax);
    const { meter, lease } = admitted;
    const voucher = this.#kept?.at.voucher ?? this.begun.read.opening.voucher;
    if (meter !== undefined && lease !== undefined && voucher !== undefined) {
      delivery.unitsPaid = meter.unitsPaid;
      const covered = (): void => this.#line.bell.ring();
      const failed = (error: SaharaError): void => this.#stop('unpaid', error);
      const { amountMax } = admitted.terms;
      this.#topUps = new TopUps({ lease, meter, amountMax, delivery, covered, failed }, voucher);
    }
    this.#admitted = admitted;
    this.#delivery = delivery;
    return delivery;
  }

  async #enter(gate: Gate, turn: string): Promise<void> {
    if (this.#abort.signal.aborted) throw this.#abort.signal.reason;
    if (gate.full) {
      const body = progress.encode({ stage: 'queued', ahead: gate.ahead(turn) });
      this.#line.send({ kind: CALL_FRAME.progress, body });
    }
    await gate.enter(this.#abort.signal, turn);
  }

  async #goOn(kept: KeptCall, admitted: Admitted, running: RunningCall): Promise<void> {
    const { clock } = this.#host.parts;
    const { terms, lease, startedAtMs } = admitted;
    this.#kept = kept;
    this.#running = running;
    const delivery = this.#admit(admitted);
    delivery.restore(kept.frames.slice(0, kept.at.deliveries), expensesOf(kept));
    const leftMs = Math.max(0, startedAtMs + terms.deadlineMs - clock.nowMs());
    const cancelDeadline = clock.after(leftMs, () => this.#stop('deadline'));
    const gate = this.#host.gateOf(terms.hosted);
    let entered = false;
    try {
      this.#wait();
      entered = await this.#resumedIn(gate);
      if (entered) await this.#answer();
      else await this.#end(this.#stopReason === 'stopped' ? 'cancelled' : 'failed', kept.at);
    } catch (error) {
      lease?.release();
      throw error;
    } finally {
      cancelDeadline();
      if (entered) gate.leave();
    }
  }

  /** Whether the caller of a kept call came, and it has a place among those that run. */
  async #resumedIn(gate: Gate): Promise<boolean> {
    const { signal } = this.#abort;
    try {
      while (!this.#resumed) await this.#line.bell.wait(signal);
      await gate.enter(signal, callerName(this.begun.read.envelope.from));
      return true;
    } catch {
      return false;
    }
  }

  async #answer(): Promise<void> {
    const { read } = this.begun;
    const [admitted, delivery] = [this.#admitted, this.#delivery];
    invariant(admitted && delivery, 'only an admitted call is answered');
    const { hosted, outputUnitsMax } = admitted.terms;
    const { envelope, request } = read;
    const { signal } = this.#abort;
    const kept = this.#kept;
    // What an answer that is made again asks of others would be paid again, and by nobody.
    const calls = kept ? undefined : callsBelow(this.#host.parts.below, { read, ...admitted, signal });
    const job = { callId: envelope.id, caller: envelope.from, request, outputUnitsMax, calls };
    const run = hosted.answerer.answer(job, { signal });
    this.#meter(admitted, delivery, run);
    const [line, session, meter, metering] = [this.#line, this.#session, admitted.meter, this.#metering];
    const answering = new Answering({ line, session, delivery, meter, metering, calls, signal });
    const parts = kept === undefined ? run.parts : retrace(run.parts, delivery.frames.slice());
    const finish = await answering.deliver(parts);
    const earned = kept !== undefined && delivery.frames.length === kept.at.deliveries ? kept.at : undefined;
    await this.#end(this.#stopReason === 'lost' ? 'failed' : finish, earned, run);
  }

  /** Has a call metered whose opening does not cover all that it can cost. */
  #meter(admitted: Admitted, delivery: Delivery, run: AnswerRun): void {
    const { meter, lease } = admitted;
    if (meter === undefined || lease === undefined || !meter.metered) return;
    const { parts } = this.#host;
    const { read } = this.begun;
    const { envelope } = read;
    const { inputUnits, hosted } = admitted.terms;
    this.#running ??= parts.running?.begin(headOf(read, admitted, this.#line.peerId));
    const checkpoints = new Checkpoints(
      {
        network: parts.network,
        callId: envelope.id,
        channel: lease.channel,
        inputUnits,
        signer: hosted.signer,
        meter,
        delivery,
        line: this.#line,
        kept: this.#running,
        voucher: () => this.#topUps?.voucher,
        failed: (error) => this.#stop('lost', error),
      },
      run,
      this.#kept && checkpointOf(this.#kept),
    );
    this.#metering = { meter, checkpoints };
  }

  /** Charges what was delivered and says so; `earned` where it is known already. */
  async #end(finish: Finish, earned: AnswerShares | undefined, run?: AnswerRun): Promise<void> {
    const { parts } = this.#host;
    const { read, ticket } = this.begun;
    const [admitted, delivery] = [this.#admitted, this.#delivery];
    invariant(admitted && delivery, 'only an admitted call ends');
    this.#session.move(this.#stopReason === undefined ? 'end' : 'stop');
    this.#metering?.checkpoints.close();
    this.#topUps?.close();
    // A backend whose answer was cut off is told to stop.
    if (delivery.cut && this.#stopReason === undefined) this.#abort.abort(new SaharaError('cancelled'));
    const { text, citations } = delivery;
    const counted = earned ?? run?.shares({ text, citations });
    invariant(counted, 'what was delivered is earned by somebody');
    const shares = counted instanceof Promise ? await counted : counted;
    // What cannot be kept is charged all the same; only its last deliveries would not be told again after a crash.
    if (this.#metering?.checkpoints.made) await this.#running?.complete(delivery.frames).catch(() => {});
    const finishedAtMs = parts.clock.nowMs();
    const outcome = { ...admitted, read, delivery, finish, earned: shares, finishedAtMs };
    const record = await chargeCall(parts, outcome);
    if (read.once) await keepOnce(parts, { ...record, peerId: this.#line.peerId }, read.once);
    const cut = !this.#line.open;
    this.#line.close({ kind: CALL_FRAME.ending, body: record.ending });
    this.#session.move('charge');
    parts.records.add({ ...record, peerId: this.#line.peerId });
    this.#running?.forget();
    ticket?.answered({ amount: record.amount, cut });
  }

  #refuse(error: SaharaError): void {
    if (!this.#session.can('refuse')) return;
    // A charge that could not be made is made after a restart.
    if (this.state !== 'charging') this.#running?.forget();
    const left = this.#stopReason === 'gone' && this.#session.can('leave');
    this.#session.move(left ? 'leave' : 'refuse');
    this.#metering?.checkpoints.close();
    this.#host.refused(error, this.#line.peerId, this.begun.ticket?.caller);
    this.#line.fail(error);
  }

  #over(): void {
    this.#cancelGrace();
    this.#host.waitsNoMore(this);
    this.begun.ticket?.leave();
    this.#host.finished(this);
    this.#line.bell.ring();
  }
}
