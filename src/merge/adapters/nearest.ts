/**
 * The update of low rank that is nearest to a matrix, by a randomised range finder with one power iteration (Halko,
 * Martinsson & Tropp 2011). The matrix is streamed row by row, four times.
 */
import { counterHash, hashKey } from '../task.ts';
import {
  innerLowRank,
  type LowRank,
  type Matrix,
  orthonormal,
  recompress,
  transpose,
  zeros,
} from './low-rank.ts';

/** A matrix that is read row by row, as often as it takes. */
export interface UpdateRows {
  /** Decides which directions are tried first. */
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  /** Calls `visit` for every row; the array is used again for the next. */
  each(visit: (row: number, values: Float64Array) => void): Promise<void>;
}

// A few more directions than wanted make up for the chance in choosing them.
const OVERSAMPLING = 8;

/** The nearest update of a rank. */
export interface NearestUpdate {
  readonly delta: LowRank;
  /** Part of the squared norm that it does not hold; `undefined` when there is nothing to hold. */
  readonly lostEnergy: number | undefined;
}

/** The update of at most `rank` that is nearest to `change`. The same rows and name give the same update. */
export async function nearestUpdate(change: UpdateRows, rank: number): Promise<NearestUpdate> {
  const { rows, columns } = change;
  const width = Math.min(rank + OVERSAMPLING, rows, columns);
  const range = zeros(rows, width);
  const signs = randomSigns(change.name, columns, width);
  let energy = 0;
  await change.each((row, values) => {
    for (const value of values) energy += value * value;
    addRow(range, row, { values, times: signs });
  });
  const back = await project(change, orthonormal(range));
  const finer = zeros(rows, width);
  const directions = orthonormal(back);
  await change.each((row, values) => addRow(finer, row, { values, times: directions }));
  const b = orthonormal(finer);
  const { delta } = recompress({ b, a: transpose(await project(change, b)) }, Math.min(rank, width));
  const held = innerLowRank(delta, delta) / energy;
  return { delta, lostEnergy: energy === 0 ? undefined : Math.max(0, 1 - held) };
}

// out[row] = values x times
function addRow(out: Matrix, row: number, { values, times }: { values: Float64Array; times: Matrix }): void {
  const { columns: width } = times;
  for (let j = 0; j < values.length; j++) {
    const value = values[j] ?? 0;
    for (let k = 0; k < width; k++) {
      const at = row * width + k;
      out.values[at] = (out.values[at] ?? 0) + value * (times.values[j * width + k] ?? 0);
    }
  }
}

// change' x q
async function project(change: UpdateRows, q: Matrix): Promise<Matrix> {
  const out = zeros(change.columns, q.columns);
  await change.each((row, values) => {
    for (let j = 0; j < values.length; j++) {
      const value = values[j] ?? 0;
      for (let k = 0; k < q.columns; k++) {
        const at = j * q.columns + k;
        out.values[at] = (out.values[at] ?? 0) + value * (q.values[row * q.columns + k] ?? 0);
      }
    }
  });
  return out;
}

function randomSigns(name: string, rows: number, columns: number): Matrix {
  const key = hashKey({ seed: 'extract', name }, 0);
  const signs = zeros(rows, columns);
  for (let i = 0; i < signs.values.length; i++) signs.values[i] = counterHash(i, key) & 1 ? 1 : -1;
  return signs;
}
