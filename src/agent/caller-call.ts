/** One call at its caller, from the price to the checked ending. */
import { equalBytes } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import {
  CALL_FRAME,
  type CallEnding,
  type CallOpening,
  type CallRequest,
  callEnding,
  callOpening,
  callRequest,
  progress,
} from '../protocol/call.ts';
import { type Envelope, envelope } from '../protocol/envelope.ts';
import type { Hash, Id } from '../protocol/ids.ts';
import { PROTOCOL_VERSION } from '../protocol/ids.ts';
import { CLOCK_SKEW_MS, ENVELOPE_LIFE_MS_MAX } from '../protocol/limits.ts';
import { chargeOf, type Receipt, receipt as receiptSchema } from '../protocol/payment.ts';
import { inputUnits } from '../protocol/units.ts';
import { checkAmount, checkDelivered, checkReceiptFields, checkShares } from '../protocol/verify-receipt.ts';
import type { AskRequest, CallEvent, CallerShared, CallHandle, CallResult, KnownCard } from './caller.ts';
import { EventQueue } from './events.ts';
import { Incoming } from './incoming.ts';
import type { CallStream, PayerLease } from './ports.ts';
import { CALLER_EDGES, type CallerEvent, type CallerState, Session } from './session.ts';

/** What is sent, in its parts and on the wire. */
interface Outgoing {
  readonly known: KnownCard;
  readonly request: CallRequest;
  readonly requestHash: Hash;
  readonly envelope: Envelope;
  readonly opening: CallOpening;
  readonly bytes: Uint8Array;
  readonly lease: PayerLease | undefined;
}

const DELIVERIES: ReadonlySet<number> = new Set([CALL_FRAME.source, CALL_FRAME.delta, CALL_FRAME.child]);

const MENDED_ONCE: ReadonlySet<string> = new Set([
  'voucher-stale',
  'voucher-insufficient',
  'expired',
  'not-yet-valid',
]);

/** One call. */
export class CallerCall implements CallHandle {
  readonly callId: Id;
  readonly result: Promise<CallResult>;
  readonly #shared: CallerShared;
  readonly #asked: AskRequest;
  readonly #queue = new EventQueue<CallEvent>();
  #session = new Session<CallerState, CallerEvent>(CALLER_EDGES, 'reserving');
  #incoming: Incoming;
  #stream: CallStream | undefined;
  #stopping: SaharaError | undefined;
  #give: (() => void) | undefined;
  #resolve: (result: CallResult) => void = () => {};
  #reject: (error: SaharaError) => void = () => {};

  constructor(shared: CallerShared, asked: AskRequest) {
    this.#shared = shared;
    this.#asked = asked;
    this.callId = asked.callId ?? shared.parts.dice.bytes(16);
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
    const stream = this.#stream;
    if (stream === undefined || !this.#session.can('stop')) return;
    this.#session.move('stop');
    try {
      stream.send({ kind: CALL_FRAME.stop, body: new Uint8Array(0) });
    } catch {
      // The stream is broken; its reader hears of it.
    }
    this.#give = this.#shared.parts.clock.after(this.#shared.options.stopTimeoutMs, () => stream.cancel());
  }

  async #run(): Promise<void> {
    try {
      const result = await this.#tries();
      const last = this.#queue.push([{ type: 'ending', receipt: result.receipt }]);
      this.#queue.close();
      this.#resolve(result);
      await last;
    } catch (error) {
      const failure = asSaharaError(error);
      this.#queue.close(failure);
      this.#reject(failure);
    } finally {
      this.#give?.();
    }
  }

  /** A refusal that this side can mend is mended once: lost payment state, a clock that is off. */
  async #tries(): Promise<CallResult> {
    try {
      return await this.#once();
    } catch (error) {
      const failure = asSaharaError(error);
      const clock = failure.facts.receiverTimeMs;
      const mendable = MENDED_ONCE.has(failure.code) && failure.facts.what === undefined;
      if (this.#session.state !== 'refused' || !mendable || this.#stopping) throw failure;
      if (typeof clock === 'number') this.#shared.skewMs = clock - this.#shared.parts.clock.nowMs();
      this.#session = new Session<CallerState, CallerEvent>(CALLER_EDGES, 'reserving');
      return await this.#once();
    }
  }

  async #once(): Promise<CallResult> {
    const { parts } = this.#shared;
    let out: Outgoing;
    let stream: CallStream;
    try {
      const found = this.#shared.cardOf(this.#asked.target.card);
      const known = found instanceof Promise ? await found : found;
      const opening = parts.transport.openCall(this.#asked.target.peerId);
      // A failure is heard below; the signatures are under way meanwhile.
      opening.catch(() => {});
      try {
        out = await this.#prepare(known);
      } catch (error) {
        // Nothing will be said on the stream: left open, its host would wait for an opening.
        opening.then(
          (unused) => unused.cancel(),
          () => {},
        );
        throw error;
      }
      try {
        stream = await opening;
        if (this.#stopping) {
          stream.cancel();
          throw this.#stopping;
        }
      } catch (error) {
        out.lease?.release();
        throw error;
      }
    } catch (error) {
      this.#session.move('refuse');
      throw error;
    }
    return this.#converse(stream, out);
  }

