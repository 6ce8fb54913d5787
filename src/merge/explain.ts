/**
 * Explaining a merge that someone else made: how much of each claimed parent is in it. Its update from a common base
 * is fitted by the parents' updates with weights of at least zero; what is fitted (`rSquared`) is explained, the rest
 * has other causes. With no base at hand, any one of the parents can stand for it.
 */
import { SaharaError } from '../base/errors.ts';
import { openCheckpoint, type StoredTensor } from './checkpoint.ts';
import { isWeightType } from './dtypes.ts';
import { TENSOR_ELEMENTS_MAX } from './limits.ts';
import { type PoolOptions, runJobs } from './pool.ts';
import { RUN_DEFAULTS } from './run.ts';
import type { TensorTask } from './task.ts';

/** What to explain, by folders. */
export interface ExplainInput {
  readonly output: string;
  readonly parents: readonly string[];
  /** The model that output and parents come from. */
  readonly base: string;
}

/** A fit. */
export interface Fit {
  /** Weight of each parent's update in the output's. */
  readonly weights: readonly number[];
  /** Part of the output's squared update that the fit explains, 0 to 1; 1 when there is nothing to explain. */
  readonly rSquared: number;
}

/** An explanation. */
export interface Explanation extends Fit {
  readonly tensors: readonly (Fit & { readonly name: string })[];
  /** Tensors of the output that not all models have in the same shape; they are not part of the fit. */
  readonly left: readonly string[];
}

/** Fits `output` by `parents` over `base`. Fails with `file-missing`, `tensor-invalid`, `cancelled`. */
export async function explainMerge(
  { output, parents, base }: ExplainInput,
  options: Partial<PoolOptions> = {},
): Promise<Explanation> {
  const models = await Promise.all([output, ...parents, base].map(openCheckpoint));
  const [first] = models;
  if (parents.length === 0 || !first) throw new SaharaError('usage', { reason: 'name at least one parent' });
  const left: string[] = [];
  const tasks = [...first.tensors.values()].flatMap((tensor): TensorTask[] => {
    const found = models.flatMap(({ tensors }) => tensors.get(tensor.name) ?? []);
    const comparable = found.length === models.length && found.every((other) => fits(tensor, other));
    if (!comparable) left.push(tensor.name);
    return comparable ? [measuring(tensor, found)] : [];
  });
  const measured = new Map<string, { gram: readonly number[]; baseNorm: number }>();
  const jobs = tasks.map((task) => ({ kind: 'gram' as const, task }));
  await runJobs(jobs, { ...RUN_DEFAULTS, ...options }, ({ task }, result) => {
    if (result.kind === 'gram') measured.set(task.name, result);
  });
  const size = parents.length + 1;
  const total: number[] = new Array(size * size).fill(0);
  const tensors = tasks.map(({ name }) => {
    const { gram, baseNorm } = measured.get(name) ?? { gram: [], baseNorm: 0 };
    if (baseNorm > 0)
      gram.forEach((value, i) => {
        total[i] = (total[i] ?? 0) + value / baseNorm;
      });
    return { name, ...fitGram(gram, size) };
  });
  return { ...fitGram(total, size), tensors, left };
}

function fits(a: StoredTensor, b: StoredTensor): boolean {
  const whole = a.elements > 0 && a.elements <= TENSOR_ELEMENTS_MAX;
  return whole && isWeightType(b.dtype) && a.shape.join() === b.shape.join();
}

// A linear task over output and parents; only its inner products are taken.
function measuring(tensor: StoredTensor, found: readonly StoredTensor[]): TensorTask {
  const sources = found.map(({ path, dtype, offset, sizeBytes, scale }) => {
    return { path, dtype, offset, sizeBytes, ...(scale ? { scale } : {}) };
  });
  const [base] = sources.slice(-1);
  return {
    name: tensor.name,
    shape: tensor.shape,
    elements: tensor.elements,
    kind: 'merge',
    method: 'linear',
    settings: {},
    models: sources.slice(0, -1),
    parents: sources.slice(0, -1).map((_source, i) => i),
    ...(base ? { base } : {}),
    target: { path: '', dtype: tensor.dtype, offset: 0, sizeBytes: tensor.sizeBytes },
    rounding: 'nearest',
    seed: '',
  };
}

const SWEEPS_MAX = 10_000;
const STEP_LEAST = 1e-12;

/**
 * Least squares with weights of at least zero, from the inner products alone: row and column 0 are the target's. By
 * coordinate descent, which for such a problem finds the optimum (Franc, Hlaváč & Navara 2005).
 */
export function fitGram(gram: readonly number[], size: number): Fit {
  const at = (i: number, j: number): number => gram[i * size + j] ?? 0;
  const weights: number[] = new Array(size - 1).fill(0);
  for (let sweep = 0, step = Infinity; sweep < SWEEPS_MAX && step > STEP_LEAST; sweep++) {
    step = 0;
    weights.forEach((weight, i) => {
      const length = at(i + 1, i + 1);
      if (length === 0) return;
      const pull = weights.reduce((sum, other, j) => sum + other * at(i + 1, j + 1), -at(0, i + 1));
      const next = Math.max(0, weight - pull / length);
      step = Math.max(step, Math.abs(next - weight));
      weights[i] = next;
    });
  }
  const target = at(0, 0);
  if (target === 0) return { weights, rSquared: 1 };
  let rest = target;
  weights.forEach((weight, i) => {
    rest -= 2 * weight * at(0, i + 1);
    weights.forEach((other, j) => {
      rest += weight * other * at(i + 1, j + 1);
    });
  });
  return { weights, rSquared: Math.min(1, Math.max(0, 1 - rest / target)) };
}
