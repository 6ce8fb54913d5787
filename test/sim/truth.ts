/**
 * Who knows everything: every frame that a party sent or got, every receipt that was signed, every cover that was
 * promised. What must always hold is checked as it happens; `invariants.ts` checks the rest when all is quiet.
 */
import type { PayeePort } from '../../src/agent/ports.ts';
import { equalBytes, toHex } from '../../src/base/bytes.ts';
import type { CallFrame, CallStream } from '../../src/mesh/interface.ts';
import {
  CALL_FRAME,
  type CallRequest,
  callEnding,
  callOpening,
  callRequest,
  delta,
} from '../../src/protocol/call.ts';
import { callResume, callVoucher, resumeRequest } from '../../src/protocol/checkpoint.ts';
import { envelope } from '../../src/protocol/envelope.ts';
import {
  chargeOf,
  charge as chargeSchema,
  type Receipt,
  receipt as receiptSchema,
  voucher as voucherSchema,
} from '../../src/protocol/payment.ts';
import type { Signed, TickSigner } from '../../src/protocol/signing.ts';
import { inputUnits, UnitCounter } from '../../src/protocol/units.ts';
import type { CrashKind } from './disk.ts';
import type { Party, SimAgent } from './party.ts';
import { overlay, Stakes } from './stakes.ts';
import type { Life, Scheduler } from './time.ts';
import type { Trace } from './trace.ts';
import { watchStream } from './watched.ts';

/** An invariant that does not hold. */
export class Violation extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'Violation';
  }
}

/** One call as it really was. */
export interface CallTruth {
  readonly id: string;
  readonly request: CallRequest;
  readonly agent: SimAgent | undefined;
  readonly paid: boolean;
  /** Whose call it is. */
  readonly caller: string;
  /** What the payer put at stake at once beside what the first word costs, grains. */
  readonly step: bigint;
  readonly counter: UnitCounter;
  /** Delivered frames in their order, and the units of text up to each. */
  readonly frames: { readonly hash: string; readonly units: number }[];
  /** Its host forgot it and took another call under its id: what belongs to which cannot be told. */
  mixed: boolean;
  /** How many of them the caller has got. */
  received: number;
  /** Most that the host was covered for, grains. */
  cover: bigint;
  /** Receipts that were signed for it, by payload. */
  readonly receipts: Map<string, Receipt>;
  /** Receipts that somebody was shown. */
  readonly shown: Set<string>;
}

/** What a party just did for a call. */
export type CallStep =
  | 'sent-opening'
  | 'got-opening'
  | 'sent-voucher'
  | 'delivered'
  | 'got-delivery'
  | 'signed'
  | 'shown';

const DELIVERIES: ReadonlySet<number> = new Set([CALL_FRAME.delta, CALL_FRAME.source, CALL_FRAME.child]);

/** Everything that is true. */
export class Truth {
  readonly calls: Map<string, CallTruth> = new Map();
  readonly stakes: Stakes = new Stakes();
  /** Parties that do not keep the rules; what happens to them is their own fault. */
  readonly rogues: Set<Party> = new Set();
  /** Told of every step of every call, before what follows from it. */
  onStep: (step: CallStep, party: Party) => void = () => {};
  readonly #charges = new Map<string, Map<number, { readonly hex: string; readonly total: bigint }>>();
  /** Receipts by channel, lane and sequence. */
  readonly #sequences = new Map<string, string>();
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #agentOf: (key: Uint8Array) => SimAgent | undefined;
  readonly #sha256: (bytes: Uint8Array) => Uint8Array;

  constructor(parts: {
    scheduler: Scheduler;
    trace: Trace;
    agentOf: (key: Uint8Array) => SimAgent | undefined;
    sha256: (bytes: Uint8Array) => Uint8Array;
  }) {
    this.#scheduler = parts.scheduler;
    this.#trace = parts.trace;
    this.#agentOf = parts.agentOf;
    this.#sha256 = parts.sha256;
  }

  /** Ends the story unless `holds`. */
  demand(holds: boolean, what: () => string): void {
    if (holds) return;
    const violation = new Violation(what());
    this.#trace.say(`VIOLATION ${violation.message}`);
    this.#scheduler.fail(violation);
  }

  /** A party went down; what it held in memory is gone, what it promised is not. */
  crashed(party: Party, kind: CrashKind): void {
    if (kind === 'kill') return;
    // What was not forced to disk may be charged again under another receipt.
    for (const call of this.calls.values()) {
      if (call.agent && equalBytes(call.agent.card.operator, party.signer.publicKey)) call.shown.clear();
    }
  }

