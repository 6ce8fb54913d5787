/**
 * The calls that hold a part of a payer's channels: topped up while they run, settled by their endings, released when
 * nothing was charged. A call that was cut keeps its part until the payee has said what it cost.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store } from '../base/store.ts';
import type { CallEnding } from '../protocol/call.ts';
import type { Id } from '../protocol/ids.ts';
import type { Receipt } from '../protocol/payment.ts';
import { receiptLeaf } from '../protocol/receipt-tree.ts';
import type { Signed, TickSigner, Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { type CheckedEnding, checkEnding } from './ending-check.ts';
import type { Journal } from './journal.ts';
import type { PayerHealer } from './payer-healer.ts';
import type { PayerLane } from './payer-lane.ts';
import type { PayerMarks } from './payer-marks.ts';
import type { OpenCall, PayerOutcome, PayerReservation } from './payer-reservation.ts';
import type { PayerVouchers } from './payer-vouchers.ts';
import type { ChannelInfo, ChannelView } from './ports.ts';
import { bookKey, type EndingRecord, endingRecord, leafRecord, openCallRecord } from './records.ts';
import type { VoucherKeyring } from './voucher-signer.ts';

/** Parts of the calls. */
export interface PayerCallsParts {
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly store: Store;
  readonly channels: ChannelView;
  readonly network: string;
  readonly operator: TickSigner;
  readonly journal: Journal;
  readonly marks: PayerMarks;
  readonly vouchers: PayerVouchers;
  readonly voucherKeys?: VoucherKeyring;
}

/** The calls of a payer that are under way, or whose end is unknown. */
export class PayerCalls {
  readonly #parts: PayerCallsParts;
  readonly #open = new Map<string, OpenCall>();
  // Calls that were taken over from disk or from another peer: what their vouchers cover may be behind.
  readonly #recalled = new WeakSet<OpenCall>();
  #healer: PayerHealer | undefined;

  constructor(parts: PayerCallsParts) {
    this.#parts = parts;
  }

  /** Who asks payees; it works on these calls and comes after them. */
  healBy(healer: PayerHealer): void {
    this.#healer = healer;
  }

  /** The call `callId`, if it is open. */
  find(callId: Id): OpenCall | undefined {
    return this.#open.get(toHex(callId));
  }

  /** Calls of `lane`, or of all lanes, whose end is unknown. */
  unknown(lane?: PayerLane): readonly OpenCall[] {
    return [...this.#open.values()].filter(
      (call) => call.unknown && (lane === undefined || call.lane === lane),
    );
  }

  /** Takes a call whose part its lane holds already. `recalled`: it began before a restart, or at another peer. */
  add(call: OpenCall, recalled = false): void {
    this.#open.set(toHex(call.callId), call);
    if (recalled) this.#recalled.add(call);
  }

  /** Has the journal keep what an open call holds. */
  keep({ callId, lane, hold, limit }: OpenCall): void {
    const kept = openCallRecord.encode({
      channel: lane.channel,
      lane: lane.lane,
      amountMax: hold.amountMax,
      limit,
      reservedAtMs: this.#parts.clock.nowMs(),
    });
    lane.add({ type: 'put', key: bookKey.openCall(callId), value: kept });
    this.#parts.journal.mark(lane);
  }

  /** What its caller holds of an open call. */
  reservation(call: OpenCall, voucher: Signed): PayerReservation {
    return {
      channel: call.lane.channel,
      voucher,
      get cover() {
        return call.hold.amountMax;
      },
      raise: (amountMax) => this.raise(call, amountMax),
      settle: (ending) => this.settle(call, ending),
      outcome: (options) => this.#outcome(call, options),
      release: (reason) => {
        // A payee that counts otherwise is asked before the next voucher.
        const code = reason?.code;
        if (code === 'voucher-stale' || code === 'voucher-insufficient') call.lane.healed = false;
        if (code === 'voucher-stale' || code === 'voucher-invalid') {
          this.#parts.voucherKeys?.refused(call.lane.channel);
        }
        this.close(call);
      },
      unknown: () => {
        call.unknown = true;
      },
    };
  }

  /** What is left to do for a call whose ending was accepted before: an ending must be that one. */
  settled(lane: PayerLane, kept: EndingRecord): PayerReservation {
    return {
      channel: lane.channel,
      voucher: undefined,
      cover: 0n,
      raise: () => Promise.reject(new SaharaError('call-conflict', { state: 'ended' })),
      async settle({ receipt }) {
        if (equalBytes(receipt.payload, kept.receipt.payload)) return;
        throw new SaharaError('receipt-invalid', { reason: 'another receipt was accepted' });
      },
      outcome: async () => ({ state: 'ended', ending: endingOf(kept) }),
      release: () => {},
      unknown: () => {},
    };
  }