  async #prepare(known: KnownCard): Promise<Outgoing> {
    if (this.#stopping) throw this.#stopping;
    const { parts, skewMs } = this.#shared;
    const request = requestOf(this.#asked, known, this.#shared.options.deadlineMs);
    const encoded = callRequest.encode(request);
    const requestHash = parts.suite.sha256(encoded);
    const issuedAtMs = parts.clock.nowMs() + skewMs;
    const opened: Envelope = {
      version: PROTOCOL_VERSION,
      network: parts.network,
      id: this.callId,
      from: parts.operator.publicKey,
      to: { kind: 'agent', name: known.card.agent },
      sequence: this.#shared.nextSequence(),
      issuedAtMs,
      expiresAtMs: issuedAtMs + Math.min(ENVELOPE_LIFE_MS_MAX, request.deadlineMs + CLOCK_SKEW_MS),
      context: undefined,
      bodyType: 'call',
      bodyHash: requestHash,
      extensions: new Map(),
    };
    // Asked for together, so that voucher and request leave under one signature.
    const reserving = this.#reserve(known, request);
    const signing = parts.operator.sign('call', envelope.encode(opened));
    const [lease, signed] = await Promise.all([reserving, signing]);
    const opening: CallOpening = {
      envelope: signed,
      request: encoded,
      voucher: lease?.voucher,
      offer: undefined,
      work: undefined,
      parents: [],
    };
    return {
      known,
      request,
      requestHash,
      envelope: opened,
      opening,
      bytes: callOpening.encode(opening),
      lease,
    };
  }

  async #reserve(known: KnownCard, request: CallRequest): Promise<PayerLease | undefined> {
    const { payer } = this.#shared.parts;
    const { payment = 'auto' } = this.#asked;
    if (request.priceMax === 0n || payment === 'free') return undefined;
    const { card } = known;
    const free = payment === 'auto' && card.free.calls > 0;
    if (payer === undefined) {
      if (free) return undefined;
      throw new SaharaError('payment-required', { price: String(request.priceMax) });
    }
    const wanted = { callId: this.callId, payee: card.operator, amountMax: request.priceMax };
    try {
      return await payer.reserve(wanted);
    } catch (error) {
      if (free && asSaharaError(error).code === 'channel-unknown') return undefined;
      throw error;
    }
  }

