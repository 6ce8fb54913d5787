/**
 * The strict check of a model file, before anything of llama.cpp sees it. Models and adapters come from strangers:
 * llama.cpp aborts its process on some malformed files and reads beyond buffers on others. So a file has to be one
 * that the tables of `architectures.ts` describe completely; what they do not name is refused with the reason.
 * What it does not do: judge what a model says, or whether its numbers are sensible.
 */
import { SaharaError } from '../../base/errors.ts';
import { blockOf, isMeasured, isWeightType } from '../../merge/dtypes.ts';
import type { GgufHeader } from '../../merge/gguf.ts';
import type { TensorEntry } from '../../merge/safetensors.ts';
import { type AdapterPair, checkAdapterTensors } from './adapter-check.ts';
import { ARCHITECTURES, KEY_RULES, layerOf } from './architectures.ts';
import { unsound } from './gguf-error.ts';
import { hashFile, type ReadGguf, readHeader, withFile } from './gguf-file.ts';
import { checkKey, integerAt, type Metadata, textAt } from './gguf-values.ts';
import { checkVocabulary } from './gguf-vocabulary.ts';
import { TOKEN_TYPES_MAX } from './limits.ts';
import type { Architecture, Sizes, TensorRule } from './tensor-rules.ts';

/** What a file says of itself. Enough to say what it needs and where it fits. */
export interface GgufFacts {
  /** A model that answers, or an adapter that changes one. */
  readonly kind: 'model' | 'adapter';
  readonly architecture: string;
  /** The name that the file gives itself, at most 256 characters, or empty. */
  readonly title: string;
  /** The type that most of the weights have, such as `Q4_K`. */
  readonly quantisation: string;
  /** Bytes of all tensors. */
  readonly weightsBytes: number;
  readonly parameters: number;
  /** Longest context that it was made for, tokens; 0 for an adapter. */
  readonly contextMax: number;
  readonly layers: number;
  readonly embedding: number;
  readonly vocabulary: number;
  /** Bytes of keys and values of one token in all layers, at 16 bits each. */
  readonly cacheBytesPerToken: number;
  /** Whether the file says how a conversation is written. */
  readonly hasTemplate: boolean;
}

/** What came of looking through a whole file. */
export interface GgufSummary {
  /** SHA-256 of the file. */
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
  readonly facts: GgufFacts;
}

/** A checked header. */
export interface CheckedHeader {
  readonly facts: GgufFacts;
  /** Sizes of a model. */
  readonly sizes: Sizes | undefined;
  /** What an adapter changes. */
  readonly pairs: readonly AdapterPair[];
}

const TITLE_MAX = 256;

