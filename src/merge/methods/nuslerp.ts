/**
 * Spherical interpolation with a weight per model instead of `t`, on whole tensors, rows or columns, and on deltas
 * when there is a base. Formula: mergekit 0.1.4.
 */
import type { Gram } from '../gram.ts';
import { exactMath } from '../kernels.ts';
import type { Method, ReferenceInput } from '../method.ts';
import { byRow, innerProduct, norm, referenceDeltas, scaled, transpose } from '../reference.ts';
import { columnScratchBytes, spanColumns, spanRows, spanTensor } from '../span.ts';
import { flagOf, listOf, rowLength, type Settings } from '../task.ts';

const STRAIGHT = 1e-8;
const WEIGHTLESS = 1e-6;

/** `t = w_2 / (w_1 + w_2)`. */
export const nuslerp: Method = {
  name: 'nuslerp',
  summary: 'along the arc between two models or their deltas, by weights',
  parameters: [
    { name: 'weight', perModel: true, type: 'number', meaning: 'pull of the model' },
    {
      name: 'nuslerp_flatten',
      perModel: false,
      type: 'flag',
      default: true,
      meaning: 'take each tensor as one vector',
    },
    {
      name: 'nuslerp_row_wise',
      perModel: false,
      type: 'flag',
      default: false,
      meaning: 'when not flattened, take vectors along the first dimension instead of the last',
    },
  ],
  models: { min: 2, max: 2 },
  base: 'optional',
  rows: (settings) => !flagOf(settings, 'nuslerp_flatten'),
  scratchBytes: (task) =>
    grain(task.settings, task.shape) === 'column' ? columnScratchBytes(2, rowLength(task)) : 0,
  begin: (context) => {
    const { settings, shape } = context.task;
    const t = position(settings);
    const span = { tensor: spanTensor, row: spanRows, column: spanColumns }[grain(settings, shape)];
    return span(context, (gram) => factors(gram, t));
  },
  reference: (input) => {
    const { settings, shape } = input;
    const t = position(settings);
    const deltas = referenceDeltas(input);
    const row = rowLength({ shape, elements: deltas[0]?.length ?? 0 });
    switch (grain(settings, shape)) {
      case 'tensor':
        return interpolate(deltas, t);
      case 'row':
        return byRow(deltas, row, (rows) => interpolate(rows, t));
      case 'column':
        return byColumn(input, { deltas, row, t });
    }
  },
};

function position(settings: Settings): number {
  const [first = 0, second = 0] = listOf(settings, 'weight');
  return Math.abs(first + second) < WEIGHTLESS ? 0.5 : second / (first + second);
}

function grain(settings: Settings, shape: readonly number[]): 'tensor' | 'row' | 'column' {
  if (flagOf(settings, 'nuslerp_flatten')) return 'tensor';
  return flagOf(settings, 'nuslerp_row_wise') && shape.length > 1 ? 'column' : 'row';
}

function factors(gram: Gram, t: number): number[] {
  const { sin, acos } = exactMath();
  const lengths = Math.sqrt(gram.at(0, 0)) * Math.sqrt(gram.at(1, 1));
  const angle = acos(clamp(lengths === 0 ? 0 : gram.at(0, 1) / lengths));
  const sine = sin(angle);
  if (Math.abs(sine) < STRAIGHT) return [1 - t, t];
  return [sin((1 - t) * angle) / sine, sin(t * angle) / sine];
}

function interpolate(vectors: readonly Float64Array[], t: number): Float64Array[] {
  const [a, b] = vectors;
  if (!a || !b) return [];
  const lengths = norm(a) * norm(b);
  const angle = Math.acos(clamp(lengths === 0 ? 0 : innerProduct(a, b) / lengths));
  if (Math.abs(Math.sin(angle)) < STRAIGHT) return scaled(vectors, [1 - t, t]);
  return scaled(vectors, [
    Math.sin((1 - t) * angle) / Math.sin(angle),
    Math.sin(t * angle) / Math.sin(angle),
  ]);
}

function byColumn(
  { models }: ReferenceInput,
  { deltas, row, t }: { deltas: readonly Float64Array[]; row: number; t: number },
): Float64Array[] {
  const height = (models[0]?.length ?? 0) / row;
  const columns = deltas.map((delta) => transpose(delta, row));
  return byRow(columns, height, (vectors) => interpolate(vectors, t)).map((out) => transpose(out, height));
}

function clamp(cosine: number): number {
  return Math.min(1, Math.max(-1, cosine));
}
