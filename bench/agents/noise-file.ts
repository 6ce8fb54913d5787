/**
 * A model of noise in the shape of one that people run, with quantised weights and a vocabulary of a real one's size:
 * every token costs what it costs there, whatever it says. Written tensor by tensor, so that its size does not matter.
 */
import { open } from 'node:fs/promises';
import { type GgufValue, ggufF32, ggufText, ggufU32, layOutGguf } from '../../src/merge/gguf.ts';
import { flag, floats, ints, texts } from '../../test/agent/llama/gguf-writer.ts';

/** How large a model is. Widths are multiples of 32. */
export interface NoiseShape {
  readonly width: number;
  readonly layers: number;
  readonly feedForward: number;
  readonly heads: number;
  /** Heads of keys and values. */
  readonly keyHeads: number;
  readonly words: number;
  readonly weights: 'Q8_0' | 'Q4_0';
}

/** Weights of a block of 32. */
const BLOCK = 32;
/** Bytes of a block: a half-precision scale, and the weights. */
const BLOCK_BYTES = { Q8_0: 34, Q4_0: 18 } as const;
/** What a weight is divided by to be from -1 to 1. */
const STEPS = { Q8_0: 127, Q4_0: 8 } as const;

const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const BYTE = 6;

/** Writes the model to `path`; one seed gives one file. It says words and never ends. */
export async function writeNoise(path: string, shape: NoiseShape, seed = 1): Promise<void> {
  const { width, words, weights } = shape;
  const { size, metadata } = describe(shape);
  const layout = layOutGguf(tensorsOf(shape, size), metadata);
  const file = await open(path, 'w');
  const random = noise(seed);
  try {
    await file.write(layout.bytes, 0, layout.bytes.length, 0);
    for (const { name, dtype, sizeBytes, offset } of layout.tensors) {
      const bytes = new Uint8Array(sizeBytes);
      // Scores of what is no word are zero, and the best of many words is above.
      const quietBlocks = name === 'output.weight' ? ((size - words) * width) / BLOCK : 0;
      if (dtype === 'F32') new Float32Array(bytes.buffer).fill(1);
      else fillBlocks(bytes, { weights, scale: 1.5 / Math.sqrt(width), quietBlocks, random });
      await file.write(bytes, 0, bytes.length, offset);
    }
    await file.truncate(layout.fileBytes);
  } finally {
    await file.close();
  }
}

function describe(shape: NoiseShape): { readonly size: number; readonly metadata: Map<string, GgufValue> } {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  const before = ['<unk>', '<s>', '</s>', ...bytes, '▁'];
  const tokens = [...before, ...Array.from({ length: shape.words }, (_, i) => `▁w${i}`)];
  const types = tokens.map((_, i) => (i === 0 ? UNKNOWN : i < 3 ? CONTROL : i < 259 ? BYTE : NORMAL));
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', ggufText('llama')],
    ['general.name', ggufText('noise')],
    ['llama.context_length', ggufU32(2_048)],
    ['llama.embedding_length', ggufU32(shape.width)],
    ['llama.block_count', ggufU32(shape.layers)],
    ['llama.feed_forward_length', ggufU32(shape.feedForward)],
    ['llama.attention.head_count', ggufU32(shape.heads)],
    ['llama.attention.head_count_kv', ggufU32(shape.keyHeads)],
    ['llama.attention.layer_norm_rms_epsilon', ggufF32(1e-6)],
    ['tokenizer.ggml.model', ggufText('llama')],
    ['tokenizer.ggml.tokens', texts(tokens)],
    ['tokenizer.ggml.scores', floats(tokens.map((_, i) => -i))],
    ['tokenizer.ggml.token_type', ints(types)],
    ['tokenizer.ggml.bos_token_id', ggufU32(1)],
    ['tokenizer.ggml.eos_token_id', ggufU32(2)],
    ['tokenizer.ggml.unknown_token_id', ggufU32(0)],
    ['tokenizer.ggml.add_bos_token', flag(true)],
    ['tokenizer.ggml.add_space_prefix', flag(false)],
  ]);
  return { size: tokens.length, metadata };
}

function tensorsOf(
  { width, layers, feedForward, heads, keyHeads, weights }: NoiseShape,
  size: number,
): readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[] {
  const keys = (width / heads) * keyHeads;
  const matrix = (name: string, rows: number, columns: number) => {
    return { name: `${name}.weight`, dtype: weights, shape: [rows, columns] };
  };
  const norm = (name: string) => ({ name: `${name}.weight`, dtype: 'F32', shape: [width] });
  const layer = (i: number) => [
    norm(`blk.${i}.attn_norm`),
    matrix(`blk.${i}.attn_q`, width, width),
    matrix(`blk.${i}.attn_k`, keys, width),
    matrix(`blk.${i}.attn_v`, keys, width),
    matrix(`blk.${i}.attn_output`, width, width),
    norm(`blk.${i}.ffn_norm`),
    matrix(`blk.${i}.ffn_gate`, feedForward, width),
    matrix(`blk.${i}.ffn_up`, feedForward, width),
    matrix(`blk.${i}.ffn_down`, width, feedForward),
  ];
  return [
    matrix('token_embd', size, width),
    norm('output_norm'),
    matrix('output', size, width),
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
  ];
}

function fillBlocks(
  bytes: Uint8Array,
  {
    weights,
    scale,
    quietBlocks,
    random,
  }: {
    readonly weights: NoiseShape['weights'];
    readonly scale: number;
    readonly quietBlocks: number;
    readonly random: () => number;
  },
): void {
  const whole = new Int32Array(bytes.buffer, 0, bytes.length >>> 2);
  for (let i = 0; i < whole.length; i++) whole[i] = random();
  const view = new DataView(bytes.buffer);
  const length = BLOCK_BYTES[weights];
  for (let at = 0, block = 0; at < bytes.length; at += length, block++) {
    view.setFloat16(at, block < quietBlocks ? 0 : scale / STEPS[weights], true);
  }
}

/** Whole numbers of 32 bits (xorshift). */
function noise(seed: number): () => number {
  let state = Math.imul(seed, 2_654_435_761) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}
