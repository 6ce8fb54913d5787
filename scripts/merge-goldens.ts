/**
 * Makes `test/merge/goldens/`: what mergekit itself makes of tiny models, method by method, and of vocabularies that
 * differ. Run once, by hand, after `scripts/install-mergekit` (all, or those that are named: `mergekit`,
 * `vocabularies`); tests hold our results to it. The models come from the seeds that it names.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '../src/merge/checkpoint.ts';
import { readVocabulary } from '../src/merge/tokenizers/vocabulary.ts';
import { GOLDEN_MODELS, GOLDEN_RECIPES, makeGoldenModels } from '../test/merge/golden-models.ts';
import {
  GOLDEN_VOCABULARIES,
  makeVocabularyModels,
  VOCABULARY_RECIPES,
} from '../test/merge/golden-vocabularies.ts';
import { MERGEKIT_MISSING, mergekitPython } from './mergekit.ts';

const FOLDER = new URL('../test/merge/goldens/', import.meta.url);
const RUNNER = fileURLToPath(new URL('./merge-goldens.py', import.meta.url));

const python = mergekitPython();
if (python === undefined) throw new Error(MERGEKIT_MISSING);
const wanted = process.argv.slice(2);

interface Made {
  readonly told: { readonly versions: object; readonly failed: object; readonly drawn: object };
  /** Bytes of every tensor, and numbers of tokens where there are some, by recipe. */
  readonly results: Readonly<Record<string, object>>;
  readonly tokens: Readonly<Record<string, object>>;
}

/** Has mergekit do `recipes` on the models that `make` makes. */
async function run(
  recipes: Readonly<Record<string, string>>,
  make: (directory: string) => Promise<void>,
): Promise<Made> {
  const folder = await mkdtemp(join(tmpdir(), 'sahara-goldens-'));
  try {
    await make(folder);
    for (const [name, recipe] of Object.entries(recipes))
      await writeFile(join(folder, `${name}.yaml`), recipe);
    const output = execFileSync(python ?? '', [RUNNER, folder], { cwd: folder, encoding: 'utf8' });
    const told = JSON.parse(output.trim().split('\n').at(-1) ?? '');
    const results: Record<string, object> = {};
    const tokens: Record<string, object> = {};
    for (const name of Object.keys(recipes)) {
      if (Object.hasOwn(told.failed, name)) continue;
      const { tensors, ...side } = await openCheckpoint(join(folder, 'out', name));
      const read = [...tensors.values()].map(async ({ name: tensor, path, offset, sizeBytes }) => {
        const file = await readFile(path);
        return [tensor, file.subarray(offset, offset + sizeBytes).toString('base64')];
      });
      results[name] = Object.fromEntries((await Promise.all(read)).sort());
      const vocabulary = await readVocabulary(side);
      if (vocabulary) tokens[name] = Object.fromEntries([...vocabulary.ids].sort(([, a], [, b]) => a - b));
    }
    console.log(told.versions, told.failed);
    return { told, results, tokens };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function write(name: string, golden: object): Promise<void> {
  await writeFile(new URL(`${name}.json`, FOLDER), `${JSON.stringify(golden, undefined, 1)}\n`);
}

if (wanted.length === 0 || wanted.includes('mergekit')) {
  const { told, results } = await run(GOLDEN_RECIPES, makeGoldenModels);
  const { versions: made, failed, drawn } = told;
  await write('mergekit', { made, models: GOLDEN_MODELS, recipes: GOLDEN_RECIPES, failed, drawn, results });
}
if (wanted.length === 0 || wanted.includes('vocabularies')) {
  const { told, results, tokens } = await run(VOCABULARY_RECIPES, makeVocabularyModels);
  const { versions: made, failed } = told;
  const from = { vocabularies: GOLDEN_VOCABULARIES, recipes: VOCABULARY_RECIPES };
  await write('vocabularies', { made, ...from, failed, tokens, results });
}
