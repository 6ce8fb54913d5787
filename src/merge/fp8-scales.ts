/**
 * Results written as FP8: each tensor, row or block is divided by a scale that brings its largest magnitude to the
 * largest number of the type. The scales depend on the merged numbers, so they are found in a pass of their own.
 */
import { invariant, SaharaError } from '../base/errors.ts';
import type { TensorContext, Tile } from './context.ts';
import { WEIGHT_CODECS } from './dtypes.ts';
import { eachRun, type ScaleGrid, scaleGrid } from './scaled.ts';
import type { TensorTask } from './task.ts';

const LARGEST: Readonly<Record<string, number>> = { F8_E4M3: 448, F8_E5M2: 57_344 };

/** Merges a tile and returns the address of the merged lane. */
export type MergeTile = (tile: Tile) => number;

/** The scales that a tensor of FP8 is written with. */
export interface Fp8Scales {
  readonly grid: ScaleGrid;
  /** One for each cell of the grid, row by row. */
  readonly values: Float32Array;
}

/**
 * Finds the scales of the tensor that `merge` gives: the largest magnitude over the largest number of the type, in
 * f32; 1 where everything is zero. Fails with `tensor-invalid` when a merged number is not finite.
 */
export function measureScales(context: TensorContext, merge: MergeTile): Fp8Scales {
  const { kernels, task } = context;
  const { block, dtype } = task.target;
  const largest = LARGEST[dtype];
  invariant(block !== undefined && largest !== undefined, 'scales are those of FP8');
  const grid = scaleGrid(task.shape, block);
  const values = new Float32Array(grid.shape[0] * grid.shape[1]);
  context.pass((tile) => {
    const lane = merge(tile);
    const beyond = kernels.firstBeyond(lane, tile.n, WEIGHT_CODECS.F32.largestBits);
    if (beyond >= 0) throw outOfRange(task, tile.index + beyond);
    eachRun(grid, tile, (cell, done, length) => {
      values[cell] = Math.max(values[cell] ?? 0, kernels.greatest(lane + 4 * done, length));
    });
  });
  // A quotient that is too small for f32 leaves nothing to divide by.
  return { grid, values: values.map((top) => Math.fround(top / largest) || 1) };
}

/** Encodes a merged tile at `lane` into `raw`, and leaves in `change` what that changes. */
export function encodeScaled(
  context: TensorContext,
  { grid, values }: Fp8Scales,
  { tile, lane, raw, change }: { tile: Tile; lane: number; raw: number; change: number },
): void {
  const { kernels, task } = context;
  const scaleOf = (cell: number): number => values[cell] ?? 1;
  const four = task.target.dtype === 'F8_E4M3';
  eachRun(grid, tile, (cell, done, length) => {
    kernels.divide(change + 4 * done, lane + 4 * done, length, scaleOf(cell));
  });
  (four ? kernels.encodeE4M3 : kernels.encodeE5M2)(change, raw, tile.n);
  (four ? kernels.decodeE4M3 : kernels.decodeE5M2)(raw, change, tile.n);
  eachRun(grid, tile, (cell, done, length) => {
    kernels.scale(change + 4 * done, length, scaleOf(cell));
  });
  kernels.subtract(change, change, lane, tile.n);
}

/** The error for a result that its type cannot hold. */
export function outOfRange(task: TensorTask, index: number): SaharaError {
  const facts = { reason: 'result out of range of the output type', tensor: task.name };
  return new SaharaError('tensor-invalid', { ...facts, dtype: task.target.dtype, index });
}