/** Looks through a whole model or adapter. Throws `model-invalid` with the reason, `file-missing`, `cancelled`. */
export async function checkGguf(
  path: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<GgufSummary> {
  if (signal.aborted) throw new SaharaError('cancelled');
  return withFile(path, async (file, sizeBytes) => {
    const { facts } = checkHeader(await readHeader(file, sizeBytes));
    return { digest: await hashFile(file, sizeBytes, { signal }), sizeBytes, facts };
  });
}

/** Checks the header of the file at `path` alone. Throws `model-invalid`, `file-missing`. */
export async function checkGgufHeader(path: string): Promise<CheckedHeader> {
  return withFile(path, async (file, sizeBytes) => checkHeader(await readHeader(file, sizeBytes)));
}

/** Checks a header that was read. Throws `model-invalid`. */
export function checkHeader({ header }: ReadGguf): CheckedHeader {
  const { metadata } = header;
  const name = textAt(metadata, 'general.architecture', 64);
  const architecture = name === undefined ? undefined : ARCHITECTURES.get(name);
  if (name === undefined || architecture === undefined) {
    throw unsound('models of this kind are not read here', {
      found: name ?? 'none',
      allowed: [...ARCHITECTURES.keys()],
    });
  }
  const kind = textAt(metadata, 'general.type', 64) ?? 'model';
  checkGeneral(metadata);
  if (kind === 'adapter') {
    const pairs = checkAdapterTensors(header);
    return { facts: { ...common(header, name), kind, ...NOTHING }, sizes: undefined, pairs };
  }
  if (kind !== 'model') throw unsound('it is neither a model nor an adapter', { found: kind });
  const sizes = checkSizes(metadata, name, architecture);
  const vocabulary = checkVocabulary(metadata);
  if ((vocabulary.kind === 'bert') !== architecture.demands.includes('sentences'))
    throw unsound('the tokenizer is not one of this family', { found: vocabulary.kind });
  const stated = integerAt(metadata, `${name}.vocab_size`, { min: 1, max: 2 ** 31 });
  if (stated !== undefined && stated !== vocabulary.size) {
    throw unsound('the vocabulary is of another size than stated', { stated, found: vocabulary.size });
  }
  const whole = { ...sizes, vocabulary: vocabulary.size };
  checkTensors(header, architecture, whole);
  const facts: GgufFacts = {
    ...common(header, name),
    kind,
    contextMax: integerAt(metadata, `${name}.context_length`, { min: 1, max: 2 ** 31 }) ?? 0,
    layers: sizes.layers,
    embedding: sizes.embedding,
    vocabulary: vocabulary.size,
    cacheBytesPerToken: 2 * sizes.layers * sizes.headsKv * (sizes.key + sizes.value),
    hasTemplate: vocabulary.hasTemplate,
  };
  return { facts, sizes: whole, pairs: [] };
}

const NOTHING = {
  contextMax: 0,
  layers: 0,
  embedding: 0,
  vocabulary: 0,
  cacheBytesPerToken: 0,
  hasTemplate: false,
};

type Common = Pick<GgufFacts, 'architecture' | 'title' | 'quantisation' | 'weightsBytes' | 'parameters'>;

function common({ metadata, tensors }: GgufHeader, architecture: string): Common {
  const bytes = new Map<string, number>();
  for (const { dtype, sizeBytes } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + sizeBytes);
  const [most] = [...bytes].sort((a, b) => b[1] - a[1]);
  return {
    architecture,
    title: (textAt(metadata, 'general.name', 4096) ?? '').slice(0, TITLE_MAX),
    quantisation: most?.[0] ?? '',
    weightsBytes: tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    parameters: tensors.reduce((sum, { elements }) => sum + elements, 0),
  };
}

/** What every file has, whatever it is. */
function checkGeneral(metadata: Metadata): void {
  integerAt(metadata, 'general.file_type', { min: 0, max: 1024 });
  for (const key of metadata.keys()) {
    if (key.startsWith('split.'))
      throw unsound('the model is split into several files; join them first', { key });
  }
}

function checkSizes(
  metadata: Metadata,
  name: string,
  { demands, expertLayer }: Architecture,
): Omit<Sizes, 'vocabulary'> {
  for (const key of metadata.keys()) {
    if (!key.startsWith(`${name}.`)) continue;
    const rule = Object.hasOwn(KEY_RULES, key.slice(name.length + 1));
    const foreign = key.startsWith(`${name}.expert_`) && expertLayer === undefined;
    if (!rule || foreign) throw unsound('a setting that is not known here', { key });
  }
  for (const [key, rule] of Object.entries(KEY_RULES)) checkKey(metadata, `${name}.${key}`, rule);
  const at = (key: string): number | undefined =>
    integerAt(metadata, `${name}.${key}`, { min: 1, max: 2 ** 31 });
  const need = (key: string): number => needed(`${name}.${key}`, at(key));
  const norms = demands.includes('sentences') ? 'layer_norm_epsilon' : 'layer_norm_rms_epsilon';
  needed(`${name}.attention.${norms}`, metadata.get(`${name}.attention.${norms}`));
  const types = 'tokenizer.ggml.token_type_count';
  const tokenTypes = integerAt(metadata, types, { min: 1, max: TOKEN_TYPES_MAX });
  if (demands.includes('sentences')) needed(types, tokenTypes);
  const sizes = {
    embedding: need('embedding_length'),
    layers: need('block_count'),
    feedForward: need('feed_forward_length'),
    context: need('context_length'),
    tokenTypes: tokenTypes ?? 0,
    labels: metadata.get(`${name}.classifier.output_labels`)?.length ?? 1,
  };
  const attention = checkHeads(at, { embedding: sizes.embedding, heads: need('attention.head_count') });
  checkDemands({ ...sizes, ...attention }, demands);
  return { ...sizes, ...attention, ...checkExperts(at, sizes.feedForward, demands) };
}

function needed<T>(key: string, value: T | undefined): T {
  if (value === undefined) throw unsound('a key is missing', { key });
  return value;
}

type SizeAt = (key: string) => number | undefined;

function checkHeads(
  at: SizeAt,
  { embedding, heads }: { readonly embedding: number; readonly heads: number },
): Pick<Sizes, 'heads' | 'headsKv' | 'key' | 'value' | 'rotated'> {
  const headsKv = at('attention.head_count_kv') ?? heads;
  if (heads % headsKv !== 0) throw unsound('heads do not share keys evenly', { heads, headsKv });
  const stated = at('attention.key_length');
  if (stated === undefined && embedding % heads !== 0) {
    throw unsound('the width does not divide into heads', { embedding, heads });
  }
  const key = stated ?? embedding / heads;
  const value = at('attention.value_length') ?? embedding / heads;
  const rotated = at('rope.dimension_count') ?? key;
  if (!Number.isInteger(value)) throw unsound('the width does not divide into heads', { embedding, heads });
  if (rotated > key || rotated % 2 !== 0)
    throw unsound('the rotated part is no even part of a head', { rotated, key });
  return { heads, headsKv, key, value, rotated };
}

/** What a family's graph takes for granted: where it does not hold llama.cpp stops its process. */
function checkDemands(
  sizes: Pick<Sizes, 'embedding' | 'heads' | 'key' | 'value' | 'rotated'>,
  demands: Architecture['demands'],
): void {
  const { embedding, heads, key, value, rotated } = sizes;
  if (demands.includes('even') && key !== value)
    throw unsound('keys are not as wide as values', { key, value });
  if (demands.includes('whole') && rotated !== key)
    throw unsound('heads of this family are rotated whole', { rotated, key });
  if (demands.includes('square') && heads * key !== embedding)
    throw unsound('heads are together not as wide as the model', { heads, key, embedding });
}

function checkExperts(
  at: SizeAt,
  feedForward: number,
  demands: Architecture['demands'],
): Pick<Sizes, 'experts' | 'expertFeedForward' | 'sharedFeedForward'> {
  const experts = at('expert_count') ?? 0;
  const used = at('expert_used_count') ?? 0;
  if (experts === 0 && (used > 0 || demands.includes('experts')))
    throw unsound('experts are not counted', { used });
  if (experts > 0 && (used < 1 || used > experts))
    throw unsound('no such number of experts can be used', { experts, used });
  const each = at('expert_feed_forward_length') ?? (used > 0 ? feedForward / used : 0);
  if (!Number.isInteger(each)) throw unsound('experts have no whole width', { feedForward, used });
  const shared = at('expert_shared_feed_forward_length') ?? feedForward;
  return { experts, expertFeedForward: each, sharedFeedForward: shared };
}

function checkTensors({ tensors }: GgufHeader, architecture: Architecture, sizes: Sizes): void {
  const found = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const layer = layerOf(architecture, sizes, found.has('blk.0.attn_qkv.weight'));
  const check = (name: string, rule: TensorRule): void => {
    const tensor = found.get(name);
    if (tensor === undefined) {
      if (!rule.optional) throw unsound('a tensor is missing', { name });
      return;
    }
    checkTensor(tensor, rule, sizes);
    found.delete(name);
  };
  for (const [name, rule] of Object.entries(architecture.outer)) check(name, rule);
  for (let i = 0; i < sizes.layers; i++) {
    for (const [name, rule] of Object.entries(layer)) check(`blk.${i}.${name}`, rule);
  }
  for (const name of found.keys()) throw unsound('a tensor that is not known here', { name });
}

function checkTensor({ name, shape, dtype }: TensorEntry, rule: TensorRule, sizes: Sizes): void {
  const expected = rule.shape(sizes);
  // Dimensions of one may be written out or not.
  if (trimmed(shape).join('x') !== trimmed(expected).join('x')) {
    throw unsound('a tensor has another shape than the sizes say', {
      name,
      found: shape.join('x'),
      expected: expected.join('x'),
    });
  }
  const sound = rule.plain ? dtype === 'F32' : isWeightType(dtype) || isMeasured(dtype);
  if (!sound) {
    throw unsound('a tensor is of a type that it may not have', { name, found: dtype });
  }
  const block = blockOf(dtype);
  if ((shape.at(-1) ?? 0) % block !== 0) {
    throw unsound('rows do not divide into blocks of their type', { name, found: dtype, block });
  }
}

function trimmed(shape: readonly number[]): readonly number[] {
  const from = shape.findIndex((length) => length !== 1);
  return from < 0 ? [] : shape.slice(from);
}
