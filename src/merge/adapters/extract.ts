/**
 * Extracting an adapter from a fine-tune: for each matrix the update of a given rank that is nearest to
 * `tuned - base`, by a randomised range finder with one power iteration (Halko, Martinsson & Tropp 2011). The
 * difference is streamed row by row, four times, and never held whole.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { SaharaError } from '../../base/errors.ts';
import { openCheckpoint, type StoredTensor } from '../checkpoint.ts';
import { codecBytes, codecOf, decodeLane, isWeightType } from '../dtypes.ts';
import { createKernels, type KernelInstance } from '../kernels.ts';
import { ADAPTER_RANK_MAX } from '../limits.ts';
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
import type { Adapter } from './peft.ts';

/** What to extract. */
export interface ExtractInput {
  /** Folder of the model that was tuned. */
  readonly base: string;
  /** Folder of the fine-tune. */
  readonly tuned: string;
  /** Rank of the update of each module, at most; a matrix that is smaller has its own. */
  readonly rank: number;
  /** Only modules whose name this takes. Default: every matrix in the layers, none outside them. */
  readonly modules?: (name: string) => boolean;
}

/** An extracted adapter. */
export interface ExtractedAdapter {
  readonly adapter: Adapter;
  /** For each module, the part of the squared norm of its change that the rank cannot hold. */
  readonly lostEnergy: ReadonlyMap<string, number>;
}

// A few more directions than wanted make up for the chance in choosing them.
const OVERSAMPLING = 8;

/** Extracts an adapter. Fails with `file-missing`, `tensor-invalid`, `usage` for an impossible rank, `cancelled`. */
export async function extractAdapter(input: ExtractInput, signal?: AbortSignal): Promise<ExtractedAdapter> {
  const { rank, modules: chosen = (name) => /\.\d+\./.test(name) } = input;
  if (!Number.isInteger(rank) || rank < 1 || rank > ADAPTER_RANK_MAX) {
    throw new SaharaError('usage', { reason: `a rank is a whole number from 1 to ${ADAPTER_RANK_MAX}` });
  }
  const [base, tuned] = await Promise.all([input.base, input.tuned].map(openCheckpoint));
  const modules = new Map<string, LowRank>();
  const lostEnergy = new Map<string, number>();
  const instance = createKernels(MEMORY_BYTES);
  for (const tensor of tuned?.tensors.values() ?? []) {
    const [, module] = /^(.+)\.weight$/.exec(tensor.name) ?? [];
    const other = base?.tensors.get(tensor.name);
    if (module === undefined || !chosen(module) || !other || !isPair(tensor, other)) continue;
    if (signal?.aborted) throw new SaharaError('cancelled');
    const change = await openChange({ tensor, other, instance });
    try {
      const { delta, lost } = await nearest(change, rank);
      if (lost === undefined) continue;
      modules.set(module, delta);
      lostEnergy.set(module, lost);
    } finally {
      await change.close();
    }
  }
  return { adapter: { modules, config: { peft_type: 'LORA', bias: 'none' } }, lostEnergy };
}

function isPair(a: StoredTensor, b: StoredTensor): boolean {
  return (
    a.shape.length === 2 &&
    a.shape.join() === b.shape.join() &&
    isWeightType(a.dtype) &&
    isWeightType(b.dtype)
  );
}

// `lost` is undefined when nothing changed.
async function nearest(change: Change, rank: number): Promise<{ delta: LowRank; lost: number | undefined }> {
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
  return { delta, lost: energy === 0 ? undefined : Math.max(0, 1 - innerLowRank(delta, delta) / energy) };
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
async function project(change: Change, q: Matrix): Promise<Matrix> {
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

interface Change {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  /** Calls `visit` for every row of `tuned - base`; the array is used again for the next. */
  each(visit: (row: number, values: Float64Array) => void): Promise<void>;
  close(): Promise<void>;
}

const MEMORY_BYTES = 8 * 1024 * 1024;

async function openChange({
  tensor,
  other,
  instance,
}: {
  readonly tensor: StoredTensor;
  readonly other: StoredTensor;
  readonly instance: KernelInstance;
}): Promise<Change> {
  const [rows = 0, columns = 0] = tensor.shape;
  const [after, before] = [await open(tensor.path), await open(other.path)];
  const own = new Float64Array(columns);
  const from = new Float64Array(columns);
  return {
    name: tensor.name,
    rows,
    columns,
    each: async (visit) => {
      for (let row = 0; row < rows; row++) {
        await readRow(own, { file: after, tensor, start: row * columns }, instance);
        await readRow(from, { file: before, tensor: other, start: row * columns }, instance);
        for (let j = 0; j < columns; j++) own[j] = (own[j] ?? 0) - (from[j] ?? 0);
        visit(row, own);
      }
    },
    close: async () => {
      await after.close();
      await before.close();
    },
  };
}

const PIECE_ELEMENTS = 65_536;

async function readRow(
  into: Float64Array,
  {
    file,
    tensor,
    start,
  }: { readonly file: FileHandle; readonly tensor: StoredTensor; readonly start: number },
  { kernels, bytes: memory, free }: KernelInstance,
): Promise<void> {
  const codec = codecOf(tensor.dtype);
  const lane = free + 4 * PIECE_ELEMENTS;
  for (let done = 0; done < into.length; done += PIECE_ELEMENTS) {
    const n = Math.min(PIECE_ELEMENTS, into.length - done);
    const stored = memory.subarray(free, free + codecBytes(codec, n));
    const { bytesRead } = await file.read(
      stored,
      0,
      stored.length,
      tensor.offset + codecBytes(codec, start + done),
    );
    if (bytesRead !== stored.length) {
      throw new SaharaError('tensor-invalid', { reason: 'file ends too early', tensor: tensor.name });
    }
    decodeLane(codec, { kernels, memory }, { src: free, dst: lane, n });
    if (kernels.firstBeyond(lane, n, 0x7f7f_ffff) >= 0) {
      throw new SaharaError('tensor-invalid', {
        reason: 'NaN or infinity',
        tensor: tensor.name,
        path: tensor.path,
      });
    }
    into.set(new Float32Array(memory.buffer, lane, n), done);
  }
}
