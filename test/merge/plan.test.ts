import { describe, expect, it } from 'vitest';
import { makeModel, TINY } from '../../examples/merge/make-models.ts';
import { layOut } from '../../src/merge/safetensors.ts';
import { headerOnly, plan, TIES, taskOf, useModels } from './models.ts';

const models = useModels();

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
    const t = (name: string): unknown => taskOf(tasks, `model.layers.${name}.weight`).settings.t;
    expect([0, 1, 2, 3, 4].map((i) => t(`${i}.self_attn.q_proj`))).toEqual([0, 0.5, 0.3, 0.7, 1]);
    expect([0, 1, 2, 3, 4].map((i) => t(`${i}.mlp.up_proj`))).toEqual([1, 0.5, 0.7, 0.3, 0]);
    expect(t('3.input_layernorm')).toBe(0.5);
    expect(taskOf(tasks, 'lm_head.weight').settings.t).toBe(0.5);
    expect(warnings).toEqual(['int8_mask has no effect on slerp']);
  });

  it('take the nearest place first, and the start of a gradient outside the layers', async () => {
    const { tasks } = await plan(models.path(), TIES);
    expect(taskOf(tasks, 'model.embed_tokens.weight').settings.weight).toEqual([0.6, 0.2]);
    expect(taskOf(tasks, 'model.norm.weight').settings.weight).toEqual([0.6, 0.2]);
    expect(taskOf(tasks, 'model.layers.0.mlp.up_proj.weight').settings.weight).toEqual([0.6, 0.2]);
    expect(taskOf(tasks, 'model.layers.1.mlp.up_proj.weight').settings.weight).toEqual([0.6, 0.4]);
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
    expect(taskOf(sliced.tasks, 'model.layers.0.mlp.up_proj.weight').settings.weight).toEqual([3, 2]);
    expect(taskOf(sliced.tasks, 'model.layers.1.mlp.up_proj.weight').settings.weight).toEqual([1]);
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
    const pathOf = (name: string): string | undefined => taskOf(tasks, name).models[0]?.path;
    expect(pathOf('model.layers.3.mlp.up_proj.weight')).toBe(models.path('b', 'model.safetensors'));
    expect(taskOf(tasks, 'model.layers.3.mlp.up_proj.weight').models[0]?.offset).toBe(
      taskOf(
        (await plan(models.path(), 'merge_method: passthrough\nmodels: [{model: b}]')).tasks,
        'model.layers.1.mlp.up_proj.weight',
      ).models[0]?.offset,
    );
    expect(pathOf('model.embed_tokens.weight')).toBe(models.path('a', 'model.safetensors'));
    expect(pathOf('lm_head.weight')).toBe(models.path('b', 'model.safetensors'));
    expect(taskOf(tasks, 'model.layers.2.self_attn.o_proj.weight').settings.scale).toEqual([0]);
    expect(parents).toEqual([0, 1]);
  });

  it('take a base that they do not list from the same layers', async () => {
    const { tasks } = await plan(
      models.path(),
      'merge_method: task_arithmetic\nbase_model: base\nslices: [{sources: [{model: a, layer_range: [1, 2], parameters: {weight: 1}}]}]',
    );
    const { base, models: sources } = taskOf(tasks, 'model.layers.0.mlp.up_proj.weight');
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
    await headerOnly(models.path('moe'), [...experts, ...tower], { num_hidden_layers: 2 });
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
      models.path('tied'),
      [
        ['model.embed_tokens.weight', [100, 8]],
        ['model.norm.weight', [8]],
      ],
      { vocab_size: 100 },
    );
    await headerOnly(
      models.path('untied'),
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
    const head = taskOf(tasks, 'lm_head.weight');
    expect(head.shape).toEqual([96, 8]);
    expect(head.models[0]?.offset).toBe(taskOf(tasks, 'model.embed_tokens.weight').models[0]?.offset);
    expect(head.models.map(({ sizeBytes }) => sizeBytes)).toEqual([96 * 16, 96 * 16]);
    expect(warnings).toHaveLength(2);
    expect(config).toMatchObject({ vocab_size: 96 });
  });
});

describe('MRG-24: limits', () => {
  it('a plan says how much memory a worker needs for its longest row', async () => {
    for (const name of ['long', 'long-tuned'])
      await headerOnly(models.path(name), [['w.weight', [2, 1_000_000]]], {});
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
    for (const name of names) await headerOnly(models.path(name), mistral(), config);
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
    const { settings } = taskOf(planned.tasks, 'model.layers.31.mlp.up_proj.weight');
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
