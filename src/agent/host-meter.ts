/**
 * What a call may deliver for what is covered. Pure: amounts in, bounds out. A call whose opening covers all that it
 * can cost is never looked at again; any other is metered by checkpoints, so that neither side risks more than the
 * step between two of them.
 */
import { SaharaError } from '../base/errors.ts';
import type { PriceSchedule } from '../protocol/card.ts';
import { CHECKPOINTS_MAX } from '../protocol/limits.ts';
import { chargeOf } from '../protocol/payment.ts';
import { METERED_UNITS_MIN } from './call-limits.ts';

/** What a call may cost. */
export interface MeterTerms {
  readonly price: PriceSchedule;
  readonly inputUnits: number;
  /** Most that it can cost, grains. */
  readonly amountMax: bigint;
  /** Most of it that calls below may cost, grains. */
  readonly expensesMax: bigint;
}

/** What the opening of a call must cover at least, grains. */
function coverMin({ price, inputUnits, amountMax, expensesMax }: MeterTerms): bigint {
  const least = chargeOf(price, inputUnits, METERED_UNITS_MIN) + expensesMax;
  return least < amountMax ? least : amountMax;
}

/** The meter of one paid call. */
export class Meter {
  readonly #terms: MeterTerms;
  readonly #least: bigint;
  /** What the payer puts at stake between two checkpoints, grains. */
  readonly #step: bigint;
  /** Whether the opening covers less than the call can cost. */
  readonly metered: boolean;
  #cover: bigint;
  #checkpointed: bigint;
  #checkpoints = 0;

  /** `cover`: what the opening's voucher pays for, grains. Throws `voucher-insufficient`. */
  constructor(terms: MeterTerms, cover: bigint) {
    const needed = coverMin(terms);
    if (cover < needed) {
      throw new SaharaError('voucher-insufficient', { cover: String(cover), wanted: String(needed) });
    }
    this.#terms = terms;
    this.#least = chargeOf(terms.price, terms.inputUnits, 0);
    this.#cover = cover < terms.amountMax ? cover : terms.amountMax;
    // What calls below may cost is covered before any is made, and no part of what goes from step to step.
    this.#step = this.#cover - this.#least - terms.expensesMax;
    this.#checkpointed = this.#least;
    this.metered = this.#cover < terms.amountMax;
  }

  /** What is covered, grains; never above what the call can cost. */
  get cover(): bigint {
    return this.#cover;
  }

  /** Covers up to `cover` from now on; less than before changes nothing. */
  raise(cover: bigint): void {
    const most = cover < this.#terms.amountMax ? cover : this.#terms.amountMax;
    if (most > this.#cover) this.#cover = most;
  }

  /** What so much costs, grains. */
  amount(units: number, expenses: bigint): bigint {
    return chargeOf(this.#terms.price, this.#terms.inputUnits, units) + expenses;
  }

  /** Units of text that the cover pays for beside all that calls below may cost. */
  get unitsPaid(): number {
    const { price, expensesMax } = this.#terms;
    if (!this.metered || price.perOutputUnit === 0n) return Number.POSITIVE_INFINITY;
    return Number((this.#cover - this.#least - expensesMax) / price.perOutputUnit);
  }

  /** Whether the budget has `amount` left beside `expenses`. Throws `budget-exceeded`. */
  checkBudget(amount: bigint, expenses: bigint): void {
    const left = this.#terms.expensesMax - expenses;
    if (amount > left)
      throw new SaharaError('budget-exceeded', { wanted: String(amount), left: String(left) });
  }

  /** Whether a checkpoint is due at `amount`. The spacing grows so that they last for all that is left. */
  due(amount: bigint): boolean {
    if (!this.metered || this.spent || !this.open(amount)) return false;
    const half = (this.#step + 1n) / 2n;
    const left = this.#terms.amountMax - this.#checkpointed;
    const even = ceilDiv(left, BigInt(CHECKPOINTS_MAX - this.#checkpoints));
    return amount - this.#checkpointed >= (half > even ? half : even);
  }

  /** Whether something was delivered since the last checkpoint. */
  open(amount: bigint): boolean {
    return amount > this.#checkpointed;
  }

  /** Whether the call has had all its checkpoints. */
  get spent(): boolean {
    return this.#checkpoints >= CHECKPOINTS_MAX;
  }

  /** Counts a checkpoint at `amount` and answers its place, from 0. */
  checkpoint(amount: bigint): number {
    this.#checkpointed = amount;
    return this.#checkpoints++;
  }

  /** Goes on after a restart from checkpoint `sequence` at `amount`. */
  restore(sequence: number, amount: bigint): void {
    this.#checkpoints = sequence + 1;
    this.#checkpointed = amount;
  }
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}
