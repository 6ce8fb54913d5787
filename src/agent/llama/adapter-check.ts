/** The strict check of an adapter: pairs of factors, and that each fits the tensor of the model that it changes. */
import type { GgufHeader } from '../../merge/gguf.ts';
import type { TensorEntry } from '../../merge/safetensors.ts';
import { ARCHITECTURES, layerOf } from './architectures.ts';
import type { CheckedHeader } from './gguf-check.ts';
import { unsound } from './gguf-error.ts';
import { type Metadata, textAt } from './gguf-values.ts';
import { RANK_MAX } from './limits.ts';
import type { Sizes } from './tensor-rules.ts';

/** The two factors of a change to one tensor. */
export interface AdapterPair {
  /** The tensor that is changed. */
  readonly target: string;
  /** Shapes, outermost first. */
  readonly a: readonly number[];
  readonly b: readonly number[];
}

const FACTOR = /^(.+)\.(lora_a|lora_b)$/;
const FACTOR_TYPES: readonly string[] = ['F32', 'F16', 'BF16', 'Q8_0'];
const FLOAT = 6;
const ALPHA_MAX = 65_536;

/** Checks an adapter's own header; whether it fits a model says `checkAdapterFits`. Throws `model-invalid`. */
export function checkAdapterTensors({ metadata, tensors }: GgufHeader): readonly AdapterPair[] {
  checkKind(metadata);
  const halves = new Map<string, { a?: TensorEntry; b?: TensorEntry }>();
  for (const tensor of tensors) {
    const [, target, half] = FACTOR.exec(tensor.name) ?? [];
    if (target === undefined) throw unsound('a tensor that is no factor of a change', { name: tensor.name });
    if (!FACTOR_TYPES.includes(tensor.dtype) || tensor.shape.length !== 2) {
      throw unsound('a factor of a type or shape that it may not have', { name: tensor.name });
    }
    const pair = halves.get(target) ?? {};
    halves.set(target, half === 'lora_a' ? { ...pair, a: tensor } : { ...pair, b: tensor });
  }
  if (halves.size === 0) throw unsound('the adapter changes nothing');
  return [...halves].map(([target, { a, b }]) => {
    if (a === undefined || b === undefined) throw unsound('a factor stands alone', { name: target });
    const rank = a.shape[0] ?? 0;
    if (rank < 1 || rank > RANK_MAX || b.shape[1] !== rank) {
      throw unsound('the factors of a change do not have one rank', { name: target, limit: RANK_MAX });
    }
    return { target, a: a.shape, b: b.shape };
  });
}

function checkKind(metadata: Metadata): void {
  const kind = textAt(metadata, 'adapter.type', 64);
  if (kind !== 'lora')
    throw unsound('the adapter is of a kind that is not read here', { found: kind ?? 'none' });
  const alpha = metadata.get('adapter.lora.alpha');
  const value = alpha?.value;
  if (alpha?.type !== FLOAT || typeof value !== 'number' || !(Math.abs(value) <= ALPHA_MAX)) {
    throw unsound('the scale of the adapter is missing or out of bounds', { key: 'adapter.lora.alpha' });
  }
}

/** Checks that an adapter changes tensors that the model has, with factors of their shape. Throws `model-invalid`. */
export function checkAdapterFits(adapter: CheckedHeader, model: CheckedHeader): void {
  const { sizes, facts } = model;
  if (sizes === undefined) throw unsound('an adapter changes a model, not another adapter');
  if (adapter.facts.architecture !== facts.architecture) {
    throw unsound('the adapter was made for another kind of model', {
      found: adapter.facts.architecture,
      expected: facts.architecture,
    });
  }
  for (const { target, a, b } of adapter.pairs) {
    const shape = shapeOf(facts.architecture, target, sizes);
    const [rows = 0, columns = 0] = shape ?? [];
    if (shape?.length !== 2)
      throw unsound('the adapter changes what the model does not have', { name: target });
    // Rows of the embedding are looked up, not multiplied: its factors stand the other way round.
    const [from, to] = target === 'token_embd.weight' ? [rows, columns] : [columns, rows];
    if (a[1] !== from || b[0] !== to) {
      throw unsound('a factor has another shape than the model', { name: target, found: `${b[0]}x${a[1]}` });
    }
  }
}

function shapeOf(architecture: string, name: string, sizes: Sizes): readonly number[] | undefined {
  const rules = ARCHITECTURES.get(architecture);
  const [, number, rest] = /^blk\.(0|[1-9]\d{0,4})\.(.+)$/.exec(name) ?? [];
  const layer = rules && layerOf(rules, sizes, rest === 'attn_qkv.weight');
  const table = rest === undefined ? rules?.outer : layer;
  const key = rest ?? name;
  if (table === undefined || !Object.hasOwn(table, key) || Number(number ?? 0) >= sizes.layers)
    return undefined;
  const rule = table[key];
  return rule?.plain === false ? rule.shape(sizes) : undefined;
}
