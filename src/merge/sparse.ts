/**
 * Methods that thin out deltas and add up what is left: `c_i = lambda w_i s_i m_i delta_i / D`, with a mask `m_i`, a
 * rescale `s_i` that makes up for the mask, and, with a vote, only the elements whose sign the weighted sum shares.
 * `D` is 1, or the sum of the weights (with a vote: of those kept, element by element).
 */
import type { TensorContext, Tile } from './context.ts';
import type { Contribute, Parameter } from './method.ts';
import { flagOf, itemOf, listOf, numberOf } from './task.ts';

/** Zeroes in a tile's deltas what the method leaves out. */
export type Mask = (tile: Tile) => void;

/** What tells these methods apart. */
export interface SparseRule {
  /** Makes the mask, with passes of its own if it needs them; absent: nothing is left out. */
  readonly mask?: (context: TensorContext) => Mask;
  /** Whether signs are voted on. */
  readonly vote: boolean;
}

/** The settings that all of them share, with a method's own defaults. */
export function sparseParameters(defaults: {
  readonly normalize: boolean;
  readonly rescale?: boolean;
}): Parameter[] {
  const shared: Parameter[] = [
    { name: 'weight', perModel: true, type: 'number', meaning: 'factor of the model’s delta' },
    { name: 'lambda', perModel: false, type: 'number', default: 1, meaning: 'factor of the summed deltas' },
    {
      name: 'normalize',
      perModel: false,
      type: 'flag',
      default: defaults.normalize,
      meaning: 'divide by the weights',
    },
  ];
  if (defaults.rescale === undefined) return shared;
  return [
    ...shared,
    {
      name: 'density',
      perModel: true,
      type: 'number',
      default: 1,
      min: 0,
      max: 1,
      meaning: 'part of the delta that is kept',
    },
    {
      name: 'rescale',
      perModel: false,
      type: 'flag',
      default: defaults.rescale,
      meaning: 'make up for what is left out',
    },
    {
      name: 'rescale_by',
      perModel: false,
      type: 'choice',
      default: 'l1',
      choices: ['l1', 'density'],
      meaning: 'by the ratio of L1 norms (mergekit), or by 1 / density (the DARE paper)',
    },
  ];
}

/** The rule as contributions. */
export function sparseMerge(context: TensorContext, rule: SparseRule): Contribute {
  const { settings } = context.task;
  const mask = rule.mask?.(context);
  const scales = mask && flagOf(settings, 'rescale') ? rescales(context, mask) : undefined;
  const weights = listOf(settings, 'weight').map((weight, i) => weight * (scales?.[i] ?? 1));
  const sum = listOf(settings, 'weight').reduce((total, weight) => total + weight, 0);
  if (rule.vote) return voted(context, { mask, weights });
  const factor = numberOf(settings, 'lambda') / (flagOf(settings, 'normalize') && sum !== 0 ? sum : 1);
  const factors = weights.map((weight) => Math.fround(weight * factor));
  return (tile) => {
    mask?.(tile);
    factors.forEach((each, position) => {
      context.kernels.scale(context.lane(position), tile.n, each);
    });
  };
}

function voted(
  context: TensorContext,
  { mask, weights }: { readonly mask: Mask | undefined; readonly weights: readonly number[] },
): Contribute {
  const { kernels, layout, models, task } = context;
  const at = context.numbers(listOf(task.settings, 'weight'));
  const lambda = Math.fround(numberOf(task.settings, 'lambda'));
  const normalize = flagOf(task.settings, 'normalize') ? 1 : 0;
  const factors = weights.map(Math.fround);
  return (tile) => {
    mask?.(tile);
    factors.forEach((factor, position) => {
      kernels.scale(context.lane(position), tile.n, factor);
    });
    kernels.elect(context.lane(0), layout.laneBytes, models, tile.n, at, lambda, normalize);
  };
}

function rescales(context: TensorContext, mask: Mask): number[] {
  const { settings, models } = context.task;
  if (settings.rescale_by === 'density') {
    return models.map((_model, i) => 1 / (itemOf(settings, 'density', i) || 1));
  }
  const sums = models.map(() => ({ before: context.sum(), after: context.sum() }));
  context.pass((tile) => {
    const phase = tile.index & 7;
    sums.forEach(({ before }, i) => {
      context.kernels.absoluteSum(context.lane(i), tile.n, phase, before);
    });
    mask(tile);
    sums.forEach(({ after }, i) => {
      context.kernels.absoluteSum(context.lane(i), tile.n, phase, after);
    });
  });
  return sums.map(({ before, after }) => context.total(before) / (context.total(after) || 1));
}
