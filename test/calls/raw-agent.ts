import type { CallFrame, CallStream, CallTransport, PayeeLease } from '../../src/agent/ports.ts';
import { SaharaError } from '../../src/base/errors.ts';
import type { PayeeBook } from '../../src/payment/payee-book.ts';
import {
  CALL_FRAME,
  type CallOpening,
  type CallRequest,
  callEnding,
  callOpening,
  callRequest,
  chainNext,
  chainStart,
  delta,
  progress,
} from '../../src/protocol/call.ts';
import type { Card } from '../../src/protocol/card.ts';
import {
  type CallResume,
  type Checkpoint,
  callResume,
  callVoucher,
  checkpoint,
  type ResumeRequest,
  resumeRequest,
} from '../../src/protocol/checkpoint.ts';
import { type Envelope, envelope } from '../../src/protocol/envelope.ts';
import { chargeOf, type Finish, receipt } from '../../src/protocol/payment.ts';
import { type Signed, signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { countUnits, inputUnits } from '../../src/protocol/units.ts';
import { AGENT_ASSET, keys, NETWORK, tick } from './rig.ts';
import { createStreamPair, type End, type PairOptions } from './stream-pair.ts';

/** What a resumption said. */
export interface Resumed {
  readonly message: CallResume;
  readonly envelope: Envelope;
  readonly request: ResumeRequest;
}

/** One call at the agent's end, whose every frame a test chooses. Payments go through a real payee's book. */
export class RawCall {
  readonly opening: CallOpening;
  readonly envelope: Envelope;
  readonly request: CallRequest;
  readonly frames: CallFrame[] = [];
  readonly checkpoints: Signed[] = [];
  readonly resumed: Resumed[] = [];
  /** What the vouchers that came cover. */
  cover: bigint;
  stopped = false;
  lease: PayeeLease | undefined;
  ending: Uint8Array | undefined;
  stream: CallStream | undefined;
  text = '';
  readonly #agent: RawAgent;
  #chain: Uint8Array;
  #bell: (() => void)[] = [];
  #work: Promise<void> = Promise.resolve();

  constructor(agent: RawAgent, body: Uint8Array, stream: CallStream) {
    this.#agent = agent;
    this.stream = stream;
    this.opening = callOpening.decode(body);
    this.envelope = envelope.decode(this.opening.envelope.payload);
    this.request = callRequest.decode(this.opening.request);
    this.cover = this.request.cover;
    this.#chain = chainStart(suite, this.envelope.id);
  }

  get amount(): bigint {
    const { price } = this.#agent.card;
    return chargeOf(price, inputUnits(this.request), countUnits(this.text));
  }

  async admit(): Promise<void> {
    const { voucher } = this.opening;
    if (voucher === undefined) return;
    this.lease = await this.#agent.payee.admit({
      callId: this.envelope.id,
      payer: this.envelope.from,
      voucher,
      requestHash: this.envelope.bodyHash,
      agentAsset: AGENT_ASSET,
      amountMax: this.cover,
      holdMs: 60_000,
    });
  }

  /** Delivers text; kept for a stream that comes later when none is there. */
  say(text: string): void {
    this.text += text;
    const body = delta.encode({ sequence: this.frames.length, text, citations: [] });
    this.frames.push({ kind: CALL_FRAME.delta, body });
    this.#chain = chainNext(suite, this.#chain, CALL_FRAME.delta, body);
    this.send({ kind: CALL_FRAME.delta, body });
  }

  /** States what was delivered, or something else. */
  checkpoint(change: Partial<Checkpoint> = {}, signer: Signer = keys.agent): Checkpoint {
    const stated: Checkpoint = {
      network: NETWORK,
      callId: this.envelope.id,
      channel: this.lease?.channel ?? new Uint8Array(32),
      sequence: this.checkpoints.length,
      deliveries: this.frames.length,
      chain: this.#chain,
      inputUnits: inputUnits(this.request),
      outputUnits: countUnits(this.text),
      expenses: 0n,
      amount: this.amount,
      ...change,
    };
    const message = signOne(suite, signer, NETWORK, {
      type: 'checkpoint',
      payload: checkpoint.encode(stated),
    });
    this.checkpoints.push(message);
    this.send({ kind: CALL_FRAME.checkpoint, body: signed.encode(message) });
    return stated;
  }

  pause(): void {
    this.send({ kind: CALL_FRAME.progress, body: progress.encode({ stage: 'paused', ahead: 0 }) });
  }

  /** Charges what was delivered and sends the ending. */
  async end(finish: Finish = 'done'): Promise<void> {
    await this.#work;
    const { card, cardHash } = this.#agent;
    const amount = this.lease ? this.amount : 0n;
    const draft = {
      version: 1,
      network: NETWORK,
      callId: this.envelope.id,
      agent: card.agent,
      payee: card.operator,
      payer: this.envelope.from,
      requestHash: this.envelope.bodyHash,
      responseHash: this.#chain,
      deliveries: this.frames.length,
      cardHash,
      manifestHash: card.manifestHash,
      modelDigest: card.model.digest,
      skill: this.request.skill,
      seed: this.request.seed,
      finish,
      inputUnits: inputUnits(this.request),
      outputUnits: countUnits(this.text),
      price: card.price,
      expenses: 0n,
      amount,
      shares: [{ asset: AGENT_ASSET, role: 'agent' as const, ppm: 1_000_000, amount }],
      attributionRule: 'test/1',
      startedAtMs: 1,
      finishedAtMs: 2,
    };
    const signer = tick(keys.agent);
    const free = async (): Promise<{ receipt: Signed; charge: undefined }> => {
      const payload = receipt.encode({ ...draft, channel: undefined, lane: 0, sequence: 0 });
      return { receipt: await signer.sign('receipt', payload), charge: undefined };
    };
    this.ending = callEnding.encode(this.lease ? await this.lease.commit(draft, signer) : await free());
    this.#sendEnding();
  }

  /** Only the first `deliveries` were kept. */
  forget(deliveries: number): void {
    this.frames.length = deliveries;
    this.text = this.frames.map(({ body }) => delta.decode(body).text).join('');
    this.#chain = this.frames.reduce(
      (chain, { kind, body }) => chainNext(suite, chain, kind, body),
      chainStart(suite, this.envelope.id),
    );
  }

  /** The stream is gone for both sides. */
  cut(): void {
    const { stream } = this;
    this.stream = undefined;
    // Streams of this rig are pairs.
    (stream as End | undefined)?.cut();
  }

  /** Refuses the call; with nothing delivered nothing is held for it any more. */
  fail(error: SaharaError): void {
    if (this.frames.length === 0) this.lease?.release();
    this.stream?.fail(error);
    this.stream = undefined;
  }

  /** Resolves once `holds` does. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#bell.push(resolve));
  }

  send(frame: CallFrame): void {
    try {
      this.stream?.send(frame);
    } catch {
      this.stream = undefined;
    }
  }

  /** A frame of the caller after the first one. */
  took(kind: number, body: Uint8Array): void {
    if (kind === CALL_FRAME.stop) this.stopped = true;
    if (kind === CALL_FRAME.voucher) this.#raise(callVoucher.decode(body.slice()));
    this.ring();
  }

  join(stream: CallStream, resumed: Resumed): void {
    this.stream?.fail(new SaharaError('peer-gone', { reason: 'goes on elsewhere' }));
    this.stream = stream;
    this.resumed.push(resumed);
    const { cover, deliveries } = resumed.request;
    const { voucher } = resumed.message;
    if (voucher !== undefined && cover > this.cover) this.#raise({ cover, voucher });
    for (const frame of this.frames.slice(deliveries)) this.send(frame);
    const last = this.checkpoints.at(-1);
    if (last) this.send({ kind: CALL_FRAME.checkpoint, body: signed.encode(last) });
    if (this.ending) this.#sendEnding();
    this.ring();
  }

  ring(): void {
    for (const wake of this.#bell.splice(0)) wake();
  }

  #raise({ cover, voucher }: { readonly cover: bigint; readonly voucher: Signed }): void {
    this.cover = cover;
    this.#work = this.#work.then(() => this.lease?.extend({ voucher, amountMax: cover }));
    this.#work.catch(() => {});
  }

  #sendEnding(): void {
    this.send({ kind: CALL_FRAME.ending, body: this.ending ?? new Uint8Array(0) });
    this.stream?.end();
  }
}

