/** Model folders for tests, made once per test file. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { type MergePlan, type PlanOptions, planMerge } from '../../src/merge/plan.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';

/** A folder with the models `base`, `a`, `b` and `c`, all of one family, removed after the tests. */
export function useModels(): { readonly path: (...parts: string[]) => string } {
  let root = '';
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'sahara-merge-'));
    await makeModel(join(root, 'base'), TINY, { base: 1 });
    for (const [i, name] of ['a', 'b', 'c'].entries())
      await makeModel(join(root, name), TINY, { base: 1, tune: 2 + i });
  });
  afterAll(() => rm(root, { recursive: true, force: true }));
  return { path: (...parts) => join(root, ...parts) };
}

/** Plans a recipe over the models in `directory`. */
export function plan(
  directory: string,
  recipe: string,
  options: Partial<PlanOptions> = {},
): Promise<MergePlan> {
  return planMerge(parseRecipe(recipe), { directory, ...options });
}

/** A recipe that needs several passes, masks and a vote. */
export const TIES: string = `
merge_method: ties
base_model: base
models:
  - model: base
  - model: a
    parameters: { weight: 0.6, density: 0.5 }
  - model: b
    parameters: { weight: [0.2, 0.4], density: 0.5 }
parameters: { normalize: true }
dtype: bfloat16
`;
