/** The tiny models and recipes of the goldens: `scripts/merge-goldens.ts` has mergekit merge them once. */
import { join } from 'node:path';
import { type ModelRecipe, type ModelShape, makeModel } from '../../examples/merge/make-models.ts';

const SHAPE: ModelShape = { layers: 2, hidden: 8, intermediate: 12, vocabulary: 8, dtype: 'F32' };
const STRENGTH = 0.01;

/** Their seeds, by name. */
export const GOLDEN_MODELS: Readonly<Record<string, ModelRecipe>> = {
  base: { base: 1 },
  a: { base: 1, tune: 2, strength: STRENGTH },
  b: { base: 1, tune: 3, strength: STRENGTH },
  c: { base: 1, tune: 4, strength: STRENGTH },
};

/** Makes them as folders below `directory`. */
export async function makeGoldenModels(directory: string): Promise<void> {
  for (const [name, recipe] of Object.entries(GOLDEN_MODELS))
    await makeModel(join(directory, name), SHAPE, recipe);
}

const pair = (method: string, more = '', each = ''): string => `
merge_method: ${method}
models:
  - model: a
    parameters: {weight: 0.6${each}}
  - model: b
    parameters: {weight: 0.3${each}}
dtype: float32
${more}`;
const onBase = (method: string, more = '', each = ''): string =>
  pair(method, `base_model: base\n${more}`, each);
const plain = (method: string, models: readonly string[], more = ''): string =>
  `merge_method: ${method}\nmodels: [${models.map((name) => `{model: ${name}}`).join(', ')}]\ndtype: float32\n${more}`;

/** Recipes by name. At the densities of `ties` no deltas tie for the last place, which mergekit gives by chance. `ram` is from the commit that the goldens name, later than the release. All are float32, so that mergekit's own arithmetic is not what is measured. */
export const GOLDEN_RECIPES: Readonly<Record<string, string>> = {
  linear: pair('linear'),
  linear_plain: pair('linear', 'parameters: {normalize: false}\n'),
  slerp: `
merge_method: slerp
base_model: a
slices:
  - sources:
      - {model: a, layer_range: [0, 2]}
      - {model: b, layer_range: [0, 2]}
parameters:
  t:
    - {filter: self_attn, value: [0.1, 0.8]}
    - {filter: mlp, value: [0.9, 0.4]}
    - {value: 0.5}
dtype: float32
`,
  nuslerp: pair('nuslerp'),
  nuslerp_base_rows: onBase('nuslerp', 'parameters: {nuslerp_flatten: false}\n'),
  nuslerp_columns: pair('nuslerp', 'parameters: {nuslerp_flatten: false, nuslerp_row_wise: true}\n'),
  multislerp: pair('multislerp'),
  multislerp_base: onBase('multislerp'),
  karcher: plain('karcher', ['a', 'b', 'c']),
  task_arithmetic: onBase('task_arithmetic', 'parameters: {lambda: 1.2}\n'),
  ties: onBase('ties', '', ', density: 0.52'),
  ties_rescaled: onBase(
    'ties',
    'parameters: {normalize: false, rescale: true, lambda: 0.9}\n',
    ', density: 0.34',
  ),
  // Where everything is kept nothing is left to chance.
  dare_linear_all: onBase('dare_linear', '', ', density: 1.0'),
  dare_ties_all: onBase('dare_ties', 'parameters: {normalize: true}\n', ', density: 1.0'),
  breadcrumbs: onBase('breadcrumbs', '', ', density: 0.6, gamma: 0.15'),
  breadcrumbs_ties: onBase('breadcrumbs_ties', '', ', density: 0.6, gamma: 0.15'),
  breadcrumbs_few: onBase('breadcrumbs', '', ', density: 0.6, gamma: 0.01'),
  model_stock: plain('model_stock', ['a', 'b', 'c'], 'base_model: base\n'),
  model_stock_rows: plain(
    'model_stock',
    ['a', 'b', 'c'],
    'base_model: base\nparameters: {filter_wise: true}\n',
  ),
  sce: plain('sce', ['a', 'b', 'c'], 'base_model: base\nparameters: {select_topk: 0.4}\n'),
  ram: plain('ram', ['a', 'b', 'c'], 'base_model: base\nparameters: {epsilon: 0.006}\n'),
  nearswap:
    'merge_method: nearswap\nbase_model: a\nmodels: [{model: b}]\nparameters: {t: 0.005}\ndtype: float32\n',
  arcee_fusion: 'merge_method: arcee_fusion\nbase_model: base\nmodels: [{model: a}]\ndtype: float32\n',
  passthrough: `
merge_method: passthrough
slices:
  - sources: [{model: a, layer_range: [0, 2]}]
  - sources:
      - model: b
        layer_range: [1, 2]
        parameters: {scale: [{filter: o_proj, value: 0.5}, {value: 1.0}]}
dtype: float32
`,
};
