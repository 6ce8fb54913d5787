/**
 * The strict check of a model file, before anything of llama.cpp sees it. Models and adapters come from strangers:
 * llama.cpp aborts its process on some malformed files and reads beyond buffers on others. So a file has to be one
 * that the tables of `architectures.ts` describe completely; what they do not name is refused with the reason.
 * What it does not do: judge what a model says, or whether its numbers are sensible.
 */
import { SaharaError } from '../../base/errors.ts';
import { isWeightType } from '../../merge/dtypes.ts';
import type { GgufHeader } from '../../merge/gguf.ts';
import type { TensorEntry } from '../../merge/safetensors.ts';
import { type AdapterPair, checkAdapterTensors } from './adapter-check.ts';
import { ARCHITECTURES, type Architecture, KEY_RULES, type Sizes, type TensorRule } from './architectures.ts';
import { unsound } from './gguf-error.ts';
import { hashFile, type ReadGguf, readHeader, withFile } from './gguf-file.ts';
import { checkKey, integerAt, type Metadata, textAt } from './gguf-values.ts';
import { checkVocabulary } from './gguf-vocabulary.ts';

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
  const sizes = checkSizes(metadata, name);
  const vocabulary = checkVocabulary(metadata);
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

function checkSizes(metadata: Metadata, name: string): Omit<Sizes, 'vocabulary'> {
  for (const key of metadata.keys()) {
    if (!key.startsWith(`${name}.`)) continue;
    const rule = Object.hasOwn(KEY_RULES, key.slice(name.length + 1));
    if (!rule) throw unsound('a setting that is not known here', { key });
  }
  for (const [key, rule] of Object.entries(KEY_RULES)) checkKey(metadata, `${name}.${key}`, rule);
  const at = (key: string): number | undefined =>
    integerAt(metadata, `${name}.${key}`, { min: 1, max: 2 ** 31 });
  const need = (key: string): number => {
    const value = at(key);
    if (value === undefined) throw unsound('a key is missing', { key: `${name}.${key}` });
    return value;
  };
  const embedding = need('embedding_length');
  const heads = need('attention.head_count');
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
  return {
    embedding,
    layers: need('block_count'),
    feedForward: need('feed_forward_length'),
    heads,
    headsKv,
    key,
    value,
    rotated,
  };
}

function checkTensors({ tensors }: GgufHeader, { outer, layer }: Architecture, sizes: Sizes): void {
  const found = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const check = (name: string, rule: TensorRule): void => {
    const tensor = found.get(name);
    if (tensor === undefined) {
      if (!rule.optional) throw unsound('a tensor is missing', { name });
      return;
    }
    checkTensor(tensor, rule, sizes);
    found.delete(name);
  };
  for (const [name, rule] of Object.entries(outer)) check(name, rule);
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
  const sound = rule.plain ? dtype === 'F32' : isWeightType(dtype);
  if (!sound) {
    throw unsound('a tensor is of a type that it may not have', { name, found: dtype });
  }
}

function trimmed(shape: readonly number[]): readonly number[] {
  const from = shape.findIndex((length) => length !== 1);
  return from < 0 ? [] : shape.slice(from);
}
