import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeTalkingModels } from '../../examples/merge/talking-models.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { runMerge } from '../../src/merge/run.ts';
import { allStages } from '../../src/merge/stages.ts';
import { headerOnly, plan, problemsOf, taskOf, useModels } from './models.ts';

const models = useModels();

interface Sizes {
  readonly hidden: number;
  readonly intermediate: number;
  readonly keys: number;
  readonly layers: number;
  readonly vocabulary: number;
  /** Biases of query, key and value, as Qwen 2 has them. */
  readonly biases?: boolean;
  /** Whether the head is the embedding. */
  readonly tied?: boolean;
}

const LLAMA: Sizes = { hidden: 4096, intermediate: 14336, keys: 1024, layers: 32, vocabulary: 128256 };
const MISTRAL: Sizes = { hidden: 4096, intermediate: 14336, keys: 1024, layers: 32, vocabulary: 32000 };
const QWEN: Sizes = {
  hidden: 3584,
  intermediate: 18944,
  keys: 512,
  layers: 28,
  vocabulary: 152064,
  biases: true,
};
const QWEN_SMALL: Sizes = {
  ...{ hidden: 1536, intermediate: 8960, keys: 256, layers: 28, vocabulary: 151936 },
  ...{ biases: true, tied: true },
};

/** Names and shapes of a model, as its files have them. */
function tensorsOf({
  hidden,
  intermediate,
  keys,
  layers,
  vocabulary,
  biases,
  tied,
}: Sizes): [string, number[]][] {
  const layer: [string, number[]][] = [
    ['input_layernorm.weight', [hidden]],
    ['self_attn.q_proj.weight', [hidden, hidden]],
    ['self_attn.k_proj.weight', [keys, hidden]],
    ['self_attn.v_proj.weight', [keys, hidden]],
    ['self_attn.o_proj.weight', [hidden, hidden]],
    ['post_attention_layernorm.weight', [hidden]],
    ['mlp.gate_proj.weight', [intermediate, hidden]],
    ['mlp.up_proj.weight', [intermediate, hidden]],
    ['mlp.down_proj.weight', [hidden, intermediate]],
  ];
  const bias: [string, number[]][] = [
    ['self_attn.q_proj.bias', [hidden]],
    ['self_attn.k_proj.bias', [keys]],
    ['self_attn.v_proj.bias', [keys]],
  ];
  const each = biases ? [...layer, ...bias] : layer;
  return [
    ['model.embed_tokens.weight', [vocabulary, hidden]],
    ...[...Array(layers).keys()].flatMap((i) =>
      each.map(([name, shape]): [string, number[]] => [`model.layers.${i}.${name}`, shape]),
    ),
    ['model.norm.weight', [hidden]],
    ...(tied ? [] : ([['lm_head.weight', [vocabulary, hidden]]] satisfies [string, number[]][])),
  ];
}

/** A tokenizer of so many tokens, with those at its end that are added. */
function tokenizerOf(count: number, added: readonly string[] = []): string {
  const vocab = Object.fromEntries([...Array(count - added.length).keys()].map((id) => [`t${id}`, id]));
  const added_tokens = added.map((content, i) => {
    return { id: count - added.length + i, content, normalized: false, special: true };
  });
  return JSON.stringify({ added_tokens, model: { type: 'BPE', vocab, merges: [] } });
}

async function make(
  sizes: Sizes & { readonly tokens?: number; readonly added?: readonly string[] },
  ...names: readonly string[]
): Promise<void> {
  const tokenizer = tokenizerOf(sizes.tokens ?? sizes.vocabulary, sizes.added);
  const config = {
    num_hidden_layers: sizes.layers,
    vocab_size: sizes.vocabulary,
    tie_word_embeddings: sizes.tied ?? false,
    torch_dtype: 'bfloat16',
  };
  for (const name of names) {
    await headerOnly(models.path(name), tensorsOf(sizes), config);
    await writeFile(models.path(name, 'tokenizer.json'), tokenizer);
    await writeFile(
      models.path(name, 'tokenizer_config.json'),
      JSON.stringify({ chat_template: '{{ messages }}' }),
    );
  }
}

