/** One model's tensor as it is, or times a factor: what layer stacks are made of. */
import type { Method } from '../method.ts';
import { scaled } from '../reference.ts';
import { fixedFactors } from '../span.ts';
import { listOf } from '../task.ts';

/** Copies tensors, `theta = scale theta_1`. */
export const passthrough: Method = {
  name: 'passthrough',
  summary: 'the tensors of one model, for stacking layers of several',
  parameters: [
    { name: 'scale', perModel: true, type: 'number', default: 1, meaning: 'factor of the tensor' },
  ],
  models: { min: 1, max: 1 },
  base: 'none',
  begin: (context) => fixedFactors(context, listOf(context.task.settings, 'scale')),
  reference: ({ models, settings }) => scaled(models, listOf(settings, 'scale')),
};
