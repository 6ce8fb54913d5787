/** The vouchers of a paid call after its first: each raises what is covered, once it is checked and safe enough. */
import { asSaharaError, type SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { type CallVoucher, callVoucher } from '../protocol/checkpoint.ts';
import type { Signed } from '../protocol/signing.ts';
import { TOP_UPS_MAX } from './call-limits.ts';
import type { Delivery } from './delivery.ts';
import type { Meter } from './host-meter.ts';
import type { PayeeLease } from './ports.ts';

/** Parts of a call's vouchers. */
export interface TopUpParts {
  readonly lease: PayeeLease;
  readonly meter: Meter;
  /** Most that the call can cost, grains. */
  readonly amountMax: bigint;
  readonly delivery: Delivery;
  /** More is covered from now on. */
  covered(): void;
  /** A voucher does not hold. */
  failed(error: SaharaError): void;
}

/** The vouchers of one call. */
export class TopUps {
  readonly #parts: TopUpParts;
  #voucher: Signed;
  #taken = 0;
  #closed = false;
  /** Absent before the first. */
  #covering: Promise<void> | undefined;

  /** `voucher`: the opening's, or the last one before a restart. */
  constructor(parts: TopUpParts, voucher: Signed) {
    this.#parts = parts;
    this.#voucher = voucher;
  }

  /** The voucher that covers the call at the moment. */
  get voucher(): Signed {
    return this.#voucher;
  }

  /** Takes the body of a frame, of which it keeps a copy. False when there were too many. */
  take(body: Uint8Array): boolean {
    const copy = body.slice();
    return this.#next(() => callVoucher.decode(copy));
  }

  /** Takes the voucher that came with a resumption. False when there were too many. */
  add(more: CallVoucher): boolean {
    return this.#next(() => more);
  }

  /** The call is being charged; nothing more counts. */
  close(): void {
    this.#closed = true;
  }

  /** One after the other, so that each is compared with what the one before has covered. */
  #next(read: () => CallVoucher): boolean {
    if (++this.#taken > TOP_UPS_MAX) return false;
    this.#covering = (this.#covering ?? Promise.resolve())
      .then(() => this.#cover(read()))
      .catch((error: unknown) => {
        if (!this.#closed) this.#parts.failed(asSaharaError(error));
      });
    return true;
  }

  async #cover({ cover, voucher }: CallVoucher): Promise<void> {
    const { lease, meter, amountMax, delivery, covered } = this.#parts;
    if (this.#closed || cover <= meter.cover) return;
    await lease.extend({ voucher, amountMax: cover < amountMax ? cover : amountMax });
    point('host:topped-up');
    await lease.durable();
    meter.raise(cover);
    this.#voucher = voucher;
    delivery.unitsPaid = meter.unitsPaid;
    covered();
    point('host:covered');
  }
}