  /** The caller's end of a call of `party`, watched. */
  watchCaller(stream: CallStream, party: Party): CallStream {
    let call: CallTruth | undefined;
    let next = 0;
    const promised = (voucher: Signed | undefined): void => {
      if (!voucher || this.rogues.has(party) || !call?.agent) return;
      const { ceiling, channel, lane } = voucherSchema.decode(voucher.payload);
      const most = this.stakes.mostOf(channel, lane);
      this.demand(
        ceiling <= most,
        () => `${party} promised ${ceiling} grains, at stake were never more than ${most}`,
      );
    };
    return watchStream(stream, {
      sending: (frame) => {
        if (frame.kind === CALL_FRAME.opening) {
          call = this.#opened(frame.body);
          this.onStep('sent-opening', party);
          promised(callOpening.decode(frame.body).voucher);
        } else if (frame.kind === CALL_FRAME.resume) {
          const { body, voucher } = callResume.decode(frame.body);
          const { callId, deliveries } = resumeRequest.decode(body);
          call = this.calls.get(toHex(callId));
          next = deliveries;
          this.#trace.say(`resume ${toHex(callId).slice(0, 6)} ${party} from ${deliveries}`);
          promised(voucher);
        } else if (frame.kind === CALL_FRAME.voucher) {
          const { cover, voucher } = callVoucher.decode(frame.body);
          this.#trace.say(`voucher ${call?.id.slice(0, 6)} ${party} covers ${cover}`);
          promised(voucher);
          this.onStep('sent-voucher', party);
        }
        return frame;
      },
      received: (kind) => {
        if (!call || !DELIVERIES.has(kind)) return;
        call.received = Math.max(call.received, ++next);
        this.onStep('got-delivery', party);
      },
    });
  }

  /** The host's end of a call to `party`, watched. */
  watchHost(stream: CallStream, party: Party): CallStream {
    let call: CallTruth | undefined;
    let next = 0;
    return watchStream(stream, {
      received: (kind, body) => {
        if (kind === CALL_FRAME.opening) {
          call = this.#opened(body.slice());
          this.onStep('got-opening', party);
        } else if (kind === CALL_FRAME.resume) {
          const { body: asked } = callResume.decode(body);
          const { callId, deliveries, cover } = resumeRequest.decode(asked);
          call = this.calls.get(toHex(callId));
          next = deliveries;
          if (call && cover > call.cover) call.cover = cover;
        } else if (kind === CALL_FRAME.voucher && call) {
          const { cover } = callVoucher.decode(body);
          if (cover > call.cover) call.cover = cover;
        }
      },
      sending: (frame) => {
        if (call && DELIVERIES.has(frame.kind)) this.#delivered(call, next++, { frame, party });
        if (call && frame.kind === CALL_FRAME.checkpoint)
          this.#trace.say(`checkpoint ${call.id.slice(0, 6)} ${party}`);
        if (call && frame.kind === CALL_FRAME.ending) this.#shown(call, frame.body, party);
        return frame;
      },
    });
  }

  /** A signer of receipts of `party`, watched. */
  watchSigner(signer: TickSigner, party: Party): TickSigner {
    return {
      publicKey: signer.publicKey,
      sign: (type, payload) => {
        if (type === 'receipt') this.#signed(payload, party);
        return signer.sign(type, payload);
      },
    };
  }

  /** The book that a host of `party` charges with, watched: what is kept can leave as long as `life` lasts (PAY-50). */
  watchPayee(payee: PayeePort, party: Party, life: Life): PayeePort {
    return overlay(payee, {
      admit: async (request) => {
        const lease = await payee.admit(request);
        return overlay(lease, {
          commit: async (draft, agent) => {
            const ending = await lease.commit(draft, agent);
            if (life.alive && !this.rogues.has(party)) {
              this.#charged(ending.charge.payload, party);
              this.#received(ending.receipt.payload, party);
            }
            return ending;
          },
        });
      },
    });
  }

