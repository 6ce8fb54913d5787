/** Task arithmetic: `theta = theta_0 + lambda sum w_i delta_i`. Ilharco et al. 2022. */
import type { Method } from '../method.ts';
import { sparseReference } from '../reference.ts';
import { sparseMerge, sparseParameters } from '../sparse.ts';

/** The weighted deltas, all of them. */
export const taskArithmetic: Method = {
  name: 'task_arithmetic',
  summary: 'what each model learned, weighted and added to the base',
  parameters: sparseParameters({ normalize: false }),
  models: { min: 1, max: 64 },
  base: 'required',
  begin: (context) => sparseMerge(context, { vote: false }),
  reference: (input) => sparseReference(input, { vote: false }),
};
