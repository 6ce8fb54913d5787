import { compareBytes } from '../../base/bytes.ts';
import { invariant } from '../../base/errors.ts';

/**
 * Divides `total` in proportion to `weights` into integers that sum to exactly `total` (largest remainder, Hamilton):
 * everyone gets the floor of the quota, and what is left goes one by one to the largest remainders, equal ones in
 * the order given. All zero when every weight is zero and `total` is zero; at least one weight must be positive otherwise.
 */
export function apportion(total: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((all, weight) => all + weight, 0n);
  if (total === 0n) return weights.map(() => 0n);
  invariant(sum > 0n && weights.every((weight) => weight >= 0n), 'weights to divide by');
  const shares = weights.map((weight) => (total * weight) / sum);
  const left = Number(total - shares.reduce((all, share) => all + share, 0n));
  const remainders = weights.map((weight, index) => ({ index, remainder: (total * weight) % sum }));
  // A sort is stable: equal remainders keep their order.
  remainders.sort((a, b) => (a.remainder === b.remainder ? 0 : a.remainder > b.remainder ? -1 : 1));
  for (const { index } of remainders.slice(0, left)) shares[index] = (shares[index] ?? 0n) + 1n;
  return shares;
}

/** Someone's part, in millionths. */
export interface PpmShare {
  /** Asset that earns it, 32 bytes. */
  readonly asset: Uint8Array;
  readonly ppm: number;
}

/**
 * What each share of a charge is in grains, in the order given: integers that sum to exactly `amount`. Grains that do
 * not divide go to the largest remainders, equal ones by the bytes of their asset and then in the order given.
 */
export function splitCharge(amount: bigint, shares: readonly PpmShare[]): bigint[] {
  const order = [...shares.keys()].sort((a, b) => compareAssets(shares[a], shares[b]) || a - b);
  const parts = apportion(
    amount,
    order.map((index) => BigInt(shares[index]?.ppm ?? 0)),
  );
  const amounts: bigint[] = new Array(shares.length).fill(0n);
  for (const [position, index] of order.entries()) amounts[index] = parts[position] ?? 0n;
  return amounts;
}

function compareAssets(a: PpmShare | undefined, b: PpmShare | undefined): number {
  return a === undefined || b === undefined ? 0 : compareBytes(a.asset, b.asset);
}
