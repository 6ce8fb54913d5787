import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { runMerge } from '../../src/merge/run.ts';
import { headerOnly, plan, problemsOf, taskOf, useModels } from './models.ts';

const models = useModels();

const TEXT = 'language_model.model.';
const layersOf = (prefix: string, count: number, rests: readonly string[]): [string, number[]][] =>
  [...Array(count).keys()].flatMap((i) =>
    rests.map((rest): [string, number[]] => [`${prefix}.${i}.${rest}`, [8, 8]]),
  );

/** Names and shapes as models of text and pictures have them. */
const SEEING: [string, number[]][] = [
  [`${TEXT}embed_tokens.weight`, [32, 8]],
  ...layersOf(`${TEXT}layers`, 4, ['self_attn.q_proj.weight', 'mlp.up_proj.weight']),
  [`${TEXT}norm.weight`, [8]],
  ['vision_tower.vision_model.embeddings.patch_embedding.weight', [8, 8]],
  ...layersOf('vision_tower.vision_model.encoder.layers', 3, ['mlp.fc1.weight']),
  ['multi_modal_projector.linear_1.weight', [8, 8]],
];
const SEEING_CONFIG = {
  text_config: { num_hidden_layers: 4, vocab_size: 32 },
  vision_config: { num_hidden_layers: 3 },
};
/** And of an encoder and a decoder. */
const TRANSLATING: [string, number[]][] = [
  ['shared.weight', [32, 8]],
  ...layersOf('encoder.block', 2, ['layer.0.SelfAttention.q.weight']),
  ['encoder.final_layer_norm.weight', [8]],
  ...layersOf('decoder.block', 3, ['layer.0.SelfAttention.q.weight']),
  ['decoder.final_layer_norm.weight', [8]],
];

beforeAll(async () => {
  for (const name of ['seeing', 'watching']) await headerOnly(models.path(name), SEEING, SEEING_CONFIG);
  for (const name of ['german', 'french'])
    await headerOnly(models.path(name), TRANSLATING, { num_layers: 2, num_decoder_layers: 3 });
});