  /** No two receipts of `party` are for one sequence. */
  #received(payload: Uint8Array, party: Party): void {
    const { channel, lane, sequence } = receiptSchema.decode(payload);
    if (!channel) return;
    const place = `${toHex(channel)}/${lane}/${sequence}`;
    const known = this.#sequences.get(place) ?? toHex(payload);
    this.#sequences.set(place, known);
    this.demand(known === toHex(payload), () => `${party} signed two receipts for ${place.slice(0, 6)}`);
  }

  /** No two charges of `party` are for one sequence, and none falls. */
  #charged(payload: Uint8Array, party: Party): void {
    const { channel, lane, sequence, total } = chargeSchema.decode(payload);
    const name = `${toHex(channel)}/${lane}`;
    const said =
      this.#charges.get(name) ?? new Map<number, { readonly hex: string; readonly total: bigint }>();
    this.#charges.set(name, said);
    const hex = toHex(payload);
    for (const [other, one] of said) {
      const same = other === sequence && one.hex === hex;
      const rises = (other < sequence && one.total <= total) || (other > sequence && one.total >= total);
      this.demand(
        same || rises,
        () => `${party} signed charge ${other} of ${one.total} and charge ${sequence} of ${total}`,
      );
    }
    said.set(sequence, { hex, total });
  }

  /** What the call cost, by what was delivered of it up to `deliveries` frames, grains. */
  worth(call: CallTruth, deliveries: number): bigint {
    if (!call.agent || !call.paid) return 0n;
    const units = deliveries === 0 ? 0 : (call.frames[deliveries - 1]?.units ?? 0);
    return chargeOf(call.agent.card.price, inputUnits(call.request), units);
  }

  #opened(body: Uint8Array): CallTruth | undefined {
    try {
      const opening = callOpening.decode(body);
      const opened = envelope.decode(opening.envelope.payload);
      const id = toHex(opened.id);
      const known = this.calls.get(id);
      if (known) return known;
      const request = callRequest.decode(opening.request);
      const agent = opened.to.kind === 'agent' ? this.#agentOf(opened.to.name) : undefined;
      const cover = request.cover > 0n ? request.cover : request.priceMax;
      const call: CallTruth = {
        id,
        caller: toHex(opened.from),
        step: agent ? cover - chargeOf(agent.card.price, inputUnits(request), 0) : 0n,
        counter: new UnitCounter(),
        request,
        agent,
        paid: opening.voucher !== undefined,
        frames: [],
        mixed: false,
        received: 0,
        cover,
        receipts: new Map(),
        shown: new Set(),
      };
      this.calls.set(id, call);
      return call;
    } catch {
      // A rogue's bytes, which its host refuses.
      return undefined;
    }
  }

  #delivered(
    call: CallTruth,
    at: number,
    { frame, party }: { readonly frame: CallFrame; readonly party: Party },
  ): void {
    const hash = `${frame.kind} ${toHex(this.#sha256(frame.body))}`;
    const known = call.frames[at];
    if (known) {
      // A host that lost power may know nothing of the call any more, and take another one under its id.
      if (known.hash !== hash && party.crashes.power + party.crashes.lost > 0) call.mixed = true;
      const same = known.hash === hash || call.mixed;
      this.demand(same, () => `call ${call.id}: frame ${at} came again with other bytes`);
      return;
    }
    if (frame.kind === CALL_FRAME.delta) call.counter.push(delta.decode(frame.body).text);
    call.frames[at] = { hash, units: call.counter.count };
    this.onStep('delivered', party);
    if (this.rogues.has(party) || !call.paid || call.mixed) return;
    const worth = this.worth(call, at + 1);
    this.demand(
      worth <= call.cover,
      () => `call ${call.id}: delivered ${worth} grains, covered were ${call.cover}`,
    );
  }

  #signed(payload: Uint8Array, party: Party): void {
    const receipt = receiptSchema.decode(payload);
    const call = this.calls.get(toHex(receipt.callId));
    if (!call) return;
    call.receipts.set(toHex(payload), receipt);
    this.onStep('signed', party);
    this.#trace.say(`receipt ${call.id.slice(0, 6)} ${party} ${receipt.finish} ${receipt.amount}`);
    if (this.rogues.has(party) || call.mixed) return;
    const free = receipt.channel === undefined || receipt.finish === 'nothing-found' || !call.paid;
    const due = free ? 0n : this.worth(call, receipt.deliveries) + receipt.expenses;
    this.demand(
      receipt.deliveries <= call.frames.length && (receipt.amount === due || receipt.amount === 0n),
      () =>
        `call ${call.id}: charged ${receipt.amount}, due for ${receipt.deliveries} of ${call.frames.length} frames are ${due}`,
    );
    this.demand(
      receipt.amount <= call.cover,
      () => `call ${call.id}: charged ${receipt.amount} of ${call.cover} covered`,
    );
  }

  #shown(call: CallTruth, body: Uint8Array, party: Party): void {
    const { receipt } = callEnding.decode(body);
    call.shown.add(toHex(receipt.payload));
    this.onStep('shown', party);
    if (this.rogues.has(party)) return;
    this.demand(call.shown.size === 1, () => `call ${call.id}: two receipts were shown for it`);
  }
}
