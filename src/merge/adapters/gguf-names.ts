/**
 * Modules by their names in transformers and in GGUF, for the families of models whose layers are those of Llama. In
 * the family `llama` the rows of query and key are also stored in another order: the two halves of each head, which are
 * rotated together, alternate. Of an update `b a` that moves rows of `b` only.
 */
import { SaharaError } from '../../base/errors.ts';
import type { LowRank, Matrix } from './low-rank.ts';
import type { Adapter } from './peft.ts';

/** What of a model decides how its adapters are named and ordered. */
export interface ModelHeads {
  /** GGUF's name for the kind of model. */
  readonly architecture: string;
  /** Heads of queries, and of keys. */
  readonly heads: number;
  readonly headsKv: number;
}

/** Families whose rows of query and key change their order. */
const ALTERNATING = ['llama'];
const FAMILIES: readonly string[] = [...ALTERNATING, 'qwen2', 'qwen3', 'gemma', 'gemma2', 'gemma3'];

const LAYER: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};
const LAYER_BACK: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(LAYER).map(([name, gguf]) => [gguf, name]),
);

/** The adapter with GGUF's names and order. Fails with `merge-refused`, `problems` naming every module that has none. */
export function toGgufNames(adapter: Adapter, model: ModelHeads): Adapter {
  if (adapter.architecture === model.architecture) return adapter;
  if (adapter.architecture !== undefined) throw otherKind(adapter.architecture, model);
  const named = renamed(adapter, model, (name) => {
    if (name === 'lm_head') return 'output';
    const [, layer, rest = ''] = /^(?:model|language_model\.model)\.layers\.(\d+)\.(.+)$/.exec(name) ?? [];
    return layer !== undefined && Object.hasOwn(LAYER, rest) ? `blk.${layer}.${LAYER[rest]}` : undefined;
  });
  const modules = reorder(named, model, (rows, i) => halvesApart(rows, i));
  return { ...adapter, modules, architecture: model.architecture };
}

/** The adapter with the names and order of transformers. Fails like `toGgufNames`. */
export function fromGgufNames({ architecture, ...adapter }: Adapter, model: ModelHeads): Adapter {
  if (architecture === undefined) return adapter;
  if (architecture !== model.architecture) throw otherKind(architecture, model);
  const ordered = reorder(adapter.modules, model, (rows, i) => halvesTogether(rows, i));
  const modules = renamed({ ...adapter, modules: ordered }, model, (name) => {
    if (name === 'output') return 'lm_head';
    const [, layer, rest = ''] = /^blk\.(\d+)\.(.+)$/.exec(name) ?? [];
    return layer !== undefined && Object.hasOwn(LAYER_BACK, rest)
      ? `model.layers.${layer}.${LAYER_BACK[rest]}`
      : undefined;
  });
  return { ...adapter, modules };
}

function renamed(
  { modules }: Adapter,
  { architecture }: ModelHeads,
  rename: (name: string) => string | undefined,
): ReadonlyMap<string, LowRank> {
  if (!FAMILIES.includes(architecture)) {
    throw new SaharaError('merge-refused', {
      reason: 'names of modules are not known for this kind of model',
      found: architecture,
      allowed: FAMILIES,
    });
  }
  const named = [...modules].map(([name, delta]) => ({ name, delta, to: rename(name) }));
  const problems = named.filter(({ to }) => to === undefined).map(({ name }) => `${name} has no counterpart`);
  if (problems.length > 0) {
    throw new SaharaError('merge-refused', { reason: 'adapter and model do not fit', problems });
  }
  return new Map(named.map(({ to, delta }) => [to ?? '', delta]));
}

type Order = (headRows: number, row: number) => number;

// Moves the rows of query and key: row `i` of a head comes from where `source` says.
function reorder(
  modules: ReadonlyMap<string, LowRank>,
  { architecture, heads, headsKv }: ModelHeads,
  source: Order,
): ReadonlyMap<string, LowRank> {
  if (!ALTERNATING.includes(architecture)) return modules;
  return new Map(
    [...modules].map(([name, delta]) => {
      const [, which] = /^blk\.\d+\.attn_([qk])$/.exec(name) ?? [];
      if (which === undefined) return [name, delta];
      const count = which === 'q' ? heads : headsKv;
      return [name, { ...delta, b: reorderRows(delta.b, { name, count, source }) }];
    }),
  );
}

function reorderRows(
  b: Matrix,
  { name, count, source }: { readonly name: string; readonly count: number; readonly source: Order },
): Matrix {
  const headRows = b.rows / count;
  if (!Number.isInteger(headRows) || headRows % 2 !== 0) {
    throw new SaharaError('merge-refused', { reason: 'rows do not divide into heads', name, heads: count });
  }
  const values = new Float64Array(b.values.length);
  for (let row = 0; row < b.rows; row++) {
    const head = row - (row % headRows);
    const from = (head + source(headRows, row % headRows)) * b.columns;
    values.set(b.values.subarray(from, from + b.columns), row * b.columns);
  }
  return { ...b, values };
}

// Where a row of the alternating order comes from, and where one of the halves does.
function halvesApart(rows: number, row: number): number {
  return (row % 2) * (rows / 2) + Math.floor(row / 2);
}

function halvesTogether(rows: number, row: number): number {
  const half = rows / 2;
  return row < half ? 2 * row : 2 * (row - half) + 1;
}

function otherKind(found: string, { architecture }: ModelHeads): SaharaError {
  return new SaharaError('merge-refused', {
    reason: 'the adapter is for another kind of model',
    found,
    expected: architecture,
  });
}
