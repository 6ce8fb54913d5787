/**
 * TIES: keep the largest `density` of each delta, let the weighted sum decide each sign, average those that agree.
 * Yadav et al. 2023, "TIES-Merging". Exactly `floor(density n)` elements are kept, at least one.
 */
import { keepLargest, referenceLargest } from '../magnitude.ts';
import type { Method } from '../method.ts';
import { sparseReference } from '../reference.ts';
import { sparseMerge, sparseParameters } from '../sparse.ts';

/** Trim, elect, merge. */
export const ties: Method = {
  name: 'ties',
  summary: 'the largest changes, where the models agree on the sign',
  parameters: sparseParameters({ normalize: true, rescale: false }),
  models: { min: 1, max: 64 },
  base: 'required',
  histograms: (models) => models,
  begin: (context) => sparseMerge(context, { mask: keepLargest, vote: true }),
  reference: (input) => sparseReference(input, { keep: referenceLargest(input), vote: true }),
};
