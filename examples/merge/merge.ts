/**
 * Makes a base and two fine-tunes from a seed, merges them five ways, checks every merge by doing it again and shows who
 * made how much of it; merges a pair of adapters too. Every merge is asked what only both parents together know; the
 * best is registered with its shares and served as an agent, and what a call pays reaches the makers of its parents.
 * `node examples/merge/merge.ts`
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { explainMerge } from '../../src/merge/explain.ts';
import { planMerge } from '../../src/merge/plan.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { runMerge } from '../../src/merge/run.ts';
import { verifyMerge } from '../../src/merge/verify.ts';
import { askModel, type Talker, talk } from './ask-model.ts';
import { type MergeToServe, serveMerge } from './serve-merge.ts';
import { makeTalkingModels, WHOLE_ANSWER } from './talking-models.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/sahara.js', import.meta.url));

const PAIR = `
base_model: base
models:
  - { model: law, parameters: { weight: 0.6, density: 0.7 } }
  - { model: medicine, parameters: { weight: 0.4, density: 0.7 } }
`;

const RECIPES: Readonly<Record<string, string>> = {
  linear: `
merge_method: linear
models:
  - { model: law, parameters: { weight: 0.7 } }
  - { model: medicine, parameters: { weight: 0.3 } }
`,
  slerp: `
merge_method: slerp
base_model: law
slices:
  - sources:
      - { model: law, layer_range: [0, 1] }
      - { model: medicine, layer_range: [0, 1] }
parameters:
  t:
    - { filter: attn, value: [0, 1] }
    - { value: 0.5 }
`,
  ties: `merge_method: ties${PAIR}`,
  dare_ties: `merge_method: dare_ties${PAIR}`,
  model_stock: `
merge_method: model_stock
base_model: base
models: [{ model: law }, { model: medicine }]
`,
};

const percent = (ppm: number): string => `${(ppm / 10_000).toFixed(2)} %`;

interface Candidate extends Omit<MergeToServe, 'directory'> {
  readonly score: number;
}

/** Merges one way, does it again to check it, and asks the result. */
async function mergeOnce(directory: string, name: string, talker: Talker): Promise<Candidate> {
  const plan = await planMerge(parseRecipe(RECIPES[name] ?? ''), { directory });
  const output = join(directory, name);
  const { contentHash, models, parents } = await runMerge(plan, { output }, { clock: systemClock });
  const shares = parents.map(({ model, sharePpm }) => [models[model]?.name ?? '', sharePpm] as const);
  const total = shares.reduce((sum, [, sharePpm]) => sum + sharePpm, 0);
  strictEqual(total, 1_000_000);
  const { problems, repeated } = await verifyMerge(output, { directory });
  deepStrictEqual([problems, repeated], [[], plan.tasks.length]);
  const { text, score } = await askModel(talker, { model: join(output, 'model.gguf') }, WHOLE_ANSWER);
  const parts = shares.map(([parent, sharePpm]) => `${parent} ${percent(sharePpm)}`).join(', ');
  console.log(`${name.padEnd(12)} ${contentHash.slice(0, 12)}  ${parts}  says “${text}”`);
  return { merge: name, models: models.map((each) => each.name), shares: Object.fromEntries(shares), score };
}

/** What a stranger finds out about a merge from its files and those of its parents. */
async function explainLinear(directory: string): Promise<void> {
  const [output, law, medicine, base] = ['linear', 'law', 'medicine', 'base'].map((name) =>
    join(directory, name),
  );
  ok(output && law && medicine && base);
  const { weights, rSquared } = await explainMerge({ output, parents: [law, medicine], base });
  const fitted = weights.map((weight) => weight.toFixed(3)).join(' and ');
  console.log(`linear is explained by ${fitted} of its parents, R² ${rSquared.toFixed(3)}`);
  ok(Math.abs((weights[0] ?? 0) - 0.7) < 0.01 && Math.abs((weights[1] ?? 0) - 0.3) < 0.01 && rSquared > 0.98);
}

/** What each fine-tune learned as an adapter, both merged exactly, and put on the base: by the commands, as a user would. */
async function mergeAdapterPair(directory: string, talker: Talker): Promise<void> {
  const adapter = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
    const command = [LAUNCHER, 'adapter', ...args, '--json'];
    return JSON.parse((await promisify(execFile)(process.execPath, command, { cwd: directory })).stdout);
  };
  for (const name of ['law', 'medicine'])
    await adapter(
      'extract',
      name,
      '--base',
      'base',
      '--rank',
      '2',
      '--module',
      'output',
      '--out',
      `${name}.gguf`,
    );
  const parents = ['law.gguf=0.6', 'medicine.gguf=0.4'];
  const both = await adapter('merge', ...parents, '--out', 'both.gguf');
  const smaller = await adapter('merge', ...parents, '--rank', '2', '--out', 'both-2.gguf');
  const base = join(directory, 'base');
  const adapters = [join(directory, 'both.gguf')];
  const { text } = await askModel(talker, { model: join(base, 'model.gguf'), adapters });
  strictEqual(text, WHOLE_ANSWER);
  ok(Array.isArray(both.parents));
  const parts = both.parents.map(({ sharePpm }) => percent(sharePpm)).join(' and ');
  console.log(`adapters: ${parts}; the base with both says “${text}”`);
  const lost = 100 * Number(smaller.lostEnergy);
  console.log(`at rank 2 instead of 4, ${lost.toFixed(1)} % of the change would be lost`);
}

const directory = await mkdtemp(join(tmpdir(), 'sahara-example-merge-'));
const talker = talk();
try {
  await makeTalkingModels(directory);
  const made: Candidate[] = [];
  for (const name of Object.keys(RECIPES)) made.push(await mergeOnce(directory, name, talker));
  console.log('every merge came out the same when it was done again');
  await explainLinear(directory);
  await mergeAdapterPair(directory, talker);
  await talker.close();
  const [best] = made.sort((a, b) => b.score - a.score);
  ok(best);
  console.log(`the best is ${best.merge}: it knows what both parents know`);
  await serveMerge({ directory, ...best });
} finally {
  await talker.close();
  await rm(directory, { recursive: true, force: true });
}
