/**
 * One lane of a channel as its payee counts it. Everything here is arithmetic that happens at once: no promise,
 * no clock, no disk. The lane never waits for one call to let another in:
 *
 *   charged + reserved + wanted <= min(voucher's ceiling, deposit)
 *
 * decides admission, and a commit or release gives back what it did not use, in any order.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import { invariant, SaharaError } from '../base/errors.ts';
import type { StoreOperation } from '../base/store.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { CLAIM_ASSETS_MAX } from '../protocol/limits.ts';
import type { AssetAmount, ReceiptShare, Voucher } from '../protocol/payment.ts';
import {
  appendLeaf,
  EMPTY_TREE,
  type ReceiptTree,
  receiptLeaf,
  type SumNode,
  treeRoot,
} from '../protocol/receipt-tree.ts';
import type { Signed } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { addShares, placeOf } from './asset-amounts.ts';
import type { JournalSource } from './journal.ts';
import { AGENT_ASSETS_RESERVED, LEASES_PER_CHANNEL_MAX, ROOTS_REMEMBERED } from './limits.ts';
import { type OtherLane, PayeeRoom } from './payee-room.ts';
import type { ChannelInfo } from './ports.ts';
import { bookKey, earnedRecord, payeeLaneRecord, type ReleasedRecord } from './records.ts';
import type { VoucherSigner } from './voucher-signer.ts';

/** A voucher with what its payload says. */
export interface HeldVoucher {
  readonly signed: Signed;
  readonly terms: Voucher;
  /** Who signed it; absent while that is not known since a restart. */
  readonly signer?: VoucherSigner;
}

/** What a lane is opened with. */
export interface LaneStart {
  readonly channel: Hash;
  readonly lane: number;
  readonly payer: PublicKey;
  readonly voucher: HeldVoucher | undefined;
  readonly charge: Signed | undefined;
  readonly tree: ReceiptTree;
  readonly amounts: readonly AssetAmount[];
  /** Grains that the ledger has paid, by asset in hexadecimal. */
  readonly settled: ReadonlyMap<string, bigint>;
  /** Grains that each agent has charged, by key in hexadecimal. */
  readonly agents: ReadonlyMap<string, bigint>;
  /** What is due on the channel's other lanes, which are not served any more, grains. */
  readonly others: readonly OtherLane[];
  /** What was released of the deposit last. */
  readonly released: ReleasedRecord | undefined;
}

/** A receipt as the lane counts it. */
export interface LaneReceipt {
  readonly payload: Uint8Array;
  readonly amount: bigint;
  readonly shares: readonly ReceiptShare[];
  readonly agent: PublicKey;
}

/** A part of the lane held for one call. */
export interface Hold {
  /** Grains; `raise` changes it. */
  amountMax: bigint;
  /** Monotonic milliseconds at which it ends by itself. */
  readonly endsAtMs: number;
}

/** The lane's statement at one moment: what a charge is made of. */
export interface LaneState {
  readonly tree: ReceiptTree;
  readonly amounts: readonly AssetAmount[];
}

/** What becomes durable together: signed endings and the statement that covers them. */
export interface SignedState extends LaneState {
  readonly charge: Signed;
  readonly operations: readonly StoreOperation[];
}

/** A payee's lane. */
export class PayeeLane implements JournalSource {
  readonly channel: Hash;
  readonly lane: number;
  readonly payer: PublicKey;
  /** What of the deposit is there for it. */
  readonly room: PayeeRoom;
  readonly #suite: Suite;
  readonly #holds = new Set<Hold>();
  readonly #roots = new Map<number, SumNode>();
  readonly #settled: Map<string, bigint>;
  readonly #agents: Map<string, bigint>;
  readonly #changedAssets = new Map<string, AssetAmount>();
  #voucher: HeldVoucher | undefined;
  #state: LaneState;
  #signed: { readonly charge: Signed | undefined } & LaneState;
  #charged = 0n;
  #reserved = 0n;
  #operations: StoreOperation[] = [];
  /** Ceiling of the highest voucher that is known to be on disk. */
  durableCeiling = 0n;
  /** The forced write that this lane waits for, if one is under way. */
  syncing: Promise<void> | undefined;

