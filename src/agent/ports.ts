/**
 * What calls need from the rest of the daemon, as interfaces: a transport, the payer's and the payee's books.
 * `daemon/compose.ts` joins them to the mesh and to payment; tests join them to whatever they study.
 */
import type { SaharaError } from '../base/errors.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import type { Receipt } from '../protocol/payment.ts';
import type { Signed } from '../protocol/signing.ts';

/** One call-layer frame: a kind out of `CALL_FRAME` and its body. */
export interface CallFrame {
  readonly kind: number;
  readonly body: Uint8Array;
}

/** One call's two-way stream of frames; `mesh` provides it. */
export interface CallStream {
  readonly peerId: string;
  /** Queues a frame; false when the other side's credit is used up: await `writable` before the next. */
  send(frame: CallFrame): boolean;
  writable(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Frames in order up to the explicit end; throws `peer-gone` or the code that the other side sent. */
  frames(): AsyncIterable<CallFrame>;
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
  openCall(peerId: string, options?: { readonly signal?: AbortSignal }): Promise<CallStream>;
}

/** What a call asks of the payee's book before any work. */
export interface AdmissionRequest {
  readonly callId: Id;
  readonly payer: PublicKey;
  readonly voucher: Signed;
  /** Most that the call can cost, grains. */
  readonly amountMax: bigint;
  /** When the lease ends by itself, milliseconds. */
  readonly expiresAtMs: number;
}

/** A receipt without what the book adds: its channel, lane and place among the lane's receipts. */
export type ReceiptDraft = Omit<Receipt, 'channel' | 'lane' | 'sequence'>;

/** Part of a channel's balance held for one call. Ends by `commit`, `release` or its deadline. */
export interface PayeeLease {
  readonly channel: Hash;
  readonly lane: number;
  /** Resolves once the voucher is on disk, or at once while the value at risk is inside the credit window. */
  durable(): Promise<void>;
  /** Charges exactly `draft.amount`, signs the receipt with the agent's key and the charge with the operator's. */
  commit(draft: ReceiptDraft): Promise<{ readonly receipt: Signed; readonly charge: Signed }>;
  release(): void;
}

/** The payee's side of channels; `payment` provides it. */
export interface PayeePort {
  /** Throws `channel-unknown`, `channel-closing`, `voucher-invalid`, `voucher-stale`, `voucher-insufficient`. */
  admit(request: AdmissionRequest): Promise<PayeeLease>;
}

/** Part of the payer's balance held for one call. */
export interface PayerLease {
  /** The voucher to send with the call. */
  readonly voucher: Signed;
  /** Checks and keeps the ending. Throws `receipt-invalid`. */
  settle(ending: { readonly receipt: Signed; readonly charge: Signed }): Promise<void>;
  /** The call ended without a receipt and nothing was delivered. */
  release(): void;
  /** The call was cut: what it cost is unknown until the payee is asked. */
  unknown(): void;
}

/** The payer's side of channels; `payment` provides it. */
export interface PayerPort {
  /** Holds up to `amountMax` for a call to `payee`. Throws `funds-insufficient`, `channel-unknown`. */
  reserve(
    request: { readonly callId: Id; readonly payee: PublicKey; readonly amountMax: bigint },
    options?: { readonly signal?: AbortSignal },
  ): Promise<PayerLease>;
}
