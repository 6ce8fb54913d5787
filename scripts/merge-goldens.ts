/**
 * Makes `test/merge/goldens/mergekit.json`: what mergekit itself makes of tiny models, method by method. Run once, by
 * hand, after `scripts/install-mergekit`; tests hold our results to it. The models come from the seeds that it names.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '../src/merge/checkpoint.ts';
import { GOLDEN_MODELS, GOLDEN_RECIPES, makeGoldenModels } from '../test/merge/golden-models.ts';
import { MERGEKIT_MISSING, mergekitPython } from './mergekit.ts';

const OUTPUT = new URL('../test/merge/goldens/mergekit.json', import.meta.url);
const RUNNER = fileURLToPath(new URL('./merge-goldens.py', import.meta.url));

const python = mergekitPython();
if (python === undefined) throw new Error(MERGEKIT_MISSING);
const folder = await mkdtemp(join(tmpdir(), 'sahara-goldens-'));
try {
  await makeGoldenModels(folder);
  for (const [name, recipe] of Object.entries(GOLDEN_RECIPES))
    await writeFile(join(folder, `${name}.yaml`), recipe);
  const told = execFileSync(python, [RUNNER, folder], { cwd: folder, encoding: 'utf8' });
  const { versions, failed, drawn } = JSON.parse(told.trim().split('\n').at(-1) ?? '');
  const results: Record<string, Record<string, string>> = {};
  for (const name of Object.keys(GOLDEN_RECIPES)) {
    if (Object.hasOwn(failed, name)) continue;
    const { tensors } = await openCheckpoint(join(folder, 'out', name));
    const read = [...tensors.values()].map(async ({ name: tensor, path, offset, sizeBytes }) => {
      const file = await readFile(path);
      return [tensor, file.subarray(offset, offset + sizeBytes).toString('base64')];
    });
    results[name] = Object.fromEntries((await Promise.all(read)).sort());
  }
  const golden = { made: versions, models: GOLDEN_MODELS, recipes: GOLDEN_RECIPES, failed, drawn, results };
  await writeFile(OUTPUT, `${JSON.stringify(golden, undefined, 1)}\n`);
  console.log(versions, failed);
} finally {
  await rm(folder, { recursive: true, force: true });
}
