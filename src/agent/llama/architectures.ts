/**
 * The families of models that may be loaded, and what a file of each has to hold. llama.cpp aborts its whole process
 * on some files and reads past buffers on others, so nothing reaches it that these tables do not name: every tensor
 * by name and shape, every hyper-parameter by type and bounds.
 */
import { BERT, NOMIC_BERT } from './architectures-encoders.ts';
import { LLAMA_EXPERTS, QWEN2_EXPERTS, QWEN3_EXPERTS } from './architectures-experts.ts';
import {
  CONTEXT_MAX,
  EMBEDDING_MAX,
  EXPERTS_MAX,
  FEED_FORWARD_MAX,
  HEAD_MAX,
  HEADS_MAX,
  LAYERS_MAX,
} from './limits.ts';
import {
  type Architecture,
  allMaybe,
  BIASES,
  type Demand,
  HEAD_NORMS,
  LAYER,
  maybe,
  OUTER,
  POST_NORMS,
  plain,
  type Sizes,
  type TensorRule,
  weight,
  without,
} from './tensor-rules.ts';

/** Heads of one width that are rotated whole. */
const HEADS: readonly Demand[] = ['even', 'whole'];

/** Gate and rise are one matrix. */
const PHI_LAYER: Architecture['layer'] = {
  ...without(LAYER, 'ffn_gate.weight'),
  'ffn_up.weight': weight(({ feedForward, embedding }) => [2 * feedForward, embedding]),
};

/** Factors of the rotation for short and for long texts. */
const ROPE_FACTORS: Architecture['outer'] = allMaybe({
  'rope_factors_long.weight': plain(({ rotated }) => [rotated / 2]),
  'rope_factors_short.weight': plain(({ rotated }) => [rotated / 2]),
});

const PHI3: Architecture = {
  outer: { ...OUTER, ...ROPE_FACTORS },
  layer: PHI_LAYER,
  fused: {
    ...without(PHI_LAYER, 'attn_q.weight', 'attn_k.weight', 'attn_v.weight'),
    'attn_qkv.weight': weight(({ embedding, headsKv, key }) => [embedding + 2 * headsKv * key, embedding]),
  },
  demands: ['even', 'square'],
};

/** The families by the name that files give them. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map<string, Architecture>([
  [
    'llama',
    {
      outer: OUTER,
      layer: { ...LAYER, ...allMaybe(BIASES) },
      expertLayer: { ...LLAMA_EXPERTS, ...allMaybe(BIASES) },
      demands: HEADS,
    },
  ],
  ['qwen2', { outer: OUTER, layer: { ...LAYER, ...BIASES }, demands: HEADS }],
  ['qwen2moe', QWEN2_EXPERTS],
  [
    'qwen3',
    {
      outer: {
        ...OUTER,
        // The head of a model that ranks: one row for each of its two labels.
        'cls.output.weight': maybe(weight(({ embedding }) => [2, embedding])),
      },
      layer: { ...LAYER, ...HEAD_NORMS },
      demands: HEADS,
    },
  ],
  ['qwen3moe', QWEN3_EXPERTS],
  ['gemma', { outer: OUTER, layer: LAYER, demands: [] }],
  ['gemma2', { outer: OUTER, layer: { ...LAYER, ...POST_NORMS }, demands: [] }],
  ['gemma3', { outer: OUTER, layer: { ...LAYER, ...HEAD_NORMS, ...POST_NORMS }, demands: [] }],
  ['phi3', PHI3],
  ['bert', BERT],
  ['nomic-bert', NOMIC_BERT],
]);

/** The tensors of a layer, by whether it has experts and whether attention's matrices are one. */
export function layerOf(
  { layer, fused, expertLayer }: Architecture,
  { experts }: Pick<Sizes, 'experts'>,
  isFused: boolean,
): Readonly<Record<string, TensorRule>> {
  if (experts > 0 && expertLayer !== undefined) return expertLayer;
  return isFused && fused !== undefined ? fused : layer;
}

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
  expert_count: { kind: 'integer', min: 2, max: EXPERTS_MAX },
  expert_used_count: { kind: 'integer', min: 1, max: EXPERTS_MAX },
  expert_feed_forward_length: { kind: 'integer', min: 1, max: FEED_FORWARD_MAX },
  expert_shared_feed_forward_length: { kind: 'integer', min: 1, max: FEED_FORWARD_MAX },
  vocab_size: { kind: 'integer', min: 1, max: 2 ** 31 },
  'attention.head_count': { kind: 'integer', min: 1, max: HEADS_MAX, required: true },
  'attention.head_count_kv': { kind: 'integer', min: 1, max: HEADS_MAX },
  'attention.key_length': { kind: 'integer', min: 2, max: HEAD_MAX },
  'attention.value_length': { kind: 'integer', min: 2, max: HEAD_MAX },
  'attention.layer_norm_rms_epsilon': { kind: 'number', min: 1e-12, max: 0.1 },
  'attention.layer_norm_epsilon': { kind: 'number', min: 1e-13, max: 0.1 },
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
