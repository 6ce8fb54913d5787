/**
 * Spherical average of several models by one step from the mean direction. The published formula (mergekit 0.1.4)
 * adds an exponential map along the tangent `sum w_i (u_i - (u_i . mu) mu)`; that sum is `m - (m . mu) mu`, which is
 * zero because `mu` is `m / |m|`, so what is left is the mean direction times the mean length.
 */
import { SaharaError } from '../../base/errors.ts';
import type { Gram } from '../gram.ts';
import type { Method } from '../method.ts';
import { innerProduct, norm, referenceDeltas, scaled } from '../reference.ts';
import { spanTensor } from '../span.ts';
import { flagOf, listOf, numberOf, type Settings } from '../task.ts';

/** `theta = mu sum w_i |x_i|`, `mu` the direction of `sum w_i x_i / |x_i|`. */
export const multislerp: Method = {
  name: 'multislerp',
  summary: 'mean direction times mean length of several models or their deltas',
  parameters: [
    { name: 'weight', perModel: true, type: 'number', meaning: 'pull of the model' },
    {
      name: 'normalize_weights',
      perModel: false,
      type: 'flag',
      default: true,
      meaning: 'make the weights sum to 1',
    },
    {
      name: 'eps',
      perModel: false,
      type: 'number',
      default: 1e-8,
      min: 0,
      meaning: 'lengths below it count as none',
    },
  ],
  models: { min: 2, max: 64 },
  base: 'optional',
  check: (settings) =>
    flagOf(settings, 'normalize_weights') && listOf(settings, 'weight').reduce((a, b) => a + b, 0) === 0
      ? 'weights that are normalised must not sum to 0'
      : undefined,
  begin: (context) => spanTensor(context, (gram) => factors(gram, context.task)),
  reference: (input) => {
    const eps = numberOf(input.settings, 'eps');
    const weights = shares(input.settings);
    const vectors = referenceDeltas(input);
    const lengths = vectors.map(norm);
    const units = vectors.map((vector, i) => vector.map((value) => value / ((lengths[i] ?? 0) + eps)));
    const mean = new Float64Array(units[0]?.length ?? 0);
    units.forEach((unit, i) => {
      unit.forEach((value, at) => {
        mean[at] = (mean[at] ?? 0) + (weights[i] ?? 0) * value;
      });
    });
    const length = norm(mean);
    if (length < eps) return scaled(vectors, weights);
    const mu = mean.map((value) => value / length);
    const tangent = new Float64Array(mean.length);
    units.forEach((unit, i) => {
      const along = innerProduct(unit, mu);
      unit.forEach((value, at) => {
        tangent[at] = (tangent[at] ?? 0) + (weights[i] ?? 0) * (value - along * (mu[at] ?? 0));
      });
    });
    // The exponential map along the tangent moves by cos(0) = 1: checked, not assumed.
    const turn = Math.cos(norm(tangent));
    const size = lengths.reduce((sum, each, i) => sum + (weights[i] ?? 0) * each, 0);
    return units.map((unit, i) => unit.map((value) => (turn * size * (weights[i] ?? 0) * value) / length));
  },
};

function shares(settings: Settings): number[] {
  const weights = listOf(settings, 'weight');
  const sum = flagOf(settings, 'normalize_weights')
    ? weights.reduce((total, weight) => total + weight, 0)
    : 1;
  return weights.map((weight) => weight / sum);
}

function factors(gram: Gram, task: { readonly name: string; readonly settings: Settings }): number[] {
  const eps = numberOf(task.settings, 'eps');
  const weights = shares(task.settings);
  const lengths = weights.map((_weight, i) => Math.sqrt(gram.at(i, i)));
  const onUnits = weights.map((weight, i) => weight / ((lengths[i] ?? 0) + eps));
  let squared = 0;
  onUnits.forEach((a, i) => {
    onUnits.forEach((b, j) => {
      squared += a * b * gram.at(i, j);
    });
  });
  const mean = Math.sqrt(Math.max(0, squared));
  // All inputs zero, as untouched tensors are when there is a base: nothing to turn, any factor gives zero.
  if (lengths.every((length) => length === 0)) return weights;
  if (mean < eps) {
    if (weights.length === 2) return weights;
    throw new SaharaError('merge-refused', {
      reason: 'the directions of the models cancel',
      tensor: task.name,
    });
  }
  const size = lengths.reduce((sum, length, i) => sum + (weights[i] ?? 0) * length, 0);
  return onUnits.map((each) => (each * size) / mean);
}
