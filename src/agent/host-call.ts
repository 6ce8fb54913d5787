/** One call at its host, from the opening frame to the ending. */
import { equalBytes, toHex } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { CALL_FRAME, callEnding, progress } from '../protocol/call.ts';
import type { Hash } from '../protocol/ids.ts';
import { chargeOf, type Finish, type ReceiptShare, receipt as receiptSchema } from '../protocol/payment.ts';
import type { Signed } from '../protocol/signing.ts';
import {
  type CallTerms,
  checkSignature,
  claimMessage,
  type ReadOpening,
  readOpening,
  termsOf,
} from './admission.ts';
import { splitCharge } from './attribution/apportion.ts';
import { HOLD_GRACE_MS, OPENING_TIMEOUT_MS } from './call-limits.ts';
import { Delivery } from './delivery.ts';
import type { Ticket } from './entrance.ts';
import type { Gate } from './gate.ts';
import type { HostState } from './host.ts';
import type {
  AnswerPart,
  AnswerRun,
  CallFrame,
  CallSink,
  CallStream,
  PayeeLease,
  ReceiptDraft,
} from './ports.ts';
import type { FreeCall } from './quota.ts';
import { HOST_EDGES, type HostEvent, type HostState as HostPlace, Session } from './session.ts';

/** A call whose opening was taken. */
interface Admitted {
  readonly read: ReadOpening;
  readonly ticket: Ticket;
  readonly terms: CallTerms;
  readonly requestHash: Hash;
  /** Absent for a free call. */
  readonly lease: PayeeLease | undefined;
}

type Stop = 'stopped' | 'gone' | 'deadline';

const STOP_CODES: Readonly<Record<Stop, 'cancelled' | 'peer-gone' | 'deadline-exceeded'>> = {
  stopped: 'cancelled',
  gone: 'peer-gone',
  deadline: 'deadline-exceeded',
};

/** One call. */
export class HostCall implements CallSink {
  readonly #host: HostState;
  readonly #stream: CallStream;
  readonly #session = new Session<HostPlace, HostEvent>(HOST_EDGES, 'opening');
  readonly #abort = new AbortController();
  #stopReason: Stop | undefined;
  #ticket: Ticket | undefined;
  #gone = false;
  #cancelOpening: () => void = () => {};

  constructor(host: HostState, stream: CallStream) {
    this.#host = host;
    this.#stream = stream;
  }

