import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serveMerge } from '../../examples/merge/serve-merge.ts';
import { makeTalkingModels } from '../../examples/merge/talking-models.ts';
import { systemClock } from '../../src/base/clock.ts';
import { planMerge } from '../../src/merge/plan.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { runMerge } from '../../src/merge/run.ts';

const RECIPE = `
merge_method: linear
models:
  - { model: law, parameters: { weight: 0.6 } }
  - { model: medicine, parameters: { weight: 0.4 } }
out_dtype: q8_0
`;

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sahara-merged-agent-'));
  await makeTalkingModels(directory);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it('MRG-26, MRG-30: a merge made here answers as an agent, and what a call pays reaches its parents by their shares', async () => {
  const plan = await planMerge(parseRecipe(RECIPE), { directory });
  const { models, parents } = await runMerge(
    plan,
    { output: join(directory, 'both') },
    { clock: systemClock },
  );
  const shares = parents.map(({ model, sharePpm }) => [models[model]?.name ?? '', sharePpm] as const);
  expect(shares.every(([, sharePpm]) => sharePpm > 0)).toBe(true);
  const names = models.map(({ name }) => name);
  await serveMerge({ directory, merge: 'both', models: names, shares: Object.fromEntries(shares) });
});
