import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { MANIFEST_NAME } from '../../src/merge/manifest.ts';
import { runMerge } from '../../src/merge/run.ts';
import { makeVocabularyModels, VOCABULARY_RECIPES } from '../merge/golden-vocabularies.ts';
import { plan, TIES, useModels } from '../merge/models.ts';

const models = useModels();

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

interface Killing {
  readonly directory: string;
  readonly recipe: string;
  /** Tensors between one kill and the next. */
  readonly every: number;
  readonly name: string;
}

/** Merges undisturbed and killed; the files of both must be the same. Answers how often it was killed. */
async function killed({ directory, recipe, every, name }: Killing): Promise<number> {
  const [undisturbed, output] = [models.path(`${name}-undisturbed`), models.path(`${name}-killed`)];
  const planned = await plan(directory, recipe, { stagesDirectory: `${undisturbed}.stages` });
  const means = { workers: 1, memoryBytes: 16e6 };
  const expected = await runMerge(planned, { output: undisturbed, ...means }, { clock: systemClock });
  const child = fileURLToPath(new URL('../merge/merge-child.ts', import.meta.url));
  let deaths = 0;
  for (; deaths < 80; deaths++) {
    const args = [child, directory, output, recipe, String(every)];
    const running = spawn(process.execPath, args, { stdio: 'inherit' });
    const [code] = await once(running, 'exit');
    if (code === 0) break;
    // The last kill may come after the last tensor, when all is written.
    if (await exists(output)) break;
  }
  const manifest = await readFile(join(output, MANIFEST_NAME), 'utf8');
  expect(JSON.parse(manifest)).toEqual(expected);
  const files = (await readdir(undisturbed)).sort();
  expect((await readdir(output)).sort()).toEqual(files);
  for (const file of files)
    expect(await readFile(join(output, file))).toEqual(await readFile(join(undisturbed, file)));
  expect(await exists(`${output}.stages`)).toBe(false);
  return deaths;
}

describe('MRG-17: a merge goes on after being killed, to the same bytes', { timeout: 900_000 }, () => {
  it('every few tensors', async () => {
    expect(await killed({ directory: models.path(), recipe: TIES, every: 3, name: 'ties' })).toBeGreaterThan(
      3,
    );
  });

  it('MRG-43: at every tensor of joined vocabularies', async () => {
    await mkdir(models.path('words'));
    await makeVocabularyModels(models.path('words'));
    const recipe = VOCABULARY_RECIPES.tokens ?? '';
    const deaths = await killed({ directory: models.path('words'), recipe, every: 1, name: 'tokens' });
    expect(deaths).toBeGreaterThan(8);
  });

  it('MRG-47: at every tensor of stages and of what follows them', async () => {
    const recipe = `
name: joined
merge_method: linear
models: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]
tokenizer_source: union
---
${(VOCABULARY_RECIPES.union_deltas ?? '').replace('{model: b,', '{model: joined,')}`;
    const deaths = await killed({ directory: models.path('words'), recipe, every: 1, name: 'stages' });
    expect(deaths).toBeGreaterThan(16);
  });
});
