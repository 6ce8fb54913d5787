/** Inner products of a context's lanes: the one thing that angles, norms and shares are made of. */
import type { TensorContext, Tile } from './context.ts';

/** A symmetric matrix of inner products. */
export interface Gram {
  readonly size: number;
  /** `<x_i, x_j>`. */
  at(i: number, j: number): number;
  /** All of it, row by row. */
  toArray(): number[];
}

/** Inner products being summed, tile by tile. */
export interface GramSum {
  /** Adds a tile whose lanes are filled. */
  add(tile: Tile): void;
  /** What was summed. */
  total(): Gram;
  /** Back to zero. */
  reset(): void;
}

/** A matrix from its rows, one after the other. */
export function gramOf(size: number, values: readonly number[]): Gram {
  return { size, at: (i, j) => values[i * size + j] ?? 0, toArray: () => [...values] };
}

/** Starts summing the inner products of `lanes`, given by their addresses. */
export function sumGram(context: TensorContext, lanes: readonly number[]): GramSum {
  const pairs: { i: number; j: number; a: number; b: number; sum: number }[] = [];
  lanes.forEach((a, i) => {
    lanes.slice(i).forEach((b, step) => {
      pairs.push({ i, j: i + step, a, b, sum: context.sum() });
    });
  });
  const [aa, ab, bb] = pairs;
  return {
    add: ({ n, index }) => {
      // Two models are what most merges have.
      if (aa && ab && bb && pairs.length === 3)
        context.kernels.dotPair(ab.a, ab.b, n, index & 7, aa.sum, ab.sum, bb.sum);
      else for (const { a, b, sum } of pairs) context.kernels.dot(a, b, n, index & 7, sum);
    },
    total: () => {
      const values: number[] = new Array(lanes.length ** 2).fill(0);
      for (const { i, j, sum } of pairs) {
        const value = context.total(sum);
        values[i * lanes.length + j] = value;
        values[j * lanes.length + i] = value;
      }
      return gramOf(lanes.length, values);
    },
    reset: () => {
      for (const { sum } of pairs) context.clear(sum);
    },
  };
}
