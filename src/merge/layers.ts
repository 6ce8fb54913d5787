/**
 * Which tensors of a model are layers, by names alone: a layer's tensors are called `prefix.number.rest`. Where
 * several prefixes are numbered (experts, towers), the model's own layer count decides, then the number of tensors.
 */
import type { Checkpoint } from './checkpoint.ts';

/** The layers of a model. */
export interface LayerNames {
  /** What stands before the number, without the dot; empty when the model has no layers. */
  readonly prefix: string;
  readonly count: number;
  /** What stands after the number, for each layer. */
  readonly rests: readonly (readonly string[])[];
  /** Tensors outside the layers. */
  readonly others: readonly string[];
}

/** Where a configuration may say how many layers there are. */
export const LAYER_COUNT_KEYS: readonly string[] = ['num_hidden_layers', 'n_layer', 'n_layers', 'num_layers'];

const NUMBERED = /^(.+?)\.(\d+)\.(.+)$/;

/** Finds the layers of a model. */
export function findLayers({ tensors, config }: Pick<Checkpoint, 'tensors' | 'config'>): LayerNames {
  const groups = new Map<string, Map<number, string[]>>();
  for (const name of tensors.keys()) {
    const [, prefix, number, rest] = NUMBERED.exec(name) ?? [];
    if (prefix === undefined || rest === undefined) continue;
    const group = groups.get(prefix) ?? new Map<number, string[]>();
    groups.set(prefix, group);
    const layer = group.get(Number(number)) ?? [];
    group.set(Number(number), layer);
    layer.push(rest);
  }
  const stated = LAYER_COUNT_KEYS.map((key) => config[key]).find((value) => typeof value === 'number');
  const whole = [...groups].filter(([, group]) => [...Array(group.size).keys()].every((i) => group.has(i)));
  const fitting = whole.filter(([, group]) => group.size === stated);
  const [chosen] = (fitting.length > 0 ? fitting : whole).sort(
    ([, a], [, b]) => tensorCount(b) - tensorCount(a),
  );
  if (!chosen) return { prefix: '', count: 0, rests: [], others: [...tensors.keys()] };
  const [prefix, group] = chosen;
  return {
    prefix,
    count: group.size,
    rests: [...Array(group.size).keys()].map((i) => group.get(i) ?? []),
    others: [...tensors.keys()].filter((name) => NUMBERED.exec(name)?.[1] !== prefix),
  };
}

function tensorCount(group: ReadonlyMap<number, readonly string[]>): number {
  return [...group.values()].reduce((sum, names) => sum + names.length, 0);
}

/** Whether a tensor's name has the number of a layer in it. */
export function isLayered(name: string): boolean {
  return NUMBERED.test(name);
}

const EMBEDDING = /(^|\.)(token_embd|embed_tokens|wte|tok_embeddings|word_embeddings|embed_in)\.weight$/;
const BEFORE_LAYERS = /(^|\.)(embed\w*|token_embd|position_embd|\w+_embeddings?|wte|wpe)(\.|$)/;
const HEAD = /(^|\.)(lm_head|embed_out|output)\.weight$/;
const HEAD_BIAS = /(^|\.)(lm_head|embed_out)\.bias$/;

/** Whether a tensor outside the layers comes before them: embeddings of tokens and positions. */
export function isBeforeLayers(name: string): boolean {
  return BEFORE_LAYERS.test(name) && !HEAD.test(name);
}

/** Whether a tensor has one row per token of the vocabulary. */
export function isVocabulary(name: string): boolean {
  return EMBEDDING.test(name) || HEAD.test(name);
}

/** Whether a tensor has one number, or row, per token, so that it changes with the vocabulary. */
export function isPerToken(name: string, shape: readonly number[]): boolean {
  return (isVocabulary(name) && shape.length === 2) || (HEAD_BIAS.test(name) && shape.length === 1);
}

/** The tensor that stands in for a tied output head that is not stored, if `name` is one. */
export function tiedTo(
  name: string,
  { tensors, config }: Pick<Checkpoint, 'tensors' | 'config'>,
): string | undefined {
  if (!HEAD.test(name) || config.tie_word_embeddings === false) return undefined;
  return [...tensors.keys()].find((candidate) => EMBEDDING.test(candidate));
}
