/** Pieces of the f64 references: plain loops that follow the formulas, the measure that kernels are held to. */
import type { ReferenceInput } from './method.ts';
import { flagOf, itemOf, listOf, numberOf, type Settings } from './task.ts';

/** The deltas of a reference computation, in f64. */
export function referenceDeltas({ models, base }: ReferenceInput): Float64Array[] {
  return models.map((model) =>
    base ? model.map((value, i) => value - (base[i] ?? 0)) : Float64Array.from(model),
  );
}

/** The same as the rule, in f64; `masked` says whether a model's element is kept. */
export function sparseReference(
  input: ReferenceInput,
  {
    keep,
    vote,
  }: {
    readonly keep?: (delta: Float64Array, position: number) => readonly boolean[];
    readonly vote: boolean;
  },
): Float64Array[] {
  const { settings } = input;
  const weights = listOf(settings, 'weight');
  const lambda = numberOf(settings, 'lambda');
  const normalize = flagOf(settings, 'normalize');
  const kept = referenceDeltas(input).map((delta, position) => {
    if (!keep) return { delta, scale: 1 };
    const mask = keep(delta, position);
    const masked = delta.map((value, i) => (mask[i] ? value : 0));
    return { delta: masked, scale: referenceScale(settings, { delta, masked, position }) };
  });
  const weighted = kept.map(({ delta, scale }, i) => delta.map((value) => value * (weights[i] ?? 0) * scale));
  if (!vote) {
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const divisor = normalize && sum !== 0 ? sum : 1;
    return weighted.map((values) => values.map((value) => (value * lambda) / divisor));
  }
  const votes = kept.map(({ delta, scale }, i) => {
    const factor = Math.fround((weights[i] ?? 0) * scale);
    return delta.map((value) => Math.fround(Math.fround(value) * factor));
  });
  return elected(weighted, votes, (of) => {
    const total = of.reduce((sum, position) => sum + (weights[position] ?? 0), 0);
    return normalize && total !== 0 ? lambda / total : lambda;
  });
}

function referenceScale(
  settings: Settings,
  { delta, masked, position }: { delta: Float64Array; masked: Float64Array; position: number },
): number {
  if (!flagOf(settings, 'rescale')) return 1;
  if (settings.rescale_by === 'density') return 1 / (itemOf(settings, 'density', position) || 1);
  const l1 = (values: Float64Array): number =>
    values.reduce((sum, value) => sum + Math.abs(Math.fround(value)), 0);
  return l1(delta) / (l1(masked) || 1);
}

/** Keeps, element by element, the values whose vote has the sign of all votes' f32 sum, times `factor` of those kept. */
export function elected(
  values: readonly Float64Array[],
  votes: readonly Float64Array[],
  factor: (kept: readonly number[]) => number,
): Float64Array[] {
  const out = values.map((each) => new Float64Array(each.length));
  const length = values[0]?.length ?? 0;
  for (let i = 0; i < length; i++) {
    let sum = votes[0]?.[i] ?? 0;
    for (const vote of votes.slice(1)) sum = Math.fround(sum + (vote[i] ?? 0));
    const kept: number[] = [];
    votes.forEach((vote, position) => {
      const value = vote[i] ?? 0;
      if (value !== 0 && value < 0 === sum < 0) kept.push(position);
    });
    const scale = factor(kept);
    for (const position of kept) {
      const target = out[position];
      if (target) target[i] = (values[position]?.[i] ?? 0) * scale;
    }
  }
  return out;
}

/** Sum of the products of two vectors. */
export function innerProduct(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

/** Length of a vector. */
export function norm(a: Float64Array): number {
  return Math.sqrt(innerProduct(a, a));
}

/** Each of `factors` times its vector. */
export function scaled(vectors: readonly Float64Array[], factors: readonly number[]): Float64Array[] {
  return vectors.map((vector, i) => vector.map((value) => value * (factors[i] ?? 0)));
}

/** Applies `rule` to every row of `vectors` by itself, and puts the rows together again. */
export function byRow(
  vectors: readonly Float64Array[],
  row: number,
  rule: (rows: Float64Array[]) => Float64Array[],
): Float64Array[] {
  const out = vectors.map((vector) => new Float64Array(vector.length));
  for (let start = 0; start < (vectors[0]?.length ?? 0); start += row) {
    rule(vectors.map((vector) => vector.subarray(start, start + row))).forEach((result, i) => {
      out[i]?.set(result, start);
    });
  }
  return out;
}

/** The matrix of rows of length `row` as one of columns. */
export function transpose(vector: Float64Array, row: number): Float64Array {
  const rows = vector.length / row;
  const out = new Float64Array(vector.length);
  vector.forEach((value, i) => {
    out[(i % row) * rows + Math.floor(i / row)] = value;
  });
  return out;
}

/** Whether each element is among the `k` largest by f32 magnitude, ties to the smallest hash. */
export function largest(values: Float64Array, k: number, hash: (index: number) => number): boolean[] {
  const order = Array.from(values, (value, index) => ({
    size: Math.abs(Math.fround(value)),
    hash: hash(index),
    index,
  }));
  order.sort((a, b) => b.size - a.size || a.hash - b.hash);
  const kept: boolean[] = new Array(values.length).fill(false);
  for (const { index } of order.slice(0, Math.max(0, k))) kept[index] = true;
  return kept;
}