describe('MRG-13, MRG-16: public recipes plan without change, from headers alone', () => {
  it('for Llama 3.1 8B: a model stock with a tokenizer and a template', async () => {
    const names = [
      'meta-llama/Llama-3.1-8B-Instruct',
      'NousResearch/Hermes-3-Llama-3.1-8B',
      'allenai/Llama-3.1-Tulu-3-8B',
      'mlabonne/Meta-Llama-3.1-8B-Instruct-abliterated',
    ];
    await make(LLAMA, ...names);
    const planned = await plan(
      models.path(),
      `
models:
  - model: NousResearch/Hermes-3-Llama-3.1-8B
  - model: allenai/Llama-3.1-Tulu-3-8B
  - model: mlabonne/Meta-Llama-3.1-8B-Instruct-abliterated
merge_method: model_stock
base_model: meta-llama/Llama-3.1-8B-Instruct
parameters:
  normalize: false
  int8_mask: true
dtype: bfloat16
tokenizer:
  source: base
chat_template: llama3
`,
    );
    expect(planned.tasks).toHaveLength(291);
    expect(planned.writeBytes).toBe(16_060_522_496);
    expect(planned.readBytes).toBe(4 * planned.writeBytes);
    expect(Object.keys(planned.texts).sort()).toEqual(['chat_template.jinja', 'tokenizer_config.json']);
    expect(planned.sideFiles).toEqual([models.path('meta-llama/Llama-3.1-8B-Instruct', 'tokenizer.json')]);
    expect(planned.warnings).toEqual([
      'normalize has no effect on model_stock',
      'int8_mask has no effect on model_stock',
    ]);
  });

  it('for Qwen 2.5 7B: a della with gradients, biases among the tensors', async () => {
    await make(
      { ...QWEN, tokens: 151665 },
      'Qwen/Qwen2.5-7B',
      'Qwen/Qwen2.5-7B-Instruct',
      'Qwen/Qwen2.5-Coder-7B-Instruct',
    );
    const planned = await plan(
      models.path(),
      `
merge_method: della
base_model: Qwen/Qwen2.5-7B
tokenizer_source: Qwen/Qwen2.5-7B-Instruct
chat_template: auto
dtype: float32
out_dtype: bfloat16
parameters:
  lambda: 0.9
  epsilon: 0.05
slices:
  - sources:
      - model: Qwen/Qwen2.5-7B
        layer_range: [0, 28]
      - model: Qwen/Qwen2.5-7B-Instruct
        layer_range: [0, 28]
        parameters:
          density: [0.4, 0.6, 0.8]
          weight:
            - filter: self_attn
              value: [0.3, 0.7]
            - value: 0.5
      - model: Qwen/Qwen2.5-Coder-7B-Instruct
        layer_range: [0, 28]
        parameters:
          density: 0.5
          weight: 0.4
`,
    );
    expect(planned.tasks).toHaveLength(28 * 12 + 3);
    const bias = taskOf(planned.tasks, 'model.layers.27.self_attn.k_proj.bias');
    expect(bias.settings).toMatchObject({ weight: [0.7, 0.4], density: [0.8, 0.5], epsilon: [0.05, 0.05] });
    expect(bias.target.dtype).toBe('BF16');
    expect(planned.texts['chat_template.jinja']).toBe('{{ messages }}');
    // As many rows as tokens, as mergekit has it; the models have more.
    expect(taskOf(planned.tasks, 'lm_head.weight').shape).toEqual([151665, 3584]);
    expect(planned.config).toMatchObject({ vocab_size: 151665 });
  });

  it('MRG-43: for Mistral 7B: the example of mergekit for a token map, over three vocabularies', async () => {
    await make(MISTRAL, 'mistralai/Mistral-7B-v0.1');
    const chatml = { ...MISTRAL, vocabulary: 32002, added: ['<|im_end|>', '<|im_start|>'] };
    await make(chatml, 'teknium/OpenHermes-2.5-Mistral-7B');
    await make({ ...MISTRAL, vocabulary: 32003, added: ['[PAD]', '<tool>', '<|im_start|>'] }, 'local/tools');
    const planned = await plan(
      models.path(),
      `
merge_method: dare_ties
base_model: mistralai/Mistral-7B-v0.1
models:
  - model: teknium/OpenHermes-2.5-Mistral-7B
    parameters: {weight: 0.6, density: 0.53}
  - model: local/tools
    parameters: {weight: 0.4, density: 0.53}
parameters:
  int8_mask: true
dtype: bfloat16
tokenizer:
  source: union
  tokens:
    # if one model has the token, and the others' use of it is not wanted
    <|im_start|>:
      source: teknium/OpenHermes-2.5-Mistral-7B
      force: true
    # copy the embedding of another token
    <|start_header_id|>:
      source:
        kind: model_token
        model: local/tools
        token: <tool>
    <|end_header_id|>:
      source:
        kind: model_token
        model: mistralai/Mistral-7B-v0.1
        token_id: 2
  pad_to_multiple_of: 64
chat_template: auto
`,
    );
    const head = taskOf(planned.tasks, 'lm_head.weight');
    expect(head.shape).toEqual([32064, 4096]);
    expect(planned.config).toMatchObject({ vocab_size: 32064 });
    const { added_tokens } = JSON.parse(planned.texts['tokenizer.json'] ?? '{}');
    expect(added_tokens.map(({ id, content }: { id: number; content: string }) => [id, content])).toEqual([
      [32000, '<|im_end|>'],
      [32001, '<|im_start|>'],
      [32002, '[PAD]'],
      [32003, '<tool>'],
      [32004, '<|start_header_id|>'],
      [32005, '<|end_header_id|>'],
    ]);
    expect(head.models.map(({ rows }) => rows?.made.map(({ row }) => row))).toEqual([
      [32001, 32002, 32003, 32004, 32005],
      [32000, 32001, 32004, 32005],
    ]);
    expect(head.models[1]?.rows?.own).toEqual([
      [0, 0, 32000],
      [32002, 32000, 2],
    ]);
  });

  it('for Qwen 2.5 1.5B, whose head is its embedding: a slerp', async () => {
    await make(QWEN_SMALL, 'Qwen/Qwen2.5-1.5B-Instruct', 'Qwen/Qwen2.5-Coder-1.5B-Instruct');
    const planned = await plan(
      models.path(),
      `
slices:
  - sources:
      - model: Qwen/Qwen2.5-1.5B-Instruct
        layer_range: [0, 28]
      - model: Qwen/Qwen2.5-Coder-1.5B-Instruct
        layer_range: [0, 28]
merge_method: slerp
base_model: Qwen/Qwen2.5-1.5B-Instruct
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5
dtype: bfloat16
`,
    );
    expect(planned.tasks).toHaveLength(28 * 12 + 2);
    expect(planned.config).toMatchObject({ tie_word_embeddings: true });
    expect(taskOf(planned.tasks, 'model.layers.0.mlp.up_proj.weight').settings.t).toBe(1);
  });
});

