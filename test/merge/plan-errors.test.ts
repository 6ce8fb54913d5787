import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { headerOnly, plan, problemsOf, useModels } from './models.ts';

const models = useModels();

describe('MRG-16: everything that is wrong is told at once', () => {
  it('in the form of a recipe', () => {
    const recipe = `
merge_methd: linear
models:
  - model: a
    parameter: {}
  - parameters: { weight: { a: 1 } }
slices: []
dtype: bfloat61
modules: {}
`;
    const expected = [
      'recipe: unknown key merge_methd; did you mean merge_method?',
      'merge_method is missing or not a text',
      expect.stringMatching(/^dtype: bfloat61 is not one of float32, float16, bfloat16, q8_0/),
      'a recipe has either models or slices, or modules',
    ];
    const facts = { problems: expected };
    expect(() => parseRecipe(recipe)).toThrow(expect.objectContaining({ code: 'recipe-invalid', facts }));
  });

  it('in what a recipe asks for', async () => {
    const recipe = `
merge_method: tiez
base_model: bsae
models:
  - model: a
  - model: nowhere
`;
    const problems = await problemsOf(models.path(), recipe);
    expect(problems).toHaveLength(3);
    expect(problems[0]).toBe('unknown method tiez; did you mean ties?');
    expect(problems[1]).toMatch(/^nowhere: file-missing/);
    expect(problems[2]).toMatch(/^bsae: file-missing/);
  });

  it('in settings', async () => {
    const recipe = `
merge_method: ties
base_model: base
models:
  - model: a
    parameters: { densty: 0.5, density: 1.5 }
  - model: b
    parameters: { weight: 1, t: 0.5 }
parameters: { normalize: maybe }
`;
    const problems = await problemsOf(models.path(), recipe);
    expect(problems).toContain('unknown setting densty; did you mean density?');
    const sound = recipe.replace('densty: 0.5, ', '');
    expect(await problemsOf(models.path(), sound)).toEqual([
      'a: weight is missing: ties needs it (factor of the model’s delta)',
      'normalize is maybe, not true or false',
      'a: density is 1.5, not a number from 0 to 1',
    ]);
  });

  it('in how models fit together, with the nearest name', async () => {
    await headerOnly(
      models.path('odd'),
      [
        ['model.embed_tokens.weight', [96, 64]],
        ['model.norms.weight', [64]],
        ['lm_head.weight', [96, 32]],
      ],
      {},
    );
    await headerOnly(
      models.path('even'),
      [
        ['model.embed_tokens.weight', [96, 64]],
        ['model.norm.weight', [64]],
        ['lm_head.weight', [96, 64]],
      ],
      {},
    );
    const recipe =
      'merge_method: linear\nmodels: [{model: even, parameters: {weight: 1}}, {model: odd, parameters: {weight: 1}}]';
    expect(await problemsOf(models.path(), recipe)).toEqual([
      'lm_head.weight has different shapes: 96 x 64, 96 x 32',
      'odd lacks model.norm.weight; nearest is model.norms.weight',
      'even lacks model.norms.weight; nearest is model.norm.weight',
    ]);
  });

  it('in the number of models and layers', async () => {
    await makeModel(models.path('deep'), { ...TINY, layers: 3 }, { base: 5 });
    const three =
      'merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}, {model: deep}]\nparameters: {t: 0.5}';
    expect(await problemsOf(models.path(), three)).toEqual([
      'the models have different numbers of layers: 2, 3',
      'models: slerp takes 2 models, not 3',
    ]);
    expect(
      await problemsOf(models.path(), 'merge_method: ties\nmodels: [{model: a, parameters: {weight: 1}}]'),
    ).toEqual(['ties needs base_model']);
    const beyond = 'merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [1, 4]}]}]';
    expect(await problemsOf(models.path(), beyond)).toEqual(['slices[0]: a has 2 layers, not 4']);
  });

  it('in weights that cancel, an adapter, a tokenizer that would have to be joined', async () => {
    const linear = (a: string) =>
      `merge_method: linear\nmodels: [{model: ${a}, parameters: {weight: 1}}, {model: b, parameters: {weight: -1}}]`;
    expect(await problemsOf(models.path(), linear('a'))).toEqual([
      'linear: weights that are normalised must not sum to 0',
    ]);
    expect((await problemsOf(models.path(), linear('a+lora')))[0]).toMatch(
      /^a\+lora: an adapter in a recipe/,
    );
    const source = (model: string): string => `${linear(model).replace('-1', '1')}\ntokenizer_source: union`;
    await writeFile(models.path('a', 'tokenizer.model'), 'x');
    await writeFile(models.path('b', 'tokenizer.model'), 'x');
    expect(await problemsOf(models.path(), source('a'))).toEqual([]);
    await writeFile(models.path('b', 'tokenizer.model'), 'y');
    expect(await problemsOf(models.path(), source('a'))).toEqual([
      'tokenizer: tokenizer.model of b and a differ, and a has no tokenizer.json, the form in which vocabularies are joined',
    ]);
  });

  it('MRG-26: in an output type that only GGUF has', async () => {
    const recipe = 'merge_method: passthrough\nmodels: [{model: a}]\nout_dtype: q8_0';
    expect(await problemsOf(models.path(), recipe)).toEqual([
      'out_dtype: Q8_0 is a type of GGUF, the models are safetensors',
    ]);
  });

  it('YAML that is none, keys that stand twice, aliases that explode', () => {
    for (const text of ['a: [', 'merge_method: linear\nmerge_method: ties', '- x', '']) {
      expect(() => parseRecipe(text)).toThrow(expect.objectContaining({ code: 'recipe-invalid' }));
    }
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((k, i) => `${k}: &${k} [${Array(9).fill(`*${'abcdefg'[i]}`).join()}]`),
    ];
    expect(() => parseRecipe(bomb.join('\n'))).toThrow(expect.objectContaining({ code: 'recipe-invalid' }));
    expect(() => parseRecipe(`#${' '.repeat(2 ** 20)}`)).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
  });
});

