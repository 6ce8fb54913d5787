/** What a call holds of its payer's channel. */
import type { SaharaError } from '../base/errors.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import type { Signed } from '../protocol/signing.ts';
import type { PayerHold, PayerLane } from './payer-lane.ts';

/** What a call wants to spend. */
export interface PayerRequest {
  readonly callId: Id;
  readonly payee: PublicKey;
  readonly amountMax: bigint;
}

/** Part of a channel held for one call at its payer. */
export interface PayerReservation {
  readonly channel: Hash;
  /** The voucher to send with the call. */
  readonly voucher: Signed;
  /** Checks the ending and keeps it. Throws `receipt-invalid`. */
  settle(ending: { readonly receipt: Signed; readonly charge: Signed }): Promise<void>;
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
  /** Cut: nobody here waits for its end any more. */
  unknown: boolean;
}