describe('MRG-46: models of several parts', () => {
  const recipe = `
merge_method: slerp
base_model: seeing
modules:
  text_decoder:
    slices:
      - sources: [{model: seeing, layer_range: [0, 3]}, {model: watching, layer_range: [1, 4]}]
        parameters: {t: [0.1, 0.3]}
      - sources: [{model: seeing, layer_range: [2, 4]}, {model: watching, layer_range: [2, 4]}]
    parameters: {t: 0.5}
  vision_tower:
    models: [{model: seeing}, {model: watching}]
    parameters: {t: [0, 1]}
  multi_modal_projector:
    models: [{model: seeing}, {model: watching}]
parameters: {t: 0.7}
`;
  const text = (name: string): string => `${TEXT}layers.${name}.mlp.up_proj.weight`;

  it('have slices, settings and layer counts of their own', async () => {
    const { tasks, config, warnings } = await plan(models.path(), recipe);
    const t = (name: string): unknown => taskOf(tasks, name).settings.t;
    expect([0, 1, 2, 3, 4].map((i) => t(text(`${i}`)))).toEqual([0.1, 0.2, 0.3, 0.5, 0.5]);
    const vision = (i: number): string => `vision_tower.vision_model.encoder.layers.${i}.mlp.fc1.weight`;
    expect([0, 1, 2].map((i) => t(vision(i)))).toEqual([0, 0.5, 1]);
    expect(t('multi_modal_projector.linear_1.weight')).toBe(0.7);
    expect(t('vision_tower.vision_model.embeddings.patch_embedding.weight')).toBe(0);
    expect(config).toMatchObject({
      text_config: { num_hidden_layers: 5, vocab_size: 32 },
      vision_config: { num_hidden_layers: 3 },
    });
    expect(tasks).toHaveLength(5 * 2 + 2 + 3 + 2);
    expect(warnings).toEqual([]);
    await runMerge(
      await plan(models.path(), recipe),
      { output: models.path('out', 'seeing'), workers: 1 },
      { clock: systemClock },
    );
  });

  it('are all merged by a recipe of whole models, each with its own way through a gradient', async () => {
    const whole =
      'merge_method: slerp\nbase_model: german\nmodels: [{model: german}, {model: french}]\nparameters: {t: [0, 1]}';
    const { tasks, config } = await plan(models.path(), whole);
    const t = (part: string, i: number): unknown =>
      taskOf(tasks, `${part}.block.${i}.layer.0.SelfAttention.q.weight`).settings.t;
    expect([0, 1].map((i) => t('encoder', i))).toEqual([0, 1]);
    expect([0, 1, 2].map((i) => t('decoder', i))).toEqual([0, 0.5, 1]);
    expect(tasks).toHaveLength(TRANSLATING.length);
    expect(config).toMatchObject({ num_layers: 2, num_decoder_layers: 3 });
  });

  it('lack what a recipe does not speak of, with a warning', async () => {
    const only =
      'merge_method: passthrough\nmodules: {text_decoder: {slices: [{sources: [{model: seeing, layer_range: [0, 2]}]}]}}';
    const { tasks, warnings, config } = await plan(models.path(), only);
    expect(tasks).toHaveLength(6);
    expect(config).toMatchObject({ text_config: { num_hidden_layers: 2 } });
    expect(warnings).toEqual([
      'the output has no vision_tower, multi_modal_projector: modules does not say where from',
    ]);
  });

  it('MRG-16: are told by their names, everything wrong at once', async () => {
    const wrong = recipe
      .replace('text_decoder', 'text_decode')
      .replace('  vision_tower:', '  vision_model:')
      .replace('[0, 1]', '[0, 1, x]');
    expect(await problemsOf(models.path(), wrong)).toEqual([
      'modules.vision_model.parameters.t is not a value, a list of numbers, or a list of filters with values',
    ]);
    const unknown = recipe.replace('text_decoder', 'text_decode').replace('[1, 4]', '[2, 5]');
    expect(await problemsOf(models.path(), unknown)).toEqual([
      'modules.text_decode: the models have no such part; they have text_decoder, vision_tower, multi_modal_projector; did you mean text_decoder?',
    ]);
    const far = recipe.replace('[1, 4]', '[2, 5]');
    expect(await problemsOf(models.path(), far)).toEqual([
      'modules.text_decoder.slices[0]: watching has 4 layers, not 5',
    ]);
    const both = 'merge_method: linear\nmodules: {default: {models: [{model: a}], slices: []}}';
    expect(await problemsOf(models.path(), both)).toEqual(['modules.default has either models or slices']);
  });
});

describe('MRG-46: slices', () => {
  it('may have a base of their own, and a weight that has no effect in mergekit either', async () => {
    const recipe = `
merge_method: task_arithmetic
base_model: base
slices:
  - sources: [{model: b, layer_range: [0, 1], parameters: {weight: 1}}]
    base_model: a
    residual_weight: 0.5
  - sources: [{model: b, layer_range: [1, 2], parameters: {weight: 1}}]
`;
    const { tasks, warnings } = await plan(models.path(), recipe);
    const baseOf = (layer: number): string | undefined =>
      taskOf(tasks, `model.layers.${layer}.mlp.up_proj.weight`).base?.path;
    expect([0, 1].map(baseOf)).toEqual(['a', 'base'].map((name) => models.path(name, 'model.safetensors')));
    expect(warnings).toEqual(['residual_weight has no effect, as in mergekit']);
  });

  it('MRG-13: name models as mergekit does, also by a mapping', async () => {
    const mapped =
      'merge_method: passthrough\nmodels: [{model: {model: {path: a}, override_architecture: X}}]';
    const { models: read, warnings } = await plan(models.path(), mapped);
    expect(read.map(({ name }) => name)).toEqual(['a']);
    expect(warnings).toEqual([
      'models[0].model: override_architecture has no effect: tensors are matched by name',
    ]);
    const adapter = mapped.replace('override_architecture: X', 'lora: l');
    expect(await problemsOf(models.path(), adapter)).toEqual([
      'models[0].model: an adapter in a recipe is not supported: bake it into its model first, and name that',
    ]);
    const plus = await problemsOf(models.path(), 'merge_method: passthrough\nmodels: [{model: a+l}]');
    expect(plus).toEqual([
      'a+l: an adapter in a recipe is not supported: bake it into its model first, and name that',
    ]);
    const revision = await plan(models.path(), 'merge_method: passthrough\nmodels: [{model: a@main}]');
    expect(revision.warnings).toEqual([
      'a@main: models are folders here, which have no revisions: a is taken as it is',
    ]);
  });
});
