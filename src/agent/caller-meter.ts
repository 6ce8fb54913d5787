/**
 * What a caller puts at stake. A call is covered whole where that is little, or where the payee is known well;
 * otherwise step by step: each checkpoint of the agent is held against what came, and only then is more covered, at
 * most one step above what was checked. The stream goes on meanwhile.
 */
import { equalBytes } from '../base/bytes.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { point } from '../base/points.ts';
import { CALL_FRAME } from '../protocol/call.ts';
import { type Checkpoint, callVoucher, checkpoint as checkpointSchema } from '../protocol/checkpoint.ts';
import type { Hash, Id, PublicKey } from '../protocol/ids.ts';
import { CHECKPOINTS_MAX } from '../protocol/limits.ts';
import { chargeOf } from '../protocol/payment.ts';
import { type Signed, signed as signedSchema, type Verifier } from '../protocol/signing.ts';
import { METERED_UNITS_MIN } from './call-limits.ts';
import type { CallerShared } from './caller.ts';
import { checkChild } from './caller-check.ts';
import { FAULTS } from './caller-limits.ts';
import type { CallPrice } from './caller-opening.ts';
import type { Incoming } from './incoming.ts';
import type { CallFrame, PayerLease } from './ports.ts';

/** What a call may cost in the end, grains. */
export interface Stake {
  readonly priceMax: bigint;
  readonly least: bigint;
  readonly perOutputUnit: bigint;
  /** Of `priceMax`, what calls below may cost: each is due at once. */
  readonly below: bigint;
}

/** How much of a call its opening covers, grains. */
export function coverOf({ parts, options }: CallerShared, payee: PublicKey, stake: Stake): bigint {
  const { priceMax, perOutputUnit } = stake;
  const least = stake.least + stake.below;
  const atStake = priceMax - least;
  if (parts.payer === undefined || atStake <= options.stepAmount) return priceMax;
  const { receipts, paid } = parts.payer.standing(payee);
  const trusted = receipts >= options.trustReceipts ? paid : 0n;
  const units = BigInt(Math.max(options.stepUnits, METERED_UNITS_MIN)) * perOutputUnit;
  const step = [options.stepAmount, trusted, units].reduce((most, one) => (one > most ? one : most));
  return step < atStake ? least + step : priceMax;
}

/** What is said of a checkpoint that was checked. */
export interface CheckedCheckpoint {
  readonly amount: bigint;
  readonly outputUnits: number;
  /** What is covered from now on, grains. */
  readonly cover: bigint;
}

/** Parts of a meter. */
export interface CallerMeterParts {
  readonly network: string;
  readonly verifier: Verifier;
  readonly callId: Id;
  readonly agent: PublicKey;
  /** Who runs the agent. */
  readonly operator: PublicKey;
  readonly price: CallPrice;
  readonly priceMax: bigint;
  /** What the opening covered, grains. */
  readonly opened: bigint;
  /** What is covered now: more than `opened` where the call is gone on with after a restart. */
  readonly cover: bigint;
  /** The call began in another process, which may have covered more than is known here. */
  readonly recalled: boolean;
  readonly lease: PayerLease;
  /** What came so far. */
  readonly incoming: () => Incoming;
  /** Sends a frame on the stream of the moment; one that is broken takes it in vain. */
  readonly send: (frame: CallFrame) => void;
  readonly checked: (checkpoint: CheckedCheckpoint) => void;
  /** A checkpoint that does not hold (`answer-invalid`), or money that is not there: nothing more is covered. */
  readonly failed: (error: SaharaError) => void;
}

/** The meter of one paid call at its caller. */
export class CallerMeter {
  readonly #parts: CallerMeterParts;
  readonly #channel: Hash;
  readonly #step: bigint;
  /** Whether the opening covered less than the call can cost. */
  readonly metered: boolean;
  #cover: bigint;
  #voucher: Signed | undefined;
  // What the last resumption said to be covered.
  #told = 0n;
  #toppedUp = false;
  #last: { readonly sequence: number; readonly signed: Signed; readonly stated: Checkpoint } | undefined;
  // Checked and in order from 0; a call that goes on after a restart has lost the first.
  #kept: Signed[] = [];
  #leap = false;
  #childrenChecked = 0;
  #work: Promise<void> | undefined;
  #fault: SaharaError | undefined;
  #stopped = false;

  constructor(parts: CallerMeterParts) {
    this.#parts = parts;
    this.#channel = parts.lease.channel;
    this.#step = parts.opened - parts.price.least;
    this.metered = parts.opened < parts.priceMax;
    this.#cover = parts.cover;
    this.#voucher = parts.lease.voucher;
    this.#toppedUp = parts.recalled && parts.lease.voucher !== undefined;
    this.#leap = parts.recalled;
  }

  /** What is covered, grains. */
  get cover(): bigint {
    return this.#cover;
  }