  /** Begins to listen. */
  start(): void {
    this.#cancelOpening = this.#host.parts.clock.after(OPENING_TIMEOUT_MS, () => {
      this.#turnAway(new SaharaError('deadline-exceeded', { what: 'opening', limitMs: OPENING_TIMEOUT_MS }));
    });
    this.#stream.consume(this);
  }

  /** Ends a call whose opening has not come. */
  turnAway(): void {
    this.#turnAway(new SaharaError('overloaded', { what: 'host', reason: 'stopping' }));
  }

  /** Stops the answer; what was delivered is charged and the ending is sent. */
  stop(): void {
    this.turnAway();
    this.#stop('stopped');
  }

  frame(kind: number, body: Uint8Array): void {
    if (kind === CALL_FRAME.opening && this.#session.state === 'opening') {
      this.#session.move('open');
      this.#cancelOpening();
      // The body is a view that is only good during this call.
      void this.#run(body.slice());
    } else if (kind === CALL_FRAME.stop && body.length === 0 && this.#session.state !== 'opening') {
      this.#stop('stopped');
    } else {
      const unopened = this.#session.state === 'opening';
      this.#refuse(new SaharaError('malformed', { reason: 'unexpected call frame', kind }));
      this.#gone = true;
      this.#stop('gone');
      if (unopened) this.#finishUnopened();
    }
  }

  end(): void {
    // Every call ends; only one that never began is at fault.
    if (this.#session.state === 'opening') {
      this.#turnAway(new SaharaError('malformed', { reason: 'no opening' }));
    }
  }

  fail(): void {
    this.#gone = true;
    this.#stop('gone');
    if (this.#session.state !== 'opening') return;
    this.#session.move('leave');
    this.#finishUnopened();
  }

  #turnAway(error: SaharaError): void {
    if (this.#session.state !== 'opening') return;
    this.#refuse(error);
    this.#finishUnopened();
  }

  #finishUnopened(): void {
    this.#cancelOpening();
    this.#host.finished(this);
  }

  #stop(reason: Stop): void {
    if (this.#stopReason !== undefined) return;
    this.#stopReason = reason;
    this.#abort.abort(new SaharaError(STOP_CODES[reason]));
  }

  async #run(body: Uint8Array): Promise<void> {
    try {
      const begun = this.#read(body);
      if (begun !== undefined) await this.#serve(begun.read, begun.ticket);
      else await this.#repeat(readOpening(this.#host.parts, body));
    } catch (error) {
      this.#refuse(asSaharaError(error));
    } finally {
      this.#ticket?.leave();
      this.#host.finished(this, this.#ticket?.callId);
    }
  }

  /** Reads the opening; `undefined` for a call that has already ended and is known. */
  #read(body: Uint8Array): { readonly read: ReadOpening; readonly ticket: Ticket } | undefined {
    const { parts, byId, entrance, draining } = this.#host;
    const read = readOpening(parts, body);
    const { id } = read.envelope;
    const name = toHex(id);
    if (byId.has(name)) throw new SaharaError('call-conflict', { callId: name, state: 'running' });
    if (parts.records.has('host', id)) return undefined;
    if (parts.replay.has(id)) throw new SaharaError('replayed', { id: name });
    const ticket = entrance.begin(read, this.#stream.peerId, this.#host.gateOf(read.hosted));
    this.#ticket = ticket;
    if (draining) throw new SaharaError('overloaded', { what: 'host', reason: 'stopping' });
    byId.set(name, this);
    return { read, ticket };
  }

  /** The same call again: the same frames and the same ending, to the peer that had them before. */
  async #repeat(read: ReadOpening): Promise<void> {
    const { suite, records } = this.#host.parts;
    const name = toHex(read.envelope.id);
    this.#host.entrance.message(this.#stream.peerId);
    const known = await records.find('host', read.envelope.id);
    const same =
      known !== undefined &&
      equalBytes(known.caller, read.envelope.from) &&
      equalBytes(known.requestHash, suite.sha256(read.opening.request));
    if (!same) throw new SaharaError('call-conflict', { callId: name, state: 'ended' });
    if (known.peerId !== this.#stream.peerId) throw new SaharaError('replayed', { id: name });
    for (const frame of known.deliveries) await this.#send(frame);
    await this.#send({ kind: CALL_FRAME.ending, body: known.ending });
    this.#session.move('end');
    this.#stream.end();
  }

  async #serve(read: ReadOpening, ticket: Ticket): Promise<void> {
    const { parts } = this.#host;
    const startedAtMs = parts.clock.nowMs();
    const begunMs = parts.clock.monotonicMs();
    await checkSignature(parts, read);
    ticket.count();
    const terms = termsOf(parts, read);
    const gate = this.#host.gateOf(read.hosted);
    gate.check(ticket.turn);
    const requestHash = read.envelope.bodyHash;
    const lease = await this.#payment(read, terms, requestHash);
    const call: Admitted = { read, ticket, terms, requestHash, lease };
    const cancelDeadline = parts.clock.after(terms.deadlineMs, () => this.#stop('deadline'));
    let entered = false;
    try {
      claimMessage(parts, read);
      this.#session.move('admit');
      await lease?.durable();
      await this.#enter(gate, ticket.turn);
      entered = true;
      this.#session.move('start');
      await this.#answer(call, startedAtMs);
      this.#host.latency(terms.hosted.card.agent, parts.clock.monotonicMs() - begunMs);
    } catch (error) {
      lease?.release();
      if (lease === undefined && terms.amountMax > 0n) {
        parts.quota.giveBack(this.#freeCall(read, terms));
      }
      throw error;
    } finally {
      cancelDeadline();
      if (entered) gate.leave();
    }
  }

  /** The voucher's part of a paid call; for a free one, a call out of the caller's quota. */
  async #payment(read: ReadOpening, terms: CallTerms, requestHash: Hash): Promise<PayeeLease | undefined> {
    const { payee, quota } = this.#host.parts;
    const { voucher } = read.opening;
    const { card } = terms.hosted;
    const { id, from } = read.envelope;
    if (terms.amountMax === 0n) return undefined;
    if (voucher === undefined) {
      if (card.free.calls === 0)
        throw new SaharaError('payment-required', { price: String(terms.amountMax) });
      quota.take(this.#freeCall(read, terms), card.free);
      return undefined;
    }
    return payee.admit({
      callId: id,
      payer: from,
      voucher,
      requestHash,
      agentAsset: card.asset,
      amountMax: terms.amountMax,
      holdMs: terms.deadlineMs + HOLD_GRACE_MS,
    });
  }

  #freeCall({ envelope }: ReadOpening, { hosted }: CallTerms): FreeCall {
    return { agent: hosted.card.agent, caller: envelope.from, peerId: this.#stream.peerId };
  }

  async #enter(gate: Gate, turn: string): Promise<void> {
    if (this.#abort.signal.aborted) throw this.#abort.signal.reason;
    if (gate.full) {
      const body = progress.encode({ stage: 'queued', ahead: gate.ahead(turn) });
      await this.#send({ kind: CALL_FRAME.progress, body });
    }
    await gate.enter(this.#abort.signal, turn);
  }

  async #answer(call: Admitted, startedAtMs: number): Promise<void> {
    const { parts } = this.#host;
    const { envelope, request } = call.read;
    const { hosted, outputUnitsMax } = call.terms;
    const delivery = new Delivery({ suite: parts.suite, stream: this.#stream }, envelope.id, outputUnitsMax);
    const job = { callId: envelope.id, caller: envelope.from, request, outputUnitsMax };
    const run = hosted.answerer.answer(job, { signal: this.#abort.signal });
    const finish = await this.#deliver(run, delivery);
    this.#session.move(this.#stopReason === undefined ? 'end' : 'stop');
    const draft = await this.#draft(call, { run, delivery, finish, startedAtMs });
    const ending = await this.#charge(call, draft);
    const body = callEnding.encode(ending);
    if (!this.#gone) {
      this.#stream.send({ kind: CALL_FRAME.ending, body });
      this.#stream.end();
    }
    this.#session.move('charge');
    parts.records.add({
      side: 'host',
      callId: envelope.id,
      agent: hosted.card.agent,
      caller: envelope.from,
      peerId: this.#stream.peerId,
      cardHash: hosted.cardHash,
      requestHash: call.requestHash,
      finish,
      amount: draft.amount,
      finishedAtMs: draft.finishedAtMs,
      opening: call.read.bytes,
      deliveries: delivery.frames,
      ending: body,
    });
    call.ticket.answered({ amount: draft.amount, cut: this.#gone });
  }

  /** Delivers until the end, a stop or a failure; a failure with nothing delivered is thrown. */
  async #deliver(run: AnswerRun, delivery: Delivery): Promise<Finish> {
    const { signal } = this.#abort;
    const parts = run.parts[Symbol.asyncIterator]();
    let leave = (): void => {};
    const stopped = new Promise<undefined>((resolve) => {
      leave = () => resolve(undefined);
      signal.addEventListener('abort', leave, { once: true });
    });
    try {
      for (;;) {
        if (signal.aborted) throw signal.reason;
        const next = await Promise.race([parts.next(), stopped]);
        if (next === undefined) throw signal.reason;
        if (next.done) throw new SaharaError('backend-failed', { reason: 'no end' });
        if (next.value.type === 'end') return delivery.cut ? 'length' : next.value.finish;
        const waiting = this.#part(next.value, delivery);
        if (waiting !== undefined) await waiting;
        if (delivery.cut) return 'length';
      }
    } catch (error) {
      if (delivery.deltas === 0) throw signal.aborted ? signal.reason : backendError(error);
      return signal.aborted || this.#gone ? 'cancelled' : 'failed';
    } finally {
      signal.removeEventListener('abort', leave);
      // A backend that does not come back from here has its own signal to obey.
      parts.return?.().then(undefined, () => {});
      if (!signal.aborted && delivery.cut) this.#abort.abort(new SaharaError('cancelled'));
    }
  }

  #part(part: Exclude<AnswerPart, { type: 'end' }>, delivery: Delivery): Promise<void> | undefined {
    const { signal } = this.#abort;
    if (part.type === 'source') return delivery.source(part.source, signal);
    return delivery.say(part.text, part.citations, signal);
  }

  async #draft(
    call: Admitted,
    answered: {
      readonly run: AnswerRun;
      readonly delivery: Delivery;
      readonly finish: Finish;
      readonly startedAtMs: number;
    },
  ): Promise<ReceiptDraft> {
    const { run, delivery, finish, startedAtMs } = answered;
    const { envelope, request } = call.read;
    const { hosted, inputUnits, price } = call.terms;
    const { card } = hosted;
    const outputUnits = delivery.units;
    const free = call.lease === undefined || finish === 'nothing-found';
    const amount = free ? 0n : chargeOf(price, inputUnits, outputUnits);
    const counted = run.shares({ text: delivery.text, citations: delivery.citations });
    const { rule, shares } = counted instanceof Promise ? await counted : counted;
    const amounts = splitCharge(amount, shares);
    return {
      version: 1,
      network: this.#host.parts.network,
      callId: envelope.id,
      agent: card.agent,
      payee: card.operator,
      payer: envelope.from,
      requestHash: call.requestHash,
      responseHash: delivery.chain,
      deliveries: delivery.frames.length,
      cardHash: hosted.cardHash,
      manifestHash: card.manifestHash,
      modelDigest: card.model.digest,
      skill: request.skill,
      seed: request.seed,
      finish,
      inputUnits,
      outputUnits,
      price,
      expenses: 0n,
      amount,
      shares: shares.map((share, i): ReceiptShare => ({ ...share, amount: amounts[i] ?? 0n })),
      attributionRule: rule,
      startedAtMs,
      finishedAtMs: Math.max(startedAtMs, this.#host.parts.clock.nowMs()),
    };
  }

  async #charge(
    call: Admitted,
    draft: ReceiptDraft,
  ): Promise<{ readonly receipt: Signed; readonly charge: Signed | undefined }> {
    const { signer } = call.terms.hosted;
    if (call.lease !== undefined) return call.lease.commit(draft, signer);
    const payload = receiptSchema.encode({ ...draft, channel: undefined, lane: 0, sequence: 0 });
    return { receipt: await signer.sign('receipt', payload), charge: undefined };
  }

  async #send(frame: CallFrame): Promise<void> {
    if (!this.#stream.send(frame)) await this.#stream.writable({ signal: this.#abort.signal });
  }

  #refuse(error: SaharaError): void {
    if (!this.#session.can('refuse')) return;
    this.#session.move('refuse');
    this.#host.refused(error, this.#stream.peerId, this.#ticket?.caller);
    if (!this.#gone) this.#stream.fail(error);
  }
}

function backendError(error: unknown): SaharaError {
  const known = asSaharaError(error);
  // What went wrong inside a backend is the operator's business, not the caller's.
  return known.code === 'internal' ? new SaharaError('backend-failed', {}, { cause: error }) : known;
}
