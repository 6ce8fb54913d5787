/**
 * Methods whose result lies in the span of their inputs: `c_i = a_i delta_i` with one factor per model and tensor,
 * row or column. The factors depend on the inputs through their inner products only, so one pass that sums the Gram
 * matrix is all the analysis there is, and iterative methods iterate on a matrix of N x N numbers.
 */
import type { TensorContext } from './context.ts';
import { type Gram, gramOf, sumGram } from './gram.ts';
import type { Contribute } from './method.ts';
import { rowLength } from './task.ts';

/** The factors for one Gram matrix of the deltas. */
export type Factors = (gram: Gram) => readonly number[];

/** The same factors everywhere, known without looking. */
export function fixedFactors(context: TensorContext, factors: readonly number[]): Contribute {
  const rounded = factors.map(Math.fround);
  return ({ n }) => {
    rounded.forEach((factor, position) => {
      context.kernels.scale(context.lane(position), n, factor);
    });
  };
}

/** One set of factors for the whole tensor. */
export function spanTensor(context: TensorContext, factors: Factors): Contribute {
  const sum = sumGram(context, deltaLanes(context));
  context.pass((tile) => sum.add(tile));
  return fixedFactors(context, factors(sum.total()));
}

/** A set of factors for every row; tiles must be whole rows. */
export function spanRows(context: TensorContext, factors: Factors): Contribute {
  const row = rowLength(context.task);
  const lanes = deltaLanes(context);
  const sums = lanes.flatMap((_a, i) =>
    lanes.slice(i).map((_b, step) => ({ i, j: i + step, at: context.sum() })),
  );
  const values: number[] = new Array(lanes.length ** 2).fill(0);
  return ({ n }) => {
    for (let start = 0; start < n; start += row) {
      for (const { i, j, at } of sums) {
        context.clear(at);
        context.kernels.dot(context.lane(i) + 4 * start, context.lane(j) + 4 * start, row, 0, at);
        values[i * lanes.length + j] = context.total(at);
        values[j * lanes.length + i] = context.total(at);
      }
      factors(gramOf(lanes.length, values)).forEach((factor, position) => {
        context.kernels.scale(context.lane(position) + 4 * start, row, Math.fround(factor));
      });
    }
  };
}

/** Bytes that `spanColumns` needs: a sum per pair and column, and a factor per model and column. */
export function columnScratchBytes(models: number, columns: number): number {
  return columns * (8 * ((models * (models + 1)) / 2) + 4 * models) + 64;
}

/** A set of factors for every column; tiles must be whole rows. */
export function spanColumns(context: TensorContext, factors: Factors): Contribute {
  const columns = rowLength(context.task);
  const models = context.models;
  const { scratch } = context.layout;
  const pairs: { i: number; j: number; at: number }[] = [];
  for (let i = 0; i < models; i++) {
    for (let j = i; j < models; j++) pairs.push({ i, j, at: scratch + 8 * columns * pairs.length });
  }
  const factorLane = (position: number): number =>
    scratch + 8 * columns * pairs.length + 4 * columns * position;
  context.memory.fill(0, scratch, factorLane(models));
  context.pass(({ n }) => {
    for (let start = 0; start < n; start += columns) {
      for (const { i, j, at } of pairs) {
        context.kernels.columnDot(context.lane(i) + 4 * start, context.lane(j) + 4 * start, columns, at);
      }
    }
  });
  const values: number[] = new Array(models ** 2).fill(0);
  for (let column = 0; column < columns; column++) {
    for (const { i, j, at } of pairs) {
      const value = context.view.getFloat64(at + 8 * column, true);
      values[i * models + j] = value;
      values[j * models + i] = value;
    }
    factors(gramOf(models, values)).forEach((factor, position) => {
      context.view.setFloat32(factorLane(position) + 4 * column, factor, true);
    });
  }
  return ({ n }) => {
    for (let start = 0; start < n; start += columns) {
      for (let i = 0; i < models; i++) {
        context.kernels.multiply(context.lane(i) + 4 * start, factorLane(i), columns);
      }
    }
  };
}

function deltaLanes(context: TensorContext): number[] {
  return context.task.models.map((_model, position) => context.lane(position));
}