describe('MRG-46, MRG-47: public recipes of several parts and several stages plan from headers alone', () => {
  it('for Mistral 7B: stages that use stages, the output last and nameless', async () => {
    const names = [
      'mistralai/Mistral-7B-v0.1',
      'BioMistral/BioMistral-7B',
      'NousResearch/Hermes-2-Pro-Mistral-7B',
    ];
    await make(MISTRAL, ...names);
    const planned = await plan(
      models.path(),
      `
name: first-merge
merge_method: linear
models:
  - model: mistralai/Mistral-7B-v0.1
  - model: BioMistral/BioMistral-7B
parameters:
  weight: 0.5
dtype: bfloat16
---
name: second-merge
merge_method: slerp
base_model: first-merge  # a merge before
models:
  - model: first-merge
  - model: NousResearch/Hermes-2-Pro-Mistral-7B
parameters:
  t:
    - filter: mlp
      value: [0.1, 0.9]
    - value: 0.5
dtype: bfloat16
---
# without a name: the output
merge_method: dare_ties
base_model: mistralai/Mistral-7B-v0.1
models:
  - model: first-merge
    parameters: {density: 0.6, weight: 0.5}
  - model: second-merge
    parameters: {density: 0.55, weight: 0.56}
dtype: bfloat16
tokenizer_source: base
`,
    );
    expect(planned.tasks).toHaveLength(291);
    expect(allStages(planned).map(({ name, plan: { writeBytes } }) => [name, writeBytes])).toEqual([
      ['first-merge', 14_483_464_192],
      ['second-merge', 14_483_464_192],
    ]);
    expect(planned.readBytes).toBe(3 * planned.writeBytes);
  });

  it('for Qwen 2 VL 7B: the text merged, what sees taken from one', async () => {
    const vision: [string, number[]][] = [
      ['visual.patch_embed.proj.weight', [1280, 3, 2, 14, 14]],
      ...[...Array(32).keys()].flatMap((i): [string, number[]][] => [
        [`visual.blocks.${i}.norm1.weight`, [1280]],
        [`visual.blocks.${i}.attn.qkv.weight`, [3840, 1280]],
        [`visual.blocks.${i}.mlp.fc1.weight`, [5120, 1280]],
      ]),
      ['visual.merger.ln_q.weight', [1280]],
      ['visual.merger.mlp.0.weight', [5120, 5120]],
    ];
    const config = { num_hidden_layers: 28, vision_config: { depth: 32 }, vocab_size: 152064 };
    for (const name of ['Qwen/Qwen2-VL-7B', 'Qwen/Qwen2-VL-7B-Instruct'])
      await headerOnly(models.path(name), [...tensorsOf(QWEN), ...vision], config);
    const planned = await plan(
      models.path(),
      `
merge_method: slerp
base_model: Qwen/Qwen2-VL-7B
modules:
  text_decoder:
    slices:
      - sources:
          - {model: Qwen/Qwen2-VL-7B, layer_range: [0, 28]}
          - {model: Qwen/Qwen2-VL-7B-Instruct, layer_range: [0, 28]}
    parameters:
      t: [0, 0.5, 1]
  vision_tower:
    models:
      - model: Qwen/Qwen2-VL-7B
      - model: Qwen/Qwen2-VL-7B-Instruct
    parameters:
      t: 1
  multi_modal_projector:
    models:
      - model: Qwen/Qwen2-VL-7B
      - model: Qwen/Qwen2-VL-7B-Instruct
    parameters:
      t: 1
dtype: bfloat16
`,
    );
    expect(planned.tasks).toHaveLength(28 * 12 + 3 + vision.length);
    expect(planned.config).toMatchObject(config);
    const t = (name: string): unknown => taskOf(planned.tasks, name).settings.t;
    expect(t('model.layers.27.mlp.up_proj.weight')).toBe(1);
    expect(t('model.layers.0.mlp.up_proj.weight')).toBe(0);
    expect(t('visual.blocks.0.attn.qkv.weight')).toBe(1);
  });
});

