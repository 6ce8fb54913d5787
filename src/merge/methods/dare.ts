/**
 * DARE: keep each element of a delta with probability `density`, make up for the rest. Yu et al. 2023, "Language
 * models are super Mario". The draw is a counter hash of seed, tensor, model and index, so it depends on no order.
 */
import type { TensorContext } from '../context.ts';
import type { Method, ReferenceInput } from '../method.ts';
import { sparseReference } from '../reference.ts';
import { type Mask, sparseMerge, sparseParameters } from '../sparse.ts';
import { hashKey, itemOf } from '../task.ts';

/** Without a vote. */
export const dareLinear: Method = {
  name: 'dare_linear',
  summary: 'a random part of each change, rescaled and added up',
  parameters: sparseParameters({ normalize: false, rescale: true }),
  models: { min: 1, max: 64 },
  base: 'required',
  begin: (context) => sparseMerge(context, { mask: keepRandom, vote: false }),
  reference: (input) => sparseReference(input, { keep: referenceRandom(input), vote: false }),
};

/** With the vote of TIES. */
export const dareTies: Method = {
  ...dareLinear,
  name: 'dare_ties',
  summary: 'a random part of each change, rescaled, where the models agree on the sign',
  begin: (context) => sparseMerge(context, { mask: keepRandom, vote: true }),
  reference: (input) => sparseReference(input, { keep: referenceRandom(input), vote: true }),
};

function keepRandom(context: TensorContext): Mask {
  const { kernels, task } = context;
  const draws = task.models.map((_model, position) => ({
    ...hashKey(task, position),
    limit: threshold(itemOf(task.settings, 'density', position)),
  }));
  return ({ n, index }) => {
    draws.forEach(({ k0, k1, limit }, position) => {
      if (limit < 2 ** 32) kernels.keepRandom(context.lane(position), n, limit, index, k0, k1);
    });
  };
}

function referenceRandom({
  settings,
  hash,
}: ReferenceInput): (delta: Float64Array, position: number) => boolean[] {
  return (delta, position) =>
    Array.from(
      delta,
      (_value, index) => hash(position, index) < threshold(itemOf(settings, 'density', position)),
    );
}

function threshold(density: number): number {
  return Math.floor(density * 2 ** 32);
}
