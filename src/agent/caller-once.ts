/**
 * A call that one transaction pays, at its caller. It is opened without its payment first: the host refuses it with
 * what is to be paid, or with what is wrong, and nothing is paid for a call that nobody would answer. What it takes to
 * ask again is on disk before the payment leaves. Then it is opened with the payment, and whatever happens, again with
 * the same one, until its ending is there.
 */
import { toHex } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { callOpening, callRequest } from '../protocol/call.ts';
import { card as cardSchema } from '../protocol/card.ts';
import { envelope } from '../protocol/envelope.ts';
import type { Id } from '../protocol/ids.ts';
import { type CallPayment, isOnce, onceFault, type PaidCall } from '../protocol/once.ts';
import type { AskRequest, CallEvent, CallerShared, CallHandle, CallResult } from './caller.ts';
import { type CallBeginning, CallerCall } from './caller-call.ts';
import { Patience } from './caller-resume.ts';
import { EventQueue } from './events.ts';
import { type CallTicket, forgetAfter, type OpenCalls } from './open-calls.ts';
import type { OncePayer } from './ports.ts';
import type { CallerState } from './session.ts';

/** Failures that a later opening with the same payment may not meet, such as at a host that is just being started. */
const LATER: ReadonlySet<string> = new Set([
  ...['call-conflict', 'call-unknown', 'overloaded', 'rate-limited'],
  ...['caller-refused', 'peer-gone', 'peer-unreachable', 'wrong-recipient'],
]);
/** What a reader must not be told twice. */
const SAID: ReadonlySet<CallEvent['type']> = new Set(['source', 'text', 'citation', 'child']);

/** Failures of a payment that will never take effect. */
const UNPAID: ReadonlySet<string> = new Set(['funds-insufficient', 'tx-refused', 'tx-invalid']);

/** Whether a ticket is of a call that one transaction pays. */
export function isOnceTicket({ opening }: CallTicket): boolean {
  return isOnce(envelope.decode(callOpening.decode(opening).envelope.payload));
}

/** One call. */
export class OnceCall implements CallHandle {
  readonly callId: Id;
  readonly result: Promise<CallResult>;
  readonly #shared: CallerShared;
  readonly #beginning: CallBeginning;
  readonly #queue = new EventQueue<CallEvent>();
  readonly #stopping = new AbortController();
  #inner: CallerCall | undefined;
  #ticket: CallTicket | undefined;
  #payment: CallPayment | undefined;
  #paying = false;

  constructor(shared: CallerShared, beginning: CallBeginning) {
    const { openCalls: _, ended: __, ...parts } = shared.parts;
    // This call keeps what it takes to go on, and saves the evidence, with the payment in it.
    this.#shared = { ...shared, parts };
    this.#beginning = beginning;
    this.callId = beginning.callId;
    const { openCalls, ended } = shared.parts;
    this.result = Promise.resolve()
      .then(() => this.#run(shared))
      .then(
        (result) => {
          if (ended === undefined) openCalls?.remove(this.callId);
          else forgetAfter(ended(result), openCalls, this.callId);
          this.#queue.close();
          return result;
        },
        (error: unknown) => {
          const failure = this.#left(asSaharaError(error), openCalls);
          this.#queue.close(failure);
          throw failure;
        },
      );
    this.result.catch(() => {});
  }

  get state(): CallerState {
    return this.#inner?.state ?? 'reserving';
  }

  get cover(): bigint {
    return 0n;
  }

  get ticket(): CallTicket | undefined {
    return this.#ticket;
  }

  events(): AsyncIterable<CallEvent> {
    return this.#queue.read();
  }

  /** `signal` stops the call. */
  start(signal: AbortSignal | undefined): void {
    const abort = (): void => this.stop();
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) this.stop();
    const over = (): void => signal?.removeEventListener('abort', abort);
    this.result.then(over, over);
  }

  stop(): void {
    this.#stopping.abort(new SaharaError('cancelled'));
    this.#inner?.stop();
  }

