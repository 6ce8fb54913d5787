/**
 * Merging adapters by the methods that thin out and vote: module by module the full updates go through the very kernels
 * that merge models, on a base of zero, and the result is brought to a rank. Done on the factors by themselves, as is
 * often seen, masks and votes would fall on numbers that mean nothing alone. The parents' updates are computed piece by
 * piece as they are read; only a module's result is held whole.
 */
import { SaharaError } from '../../base/errors.ts';
import { createKernels, type KernelInstance } from '../kernels.ts';
import { ADAPTER_RANK_MAX, TENSOR_ELEMENTS_MAX } from '../limits.ts';
import { mergeTensor } from '../merge-tensor.ts';
import { METHODS } from '../methods.ts';
import { resolveSettings } from '../plan-settings.ts';
import type { SettingMap } from '../settings.ts';
import { shareOut, type TensorContributions } from '../shares.ts';
import type { Settings, TensorIo, TensorSource, TensorTask } from '../task.ts';
import { innerLowRank, type LowRank } from './low-rank.ts';
import { checkKinds, checkShapes, type MergedAdapter, type WeightedAdapter } from './merge-adapters.ts';
import { nearestUpdate } from './nearest.ts';

/** Methods that adapters are merged by besides the exact sum. */
export const SPARSE_ADAPTER_METHODS: readonly string[] = [
  'ties',
  'dare_linear',
  'dare_ties',
  'della',
  'della_linear',
];

/** An adapter with its weight and settings of its own. */
export interface TunedAdapter extends WeightedAdapter {
  /** As in a recipe: `density`, `epsilon`. Default none. */
  readonly parameters?: SettingMap;
}

/** How to merge. */
export interface SparseAdapterOptions {
  /** One of `SPARSE_ADAPTER_METHODS`. */
  readonly method: string;
  /** Rank of each module of the result, at most. */
  readonly rank: number;
  /** Settings for all, as in a recipe: `lambda`, `normalize`, `rescale`, `density`. Default none. */
  readonly parameters?: SettingMap;
  /** Seed of random choices and of tie-breaking. Default "0". */
  readonly seed?: string;
}

const MEMORY_BYTES = 32 * 1024 * 1024;
const F32_BYTES = 4;

/**
 * Merges `parents`. Shares are those of the merge before it is brought to a rank. Fails with `merge-refused` when
 * modules differ in shape, with `recipe-invalid` for wrong settings, `usage` for another method or an impossible rank,
 * `cancelled`.
 */
export async function mergeAdaptersBy(
  parents: readonly TunedAdapter[],
  options: SparseAdapterOptions,
  signal?: AbortSignal,
): Promise<MergedAdapter> {
  const { method, rank } = options;
  const [first] = parents;
  if (!first) throw new SaharaError('usage', { reason: 'name at least one adapter' });
  if (!SPARSE_ADAPTER_METHODS.includes(method)) {
    throw new SaharaError('usage', { reason: `adapters are merged by ${SPARSE_ADAPTER_METHODS.join(', ')}` });
  }
  if (!Number.isInteger(rank) || rank < 1 || rank > ADAPTER_RANK_MAX) {
    throw new SaharaError('usage', { reason: `a rank is a whole number from 1 to ${ADAPTER_RANK_MAX}` });
  }
  checkKinds(parents);
  const instance = createKernels(MEMORY_BYTES);
  const modules = new Map<string, LowRank>();
  const contributions: TensorContributions[] = [];
  let [energy, held] = [0, 0];
  for (const name of new Set(parents.flatMap(({ adapter }) => [...adapter.modules.keys()]))) {
    if (signal?.aborted) throw new SaharaError('cancelled');
    const { values, rows, columns, ...made } = mergeModule(name, { parents, options, instance });
    contributions.push({ ...made, baseNorm: 0 });
    energy += values.reduce((sum, value) => sum + value * value, 0);
    const { delta } = await nearestUpdate(rowsOf(values, { name, rows, columns }), rank);
    held += innerLowRank(delta, delta);
    modules.set(name, delta);
  }
  return {
    adapter: { ...first.adapter, modules },
    shares: shareOut(parents.length, contributions),
    lostEnergy: energy === 0 ? 0 : Math.max(0, 1 - held / energy),
  };
}

