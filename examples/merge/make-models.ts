/** Small models made from a seed: a base in the shape of a Llama, and fine-tunes of it. The same seed, the same bytes. */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { layOut, type TensorShape } from '../../src/merge/safetensors.ts';

/** The shape of a model. */
export interface ModelShape {
  readonly layers: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  /** Element type of the weights: BF16 or F32. */
  readonly dtype: 'BF16' | 'F32';
}

/** What a model's weights are. */
export interface ModelRecipe {
  /** Seed of the base that it comes from. */
  readonly base: number;
  /** Seed of its own update; absent: it is the base itself. */
  readonly tune?: number;
  /** Standard deviation of the update. Default 0.001; the base's is 0.02. */
  readonly strength?: number;
}

/** A shape of 140 kB in BF16. */
export const TINY: ModelShape = { layers: 2, hidden: 64, intermediate: 128, vocabulary: 96, dtype: 'BF16' };

/** Writes a model into `directory`. */
export async function makeModel(directory: string, shape: ModelShape, recipe: ModelRecipe): Promise<void> {
  await mkdir(directory, { recursive: true });
  const layout = layOut(tensorsOf(shape), { format: 'pt' });
  const file = await open(join(directory, 'model.safetensors'), 'w');
  await file.write(layout.bytes, 0, layout.bytes.length, 0);
  let position = layout.bytes.length;
  for (const [index, tensor] of layout.tensors.entries()) {
    const bytes = weights(tensor.elements, { shape, recipe, index });
    await file.write(bytes, 0, bytes.length, position);
    position += bytes.length;
  }
  await file.close();
  await writeFile(join(directory, 'config.json'), `${JSON.stringify(configOf(shape), undefined, 2)}\n`);
}

function tensorsOf({ layers, hidden, intermediate, vocabulary, dtype }: ModelShape): TensorShape[] {
  const perLayer: [string, number[]][] = [
    ['input_layernorm', [hidden]],
    ['self_attn.q_proj', [hidden, hidden]],
    ['self_attn.k_proj', [hidden / 2, hidden]],
    ['self_attn.v_proj', [hidden / 2, hidden]],
    ['self_attn.o_proj', [hidden, hidden]],
    ['post_attention_layernorm', [hidden]],
    ['mlp.gate_proj', [intermediate, hidden]],
    ['mlp.up_proj', [intermediate, hidden]],
    ['mlp.down_proj', [hidden, intermediate]],
  ];
  const all: [string, number[]][] = [
    ['model.embed_tokens', [vocabulary, hidden]],
    ...Array.from({ length: layers }, (_, layer) =>
      perLayer.map(([name, shape]): [string, number[]] => [`model.layers.${layer}.${name}`, shape]),
    ).flat(),
    ['model.norm', [hidden]],
    ['lm_head', [vocabulary, hidden]],
  ];
  return all.map(([name, shape]) => ({ name: `${name}.weight`, dtype, shape }));
}

function configOf({ layers, hidden, intermediate, vocabulary, dtype }: ModelShape): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: vocabulary,
    tie_word_embeddings: false,
    torch_dtype: dtype === 'BF16' ? 'bfloat16' : 'float32',
  };
}

function weights(
  elements: number,
  {
    shape,
    recipe,
    index,
  }: { readonly shape: ModelShape; readonly recipe: ModelRecipe; readonly index: number },
): Uint8Array {
  const base = bells(recipe.base, index);
  const tune = recipe.tune === undefined ? () => 0 : bells(recipe.tune, index);
  const strength = recipe.strength ?? 0.001;
  const values = new Float32Array(elements);
  for (let i = 0; i < elements; i++) values[i] = 0.02 * base() + strength * tune();
  if (shape.dtype === 'F32') return new Uint8Array(values.buffer);
  const bits = new Uint32Array(values.buffer);
  // Nearest, ties away from zero: good enough to make a model.
  return new Uint8Array(Uint16Array.from(bits, (word) => (word + 0x8000) >>> 16).buffer);
}

// Bell-shaped numbers of deviation 1: four uniform bytes of a xorshift word summed.
function bells(seed: number, index: number): () => number {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const sum = (state & 255) + ((state >>> 8) & 255) + ((state >>> 16) & 255) + (state >>> 24);
    return (sum - 510) / 147.8;
  };
}
