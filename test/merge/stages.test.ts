import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeTalkingModels } from '../../examples/merge/talking-models.ts';
import { systemClock } from '../../src/base/clock.ts';
import { ancestorsOf, lineageOf } from '../../src/merge/lineage.ts';
import { MANIFEST_NAME, type MergeManifest } from '../../src/merge/manifest.ts';
import type { MergePlan } from '../../src/merge/plan.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { runMerge, unfinishedMerge } from '../../src/merge/run.ts';
import { allStages } from '../../src/merge/stages.ts';
import { verifyMerge } from '../../src/merge/verify.ts';
import { makeVocabularyModels } from './golden-vocabularies.ts';
import { plan, problemsOf, TIES, taskOf, useModels } from './models.ts';

const models = useModels();

/** Two stages, one of which the other reads, and an output that reads both and a model. */
const STAGED = `
# the second stage stands first
name: lawyers/both
merge_method: linear
models:
  - {model: tied, parameters: {weight: 0.5}}
  - {model: c, parameters: {weight: 0.5}}
dtype: bfloat16
---
name: tied
${TIES.trim()}
---
merge_method: slerp
base_model: tied
models: [{model: tied}, {model: lawyers/both}]
parameters: {t: 0.4}
dtype: bfloat16
`;

const stagesDirectory = (): string => models.path('stages');

function staged(recipe: string = STAGED): Promise<MergePlan> {
  return plan(models.path(), recipe, { stagesDirectory: stagesDirectory() });
}

async function merged(recipe: string, name: string, workers = 1): Promise<MergeManifest> {
  const means = { workers, memoryBytes: workers === 1 ? 16e6 : 256e6 };
  return runMerge(await staged(recipe), { output: models.path(name), ...means }, { clock: systemClock });
}

const there = (...parts: string[]): Promise<boolean> =>
  stat(models.path(...parts)).then(
    () => true,
    () => false,
  );

