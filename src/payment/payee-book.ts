/**
 * The payee's side of channels. A call is admitted against the highest voucher of its channel, holds a part of
 * the balance while it runs, and ends in a receipt and a charge that are signed and kept before anyone sees them.
 * What commits in one tick shares one charge, one signature of each key and one batch on disk; the vouchers of
 * that moment, the receipt tree and the amounts per asset are in the same batch, so a crash finds either all of
 * it or nothing.
 */
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, invariant, SaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { Tail } from '../base/tail.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import {
  attributionRoot,
  charge as chargeSchema,
  type Receipt,
  receipt as receiptSchema,
} from '../protocol/payment.ts';
import type { Signed, TickSigner, Verifier } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import { Journal } from './journal.ts';
import type { HeldVoucher, Hold, PayeeLane } from './payee-lane.ts';
import { PayeeLanes } from './payee-lanes.ts';
import type { ChannelView } from './ports.ts';
import { bookKey, type EndingRecord, endingRecord } from './records.ts';
import { checkVoucher } from './voucher-check.ts';

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
  /** Runs a function at the end of the tick. Default: `setImmediate`. */
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
}

/** A receipt without what the book adds: its channel, lane and place among the lane's receipts. */
export type PayeeDraft = Omit<Receipt, 'channel' | 'lane' | 'sequence'>;

/** A part of a channel held for one call. Ends by `commit`, `release` or its time. */
export interface PayeeHold {
  readonly channel: Hash;
  readonly lane: number;
  /** Resolves once what is at risk beyond the credit window is on disk. */
  durable(): Promise<void>;
  /** Charges exactly `draft.amount`: `agent` signs the receipt, the operator the charge; both are kept first. */
  commit(
    draft: PayeeDraft,
    agent: TickSigner,
  ): Promise<{ readonly receipt: Signed; readonly charge: Signed }>;
  /** Ends without a charge. */
  release(): void;
}

interface Commit {
  readonly callId: Id;
  readonly sequence: number;
  readonly agent: PublicKey;
  readonly requestHash: Hash;
  readonly receipt: Promise<Signed>;
}

interface Tick {
  readonly commits: Commit[];
  readonly charge: Promise<Signed>;
}

interface Running {
  readonly payer: PublicKey;
  readonly requestHash: Hash;
}

/** The payee's book over all channels to its operator. */
export class PayeeBook {
  readonly #parts: PayeeBookParts;
  readonly #options: PayeeBookOptions;
  readonly #journal: Journal;
  readonly #lanes: PayeeLanes;
  readonly #running = new Map<string, Running>();
  readonly #ticks = new Map<PayeeLane, Tick>();
  readonly #completions = new Map<PayeeLane, Promise<void>>();
  #failure: SaharaError | undefined;

  constructor(parts: PayeeBookParts, options: Partial<PayeeBookOptions> = {}) {
    this.#parts = parts;
    this.#options = { ...PAYEE_BOOK_DEFAULTS, ...options };
    this.#journal = new Journal(parts);
    this.#lanes = new PayeeLanes(parts, this.#journal);
  }

  /** The operator's key. */
  get payee(): PublicKey {
    return this.#parts.operator.publicKey;
  }

  /**
   * Holds a part of the voucher's channel. Refusals in this order: `voucher-invalid` (shape, network, lane),
   * `channel-unknown`, `voucher-invalid` (other parties), `channel-closing`, `call-conflict`, `voucher-stale`,
   * `voucher-invalid` (signature), `overloaded`, `voucher-insufficient`.
   */
  async admit(request: PayeeAdmission): Promise<PayeeHold> {
    const failure = this.#failure ?? this.#journal.failure;
    if (failure) throw failure;
    const { terms, channel } = await checkVoucher(this.#parts, request);
    const lane = await this.#lanes.of(channel.id, terms.lane, channel.payer);
    const name = toHex(request.callId);
    if (this.#running.has(name) || this.#parts.store.getSync(bookKey.ending(request.callId)) !== undefined) {
      throw new SaharaError('call-conflict', { callId: name });
    }
    this.#running.set(name, { payer: request.payer, requestHash: request.requestHash });
    try {
      await this.#accept(lane, { signed: request.voucher, terms });
      if (!lane.hasPlaceFor(request.agentAsset)) {
        throw new SaharaError('overloaded', { what: 'assets of the channel' });
      }
      const nowMs = this.#parts.clock.monotonicMs();
      const hold: Hold = { amountMax: request.amountMax, endsAtMs: nowMs + request.holdMs };
      lane.reserve(hold, channel.deposit, nowMs);
      return this.#holdOf(lane, hold, request);
    } catch (error) {
      this.#running.delete(name);
      throw error;
    }
  }

  /** How the call ended; `running` while it is under way; `undefined` when nothing was charged for it. */
  async endingOf(callId: Id): Promise<EndingRecord | 'running' | undefined> {
    const found = await this.#parts.store.get(bookKey.ending(callId));
    if (found !== undefined) return endingRecord.decode(found);
    return this.#running.has(toHex(callId)) ? 'running' : undefined;
  }

  /** The lanes, for questions and claims. */
  get lanes(): PayeeLanes {
    return this.#lanes;
  }

  /** Forces everything to disk. */
  flush(): Promise<void> {
    return this.#journal.synced();
  }

  async #accept(lane: PayeeLane, offered: HeldVoucher): Promise<void> {
    const held = lane.voucher?.signed;
    if (held !== undefined && sameSigned(held, offered.signed)) return;
    const stale = lane.faultOf(offered.terms);
    if (stale) throw stale;
    const { network, verifier } = this.#parts;
    const fault = await verifier.check(network, 'voucher', lane.payer, offered.signed);
    if (fault) throw new SaharaError('voucher-invalid', { reason: fault });
    // Others may have been accepted while this signature was checked.
    const overtaken = lane.faultOf(offered.terms);
    if (overtaken) throw overtaken;
    if (lane.accept(offered)) this.#journal.mark(lane);
  }

