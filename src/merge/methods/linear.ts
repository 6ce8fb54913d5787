/** Weighted average of models: `theta = sum w_i theta_i`, divided by `sum w_i` when normalised. */
import type { Method } from '../method.ts';
import { scaled } from '../reference.ts';
import { fixedFactors } from '../span.ts';
import { flagOf, listOf, type Settings } from '../task.ts';

/** Linear interpolation between any number of models; Wortsman et al. 2022, "Model soups". */
export const linear: Method = {
  name: 'linear',
  summary: 'weighted average of the models',
  parameters: [
    { name: 'weight', perModel: true, type: 'number', meaning: 'factor of the model' },
    {
      name: 'normalize',
      perModel: false,
      type: 'flag',
      default: true,
      meaning: 'divide by the sum of the weights',
    },
  ],
  models: { min: 1, max: 64 },
  base: 'none',
  check: (settings) =>
    flagOf(settings, 'normalize') && total(settings) === 0
      ? 'weights that are normalised must not sum to 0'
      : undefined,
  begin: (context) => fixedFactors(context, factors(context.task.settings)),
  reference: ({ models, settings }) => scaled(models, factors(settings)),
};

function factors(settings: Settings): number[] {
  const divisor = flagOf(settings, 'normalize') ? total(settings) : 1;
  return listOf(settings, 'weight').map((weight) => weight / divisor);
}

function total(settings: Settings): number {
  return listOf(settings, 'weight').reduce((sum, weight) => sum + weight, 0);
}
