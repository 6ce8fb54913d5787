/**
 * The arithmetic of settlement, without state: how a claim is split over the assets of a charge. It is cumulative: what
 * is credited follows from totals, not from the history of payments, and every grain goes somewhere.
 */
import { compareBytes } from '../base/bytes.ts';
import type { AssetAmount } from '../protocol/payment.ts';
import type { LanePart, LaneRecord } from './records.ts';

/** How a payment is split. */
export interface Split {
  /** The lane after it. */
  readonly lane: LaneRecord;
  /** What each asset gets now, in the order of the parts. Sums to the payment exactly. */
  readonly credits: readonly AssetAmount[];
}

/**
 * Splits `payment` over what each asset has earned but not been paid. With `o` the outstanding amounts in the
 * order of assets and `O` their sum, asset i gets `floor(payment * (o_0 + ... + o_i) / O)` less the same for i - 1:
 * never more than its `o`, and exactly `o` once all is paid. Demands `payment <= O`.
 * Undefined when an amount is lower than the lane knows.
 */
export function splitPayment(
  lane: LaneRecord,
  amounts: readonly AssetAmount[],
  payment: bigint,
): Split | undefined {
  const merged = mergeParts(lane.parts, amounts);
  if (merged === undefined) return undefined;
  let total = 0n;
  for (const part of merged) total += part.amount;
  const outstanding = total - lane.paid;
  const parts: LanePart[] = [];
  const credits: AssetAmount[] = [];
  let sum = 0n;
  let given = 0n;
  for (const part of merged) {
    sum += part.amount - part.credited;
    const until = outstanding === 0n ? 0n : (payment * sum) / outstanding;
    const amount = until - given;
    given = until;
    parts.push({ ...part, credited: part.credited + amount });
    if (amount > 0n) credits.push({ asset: part.asset, amount });
  }
  return { lane: { ...lane, paid: lane.paid + payment, total, parts }, credits };
}

/** The new amounts with what was credited before; undefined when one fell or is missing. Both lists are sorted. */
function mergeParts(
  before: readonly LanePart[],
  amounts: readonly AssetAmount[],
): readonly LanePart[] | undefined {
  const merged: LanePart[] = [];
  let next = 0;
  for (const { asset, amount } of amounts) {
    const known = before[next];
    const order = known === undefined ? 1 : compareBytes(known.asset, asset);
    if (known === undefined || order > 0) {
      merged.push({ asset, amount, credited: 0n });
      continue;
    }
    if (order < 0 || amount < known.amount) return undefined;
    merged.push({ asset, amount, credited: known.credited });
    next++;
  }
  return next === before.length ? merged : undefined;
}
