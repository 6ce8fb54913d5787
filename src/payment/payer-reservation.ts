/** What a call holds of its payer's channel. */
import type { SaharaError } from '../base/errors.ts';
import type { CallEnding } from '../protocol/call.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import type { Signed } from '../protocol/signing.ts';
import type { PayerHold, PayerLane } from './payer-lane.ts';

/** What a call wants to spend. */
export interface PayerRequest {
  readonly callId: Id;
  readonly payee: PublicKey;
  /** What the first voucher is to cover, grains. */
  readonly amountMax: bigint;
  /** Most that the call may cost in the end, grains. Default: `amountMax`. */
  readonly limit?: bigint;
}

/** A call that goes on after a restart, or at another peer of the same payer. */
export interface PayerRecall extends PayerRequest {
  readonly channel: Hash;
}

/** What a payee says of a call: nothing was charged for it, it runs, or how it ended. */
export type PayerOutcome =
  | { readonly state: 'unknown' }
  | { readonly state: 'running' }
  | { readonly state: 'ended'; readonly ending: CallEnding };

/** Part of a channel held for one call at its payer. */
export interface PayerReservation {
  readonly channel: Hash;
  /** The voucher to send with the call; absent when the call was settled before. */
  readonly voucher: Signed | undefined;
  /** What its vouchers cover so far, grains. */
  readonly cover: bigint;
  /**
   * Has the call covered up to `amountMax` grains in all; resolves with the voucher that says so. Throws
   * `funds-insufficient`, `channel-closing`, `receipt-invalid` for a channel in dispute.
   */
  raise(amountMax: bigint): Promise<Signed>;
  /** Checks the ending and keeps it. Throws `receipt-invalid`. */
  settle(ending: { readonly receipt: Signed; readonly charge: Signed }): Promise<void>;
  /**
   * Asks the payee what became of the call (PAY-20): an ending is checked and kept, and a call for which nothing was
   * charged is released. Throws `receipt-invalid`, or why the payee cannot be asked.
   */
  outcome(options?: { readonly signal?: AbortSignal }): Promise<PayerOutcome>;
  /** The call ended without a receipt; `reason` is the payee's refusal, if it was one. */
  release(reason?: SaharaError): void;
  /** The call was cut: what it cost stays held until the payee was asked. */
  unknown(): void;
}

/** A call whose cost is held. */
export interface OpenCall {
  readonly callId: Id;
  readonly lane: PayerLane;
  readonly hold: PayerHold;
  /** Most that it may cost, grains. */
  readonly limit: bigint;
  /** Cut: nobody here waits for its end any more. */
  unknown: boolean;
}
