/** Families that read a text as a whole and write none: for vectors of texts, and to judge passages. */
import { type Architecture, allMaybe, BIASES, maybe, plain, weight, wide } from './tensor-rules.ts';

const ENCODER_OUTER: Architecture['outer'] = {
  'token_embd.weight': weight(({ vocabulary, embedding }) => [vocabulary, embedding]),
  'token_types.weight': maybe(plain(({ tokenTypes, embedding }) => [tokenTypes, embedding])),
  'token_embd_norm.weight': plain(wide),
  'token_embd_norm.bias': plain(wide),
};

/** The head of a model that judges. */
const JUDGE: Architecture['outer'] = allMaybe({
  'cls.weight': weight(({ embedding }) => [embedding, embedding]),
  'cls.bias': plain(wide),
  'cls.output.weight': weight(({ labels, embedding }) => [labels, embedding]),
  'cls.output.bias': plain(({ labels }) => [labels]),
});

const SEPARATE: Architecture['layer'] = {
  'attn_q.weight': weight(({ embedding }) => [embedding, embedding]),
  'attn_k.weight': weight(({ headsKv, key, embedding }) => [headsKv * key, embedding]),
  'attn_v.weight': weight(({ headsKv, value, embedding }) => [headsKv * value, embedding]),
  ...allMaybe(BIASES),
};

const FUSED: Architecture['layer'] = {
  'attn_qkv.weight': weight(({ embedding, headsKv, key }) => [embedding + 2 * headsKv * key, embedding]),
  'attn_qkv.bias': maybe(plain(({ embedding, headsKv, key }) => [embedding + 2 * headsKv * key])),
};

const BEHIND: Architecture['layer'] = {
  'attn_output.weight': weight(({ embedding }) => [embedding, embedding]),
  'attn_output.bias': maybe(plain(wide)),
  'attn_output_norm.weight': plain(wide),
  'attn_output_norm.bias': plain(wide),
  'ffn_up.weight': weight(({ feedForward, embedding }) => [feedForward, embedding]),
  'ffn_up.bias': maybe(plain(({ feedForward }) => [feedForward])),
  'ffn_down.weight': weight(({ feedForward, embedding }) => [embedding, feedForward]),
  'ffn_down.bias': maybe(plain(wide)),
  'layer_output_norm.weight': plain(wide),
  'layer_output_norm.bias': plain(wide),
};

const GATE: Architecture['layer'] = {
  'ffn_gate.weight': weight(({ feedForward, embedding }) => [feedForward, embedding]),
};

/** `bert`: places in a text are learnt, so there are as many as its context has. */
export const BERT: Architecture = {
  outer: {
    ...ENCODER_OUTER,
    ...JUDGE,
    'position_embd.weight': plain(({ context, embedding }) => [context, embedding]),
  },
  layer: { ...SEPARATE, ...BEHIND },
  fused: { ...FUSED, ...BEHIND },
  demands: ['even', 'square', 'sentences'],
};

/** `nomic-bert`: places in a text are rotations. */
export const NOMIC_BERT: Architecture = {
  outer: ENCODER_OUTER,
  layer: { ...SEPARATE, ...BEHIND, ...GATE },
  fused: { ...FUSED, ...BEHIND, ...GATE },
  demands: ['even', 'whole', 'square', 'sentences'],
};
