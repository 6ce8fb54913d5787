/**
 * The payee's side of channels. A call is admitted against the highest voucher of its channel, holds a part of
 * the balance while it runs, and ends in a receipt and a charge that are signed and kept before anyone sees them.
 * What commits in one tick shares one charge, one signature of each key and one batch on disk; the vouchers of
 * that moment, the receipt tree and the amounts per asset are in the same batch, so a crash finds either all of
 * it or nothing.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store } from '../base/store.ts';
import type { Tail } from '../base/tail.ts';
import { LANES_MAX } from '../ledger/limits.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import { release as releaseSchema } from '../protocol/payment.ts';
import type { Signed, TickSigner, Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { ChannelWait } from './channel-wait.ts';
import { Journal } from './journal.ts';
import { ENDED_REMEMBERED } from './limits.ts';
import type { HeldVoucher, Hold, PayeeLane } from './payee-lane.ts';
import { PayeeLanes } from './payee-lanes.ts';
import { type PayeeDraft, PayeeTicks } from './payee-ticks.ts';
import type { ChannelInfo, ChannelView } from './ports.ts';
import { bookKey, type EndingRecord, endingRecord } from './records.ts';
import { checkVoucher, type VoucherCheckParts } from './voucher-check.ts';
import { covers, type VoucherSigner, voucherSigner, voucherSignerLate } from './voucher-signer.ts';

/** Parts of a payee's book. */
export interface PayeeBookParts {
  readonly suite: Suite;
  readonly verifier: Verifier;
  readonly clock: Clock;
  /** The book has this store for itself. */
  readonly store: Store;
  /**
   * In front of the store; with it no call waits for a write to survive the end of the process. What it holds is
   * recovered by `recoverTail` before the book is opened.
   */
  readonly tail?: Tail;
  readonly channels: ChannelView;
  readonly network: string;
  /** The operator's key, which signs charges. The book gathers ticks itself: a signer that defers to a microtask is fastest. */
  readonly operator: TickSigner;
  /** The lane that this book serves, drawn by `openPayeeRun`. Default 0. */
  readonly lane?: number;
  /** Calls that a host has kept across a restart and will still charge. Default: none. */
  readonly kept?: { has(callId: Id): boolean };
  /** Runs a function at the end of the tick. Default: the end of the turn, before what it signs. */
  readonly defer?: (run: () => void) => void;
}

/** Options of a payee's book. */
export interface PayeeBookOptions {
  /** Calls' worth of service that may run ahead of the disk for a known payer. Default 4; 0 waits always. */
  readonly creditCalls: number;
  /** To how many calls that credit grows, by one for every `creditReceipts` receipts of the channel. Default 256. */
  readonly creditCallsMax: number;
  /** Default 4. */
  readonly creditReceipts: number;
  /** Receipts on a channel from which on its payer is known. Default 3; before, the credit is 0. */
  readonly knownAfterReceipts: number;
  /** Endings kept per channel, the last ones, to be returned again. Default 65,536. */
  readonly endingsKept: number;
}

/** Values for every option. */
export const PAYEE_BOOK_DEFAULTS: PayeeBookOptions = {
  creditCalls: 4,
  creditCallsMax: 256,
  creditReceipts: 4,
  knownAfterReceipts: 3,
  endingsKept: 65_536,
};

/** What a call asks before any work. */
export interface PayeeAdmission {
  readonly callId: Id;
  readonly payer: PublicKey;
  readonly voucher: Signed;
  readonly requestHash: Hash;
  /** The agent's own asset, which must have a place in the channel's attribution. */
  readonly agentAsset: Hash;
  /** Most that the call can cost, grains. */
  readonly amountMax: bigint;
  /** How long the reservation lasts, milliseconds. */
  readonly holdMs: number;
  /** The call was taken before a restart: neither a channel that closes nor the voucher's own end undoes that. */
  readonly taken?: boolean;
  /** Ends the wait for a channel that the ledger does not have yet (PAY-79). */
  readonly signal?: AbortSignal;
}

