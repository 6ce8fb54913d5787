/**
 * Finds out what a payer has lost: after a restart, after a cut call, after a gap. The payee shows the last
 * voucher, which must carry this payer's own signature, its last charge, and every ending that this payer has
 * not accepted yet. Nothing is paid by asking; a call that the payee knows nothing of was not charged.
 */
import { equalBytes } from '../base/bytes.ts';
import { type Clock, timeoutSignal } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { type Dice, systemDice } from '../base/random.ts';
import type { CallEnding } from '../protocol/call.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import {
  receipt as receiptSchema,
  release as releaseSchema,
  type Voucher,
  voucher as voucherSchema,
} from '../protocol/payment.ts';
import {
  type PaymentAnswer,
  type PaymentAsk,
  paymentAnswer,
  paymentQuery,
} from '../protocol/payment-query.ts';
import { type Signed, signed as signedSchema, type TickSigner, type Verifier } from '../protocol/signing.ts';
import { type CheckedEnding, checkEnding } from './ending-check.ts';
import { STATE_ENDINGS_MAX } from './limits.ts';
import type { PayerLane } from './payer-lane.ts';
import type { OpenCall, PayerOutcome } from './payer-reservation.ts';
import type { ChannelInfo, ChannelView, PaymentPeer } from './ports.ts';
import { covers, type VoucherKeyring, voucherSigner } from './voucher-signer.ts';

/** Parts of a healer. */
export interface HealerParts {
  readonly network: string;
  readonly clock: Clock;
  readonly verifier: Verifier;
  readonly operator: TickSigner;
  readonly peer: PaymentPeer;
  readonly channels: ChannelView;
  /** Keys for the vouchers of single channels. Default: none. */
  readonly voucherKeys?: VoucherKeyring;
  readonly dice?: Dice;
}

/** What a healer does to its book. */
export interface HealerBook {
  readonly timeoutMs: number;
  accept(lane: PayerLane, ending: CheckedEnding): void;
  /** Calls of the lane whose end is unknown. */
  openCalls(lane: PayerLane): readonly OpenCall[];
  /** Nothing was charged for the call. */
  drop(call: OpenCall): void;
  /** A lane of the channel that was ever in use. */
  laneOf(channel: Hash, lane: number): PayerLane | undefined;
  /** The payee serves the lane `serves` of this one's channel. Throws when the channel has no room for another. */
  moved(lane: PayerLane, serves: number): void;
}

/** Brings lanes up to what their payees have signed. */
export class PayerHealer {
  readonly #parts: HealerParts;
  readonly #book: HealerBook;
  readonly #healing = new Map<PayerLane, Promise<void>>();

  constructor(parts: HealerParts, book: HealerBook) {
    this.#parts = parts;
    this.#book = book;
  }

  /** Asks the payee of `lane` until nothing is missing, and which lane it serves. Throws `receipt-invalid`, or why it cannot be asked. */
  heal(lane: PayerLane, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const healing =
      this.#healing.get(lane) ?? this.#heal(lane, options).finally(() => this.#healing.delete(lane));
    this.#healing.set(lane, healing);
    return healing;
  }

