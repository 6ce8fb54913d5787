/**
 * A tensor with one row per token as it stands in a joined vocabulary: rows of its own in another order, and rows that
 * its model lacks, taken from other models. Read where it is needed; nothing is written in between.
 */
import type { TensorContext, Tile } from './context.ts';
import { codecBytes, codecOf, decodeLane } from './dtypes.ts';
import type { TensorIo, TensorSource } from './task.ts';

/** A tensor of another model that rows are taken from. */
export interface RowDonor {
  readonly path: string;
  readonly dtype: string;
  /** Start of the data in the file, in bytes. */
  readonly offset: number;
  /** Place, among a task's contributions, of what comes of its rows; -1 for the base, which deltas are taken from. */
  readonly credit: number;
}

/** A row that is the mean of some rows of donors: of one as a rule. */
export interface MadeRow {
  readonly row: number;
  /** Pairs of a donor's place and a row of it. */
  readonly of: readonly (readonly [number, number])[];
}

/** What the rows of a tensor are. Rows below `tokens` that are neither own nor made are zero. */
export interface JoinedRows {
  readonly columns: number;
  /** Runs of rows of its own: first row here, first row there, how many. In order. */
  readonly own: readonly (readonly [number, number, number])[];
  /** In order. */
  readonly made: readonly MadeRow[];
  readonly donors: readonly RowDonor[];
  /** The rows from here on stand for no token; each is the mean of all rows before. */
  readonly tokens: number;
}

/** Puts `n` weights, from element `index` of the joined tensor on, into a lane as f32. */
export type FillLane = (lane: number, n: number, index: number) => void;

/** What filling works with. */
interface FillParts {
  readonly context: Pick<TensorContext, 'kernels' | 'memory'>;
  readonly io: TensorIo;
  /** Address of room for `tile` f32, three times. */
  readonly scratch: number;
  /** Most elements that are filled at once. */
  readonly tile: number;
  /** Elements of the joined tensor. */
  readonly elements: number;
}

/** Bytes of scratch that filling needs for tiles of `tile` elements. */
export function fillScratchBytes(tile: number): number {
  return 12 * tile;
}

/** Makes the filler of one tensor. */
export function createFiller(source: TensorSource, rows: JoinedRows, parts: FillParts): FillLane {
  const { context, elements, tile } = parts;
  const { columns, tokens } = rows;
  const end = tokens * columns;
  const fillTokens: FillLane = (lane, n, index) => {
    context.memory.fill(0, lane, lane + 4 * n);
    copyOwn(source, { rows, parts, lane, n, index });
    copyMade({ rows, parts, lane, n, index });
  };
  let mean: Float32Array | undefined;
  const padding = (): Float32Array => {
    mean ??= columnMeans({ context, fillTokens, end, columns, room: parts.scratch + 8 * tile, tile });
    return mean;
  };
  return (lane, n, index) => {
    const stored = Math.max(0, Math.min(n, end - index));
    const means = index + n > end && elements > end ? padding() : undefined;
    if (stored > 0) fillTokens(lane, stored, index);
    const values = lanesOf(context, lane, n);
    for (let i = stored; i < n && means; i++) values[i] = means[(index + i) % columns] ?? 0;
  };
}

interface Piece {
  readonly rows: JoinedRows;
  readonly parts: FillParts;
  readonly lane: number;
  readonly n: number;
  readonly index: number;
}

function copyOwn(source: TensorSource, { rows, parts, lane, n, index }: Piece): void {
  const { own, columns } = rows;
  const first = firstFrom(own.length, (i) => ends(own[i]) * columns > index);
  for (let i = first; i < own.length; i++) {
    const [to, from, count] = own[i] ?? [0, 0, 0];
    const low = Math.max(index, to * columns);
    const high = Math.min(index + n, (to + count) * columns);
    if (low >= high) return;
    const start = from * columns + (low - to * columns);
    decodePiece(source, { parts, start, dst: lane + 4 * (low - index), n: high - low });
  }
}

function ends(run: readonly [number, number, number] | undefined): number {
  return run === undefined ? 0 : run[0] + run[2];
}