describe('MRG-42: tokenizers and chat templates', () => {
  const recipe = (more: string): string =>
    `merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]\n${more}\n`;
  const texts = async (more: string): Promise<Readonly<Record<string, string>>> =>
    (await plan(models.path(), recipe(more))).texts;

  it('are named, written out, or what most models have', async () => {
    expect(await texts('')).toEqual({});
    expect((await texts('chat_template: chatml'))['chat_template.jinja']).toContain('<|im_start|>assistant');
    expect((await texts('chat_template: alpaca'))['chat_template.jinja']).toContain('### Response:');
    expect((await texts('chat_template: exaone'))['chat_template.jinja']).toContain('[|assistant|]');
    expect((await texts('chat_template: mistral'))['chat_template.jinja']).toContain('[INST] ');
    expect(await texts("chat_template: '{{ bos_token }}'")).toEqual({
      'chat_template.jinja': '{{ bos_token }}',
    });
    expect(await texts('chat_template: auto')).toEqual({});
    await writeFile(models.path('b', 'chat_template.jinja'), '{{ b }}');
    expect(await texts('chat_template: auto')).toEqual({ 'chat_template.jinja': '{{ b }}' });
    await writeFile(
      models.path('a', 'tokenizer_config.json'),
      '{"bos_token":"<s>","chat_template":"{{ a }}"}',
    );
    const { 'tokenizer_config.json': settings = '' } = await texts('chat_template: chatml');
    expect(JSON.parse(settings)).toMatchObject({
      bos_token: '<s>',
      chat_template: expect.stringContaining('im_end'),
    });
  });

  it('are written beside the weights, or into GGUF', async () => {
    const output = models.path('templated');
    await runMerge(
      await plan(models.path(), recipe('chat_template: chatml')),
      { output },
      { clock: systemClock },
    );
    expect(await readFile(join(output, 'chat_template.jinja'), 'utf8')).toContain('<|im_start|>assistant');
    await makeTalkingModels(models.path('talking'));
    const gguf = "merge_method: passthrough\nmodels: [{model: law}]\nchat_template: '{{ messages }}'\n";
    const planned = await plan(models.path('talking'), gguf);
    await runMerge(planned, { output: models.path('said') }, { clock: systemClock });
    const { metadata } = await openCheckpoint(models.path('said'));
    expect(metadata?.get('tokenizer.chat_template')?.value).toBe('{{ messages }}');
  });

  it('are refused with the reason when they make no sense', async () => {
    const wrong: [string, string][] = [
      [
        'chat_template: chatlm',
        'is neither a template nor one of auto, alpaca, chatml, exaone, llama3, mistral; did you mean chatml?',
      ],
    ];
    for (const [more, reason] of wrong)
      expect((await problemsOf(models.path(), recipe(more))).join()).toContain(reason);
  });
});
