/**
 * Vouchers, one per lane and tick: all that reserve or top up in a tick share it. It is asked for at the tick's end,
 * before the signer's own, so it shares the signature of what else is signed in the tick.
 */
import { deferTo } from '../base/turn.ts';
import { voucher as voucherSchema } from '../protocol/payment.ts';
import type { Signed, TickSigner } from '../protocol/signing.ts';
import type { PayerLane } from './payer-lane.ts';

/** Parts of the vouchers. */
export interface PayerVouchersParts {
  readonly network: string;
  /** The payer's key. */
  readonly operator: TickSigner;
  /** Runs a function at the end of the tick. Default: the end of the turn, before what it signs. */
  readonly defer?: (run: () => void) => void;
}

/** Signs what lanes promise. */
export class PayerVouchers {
  readonly #parts: PayerVouchersParts;
  readonly #gathering = new Map<PayerLane, Promise<Signed>>();

  constructor(parts: PayerVouchersParts) {
    this.#parts = parts;
  }

  /** The lane's next voucher, which covers everything that is held at the tick's end. */
  next(lane: PayerLane): Promise<Signed> {
    const gathering = this.#gathering.get(lane);
    if (gathering) return gathering;
    const { defer = deferTo('gather'), network, operator } = this.#parts;
    const voucher = new Promise<Signed>((resolve, reject) => {
      defer(() => {
        this.#gathering.delete(lane);
        operator.sign('voucher', voucherSchema.encode(lane.nextVoucher(network))).then(resolve, reject);
      });
    });
    this.#gathering.set(lane, voucher);
    return voucher;
  }
}
