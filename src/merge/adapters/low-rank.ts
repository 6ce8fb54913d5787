/**
 * Updates of low rank, `delta = b a`, and exact arithmetic on them without ever making the full matrix. Everything is
 * f64 with additions, multiplications, divisions and square roots only, so it comes out the same on every machine.
 */
import { invariant } from '../../base/errors.ts';

/** A matrix, row by row. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

/** The update `b a` of one matrix of weights: `b` is rows x rank, `a` rank x columns. */
export interface LowRank {
  readonly b: Matrix;
  readonly a: Matrix;
}

/** A matrix of zeroes. */
export function zeros(rows: number, columns: number): Matrix {
  return { rows, columns, values: new Float64Array(rows * columns) };
}

/** `sum w_i delta_i`, exactly, by putting the factors side by side; its rank is the sum of the ranks. */
export function sumLowRank(terms: readonly { readonly delta: LowRank; readonly weight: number }[]): LowRank {
  const [first] = terms;
  invariant(first !== undefined, 'there is something to sum');
  const rank = terms.reduce((sum, { delta }) => sum + delta.a.rows, 0);
  const b = zeros(first.delta.b.rows, rank);
  const a = zeros(rank, first.delta.a.columns);
  let offset = 0;
  for (const { delta, weight } of terms) {
    for (let row = 0; row < b.rows; row++) {
      for (let k = 0; k < delta.b.columns; k++) set(b, [row, offset + k], weight * get(delta.b, row, k));
    }
    a.values.set(delta.a.values, offset * a.columns);
    offset += delta.a.rows;
  }
  return { b, a };
}

/** The inner product `<x, y>` of two updates: `tr((b_y' b_x)(a_x a_y'))`. */
export function innerLowRank(x: LowRank, y: LowRank): number {
  const left = columnProducts(y.b, x.b);
  const right = rowProducts(x.a, y.a);
  let sum = 0;
  for (let i = 0; i < left.rows; i++)
    for (let k = 0; k < left.columns; k++) sum += get(left, i, k) * get(right, k, i);
  return sum;
}

/** A recompressed update. */
export interface Recompressed {
  readonly delta: LowRank;
  /** Part of the squared norm that the lower rank cannot hold. */
  readonly lostEnergy: number;
}

/**
 * The nearest update of at most `rank`: QR of both factors, then a singular value decomposition of the small core
 * `r_b r_a'`. It costs O((rows + columns) R^2) for a rank of R before. Optimal by Eckart & Young 1936.
 */
export function recompress({ b, a }: LowRank, rank: number): Recompressed {
  const left = orthogonalise(b);
  const right = orthogonalise(transpose(a));
  const core = rowProducts(left.r, right.r);
  const { u, s, v } = singularValues(core);
  const kept = Math.min(rank, s.length);
  const energy = (from: number, to: number): number =>
    s.slice(from, to).reduce((sum, value) => sum + value * value, 0);
  const total = energy(0, s.length);
  const scale = (factor: Matrix): Matrix => {
    const out = zeros(factor.rows, kept);
    for (let i = 0; i < factor.rows; i++) {
      for (let k = 0; k < kept; k++) set(out, [i, k], get(factor, i, k) * Math.sqrt(s[k] ?? 0));
    }
    return out;
  };
  return {
    delta: { b: product(left.q, scale(u)), a: transpose(product(right.q, scale(v))) },
    lostEnergy: total === 0 ? 0 : energy(kept, s.length) / total,
  };
}

/** An orthonormal basis of the columns of `x`; zero columns where they depend on those before. */
export function orthonormal(x: Matrix): Matrix {
  return orthogonalise(x).q;
}

/** The product of two matrices. */
export function product(x: Matrix, y: Matrix): Matrix {
  invariant(x.columns === y.rows, 'matrices fit');
  const out = zeros(x.rows, y.columns);
  for (let i = 0; i < x.rows; i++) {
    for (let k = 0; k < x.columns; k++) {
      const factor = get(x, i, k);
      for (let j = 0; j < y.columns; j++) set(out, [i, j], get(out, i, j) + factor * get(y, k, j));
    }
  }
  return out;
}

/** Rows for columns. */
export function transpose(x: Matrix): Matrix {
  const out = zeros(x.columns, x.rows);
  for (let i = 0; i < x.rows; i++) for (let j = 0; j < x.columns; j++) set(out, [j, i], get(x, i, j));
  return out;
}

