/** What of a model decides how its adapters are named and ordered, from its configuration. */
import { type Checkpoint, openCheckpoint } from '../checkpoint.ts';
import type { ModelHeads } from './gguf-names.ts';

// What transformers calls the families whose adapters are renamed, and what GGUF does.
const ARCHITECTURES: Readonly<Record<string, string>> = {
  llama: 'llama',
  mistral: 'llama',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  gemma: 'gemma',
  gemma2: 'gemma2',
  gemma3: 'gemma3',
  gemma3_text: 'gemma3',
};

/** What an adapter has to know of its model. */
export interface AdaptedModel {
  /** How its tensors are named. */
  readonly gguf: boolean;
  /** Absent when it does not state them. */
  readonly heads?: ModelHeads;
}

/** Reads that of the model at `path`. Fails like `openCheckpoint`. */
export async function readAdaptedModel(path: string): Promise<AdaptedModel> {
  const checkpoint = await openCheckpoint(path);
  const heads = headsOf(checkpoint);
  return { gguf: checkpoint.metadata !== undefined, ...(heads && { heads }) };
}

/** The heads that a model's headers state, or `undefined`. */
export function headsOf({
  metadata,
  config,
}: Pick<Checkpoint, 'metadata' | 'config'>): ModelHeads | undefined {
  const type = metadata ? metadata.get('general.architecture')?.value : config.model_type;
  if (typeof type !== 'string') return undefined;
  const architecture = !metadata && Object.hasOwn(ARCHITECTURES, type) ? ARCHITECTURES[type] : type;
  const stated = (gguf: string, transformers: string): unknown =>
    metadata ? metadata.get(`${architecture}.attention.${gguf}`)?.value : config[transformers];
  const heads = stated('head_count', 'num_attention_heads');
  const headsKv = stated('head_count_kv', 'num_key_value_heads') ?? heads;
  if (architecture === undefined || typeof heads !== 'number' || typeof headsKv !== 'number')
    return undefined;
  return { architecture, heads, headsKv };
}