describe('MRG-47: recipes in several documents', () => {
  let one: MergeManifest;
  beforeAll(async () => {
    one = await merged(STAGED, 'one');
  });

  it('merge their stages first, each once, from headers of what does not exist yet', async () => {
    const planned = await staged();
    expect(allStages(planned).map(({ name }) => name)).toEqual(['tied', 'lawyers/both']);
    expect(planned.models.map(({ name }) => name)).toEqual(['tied', 'lawyers/both']);
    expect(taskOf(planned.tasks, 'model.norm.weight').models[0]?.path).toMatch(
      /stages\/tied-[0-9a-f]{16}\/model\.safetensors$/,
    );
    expect(await there('stages')).toBe(false);
  });

  it('MRG-5: give what merging stage by stage gives, with any number of workers, and leave nothing else', async () => {
    const two = await merged(STAGED, 'two', 2);
    expect(two).toEqual(one);
    expect(await there('stages')).toBe(false);
    const [second = '', first = '', last = ''] = STAGED.split('---\n');
    await merged(first.replace('name: tied', ''), 'tied');
    await mkdir(models.path('lawyers'));
    await merged(second.replace('name: lawyers/both', ''), 'lawyers/both');
    const byHand = await merged(last, 'by-hand');
    expect(byHand.contentHash).toBe(one.contentHash);
    expect(byHand.models).toEqual(one.models);
    expect((await readdir(models.path('one'))).sort()).toEqual([
      'config.json',
      'model.safetensors',
      MANIFEST_NAME,
    ]);
  });

  it('MRG-48: pass shares on through stages, whole to the last part per million', async () => {
    const manifest = one;
    const shares = ancestorsOf(lineageOf(manifest));
    expect(shares.map(({ name }) => name)).toEqual(['base', 'a', 'b', 'c']);
    expect(shares.reduce((sum, { sharePpm }) => sum + sharePpm, 0)).toBe(1_000_000);
    const of = (each: MergeManifest, name: string): number => {
      const model = each.models.findIndex((one) => one.name === name);
      return each.parents.find((parent) => parent.model === model)?.sharePpm ?? 0;
    };
    const stage = (each: MergeManifest, name: string): MergeManifest => {
      const found = each.stages?.find((one) => one.name === name);
      if (!found) throw new Error(`no ${name}`);
      return found.manifest;
    };
    const both = stage(manifest, 'lawyers/both');
    const throughTied = of(manifest, 'tied') + (of(manifest, 'lawyers/both') * of(both, 'tied')) / 1e6;
    const expected = (throughTied * of(stage(manifest, 'tied'), 'a')) / 1e6;
    expect(Math.abs((shares[1]?.sharePpm ?? 0) - expected)).toBeLessThan(1.5);
    expect(shares[0]?.sharePpm).toBe(0);
    expect(manifest.stages?.map(({ name }) => name)).toEqual(['tied', 'lawyers/both']);
    expect(both.stages).toBeUndefined();
  });

  it('MRG-49: are verified with their stages merged again', async () => {
    await cp(models.path('one'), models.path('checked'), { recursive: true });
    const again = { directory: models.path(), workers: 1 };
    expect(await verifyMerge(models.path('checked'), again)).toMatchObject({ problems: [], repeated: 21 });
    const some = { ...again, tensors: ['model.norm.weight'] };
    expect(await verifyMerge(models.path('checked'), some)).toMatchObject({ problems: [], repeated: 1 });
    expect(await there('checked.verifying')).toBe(false);
    const path = models.path('checked', MANIFEST_NAME);
    const manifest: MergeManifest = JSON.parse(await readFile(path, 'utf8'));
    const [first, ...others] = manifest.stages ?? [];
    const wrong = { ...first?.manifest, contentHash: '0'.repeat(64) };
    await writeFile(
      path,
      JSON.stringify({ ...manifest, stages: [{ ...first, manifest: wrong }, ...others] }),
    );
    expect((await verifyMerge(models.path('checked'))).problems).toEqual([
      'tied is not what its stage made',
      'tied: the content hash is not that of the tensors',
      'lawyers/both: tied is not what its stage made',
    ]);
    expect((await verifyMerge(models.path('checked'), again)).problems).toContain(
      'stage tied comes out different',
    );
  });

  it('MRG-17: take stages that are there, and go on with one that is not whole', async () => {
    const planned = await staged();
    expect(await unfinishedMerge(planned, models.path('again'))).toBe('none');
    const cancelled = new AbortController();
    const seen: string[] = [];
    await expect(
      runMerge(
        planned,
        {
          output: models.path('again'),
          workers: 1,
          signal: cancelled.signal,
          onProgress: ({ stage = 'output', tensorsDone }) => {
            if (!seen.includes(stage)) seen.push(stage);
            if (stage === 'lawyers/both' && tensorsDone >= 3) cancelled.abort();
          },
        },
        { clock: systemClock },
      ),
    ).rejects.toMatchObject({ code: 'cancelled' });
    expect(seen).toEqual(['tied', 'lawyers/both']);
    expect(await unfinishedMerge(planned, models.path('again'))).toBe('same');
    const told: (string | undefined)[] = [];
    await runMerge(
      planned,
      { output: models.path('again'), workers: 1, onProgress: ({ stage }) => told.push(stage) },
      { clock: systemClock },
    );
    expect(told).not.toContain('tied');
    expect(await there('stages')).toBe(false);
  });

  it('MRG-50: have a limit on what stages take, and tell everything wrong of all documents at once', async () => {
    const small = { stagesDirectory: stagesDirectory(), stageBytesMax: 1000 };
    await expect(plan(models.path(), STAGED, small)).rejects.toThrow(/the stages take \d+ bytes, more than/);
    const wrong = STAGED.replace('model: c', 'model: cc')
      .replace('t: 0.4', 't: 1.4')
      .replace('density: 0.5', 'density: 2');
    expect(await problemsOf(models.path(), wrong)).toEqual([
      'tied: a: density is 2, not a number from 0 to 1',
      expect.stringMatching(/^lawyers\/both: cc: file-missing.*did you mean c\?$/),
    ]);
    const all = STAGED.replace('model: c', 'model: cc')
      .replace('t: 0.4', 'tt: 0.4, lamda: 1')
      .replace('parameters: { normalize: true }', 'parameters: { normalise: true }');
    expect(await problemsOf(models.path(), `${all}chat_template: chatlm\n`)).toEqual([
      'tied: unknown setting normalise; did you mean normalize?',
      expect.stringMatching(/^lawyers\/both: cc: file-missing/),
      'output: unknown setting tt; did you mean t?',
      'output: unknown setting lamda',
      expect.stringMatching(/^output: chat_template: chatlm is neither .*did you mean chatml\?$/),
    ]);
    const later = STAGED.replace('t: 0.4', 't: 1.4').replace('merge_method: slerp', 'merge_method: slerpy');
    expect(await problemsOf(models.path(), later)).toEqual([
      'output: unknown method slerpy; did you mean slerp?',
    ]);
  });

  const form: readonly (readonly [string, string])[] = [
    ['name: x\nA\n---\nname: x\nA\n---\nB', 'two documents are called x'],
    ['A\n---\nA', 'two documents have no name; only the output may have none'],
    [
      'name: x\nmerge_method: passthrough\nmodels: [{model: y}]\n---\nname: y\nmerge_method: passthrough\nmodels: [{model: x}]\n---\nB',
      'stages refer to each other: x, y, x',
    ],
    ['name: z\nA\n---\nA', 'nothing refers to z: a recipe makes one output, and stages that it uses'],
    [
      'name: x\nmerge_metod: linear\nmodels: [{model: a}]\n---\nB',
      'x: recipe: unknown key merge_metod; did you mean merge_method?',
    ],
  ];
  it.each(form)('%s', (text, problem) => {
    const filled = text
      .replaceAll('A', 'merge_method: passthrough\nmodels: [{model: a}]')
      .replaceAll('B', 'merge_method: passthrough\nmodels: [{model: x}]');
    expect(() => parseRecipe(filled)).toThrow(problem);
  });

  it('MRG-50: are at most 64 documents', async () => {
    const document = (i: number): string =>
      `name: s${i}\nmerge_method: passthrough\nmodels: [{model: ${i === 0 ? 'a' : `s${i - 1}`}}]\n`;
    const chain = (count: number): string => [...Array(count).keys()].map(document).join('---\n');
    expect(parseRecipe(chain(64)).name).toBe('s63');
    // Each of the two before it: as many ways as Fibonacci's numbers, and still one stage each.
    const woven = (i: number): string =>
      `name: s${i}\nmerge_method: linear\nparameters: {weight: 1}\nmodels: [{model: ${i < 1 ? 'a' : `s${i - 1}`}}, {model: ${i < 2 ? 'b' : `s${i - 2}`}}]\n`;
    const text = [...Array(64).keys()].map(woven).join('---\n');
    expect(allStages(await staged(text))).toHaveLength(63);
    expect(() => parseRecipe(chain(65))).toThrow('a recipe has at most 64 documents');
  });

  it('are the last document where all have names; empty ones are none', async () => {
    const recipe = parseRecipe(
      `---\n${STAGED.replace('---\nmerge_method: slerp', '---\nname: out\nmerge_method: slerp')}---\n`,
    );
    expect([recipe.name, recipe.stages.map(({ name }) => name)]).toEqual(['out', ['tied', 'lawyers/both']]);
    expect(parseRecipe(recipe.text)).toEqual(recipe);
  });
});