  /** Has `call` covered up to `amountMax`. Waits for nothing as long as marks are ahead. */
  raise(call: OpenCall, amountMax: bigint): Promise<Signed> {
    const { lane, hold } = call;
    const channel = this.#parts.channels.channel(lane.channel);
    const more = amountMax > hold.amountMax ? amountMax - hold.amountMax : 0n;
    const known = channel !== undefined && !(channel instanceof Promise) ? channel : undefined;
    if (known && lane.healed && this.#payable(call, known, more)) return this.#raised(call, amountMax, known);
    return this.#raiseSlowly(call, amountMax);
  }

  /** Checks and keeps the ending of `call`. Throws `receipt-invalid`. */
  async settle(call: OpenCall, ending: { readonly receipt: Signed; readonly charge: Signed }): Promise<void> {
    const { lane, callId } = call;
    const checked = await checkEnding(
      this.#parts,
      { channel: lane.channel, lane: lane.lane, payee: lane.payee },
      ending,
    );
    if (!equalBytes(checked.receipt.callId, callId)) {
      throw new SaharaError('receipt-invalid', { reason: 'another call' });
    }
    // A call that is asked again under its id ends with the receipt that was accepted then.
    const kept = lane.has(checked.receipt.sequence) ? await this.endingOf(callId) : undefined;
    if (kept && equalBytes(kept.receipt.payload, ending.receipt.payload)) {
      if (this.find(callId) === call) this.close(call);
      return;
    }
    this.#checkBound(call, checked.receipt);
    // Asking about lost state may have brought it in the meantime.
    if (this.find(callId) === call) this.accept(lane, checked);
  }

  /** Accepts an ending whose signatures were checked, and closes its call. Throws `receipt-invalid`. */
  accept(lane: PayerLane, checked: CheckedEnding): void {
    const { receipt, receiptSigned, charge } = checked;
    const call = this.find(receipt.callId);
    if (call) this.#checkBound(call, receipt);
    const leaf = receiptLeaf(this.#parts.suite, receiptSigned.payload, receipt.amount);
    const { channel, lane: number } = lane;
    const { callId, sequence, amount, requestHash } = receipt;
    const payer = this.#parts.operator.publicKey;
    const kept = { channel, lane: number, sequence, payer, requestHash };
    const value = endingRecord.encode({ ...kept, receipt: receiptSigned, charge: charge.signed });
    const counted = {
      type: 'put',
      key: bookKey.order(channel, number, sequence),
      value: leafRecord.encode({ callId, hash: leaf.hash, amount }),
    } as const;
    const known = lane.has(sequence);
    try {
      lane.accept(sequence, leaf, charge);
    } catch (error) {
      // What contradicts the rest is accepted for no call, and is evidence all the same.
      if (lane.disputed) {
        lane.add({ type: 'put', key: bookKey.contradicted(channel, number, lane.nextContradicted()), value });
        if (!known && lane.has(sequence)) lane.add(counted);
      }
      throw error;
    } finally {
      this.#parts.journal.mark(lane);
    }
    lane.add({ type: 'put', key: bookKey.ending(callId), value }, counted);
    if (call) this.close(call);
  }

  /** Gives back what `call` holds. */
  close(call: OpenCall): void {
    const { lane, callId } = call;
    if (!this.#open.delete(toHex(callId))) return;
    lane.release(call.hold);
    lane.add({ type: 'del', key: bookKey.openCall(callId) });
    this.#parts.journal.mark(lane);
  }

  /** How a call ended, if its ending was accepted. */
  async endingOf(callId: Id): Promise<EndingRecord | undefined> {
    await this.#parts.journal.written();
    const found = await this.#parts.store.get(bookKey.ending(callId));
    return found === undefined ? undefined : endingRecord.decode(found);
  }

  #checkBound(call: OpenCall, receipt: Receipt): void {
    const most = this.#recalled.has(call) ? call.limit : call.hold.amountMax;
    if (receipt.amount <= most) return;
    throw new SaharaError('receipt-invalid', {
      reason: 'above what the call may cost',
      amount: String(receipt.amount),
    });
  }

  #payable({ lane }: OpenCall, channel: ChannelInfo, more: bigint): boolean {
    const open = channel.state === 'open' && !lane.disputed && !lane.left;
    return open && lane.fits(more, lane.roomIn(channel)) && this.#parts.marks.cover(lane, more);
  }

  #raised(call: OpenCall, amountMax: bigint, channel: ChannelInfo): Promise<Signed> {
    const { lane, hold, limit } = call;
    if (this.find(call.callId) !== call) return Promise.reject(new SaharaError('call-unknown'));
    lane.raise(hold, amountMax);
    this.keep(call);
    this.#parts.marks.keepAhead(lane, lane.roomIn(channel), limit);
    return this.#parts.vouchers.next(lane);
  }

  async #raiseSlowly(call: OpenCall, amountMax: bigint): Promise<Signed> {
    const { lane, hold, limit } = call;
    const { channels, marks, journal } = this.#parts;
    if (journal.failure) throw journal.failure;
    if (!lane.healed) await this.#healer?.heal(lane);
    const channel = await channels.channel(lane.channel);
    // What the payee does not serve any more goes on no further, like a channel that ends.
    if (channel?.state !== 'open' || lane.left) throw new SaharaError('channel-closing');
    if (lane.disputed) throw new SaharaError('receipt-invalid', { reason: 'the channel is in dispute' });
    const more = amountMax > hold.amountMax ? amountMax - hold.amountMax : 0n;
    const room = lane.roomIn(channel);
    while (lane.fits(more, room) && !marks.cover(lane, more)) await marks.write(lane, room, limit);
    if (!lane.fits(more, room)) {
      const left = room - lane.charged - lane.reserved;
      throw new SaharaError('funds-insufficient', { wanted: String(more), left: String(left) });
    }
    return this.#raised(call, amountMax, channel);
  }

  async #outcome(call: OpenCall, options: { readonly signal?: AbortSignal } = {}): Promise<PayerOutcome> {
    if (this.find(call.callId) === call && this.#healer) return this.#healer.resolve(call, options);
    const kept = await this.endingOf(call.callId);
    return kept === undefined ? { state: 'unknown' } : { state: 'ended', ending: endingOf(kept) };
  }
}

function endingOf({ receipt, charge }: EndingRecord): CallEnding {
  return { receipt, charge };
}
