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
import { charge as chargeSchema } from '../protocol/payment.ts';
import type { Signed, TickSigner, Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { Journal } from './journal.ts';
import { PayerCalls } from './payer-calls.ts';
import { type ChargeFinding, findingOn, type LaneName, ownProof, type Proof } from './payer-evidence.ts';
import { PayerHealer } from './payer-healer.ts';
import { PayerLane } from './payer-lane.ts';
import { PayerLanes } from './payer-lanes.ts';
import { PayerMarks } from './payer-marks.ts';
import type { OpenCall, PayerRecall, PayerRequest, PayerReservation } from './payer-reservation.ts';
import {
  balancesOf,
  type ChannelBalance,
  type ChannelEvidence,
  evidenceOf,
  type PayeeStanding,
  standingOf,
} from './payer-statements.ts';
import { PayerVouchers } from './payer-vouchers.ts';
import { PayerWithdrawals, type WantedWithdrawal } from './payer-withdrawals.ts';
import type { ChannelInfo, ChannelView, PaymentPeer } from './ports.ts';
import { bookKey, type EndingRecord, laneOfKey, openCallRecord, payerLaneRecord } from './records.ts';
import type { VoucherKeyring } from './voucher-signer.ts';

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
  /** Keys for the vouchers of single channels. Default: none, the payer's key signs all. */
  readonly voucherKeys?: VoucherKeyring;
  /** Names questions to payees. Default: the system's. */
  readonly dice?: Dice;
  /** Runs a function at the end of the tick. Default: the end of the turn, before what it signs. */
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
  readonly #journal: Journal;
  readonly #healer: PayerHealer;
  readonly #marks: PayerMarks;
  readonly #vouchers: PayerVouchers;
  readonly #calls: PayerCalls;
  readonly #lanes: PayerLanes;
  readonly #withdrawals: PayerWithdrawals;
  readonly #preferred = new Map<string, PayerLane>();

  private constructor(parts: PayerBookParts, options: PayerBookOptions) {
    this.#parts = parts;
    this.#lanes = new PayerLanes(parts.suite);
    this.#withdrawals = new PayerWithdrawals(parts.store, this.#lanes);
    this.#journal = new Journal(parts);
    const journal = this.#journal;
    const marks = new PayerMarks(journal, options.markCalls);
    const vouchers = new PayerVouchers(parts);
    this.#marks = marks;
    this.#vouchers = vouchers;
    this.#calls = new PayerCalls({ ...parts, journal, marks, vouchers });
    this.#healer = new PayerHealer(parts, {
      timeoutMs: options.healTimeoutMs,
      accept: (lane, ending) => this.#calls.accept(lane, ending),
      openCalls: (lane) => this.#calls.unknown(lane),
      drop: (call) => this.#calls.close(call),
      laneOf: (channel, lane) => this.#lanes.find(channel, lane),
      moved: (lane, serves) => this.#lanes.move(lane, serves),
    });
    this.#calls.healBy(this.#healer);
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
    const { callId } = request;
    // A second hold under one id would never be given back: only one end will be heard of.
    if (this.#calls.find(callId)) {
      return Promise.reject(new SaharaError('call-conflict', { callId: toHex(callId), state: 'open' }));
    }
    const lane = this.#preferred.get(toHex(request.payee));
    const channel = lane && this.#parts.channels.channel(lane.channel);
    if (lane && channel && !(channel instanceof Promise) && this.#ready(lane, channel, request)) {
      return this.#take(lane, request);
    }
    return this.#reserveSlowly(request, options);
  }

  /**
   * What is held for a call that began before a restart, or at another peer of this payer; the payee is asked where
   * that is not known here. `undefined`: nothing was charged for it. Throws `call-conflict` for a call under way here,
   * `channel-unknown`, `channel-closing`, `funds-insufficient`, or why the payee cannot be asked.
   */
  async recall(
    request: PayerRecall,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<PayerReservation | undefined> {
    const { callId } = request;
    const held = this.#calls.find(callId);
    if (held && !held.unknown) {
      throw new SaharaError('call-conflict', { callId: toHex(callId), state: 'running' });
    }
    const lane = held?.lane ?? (await this.#laneFor(request));
    if (!lane.healed) await this.#healer.heal(lane, options);
    // What was left with its lane was not charged; a call of another peer of this payer may be on the next one.
    if (lane.left && !held) return this.recall(request, options);
    const kept = await this.endingOf(callId);
    if (kept) return this.#calls.settled(lane, kept);
    const call = held ? this.#calls.find(callId) : await this.#adopt(lane, request, options);
    if (call === undefined || this.#calls.find(callId) !== call) {
      const ended = await this.endingOf(callId);
      return ended && this.#calls.settled(lane, ended);
    }
    const { amountMax } = call.hold;
    call.unknown = false;
    try {
      const most = request.amountMax > amountMax ? request.amountMax : amountMax;
      return this.#calls.reservation(call, await this.#calls.raise(call, most));
    } catch (error) {
      call.unknown = true;
      throw error;
    }
  }

  /**
   * Takes `amount` out of a channel by what `take` does, with the payee's release if `released`; calls leave it alone from
   * now on. Throws `channel-unknown`, `funds-insufficient` when more is asked than was never promised, and what the
   * payee's refusal, its absence or `take` gave.
   */
  async withdraw<T>(
    wanted: WantedWithdrawal,
    take: (release: Signed | undefined) => Promise<T>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    const channel = await this.#parts.channels.channel(wanted.channel);
    if (!channel || !equalBytes(channel.payer, this.payer)) throw new SaharaError('channel-unknown');
    let lane = this.#lanes.of(channel);
    if (wanted.released && !lane.healed) {
      await this.#healer.heal(lane, options);
      lane = this.#lanes.of(channel);
    }
    return this.#withdrawals.make({ channel, lane }, wanted, {
      release: () => this.#healer.release(channel, wanted.amount, options),
      take,
    });
  }

  /** How well a payee is known by what it was paid for. */
  standing(payee: PublicKey): PayeeStanding {
    return standingOf(this.lanes(), payee);
  }

  /** Checks and keeps an ending that was asked for afterwards. Throws `receipt-invalid`, `receipt-unknown`. */
  async settleLate(callId: Id, ending: CallEnding): Promise<void> {
    const call = this.#calls.find(callId);
    if (call === undefined) throw new SaharaError('receipt-unknown', { callId: toHex(callId) });
    if (ending.charge === undefined) throw new SaharaError('receipt-invalid', { reason: 'no charge' });
    await this.#calls.settle(call, { receipt: ending.receipt, charge: ending.charge });
  }

  /** How a paid call ended, if its ending was accepted. */
  endingOf(callId: Id): Promise<EndingRecord | undefined> {
    return this.#calls.endingOf(callId);
  }

  /** Asks the payees about every call whose end is unknown. Answers how many are left. */
  async resolveUnknown(options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    for (const lane of this.lanes()) {
      if (this.#calls.unknown(lane).length === 0 && (lane.left || !lane.hasGap)) continue;
      try {
        await this.#healer.heal(lane, options);
      } catch (error) {
        // The next round asks again; what is held stays held.
        if (asSaharaError(error).kind === 'cancelled') throw error;
      }
    }
    return this.#calls.unknown().length;
  }

  /** The lanes of all channels, those in use and those that were, for statements about them. */
  lanes(): readonly PayerLane[] {
    return this.#lanes.all();
  }

  /** What stands on each channel, in grains. */
  balances(): readonly ChannelBalance[] {
    return balancesOf(this.lanes());
  }

  /** The leaves of a lane's receipt tree and its last charge: what an evidence bundle's proof is made from. */
  async evidence(channel: Hash, lane: number): Promise<ChannelEvidence> {
    await this.#journal.written();
    return evidenceOf(this.#parts.store, { channel, lane }, this.#lanes.find(channel, lane));
  }

  /**
   * Holds a charge that the payee presented elsewhere against all that is here of its lane; `undefined` when nothing was
   * ever paid on the lane from here. Whether the payee signed it the caller has checked.
   */
  async findingOn(at: LaneName, claimed: Signed): Promise<ChargeFinding | undefined> {
    const lane = this.#lanes.find(at.channel, at.lane);
    if (lane === undefined) return undefined;
    // What proves something must not be lost with a crash of the system once it is used.
    await this.#journal.synced();
    return findingOn(this.#parts, lane, claimed);
  }

  /** What proves by itself that the payee of a lane in dispute lied, if anything. */
  async ownProof(at: LaneName): Promise<Proof | undefined> {
    const lane = this.#lanes.find(at.channel, at.lane);
    if (!lane?.disputed) return undefined;
    await this.#journal.synced();
    return ownProof(this.#parts, lane);
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
      this.#lanes.put(new PayerLane(suite, { ...kept, channel, lane, charge }));
    }
    await this.#withdrawals.load();
    for await (const [key, value] of range(bookKey.openCalls())) {
      const kept = openCallRecord.decode(value);
      const lane = this.#lanes.find(kept.channel, kept.lane);
      if (lane === undefined) continue;
      const hold = { amountMax: kept.amountMax };
      lane.hold(hold);
      this.#calls.add({ callId: key.slice(1), lane, hold, limit: kept.limit, unknown: true }, true);
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
      let lane = this.#lanes.of(channel);
      if (lane.disputed) continue;
      try {
        lane = await this.#prepare(channel, { request, options });
      } catch (error) {
        failure ??= error;
        continue;
      }
      if (this.#ready(lane, channel, request)) {
        this.#preferred.set(toHex(request.payee), lane);
        return this.#take(lane, request);
      }
      const left = lane.roomIn(channel) - lane.charged - lane.reserved;
      if (best === undefined || left > best.left) best = { lane, left };
    }
    if (best === undefined && failure !== undefined) throw failure;
    throw new SaharaError('funds-insufficient', {
      wanted: String(request.amountMax),
      left: String(best?.left ?? 0n),
    });
  }

  /** Brings the lane in use to where it could pay: state known, unknown calls asked about, marks on disk. */
  async #prepare(
    channel: ChannelInfo,
    call: { readonly request: PayerRequest; readonly options: { readonly signal?: AbortSignal } },
  ): Promise<PayerLane> {
    const { amountMax, limit = amountMax } = call.request;
    let lane = this.#lanes.of(channel);
    // The payee may name another lane, which is then asked about as well.
    for (let asked = 0; asked < 2; asked++) {
      const held = this.#calls.unknown(lane).length > 0;
      const full = held && !lane.hasRoom(amountMax, lane.roomIn(channel));
      if (lane.healed && !lane.lacks && !full) break;
      await this.#healer.heal(lane, call.options);
      if (!lane.left) break;
      lane = this.#lanes.of(channel);
    }
    const room = lane.roomIn(channel);
    while (lane.hasRoom(amountMax, room) && !this.#marks.cover(lane, amountMax)) {
      await this.#marks.write(lane, room, limit);
    }
    return lane;
  }

  #ready(lane: PayerLane, channel: ChannelInfo, request: PayerRequest): boolean {
    const { amountMax, limit = amountMax } = request;
    if (channel.state !== 'open' || lane.disputed || !lane.healed || lane.lacks) return false;
    const room = lane.roomIn(channel);
    if (!lane.hasRoom(amountMax, room) || !this.#marks.cover(lane, amountMax)) return false;
    this.#marks.keepAhead(lane, room, limit);
    return true;
  }

  async #laneFor({ channel: id, payee }: PayerRecall): Promise<PayerLane> {
    const channel = await this.#parts.channels.channel(id);
    const ours = channel && equalBytes(channel.payer, this.payer) && equalBytes(channel.payee, payee);
    if (!ours) throw new SaharaError('channel-unknown');
    return this.#lanes.of(channel);
  }

  /** Holds a call that another peer of this payer began, unless it has ended. */
  async #adopt(
    lane: PayerLane,
    request: PayerRecall,
    options: { readonly signal?: AbortSignal },
  ): Promise<OpenCall> {
    const { callId, amountMax, limit = amountMax } = request;
    const call: OpenCall = { callId, lane, hold: { amountMax }, limit, unknown: true };
    lane.hold(call.hold);
    this.#calls.add(call, true);
    this.#calls.keep(call);
    await this.#healer.resolve(call, options);
    return call;
  }

  #take(lane: PayerLane, request: PayerRequest): Promise<PayerReservation> {
    const { callId, amountMax, limit = amountMax } = request;
    const call: OpenCall = { callId, lane, hold: { amountMax }, limit, unknown: false };
    lane.reserve(call.hold);
    this.#calls.add(call);
    this.#calls.keep(call);
    return this.#vouchers.next(lane).then((voucher) => this.#calls.reservation(call, voucher));
  }
}