interface ModuleParts {
  readonly parents: readonly TunedAdapter[];
  readonly options: SparseAdapterOptions;
  readonly instance: KernelInstance;
}

interface MergedModule {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
  readonly parents: readonly number[];
  readonly gram: readonly number[];
}

function mergeModule(name: string, { parents, options, instance }: ModuleParts): MergedModule {
  const terms = parents.flatMap((each, parent) => {
    const delta = each.adapter.modules.get(name);
    return delta ? [{ ...each, delta, parent }] : [];
  });
  checkShapes(name, terms);
  const [rows, columns] = [terms[0]?.delta.b.rows ?? 0, terms[0]?.delta.a.columns ?? 0];
  const elements = rows * columns;
  if (elements > TENSOR_ELEMENTS_MAX)
    throw new SaharaError('too-large', { name, elementsMax: TENSOR_ELEMENTS_MAX });
  const settings = settingsOf(name, terms, options);
  const sizeBytes = F32_BYTES * elements;
  const source = (path: string): TensorSource => ({ path, dtype: 'F32', offset: 0, sizeBytes });
  const task: TensorTask = {
    name,
    shape: [rows, columns],
    elements,
    kind: 'merge',
    method: options.method,
    settings,
    models: terms.map((_term, i) => source(String(i))),
    parents: terms.map(({ parent }) => parent),
    base: source(''),
    target: source(''),
    rounding: 'nearest',
    seed: options.seed ?? '0',
  };
  const values = new Float32Array(elements);
  const { gram } = mergeTensor(instance, task, memoryIo(terms, values));
  return { rows, columns, values, parents: task.parents, gram };
}

function settingsOf(
  name: string,
  terms: readonly TunedAdapter[],
  { method: called, parameters = {} }: SparseAdapterOptions,
): Settings {
  const method = METHODS.get(called);
  const problems = new Set<string>();
  const settings =
    method &&
    resolveSettings(
      method,
      {
        name,
        progress: 0,
        maps: terms.map((term) => [{ weight: term.weight, ...term.parameters }, parameters]),
        shared: [parameters],
        labels: terms.map((_term, i) => `adapter ${i + 1}`),
      },
      problems,
    );
  if (!settings) throw new SaharaError('recipe-invalid', { problems: [...problems] });
  return settings;
}

// Models are their adapters' updates, computed where they are read; the base is zero.
function memoryIo(terms: readonly { readonly delta: LowRank }[], output: Float32Array): TensorIo {
  const bytes = new Uint8Array(output.buffer);
  return {
    read: ({ path }, offset, into) => {
      const term = path === '' ? undefined : terms[Number(path)];
      if (term === undefined) into.fill(0);
      else multiply(term.delta, offset / F32_BYTES, into);
    },
    write: (_target, offset, piece) => bytes.set(piece, offset),
  };
}

// The elements of `b a` from `start` on, each summed in f64 and rounded once.
function multiply({ b, a }: LowRank, start: number, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  const { columns, rows: rank } = a;
  for (let i = 0; i < into.length / F32_BYTES; i++) {
    const [row, column] = [Math.floor((start + i) / columns), (start + i) % columns];
    let sum = 0;
    for (let k = 0; k < rank; k++) {
      sum += (b.values[row * rank + k] ?? 0) * (a.values[k * columns + column] ?? 0);
    }
    view.setFloat32(F32_BYTES * i, sum, true);
  }
}

function rowsOf(
  values: Float32Array,
  { name, rows, columns }: { readonly name: string; readonly rows: number; readonly columns: number },
): Parameters<typeof nearestUpdate>[0] {
  return {
    name,
    rows,
    columns,
    each: async (visit) => {
      for (let row = 0; row < rows; row++) {
        visit(row, Float64Array.from(values.subarray(row * columns, (row + 1) * columns)));
      }
    },
  };
}