/** An agent's peer that says what a test has it say. */
export class RawAgent {
  readonly calls: RawCall[] = [];
  readonly card: Card;
  readonly cardHash: Uint8Array;
  readonly payee: PayeeBook;
  /** Refuses a resumption instead of going on. */
  refuseResume: ((resumed: Resumed) => SaharaError | undefined) | undefined;
  /** Whether streams can be opened at all. */
  reachable = true;
  opened = 0;
  #bell: (() => void)[] = [];

  constructor(parts: { readonly card: Card; readonly cardHash: Uint8Array; readonly payee: PayeeBook }) {
    this.card = parts.card;
    this.cardHash = parts.cardHash;
    this.payee = parts.payee;
  }

  /** A way here for a peer of that id. */
  transport(peerId: string, pair: PairOptions = {}): CallTransport {
    return {
      peerId,
      openCall: async () => {
        this.opened++;
        if (!this.reachable) throw new SaharaError('peer-unreachable');
        const { caller, host } = createStreamPair({
          ...pair,
          peerIds: { caller: peerId, host: 'peer-host' },
        });
        this.#take(host);
        return caller;
      },
    };
  }

  /** The call number `index`, once it was opened and admitted. */
  async call(index = 0): Promise<RawCall> {
    while (this.calls.length <= index) await new Promise<void>((resolve) => this.#bell.push(resolve));
    return this.calls[index] as RawCall;
  }

  #take(stream: CallStream): void {
    let call: RawCall | undefined;
    stream.consume({
      frame: (kind, body) => {
        if (call !== undefined) call.took(kind, body);
        else if (kind === CALL_FRAME.opening) {
          const begun = new RawCall(this, body.slice(), stream);
          call = begun;
          begun.admit().then(
            () => this.#ring(begun),
            (error: SaharaError) => stream.fail(error),
          );
        } else if (kind === CALL_FRAME.resume) call = this.#resume(stream, body.slice());
      },
      end: () => {},
      fail: () => {
        if (call?.stream === stream) call.stream = undefined;
        call?.ring();
      },
    });
  }

  #resume(stream: CallStream, body: Uint8Array): RawCall | undefined {
    const message = callResume.decode(body);
    const request = resumeRequest.decode(message.body);
    const resumed = { message, request, envelope: envelope.decode(message.envelope.payload) };
    const known = this.calls.find(({ envelope: { id } }) => Buffer.from(id).equals(request.callId));
    const refusal = this.refuseResume?.(resumed);
    if (refusal !== undefined || known === undefined) {
      stream.fail(refusal ?? new SaharaError('call-unknown'));
      return undefined;
    }
    known.join(stream, resumed);
    return known;
  }

  #ring(call: RawCall): void {
    this.calls.push(call);
    for (const wake of this.#bell.splice(0)) wake();
  }
}
