/** Models that tests make themselves: one that says exactly what it was written to say, and one of seeded noise. */
import type { GgufValue } from '../../../src/merge/gguf.ts';
import {
  f32,
  flag,
  floats,
  ints,
  text,
  texts,
  u32,
  type WrittenGguf,
  type WrittenTensor,
} from './gguf-writer.ts';

/** What follows what: after each text the next ones with their logits. The texts are tokens. */
export type Chain = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** A scripted model. */
export interface Scripted {
  readonly gguf: WrittenGguf;
  /** Tokens by their text. */
  readonly ids: ReadonlyMap<string, number>;
  readonly width: number;
}

const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

/** The token after which a scripted model answers. */
export const ANSWER = '[[answer]]';
/** The token that ends an answer. */
export const END = '</s>';

/** Writes a conversation as the fixtures read it: marks that are tokens of their own. */
export const TEMPLATE =
  "{% for m in messages %}{% if m.role == 'system' %}[[system]]{{ m.content }}{% elif m.role == 'user' %}[[user]]{{ m.content }}{% else %}[[answer]]{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}[[answer]]{% endif %}";

interface Sizes {
  readonly vocabulary: number;
  readonly width: number;
  readonly layers: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly context: number;
}

/** Tokens of the fixtures: three special ones, one for each byte, the blank, and the words of the script. */
function vocabulary(words: readonly string[]): {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
} {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', END, ...bytes, '▁', ...words];
  const types = tokens.map((_, i) => {
    if (i === 0) return UNKNOWN;
    if (i < 3) return CONTROL;
    if (i < 259) return BYTE;
    return i === 259 ? NORMAL : USER_DEFINED;
  });
  return { tokens, types };
}

function metadataOf(
  sizes: Sizes,
  { tokens, types }: ReturnType<typeof vocabulary>,
  template: string | undefined,
): Map<string, GgufValue> {
  return new Map<string, GgufValue>([
    ['general.architecture', text('llama')],
    ['general.name', text('scripted')],
    ['llama.context_length', u32(sizes.context)],
    ['llama.embedding_length', u32(sizes.width)],
    ['llama.block_count', u32(sizes.layers)],
    ['llama.feed_forward_length', u32(sizes.feedForward)],
    ['llama.attention.head_count', u32(sizes.heads)],
    ['llama.attention.layer_norm_rms_epsilon', f32(1e-6)],
    ['tokenizer.ggml.model', text('llama')],
    ['tokenizer.ggml.tokens', texts(tokens)],
    ['tokenizer.ggml.scores', floats(tokens.map((_, i) => -i))],
    ['tokenizer.ggml.token_type', ints(types)],
    ['tokenizer.ggml.bos_token_id', u32(1)],
    ['tokenizer.ggml.eos_token_id', u32(2)],
    ['tokenizer.ggml.unknown_token_id', u32(0)],
    ['tokenizer.ggml.add_bos_token', flag(true)],
    ['tokenizer.ggml.add_space_prefix', flag(false)],
    ...(template === undefined ? [] : [['tokenizer.chat_template', text(template)] as const]),
  ]);
}

function layerTensors(
  i: number,
  sizes: Sizes,
  fill: (count: number) => Float32Array,
): readonly WrittenTensor[] {
  const { width, feedForward } = sizes;
  const matrix = (name: string, rows: number, columns: number): WrittenTensor => {
    return { name: `blk.${i}.${name}.weight`, shape: [rows, columns], values: fill(rows * columns) };
  };
  const norm = (name: string): WrittenTensor => {
    return { name: `blk.${i}.${name}.weight`, shape: [width], values: new Float32Array(width).fill(1) };
  };
  return [
    norm('attn_norm'),
    matrix('attn_q', width, width),
    matrix('attn_k', width, width),
    matrix('attn_v', width, width),
    matrix('attn_output', width, width),
    norm('ffn_norm'),
    matrix('ffn_gate', feedForward, width),
    matrix('ffn_up', feedForward, width),
    matrix('ffn_down', width, feedForward),
  ];
}

/**
 * A language model in closed form: embeddings are one-hot, the only layer passes them through, and the head holds the
 * logit of every token after every other. It says what `chain` says; after what `chain` does not know it ends.
 */
