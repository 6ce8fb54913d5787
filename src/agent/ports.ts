/**
 * What calls need from the rest of the daemon, as interfaces: a transport, the payer's and the payee's books, and
 * something that answers. `daemon/compose.ts` joins them to the mesh, to payment and to vaults and backends;
 * tests join them to whatever they study.
 */
import type { SaharaError } from '../base/errors.ts';
import type { CallEnding, CallRequest, Citation, Source } from '../protocol/call.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import type { CallPayment, PaidCall } from '../protocol/once.ts';
import type { Receipt, ReceiptShare } from '../protocol/payment.ts';
import type { Signed, TickSigner } from '../protocol/signing.ts';
import type { CallsBelow } from './calls-below.ts';

/** One call-layer frame: a kind out of `CALL_FRAME` and its body. */
export interface CallFrame {
  readonly kind: number;
  readonly body: Uint8Array;
}

/** Takes a call's frames as they arrive; bodies are views that are only good during the call. */
export interface CallSink {
  frame(kind: number, body: Uint8Array): void;
  /** The other side's explicit end: nothing follows. */
  end(): void;
  /** The call broke: `peer-gone`, `cancelled`, or what the other side said. Nothing follows. */
  fail(error: SaharaError): void;
}

/** One call's two-way stream of frames; `mesh` provides it. Its conformance suite is `test/calls/stream-conforms.ts`. */
export interface CallStream {
  readonly peerId: string;
  /** The peer id by which the other side knows this one, where another peer carries the call. */
  readonly seenAs?: string | undefined;
  /** Queues a frame; false when the other side's credit is used up: await `writable` before the next. */
  send(frame: CallFrame): boolean;
  writable(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Frames in order up to the explicit end; throws `peer-gone` or the code that the other side sent. */
  frames(): AsyncIterable<CallFrame>;
  /** The faster alternative to `frames`: whatever came already is told at once. */
  consume(sink: CallSink): void;
  /** Says that nothing more comes. */
  end(): void;
  /** Ends the call with a refusal or failure that the other side sees as the same error. */
  fail(error: SaharaError): void;
  /** Tells the other side that nobody reads any more. */
  cancel(): void;
  /** Aborted when the other side cancelled or is gone. */
  readonly signal: AbortSignal;
}

/** Opens calls to peers. */
export interface CallTransport {
  /** This side's own peer id. Without it a call whose stream breaks is not gone on with. */
  readonly peerId?: string;
  /** `agent`: whom the call is for, which a call that is sealed needs to know. */
  openCall(
    peerId: string,
    options?: { readonly signal?: AbortSignal; readonly agent?: PublicKey },
  ): Promise<CallStream>;
}

/** What a call asks of the payee's book before any work. */
export interface AdmissionRequest {
  readonly callId: Id;
  readonly payer: PublicKey;
  readonly voucher: Signed;
  readonly requestHash: Hash;
  /** The agent's own asset, which must have a place in the channel's attribution. */
  readonly agentAsset: Hash;
  /** Most that the call can cost, grains. */
  readonly amountMax: bigint;
  /** How long the reservation lasts, milliseconds. */
  readonly holdMs: number;
  /** The call was taken before a restart: neither a channel that closes nor the voucher's own end undoes that. */
  readonly taken?: boolean;
  /** Ends the wait for a channel that the ledger does not have yet. */
  readonly signal?: AbortSignal;
}

/** A receipt without what the book adds: its channel, lane and place among the lane's receipts. */
export type ReceiptDraft = Omit<Receipt, 'channel' | 'lane' | 'sequence'>;

/** Part of a channel's balance held for one call. Ends by `commit`, `release` or its time. */
export interface PayeeLease {
  readonly channel: Hash;
  readonly lane: number;
  /** Resolves once the voucher is on disk, or at once while the value at risk is inside the credit window. */
  durable(): Promise<void>;
  /**
   * Holds up to `amountMax` grains in all, by a voucher for the same channel. Throws what `admit` throws for a voucher,
   * and `deadline-exceeded` when the hold had ended; it then stays as it was.
   */
  extend(more: { readonly voucher: Signed; readonly amountMax: bigint }): Promise<void>;
  /** Charges exactly `draft.amount`: `agent` signs the receipt, the operator the charge; both are kept first. */
  commit(
    draft: ReceiptDraft,
    agent: TickSigner,
  ): Promise<{ readonly receipt: Signed; readonly charge: Signed }>;
  release(): void;
}

/** The payee's side of channels; `payment` provides it. */
export interface PayeePort {
  /**
   * Throws `voucher-invalid`, `channel-unknown`, `channel-closing`, `call-conflict`, `voucher-stale`,
   * `overloaded`, `voucher-insufficient`.
   */
  admit(request: AdmissionRequest): Promise<PayeeLease>;
  /** How a paid call ended, `running` while it is under way, `undefined` when nothing was charged. */
  endingOf(callId: Id): Promise<StoredEnding | 'running' | undefined>;
}

/** Payments of single calls at their payee; `payment` provides it. */
export interface OncePayee {
  /** Whether `payment` is that of this call and can still be presented. Throws `payment-invalid`. */
  check(call: PaidCall, payment: CallPayment): void;
  /** Whether the payment of this call has had its answer. */
  isUsed(callId: Id): boolean;
  /** Resolves once that is kept, until no payment of the call can be presented. Throws `overloaded`. */
  use(callId: Id, payment: CallPayment): Promise<void>;
}

/** Pays single calls; the daemon provides it. */
export interface OncePayer {
  /**
   * Pays for a call, or tells the payment that was made for it before; resolves once a block has it. Throws what sending
   * throws; then the outcome may be unknown, and `made` tells it.
   */
  pay(call: PaidCall, options?: { readonly signal?: AbortSignal }): Promise<CallPayment>;
  /** The payment of a call that was begun before; `undefined` when none was made, or none will ever take effect. */
  made(callId: Id, options?: { readonly signal?: AbortSignal }): Promise<CallPayment | undefined>;
}

/** A paid call's ending as a book keeps it. */
export interface StoredEnding {
  readonly payer: PublicKey;
  readonly requestHash: Hash;
  readonly receipt: Signed;
  readonly charge: Signed;
}

/** What a payee says of a call: nothing was charged for it, it runs, or how it ended. */
export type PaidOutcome =
  | { readonly state: 'unknown' }
  | { readonly state: 'running' }
  | { readonly state: 'ended'; readonly ending: CallEnding };

/** Part of the payer's balance held for one call. */
export interface PayerLease {
  readonly channel: Hash;
  /** The voucher to send with the call; absent when the call was settled before. */
  readonly voucher: Signed | undefined;
  /** What its vouchers cover so far, grains. */
  readonly cover: bigint;
  /**
   * Has the call covered up to `amountMax` grains in all; resolves with the voucher that says so. Throws
   * `funds-insufficient`, `channel-closing`, `receipt-invalid`.
   */
  raise(amountMax: bigint): Promise<Signed>;
  /** Checks and keeps the ending. Throws `receipt-invalid`. */
  settle(ending: { readonly receipt: Signed; readonly charge: Signed }): Promise<void>;
  /**
   * Asks the payee what became of the call; an ending is checked and kept, a call for which nothing was charged
   * released. Throws `receipt-invalid`, or why the payee cannot be asked.
   */
  outcome(options?: { readonly signal?: AbortSignal }): Promise<PaidOutcome>;
  /** The call ended without a receipt and nothing was delivered; `reason` is the payee's refusal, if it was one. */
  release(reason?: SaharaError): void;
  /** The call was cut: what it cost is unknown until the payee is asked. */
  unknown(): void;
}

/** What a call asks of its payer's book. */
export interface PayerRequest {
  readonly callId: Id;
  readonly payee: PublicKey;
  /** What the first voucher is to cover, grains. */
  readonly amountMax: bigint;
  /** Most that the call may cost in the end, grains. Default: `amountMax`. */
  readonly limit?: bigint;
}

/** The payer's side of channels; `payment` provides it. */
export interface PayerPort {
  /**
   * Holds up to `amountMax` for a call to `payee`; where it can, asks for the voucher's signature before it
   * returns. Throws `funds-insufficient`, `channel-unknown`, `channel-closing`.
   */
  reserve(request: PayerRequest, options?: { readonly signal?: AbortSignal }): Promise<PayerLease>;
  /**
   * What is held for a call that began before a restart, or at another peer of this payer; `undefined` when nothing
   * was charged for it. Throws `call-conflict` for a call under way here, and what `reserve` throws.
   */
  recall(
    request: PayerRequest & { readonly channel: Hash },
    options?: { readonly signal?: AbortSignal },
  ): Promise<PayerLease | undefined>;
  /** How well a payee is known: receipts settled with it without fault, and what they came to in grains. */
  standing(payee: PublicKey): { readonly receipts: number; readonly paid: bigint };
}

/** What an answerer is asked. */
export interface AnswerJob {
  readonly callId: Id;
  readonly caller: PublicKey;
  readonly request: CallRequest;
  /** Most units of answer: wanted, allowed and paid for. */
  readonly outputUnitsMax: number;
  /** Asks other agents with what the call has left. Absent where the call grants nothing, or nobody can be asked. */
  readonly calls?: CallsBelow | undefined;
}

/** A piece of an answer. A source comes before the first citation of it; sources count from 0. */
export type AnswerPart =
  | { readonly type: 'source'; readonly source: Source }
  | { readonly type: 'delta'; readonly text: string; readonly citations: readonly Citation[] }
  /** A call made below this one: a `CallChild` in its wire form, and what it cost in grains if it was made directly. */
  | { readonly type: 'child'; readonly body: Uint8Array; readonly amount: bigint }
  /** Behind all text: an `AttributionStatement` in its wire form. Missing where the answer was cut. */
  | { readonly type: 'attribution'; readonly body: Uint8Array }
  /** Last, if nothing stopped the answer. */
  | { readonly type: 'end'; readonly finish: 'done' | 'length' | 'nothing-found' };

/** Who earns how much of a call: parts per million that sum to exactly 1,000,000. */
export interface AnswerShares {
  readonly rule: string;
  readonly shares: readonly Omit<ReceiptShare, 'amount'>[];
}

/** One answer under way. */
export interface AnswerRun {
  /** The answer; nobody asking for the next part pauses it. Errors are the backend's own. */
  readonly parts: AsyncIterable<AnswerPart>;
  /**
   * Who earns for what was delivered; only what it cites. Asked once after the parts ended or stopped, and of a
   * metered call for what was delivered so far at each checkpoint.
   */
  shares(delivered: {
    readonly text: string;
    readonly citations: readonly Citation[];
  }): AnswerShares | Promise<AnswerShares>;
}

/** Answers calls of one agent: retrieval, backend and attribution behind one door. */
export interface Answerer {
  /** Begins an answer; `signal` stops it, down to the backend. */
  answer(job: AnswerJob, options: { readonly signal: AbortSignal }): AnswerRun;
}
