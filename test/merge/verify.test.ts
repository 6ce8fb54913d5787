import { cp, open, readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { explainMerge, fitGram } from '../../src/merge/explain.ts';
import { MANIFEST_NAME, type MergeManifest, readManifest } from '../../src/merge/manifest.ts';
import { contentHash } from '../../src/merge/merkle.ts';
import { runMerge } from '../../src/merge/run.ts';
import { verifyMerge } from '../../src/merge/verify.ts';
import { plan, TIES, useModels } from './models.ts';

const models = useModels();

beforeAll(async () => {
  await merge('good', TIES);
});

async function merge(name: string, recipe: string): Promise<MergeManifest> {
  return runMerge(await plan(models.path(), recipe), { output: models.path(name) }, { clock: systemClock });
}

const LINEAR = (a: number, b: number): string =>
  `merge_method: linear\nmodels: [{model: a, parameters: {weight: ${a}}}, {model: b, parameters: {weight: ${b}}}]`;
const ARITHMETIC = (a: number, b: number): string =>
  `${LINEAR(a, b).replace('linear', 'task_arithmetic')}\nbase_model: base`;

describe('MRG-21: verification', { timeout: 120_000 }, () => {
  async function tampered(change: (manifest: Record<string, never>) => void): Promise<readonly string[]> {
    const folder = models.path('tampered');
    await cp(models.path('good'), folder, { recursive: true });
    const manifest = JSON.parse(await readFile(models.path('good', MANIFEST_NAME), 'utf8'));
    change(manifest);
    await writeFile(models.path('tampered', MANIFEST_NAME), JSON.stringify(manifest));
    return (await verifyMerge(folder, { directory: models.path() })).problems;
  }

  it('holds for what was merged, with and without the models, whole and in part', async () => {
    const files = await verifyMerge(models.path('good'));
    expect(files).toMatchObject({ checked: 21, repeated: 0, problems: [] });
    const again = await verifyMerge(models.path('good'), { directory: models.path() });
    expect(again).toMatchObject({ checked: 21, repeated: 21, problems: [] });
    const tensors = ['lm_head.weight'];
    const part = await verifyMerge(models.path('good'), { directory: models.path(), tensors });
    expect(part).toMatchObject({ checked: 1, repeated: 1, problems: [] });
    const none = await verifyMerge(models.path('good'), { tensors: ['x'] });
    expect(none.problems).toEqual(['no tensor x']);
  });

  it('notices a changed byte of the output', async () => {
    await cp(models.path('good'), models.path('flipped'), { recursive: true });
    const entry = (await openCheckpoint(models.path('flipped'))).tensors.get('lm_head.weight');
    const file = await open(models.path('flipped', 'model.safetensors'), 'r+');
    await file.write(Uint8Array.of(0x3c), 0, 1, entry?.offset);
    await file.close();
    expect((await verifyMerge(models.path('flipped'))).problems).toEqual(['lm_head.weight has other data']);
  });

  it('notices shares, hashes, recipe and contributions that are not those of the merge', async () => {
    const shares = await tampered((m: { parents?: { sharePpm: number }[] }) => {
      for (const parent of m.parents ?? []) parent.sharePpm = 500_000;
    });
    expect(shares).toHaveLength(2);
    const hash = await tampered((m: { contentHash?: string }) => {
      m.contentHash = 'ab'.repeat(32);
    });
    expect(hash).toEqual(['the content hash is not that of the tensors']);
    const recipe = await tampered((m: { recipe?: string }) => {
      m.recipe = TIES.replace('0.6', '0.7');
    });
    expect(recipe).toContain('lm_head.weight comes out different');
    const gram = await tampered((m: { tensors?: { gram: number[] }[] }) => {
      for (const tensor of m.tensors ?? []) tensor.gram = tensor.gram.map((value) => 2 * value);
    });
    expect(gram).toContain('lm_head.weight has other contributions');
    const swapped = await tampered((m: { tensors?: { parents: number[] }[] }) => {
      for (const tensor of m.tensors ?? []) tensor.parents.reverse();
    });
    expect(swapped).toContain('lm_head.weight has other contributions');
    const model = await tampered((m: { models?: { contentHash: string }[] }) => {
      for (const each of m.models ?? []) each.contentHash = 'ab'.repeat(32);
    });
    expect(model).toEqual(['base', 'a', 'b'].map((name) => `${name} is not the model that was merged`));
    const stray = tampered((m: { tensors?: { parents: number[] }[] }) => {
      for (const tensor of m.tensors ?? []) tensor.parents = [0, -1];
    });
    await expect(stray).rejects.toMatchObject({ code: 'bundle-invalid' });
  });

  it('refuses what is no manifest', async () => {
    await expect(readManifest(models.path('a'))).rejects.toMatchObject({ code: 'file-missing' });
    await writeFile(models.path('a', MANIFEST_NAME), '{"format":"sahara-merge/1"}');
    await expect(readManifest(models.path('a'))).rejects.toMatchObject({ code: 'bundle-invalid' });
  });
});

describe('MRG-18: models are named by their content', { timeout: 120_000 }, () => {
  it('a merge’s manifest names the content of every model, also of what it does not read', async () => {
    const manifest = await merge(
      'first-layer',
      'merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [0, 1]}]}]',
    );
    const whole = await merge('all-layers', 'merge_method: passthrough\nmodels: [{model: a}]');
    expect(manifest.models).toEqual(whole.models);
    expect(whole.contentHash).toBe(whole.models[0]?.contentHash);
    expect(contentHash(whole.tensors)).toBe(whole.contentHash);
    expect(manifest.contentHash).not.toBe(whole.contentHash);
  });
});

describe('MRG-20: shares of a merge', { timeout: 120_000 }, () => {
  it('follow the weights, squared, and go to the parents', async () => {
    const { parents, models: named } = await merge('shared', ARITHMETIC(0.6, 0.4));
    expect(parents.map(({ model }) => named[model]?.name)).toEqual(['a', 'b']);
    expect(parents.reduce((sum, { sharePpm }) => sum + sharePpm, 0)).toBe(1_000_000);
    // Independent updates of one size: 0.36 to 0.16.
    expect((parents[0]?.sharePpm ?? 0) / 1e6).toBeCloseTo(0.692, 1);
    expect(parents[0]?.normShare).toBeCloseTo(0.6, 1);
  });
});

describe('MRG-22: explanation', { timeout: 120_000 }, () => {
  it('finds the weights of a linear merge, and how much of a sparse one is explained', async () => {
    await merge('linear', LINEAR(0.7, 0.3));
    const input = { parents: [models.path('a'), models.path('b')], base: models.path('base') };
    const linear = await explainMerge({ output: models.path('linear'), ...input });
    expect(linear.weights[0]).toBeCloseTo(0.7, 2);
    expect(linear.weights[1]).toBeCloseTo(0.3, 2);
    expect(linear.rSquared).toBeGreaterThan(0.98);
    expect(linear.tensors).toHaveLength(21);
    const sparse = await explainMerge({ output: models.path('good'), ...input });
    expect(sparse.rSquared).toBeGreaterThan(0.5);
    expect(sparse.rSquared).toBeLessThan(0.95);
    const stranger = await explainMerge({
      ...input,
      output: models.path('linear'),
      parents: [models.path('c')],
    });
    expect(stranger.weights[0]).toBeLessThan(0.05);
    expect(stranger.rSquared).toBeLessThan(0.05);
  });

  it('says what it could not compare, and needs a parent', async () => {
    await merge('short', 'merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [0, 1]}]}]');
    const input = { output: models.path('b'), parents: [models.path('a')], base: models.path('short') };
    const { left, weights } = await explainMerge(input);
    expect(left).toHaveLength(9);
    expect(weights).toHaveLength(1);
    await expect(explainMerge({ ...input, parents: [] })).rejects.toMatchObject({ code: 'usage' });
  });

  it('never gives a negative weight', () => {
    // Target (1, 1); parents (1, 0) and (-1, -1): without the bound the second would get a negative weight.
    expect(fitGram([2, 1, -2, 1, 1, -1, -2, -1, 2], 3)).toEqual({ weights: [1, 0], rSquared: 0.5 });
    expect(fitGram([0, 0, 0, 1], 2)).toEqual({ weights: [0], rSquared: 1 });
  });
});
