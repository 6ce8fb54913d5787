/**
 * The families of models that may be loaded, and what a file of each has to hold. llama.cpp aborts its whole process
 * on some files and reads past buffers on others, so nothing reaches it that these tables do not name: every tensor
 * by name and shape, every hyper-parameter by type and bounds.
 */
import { CONTEXT_MAX, EMBEDDING_MAX, FEED_FORWARD_MAX, HEAD_MAX, HEADS_MAX, LAYERS_MAX } from './limits.ts';

/** The sizes that shapes are made of. */
export interface Sizes {
  readonly vocabulary: number;
  readonly embedding: number;
  readonly layers: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly headsKv: number;
  /** Width of a head's key. */
  readonly key: number;
  /** Width of a head's value. */
  readonly value: number;
  /** Part of a head that is rotated. */
  readonly rotated: number;
}

/** A tensor's place in a family: its shape, outermost first, and whether it may be missing. */
export interface TensorRule {
  shape(sizes: Sizes): readonly number[];
  readonly optional: boolean;
  /** Norms and biases are single-precision; the others are weights of any readable type. */
  readonly plain: boolean;
}

/** A family of models. */
export interface Architecture {
  /** Tensors outside the layers, by name. */
  readonly outer: Readonly<Record<string, TensorRule>>;
  /** Tensors of each layer, by what follows `blk.N.`. */
  readonly layer: Readonly<Record<string, TensorRule>>;
}

type Shape = (sizes: Sizes) => readonly number[];

function weight(shape: Shape): TensorRule {
  return { shape, optional: false, plain: false };
}

function plain(shape: Shape): TensorRule {
  return { shape, optional: false, plain: true };
}

function maybe(rule: TensorRule): TensorRule {
  return { ...rule, optional: true };
}

const wide: Shape = ({ embedding }) => [embedding];
const queries: Shape = ({ heads, key }) => [heads * key];
const keys: Shape = ({ headsKv, key }) => [headsKv * key];
const values: Shape = ({ headsKv, value }) => [headsKv * value];
const headKey: Shape = ({ key }) => [key];
const up: Shape = ({ feedForward, embedding }) => [feedForward, embedding];

const OUTER: Architecture['outer'] = {
  'token_embd.weight': weight(({ vocabulary, embedding }) => [vocabulary, embedding]),
  'output_norm.weight': plain(wide),
  // Without it the embedding is used again.
  'output.weight': maybe(weight(({ vocabulary, embedding }) => [vocabulary, embedding])),
  'rope_freqs.weight': maybe(plain(({ rotated }) => [rotated / 2])),
};

const LAYER: Architecture['layer'] = {
  'attn_norm.weight': plain(wide),
  'attn_q.weight': weight(({ heads, key, embedding }) => [heads * key, embedding]),
  'attn_k.weight': weight(({ headsKv, key, embedding }) => [headsKv * key, embedding]),
  'attn_v.weight': weight(({ headsKv, value, embedding }) => [headsKv * value, embedding]),
  'attn_output.weight': weight(({ heads, value, embedding }) => [embedding, heads * value]),
  'ffn_norm.weight': plain(wide),
  'ffn_gate.weight': weight(up),
  'ffn_up.weight': weight(up),
  'ffn_down.weight': weight(({ feedForward, embedding }) => [embedding, feedForward]),
};

const BIASES: Architecture['layer'] = {
  'attn_q.bias': plain(queries),
  'attn_k.bias': plain(keys),
  'attn_v.bias': plain(values),
};

const HEAD_NORMS: Architecture['layer'] = {
  'attn_q_norm.weight': plain(headKey),
  'attn_k_norm.weight': plain(headKey),
};

const POST_NORMS: Architecture['layer'] = {
  'post_attention_norm.weight': plain(wide),
  'post_ffw_norm.weight': plain(wide),
};

function allMaybe(rules: Architecture['layer']): Architecture['layer'] {
  return Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, maybe(rule)]));
}