/** A part of a channel held for one call. Ends by `commit`, `release` or its time. */
export interface PayeeHold {
  readonly channel: Hash;
  readonly lane: number;
  /** Resolves once what is at risk beyond the credit window is on disk. */
  durable(): Promise<void>;
  /**
   * Holds up to `amountMax` in all by a voucher for the same channel, checked like the first one. Throws what `admit`
   * throws for a voucher, and `deadline-exceeded` when the hold had ended; the hold then stays as it was.
   */
  extend(more: { readonly voucher: Signed; readonly amountMax: bigint }): Promise<void>;
  /** Charges exactly `draft.amount`: `agent` signs the receipt, the operator the charge; both are kept first. */
  commit(
    draft: PayeeDraft,
    agent: TickSigner,
  ): Promise<{ readonly receipt: Signed; readonly charge: Signed }>;
  /** Ends without a charge. */
  release(): void;
}

/** The payee's book over all channels to its operator. */
export class PayeeBook {
  readonly #parts: PayeeBookParts;
  readonly #options: PayeeBookOptions;
  readonly #journal: Journal;
  readonly #lanes: PayeeLanes;
  readonly #running = new Set<string>();
  // Calls charged last, which the store may not have yet.
  readonly #ended = new Set<string>();
  readonly #ticks: PayeeTicks;
  readonly #opened: VoucherCheckParts;
  readonly #onCharge = new Set<(lane: PayeeLane) => void>();

  constructor(parts: PayeeBookParts, options: Partial<PayeeBookOptions> = {}) {
    this.#parts = parts;
    this.#options = { ...PAYEE_BOOK_DEFAULTS, ...options };
    this.#journal = new Journal(parts);
    this.#lanes = new PayeeLanes(parts, this.#journal);
    this.#opened = { ...parts, wait: new ChannelWait(parts) };
    this.#ticks = new PayeeTicks(parts, this.#journal, this.#options.endingsKept);
  }

  /** The lane that is served. */
  get lane(): number {
    return this.#parts.lane ?? 0;
  }

  /** The operator's key. */
  get payee(): PublicKey {
    return this.#parts.operator.publicKey;
  }

