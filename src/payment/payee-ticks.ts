/**
 * Charging, tick by tick: what commits in one tick of a lane shares one charge and one signature of each key, and is
 * kept with the receipts that it covers in one batch before anyone sees it.
 */
import { asSaharaError, invariant, type SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import { deferTo } from '../base/turn.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import {
  attributionRoot,
  charge as chargeSchema,
  type Receipt,
  receipt as receiptSchema,
} from '../protocol/payment.ts';
import type { Signed, TickSigner } from '../protocol/signing.ts';
import type { Suite } from '../protocol/suite.ts';
import type { Journal } from './journal.ts';
import type { Hold, PayeeLane } from './payee-lane.ts';
import { bookKey, endingRecord } from './records.ts';

/** A receipt without what the book adds: its channel, lane and place among the lane's receipts. */
export type PayeeDraft = Omit<Receipt, 'channel' | 'lane' | 'sequence'>;

/** Parts of the ticks of a book. */
export interface PayeeTicksParts {
  readonly suite: Suite;
  readonly store: Store;
  readonly network: string;
  /** The operator's key, which signs charges. */
  readonly operator: TickSigner;
  /** Runs a function at the end of the tick. Default: the end of the turn, before what it signs. */
  readonly defer?: (run: () => void) => void;
}

/** One call's part of a tick. */
export interface TickCall {
  readonly draft: PayeeDraft;
  /** Signs the receipt. */
  readonly agent: TickSigner;
  readonly callId: Id;
  readonly requestHash: Hash;
  readonly agentAsset: Hash;
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

/** Charges calls of all lanes. */
export class PayeeTicks {
  readonly #parts: PayeeTicksParts;
  readonly #journal: Journal;
  readonly #endingsKept: number;
  readonly #ticks = new Map<PayeeLane, Tick>();
  readonly #completions = new Map<PayeeLane, Promise<void>>();
  #failure: SaharaError | undefined;

  /** `endingsKept`: endings kept per lane, the last ones. */
  constructor(parts: PayeeTicksParts, journal: Journal, endingsKept: number) {
    this.#parts = parts;
    this.#journal = journal;
    this.#endingsKept = endingsKept;
  }

  /** Why nothing is charged any more, if so. */
  get failure(): SaharaError | undefined {
    return this.#failure;
  }

  /** Ends `hold` by a receipt. Resolves once receipt and charge are kept. Throws `deadline-exceeded`. */
  async commit(
    lane: PayeeLane,
    hold: Hold,
    call: TickCall,
  ): Promise<{ readonly receipt: Signed; readonly charge: Signed }> {
    const { draft, agent, callId, requestHash } = call;
    const sequence = lane.count;
    const shares = lane.fold(draft.shares, call.agentAsset);
    const payload = receiptSchema.encode({
      ...draft,
      shares,
      channel: lane.channel,
      lane: lane.lane,
      sequence,
    });
    lane.commit(hold, { payload, amount: draft.amount, shares, agent: draft.agent });
    point('payee:counted');
    const receipt = agent.sign('receipt', payload);
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
      const defer = this.#parts.defer ?? deferTo('gather');
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
      point('payee:signed');
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
    point('payee:secured');
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
      this.#forget(lane, sequence - this.#endingsKept, operations);
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
