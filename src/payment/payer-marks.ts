/**
 * Marks above every ceiling and sequence that may be signed (PAY-33), written ahead for many calls at once, so that
 * neither a call nor a top-up waits for the disk.
 */
import { point } from '../base/points.ts';
import type { Journal } from './journal.ts';
import type { PayerLane } from './payer-lane.ts';

/** The marks of a payer's lanes. */
export class PayerMarks {
  readonly #journal: Journal;
  readonly #calls: number;

  /** `calls`: how many calls, or top-ups, one forced write reserves marks for. */
  constructor(journal: Journal, calls: number) {
    this.#journal = journal;
    this.#calls = calls;
  }

  /** Whether a voucher for `amount` grains more stays inside marks that are on disk. */
  cover(lane: PayerLane, amount: bigint): boolean {
    const { ceiling, sequence } = lane.next(amount);
    return ceiling <= lane.marks.ceiling && sequence <= lane.marks.sequence;
  }

  /** Begins to write higher marks when half of those ahead are used; `amount` is what one call may need, grains. */
  keepAhead(lane: PayerLane, deposit: bigint, amount: bigint): void {
    const half = this.#calls >> 1;
    const ahead = lane.next(amount * BigInt(half));
    const low = ahead.sequence + half > lane.marks.sequence;
    const deposited = lane.marks.ceiling < deposit && ahead.ceiling > lane.marks.ceiling;
    // Who needs them waits for them, and hears of a failure.
    if ((low || deposited) && !lane.marking) void this.write(lane, deposit, amount).catch(() => {});
  }

  /** Writes higher marks; resolves when they are on disk. Never above the deposit, grains. */
  write(lane: PayerLane, deposit: bigint, amount: bigint): Promise<void> {
    if (lane.marking) return lane.marking;
    const next = lane.next(amount * BigInt(this.#calls));
    lane.wanted = {
      ceiling: next.ceiling < deposit ? next.ceiling : deposit,
      sequence: next.sequence + this.#calls,
    };
    this.#journal.mark(lane);
    const { wanted } = lane;
    lane.marking = this.#journal.synced().then(
      () => {
        point('payer:marked');
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
}
