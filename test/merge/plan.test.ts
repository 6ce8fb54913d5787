import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { parseRecipe } from '../../src/merge/recipe.ts';
import { layOut } from '../../src/merge/safetensors.ts';
import type { TensorTask } from '../../src/merge/task.ts';
import { plan, TIES, useModels } from './models.ts';

const models = useModels();

async function problemsOf(recipe: string): Promise<readonly string[]> {
  try {
    await plan(models.path(), recipe);
  } catch (error) {
    if (error instanceof SaharaError && Array.isArray(error.facts.problems)) return error.facts.problems;
    throw error;
  }
  return [];
}

function task(tasks: readonly TensorTask[], name: string): TensorTask {
  const found = tasks.find((each) => each.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
}

/** Files of a model that has only a header; the data is a hole in the file, however large. */
async function headerOnly(name: string, shapes: [string, number[]][], config: object): Promise<void> {
  await mkdir(models.path(name), { recursive: true });
  const layout = layOut(
    shapes.map(([tensor, shape]) => ({ name: tensor, dtype: 'BF16', shape })),
    {},
  );
  await writeFile(models.path(name, 'model.safetensors'), layout.bytes);
  await truncate(models.path(name, 'model.safetensors'), layout.fileBytes);
  await writeFile(models.path(name, 'config.json'), JSON.stringify(config));
}

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
tokenizer: {}
`;
    const expected = [
      'recipe: unknown key merge_methd; did you mean merge_method?',
      'recipe: tokenizer is not supported',
      'merge_method is missing or not a text',
      'dtype: bfloat61 is not one of float32, float16, bfloat16',
      'a recipe has either models or slices',
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
    const problems = await problemsOf(recipe);
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
    const problems = await problemsOf(recipe);
    expect(problems).toContain('unknown setting densty; did you mean density?');
    const sound = recipe.replace('densty: 0.5, ', '');
    expect(await problemsOf(sound)).toEqual([
      'a: weight is missing: ties needs it (factor of the model’s delta)',
      'normalize is maybe, not true or false',
      'a: density is 1.5, not a number from 0 to 1',
    ]);
  });

  it('in how models fit together, with the nearest name', async () => {
    await headerOnly(
      'odd',
      [
        ['model.embed_tokens.weight', [96, 64]],
        ['model.norms.weight', [64]],
        ['lm_head.weight', [96, 32]],
      ],
      {},
    );
    await headerOnly(
      'even',
      [
        ['model.embed_tokens.weight', [96, 64]],
        ['model.norm.weight', [64]],
        ['lm_head.weight', [96, 64]],
      ],
      {},
    );
    const recipe =
      'merge_method: linear\nmodels: [{model: even, parameters: {weight: 1}}, {model: odd, parameters: {weight: 1}}]';
    expect(await problemsOf(recipe)).toEqual([
      'lm_head.weight has different shapes: 96 x 64, 96 x 32',
      'odd lacks model.norm.weight; nearest is model.norms.weight',
      'even lacks model.norms.weight; nearest is model.norm.weight',
    ]);
  });

  it('in the number of models and layers', async () => {
    await makeModel(models.path('deep'), { ...TINY, layers: 3 }, { base: 5 });
    const three =
      'merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}, {model: deep}]\nparameters: {t: 0.5}';
    expect(await problemsOf(three)).toEqual([
      'the models have different numbers of layers: 2, 3',
      'models: slerp takes 2 models, not 3',
    ]);
    expect(await problemsOf('merge_method: ties\nmodels: [{model: a, parameters: {weight: 1}}]')).toEqual([
      'ties needs base_model',
    ]);
    const beyond = 'merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [1, 4]}]}]';
    expect(await problemsOf(beyond)).toEqual(['slices[0]: a has 2 layers, not 4']);
  });

  it('in weights that cancel, an adapter, a tokenizer that would have to be joined', async () => {
    const linear = (a: string) =>
      `merge_method: linear\nmodels: [{model: ${a}, parameters: {weight: 1}}, {model: b, parameters: {weight: -1}}]`;
    expect(await problemsOf(linear('a'))).toEqual(['linear: weights that are normalised must not sum to 0']);
    expect((await problemsOf(linear('a+lora')))[0]).toMatch(/^a\+lora: file-missing/);
    await writeFile(models.path('a', 'tokenizer.json'), '{"model":{"vocab":{"x":0}}}');
    await writeFile(models.path('b', 'tokenizer.json'), '{"model":{"vocab":{"y":0}}}');
    expect(await problemsOf(`${linear('a').replace('-1', '1')}\ntokenizer_source: union`)).toEqual([
      'tokenizer_source: tokenizer.json of b and a differ; joining them is not supported',
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

describe('MRG-13: settings of recipes', () => {
  it('follow gradients and filters through the layers', async () => {
    await makeModel(models.path('five'), { ...TINY, layers: 5 }, { base: 7 });
    await makeModel(models.path('five-tuned'), { ...TINY, layers: 5 }, { base: 7, tune: 8 });
    const { tasks, warnings } = await plan(
      models.path(),
      `
slices:
  - sources:
      - model: five
        layer_range: [0, 5]
      - model: five-tuned
        layer_range: [0, 5]
merge_method: slerp
base_model: five
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5
  int8_mask: true
dtype: bfloat16
`,
    );
    const t = (name: string): unknown => task(tasks, `model.layers.${name}.weight`).settings.t;
    expect([0, 1, 2, 3, 4].map((i) => t(`${i}.self_attn.q_proj`))).toEqual([0, 0.5, 0.3, 0.7, 1]);
    expect([0, 1, 2, 3, 4].map((i) => t(`${i}.mlp.up_proj`))).toEqual([1, 0.5, 0.7, 0.3, 0]);
    expect(t('3.input_layernorm')).toBe(0.5);
    expect(task(tasks, 'lm_head.weight').settings.t).toBe(0.5);
    expect(warnings).toEqual(['int8_mask has no effect on slerp']);
  });

  it('take the nearest place first, and the start of a gradient outside the layers', async () => {
    const { tasks } = await plan(models.path(), TIES);
    expect(task(tasks, 'model.embed_tokens.weight').settings.weight).toEqual([0.6, 0.2]);
    expect(task(tasks, 'model.norm.weight').settings.weight).toEqual([0.6, 0.2]);
    expect(task(tasks, 'model.layers.0.mlp.up_proj.weight').settings.weight).toEqual([0.6, 0.2]);
    expect(task(tasks, 'model.layers.1.mlp.up_proj.weight').settings.weight).toEqual([0.6, 0.4]);
    const sliced = await plan(
      models.path(),
      `
merge_method: linear
slices:
  - sources:
      - { model: a, layer_range: [0, 1], parameters: { weight: 3 } }
      - { model: b, layer_range: [0, 1] }
    parameters: { weight: 2 }
  - sources:
      - { model: a, layer_range: [1, 2] }
parameters: { weight: 1 }
`,
    );
    expect(task(sliced.tasks, 'model.layers.0.mlp.up_proj.weight').settings.weight).toEqual([3, 2]);
    expect(task(sliced.tasks, 'model.layers.1.mlp.up_proj.weight').settings.weight).toEqual([1]);
  });
});

describe('MRG-14: slices', () => {
  it('stack layers, number them on, and count them in the configuration', async () => {
    const { tasks, config, parents } = await plan(
      models.path(),
      `
merge_method: passthrough
slices:
  - sources: [{ model: a, layer_range: [0, 2] }]
  - sources: [{ model: b, layer_range: [0, 2], parameters: { scale: [{ filter: o_proj, value: 0 }, { value: 1 }] } }]
`,
    );
    expect(tasks).toHaveLength(4 * 9 + 3);
    expect(config).toMatchObject({ num_hidden_layers: 4, vocab_size: 96 });
    const pathOf = (name: string): string | undefined => task(tasks, name).models[0]?.path;
    expect(pathOf('model.layers.3.mlp.up_proj.weight')).toBe(models.path('b', 'model.safetensors'));
    expect(task(tasks, 'model.layers.3.mlp.up_proj.weight').models[0]?.offset).toBe(
      task(
        (await plan(models.path(), 'merge_method: passthrough\nmodels: [{model: b}]')).tasks,
        'model.layers.1.mlp.up_proj.weight',
      ).models[0]?.offset,
    );
    expect(pathOf('model.embed_tokens.weight')).toBe(models.path('a', 'model.safetensors'));
    expect(pathOf('lm_head.weight')).toBe(models.path('b', 'model.safetensors'));
    expect(task(tasks, 'model.layers.2.self_attn.o_proj.weight').settings.scale).toEqual([0]);
    expect(parents).toEqual([0, 1]);
  });

  it('take a base that they do not list from the same layers', async () => {
    const { tasks } = await plan(
      models.path(),
      'merge_method: task_arithmetic\nbase_model: base\nslices: [{sources: [{model: a, layer_range: [1, 2], parameters: {weight: 1}}]}]',
    );
    const { base, models: sources } = task(tasks, 'model.layers.0.mlp.up_proj.weight');
    expect(base?.path).toBe(models.path('base', 'model.safetensors'));
    expect(base?.offset).toBe(sources[0]?.offset);
  });

  it('are found among experts and towers by the configured count', async () => {
    const experts = [0, 1].flatMap((layer) =>
      [0, 1, 2].map((expert): [string, number[]] => [
        `model.layers.${layer}.mlp.experts.${expert}.up_proj.weight`,
        [4, 4],
      ]),
    );
    const tower = [0, 1, 2].flatMap((i) =>
      'abcd'.split('').map((x): [string, number[]] => [`vision.blocks.${i}.${x}`, [4]]),
    );
    await headerOnly('moe', [...experts, ...tower], { num_hidden_layers: 2 });
    const { tasks } = await plan(
      models.path(),
      'merge_method: passthrough\nslices: [{sources: [{model: moe, layer_range: [1, 2]}]}, {sources: [{model: moe, layer_range: [0, 1]}]}]',
    );
    expect(tasks.map(({ name }) => name)).toContain('model.layers.1.mlp.experts.2.up_proj.weight');
    expect(tasks.filter(({ name }) => name.startsWith('vision'))).toHaveLength(12);
  });
});

describe('MRG-15: heads and vocabularies', () => {
  it('take the embedding for a tied head, and only the rows that all have', async () => {
    await headerOnly(
      'tied',
      [
        ['model.embed_tokens.weight', [100, 8]],
        ['model.norm.weight', [8]],
      ],
      { vocab_size: 100 },
    );
    await headerOnly(
      'untied',
      [
        ['model.embed_tokens.weight', [96, 8]],
        ['model.norm.weight', [8]],
        ['lm_head.weight', [96, 8]],
      ],
      {
        tie_word_embeddings: false,
      },
    );
    const { tasks, warnings, config } = await plan(
      models.path(),
      'merge_method: linear\nmodels: [{model: tied, parameters: {weight: 1}}, {model: untied, parameters: {weight: 1}}]',
    );
    const head = task(tasks, 'lm_head.weight');
    expect(head.shape).toEqual([96, 8]);
    expect(head.models[0]?.offset).toBe(task(tasks, 'model.embed_tokens.weight').models[0]?.offset);
    expect(head.models.map(({ sizeBytes }) => sizeBytes)).toEqual([96 * 16, 96 * 16]);
    expect(warnings).toHaveLength(2);
    expect(config).toMatchObject({ vocab_size: 96 });
  });
});

describe('MRG-24: limits', () => {
  it('a plan says how much memory a worker needs for its longest row', async () => {
    for (const name of ['long', 'long-tuned']) await headerOnly(name, [['w.weight', [2, 1_000_000]]], {});
    const settings = 'parameters: {weight: 1, density: 0.5, epsilon: 0.1}';
    const recipe = `merge_method: della\nbase_model: long\nmodels: [{model: long-tuned, ${settings}}]`;
    const { workerBytesMin } = await plan(models.path(), recipe);
    expect(workerBytesMin).toBeGreaterThan(16_000_000);
    expect(workerBytesMin).toBeLessThan(64_000_000);
  });

  it('shapes beyond them are refused', () => {
    expect(() => layOut([{ name: 'x', dtype: 'U8', shape: [2 ** 32] }], {})).toThrow(
      expect.objectContaining({ code: 'tensor-invalid' }),
    );
  });
});

describe('MRG-2: models in several files', () => {
  it('are read by their index, which must agree with them', async () => {
    const index = (map: object) =>
      writeFile(models.path('sharded', 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    await headerOnly('sharded', [['x.weight', [2]]], {});
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
      const [problem] = await problemsOf(recipe);
      expect(problem).toMatch(expected);
    }
    await index({ 'x.weight': 'one.safetensors', 'y.weight': 'two.safetensors' });
    await writeFile(models.path('sharded', 'two.safetensors'), bytes);
    expect((await problemsOf(recipe))[0]).toMatch(/stands in two files/);
    await index({ 'x.weight': 'one.safetensors' });
    await writeFile(models.path('sharded', 'one.safetensors'), bytes.subarray(0, bytes.length - 1));
    expect((await problemsOf(recipe))[0]).toMatch(/differ in length/);
  });
});

describe('public recipes of mergekit', () => {
  /** Names and shapes of Mistral 7B. */
  function mistral(): [string, number[]][] {
    const layer: [string, number[]][] = [
      ['input_layernorm', [4096]],
      ['self_attn.q_proj', [4096, 4096]],
      ['self_attn.k_proj', [1024, 4096]],
      ['self_attn.v_proj', [1024, 4096]],
      ['self_attn.o_proj', [4096, 4096]],
      ['post_attention_layernorm', [4096]],
      ['mlp.gate_proj', [14336, 4096]],
      ['mlp.up_proj', [14336, 4096]],
      ['mlp.down_proj', [4096, 14336]],
    ];
    return [
      ['model.embed_tokens.weight', [32000, 4096]],
      ...[...Array(32).keys()].flatMap((i) =>
        layer.map(([name, shape]): [string, number[]] => [`model.layers.${i}.${name}.weight`, shape]),
      ),
      ['model.norm.weight', [4096]],
      ['lm_head.weight', [32000, 4096]],
    ];
  }

  it('plan without change, from the headers of models of 14 GB', async () => {
    const config = { num_hidden_layers: 32, vocab_size: 32000, torch_dtype: 'bfloat16' };
    const names = [
      'mistralai/Mistral-7B-v0.1',
      'WizardLM/WizardMath-7B-V1.1',
      'teknium/OpenHermes-2.5-Mistral-7B',
    ];
    for (const name of names) await headerOnly(name, mistral(), config);
    const dare = `
models:
  - model: mistralai/Mistral-7B-v0.1
    # no parameters necessary for base model
  - model: WizardLM/WizardMath-7B-V1.1
    parameters:
      density: [1, 0.7, 0.1] # density gradient
      weight: 1.0
  - model: teknium/OpenHermes-2.5-Mistral-7B
    parameters:
      density: 0.33
      weight:
        - filter: mlp
          value: 0.5
        - value: 0
merge_method: dare_ties
base_model: mistralai/Mistral-7B-v0.1
parameters:
  normalize: true
  int8_mask: true
dtype: float16
`;
    const planned = await plan(models.path(), dare);
    expect(planned.tasks).toHaveLength(291);
    expect(planned.writeBytes).toBe(14_483_464_192);
    expect(planned.readBytes).toBe(3 * planned.writeBytes);
    expect(planned.files).toHaveLength(3);
    expect(planned.config).toMatchObject({ torch_dtype: 'float16' });
    const { settings } = task(planned.tasks, 'model.layers.31.mlp.up_proj.weight');
    expect(settings).toMatchObject({ weight: [1, 0.5], density: [0.1, 0.33], lambda: 1, rescale: true });
    const stacked = await plan(
      models.path(),
      `
slices:
  - sources:
    - model: mistralai/Mistral-7B-v0.1
      layer_range: [0, 24]
  - sources:
    - model: teknium/OpenHermes-2.5-Mistral-7B
      layer_range: [8, 32]
merge_method: passthrough
dtype: float16
`,
    );
    expect(stacked.config).toMatchObject({ num_hidden_layers: 48 });
    expect(stacked.tasks).toHaveLength(48 * 9 + 3);
  });
});