// x' y and x y'.
function columnProducts(x: Matrix, y: Matrix): Matrix {
  return product(transpose(x), y);
}

function rowProducts(x: Matrix, y: Matrix): Matrix {
  return product(x, transpose(y));
}

const DEPENDENT = 1e-14;

// x = q r by modified Gram-Schmidt, twice for full accuracy. Dependent columns leave zero columns in q.
function orthogonalise(x: Matrix): { q: Matrix; r: Matrix } {
  const columns = Array.from({ length: x.columns }, (_, j) =>
    Float64Array.from({ length: x.rows }, (__, i) => get(x, i, j)),
  );
  const r = zeros(x.columns, x.columns);
  columns.forEach((column, j) => {
    const before = Math.sqrt(dot(column, column));
    for (let round = 0; round < 2; round++) {
      for (let k = 0; k < j; k++) {
        const done = columns[k] ?? new Float64Array();
        const along = dot(done, column);
        set(r, [k, j], get(r, k, j) + along);
        for (let i = 0; i < column.length; i++) column[i] = (column[i] ?? 0) - along * (done[i] ?? 0);
      }
    }
    const length = Math.sqrt(dot(column, column));
    const independent = length > DEPENDENT * before;
    set(r, [j, j], independent ? length : 0);
    for (let i = 0; i < column.length; i++) column[i] = independent ? (column[i] ?? 0) / length : 0;
  });
  const q = zeros(x.rows, x.columns);
  columns.forEach((column, j) => {
    column.forEach((value, i) => {
      set(q, [i, j], value);
    });
  });
  return { q, r };
}

const SWEEPS_MAX = 60;
const PRECISE = 1e-15;

// One-sided Jacobi (Hestenes 1958): turns pairs of columns until all are orthogonal. Largest singular values first.
function singularValues(x: Matrix): { u: Matrix; s: number[]; v: Matrix } {
  const n = x.columns;
  const left = Array.from({ length: n }, (_, j) =>
    Float64Array.from({ length: x.rows }, (__, i) => get(x, i, j)),
  );
  const right = Array.from({ length: n }, (_, j) =>
    Float64Array.from({ length: n }, (__, i) => (i === j ? 1 : 0)),
  );
  for (let sweep = 0, turned = true; sweep < SWEEPS_MAX && turned; sweep++) {
    turned = false;
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) turned = turnPair([left, right], i, j) || turned;
    }
  }
  const lengths = left.map((column) => Math.sqrt(dot(column, column)));
  const order = lengths.map((length, i) => ({ length, i })).sort((p, q) => q.length - p.length || p.i - q.i);
  const [u, v] = [zeros(x.rows, n), zeros(n, n)];
  order.forEach(({ length, i }, k) => {
    left[i]?.forEach((value, row) => {
      set(u, [row, k], length > 0 ? value / length : 0);
    });
    right[i]?.forEach((value, row) => {
      set(v, [row, k], value);
    });
  });
  return { u, s: order.map(({ length }) => length), v };
}

function turnPair([left, right]: readonly [Float64Array[], Float64Array[]], i: number, j: number): boolean {
  const [p, q] = [left[i] ?? new Float64Array(), left[j] ?? new Float64Array()];
  const [pp, qq, pq] = [dot(p, p), dot(q, q), dot(p, q)];
  if (Math.abs(pq) <= PRECISE * Math.sqrt(pp * qq)) return false;
  const ratio = (qq - pp) / (2 * pq);
  const tangent = (ratio < 0 ? -1 : 1) / (Math.abs(ratio) + Math.sqrt(1 + ratio * ratio));
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  const sine = cosine * tangent;
  for (const columns of [left, right]) {
    const [a, b] = [columns[i] ?? new Float64Array(), columns[j] ?? new Float64Array()];
    for (let k = 0; k < a.length; k++) {
      const [x, y] = [a[k] ?? 0, b[k] ?? 0];
      a[k] = cosine * x - sine * y;
      b[k] = sine * x + cosine * y;
    }
  }
  return true;
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] ?? 0) * (y[i] ?? 0);
  return sum;
}

function get(x: Matrix, row: number, column: number): number {
  return x.values[row * x.columns + column] ?? 0;
}

function set(x: Matrix, [row, column]: readonly [number, number], value: number): void {
  x.values[row * x.columns + column] = value;
}
