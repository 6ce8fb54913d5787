/** A small model of every family that may be loaded: scripted ones that say `yes`, and encoders. */
import type { GgufValue } from '../../../src/merge/gguf.ts';
import { f32, flag, ints, text, texts, u32, type WrittenGguf, type WrittenTensor } from './gguf-writer.ts';
import { saying, scriptedModel } from './models.ts';

const BLOCK = 256;

/** A tensor of zeros. */
export function zeros(name: string, shape: readonly number[], dtype = 'F32'): WrittenTensor {
  return { name, shape, dtype, values: new Float32Array(shape.reduce((all, n) => all * n, 1)) };
}

function ones(name: string, count: number): WrittenTensor {
  return { name, shape: [count], values: new Float32Array(count).fill(1) };
}

interface Widths {
  readonly width: number;
  readonly feedForward: number;
}

type Layer = (widths: Widths) => {
  /** What takes the place of which tensors of `llama`. */
  readonly without: RegExp;
  readonly tensors: readonly WrittenTensor[];
  readonly keys?: Readonly<Record<string, GgufValue>>;
};

const EXPERTS = 2;
const NARROW = 64;
const NETWORK = /^blk\.0\.ffn_(?:gate|up|down)\./;

function experts(width: number, feedForward: number): readonly WrittenTensor[] {
  return [
    zeros('blk.0.ffn_gate_inp.weight', [EXPERTS, width]),
    zeros('blk.0.ffn_gate_exps.weight', [EXPERTS, feedForward, width]),
    zeros('blk.0.ffn_up_exps.weight', [EXPERTS, feedForward, width]),
    zeros('blk.0.ffn_down_exps.weight', [EXPERTS, width, feedForward]),
  ];
}

const COUNTS = { expert_count: u32(EXPERTS), expert_used_count: u32(1) };

const LAYERS: Readonly<Record<string, Layer>> = {
  'llama with experts': ({ width, feedForward }) => ({
    without: NETWORK,
    tensors: experts(width, feedForward),
    keys: COUNTS,
  }),
  qwen2moe: ({ width }) => ({
    without: NETWORK,
    tensors: [
      ...experts(width, NARROW),
      ...['q', 'k', 'v'].map((name) => zeros(`blk.0.attn_${name}.bias`, [width])),
      // Its share is its sigmoid, which llama.cpp takes by a division.
      ones('blk.0.ffn_gate_inp_shexp.weight', width),
      zeros('blk.0.ffn_gate_shexp.weight', [32, width]),
      zeros('blk.0.ffn_up_shexp.weight', [32, width]),
      zeros('blk.0.ffn_down_shexp.weight', [width, 32]),
    ],
    keys: {
      ...COUNTS,
      expert_feed_forward_length: u32(NARROW),
      expert_shared_feed_forward_length: u32(32),
    },
  }),
  qwen3moe: ({ width }) => ({
    without: NETWORK,
    tensors: [
      ...experts(width, NARROW),
      ones('blk.0.attn_q_norm.weight', width),
      ones('blk.0.attn_k_norm.weight', width),
    ],
    keys: { ...COUNTS, expert_feed_forward_length: u32(NARROW) },
  }),
  phi3: ({ width, feedForward }) => ({
    without: /^blk\.0\.(?:attn_[qkv]|ffn_gate|ffn_up)\./,
    tensors: [
      zeros('blk.0.attn_qkv.weight', [3 * width, width]),
      zeros('blk.0.ffn_up.weight', [2 * feedForward, width]),
      ones('rope_factors_long.weight', width / 2),
      ones('rope_factors_short.weight', width / 2),
    ],
    keys: { 'rope.scaling.original_context_length': u32(1024) },
  }),
  'phi3 with matrices apart': ({ width, feedForward }) => ({
    without: /^blk\.0\.ffn_(?:gate|up)\./,
    tensors: [zeros('blk.0.ffn_up.weight', [2 * feedForward, width])],
  }),
};

/** Types of weights, by models whose matrices of zeros have them. */
const TYPES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'blocks of one to three bits': {
    attn_q: 'IQ1_S',
    attn_k: 'IQ1_M',
    attn_v: 'IQ2_XXS',
    attn_output: 'IQ2_XS',
    ffn_gate: 'IQ2_S',
    ffn_up: 'IQ3_XXS',
    ffn_down: 'IQ3_S',
  },
  'blocks of small floats': { attn_q: 'MXFP4', ffn_up: 'MXFP4', ffn_down: 'MXFP4' },
};

/** Names of models that answer. */
export const ANSWERING: readonly string[] = [...Object.keys(LAYERS), ...Object.keys(TYPES)];

/** Names of models that make vectors. */
export const ENCODING: readonly string[] = ['bert', 'nomic-bert', 'nomic-bert with one matrix'];

