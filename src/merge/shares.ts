/**
 * Who made how much of a merge. Every tensor's update is a sum of contributions, `delta = sum c_i`. With the value of
 * a set of parents `v(S) = |sum_S c_i|^2`, the Shapley value of a parent is `phi_i = <c_i, delta>`: it sums to the
 * whole, gives nothing for nothing, and cutting a parent into several changes nothing. It is quadratic: a merge of
 * 0.6 and 0.4 of orthogonal deltas of one size is shared 0.69 to 0.31. Shapley 1953.
 */

/** What one tensor's merge says about its parents. */
export interface TensorContributions {
  /** For each contribution, the parent it comes from. */
  readonly parents: readonly number[];
  /** Inner products of the contributions, row by row. */
  readonly gram: readonly number[];
  /** Squared norm of the base tensor, or 0 without one. */
  readonly baseNorm: number;
}

/** One parent's part in a merge. */
export interface ParentShare {
  /** What it is paid by, in parts per million; all parents' sum is exactly 1,000,000. */
  readonly sharePpm: number;
  /** Part of the summed Shapley values; negative for a parent that pulled against the result. */
  readonly shapley: number;
  /** The same with every tensor weighing what its squared update weighs, not relative to the base. */
  readonly shapleyAbsolute: number;
  /** Part of the summed lengths of the contributions; does change when a parent is cut up, so only for comparison. */
  readonly normShare: number;
}

/** The whole in parts per million. */
export const PPM: number = 1_000_000;

/**
 * The shares of `count` parents. Tensors weigh by their update relative to the base, `1 / |theta_0|^2`; where no
 * tensor has a base, by the update itself. Negative values count as 0; when nothing is left, all parents count alike.
 */
export function shareOut(count: number, tensors: readonly TensorContributions[]): ParentShare[] {
  const relative: number[] = new Array(count).fill(0);
  const absolute: number[] = new Array(count).fill(0);
  const lengths: number[] = new Array(count).fill(0);
  const based = tensors.some(({ baseNorm }) => baseNorm > 0);
  for (const tensor of tensors) {
    const { parents, gram, baseNorm } = tensor;
    const weight = based ? (baseNorm > 0 ? 1 / baseNorm : 0) : 1;
    parents.forEach((parent, i) => {
      const row = gram.slice(i * parents.length, (i + 1) * parents.length);
      const value = row.reduce((sum, each) => sum + each, 0);
      relative[parent] = (relative[parent] ?? 0) + weight * value;
      absolute[parent] = (absolute[parent] ?? 0) + value;
      lengths[parent] = (lengths[parent] ?? 0) + Math.sqrt(Math.max(0, row[i] ?? 0));
    });
  }
  const ppm = toPpm(relative);
  const shapley = normalise(relative);
  const shapleyAbsolute = normalise(absolute);
  const norms = normalise(lengths);
  return ppm.map((sharePpm, i) => ({
    sharePpm,
    shapley: shapley[i] ?? 0,
    shapleyAbsolute: shapleyAbsolute[i] ?? 0,
    normShare: norms[i] ?? 0,
  }));
}

/** `values` as parts per million that sum to exactly 1,000,000: largest remainders, the first of equal ones. */
export function toPpm(values: readonly number[]): number[] {
  const positive = values.map((value) => Math.max(0, value));
  const total = positive.reduce((sum, value) => sum + value, 0);
  const fair = positive.map((value) => (total > 0 ? (value / total) * PPM : PPM / values.length));
  const whole = fair.map(Math.floor);
  const missing = PPM - whole.reduce((sum, value) => sum + value, 0);
  const order = fair.map((value, i) => ({ i, rest: value - Math.floor(value) }));
  order.sort((a, b) => b.rest - a.rest || a.i - b.i);
  for (const { i } of order.slice(0, missing)) whole[i] = (whole[i] ?? 0) + 1;
  return whole;
}

function normalise(values: readonly number[]): number[] {
  const total = values.reduce((sum, value) => sum + value, 0);
  return values.map((value) => (total === 0 ? 0 : value / total));
}
