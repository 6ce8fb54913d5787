/**
 * The payer's side of channels: reserves a part of a channel for each call, signs the voucher that covers it,
 * checks and keeps what the payee signs at the end.
 *
 * No call waits for the disk: marks above every ceiling and sequence that may be signed are written ahead, for
 * many calls at once, so that after a crash nothing that was signed is forgotten. The exact last voucher is then
 * learnt from the payee, who must show it with this payer's own signature.
 */
import { equalBytes, prefixEnd, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import type { Dice } from '../base/random.ts';
import type { Store } from '../base/store.ts';
import type { CallEnding } from '../protocol/call.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import { charge as chargeSchema, voucher as voucherSchema } from '../protocol/payment.ts';
import { EMPTY_TREE, receiptLeaf } from '../protocol/receipt-tree.ts';
import type { Signed, TickSigner, Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { type CheckedEnding, checkEnding } from './ending-check.ts';
import { Journal } from './journal.ts';
import { PayerHealer } from './payer-healer.ts';
import { type PayerHold, PayerLane } from './payer-lane.ts';
import type { OpenCall, PayerRequest, PayerReservation } from './payer-reservation.ts';
import { balanceOf, type ChannelBalance, type ChannelEvidence, evidenceOf } from './payer-statements.ts';
import type { ChannelInfo, ChannelView, PaymentPeer } from './ports.ts';
import {
  bookKey,
  type EndingRecord,
  endingRecord,
  laneOfKey,
  leafRecord,
  openCallRecord,
  payerLaneRecord,
} from './records.ts';

/** Parts of a payer's book. */
export interface PayerBookParts {
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly clock: Clock;
  /** The book has this store for itself. */
  readonly store: Store;
  readonly channels: ChannelView;
  readonly peer: PaymentPeer;
  readonly network: string;
  /** The payer's key. */
  readonly operator: TickSigner;
  /** Names questions to payees. Default: the system's. */
  readonly dice?: Dice;
  /** Runs a function at the end of the tick. Default: `setImmediate`. */
  readonly defer?: (run: () => void) => void;
}

/** Options of a payer's book. */
export interface PayerBookOptions {
  /** Calls for which one forced write reserves marks ahead. Default 256. */
  readonly markCalls: number;
  /** How long to wait for a payee's answer about lost state, milliseconds. Default 10,000. */
  readonly healTimeoutMs: number;
}

/** Values for every option. */
export const PAYER_BOOK_DEFAULTS: PayerBookOptions = { markCalls: 256, healTimeoutMs: 10_000 };

/** The payer's book over all channels that it pays from. */
export class PayerBook {
  readonly #parts: PayerBookParts;
  readonly #options: PayerBookOptions;
  readonly #journal: Journal;
  readonly #healer: PayerHealer;
  readonly #lanes = new Map<string, PayerLane>();
  readonly #preferred = new Map<string, PayerLane>();
  readonly #calls = new Map<string, OpenCall>();
  readonly #vouchers = new Map<PayerLane, Promise<Signed>>();

  private constructor(parts: PayerBookParts, options: PayerBookOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#journal = new Journal(parts);
    this.#healer = new PayerHealer(parts, {
      timeoutMs: options.healTimeoutMs,
      accept: (lane, ending) => this.#accept(lane, ending),
      openCalls: (lane) => [...this.#calls.values()].filter((call) => call.lane === lane && call.unknown),
      drop: (call) => this.#close(call),
    });
  }

  /** Opens the book kept in `parts.store`. */
  static async open(parts: PayerBookParts, options: Partial<PayerBookOptions> = {}): Promise<PayerBook> {
    const book = new PayerBook(parts, { ...PAYER_BOOK_DEFAULTS, ...options });
    await book.#load();
    return book;
  }

  /** The payer's key. */
  get payer(): PublicKey {
    return this.#parts.operator.publicKey;
  }

  /**
   * Holds up to `amountMax` for a call to `payee`. When nothing stands in the way the voucher is asked for before
   * this returns, so that what else is signed in the same tick shares its signature. Throws `channel-unknown`,
   * `channel-closing`, `funds-insufficient`, or what asking the payee for lost state gave.
   */
  reserve(request: PayerRequest, options: { readonly signal?: AbortSignal } = {}): Promise<PayerReservation> {
    if (this.#journal.failure) return Promise.reject(this.#journal.failure);
    const lane = this.#preferred.get(toHex(request.payee));
    const channel = lane && this.#parts.channels.channel(lane.channel);
    if (lane && channel && !(channel instanceof Promise) && this.#ready(lane, channel, request)) {
      return this.#take(lane, request);
    }
    return this.#reserveSlowly(request, options);
  }

  /** Checks and keeps an ending that was asked for afterwards. Throws `receipt-invalid`, `receipt-unknown`. */
  async settleLate(callId: Id, ending: CallEnding): Promise<void> {
    const call = this.#calls.get(toHex(callId));
    if (call === undefined) throw new SaharaError('receipt-unknown', { callId: toHex(callId) });
    if (ending.charge === undefined) throw new SaharaError('receipt-invalid', { reason: 'no charge' });
    await this.#settle(call, { receipt: ending.receipt, charge: ending.charge });
  }

  /** How a paid call ended, if its ending was accepted. */
  async endingOf(callId: Id): Promise<EndingRecord | undefined> {
    await this.#journal.written();
    const found = await this.#parts.store.get(bookKey.ending(callId));
    return found === undefined ? undefined : endingRecord.decode(found);
  }

  /** Asks the payees about every call whose end is unknown. Answers how many are left. */
  async resolveUnknown(options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    for (const lane of this.#lanes.values()) {
      const unknown = [...this.#calls.values()].some((call) => call.lane === lane && call.unknown);
      if (!unknown && !lane.hasGap) continue;
      try {
        await this.#healer.heal(lane, options);
      } catch (error) {
        // The next round asks again; what is held stays held.
        if (asSaharaError(error).kind === 'cancelled') throw error;
      }
    }
    return [...this.#calls.values()].filter((call) => call.unknown).length;
  }

  /** The lanes in use, for statements about them. */
  lanes(): readonly PayerLane[] {
    return [...this.#lanes.values()];
  }

  /** What stands on each channel, in grains. */
  balances(): readonly ChannelBalance[] {
    return this.lanes().map(balanceOf);
  }

  /** The leaves of a channel's receipt tree and its last charge: what an evidence bundle's proof is made from. */
  async evidence(channel: Hash): Promise<ChannelEvidence> {
    await this.#journal.written();
    return evidenceOf(this.#parts.store, channel, this.#lanes.get(toHex(channel)));
  }

  /** Forces everything to disk. */
  flush(): Promise<void> {
    return this.#journal.synced();
  }

  async #load(): Promise<void> {
    const { store, suite } = this.#parts;
    const range = (prefix: Uint8Array): ReturnType<Store['entries']> => {
      const lt = prefixEnd(prefix);
      return store.entries({ gte: prefix, ...(lt && { lt }) });
    };
    for await (const [key, value] of range(bookKey.lanes())) {
      const { channel, lane } = laneOfKey(key);
      const kept = payerLaneRecord.decode(value);
      const charge = kept.charge && { signed: kept.charge, terms: chargeSchema.decode(kept.charge.payload) };
      this.#lanes.set(toHex(channel), new PayerLane(suite, { ...kept, channel, lane, charge }));
    }
    for await (const [key, value] of range(bookKey.openCalls())) {
      const kept = openCallRecord.decode(value);
      const lane = this.#lanes.get(toHex(kept.channel));
      if (lane === undefined) continue;
      const hold = { amountMax: kept.amountMax };
      lane.hold(hold);
      const callId = key.slice(1);
      this.#calls.set(toHex(callId), { callId, lane, hold, unknown: true });
    }
  }

  async #reserveSlowly(
    request: PayerRequest,
    options: { readonly signal?: AbortSignal },
  ): Promise<PayerReservation> {
    const channels = await this.#parts.channels.between(this.payer, request.payee);
    const open = channels.filter((channel) => channel.state === 'open');
    if (open.length === 0) throw new SaharaError(channels.length > 0 ? 'channel-closing' : 'channel-unknown');
    let best: { lane: PayerLane; left: bigint } | undefined;
    let failure: unknown;
    for (const channel of open) {
      const lane = this.#laneOf(channel);
      if (lane.disputed) continue;
      try {
        await this.#prepare(lane, channel, { request, options });
      } catch (error) {
        failure ??= error;
        continue;
      }
      if (this.#ready(lane, channel, request)) {
        this.#preferred.set(toHex(request.payee), lane);
        return this.#take(lane, request);
      }
      const left = channel.deposit - lane.charged - lane.reserved;
      if (best === undefined || left > best.left) best = { lane, left };
    }
    if (best === undefined && failure !== undefined) throw failure;
    throw new SaharaError('funds-insufficient', {
      wanted: String(request.amountMax),
      left: String(best?.left ?? 0n),
    });
  }

  /** Brings a lane to where it could pay: state known, unknown calls asked about, marks on disk. */
  async #prepare(
    lane: PayerLane,
    channel: ChannelInfo,
    call: { readonly request: PayerRequest; readonly options: { readonly signal?: AbortSignal } },
  ): Promise<void> {
    const { amountMax } = call.request;
    const held = [...this.#calls.values()].some((open) => open.lane === lane && open.unknown);
    if (!lane.healed || lane.lacks || (held && !lane.hasRoom(amountMax, channel.deposit))) {
      await this.#healer.heal(lane, call.options);
    }
    while (lane.hasRoom(amountMax, channel.deposit) && !this.#marked(lane, amountMax)) {
      await this.#mark(lane, channel.deposit, amountMax);
    }
  }

  #ready(lane: PayerLane, channel: ChannelInfo, request: PayerRequest): boolean {
    const { amountMax } = request;
    if (channel.state !== 'open' || lane.disputed || !lane.healed || lane.lacks) return false;
    if (!lane.hasRoom(amountMax, channel.deposit) || !this.#marked(lane, amountMax)) return false;
    const ahead = lane.next(amountMax * BigInt(this.#options.markCalls >> 1));
    const low = ahead.sequence + (this.#options.markCalls >> 1) > lane.marks.sequence;
    const deposited = lane.marks.ceiling < channel.deposit && ahead.ceiling > lane.marks.ceiling;
    if ((low || deposited) && !lane.marking)
      void this.#mark(lane, channel.deposit, amountMax).catch(() => {});
    return true;
  }

  #marked(lane: PayerLane, amount: bigint): boolean {
    const { ceiling, sequence } = lane.next(amount);
    return ceiling <= lane.marks.ceiling && sequence <= lane.marks.sequence;
  }

  #mark(lane: PayerLane, deposit: bigint, amount: bigint): Promise<void> {
    if (lane.marking) return lane.marking;
    const next = lane.next(amount * BigInt(this.#options.markCalls));
    lane.wanted = {
      ceiling: next.ceiling < deposit ? next.ceiling : deposit,
      sequence: next.sequence + this.#options.markCalls,
    };
    this.#journal.mark(lane);
    const { wanted } = lane;
    lane.marking = this.#journal.synced().then(
      () => {
        lane.marks = wanted;
        lane.marking = undefined;
      },
      (error: unknown) => {
        lane.marking = undefined;
        throw error;
      },
    );
    return lane.marking;
  }

  #laneOf(channel: ChannelInfo): PayerLane {
    const name = toHex(channel.id);
    const held = this.#lanes.get(name);
    if (held) return held;
    const start = {
      channel: channel.id,
      lane: 0,
      payee: channel.payee,
      ceilingMark: 0n,
      sequenceMark: 0,
      tree: EMPTY_TREE,
      charge: undefined,
      disputed: false,
    };
    // Nothing here says whether vouchers were signed and lost with an earlier store: the payee knows.
    const lane = new PayerLane(this.#parts.suite, start);
    this.#lanes.set(name, lane);
    return lane;
  }

  #take(lane: PayerLane, request: PayerRequest): Promise<PayerReservation> {
    const hold: PayerHold = { amountMax: request.amountMax };
    lane.reserve(hold);
    const call: OpenCall = { callId: request.callId, lane, hold, unknown: false };
    this.#calls.set(toHex(request.callId), call);
    const kept = openCallRecord.encode({
      channel: lane.channel,
      lane: lane.lane,
      amountMax: request.amountMax,
      reservedAtMs: this.#parts.clock.nowMs(),
    });
    lane.add({ type: 'put', key: bookKey.openCall(request.callId), value: kept });
    this.#journal.mark(lane);
    return this.#voucher(lane).then((voucher) => this.#reservation(call, voucher));
  }

  /**
   * One voucher for all that reserve in this tick. It is asked for at the tick's end, before the signer's own, so it
   * shares the signature of what else is signed in the tick.
   */
  #voucher(lane: PayerLane): Promise<Signed> {
    const gathering = this.#vouchers.get(lane);
    if (gathering) return gathering;
    const { defer = setImmediate, network, operator } = this.#parts;
    const voucher = new Promise<Signed>((resolve, reject) => {
      defer(() => {
        this.#vouchers.delete(lane);
        operator.sign('voucher', voucherSchema.encode(lane.nextVoucher(network))).then(resolve, reject);
      });
    });
    this.#vouchers.set(lane, voucher);
    return voucher;
  }

  #reservation(call: OpenCall, voucher: Signed): PayerReservation {
    return {
      channel: call.lane.channel,
      voucher,
      settle: (ending) => this.#settle(call, ending),
      release: (reason) => {
        // A payee that counts otherwise is asked before the next voucher.
        const code = reason?.code;
        if (code === 'voucher-stale' || code === 'voucher-insufficient') call.lane.healed = false;
        this.#close(call);
      },
      unknown: () => {
        call.unknown = true;
      },
    };
  }

  async #settle(
    call: OpenCall,
    ending: { readonly receipt: Signed; readonly charge: Signed },
  ): Promise<void> {
    const { lane, callId } = call;
    const checked = await checkEnding(
      this.#parts,
      { channel: lane.channel, lane: lane.lane, payee: lane.payee },
      ending,
    );
    if (!equalBytes(checked.receipt.callId, callId)) {
      throw new SaharaError('receipt-invalid', { reason: 'another call' });
    }
    if (checked.receipt.amount > call.hold.amountMax) {
      throw new SaharaError('receipt-invalid', { reason: 'above what the call may cost' });
    }
    // Asking about lost state may have brought it in the meantime.
    if (this.#calls.get(toHex(callId)) === call) this.#accept(lane, checked);
  }

  #accept(lane: PayerLane, checked: CheckedEnding): void {
    const { receipt, receiptSigned, charge } = checked;
    const leaf = receiptLeaf(this.#parts.suite, receiptSigned.payload, receipt.amount);
    try {
      lane.accept(receipt.sequence, leaf, charge);
    } finally {
      this.#journal.mark(lane);
    }
    const { channel, lane: number } = lane;
    const { callId, sequence, amount } = receipt;
    const kept = { channel, lane: number, sequence, payer: this.payer, requestHash: receipt.requestHash };
    const value = endingRecord.encode({ ...kept, receipt: receiptSigned, charge: charge.signed });
    lane.add(
      { type: 'put', key: bookKey.ending(callId), value },
      {
        type: 'put',
        key: bookKey.order(channel, number, sequence),
        value: leafRecord.encode({ callId, hash: leaf.hash, amount }),
      },
    );
    const call = this.#calls.get(toHex(callId));
    if (call) this.#close(call);
  }

  #close(call: OpenCall): void {
    const { lane, callId } = call;
    if (!this.#calls.delete(toHex(callId))) return;
    lane.release(call.hold);
    lane.add({ type: 'del', key: bookKey.openCall(callId) });
    this.#journal.mark(lane);
  }
}