function copyMade({ rows, parts, lane, n, index }: Piece): void {
  const { columns, donors } = rows;
  eachMade(rows, { n, index }, ({ of }, low, high) => {
    const dst = lane + 4 * (low - index);
    const column = low % columns;
    const [only] = of;
    if (of.length === 1 && only !== undefined) {
      const [donor, row] = only;
      const from = donors[donor];
      if (from) decodePiece(from, { parts, start: row * columns + column, dst, n: high - low });
      return;
    }
    // In f64, in the order of the models, and rounded once.
    const sums = new Float64Array(high - low);
    const room = parts.scratch + 4 * parts.tile;
    for (const [donor, row] of of) {
      const from = donors[donor];
      if (!from) continue;
      decodePiece(from, { parts, start: row * columns + column, dst: room, n: high - low });
      lanesOf(parts.context, room, high - low).forEach((value, i) => {
        sums[i] = (sums[i] ?? 0) + value;
      });
    }
    lanesOf(parts.context, dst, high - low).set(sums.map((sum) => sum / of.length));
  });
}

function decodePiece(
  from: Pick<TensorSource, 'path' | 'dtype' | 'offset'>,
  { parts, start, dst, n }: { parts: FillParts; start: number; dst: number; n: number },
): void {
  const { context, io, scratch } = parts;
  const codec = codecOf(from.dtype);
  const bytes = context.memory.subarray(scratch, scratch + codecBytes(codec, n));
  io.read({ ...from, sizeBytes: 0 }, codecBytes(codec, start), bytes);
  decodeLane(codec, context, { src: scratch, dst, n });
}

// Sums of each column in f64, row after row, so that nothing depends on how the tensor is cut up.
function columnMeans(over: {
  readonly context: FillParts['context'];
  readonly fillTokens: FillLane;
  readonly end: number;
  readonly columns: number;
  readonly room: number;
  readonly tile: number;
}): Float32Array {
  const { context, fillTokens, end, columns, room, tile } = over;
  const sums = new Float64Array(columns);
  for (let index = 0; index < end; index += tile) {
    const n = Math.min(tile, end - index);
    fillTokens(room, n, index);
    const values = lanesOf(context, room, n);
    for (let i = 0; i < n; i++) {
      const column = (index + i) % columns;
      sums[column] = (sums[column] ?? 0) + (values[i] ?? 0);
    }
  }
  return Float32Array.from(sums, (sum) => (end === 0 ? 0 : sum / (end / columns)));
}

/**
 * Moves what made rows contributed to those whose rows they are, in equal parts where they are several; a made row of
 * the base is a contribution itself. Lanes are given by their addresses; contributions beyond the models' start at zero.
 */
export function creditRows(
  context: TensorContext,
  tile: Tile,
  { contributions, base }: { readonly contributions: readonly number[]; readonly base: number | undefined },
): void {
  const { task } = context;
  contributions.slice(task.models.length).forEach((lane) => {
    context.memory.fill(0, lane, lane + 4 * tile.n);
  });
  const lanes = task.models.map((source, i) => ({ rows: source.rows, lane: contributions[i] ?? 0 }));
  if (task.base && base !== undefined) lanes.push({ rows: task.base.rows, lane: base });
  for (const { rows, lane } of lanes) {
    if (!rows) continue;
    eachMade(rows, tile, ({ of }, low, high) => {
      const place = 4 * (low - tile.index);
      const values = lanesOf(context, lane + place, high - low);
      const moved = values.slice();
      values.fill(0);
      for (const [donor] of of) {
        const credit = rows.donors[donor]?.credit ?? -1;
        const target = contributions[credit];
        if (target === undefined) continue;
        const into = lanesOf(context, target + place, high - low);
        for (let i = 0; i < moved.length; i++) into[i] = (into[i] ?? 0) + (moved[i] ?? 0) / of.length;
      }
    });
  }
}

function eachMade(
  { made, columns }: JoinedRows,
  { n, index }: Tile,
  visit: (made: MadeRow, low: number, high: number) => void,
): void {
  const first = firstFrom(made.length, (i) => ((made[i]?.row ?? 0) + 1) * columns > index);
  for (let i = first; i < made.length; i++) {
    const each = made[i];
    if (!each || each.row * columns >= index + n) return;
    visit(each, Math.max(index, each.row * columns), Math.min(index + n, (each.row + 1) * columns));
  }
}

// The first place, of `count`, from which on `holds` does.
function firstFrom(count: number, holds: (i: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function lanesOf({ memory }: Pick<TensorContext, 'memory'>, address: number, n: number): Float32Array {
  return new Float32Array(memory.buffer, address, n);
}
