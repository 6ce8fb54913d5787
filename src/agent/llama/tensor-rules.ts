/**
 * What tables of families are made of: rules of tensors, by shapes that are made of a model's sizes; and the tensors
 * that most families share.
 */

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
  /** Longest context. */
  readonly context: number;
  /** Feed-forward networks of a layer, of which each token passes some; 0 where there is one for all. */
  readonly experts: number;
  /** Width of each of them, and of the one that all tokens pass beside them. */
  readonly expertFeedForward: number;
  readonly sharedFeedForward: number;
  /** Kinds of sentences that are told apart; 0 where none are. */
  readonly tokenTypes: number;
  /** Labels of a model that judges. */
  readonly labels: number;
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
  /** The same where queries, keys and values are one matrix. */
  readonly fused?: Readonly<Record<string, TensorRule>>;
  /** The same where a layer has experts. */
  readonly expertLayer?: Readonly<Record<string, TensorRule>>;
  /** What else llama.cpp takes for granted, and stops its process where it does not hold. */
  readonly demands: readonly Demand[];
}

/**
 * A relation between sizes: keys as wide as values; heads that are rotated whole; heads that are together as wide as
 * the model; experts that must be there; kinds of sentences that must be counted.
 */
export type Demand = 'even' | 'whole' | 'square' | 'experts' | 'sentences';

/** A shape by the sizes of a model, outermost first. */
export type Shape = (sizes: Sizes) => readonly number[];

/** A matrix of weights. */
export function weight(shape: Shape): TensorRule {
  return { shape, optional: false, plain: false };
}

/** A norm or a bias. */
export function plain(shape: Shape): TensorRule {
  return { shape, optional: false, plain: true };
}

/** One that may be missing. */
export function maybe(rule: TensorRule): TensorRule {
  return { ...rule, optional: true };
}

/** As wide as the model. */
export const wide: Shape = ({ embedding }) => [embedding];
const queries: Shape = ({ heads, key }) => [heads * key];
const keys: Shape = ({ headsKv, key }) => [headsKv * key];
const values: Shape = ({ headsKv, value }) => [headsKv * value];
const headKey: Shape = ({ key }) => [key];
const up: Shape = ({ feedForward, embedding }) => [feedForward, embedding];

/** Tensors outside of layers. */
export const OUTER: Architecture['outer'] = {
  'token_embd.weight': weight(({ vocabulary, embedding }) => [vocabulary, embedding]),
  'output_norm.weight': plain(wide),
  // Without it the embedding is used again.
  'output.weight': maybe(weight(({ vocabulary, embedding }) => [vocabulary, embedding])),
  'rope_freqs.weight': maybe(plain(({ rotated }) => [rotated / 2])),
};

/** Tensors of a layer. */
export const LAYER: Architecture['layer'] = {
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

/** Biases of attention. */
export const BIASES: Architecture['layer'] = {
  'attn_q.bias': plain(queries),
  'attn_k.bias': plain(keys),
  'attn_v.bias': plain(values),
};

/** Norms of single heads. */
export const HEAD_NORMS: Architecture['layer'] = {
  'attn_q_norm.weight': plain(headKey),
  'attn_k_norm.weight': plain(headKey),
};

/** Norms behind attention and feed-forward network. */
export const POST_NORMS: Architecture['layer'] = {
  'post_attention_norm.weight': plain(wide),
  'post_ffw_norm.weight': plain(wide),
};

/** All of them may be missing. */
export function allMaybe(rules: Architecture['layer']): Architecture['layer'] {
  return Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, maybe(rule)]));
}

/** Tensors without those of these names. */
export function without(rules: Architecture['layer'], ...names: readonly string[]): Architecture['layer'] {
  return Object.fromEntries(Object.entries(rules).filter(([name]) => !names.includes(name)));
}
