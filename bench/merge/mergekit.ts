/** The same merge by mergekit on PyTorch, for `bench/merge.ts --mergekit`, and how far either is from exact. */
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const RUNNER = fileURLToPath(new URL('./run-mergekit.py', import.meta.url));
const DISTANCES = fileURLToPath(new URL('./distances.ts', import.meta.url));

const RECIPE = 'mergekit.yaml';

/** What a merge by mergekit took; its imports are not counted. */
export interface MergekitMeasure {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
  readonly torch: string;
}

/** Merges `recipe` over the models in `directory` into `output`, in a process of its own. */
export async function runMergekit(
  python: string,
  {
    recipe,
    directory,
    output,
  }: { readonly recipe: string; readonly directory: string; readonly output: string },
): Promise<MergekitMeasure> {
  const path = join(directory, RECIPE);
  await writeFile(path, recipe);
  await rm(output, { recursive: true, force: true });
  const { stdout } = await promisify(execFile)(python, [RUNNER, path, output], { cwd: directory });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

/** Distance from f64 of outputs of the recipe that `runMergekit` ran last; elsewhere, for the memory that it takes. */
export async function distances(directory: string, outputs: readonly string[]): Promise<readonly number[]> {
  const recipe = join(directory, RECIPE);
  const { stdout } = await promisify(execFile)(process.execPath, [DISTANCES, recipe, directory, ...outputs]);
  return JSON.parse(stdout);
}