/** The families by the name that files give them. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map([
  ['llama', { outer: OUTER, layer: { ...LAYER, ...allMaybe(BIASES) } }],
  ['qwen2', { outer: OUTER, layer: { ...LAYER, ...BIASES } }],
  [
    'qwen3',
    {
      outer: {
        ...OUTER,
        // The head of a model that ranks: one row for each of its two labels.
        'cls.output.weight': maybe(weight(({ embedding }) => [2, embedding])),
      },
      layer: { ...LAYER, ...HEAD_NORMS },
    },
  ],
  ['gemma', { outer: OUTER, layer: LAYER }],
  ['gemma2', { outer: OUTER, layer: { ...LAYER, ...POST_NORMS } }],
  ['gemma3', { outer: OUTER, layer: { ...LAYER, ...HEAD_NORMS, ...POST_NORMS } }],
]);

/** What a hyper-parameter may be. Keys stand without the family's prefix. */
export type KeyRule =
  | { readonly kind: 'integer'; readonly min: number; readonly max: number; readonly required?: boolean }
  | { readonly kind: 'number'; readonly min: number; readonly max: number; readonly required?: boolean }
  | { readonly kind: 'flag' }
  | { readonly kind: 'word'; readonly among: readonly string[] }
  | { readonly kind: 'texts'; readonly lengthMax: number };

const SCALING: KeyRule = { kind: 'number', min: 1e-6, max: 1e6 };

/** Every hyper-parameter that a file may have, with its bounds; the epsilon and the base are exclusive of zero. */
export const KEY_RULES: Readonly<Record<string, KeyRule>> = {
  context_length: { kind: 'integer', min: 1, max: CONTEXT_MAX, required: true },
  embedding_length: { kind: 'integer', min: 1, max: EMBEDDING_MAX, required: true },
  block_count: { kind: 'integer', min: 1, max: LAYERS_MAX, required: true },
  feed_forward_length: { kind: 'integer', min: 1, max: FEED_FORWARD_MAX, required: true },
  vocab_size: { kind: 'integer', min: 1, max: 2 ** 31 },
  'attention.head_count': { kind: 'integer', min: 1, max: HEADS_MAX, required: true },
  'attention.head_count_kv': { kind: 'integer', min: 1, max: HEADS_MAX },
  'attention.key_length': { kind: 'integer', min: 2, max: HEAD_MAX },
  'attention.value_length': { kind: 'integer', min: 2, max: HEAD_MAX },
  'attention.layer_norm_rms_epsilon': { kind: 'number', min: 1e-12, max: 0.1, required: true },
  'attention.sliding_window': { kind: 'integer', min: 1, max: CONTEXT_MAX },
  'attention.scale': { kind: 'number', min: 1e-6, max: 1e3 },
  'attention.causal': { kind: 'flag' },
  attn_logit_softcapping: { kind: 'number', min: 1e-3, max: 1e6 },
  final_logit_softcapping: { kind: 'number', min: 1e-3, max: 1e6 },
  pooling_type: { kind: 'integer', min: 0, max: 4 },
  'classifier.output_labels': { kind: 'texts', lengthMax: 2 },
  'rope.dimension_count': { kind: 'integer', min: 2, max: HEAD_MAX },
  'rope.freq_base': { kind: 'number', min: 1e-3, max: 1e12 },
  'rope.freq_base_swa': { kind: 'number', min: 1e-3, max: 1e12 },
  'rope.scale_linear': SCALING,
  'rope.scaling.type': { kind: 'word', among: ['none', 'linear', 'yarn', 'longrope'] },
  'rope.scaling.factor': SCALING,
  'rope.scaling.attn_factor': SCALING,
  'rope.scaling.original_context_length': { kind: 'integer', min: 1, max: CONTEXT_MAX },
  'rope.scaling.finetuned': { kind: 'flag' },
  'rope.scaling.yarn_log_multiplier': { kind: 'number', min: 0, max: 1e3 },
};
