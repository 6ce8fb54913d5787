/**
 * DELLA: as DARE, but within each row the keep probability grows with the rank of the magnitude, from
 * `density - epsilon` for the smallest to `density + epsilon` for the largest. Deep et al. 2024, "DELLA-Merging".
 * Equal magnitudes rank by index.
 */
import type { TensorContext } from '../context.ts';
import type { Method, Parameter, ReferenceInput } from '../method.ts';
import { sparseReference } from '../reference.ts';
import { type Mask, sparseMerge, sparseParameters } from '../sparse.ts';
import { hashKey, itemOf, listOf, rowLength, type Settings } from '../task.ts';

const EPSILON: Parameter = {
  name: 'epsilon',
  perModel: true,
  type: 'number',
  default: 0.15,
  min: 0,
  max: 1,
  meaning: 'how far the probability departs from density',
};

/** With the vote of TIES. */
export const della: Method = {
  name: 'della',
  summary: 'a random part of each change, larger ones likelier, where the models agree on the sign',
  parameters: [...sparseParameters({ normalize: true, rescale: true }), EPSILON],
  models: { min: 1, max: 64 },
  base: 'required',
  rows: () => true,
  scratchBytes: (task) => 16 * rowLength(task) + 8192,
  check,
  begin: (context) => sparseMerge(context, { mask: keepRanked, vote: true }),
  reference: (input) => sparseReference(input, { keep: referenceRanked(input), vote: true }),
};

/** Without a vote. */
export const dellaLinear: Method = {
  ...della,
  name: 'della_linear',
  summary: 'a random part of each change, larger ones likelier, added up',
  parameters: [...sparseParameters({ normalize: false, rescale: true }), EPSILON],
  begin: (context) => sparseMerge(context, { mask: keepRanked, vote: false }),
  reference: (input) => sparseReference(input, { keep: referenceRanked(input), vote: false }),
};

function check(settings: Settings): string | undefined {
  const epsilons = listOf(settings, 'epsilon');
  const within = listOf(settings, 'density').every((density, i) => {
    const epsilon = epsilons[i] ?? 0;
    return density - epsilon > 0 && density + epsilon < 1;
  });
  return within ? undefined : 'density - epsilon must be above 0 and density + epsilon below 1';
}

function keepRanked(context: TensorContext): Mask {
  const { kernels, task, layout } = context;
  const row = rowLength(task);
  const draws = task.models.map((_model, position) => ({
    ...hashKey(task, position),
    ...probabilities(task.settings, position),
  }));
  return ({ n, index }) => {
    draws.forEach(({ k0, k1, least, span }, position) => {
      for (let start = 0; start < n; start += row) {
        const lane = context.lane(position) + 4 * start;
        kernels.keepRanked(lane, row, least, span, index + start, k0, k1, layout.scratch);
      }
    });
  };
}

function probabilities(settings: Settings, position: number): { least: number; span: number } {
  const epsilon = itemOf(settings, 'epsilon', position);
  return { least: itemOf(settings, 'density', position) - epsilon, span: 2 * epsilon };
}

function referenceRanked({
  settings,
  hash,
  shape,
}: ReferenceInput): (delta: Float64Array, position: number) => boolean[] {
  return (delta, position) => {
    const row = rowLength({ shape, elements: delta.length });
    const { least, span } = probabilities(settings, position);
    const kept: boolean[] = new Array(delta.length).fill(false);
    for (let start = 0; start < delta.length; start += row) {
      const order = Array.from({ length: row }, (_, i) => ({
        i,
        size: Math.abs(Math.fround(delta[start + i] ?? 0)),
      }));
      order.sort((a, b) => a.size - b.size || a.i - b.i);
      order.forEach(({ i }, rank) => {
        const probability = least + (row > 1 ? span / (row - 1) : 0) * rank;
        kept[start + i] = hash(position, start + i) < probability * 2 ** 32;
      });
    }
    return kept;
  };
}