  constructor(suite: Suite, start: LaneStart) {
    this.#suite = suite;
    this.channel = start.channel;
    this.lane = start.lane;
    this.payer = start.payer;
    this.#voucher = start.voucher;
    this.#state = { tree: start.tree, amounts: start.amounts };
    this.#signed = { ...this.#state, charge: start.charge };
    this.#settled = new Map(start.settled);
    this.#agents = new Map(start.agents);
    this.room = new PayeeRoom(start);
    this.durableCeiling = start.voucher?.terms.ceiling ?? 0n;
    this.#charged = this.statementRoot().sum;
  }

  /** Grains charged so far. */
  get charged(): bigint {
    return this.#charged;
  }

  /** Grains held for calls under way. */
  get reserved(): bigint {
    return this.#reserved;
  }

  /** Grains of the deposit that calls on this lane may take up. */
  availableIn(channel: ChannelInfo): bigint {
    return this.room.availableIn(channel);
  }

  /** Grains of the deposit that a release may let go: neither charged nor held for a call. */
  freeIn(channel: ChannelInfo): bigint {
    return this.room.availableIn(channel) - this.#charged - this.#reserved;
  }

  /** Grains that the ledger is known to have paid. */
  get settled(): bigint {
    return [...this.#settled.values()].reduce((sum, amount) => sum + amount, 0n);
  }

  /** How many calls hold a part. */
  get holds(): number {
    return this.#holds.size;
  }

  /** Receipts so far. */
  get count(): number {
    return this.#state.tree.count;
  }

  /** The highest voucher. */
  get voucher(): HeldVoucher | undefined {
    return this.#voucher;
  }

  /** The tree and amounts as of the last commit. */
  get state(): LaneState {
    return this.#state;
  }

  /** The last signed statement, complete: what a claim presents. */
  get signed(): { readonly charge: Signed | undefined } & LaneState {
    return this.#signed;
  }

  /** Why `offered` cannot be taken, checked before its signature; `undefined` when it can. */
  faultOf(offered: Voucher): SaharaError | undefined {
    const held = this.#voucher?.terms;
    if (held !== undefined) {
      const rises = offered.sequence > held.sequence;
      const facts = { sequence: offered.sequence, heldSequence: held.sequence };
      if (rises && offered.ceiling < held.ceiling) {
        return new SaharaError('voucher-stale', { reason: 'ceiling fell', ...facts });
      }
      if (!rises && offered.ceiling > held.ceiling) {
        return new SaharaError('voucher-stale', { reason: 'sequence did not rise', ...facts });
      }
    }
    return this.#receiptsFault(offered);
  }

  #receiptsFault(offered: Voucher): SaharaError | undefined {
    const { count } = this;
    if (offered.receiptCount > count) {
      return new SaharaError('voucher-stale', {
        reason: 'names receipts that this payee has not',
        receipts: offered.receiptCount,
        heldReceipts: count,
      });
    }
    const known = this.#roots.get(offered.receiptCount);
    if (known === undefined) return undefined;
    if (equalBytes(known.hash, offered.receiptRoot) && known.sum === offered.receiptTotal) return undefined;
    return new SaharaError('voucher-invalid', { reason: 'other receipts than ours' });
  }

  /** Takes a verified voucher if it is higher than the one held. */
  accept(offered: HeldVoucher): boolean {
    const held = this.#voucher?.terms;
    if (held !== undefined && offered.terms.sequence <= held.sequence) return false;
    this.#voucher = offered;
    return true;
  }