  async #heal(lane: PayerLane, options: { readonly signal?: AbortSignal }): Promise<void> {
    let serves = lane.lane;
    for (;;) {
      const from = lane.count;
      const answer = await this.#ask(
        lane.payee,
        { type: 'state', channel: lane.channel, lane: lane.lane, fromSequence: from },
        options,
      );
      if (answer.type !== 'state') throw new SaharaError('malformed', { reason: 'another answer' });
      point('payer:asked');
      serves = answer.serves;
      await this.#recall(lane, answer.voucher);
      for (const ending of answer.endings) await this.#take(lane, ending);
      if (answer.endings.length < STATE_ENDINGS_MAX || lane.count === from) break;
    }
    for (const call of this.#book.openCalls(lane)) await this.resolve(call, options);
    if (serves === lane.lane) lane.heal();
    else if (!lane.left) this.#book.moved(lane, serves);
  }

  async #recall(lane: PayerLane, shown: Signed | undefined): Promise<void> {
    if (shown === undefined) return;
    const terms = voucherSchema.decode(shown.payload);
    const fits =
      terms.network === this.#parts.network &&
      equalBytes(terms.channel, lane.channel) &&
      terms.lane === lane.lane;
    if (!fits || !(await this.#isOwn(lane, terms, shown))) {
      throw new SaharaError('voucher-invalid', { reason: 'shown by the payee' });
    }
    lane.recall(terms.ceiling, terms.sequence);
  }

  /** Whether this payer signed a voucher that its payee shows, or may have. */
  async #isOwn(lane: PayerLane, terms: Voucher, shown: Signed): Promise<boolean> {
    const { operator, channels, voucherKeys } = this.#parts;
    const channel = await channels.channel(lane.channel);
    const payer = operator.publicKey;
    const known = voucherKeys?.keysOf(lane.channel) ?? [];
    const found = await voucherSigner(this.#parts, { payer, ...channel }, shown, known);
    if ('fault' in found) return false;
    if (channel !== undefined && covers(channel, found.signer)) return true;
    if (found.signer === 'payer') return true;
    // A former key may be a thief's: what it promised above the marks was not promised here, and is not promised again.
    return terms.ceiling <= lane.marks.ceiling && terms.sequence <= lane.marks.sequence;
  }

  async #take(lane: PayerLane, ending: CallEnding): Promise<void> {
    const { receipt, charge } = ending;
    if (charge === undefined) throw new SaharaError('receipt-invalid', { reason: 'no charge' });
    const { channel, payee } = lane;
    // A call that was asked again under its id may have ended on another lane than it began.
    const on = this.#book.laneOf(channel, receiptSchema.decode(receipt.payload).lane) ?? lane;
    const checked = await checkEnding(this.#parts, { channel, lane: on.lane, payee }, { receipt, charge });
    if (on.has(checked.receipt.sequence)) return;
    this.#book.accept(on, checked);
  }

  /**
   * Asks what became of one call: an ending is accepted, a call for which nothing was charged dropped. Throws
   * `receipt-invalid`, or why the payee cannot be asked.
   */
  async resolve(call: OpenCall, options: { readonly signal?: AbortSignal } = {}): Promise<PayerOutcome> {
    const { lane, callId } = call;
    const answer = await this.#ask(lane.payee, { type: 'ending', callId }, options);
    if (answer.type !== 'ending') throw new SaharaError('malformed', { reason: 'another answer' });
    if (answer.state === 'unknown') this.#book.drop(call);
    if (answer.state !== 'ended') return { state: answer.state };
    if (answer.ending === undefined) throw new SaharaError('malformed', { reason: 'no ending' });
    const { callId: named, channel } = receiptSchema.decode(answer.ending.receipt.payload);
    if (!equalBytes(named, callId)) throw new SaharaError('receipt-invalid', { reason: 'another call' });
    // A call that was asked again under its id may have ended on another channel; then nothing is owed on this one.
    if (channel && equalBytes(channel, lane.channel)) await this.#take(lane, answer.ending);
    // Accepting closes the call; what was accepted before leaves nothing to hold either.
    this.#book.drop(call);
    return { state: 'ended', ending: answer.ending };
  }

  /** Asks for the payee's word that `amount` may leave a channel. Throws its refusal, or why it cannot be asked. */
  async release(
    channel: ChannelInfo,
    amount: bigint,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Signed> {
    const { network, verifier } = this.#parts;
    const { id, payee, deposit, revision } = channel;
    const answer = await this.#ask(payee, { type: 'release', channel: id, amount }, options);
    if (answer.type !== 'release') throw new SaharaError('malformed', { reason: 'another answer' });
    const terms = releaseSchema.decode(answer.release.payload);
    const right =
      terms.network === network &&
      equalBytes(terms.channel, id) &&
      terms.depositAfter === deposit - amount &&
      terms.sequence === revision;
    const fault = await verifier.check(network, 'release', payee, answer.release);
    if (!right || fault) throw new SaharaError('malformed', { reason: 'another release than asked for' });
    return answer.release;
  }

  async #ask(
    payee: PublicKey,
    ask: PaymentAsk,
    options: { readonly signal?: AbortSignal },
  ): Promise<PaymentAnswer> {
    const { network, clock, operator, peer, dice = systemDice } = this.#parts;
    const question = paymentQuery.encode({
      network,
      payer: operator.publicKey,
      payee,
      id: dice.bytes(16),
      issuedAtMs: clock.nowMs(),
      ask,
    });
    const body = signedSchema.encode(await operator.sign('payment-query', question));
    const timeout = timeoutSignal(clock, this.#book.timeoutMs);
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    return paymentAnswer.decode(await peer.ask(payee, body, { signal }));
  }
}