  /** What a resumption says of the money: what is covered, and the last voucher, absent for a call settled before. */
  tell(): { readonly cover: bigint; readonly voucher: Signed | undefined } {
    this.#told = this.#cover;
    return { cover: this.#cover, voucher: this.#voucher };
  }

  /** The stream of that resumption is the one of the call now: what was covered since then is told over it. */
  joined(): void {
    if (this.#voucher === undefined || this.#cover <= this.#told) return;
    this.#told = this.#cover;
    this.#send(this.#cover, this.#voucher);
  }

  /** The last voucher, if the opening's is not the last. */
  get topUp(): Signed | undefined {
    return this.#toppedUp ? this.#voucher : undefined;
  }

  /** The checkpoints that were checked, from the first on without a gap. */
  get checkpoints(): readonly Signed[] {
    return this.#kept;
  }

  /** Deliveries that the last checkpoint covers: both sides have kept so many. */
  get kept(): number {
    return this.#last?.stated.deliveries ?? 0;
  }

  /** The stream was replaced: checkpoints may have been lost with the old one, and the last one may come again. */
  leap(): void {
    this.#leap = true;
  }

  /** What does not hold of the checkpoints that came, if anything. */
  get fault(): SaharaError | undefined {
    return this.#fault;
  }

  /** Covers nothing more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Resolves when every checkpoint that came was checked; `undefined` when there is nothing to wait for. */
  settled(): Promise<void> | undefined {
    return this.#work;
  }

  /** Takes a checkpoint. Throws `answer-invalid` or `malformed` for one that is not what came. */
  take(view: Uint8Array): void {
    const signed = signedSchema.decode(view.slice());
    const stated = checkpointSchema.decode(signed.payload);
    if (!this.metered) throw invalid('not asked for');
    if (this.#repeats(stated, signed)) return;
    this.#check(stated);
    this.#last = { sequence: stated.sequence, signed, stated };
    this.#leap = false;
    const before = this.#work;
    this.#work = before ? before.then(() => this.#confirm(stated, signed)) : this.#confirm(stated, signed);
  }

  /** A stream that replaces another begins with the last checkpoint, which may be known. */
  #repeats({ sequence }: Checkpoint, { payload }: Signed): boolean {
    if (!this.#leap || sequence !== this.#last?.sequence) return false;
    if (!equalBytes(payload, this.#last.signed.payload)) throw invalid('two for one number', { sequence });
    return true;
  }

  #check(stated: Checkpoint): void {
    const { network, callId, price } = this.#parts;
    const { sequence, deliveries, amount } = stated;
    const next = this.#last === undefined ? 0 : this.#last.sequence + 1;
    if (this.#leap ? sequence < next : sequence !== next) throw invalid('out of order', { sequence });
    if (sequence >= CHECKPOINTS_MAX) throw invalid('too many', { sequence });
    if (stated.network !== network) throw invalid('of another network');
    if (!equalBytes(stated.callId, callId)) throw invalid('of another call');
    if (!equalBytes(stated.channel, this.#channel)) throw invalid('of another channel');
    const standing = this.#parts.incoming().standing(deliveries);
    if (standing === undefined || deliveries < (this.#last?.stated.deliveries ?? 0)) {
      throw invalid('over other deliveries', { deliveries });
    }
    if (!equalBytes(stated.chain, standing.chain)) throw invalid('over another answer', { deliveries });
    if (stated.inputUnits !== price.inputUnits) throw invalid('counts another question');
    if (stated.outputUnits !== standing.outputUnits) throw invalid('counts other units');
    if (stated.expenses !== standing.expenses) throw invalid('counts other calls');
    const due = chargeOf(price.price, stated.inputUnits, stated.outputUnits) + stated.expenses;
    if (amount !== due) throw invalid('of another amount', { amount: String(amount), due: String(due) });
    // The first one after a restart tells how much the call was covered before.
    const most = this.#parts.recalled && this.#last === undefined ? this.#parts.priceMax : this.#cover;
    if (amount > most) throw invalid('beyond what is covered', { amount: String(amount) });
  }

  async #confirm(stated: Checkpoint, signed: Signed): Promise<void> {
    if (this.#stopped) return;
    const { network, agent, verifier } = this.#parts;
    try {
      const fault = await verifier.check(network, 'checkpoint', agent, signed);
      if (fault) throw invalid(fault);
      await this.#checkChildren();
      point('caller:checkpoint');
      if (stated.sequence === this.#kept.length) this.#kept.push(signed);
      await this.#coverAbove(stated.amount);
      this.#parts.checked({ amount: stated.amount, outputUnits: stated.outputUnits, cover: this.#cover });
    } catch (error) {
      const failure = asSaharaError(error);
      this.#stopped = true;
      if (FAULTS.has(failure.code)) this.#fault = failure;
      this.#parts.failed(failure);
    }
  }

  /** What calls below cost counts only once they are proved. */
  async #checkChildren(): Promise<void> {
    const { children } = this.#parts.incoming().answer;
    const fresh = children.slice(this.#childrenChecked);
    await Promise.all(fresh.map((child) => checkChild(this.#parts, child, this.#parts)));
    this.#childrenChecked += fresh.length;
  }

  async #coverAbove(amount: bigint): Promise<void> {
    const { priceMax, lease } = this.#parts;
    const wanted = amount + this.#step < priceMax ? amount + this.#step : priceMax;
    if (this.#stopped || wanted <= this.#cover) return;
    const voucher = await lease.raise(wanted);
    point('caller:raised');
    this.#cover = wanted;
    this.#voucher = voucher;
    this.#toppedUp = true;
    this.#send(wanted, voucher);
    point('caller:covered');
  }

  #send(cover: bigint, voucher: Signed): void {
    this.#parts.send({ kind: CALL_FRAME.voucher, body: callVoucher.encode({ cover, voucher }) });
  }
}

function invalid(reason: string, facts: Readonly<Record<string, string | number>> = {}): SaharaError {
  return new SaharaError('answer-invalid', { what: 'checkpoint', reason, ...facts });
}