  /**
   * Holds a part of the voucher's channel. Refusals in this order: `voucher-invalid` (shape, network), `voucher-stale`
   * (lane), `channel-unknown`, `voucher-invalid` (other parties), `channel-closing` (also for a lane without a place), `call-conflict`, `voucher-stale`,
   * `voucher-invalid` (signature), `overloaded`, `voucher-insufficient`.
   */
  async admit(request: PayeeAdmission): Promise<PayeeHold> {
    const failure = this.#ticks.failure ?? this.#journal.failure;
    if (failure) throw failure;
    const { terms, channel } = await checkVoucher(this.#opened, request);
    const lane = await this.#lanes.of(channel.id, terms.lane, channel.payer);
    if (!lane.room.hasPlaceIn(channel)) {
      throw new SaharaError('channel-closing', { reason: 'no room for another lane', limit: LANES_MAX });
    }
    const name = toHex(request.callId);
    const ended = this.#ended.has(name) || this.#parts.store.getSync(bookKey.ending(request.callId));
    if (this.#running.has(name) || ended) {
      throw new SaharaError('call-conflict', { callId: name });
    }
    this.#running.add(name);
    try {
      await this.#accept(lane, { signed: request.voucher, terms, channel, taken: request.taken === true });
      if (!lane.hasPlaceFor(request.agentAsset)) {
        throw new SaharaError('overloaded', { what: 'assets of the channel' });
      }
      const nowMs = this.#parts.clock.monotonicMs();
      const hold: Hold = { amountMax: request.amountMax, endsAtMs: nowMs + request.holdMs };
      lane.reserve(hold, lane.availableIn(channel), nowMs);
      return this.#holdOf(lane, hold, request);
    } catch (error) {
      this.#running.delete(name);
      throw error;
    }
  }

  /**
   * This payee's word that `amount` grains may leave a channel of `payer`, for its deposit as it stands. They count as gone
   * before anybody sees it. Throws `channel-unknown`, and `funds-insufficient` when more is asked than is free.
   */
  async release(asked: {
    readonly payer: PublicKey;
    readonly channel: Hash;
    readonly amount: bigint;
  }): Promise<Signed> {
    const { channels, network, operator } = this.#parts;
    const channel = await channels.channel(asked.channel);
    const ours = channel && equalBytes(channel.payee, this.payee) && equalBytes(channel.payer, asked.payer);
    if (!ours) throw new SaharaError('channel-unknown');
    const lane = await this.#lanes.of(channel.id, this.lane, channel.payer);
    const free = lane.freeIn(channel);
    if (asked.amount > free || asked.amount === 0n) {
      throw new SaharaError('funds-insufficient', { wanted: String(asked.amount), left: String(free) });
    }
    const depositAfter = channel.deposit - asked.amount;
    lane.room.letGo(depositAfter, channel);
    this.#journal.mark(lane);
    await this.#journal.synced();
    const payload = releaseSchema.encode({
      network,
      channel: channel.id,
      depositAfter,
      sequence: channel.revision,
    });
    return operator.sign('release', payload);
  }

  /** How the call ended; `running` while it is under way; `undefined` when nothing was charged for it. */
  async endingOf(callId: Id): Promise<EndingRecord | 'running' | undefined> {
    const name = toHex(callId);
    if (this.#running.has(name)) return 'running';
    // What was charged a moment ago may be in the tail alone.
    if (this.#ended.has(name)) await this.#journal.written();
    const found = await this.#parts.store.get(bookKey.ending(callId));
    if (found !== undefined) return endingRecord.decode(found);
    // It may have ended while the store was read: that is asked for again.
    const under = this.#running.has(name) || this.#ended.has(name) || this.#parts.kept?.has(callId);
    return under === true ? 'running' : undefined;
  }

  #over(name: string): void {
    this.#running.delete(name);
    this.#ended.add(name);
    if (this.#ended.size > ENDED_REMEMBERED) this.#ended.delete(this.#ended.values().next().value as string);
  }

  /** The lanes, for questions and claims. */
  get lanes(): PayeeLanes {
    return this.#lanes;
  }

  /** Tells of every lane on which something was charged. Listeners must not throw. Returns how to stop it. */
  onCharge(listener: (lane: PayeeLane) => void): () => void {
    this.#onCharge.add(listener);
    return () => this.#onCharge.delete(listener);
  }

  /** Forces everything to disk. */
  flush(): Promise<void> {
    return this.#journal.synced();
  }

  async #accept(lane: PayeeLane, offered: OfferedVoucher): Promise<void> {
    const { signed, terms, channel, taken } = offered;
    const held = lane.voucher?.signed;
    if (held === undefined || !sameSigned(held, signed)) {
      const stale = lane.faultOf(terms);
      if (stale) throw stale;
      const found = await voucherSignerLate(this.#parts, channel, signed);
      if ('fault' in found) throw new SaharaError('voucher-invalid', { reason: found.fault });
      const { signer } = found;
      // The block that names this key as the present one may have come since the channel was read.
      if (!taken && !covers(channel, signer)) await this.#demandPresent(channel.id, signer);
      // Others may have been accepted while this signature was checked.
      const overtaken = lane.faultOf(terms);
      if (overtaken) throw overtaken;
      if (lane.accept({ signed, terms, signer })) this.#journal.mark(lane);
    }
    // What is served is served on the highest voucher, whichever was offered.
    if (!taken) await this.#demandHeld(lane, channel);
  }

  /** Throws `voucher-stale` unless the highest voucher of a lane is by a key that counts on. */
  async #demandHeld(lane: PayeeLane, channel: ChannelInfo): Promise<void> {
    const held = lane.voucher;
    if (held === undefined) return;
    if (held.signer !== undefined) {
      if (!covers(channel, held.signer)) await this.#demandPresent(channel.id, held.signer);
      return;
    }
    const found = await voucherSigner(this.#parts, channel, held.signed);
    if ('fault' in found) throw replacedKey();
    lane.know(held, found.signer);
    if (!covers(channel, found.signer)) throw replacedKey();
  }

  async #demandPresent(id: Hash, signer: VoucherSigner): Promise<void> {
    const channel = await this.#parts.channels.channel(id);
    if (channel === undefined || !covers(channel, signer)) throw replacedKey();
  }

  #holdOf(lane: PayeeLane, hold: Hold, request: PayeeAdmission): PayeeHold {
    const name = toHex(request.callId);
    return {
      channel: lane.channel,
      lane: lane.lane,
      durable: () => this.#durable(lane, hold.amountMax),
      extend: (more) => this.#extend(lane, hold, { ...more, payer: request.payer }),
      commit: async (draft, agent) => {
        const { callId, requestHash, agentAsset } = request;
        try {
          const made = { draft, agent, callId, requestHash, agentAsset };
          const ending = await this.#ticks.commit(lane, hold, made);
          this.#over(name);
          for (const listener of this.#onCharge) listener(lane);
          return ending;
        } finally {
          this.#running.delete(name);
        }
      },
      release: () => {
        lane.release(hold);
        this.#running.delete(name);
      },
    };
  }

  async #extend(
    lane: PayeeLane,
    hold: Hold,
    more: { readonly payer: PublicKey; readonly voucher: Signed; readonly amountMax: bigint },
  ): Promise<void> {
    const { terms, channel } = await checkVoucher(this.#parts, more);
    if (!equalBytes(channel.id, lane.channel) || terms.lane !== lane.lane) {
      throw new SaharaError('voucher-invalid', { reason: 'another channel than the call' });
    }
    await this.#accept(lane, { signed: more.voucher, terms, channel, taken: false });
    const nowMs = this.#parts.clock.monotonicMs();
    lane.raise(hold, more.amountMax, { deposit: lane.availableIn(channel), nowMs });
  }

  async #durable(lane: PayeeLane, amountMax: bigint): Promise<void> {
    const window = amountMax * BigInt(this.#creditCalls(lane.count));
    const atRisk = (): bigint => lane.charged + lane.reserved - lane.durableCeiling;
    // Half the window is left while the disk works, so that one call after the other never waits for it.
    if (atRisk() > 0n && atRisk() * 2n > window) void this.#sync(lane).catch(() => {});
    while (atRisk() > window && lane.durableCeiling < (lane.voucher?.terms.ceiling ?? 0n)) {
      await this.#sync(lane);
    }
  }

  #creditCalls(receipts: number): number {
    const { creditCalls, creditCallsMax, creditReceipts, knownAfterReceipts } = this.#options;
    if (receipts < knownAfterReceipts || creditCalls === 0) return 0;
    return Math.max(creditCalls, Math.min(creditCallsMax, Math.floor(receipts / creditReceipts)));
  }

  #sync(lane: PayeeLane): Promise<void> {
    if (lane.syncing) return lane.syncing;
    const ceiling = lane.voucher?.terms.ceiling ?? 0n;
    const syncing = this.#journal.synced().then(
      () => {
        lane.syncing = undefined;
        if (ceiling > lane.durableCeiling) lane.durableCeiling = ceiling;
      },
      (error: unknown) => {
        lane.syncing = undefined;
        throw error;
      },
    );
    // Nobody may be waiting; who does hears of it, and the journal refuses from here on.
    syncing.catch(() => {});
    lane.syncing = syncing;
    return syncing;
  }
}

/** A voucher with what it is taken for. */
interface OfferedVoucher extends HeldVoucher {
  readonly channel: ChannelInfo;
  /** Its call was taken before a restart. */
  readonly taken: boolean;
}

/** What a key signed that was replaced or revoked covers nothing more: its payer signs anew. */
function replacedKey(): SaharaError {
  return new SaharaError('voucher-stale', { reason: 'another key signs for this channel' });
}

/** Opens the book kept in `parts.store`. */
export function createPayeeBook(parts: PayeeBookParts, options: Partial<PayeeBookOptions> = {}): PayeeBook {
  return new PayeeBook(parts, options);
}

function sameSigned(a: Signed, b: Signed): boolean {
  return (
    equalBytes(a.payload, b.payload) &&
    equalBytes(a.signature, b.signature) &&
    a.sides === b.sides &&
    a.siblings.length === b.siblings.length &&
    a.siblings.every((sibling, i) => equalBytes(sibling, b.siblings[i] as Uint8Array))
  );
}
