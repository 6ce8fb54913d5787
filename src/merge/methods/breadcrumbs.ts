/**
 * Model breadcrumbs: the largest part of each delta without its outliers. Davari & Belilovsky 2023. With `gamma n`
 * below one nothing is an outlier (mergekit 0.1.4 then drops the whole delta, and so does `compat: mergekit`).
 */
import { COMPAT } from '../compat.ts';
import { keepWithoutOutliers, referenceWithoutOutliers } from '../magnitude.ts';
import type { Method, Parameter } from '../method.ts';
import { sparseReference } from '../reference.ts';
import { sparseMerge, sparseParameters } from '../sparse.ts';

const GAMMA: Parameter = {
  name: 'gamma',
  perModel: true,
  type: 'number',
  default: 0.01,
  min: 0,
  max: 1,
  meaning: 'part of the delta, its largest elements, that is dropped first',
};

/** Without a vote. */
export const breadcrumbs: Method = {
  name: 'breadcrumbs',
  summary: 'the larger changes without the outliers, added up',
  parameters: [...sparseParameters({ normalize: false, rescale: false }), GAMMA, COMPAT],
  models: { min: 1, max: 64 },
  base: 'required',
  histograms: (models) => 2 * models,
  begin: (context) => sparseMerge(context, { mask: keepWithoutOutliers, vote: false }),
  reference: (input) => sparseReference(input, { keep: referenceWithoutOutliers(input), vote: false }),
};

/** With the vote of TIES. */
export const breadcrumbsTies: Method = {
  ...breadcrumbs,
  name: 'breadcrumbs_ties',
  summary: 'the larger changes without the outliers, where the models agree on the sign',
  begin: (context) => sparseMerge(context, { mask: keepWithoutOutliers, vote: true }),
  reference: (input) => sparseReference(input, { keep: referenceWithoutOutliers(input), vote: true }),
};