describe('MRG-47: stages of other kinds', () => {
  beforeAll(async () => {
    await mkdir(models.path('words'));
    await makeVocabularyModels(models.path('words'));
  });

  it('join vocabularies, for later stages too', async () => {
    const recipe = `
name: joined
merge_method: linear
models: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]
tokenizer_source: union
---
merge_method: linear
models: [{model: joined, parameters: {weight: 1}}, {model: base, parameters: {weight: 1}}]
tokenizer: {source: joined, tokens: {ab: {source: base}}}
chat_template: chatml
`;
    const planned = await plan(models.path('words'), recipe, {
      stagesDirectory: models.path('words', 'stages'),
    });
    const output = models.path('words', 'out');
    await runMerge(planned, { output }, { clock: systemClock });
    const { added_tokens } = JSON.parse(
      await readFile(models.path('words', 'out', 'tokenizer.json'), 'utf8'),
    );
    expect(added_tokens.map(({ content }: { content: string }) => content)).toEqual(
      expect.arrayContaining(['<tool>', 'y', 'z', 'f', '<pad>', 'ab']),
    );
    expect(await verifyMerge(output, { directory: models.path('words') })).toMatchObject({ problems: [] });
  });

  it('are of GGUF where their models are', async () => {
    await makeTalkingModels(models.path('talking'));
    const recipe = `
name: pair
merge_method: linear
models: [{model: law, parameters: {weight: 1}}, {model: medicine, parameters: {weight: 1}}]
---
merge_method: passthrough
models: [{model: pair}]
`;
    const planned = await plan(models.path('talking'), recipe, {
      stagesDirectory: models.path('talking-stages'),
    });
    const { contentHash } = await runMerge(
      planned,
      { output: models.path('talking', 'out') },
      { clock: systemClock },
    );
    expect(planned.stages[0]?.plan.tasks).toHaveLength(planned.tasks.length);
    expect(contentHash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('are of FP8 with scales where a recipe asks for it', async () => {
    const recipe = `
name: small
merge_method: linear
models: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]
out_dtype: float8_e4m3fn
---
merge_method: linear
models: [{model: small, parameters: {weight: 1}}, {model: c, parameters: {weight: 1}}]
dtype: bfloat16
`;
    const planned = await staged(recipe);
    expect(taskOf(planned.tasks, 'model.layers.0.mlp.up_proj.weight').models[0]?.scale).toBeDefined();
    const { tensors } = await runMerge(planned, { output: models.path('small') }, { clock: systemClock });
    expect(tensors).toHaveLength(21);
  });
});

describe('MRG-43: vocabularies of GGUF', () => {
  it('are not joined: they must be the same', async () => {
    await makeTalkingModels(models.path('speaking'));
    const recipe = (more: string): string =>
      `merge_method: linear\nmodels: [{model: law, parameters: {weight: 1}}, {model: medicine, parameters: {weight: 1}}]\n${more}\n`;
    expect(await problemsOf(models.path('speaking'), recipe('tokenizer_source: union'))).toEqual([]);
    const more = 'tokenizer: {source: base, tokens: {x: {source: law}}}';
    expect(await problemsOf(models.path('speaking'), recipe(more))).toEqual([
      'tokenizer.tokens is for models in safetensors, not in GGUF',
    ]);
    const path = models.path('speaking', 'medicine', 'model.gguf');
    const bytes = await readFile(path);
    const key = bytes.indexOf('tokenizer.ggml.tokens');
    // Type, count, and the first token's length stand between; its text is made another.
    bytes[key + 'tokenizer.ggml.tokens'.length + 4 + 4 + 8 + 8] = 0x7e;
    await writeFile(path, bytes);
    expect(await problemsOf(models.path('speaking'), recipe('tokenizer_source: union'))).toEqual([
      'tokenizer: the tokens of medicine and law differ; vocabularies of GGUF are not joined, those of safetensors are',
    ]);
  });
});