  #holdOf(lane: PayeeLane, hold: Hold, request: PayeeAdmission): PayeeHold {
    const name = toHex(request.callId);
    return {
      channel: lane.channel,
      lane: lane.lane,
      durable: () => this.#durable(lane, hold.amountMax),
      commit: async (draft, agent) => {
        try {
          return await this.#commit(lane, hold, { draft, agent, request });
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

  async #commit(
    lane: PayeeLane,
    hold: Hold,
    call: { readonly draft: PayeeDraft; readonly agent: TickSigner; readonly request: PayeeAdmission },
  ): Promise<{ readonly receipt: Signed; readonly charge: Signed }> {
    const { draft, agent, request } = call;
    const sequence = lane.count;
    const shares = lane.fold(draft.shares, request.agentAsset);
    const payload = receiptSchema.encode({
      ...draft,
      shares,
      channel: lane.channel,
      lane: lane.lane,
      sequence,
    });
    lane.commit(hold, { payload, amount: draft.amount, shares, agent: draft.agent });
    const receipt = agent.sign('receipt', payload);
    const { callId, requestHash } = request;
    const tick = this.#tickOf(lane);
    tick.commits.push({ callId, sequence, requestHash, receipt, agent: draft.agent });
    const charge = await tick.charge;
    return { receipt: await receipt, charge };
  }

  #tickOf(lane: PayeeLane): Tick {
    const gathering = this.#ticks.get(lane);
    if (gathering) return gathering;
    const commits: Commit[] = [];
    const charge = new Promise<Signed>((resolve, reject) => {
      const defer = this.#parts.defer ?? setImmediate;
      defer(() => {
        this.#ticks.delete(lane);
        this.#state(lane, commits).then(resolve, (error: unknown) => {
          this.#failure ??= asSaharaError(error);
          reject(error);
        });
      });
    });
    const tick = { commits, charge };
    this.#ticks.set(lane, tick);
    return tick;
  }

  /** Signs the statement over everything charged so far and keeps it with the endings that it covers. */
  async #state(lane: PayeeLane, commits: readonly Commit[]): Promise<Signed> {
    const { suite, network, operator } = this.#parts;
    const root = lane.statementRoot();
    const { tree, amounts } = lane.state;
    const agents = lane.agentOperations(commits.map((commit) => commit.agent));
    const payload = chargeSchema.encode({
      network,
      channel: lane.channel,
      lane: lane.lane,
      total: root.sum,
      sequence: tree.count,
      receiptRoot: root.hash,
      attributionRoot: attributionRoot(suite, amounts),
    });
    const before = this.#completions.get(lane);
    const complete = async (): Promise<Signed> => {
      const [charge, ...receipts] = await Promise.all([
        operator.sign('charge', payload),
        ...commits.map((commit) => commit.receipt),
      ]);
      await before;
      const operations = [...agents, ...this.#endings(lane, commits, { charge, receipts })];
      lane.complete({ tree, amounts, charge, operations });
      this.#journal.mark(lane);
      return charge;
    };
    const completed = complete();
    const done = completed.then(() => {});
    this.#completions.set(lane, done);
    const charge = await completed;
    if (this.#completions.get(lane) === done) this.#completions.delete(lane);
    const securing = this.#journal.secure();
    if (securing !== undefined) await securing;
    return charge;
  }

  #endings(
    lane: PayeeLane,
    commits: readonly Commit[],
    signed: { readonly charge: Signed; readonly receipts: readonly Signed[] },
  ): StoreOperation[] {
    const operations: StoreOperation[] = [];
    commits.forEach(({ callId, sequence, requestHash }, i) => {
      const receipt = signed.receipts[i];
      invariant(receipt, 'every commit has its receipt');
      const value = endingRecord.encode({
        channel: lane.channel,
        lane: lane.lane,
        sequence,
        payer: lane.payer,
        requestHash,
        receipt,
        charge: signed.charge,
      });
      operations.push({ type: 'put', key: bookKey.ending(callId), value });
      operations.push({ type: 'put', key: bookKey.order(lane.channel, lane.lane, sequence), value: callId });
      this.#forget(lane, sequence - this.#options.endingsKept, operations);
    });
    return operations;
  }

  #forget(lane: PayeeLane, sequence: number, into: StoreOperation[]): void {
    if (sequence < 0) return;
    const key = bookKey.order(lane.channel, lane.lane, sequence);
    const callId = this.#parts.store.getSync(key);
    if (callId === undefined) return;
    into.push({ type: 'del', key }, { type: 'del', key: bookKey.ending(callId) });
  }
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