  async #converse(stream: CallStream, out: Outgoing): Promise<CallResult> {
    const { clock } = this.#shared.parts;
    this.#stream = stream;
    const cancelDeadline = clock.after(out.request.deadlineMs + CLOCK_SKEW_MS, () =>
      this.#stop(new SaharaError('deadline-exceeded', { deadlineMs: out.request.deadlineMs })),
    );
    try {
      stream.send({ kind: CALL_FRAME.opening, body: out.bytes });
      this.#session.move('send');
      const ending = await this.#receive(stream);
      return await this.#settle(out, ending);
    } catch (error) {
      throw this.#failed(stream, out, asSaharaError(error));
    } finally {
      cancelDeadline();
      this.#stream = undefined;
    }
  }

  async #receive(stream: CallStream): Promise<Uint8Array> {
    for await (const { kind, body } of stream.frames()) {
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
    if (kind === CALL_FRAME.progress) return [{ type: 'progress', ...progress.decode(body) }];
    if (!DELIVERIES.has(kind)) {
      throw new SaharaError('answer-invalid', { reason: 'unexpected frame', kind });
    }
    const events = this.#incoming.take(kind, body);
    this.#session.move('deliver');
    return events;
  }

  async #settle(out: Outgoing, bytes: Uint8Array): Promise<CallResult> {
    const { parts } = this.#shared;
    const ending = callEnding.decode(bytes);
    const receipt = this.#checked(out, ending);
    if (out.lease !== undefined) {
      const { charge } = ending;
      if (charge === undefined) throw new SaharaError('receipt-invalid', { reason: 'no charge' });
      await out.lease.settle({ receipt: ending.receipt, charge });
    } else {
      const fault = await parts.verifier.check(parts.network, 'receipt', receipt.agent, ending.receipt);
      if (fault) throw new SaharaError('receipt-invalid', { reason: fault });
    }
    this.#session.move('settle');
    const { text, sources, citations } = this.#incoming.answer;
    const { finish, amount } = receipt;
    const deliveries = this.#incoming.frames;
    parts.records.add({
      side: 'caller',
      callId: this.callId,
      agent: receipt.agent,
      caller: receipt.payer,
      peerId: this.#asked.target.peerId,
      cardHash: out.known.hash,
      requestHash: out.requestHash,
      finish,
      amount,
      finishedAtMs: receipt.finishedAtMs,
      opening: out.bytes,
      deliveries,
      ending: bytes,
    });
    const evidence = {
      card: this.#asked.target.card,
      opening: out.opening,
      deliveries,
      ending,
      checkpoints: [],
      voucher: undefined,
    };
    return { callId: this.callId, text, sources, citations, finish, amount, receipt, evidence };
  }

  /** The receipt, checked against what was asked, published and delivered. Throws `receipt-invalid`. */
  #checked(out: Outgoing, ending: CallEnding): Receipt {
    const { card, hash } = out.known;
    const { answer, frames } = this.#incoming;
    const { network } = this.#shared.parts;
    try {
      const receipt = receiptSchema.decode(ending.receipt.payload);
      const { envelope: opened, request, requestHash } = out;
      const context = { network, envelope: opened, request, requestHash, card, cardHash: hash };
      checkReceiptFields(receipt, context);
      checkDelivered(receipt, answer, frames.length);
      checkAmount(receipt, answer, context);
      checkShares(this.#shared.parts.suite, receipt, answer, card);
      const channel = out.lease?.channel;
      const paid =
        channel && receipt.channel ? equalBytes(channel, receipt.channel) : channel === receipt.channel;
      if (!paid) throw new SaharaError('receipt-invalid', { reason: 'another channel' });
      return receipt;
    } catch (cause) {
      const failure = asSaharaError(cause);
      if (failure.code === 'receipt-invalid') throw failure;
      throw new SaharaError('receipt-invalid', failure.facts, { cause });
    }
  }

  /** Where a failed call leaves its money and its state; answers the error that people see. */
  #failed(stream: CallStream, out: Outgoing, failure: SaharaError): SaharaError {
    // Only what the other side says carries its clock.
    const said = failure.facts.peerTimeMs !== undefined;
    if (said && this.#incoming.frames.length === 0 && this.#session.can('refuse')) {
      this.#session.move('refuse');
      out.lease?.release(failure);
      return this.#stopping ?? failure;
    }
    out.lease?.unknown();
    const invalid =
      failure.code === 'answer-invalid' || failure.code === 'receipt-invalid' || failure.code === 'malformed';
    if (invalid) {
      this.#session.move('reject');
      stream.cancel();
      return new SaharaError(failure.code, { ...failure.facts, ...(out.lease && { outcome: 'unknown' }) });
    }
    if (this.#session.can('break')) this.#session.move('break');
    else this.#session.move('reject');
    stream.cancel();
    const seen = this.#stopping ?? failure;
    return new SaharaError(
      seen.code,
      { ...seen.facts, ...(out.lease && { outcome: 'unknown' }) },
      { cause: failure },
    );
  }
}

/** The request whose price stays inside what may be spent. Throws `price-above-max`, `too-large`, `skill-unknown`. */
function requestOf(asked: AskRequest, known: KnownCard, deadlineMs: number): CallRequest {
  const { card, hash } = known;
  const { question, context = [], skill } = asked;
  const sizeBytes = Buffer.byteLength(question);
  if (sizeBytes > card.limits.questionBytes) {
    throw new SaharaError('too-large', {
      what: 'question',
      sizeBytes,
      limitBytes: card.limits.questionBytes,
    });
  }
  if (skill !== undefined && !card.skills.some(({ name }) => name === skill)) {
    throw new SaharaError('skill-unknown', { skill, known: card.skills.map(({ name }) => name) });
  }
  const input = inputUnits({ question, context });
  const least = chargeOf(card.price, input, 0);
  if (least > asked.priceMax && asked.payment !== 'free') {
    throw new SaharaError('price-above-max', { price: String(least), priceMax: String(asked.priceMax) });
  }
  const wanted = Math.min(asked.outputUnitsMax ?? card.limits.outputUnits, card.limits.outputUnits);
  const perUnit = card.price.perOutputUnit;
  const affordable =
    perUnit === 0n || asked.payment === 'free' ? BigInt(wanted) : (asked.priceMax - least) / perUnit;
  const outputUnitsMax = affordable < BigInt(wanted) ? Number(affordable) : wanted;
  const priceMax = asked.payment === 'free' ? 0n : chargeOf(card.price, input, outputUnitsMax);
  return {
    cardHash: hash,
    skill,
    question,
    context,
    priceMax,
    cover: priceMax,
    outputUnitsMax,
    deadlineMs: Math.min(asked.deadlineMs ?? deadlineMs, card.limits.deadlineMs),
    seed: asked.seed,
  };
}
