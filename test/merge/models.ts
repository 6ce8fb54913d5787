/** Model folders for tests, made once per test file. */
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { type MergePlan, type PlanOptions, planMerge } from '../../src/merge/plan.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { layOut } from '../../src/merge/safetensors.ts';
import type { TensorTask } from '../../src/merge/task.ts';

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

/** What planning a recipe complains about. */
export async function problemsOf(directory: string, recipe: string): Promise<readonly string[]> {
  try {
    await plan(directory, recipe);
  } catch (error) {
    if (error instanceof SaharaError && Array.isArray(error.facts.problems)) return error.facts.problems;
    throw error;
  }
  return [];
}

/** The task that makes the tensor `name`. */
export function taskOf(tasks: readonly TensorTask[], name: string): TensorTask {
  const found = tasks.find((each) => each.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
}

/** Files of a model that has only a header; the data is a hole in the file, however large. */
export async function headerOnly(
  directory: string,
  shapes: readonly [string, number[]][],
  config: object,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const layout = layOut(
    shapes.map(([tensor, shape]) => ({ name: tensor, dtype: 'BF16', shape })),
    {},
  );
  await writeFile(join(directory, 'model.safetensors'), layout.bytes);
  await truncate(join(directory, 'model.safetensors'), layout.fileBytes);
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
}
