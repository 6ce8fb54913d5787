/**
 * Makes a base and two fine-tunes from a seed, merges them five ways and an adapter pair, checks every merge by doing it again, shows who
 * made how much of it, explains one of them as if it were a stranger's, registers the one that its parents explain best
 * with its shares, and sells a licence for it. `node examples/merge/merge.ts`
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { mergeAdapters } from '../../src/merge/adapters/merge-adapters.ts';
import type { Adapter } from '../../src/merge/adapters/peft.ts';
import { explainMerge } from '../../src/merge/explain.ts';
import { planMerge } from '../../src/merge/plan.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { runMerge } from '../../src/merge/run.ts';
import { verifyMerge } from '../../src/merge/verify.ts';
import { makeModel, TINY } from './make-models.ts';
import { type MergeForSale, sellMerge } from './sell-merge.ts';

const RECIPES: Readonly<Record<string, string>> = {
  linear: `
merge_method: linear
models:
  - { model: law, parameters: { weight: 0.7 } }
  - { model: medicine, parameters: { weight: 0.3 } }
dtype: bfloat16
`,
  slerp: `
merge_method: slerp
base_model: law
slices:
  - sources:
      - { model: law, layer_range: [0, 2] }
      - { model: medicine, layer_range: [0, 2] }
parameters:
  t:
    - { filter: self_attn, value: [0, 1] }
    - { value: 0.5 }
dtype: bfloat16
`,
  ties: `
merge_method: ties
base_model: base
models:
  - { model: law, parameters: { weight: 0.6, density: 0.5 } }
  - { model: medicine, parameters: { weight: 0.4, density: 0.5 } }
dtype: bfloat16
`,
  dare_ties: `
merge_method: dare_ties
base_model: base
models:
  - { model: law, parameters: { weight: 0.6, density: 0.5 } }
  - { model: medicine, parameters: { weight: 0.4, density: 0.5 } }
dtype: bfloat16
`,
  model_stock: `
merge_method: model_stock
base_model: base
models: [{ model: law }, { model: medicine }]
dtype: float32
`,
};

/** Two adapters of rank 4 for one module, merged exactly and brought back to rank 4. */
function mergeAdapterPair(): void {
  const adapter = (phase: number): Adapter => {
    const wave = (length: number, step: number): Float64Array =>
      Float64Array.from({ length }, (_, i) => Math.sin(phase + step * i * i));
    const b = { rows: 32, columns: 4, values: wave(32 * 4, 0.7) };
    const a = { rows: 4, columns: 24, values: wave(4 * 24, 0.3) };
    return { modules: new Map([['model.layers.0.self_attn.q_proj', { a, b }]]), config: {} };
  };
  const parents = [
    { adapter: adapter(1), weight: 0.6 },
    { adapter: adapter(2), weight: 0.4 },
  ];
  const exact = mergeAdapters(parents);
  const { adapter: small, lostEnergy, shares } = mergeAdapters(parents, { rank: 4 });
  const ranks = [exact.adapter, small].map(({ modules }) => [...modules.values()][0]?.a.rows);
  deepStrictEqual(ranks, [8, 4]);
  const percents = shares.map(({ sharePpm }) => `${(sharePpm / 10_000).toFixed(2)} %`);
  console.log(
    `adapters: ${percents.join(' and ')}; rank 4 of 8 loses ${(100 * lostEnergy).toFixed(1)} % of the energy`,
  );
}

const directory = await mkdtemp(join(tmpdir(), 'sahara-example-merge-'));
try {
  await makeModel(join(directory, 'base'), TINY, { base: 1 });
  await makeModel(join(directory, 'law'), TINY, { base: 1, tune: 2 });
  await makeModel(join(directory, 'medicine'), TINY, { base: 1, tune: 3 });

  const made: (Omit<MergeForSale, 'directory'> & { readonly fit: number })[] = [];
  for (const [name, recipe] of Object.entries(RECIPES)) {
    const plan = await planMerge(parseRecipe(recipe), { directory });
    const output = join(directory, name);
    const { contentHash, models, parents } = await runMerge(plan, { output }, { clock: systemClock });
    const shares = parents.map(
      ({ model, sharePpm }) => `${models[model]?.name} ${(sharePpm / 10_000).toFixed(2)} %`,
    );
    console.log(`${name.padEnd(12)} ${contentHash.slice(0, 16)}  ${shares.join(', ')}`);
    strictEqual(
      parents.reduce((sum, { sharePpm }) => sum + sharePpm, 0),
      1_000_000,
    );
    const { problems, repeated } = await verifyMerge(output, { directory });
    deepStrictEqual(problems, []);
    strictEqual(repeated, plan.tasks.length);
    const sources = { output, parents: [join(directory, 'law'), join(directory, 'medicine')] };
    const { rSquared: fit } = await explainMerge({ ...sources, base: join(directory, 'base') });
    const entries = parents.map(({ model, sharePpm }) => [models[model]?.name ?? '', sharePpm] as const);
    made.push({
      merge: name,
      models: models.map((each) => each.name),
      shares: Object.fromEntries(entries),
      fit,
    });
  }

  const [output, law, medicine, base] = ['linear', 'law', 'medicine', 'base'].map((name) =>
    join(directory, name),
  );
  ok(output && law && medicine && base);
  const { weights, rSquared } = await explainMerge({ output, parents: [law, medicine], base });
  const fitted = weights.map((weight) => weight.toFixed(3)).join(' and ');
  console.log(`linear is explained by ${fitted} of its parents, R² ${rSquared.toFixed(3)}`);
  ok(Math.abs((weights[0] ?? 0) - 0.7) < 0.01 && Math.abs((weights[1] ?? 0) - 0.3) < 0.01 && rSquared > 0.98);
  console.log('every merge came out the same when it was done again');
  mergeAdapterPair();
  const [best] = made.sort((a, b) => b.fit - a.fit);
  ok(best);
  await sellMerge({ directory, ...best });
} finally {
  await rm(directory, { recursive: true, force: true });
}
