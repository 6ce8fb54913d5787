/**
 * Arcee Fusion: takes over only the important changes, importance being the size of the change times how far it moves
 * the row's softmax. The threshold, median + 1.5 interquartile ranges, is exact over the whole tensor
 * (mergekit 0.1.4 estimates it from a random sample of a million elements).
 */
import { COMPAT, likeMergekit } from '../compat.ts';
import type { TensorContext, Tile } from '../context.ts';
import type { Method } from '../method.ts';
import { referenceDeltas } from '../reference.ts';
import { orderStatistics } from '../select.ts';
import { rowLength, type TensorTask } from '../task.ts';

/** Keeps a change when its importance is at least the threshold. */
export const arceeFusion: Method = {
  name: 'arcee_fusion',
  summary: 'only the important changes of the second model',
  parameters: [COMPAT],
  models: { min: 1, max: 1 },
  base: 'required',
  rows: () => true,
  histograms: () => 6,
  scratchBytes: (task) => 4 * Math.ceil(task.elements / Math.max(1, rowLength(task))),
  begin: (context) => {
    const { kernels } = context;
    const lane = context.workLane(0);
    const weigh = importance(context, lane);
    const ranks = quartileRanks(context.task);
    const values = orderStatistics(
      context,
      { lane, ranks: ranks.flatMap(({ low, high }) => [low, high]) },
      weigh,
    );
    const least = leastKey(threshold(ranks, values));
    return (tile) => {
      weigh(tile);
      kernels.keepSelected(context.lane(0), lane, tile.n, least - 1, 0, tile.index, 0, 0);
    };
  },
  reference: (input) => {
    const [delta = new Float64Array()] = referenceDeltas(input);
    const base = input.base ?? new Float64Array(delta.length);
    const row = rowLength({ shape: input.shape, elements: delta.length });
    const weights = new Float64Array(delta.length);
    for (let start = 0; start < delta.length; start += row) {
      const [from, to] = [base.subarray(start, start + row), delta.subarray(start, start + row)];
      const factor = Math.fround(
        divergence(
          from,
          to.map((value, i) => value + (from[i] ?? 0)),
        ),
      );
      to.forEach((value, i) => {
        weights[start + i] = Math.fround(Math.abs(Math.fround(value)) * factor);
      });
    }
    const sorted = Float64Array.from(weights).sort();
    const ranks = quartileRanks({ settings: input.settings, elements: delta.length });
    const values = ranks.flatMap(({ low, high }) => [sorted[low] ?? 0, sorted[high] ?? 0]);
    const least = threshold(ranks, values);
    return [delta.map((value, i) => ((weights[i] ?? 0) >= least ? value : 0))];
  },
};

interface Rank {
  readonly low: number;
  readonly high: number;
  readonly part: number;
}

// mergekit takes the rank below instead of what lies between two.
function quartileRanks({ elements, settings }: Pick<TensorTask, 'elements' | 'settings'>): Rank[] {
  return [0.25, 0.5, 0.75].map((quantile) => {
    const exact = quantile * (elements - 1);
    const at = likeMergekit(settings) ? Math.floor(exact) : exact;
    return { low: Math.floor(at), high: Math.ceil(at), part: at - Math.floor(at) };
  });
}

function threshold(ranks: readonly Rank[], values: readonly number[]): number {
  const [first = 0, median = 0, third = 0] = ranks.map(({ part }, i) => {
    const [low = 0, high = 0] = values.slice(2 * i, 2 * i + 2);
    return low + (high - low) * part;
  });
  return median + 1.5 * (third - first);
}

// The bits of the least f32 that is not below `value`.
function leastKey(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  return view.getFloat32(0) < value ? bits + 1 : bits;
}

// The rows' divergences cost two exponentials per element, so the first pass keeps them.
function importance(context: TensorContext, lane: number): (tile: Tile) => void {
  const { kernels, layout, task, view } = context;
  const row = rowLength(task);
  let known = 0;
  return ({ n, index }) => {
    for (let start = 0; start < n; start += row) {
      const number = (index + start) / row;
      const delta = context.lane(0) + 4 * start;
      if (number === known) {
        const moved = kernels.rowDivergence(delta, context.baseLane + 4 * start, row);
        view.setFloat32(layout.scratch + 4 * number, moved, true);
        known++;
      }
      kernels.importance(lane + 4 * start, delta, row, view.getFloat32(layout.scratch + 4 * number, true));
    }
  };
}

function divergence(base: Float64Array, other: Float64Array): number {
  const softmax = (values: Float64Array): { shares: Float64Array; log: number } => {
    const top = values.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = values.reduce((total, value) => total + Math.exp(value - top), 0);
    return { shares: values.map((value) => Math.exp(value - top) / sum), log: top + Math.log(sum) };
  };
  const [p, q] = [softmax(other), softmax(base)];
  const moved = p.shares.reduce((sum, share, i) => sum + share * ((other[i] ?? 0) - (base[i] ?? 0)), 0);
  return Math.max(0, moved - p.log + q.log);
}
