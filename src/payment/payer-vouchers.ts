/**
 * Vouchers, one per lane and tick: all that reserve or top up in a tick share it. It is asked for at the tick's end,
 * before the signer's own, so it shares the signature of what else is signed in the tick. Where the ledger has a key for
 * the channel's vouchers that is here, that key signs them alone.
 */
import { deferTo } from '../base/turn.ts';
import { voucher as voucherSchema } from '../protocol/payment.ts';
import type { Signed, TickSigner } from '../protocol/signing.ts';
import type { PayerLane } from './payer-lane.ts';
import type { ChannelInfo, ChannelView } from './ports.ts';
import { presentKey, type VoucherKeyring } from './voucher-signer.ts';

/** Parts of the vouchers. */
export interface PayerVouchersParts {
  readonly network: string;
  /** The payer's key. */
  readonly operator: TickSigner;
  readonly channels: ChannelView;
  /** Keys for the vouchers of single channels. Default: none, the payer's key signs all. */
  readonly voucherKeys?: VoucherKeyring;
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
    const { defer = deferTo('gather'), network } = this.#parts;
    const voucher = new Promise<Signed>((resolve, reject) => {
      defer(() => {
        this.#gathering.delete(lane);
        const payload = voucherSchema.encode(lane.nextVoucher(network));
        this.#sign(lane, payload).then(resolve, reject);
      });
    });
    this.#gathering.set(lane, voucher);
    return voucher;
  }

  #sign(lane: PayerLane, payload: Uint8Array): Promise<Signed> {
    const { operator, voucherKeys } = this.#parts;
    if (voucherKeys === undefined || voucherKeys.keysOf(lane.channel).length === 0) {
      return operator.sign('voucher', payload);
    }
    const by = (channel: ChannelInfo | undefined): TickSigner => {
      const key = channel && presentKey(channel);
      return (key && voucherKeys.signerOf(lane.channel, key)) ?? operator;
    };
    const channel = this.#channel(lane);
    if (!(channel instanceof Promise)) return by(channel).sign('voucher', payload);
    return channel.then((found) => by(found).sign('voucher', payload));
  }

  /** A channel as the ledger has it; nothing where that cannot be read now: the payer's own key counts in any case. */
  #channel(lane: PayerLane): ReturnType<ChannelView['channel']> {
    try {
      const channel = this.#parts.channels.channel(lane.channel);
      return channel instanceof Promise ? channel.catch(() => undefined) : channel;
    } catch {
      return undefined;
    }
  }
}