/** A model of `ANSWERING`, which says `yes`. */
export function answering(name: string): WrittenGguf {
  const { gguf, width } = scriptedModel(saying('yes'), { block: BLOCK });
  const types = TYPES[name];
  if (types !== undefined) {
    const tensors = gguf.tensors.map((tensor) => {
      const dtype = types[/^blk\.0\.(.+)\.weight$/.exec(tensor.name)?.[1] ?? ''];
      return dtype === undefined ? tensor : { ...tensor, dtype };
    });
    return { metadata: gguf.metadata, tensors };
  }
  const layer = LAYERS[name]?.({ width, feedForward: BLOCK });
  if (layer === undefined) throw new Error(`no model ${name}`);
  const [family = ''] = name.split(' ');
  const metadata = new Map(
    [...gguf.metadata].map(([key, value]) => [key.replace(/^llama\./, `${family}.`), value] as const),
  );
  metadata.set('general.architecture', text(family));
  for (const [key, value] of Object.entries(layer.keys ?? {})) metadata.set(`${family}.${key}`, value);
  const kept = gguf.tensors.filter((tensor) => !layer.without.test(tensor.name));
  return { metadata, tensors: [...kept, ...layer.tensors] };
}

const TOKENS = 104;
const WIDTH = 64;
const FEED_FORWARD = 32;
const CONTEXT = 128;

/** A model of `ENCODING`. */
export function encoding(name: string): WrittenGguf {
  const [family = ''] = name.split(' ');
  const words = ['▁bee', '▁hive', '▁queen', '▁honey'];
  const special = new Map([
    [0, '[PAD]'],
    [100, '[UNK]'],
    [101, '[CLS]'],
    [102, '[SEP]'],
    [103, '[MASK]'],
  ]);
  const tokens = Array.from({ length: TOKENS }, (_, i) => special.get(i) ?? words[i - 1] ?? `▁unused${i}`);
  const random = (n: string, shape: readonly number[], seed: number): WrittenTensor => {
    const made = zeros(n, shape);
    for (let i = 0; i < made.values.length; i++) made.values[i] = Math.sin(seed + 1 + i * (i + seed)) / 4;
    return made;
  };
  const norm = (n: string): readonly WrittenTensor[] => [
    ones(`${n}.weight`, WIDTH),
    zeros(`${n}.bias`, [WIDTH]),
  ];
  const oneMatrix = name.endsWith('one matrix');
  const rotates = family === 'nomic-bert';
  return {
    metadata: new Map<string, GgufValue>([
      ['general.architecture', text(family)],
      [`${family}.context_length`, u32(CONTEXT)],
      [`${family}.embedding_length`, u32(WIDTH)],
      [`${family}.block_count`, u32(1)],
      [`${family}.feed_forward_length`, u32(FEED_FORWARD)],
      [`${family}.attention.head_count`, u32(2)],
      [`${family}.attention.layer_norm_epsilon`, f32(1e-12)],
      [`${family}.attention.causal`, flag(false)],
      [`${family}.pooling_type`, u32(1)],
      ...(rotates ? [[`${family}.rope.freq_base`, f32(1_000)] as const] : []),
      ['tokenizer.ggml.model', text('bert')],
      ['tokenizer.ggml.token_type_count', u32(2)],
      ['tokenizer.ggml.tokens', texts(tokens)],
      ['tokenizer.ggml.token_type', ints(tokens.map((_, i) => (special.has(i) ? 3 : 1)))],
      ['tokenizer.ggml.unknown_token_id', u32(100)],
      ['tokenizer.ggml.padding_token_id', u32(0)],
    ]),
    tensors: [
      random('token_embd.weight', [TOKENS, WIDTH], 1),
      random('token_types.weight', [2, WIDTH], 2),
      ...norm('token_embd_norm'),
      ...(rotates ? [] : [random('position_embd.weight', [CONTEXT, WIDTH], 3)]),
      ...(oneMatrix
        ? [random('blk.0.attn_qkv.weight', [3 * WIDTH, WIDTH], 4)]
        : ['q', 'k', 'v'].map((n, i) => random(`blk.0.attn_${n}.weight`, [WIDTH, WIDTH], 4 + i))),
      random('blk.0.attn_output.weight', [WIDTH, WIDTH], 7),
      ...norm('blk.0.attn_output_norm'),
      random('blk.0.ffn_up.weight', [FEED_FORWARD, WIDTH], 8),
      random('blk.0.ffn_down.weight', [WIDTH, FEED_FORWARD], 9),
      ...(rotates ? [random('blk.0.ffn_gate.weight', [FEED_FORWARD, WIDTH], 10)] : []),
      ...norm('blk.0.layer_output_norm'),
    ],
  };
}