  async #run({ parts }: CallerShared): Promise<CallResult> {
    const payer = parts.once;
    if (payer === undefined)
      throw new SaharaError('payment-invalid', { reason: 'no account is here to pay' });
    return 'request' in this.#beginning
      ? await this.#ask(this.#beginning.request, payer, parts.openCalls)
      : await this.#again(this.#beginning.ticket, payer, parts.openCalls);
  }

  async #ask(request: AskRequest, payer: OncePayer, openCalls: OpenCalls | undefined): Promise<CallResult> {
    const { card } = await this.#shared.cardOf(request.target.card);
    const offered = request.offer !== undefined;
    const context = request.budget ?? request.below;
    const reason = onceFault({ card, offered, context: undefined });
    if (context !== undefined || reason !== undefined) {
      throw new SaharaError('payment-invalid', {
        reason: reason ?? 'it has a budget, or is made below another call',
      });
    }
    await this.#asks(request, card.price.perCall);
    openCalls?.add(this.#ticketOf());
    await openCalls?.flushed();
    this.#stopping.signal.throwIfAborted();
    void this.#queue.push([{ type: 'payment', state: 'paying', amount: card.price.perCall }]);
    const call: PaidCall = { callId: this.callId, payer: this.#shared.parts.operator.publicKey, card };
    this.#paying = true;
    const { signal } = this.#stopping;
    const payment = await payer.pay(call, { signal }).catch((error: unknown) => {
      this.#paying = !UNPAID.has(asSaharaError(error).code);
      throw error;
    });
    point('once:paid');
    return await this.#answered(request, payment);
  }

  /** Opens the call without its payment, which says that it would be answered. Throws why it would not. */
  async #asks(request: AskRequest, price: bigint): Promise<void> {
    const asked = this.#open(request);
    const failure = await asked.result.then(
      () => new SaharaError('answer-invalid', { reason: 'answered before it was paid' }),
      (error: unknown) => asSaharaError(error),
    );
    if (failure.code !== 'payment-required' || failure.facts.once !== String(price)) throw failure;
  }

  #open(request: AskRequest): CallerCall {
    const call = new CallerCall(this.#shared, { callId: this.callId, request });
    this.#inner = call;
    call.start(this.#stopping.signal);
    return call;
  }

  /** Goes on with a call that its host is still at, from its first word. */
  #join(): CallerCall {
    const call = new CallerCall(this.#shared, { callId: this.callId, ticket: this.#ticket });
    this.#inner = call;
    call.start(this.#stopping.signal);
    return call;
  }

  #ticketOf(): CallTicket {
    const ticket = this.#inner?.ticket;
    if (ticket === undefined)
      throw new SaharaError('internal', { reason: 'a call was sent without a ticket' });
    this.#ticket = ticket;
    return ticket;
  }

  /** Goes on with a call of before: it is asked again if it was paid, and never paid now. */
  async #again(
    ticket: CallTicket | undefined,
    payer: OncePayer,
    openCalls: OpenCalls | undefined,
  ): Promise<CallResult> {
    if (ticket === undefined) throw new SaharaError('call-unknown', { reason: 'no ticket of it is here' });
    if (openCalls?.find(this.callId)?.live) throw new SaharaError('call-conflict', { state: 'running' });
    this.#ticket = ticket;
    openCalls?.add(ticket);
    this.#paying = true;
    const payment = await payer.made(this.callId, { signal: this.#stopping.signal });
    this.#paying = payment !== undefined;
    if (payment === undefined) {
      throw new SaharaError('call-unknown', {
        outcome: 'uncharged',
        reason: 'no payment of it was made from here',
      });
    }
    return await this.#answered(requestOf(ticket), payment);
  }

  /** Opens the call with its payment, again as long as its host is busy with it or with others. */
  async #answered(asked: AskRequest, payment: CallPayment): Promise<CallResult> {
    this.#payment = payment;
    const { perCall: amount } = cardSchema.decode(asked.target.card.payload).price;
    void this.#queue.push([{ type: 'payment', state: 'paid', amount }]);
    const { parts, options } = this.#shared;
    const patience = new Patience(parts, options.resumeForMs);
    patience.broke(true);
    let told = false;
    let { target } = asked;
    let running = false;
    for (;;) {
      const more = await patience.next();
      const call = running ? this.#join() : this.#open({ ...asked, target, payment: 'once', paid: payment });
      try {
        for await (const event of call.events()) {
          told ||= SAID.has(event.type);
          const waiting = this.#queue.push([event]);
          if (waiting !== undefined) await waiting;
        }
        const result = await call.result;
        return { ...result, evidence: { ...result.evidence, payment } };
      } catch (error) {
        const { code, facts } = asSaharaError(error);
        // A host that was started anew has a new card, which may still have the price that was paid.
        const replaced = code === 'expired' && facts.what === 'card';
        const later = replaced || LATER.has(code);
        if (told || !more || !later || this.#stopping.signal.aborted) throw error;
        running = code === 'call-conflict' && facts.state === 'running';
        if (replaced) target = (await parts.renewed?.(target).catch(() => undefined)) ?? target;
      }
    }
  }

  /** What was paid for is kept until its answer came; answers the error that people see. */
  #left(failure: SaharaError, openCalls: OpenCalls | undefined): SaharaError {
    if (this.#ticket === undefined) return failure;
    if (!this.#paying) {
      openCalls?.remove(this.callId);
      return failure;
    }
    openCalls?.leave(this.callId);
    const outcome = this.#payment === undefined ? 'unknown' : 'paid';
    return new SaharaError(
      failure.code,
      { ...failure.facts, outcome, callId: toHex(this.callId) },
      { cause: failure },
    );
  }
}

/** What a call asked for, read back from its ticket. */
function requestOf({ peerId, card, opening }: CallTicket): AskRequest {
  const asked = callRequest.decode(callOpening.decode(opening).request);
  const { question, context, skill, seed, priceMax, outputUnitsMax, deadlineMs } = asked;
  return {
    target: { peerId, card },
    ...{ question, context, priceMax, outputUnitsMax, deadlineMs },
    ...(skill !== undefined && { skill }),
    ...(seed !== undefined && { seed }),
  };
}