export function scriptedModel(
  chain: Chain,
  {
    context = 2048,
    template = TEMPLATE,
    block = 32,
  }: {
    readonly context?: number;
    readonly template?: string;
    /** What the width is a multiple of. */
    readonly block?: number;
  } = {},
): Scripted {
  const words = [...new Set(Object.entries(chain).flatMap(([from, to]) => [from, ...Object.keys(to)]))];
  const marks = ['[[system]]', '[[user]]', ANSWER].filter((mark) => !words.includes(mark));
  const known = vocabulary([...marks, ...words.filter((word) => word !== END)]);
  const size = known.tokens.length;
  const width = block * Math.ceil(size / block);
  const sizes = { vocabulary: size, width, layers: 1, feedForward: block, heads: 1, context };
  const ids = new Map(known.tokens.map((token, i) => [token, i]));
  const idOf = (word: string): number => ids.get(word) ?? 0;
  const embedding = new Float32Array(size * width);
  const head = new Float32Array(size * width);
  for (let i = 0; i < size; i++) {
    embedding[i * width + i] = 1;
    head[idOf(END) * width + i] = 1;
  }
  for (const [from, to] of Object.entries(chain)) {
    for (const [next, logit] of Object.entries(to)) head[idOf(next) * width + idOf(from)] = logit;
  }
  const tensors = [
    { name: 'token_embd.weight', shape: [size, width], values: embedding },
    // One-hot vectors leave the norm scaled by the root of their width.
    {
      name: 'output_norm.weight',
      shape: [width],
      values: new Float32Array(width).fill(1 / Math.sqrt(width)),
    },
    { name: 'output.weight', shape: [size, width], values: head },
    ...layerTensors(0, sizes, (count) => new Float32Array(count)),
  ];
  return { gguf: { metadata: metadataOf(sizes, known, template), tensors }, ids, width };
}

/** A chain that says one thing: `words` after `ANSWER`, then the end. */
export function saying(...words: readonly string[]): Chain {
  const all = [ANSWER, ...words, END];
  return Object.fromEntries(all.slice(0, -1).map((word, i) => [word, { [all[i + 1] ?? END]: 20 }]));
}

/** An adapter that changes a scripted model: `changes` are added to its chain at scale 1. */
export function scriptedAdapter(model: Scripted, changes: Chain, alpha = 1): WrittenGguf {
  const pairs = Object.entries(changes);
  const rank = pairs.length;
  const size = model.ids.size;
  const a = new Float32Array(rank * model.width);
  const b = new Float32Array(size * rank);
  pairs.forEach(([from, to], r) => {
    a[r * model.width + (model.ids.get(from) ?? 0)] = 1;
    for (const [next, logit] of Object.entries(to)) b[(model.ids.get(next) ?? 0) * rank + r] = logit;
  });
  return {
    metadata: new Map<string, GgufValue>([
      ['general.architecture', text('llama')],
      ['general.type', text('adapter')],
      ['adapter.type', text('lora')],
      // llama.cpp divides it by the rank.
      ['adapter.lora.alpha', f32(alpha * rank)],
    ]),
    tensors: [
      { name: 'output.weight.lora_a', shape: [rank, model.width], values: a },
      { name: 'output.weight.lora_b', shape: [size, rank], values: b },
    ],
  };
}

/** A model of noise: for what needs entropy or weight. The same options give the same bytes. */
export function noiseModel(
  options: {
    readonly seed?: number;
    readonly width?: number;
    readonly layers?: number;
    readonly feedForward?: number;
    readonly heads?: number;
    readonly words?: number;
    readonly context?: number;
    /** Says words only: no bytes that are no character, and no end. */
    readonly fluent?: boolean;
  } = {},
): WrittenGguf {
  const { fluent = false } = options;
  const {
    seed = 1,
    width = 64,
    layers = 2,
    feedForward = 128,
    heads = 4,
    words = 64,
    context = 2048,
  } = options;
  const marks = ['[[system]]', '[[user]]', ANSWER];
  const known = vocabulary([...marks, ...Array.from({ length: words }, (_, i) => ` w${i}`)]);
  const size = known.tokens.length;
  const sizes = { vocabulary: size, width, layers, feedForward, heads, context };
  const random = noise(seed);
  const scale = 1.5 / Math.sqrt(width);
  const fill = (count: number): Float32Array => Float32Array.from({ length: count }, () => random() * scale);
  const embedding = fill(size * width);
  const head = fill(size * width);
  // Their scores are zero, and the best of many words is above.
  if (fluent) head.fill(0, 0, (size - words) * width);
  return {
    metadata: metadataOf(sizes, known, TEMPLATE),
    tensors: [
      { name: 'token_embd.weight', shape: [size, width], values: embedding },
      { name: 'output_norm.weight', shape: [width], values: new Float32Array(width).fill(1) },
      { name: 'output.weight', shape: [size, width], values: head },
      ...Array.from({ length: layers }, (_, i) => layerTensors(i, sizes, fill)).flat(),
    ],
  };
}

/** Numbers between -1 and 1 (xorshift). */
function noise(seed: number): () => number {
  let state = seed * 2_654_435_761 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state | 0) / 2 ** 31;
  };
}
