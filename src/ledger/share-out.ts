/** Sharing an amount exactly: nobody gets a grain more than their part, rounded up, and every grain goes somewhere. */

/**
 * Parts of `amount` by weight, by cumulative floors: with `c_i` the sum of the weights up to the i-th and `C` that
 * of all, the i-th gets `floor(amount * c_i / C) - floor(amount * c_(i-1) / C)`. They sum to `amount`, and where
 * `amount` is at most `C`, none is above its weight. Demands a weight above 0 unless `amount` is 0.
 */
export function shareOut(amount: bigint, weights: readonly bigint[]): readonly bigint[] {
  let all = 0n;
  for (const weight of weights) all += weight;
  let sum = 0n;
  let given = 0n;
  return weights.map((weight) => {
    sum += weight;
    const until = all === 0n ? 0n : (amount * sum) / all;
    const part = until - given;
    given = until;
    return part;
  });
}
