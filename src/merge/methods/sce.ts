/**
 * SCE: select the positions where the models differ most, weigh each model by the energy of what it has there, erase
 * minority signs. Wan et al. 2024, "FuseChat". Weights are shares of the summed squares whatever their size
 * (mergekit 0.1.4 takes equal weights below a mean square of 1e-6, which most fine-tunes are).
 */
import type { TensorContext, Tile } from '../context.ts';
import type { Contribute, Method } from '../method.ts';
import { elected, innerProduct, largest, referenceDeltas } from '../reference.ts';
import { EVERYTHING, selectTop } from '../select.ts';
import { hashKey, numberOf } from '../task.ts';

/** Ties between positions of equal variance are split under position 0 of the counter hash. */
export const sce: Method = {
  name: 'sce',
  summary: 'where the models differ most, weighted by energy, majority signs only',
  parameters: [
    {
      name: 'select_topk',
      perModel: false,
      type: 'number',
      default: 1,
      min: 0,
      max: 1,
      meaning: 'part of the positions that differ which is kept',
    },
  ],
  models: { min: 1, max: 64 },
  base: 'required',
  histograms: () => 1,
  begin: (context) => {
    const { kernels, layout, models } = context;
    const select = selectPositions(context);
    const energies = measure(context, select);
    const at = context.numbers(energies);
    const factors = energies.map(Math.fround);
    return (tile) => {
      select(tile);
      kernels.elect(context.lane(0), layout.laneBytes, models, tile.n, at, 1, 1);
      factors.forEach((factor, position) => {
        kernels.scale(context.lane(position), tile.n, factor);
      });
    };
  },
  reference: (input) => {
    const deltas = referenceDeltas(input);
    const variances = populationVariance(deltas);
    const topk = numberOf(input.settings, 'select_topk');
    const differing = variances.reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
    const mask = largest(variances, Math.floor(differing * topk), (index) => input.hash(0, index));
    const kept = topk >= 1 ? deltas : deltas.map((delta) => delta.map((value, i) => (mask[i] ? value : 0)));
    const energies = shareOf(kept.map((delta) => innerProduct(delta, delta)));
    const values = kept.map((delta, i) => delta.map((value) => value * (energies[i] ?? 0)));
    const votes = kept.map((delta) => delta.map(Math.fround));
    return elected(values, votes, (of) => 1 / (of.reduce((sum, i) => sum + (energies[i] ?? 0), 0) || 1));
  },
};

function selectPositions(context: TensorContext): Contribute {
  const { kernels, layout, models, task } = context;
  const topk = numberOf(task.settings, 'select_topk');
  if (topk >= 1) return () => {};
  const lane = context.workLane(0);
  const vary = ({ n }: Tile): void => kernels.variance(context.lane(0), layout.laneBytes, models, n, lane);
  const bins = context.histogram(0);
  context.memory.fill(0, bins, bins + 4 * 32_768);
  context.pass((tile) => {
    vary(tile);
    kernels.histogramLow(lane, tile.n, bins, 0);
  });
  const same = context.view.getUint32(bins, true);
  const key = hashKey(task, 0);
  const k = Math.floor((task.elements - same) * topk);
  const [selection = EVERYTHING] = selectTop(context, [{ lane, k, key }], vary);
  return (tile) => {
    vary(tile);
    for (let position = 0; position < models; position++) {
      const { tied, last } = selection;
      kernels.keepSelected(context.lane(position), lane, tile.n, tied, last, tile.index, key.k0, key.k1);
    }
  };
}

function measure(context: TensorContext, select: Contribute): number[] {
  const sums = context.task.models.map(() => context.sum());
  context.pass((tile) => {
    select(tile);
    sums.forEach((sum, i) => {
      context.kernels.dot(context.lane(i), context.lane(i), tile.n, tile.index & 7, sum);
    });
  });
  return shareOf(sums.map((sum) => context.total(sum)));
}

function shareOf(energies: readonly number[]): number[] {
  const total = energies.reduce((sum, energy) => sum + energy, 0);
  return energies.map((energy) => (total === 0 ? 1 / energies.length : energy / total));
}

// In f32, step by step as the kernel does: which positions are selected hangs on it.
function populationVariance(deltas: readonly Float64Array[]): Float64Array {
  const count = deltas.length;
  return Float64Array.from(deltas[0] ?? [], (_value, at) => {
    const values = deltas.map((delta) => Math.fround(delta[at] ?? 0));
    const sum = values.slice(1).reduce((total, value) => Math.fround(total + value), values[0] ?? 0);
    const mean = Math.fround(sum / count);
    let squares = 0;
    for (const value of values) {
      const distance = Math.fround(value - mean);
      squares = Math.fround(squares + Math.fround(distance * distance));
    }
    return Math.fround(squares / count);
  });
}
