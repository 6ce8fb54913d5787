/** Models that judge texts as they were written to: one makes vectors of a few meanings, one prefers a few words. */
import type { GgufValue } from '../../../src/merge/gguf.ts';
import { f32, flag, floats, ints, text, texts, u32, type WrittenGguf } from './gguf-writer.ts';

const MEAN = 1;
const RANK = 4;
const WIDTH = 32;
const CONTEXT = 512;

interface Shape {
  readonly words: readonly string[];
  /** The embedding of the word at an index, and of everything else. */
  readonly vectorOf: (word: number | undefined) => readonly number[];
  readonly pooling: number;
  readonly more: readonly (readonly [string, GgufValue])[];
  readonly head: readonly (readonly number[])[];
}

/** Words whose texts get vectors near each other, a line of them for each meaning. At most 30 meanings. */
export function embeddingModel(meanings: readonly (readonly string[])[]): WrittenGguf {
  const words = meanings.flat();
  const meaningOf = new Map(meanings.flatMap((line, i) => line.map((word) => [word, i] as const)));
  return modelOf({
    words,
    // What has no meaning points its own way, faintly.
    vectorOf: (word) =>
      one(word === undefined ? 31 : (meaningOf.get(words[word] ?? '') ?? 31), word === undefined ? 0.01 : 1),
    pooling: MEAN,
    more: [],
    head: [],
  });
}

/** Prefers passages by how many of their words are `good`. */
export function rankingModel(good: readonly string[]): WrittenGguf {
  return modelOf({
    words: ['[[q]]', '[[d]]', ...good],
    vectorOf: (word) => one(word === undefined || word < 2 ? 1 : 0, 1),
    pooling: RANK,
    more: [
      ['qwen3.classifier.output_labels', texts(['yes', 'no'])],
      ['tokenizer.chat_template.rerank', text('[[q]]{query}[[d]]{document}')],
    ],
    head: [one(0, 1), one(1, 1)],
  });
}

function one(at: number, value: number): readonly number[] {
  return Array.from({ length: WIDTH }, (_, i) => (i === at ? value : 0));
}

function modelOf({ words, vectorOf, pooling, more, head }: Shape): WrittenGguf {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, '▁', ...words];
  const types = tokens.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : i === 259 ? 1 : 4));
  const size = tokens.length;
  const embedding = new Float32Array(tokens.flatMap((_, i) => vectorOf(i < 260 ? undefined : i - 260)));
  const square = (diagonal: number): Float32Array =>
    Float32Array.from({ length: WIDTH * WIDTH }, (_, i) => (i % (WIDTH + 1) === 0 ? diagonal : 0));
  const ones = new Float32Array(WIDTH).fill(1);
  // A model that ranks looks at its last token: with keys of nothing that sees all texts before it alike.
  const sees = pooling === RANK ? 1 : 0;
  const tensors = [
    { name: 'token_embd.weight', shape: [size, WIDTH], values: embedding },
    { name: 'output_norm.weight', shape: [WIDTH], values: ones },
    { name: 'output.weight', shape: [size, WIDTH], values: new Float32Array(size * WIDTH) },
    ...['attn_norm', 'ffn_norm', 'attn_q_norm', 'attn_k_norm'].map((name) => ({
      name: `blk.0.${name}.weight`,
      shape: [WIDTH],
      values: ones,
    })),
    ...['attn_q', 'attn_k', 'ffn_gate', 'ffn_up', 'ffn_down'].map((name) => ({
      name: `blk.0.${name}.weight`,
      shape: [WIDTH, WIDTH],
      values: square(0),
    })),
    { name: 'blk.0.attn_v.weight', shape: [WIDTH, WIDTH], values: square(sees) },
    { name: 'blk.0.attn_output.weight', shape: [WIDTH, WIDTH], values: square(8 * sees) },
    ...(head.length === 0
      ? []
      : [{ name: 'cls.output.weight', shape: [head.length, WIDTH], values: Float32Array.from(head.flat()) }]),
  ];
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', text('qwen3')],
    ['general.name', text('judge')],
    ['qwen3.context_length', u32(CONTEXT)],
    ['qwen3.embedding_length', u32(WIDTH)],
    ['qwen3.block_count', u32(1)],
    ['qwen3.feed_forward_length', u32(WIDTH)],
    ['qwen3.attention.head_count', u32(1)],
    ['qwen3.attention.layer_norm_rms_epsilon', f32(1e-6)],
    ['qwen3.pooling_type', u32(pooling)],
    ['tokenizer.ggml.model', text('llama')],
    ['tokenizer.ggml.tokens', texts(tokens)],
    ['tokenizer.ggml.scores', floats(tokens.map((_, i) => -i))],
    ['tokenizer.ggml.token_type', ints(types)],
    ['tokenizer.ggml.bos_token_id', u32(1)],
    ['tokenizer.ggml.eos_token_id', u32(2)],
    ['tokenizer.ggml.unknown_token_id', u32(0)],
    ['tokenizer.ggml.add_bos_token', flag(false)],
    ['tokenizer.ggml.add_space_prefix', flag(false)],
    ...more,
  ]);
  return { metadata, tensors };
}