  /** Who signed the highest voucher is known now. */
  know(voucher: HeldVoucher, signer: VoucherSigner): void {
    if (this.#voucher === voucher) this.#voucher = { ...voucher, signer };
  }

  /** Holds up to `hold.amountMax`. Throws `voucher-insufficient`, `overloaded`. */
  reserve(hold: Hold, deposit: bigint, nowMs: number): void {
    this.#sweepFor(hold.amountMax, deposit, nowMs);
    if (this.#holds.size >= LEASES_PER_CHANNEL_MAX) {
      throw new SaharaError('overloaded', { what: 'channel', limit: LEASES_PER_CHANNEL_MAX });
    }
    this.#checkRoom(hold.amountMax, deposit);
    this.#holds.add(hold);
    this.#reserved += hold.amountMax;
  }

  /**
   * Has `hold` reach up to `amountMax`; a hold never falls. Throws `deadline-exceeded` when it had ended,
   * `voucher-insufficient`, and leaves it as it was.
   */
  raise(hold: Hold, amountMax: bigint, at: { readonly deposit: bigint; readonly nowMs: number }): void {
    if (!this.#holds.has(hold)) throw new SaharaError('deadline-exceeded', { what: 'reservation' });
    if (amountMax <= hold.amountMax) return;
    const more = amountMax - hold.amountMax;
    this.#sweepFor(more, at.deposit, at.nowMs, hold);
    this.#checkRoom(more, at.deposit);
    this.#reserved += more;
    hold.amountMax = amountMax;
  }

  /** Gives a hold back; false when it had already ended. */
  release(hold: Hold): boolean {
    if (!this.#holds.delete(hold)) return false;
    this.#reserved -= hold.amountMax;
    return true;
  }

  /** Ends `hold` by a receipt. Throws `deadline-exceeded` when the hold had ended. */
  commit(hold: Hold, receipt: LaneReceipt): void {
    const { payload, amount, shares } = receipt;
    invariant(amount >= 0n && amount <= hold.amountMax, 'a charge stays inside its reservation');
    if (!this.release(hold)) throw new SaharaError('deadline-exceeded', { what: 'reservation' });
    const leaf = receiptLeaf(this.#suite, payload, amount);
    const tree = appendLeaf(this.#suite, this.#state.tree, leaf);
    this.#state = { tree, amounts: addShares(this.#state.amounts, shares, this.#changedAssets) };
    this.#charged += amount;
    const agent = toHex(receipt.agent);
    this.#agents.set(agent, (this.#agents.get(agent) ?? 0n) + amount);
  }

  /**
   * The shares that this lane can still tell apart. A claim names at most `CLAIM_ASSETS_MAX` assets, so what a
   * new asset beyond that would earn goes to the agent's own, in the receipt already.
   */
  fold(shares: readonly ReceiptShare[], agentAsset: Hash): readonly ReceiptShare[] {
    const known = this.#state.amounts;
    let places = CLAIM_ASSETS_MAX - AGENT_ASSETS_RESERVED - known.length;
    if (places >= shares.length) return shares;
    let foldedPpm = 0;
    let foldedAmount = 0n;
    const kept: ReceiptShare[] = [];
    for (const share of shares) {
      // What was paid for calls below goes back whole, whatever else has a place.
      const own = equalBytes(share.asset, agentAsset) || share.role === 'calls';
      if (own || placeOf(known, share.asset) !== undefined || places-- > 0) kept.push(share);
      else {
        foldedPpm += share.ppm;
        foldedAmount += share.amount;
      }
    }
    if (foldedPpm === 0 && foldedAmount === 0n) return kept;
    const at = kept.findIndex((share) => share.role === 'agent' && equalBytes(share.asset, agentAsset));
    const own = kept[at] ?? { asset: agentAsset, role: 'agent' as const, ppm: 0, amount: 0n };
    const raised = { ...own, ppm: own.ppm + foldedPpm, amount: own.amount + foldedAmount };
    if (at < 0) return [...kept, raised];
    kept[at] = raised;
    return kept;
  }

  /** Whether `agentAsset` has a place in the attribution or can still get one. */
  hasPlaceFor(agentAsset: Hash): boolean {
    const { amounts } = this.#state;
    return amounts.length < CLAIM_ASSETS_MAX || placeOf(amounts, agentAsset) !== undefined;
  }

  /** Root and total of the receipts so far, remembered to be compared with what the payer says it accepted. */
  statementRoot(): SumNode {
    const root = treeRoot(this.#suite, this.#state.tree);
    this.#roots.set(this.count, root);
    if (this.#roots.size > ROOTS_REMEMBERED) this.#roots.delete(this.#roots.keys().next().value as number);
    return root;
  }

  /** What each of `agents` has charged by now, to be kept with the statement of this moment. */
  agentOperations(agents: readonly PublicKey[]): readonly StoreOperation[] {
    const distinct = new Map(agents.map((agent) => [toHex(agent), agent]));
    return [...distinct].map(([name, agent]) => ({
      type: 'put',
      key: bookKey.agent(this.channel, this.lane, agent),
      value: earnedRecord.encode({ amount: this.#agents.get(name) ?? 0n, settled: 0n }),
    }));
  }

  /** A statement with its endings is signed; in the order of the statements. */
  complete(signed: SignedState): void {
    this.#signed = { tree: signed.tree, amounts: signed.amounts, charge: signed.charge };
    for (const operation of signed.operations) this.#operations.push(operation);
  }

  /** The ledger has paid `amounts` of this lane. */
  settle(amounts: readonly AssetAmount[]): void {
    for (const entry of amounts) {
      this.#settled.set(toHex(entry.asset), entry.amount);
      this.#changedAssets.set(toHex(entry.asset), entry);
    }
  }

  collect(into: StoreOperation[]): void {
    const { channel, lane, payer } = this;
    const { charge, tree, amounts } = this.#signed;
    const value = payeeLaneRecord.encode({ payer, voucher: this.#voucher?.signed, charge, tree });
    into.push({ type: 'put', key: bookKey.lane(channel, lane), value }, ...this.#operations);
    this.#operations = [];
    this.room.collect(into);
    for (const [name, { asset }] of this.#changedAssets) {
      const at = placeOf(amounts, asset);
      // Charged since the last signed statement: it is written with the next one.
      if (at === undefined) continue;
      const earned = { amount: (amounts[at] as AssetAmount).amount, settled: this.#settled.get(name) ?? 0n };
      into.push({
        type: 'put',
        key: bookKey.asset(channel, lane, asset),
        value: earnedRecord.encode(earned),
      });
    }
    if (this.#state.amounts === amounts) this.#changedAssets.clear();
  }

  /** Grains that calls may take up in all: the voucher's ceiling, and no more than the deposit. */
  #room(deposit: bigint): bigint {
    const ceiling = this.#voucher?.terms.ceiling ?? 0n;
    return ceiling < deposit ? ceiling : deposit;
  }

  #checkRoom(wanted: bigint, deposit: bigint): void {
    if (this.#charged + this.#reserved + wanted <= this.#room(deposit)) return;
    throw new SaharaError('voucher-insufficient', {
      ceiling: String(this.#voucher?.terms.ceiling ?? 0n),
      deposit: String(deposit),
      charged: String(this.#charged),
      reserved: String(this.#reserved),
      wanted: String(wanted),
    });
  }

  /** Gives back holds whose time is over, when there is no room without them; `kept` stays. */
  #sweepFor(wanted: bigint, deposit: bigint, nowMs: number, kept?: Hold): void {
    if (this.#charged + this.#reserved + wanted <= this.#room(deposit)) return;
    for (const hold of this.#holds) if (hold.endsAtMs <= nowMs && hold !== kept) this.release(hold);
  }
}

/** A lane that nothing was ever charged on. */
export function emptyLane(
  suite: Suite,
  start: Pick<LaneStart, 'channel' | 'lane' | 'payer' | 'others'> & Partial<Pick<LaneStart, 'released'>>,
): PayeeLane {
  return new PayeeLane(suite, {
    released: undefined,
    ...start,
    voucher: undefined,
    charge: undefined,
    tree: EMPTY_TREE,
    amounts: [],
    settled: new Map(),
    agents: new Map(),
  });
}
