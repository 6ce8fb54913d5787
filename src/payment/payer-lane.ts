/**
 * One lane of a channel as its payer counts it: what calls under way may cost, which receipts were accepted, and
 * whether the payee's charges agree with them. Arithmetic only; the book around it signs, asks and writes.
 *
 * Receipts of concurrent calls arrive in any order, so the tree grows as far as they are contiguous, and a charge
 * is compared with the tree once that reaches the charge's sequence. Money is bounded before that: no charge
 * above the ceiling that was signed is ever accepted.
 */
import { equalBytes } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import type { StoreOperation } from '../base/store.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import type { Charge, Voucher } from '../protocol/payment.ts';
import { appendLeaf, type ReceiptTree, type SumNode, treeRoot } from '../protocol/receipt-tree.ts';
import type { Signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { JournalSource } from './journal.ts';
import {
  CONTRADICTED_ENDINGS_MAX,
  LEASES_PER_CHANNEL_MAX,
  RECEIPTS_AHEAD_MAX,
  ROOTS_REMEMBERED,
} from './limits.ts';
import { type ChannelInfo, hasPlaceForLane } from './ports.ts';
import { bookKey, payerLaneRecord, type WithdrawalRecord } from './records.ts';

/** What a payer's lane is opened with. */
export interface PayerLaneStart {
  readonly channel: Hash;
  readonly lane: number;
  readonly payee: PublicKey;
  readonly ceilingMark: bigint;
  readonly sequenceMark: number;
  readonly tree: ReceiptTree;
  readonly charge: { readonly signed: Signed; readonly terms: Charge } | undefined;
  readonly disputed: boolean;
  /** Its place among the channel's lanes, in the order in which they were in use, from 0. */
  readonly place: number;
  /** Most that the payee can claim on the lanes before it, grains. */
  readonly before: bigint;
}

/** A call's part of the lane: what its vouchers cover so far, grains. */
export interface PayerHold {
  amountMax: bigint;
}

/** A payer's lane. */
export class PayerLane implements JournalSource {
  readonly channel: Hash;
  readonly lane: number;
  readonly payee: PublicKey;
  readonly place: number;
  readonly before: bigint;
  readonly #suite: Suite;
  readonly #holds = new Set<PayerHold>();
  readonly #ahead = new Map<number, SumNode>();
  readonly #charges = new Map<number, Charge>();
  readonly #trees = new Map<number, ReceiptTree>();
  #tree: ReceiptTree;
  #root: SumNode | undefined;
  #counted: bigint;
  #aheadSum = 0n;
  #reserved = 0n;
  #ceiling = 0n;
  #sequence: number;
  #charge: PayerLaneStart['charge'];
  #disputed: boolean;
  #contradicted = 0;
  #operations: StoreOperation[] = [];
  /** Marks that are on disk: no voucher may go above them before higher ones are. */
  marks: { readonly ceiling: bigint; readonly sequence: number };
  /** Marks to be written next. */
  wanted: { readonly ceiling: bigint; readonly sequence: number };
  /** The forced write of higher marks under way, if any. */
  marking: Promise<void> | undefined;
  /** Whether what was signed last is known: false when opened, until the payee was asked. */
  healed = false;
  /** The payee serves another lane: nothing more is promised on this one. */
  left = false;
  /** What is on its way out of the deposit, as it is on disk. */
  withdrawing: WithdrawalRecord | undefined;
  /** Whether the highest ceiling signed is known: since it was opened the payee was asked about it. */
  #exact = false;

  constructor(suite: Suite, start: PayerLaneStart) {
    this.#suite = suite;
    this.channel = start.channel;
    this.lane = start.lane;
    this.payee = start.payee;
    this.place = start.place;
    this.before = start.before;
    this.#tree = start.tree;
    this.#counted = this.#rootNow.sum;
    this.#trees.set(start.tree.count, start.tree);
    this.#sequence = start.sequenceMark;
    this.#charge = start.charge;
    this.#disputed = start.disputed;
    this.marks = { ceiling: start.ceilingMark, sequence: start.sequenceMark };
    this.wanted = this.marks;
  }

  /** Grains of the deposit that this lane can promise: neither announced to leave nor promised on lanes before. */
  roomIn(channel: ChannelInfo): bigint {
    if (!hasPlaceForLane(channel.lanes, this.lane)) return 0n;
    return channel.deposit - channel.leaving - this.withdrawn(channel) - this.before;
  }

  /** Grains that a withdrawal under way may take out and that the channel does not show yet. */
  withdrawn({ revision, leaving }: ChannelInfo): bigint {
    const { withdrawing } = this;
    if (withdrawing?.revision !== revision) return 0n;
    return withdrawing.announced && leaving > 0n ? 0n : withdrawing.amount;
  }

  /** The payee was asked: what was signed last is known. */
  heal(): void {
    this.healed = true;
    this.#exact = true;
  }

  /**
   * Nothing more is promised here. Returns the most that the payee can claim on it, grains: the highest ceiling that was
   * signed, and where that is not known the highest that may have been.
   */
  leave(): bigint {
    this.left = true;
    this.healed = false;
    return this.promised;
  }

  /** The highest ceiling that was signed, and where that is not known the highest that may have been. Grains. */
  get promised(): bigint {
    return this.#exact ? this.#ceiling : this.marks.ceiling;
  }

  /** Whether nothing was ever promised or held on it. */
  get untouched(): boolean {
    return this.wanted.sequence === 0 && this.#sequence === 0 && this.#holds.size === 0 && this.count === 0;
  }

  /** Grains of all receipts accepted. */
  get charged(): bigint {
    return this.#counted + this.#aheadSum;
  }

  /** Grains held for calls under way or unknown. */
  get reserved(): bigint {
    return this.#reserved;
  }

  /** Receipts accepted without a gap. */
  get count(): number {
    return this.#tree.count;
  }

  /** The highest ceiling signed. */
  get ceiling(): bigint {
    return this.#ceiling;
  }

  /** The last charge accepted. */
  get charge(): PayerLaneStart['charge'] {
    return this.#charge;
  }

  /** Whether the payee contradicted itself. */
  get disputed(): boolean {
    return this.#disputed;
  }

  /** Whether receipts are missing before some that were accepted. */
  get hasGap(): boolean {
    return this.#ahead.size > 0;
  }

  /** Whether receipts are missing that no call under way can bring. */
  get lacks(): boolean {
    return this.#ahead.size > 0 && this.#holds.size === 0;
  }

  /** Whether the receipt `sequence` was accepted. */
  has(sequence: number): boolean {
    return sequence < this.#tree.count || this.#ahead.has(sequence);
  }

  /** Whether a call of `amount` has a place and fits into the deposit. */
  hasRoom(amount: bigint, deposit: bigint): boolean {
    const places = this.#holds.size < LEASES_PER_CHANNEL_MAX && this.#ahead.size < RECEIPTS_AHEAD_MAX;
    return places && this.fits(amount, deposit);
  }

  /** Whether `amount` more fits into the deposit. */
  fits(amount: bigint, deposit: bigint): boolean {
    return this.charged + this.#reserved + amount <= deposit;
  }

  /** The ceiling and sequence that the next voucher for `amount` more would carry. */
  next(amount: bigint): { readonly ceiling: bigint; readonly sequence: number } {
    const needed = this.charged + this.#reserved + amount;
    return { ceiling: needed > this.#ceiling ? needed : this.#ceiling, sequence: this.#sequence + 1 };
  }

  /** Holds `hold.amountMax` under a ceiling that covers it. */
  reserve(hold: PayerHold): void {
    this.#ceiling = this.next(hold.amountMax).ceiling;
    this.hold(hold);
  }

  /** Has a hold cover `amountMax` in all, under a ceiling that covers it. A hold never falls. */
  raise(hold: PayerHold, amountMax: bigint): void {
    if (!this.#holds.has(hold)) return;
    const more = amountMax > hold.amountMax ? amountMax - hold.amountMax : 0n;
    this.#ceiling = this.next(more).ceiling;
    this.#reserved += more;
    hold.amountMax += more;
  }

  /** The next voucher, which covers everything held. */
  nextVoucher(network: string): Voucher {
    this.#sequence++;
    return {
      network,
      channel: this.channel,
      lane: this.lane,
      ceiling: this.#ceiling,
      sequence: this.#sequence,
      receiptCount: this.#tree.count,
      receiptRoot: this.#rootNow.hash,
      receiptTotal: this.#counted,
      notAfterMs: undefined,
    };
  }

  /** Holds again what was held before a restart. */
  hold(hold: PayerHold): void {
    this.#holds.add(hold);
    this.#reserved += hold.amountMax;
  }

  /** Gives a hold back; false when it had already ended. */
  release(hold: PayerHold): boolean {
    if (!this.#holds.delete(hold)) return false;
    this.#reserved -= hold.amountMax;
    return true;
  }

  /** What the payee's last voucher says was signed last. Both only rise. */
  recall(ceiling: bigint, sequence: number): void {
    if (ceiling > this.#ceiling) this.#ceiling = ceiling;
    if (sequence > this.#sequence) this.#sequence = sequence;
  }

  /**
   * Accepts the receipt `sequence` whose leaf is given, and the charge that came with it; both signatures were
   * checked. Throws `receipt-invalid` when they contradict the voucher or what was accepted before; from a
   * contradiction on the lane is disputed.
   */
  accept(sequence: number, leaf: SumNode, charge: { readonly signed: Signed; readonly terms: Charge }): void {
    const { terms } = charge;
    if (terms.total > this.#ceiling)
      throw invalid('charge above the voucher', { total: String(terms.total) });
    if (terms.sequence <= sequence) throw invalid('the charge does not cover the receipt');
    if (sequence < this.#tree.count || this.#ahead.has(sequence)) {
      this.#disputed = true;
      throw invalid('two receipts for one sequence', { sequence });
    }
    this.#ahead.set(sequence, leaf);
    this.#aheadSum += leaf.sum;
    this.#charges.set(terms.sequence, terms);
    if (this.#charge === undefined || terms.sequence > this.#charge.terms.sequence) this.#charge = charge;
    this.#grow();
    this.#compareLate(terms);
  }

  /** Adds what the next collection writes besides the lane itself. */
  add(...operations: readonly StoreOperation[]): void {
    this.#operations.push(...operations);
  }

  /** Endings that contradicted others since it was opened. */
  get contradictions(): number {
    return this.#contradicted;
  }

  /** The place at which the next ending is kept that contradicts others. */
  nextContradicted(): number {
    return this.#contradicted++ % CONTRADICTED_ENDINGS_MAX;
  }

  collect(into: StoreOperation[]): void {
    const value = payerLaneRecord.encode({
      payee: this.payee,
      ceilingMark: this.wanted.ceiling,
      sequenceMark: this.wanted.sequence,
      tree: this.#tree,
      charge: this.#charge?.signed,
      disputed: this.#disputed,
      place: this.place,
      before: this.before,
    });
    into.push({ type: 'put', key: bookKey.lane(this.channel, this.lane), value }, ...this.#operations);
    this.#operations = [];
  }

  #grow(): void {
    for (let leaf = this.#ahead.get(this.count); leaf; leaf = this.#ahead.get(this.count)) {
      this.#ahead.delete(this.count);
      this.#aheadSum -= leaf.sum;
      this.#tree = appendLeaf(this.#suite, this.#tree, leaf);
      this.#root = undefined;
      this.#counted += leaf.sum;
      this.#trees.set(this.count, this.#tree);
      if (this.#trees.size > ROOTS_REMEMBERED) this.#trees.delete(this.#trees.keys().next().value as number);
      this.#compare(this.#tree);
    }
  }

  /** Root and total of the receipts without a gap; asked for once a voucher, not once a receipt. */
  get #rootNow(): SumNode {
    this.#root ??= treeRoot(this.#suite, this.#tree);
    return this.#root;
  }

  #compare(tree: ReceiptTree): void {
    const charge = this.#charges.get(tree.count);
    if (charge === undefined) return;
    this.#charges.delete(tree.count);
    const root = treeRoot(this.#suite, tree);
    if (root.sum === charge.total && equalBytes(root.hash, charge.receiptRoot)) return;
    this.#disputed = true;
    throw invalid('the charge is not the sum of its receipts', {
      total: String(charge.total),
      receipts: String(root.sum),
    });
  }

  /** A charge that the tree had already passed when it came. */
  #compareLate(charge: Charge): void {
    const tree = this.#trees.get(charge.sequence);
    if (tree !== undefined) this.#compare(tree);
  }
}

function invalid(reason: string, facts: Readonly<Record<string, string | number>> = {}): SaharaError {
  return new SaharaError('receipt-invalid', { reason, ...facts });
}
