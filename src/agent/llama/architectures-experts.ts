/** Families whose layers have several feed-forward networks, of which each token passes a few. */
import {
  type Architecture,
  BIASES,
  HEAD_NORMS,
  LAYER,
  OUTER,
  plain,
  type Shape,
  weight,
  wide,
  without,
} from './tensor-rules.ts';

const ATTENTION = without(LAYER, 'ffn_gate.weight', 'ffn_up.weight', 'ffn_down.weight');

/** Feed-forward networks of a width, side by side. */
function experts(width: (sizes: Parameters<Shape>[0]) => number): Architecture['layer'] {
  return {
    'ffn_gate_inp.weight': weight((sizes) => [sizes.experts, sizes.embedding]),
    'ffn_gate_exps.weight': weight((sizes) => [sizes.experts, width(sizes), sizes.embedding]),
    'ffn_up_exps.weight': weight((sizes) => [sizes.experts, width(sizes), sizes.embedding]),
    'ffn_down_exps.weight': weight((sizes) => [sizes.experts, sizes.embedding, width(sizes)]),
  };
}

/** A layer of `llama` with experts, as Mixtral's models have. */
export const LLAMA_EXPERTS: Architecture['layer'] = {
  ...ATTENTION,
  ...experts(({ feedForward }) => feedForward),
};

const QWEN2_LAYER: Architecture['layer'] = {
  ...ATTENTION,
  ...BIASES,
  ...experts(({ expertFeedForward }) => expertFeedForward),
  // One more, which every token passes, by how much of it the first of these says.
  'ffn_gate_inp_shexp.weight': plain(wide),
  'ffn_gate_shexp.weight': weight(({ sharedFeedForward, embedding }) => [sharedFeedForward, embedding]),
  'ffn_up_shexp.weight': weight(({ sharedFeedForward, embedding }) => [sharedFeedForward, embedding]),
  'ffn_down_shexp.weight': weight(({ sharedFeedForward, embedding }) => [embedding, sharedFeedForward]),
};

/** `qwen2moe`. */
export const QWEN2_EXPERTS: Architecture = {
  outer: {
    ...OUTER,
    'output.weight': weight(({ vocabulary, embedding }) => [vocabulary, embedding]),
  },
  layer: QWEN2_LAYER,
  expertLayer: QWEN2_LAYER,
  demands: ['even', 'whole', 'square', 'experts'],
};

const QWEN3_LAYER: Architecture['layer'] = {
  ...ATTENTION,
  ...HEAD_NORMS,
  ...experts(({ expertFeedForward }) => expertFeedForward),
};

/** `qwen3moe`. */
export const QWEN3_EXPERTS: Architecture = {
  outer: OUTER,
  layer: QWEN3_LAYER,
  expertLayer: QWEN3_LAYER,
  demands: ['even', 'whole', 'experts'],
};
