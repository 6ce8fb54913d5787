/**
 * Model Stock: the point on the way from the base to the models' mean that the angles between the deltas call for.
 * Jang et al. 2024, "Model Stock: all we need is just a few fine-tuned models".
 */
import type { Gram } from '../gram.ts';
import type { Method } from '../method.ts';
import { byRow, innerProduct, norm, referenceDeltas, scaled } from '../reference.ts';
import { spanRows, spanTensor } from '../span.ts';
import { flagOf, rowLength } from '../task.ts';

/** `theta = theta_0 + t mean(delta_i)`, `t = N cos / (1 + (N - 1) cos)`, `cos` the mean over all pairs of deltas. */
export const modelStock: Method = {
  name: 'model_stock',
  summary: 'between base and mean, as far as the models agree',
  parameters: [
    {
      name: 'filter_wise',
      perModel: false,
      type: 'flag',
      default: false,
      meaning: 'row by row, not tensor by tensor',
    },
  ],
  models: { min: 2, max: 64 },
  base: 'required',
  rows: (settings) => flagOf(settings, 'filter_wise'),
  begin: (context) =>
    (flagOf(context.task.settings, 'filter_wise') ? spanRows : spanTensor)(context, factors),
  reference: (input) => {
    const deltas = referenceDeltas(input);
    const rule = (vectors: readonly Float64Array[]): Float64Array[] => {
      const cosine = meanPair(vectors.length, (i, j) => {
        const [a = new Float64Array(), b = new Float64Array()] = [vectors[i], vectors[j]];
        return innerProduct(a, b) / (norm(a) * norm(b) || 1);
      });
      const t = reach(vectors.length, cosine);
      return scaled(
        vectors,
        vectors.map(() => t / vectors.length),
      );
    };
    if (!flagOf(input.settings, 'filter_wise')) return rule(deltas);
    return byRow(deltas, rowLength({ shape: input.shape, elements: deltas[0]?.length ?? 0 }), rule);
  },
};

function factors(gram: Gram): number[] {
  const cosine = meanPair(
    gram.size,
    (i, j) => gram.at(i, j) / (Math.sqrt(gram.at(i, i) * gram.at(j, j)) || 1),
  );
  const t = reach(gram.size, cosine);
  return Array.from({ length: gram.size }, () => t / gram.size);
}

function meanPair(count: number, cosine: (i: number, j: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) for (let j = 0; j < i; j++) sum += cosine(i, j);
  return sum / ((count * (count - 1)) / 2);
}

function reach(count: number, cosine: number): number {
  return (count * cosine) / (1 + (count - 1) * cosine);
}
