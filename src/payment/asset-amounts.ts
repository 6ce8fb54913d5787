/** Cumulative amounts of assets, sorted by asset: the attribution of a lane as it grows. */
import { compareBytes, toHex } from '../base/bytes.ts';
import type { Hash } from '../protocol/ids.ts';
import type { AssetAmount, ReceiptShare } from '../protocol/payment.ts';

/** Where `asset` stands in sorted amounts, if it does. */
export function placeOf(amounts: readonly AssetAmount[], asset: Hash): number | undefined {
  let low = 0;
  let high = amounts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = compareBytes((amounts[middle] as AssetAmount).asset, asset);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

/** `amounts` raised by `shares`, still sorted; a new array, so that a statement under way keeps its own. */
export function addShares(
  amounts: readonly AssetAmount[],
  shares: readonly ReceiptShare[],
  changed: Map<string, AssetAmount>,
): readonly AssetAmount[] {
  const raised = [...amounts];
  for (const { asset, amount } of shares) {
    if (amount === 0n) continue;
    const at = placeOf(raised, asset);
    const entry = { asset, amount: (at === undefined ? 0n : (raised[at] as AssetAmount).amount) + amount };
    if (at !== undefined) raised[at] = entry;
    else raised.splice(insertAt(raised, asset), 0, entry);
    changed.set(toHex(asset), entry);
  }
  return raised;
}

function insertAt(amounts: readonly AssetAmount[], asset: Hash): number {
  const at = amounts.findIndex((entry) => compareBytes(entry.asset, asset) > 0);
  return at < 0 ? amounts.length : at;
}