describe('MRG-2: models in several files', () => {
  it('are read by their index, which must agree with them', async () => {
    const index = (map: object) =>
      writeFile(models.path('sharded', 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    await headerOnly(models.path('sharded'), [['x.weight', [2]]], {});
    const bytes = await readFile(models.path('sharded', 'model.safetensors'));
    await writeFile(models.path('sharded', 'one.safetensors'), bytes);
    await writeFile(
      models.path('sharded', 'two.safetensors'),
      Buffer.from(bytes.toString('latin1').replace('x.weight', 'y.weight'), 'latin1'),
    );
    const recipe = 'merge_method: passthrough\nmodels: [{model: sharded}]';
    await index({ 'x.weight': 'one.safetensors', 'y.weight': 'two.safetensors' });
    expect((await plan(models.path(), recipe)).tasks.map(({ name }) => name)).toEqual([
      'x.weight',
      'y.weight',
    ]);
    const wrong: [object, RegExp][] = [
      [{ 'x.weight': 'one.safetensors', 'z.weight': 'two.safetensors' }, /lacks a tensor of the index/],
      [{ 'x.weight': 'one.safetensors', 'y.weight': 'one.safetensors' }, /lacks a tensor of the index/],
      [{ 'x.weight': '../a/model.safetensors' }, /outside the model/],
      [{ 'x.weight': '/etc/passwd' }, /outside the model/],
      [{ 'x.weight': 7 }, /names no file/],
      [{}, /names no file/],
      [{ 'x.weight': 'one.safetensors', 'y.weight': 'three.safetensors' }, /file-missing/],
    ];
    for (const [map, expected] of wrong) {
      await index(map);
      const [problem] = await problemsOf(models.path(), recipe);
      expect(problem).toMatch(expected);
    }
    await index({ 'x.weight': 'one.safetensors', 'y.weight': 'two.safetensors' });
    await writeFile(models.path('sharded', 'two.safetensors'), bytes);
    expect((await problemsOf(models.path(), recipe))[0]).toMatch(/stands in two files/);
    await index({ 'x.weight': 'one.safetensors' });
    await writeFile(models.path('sharded', 'one.safetensors'), bytes.subarray(0, bytes.length - 1));
    expect((await problemsOf(models.path(), recipe))[0]).toMatch(/differ in length/);
  });
});
