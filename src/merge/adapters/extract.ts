/**
 * Extracting an adapter from a fine-tune: for each matrix the update of a given rank that is nearest to
 * `tuned - base`. The difference is streamed row by row, four times, and never held whole.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { SaharaError } from '../../base/errors.ts';
import { openCheckpoint, type StoredTensor } from '../checkpoint.ts';
import { codecBytes, codecOf, decodeLane, isWeightType } from '../dtypes.ts';
import { createKernels, type KernelInstance } from '../kernels.ts';
import { ADAPTER_RANK_MAX } from '../limits.ts';
import { isScaled } from '../scaled.ts';
import type { LowRank } from './low-rank.ts';
import { nearestUpdate, type UpdateRows } from './nearest.ts';
import type { Adapter } from './peft.ts';

/** What to extract. */
export interface ExtractInput {
  /** The model that was tuned: a folder, or a GGUF file. */
  readonly base: string;
  /** The fine-tune, likewise. */
  readonly tuned: string;
  /** Rank of the update of each module, at most; a matrix that is smaller has its own. */
  readonly rank: number;
  /** Only modules whose name this takes. Default: every matrix in the layers, none outside them. */
  readonly modules?: (name: string) => boolean;
  /** Hears how many tensors were looked at, of how many. */
  readonly onProgress?: (done: number, tensors: number) => void;
}

/** An extracted adapter. */
export interface ExtractedAdapter {
  readonly adapter: Adapter;
  /** For each module, the part of the squared norm of its change that the rank cannot hold. */
  readonly lostEnergy: ReadonlyMap<string, number>;
}

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
  const tensors = [...(tuned?.tensors.values() ?? [])];
  for (const [done, tensor] of tensors.entries()) {
    input.onProgress?.(done, tensors.length);
    const [, module] = /^(.+)\.weight$/.exec(tensor.name) ?? [];
    const other = base?.tensors.get(tensor.name);
    if (module === undefined || !chosen(module) || !other || !isPair(tensor, other)) continue;
    for (const each of [tensor, other]) refuseScaled(each);
    if (signal?.aborted) throw new SaharaError('cancelled');
    const change = await openChange({ tensor, other, instance });
    try {
      const { delta, lostEnergy: lost } = await nearestUpdate(change, rank);
      if (lost === undefined) continue;
      modules.set(module, delta);
      lostEnergy.set(module, lost);
    } finally {
      await change.close();
    }
  }
  const architecture = base?.metadata?.get('general.architecture')?.value;
  const family = typeof architecture === 'string' ? { architecture } : {};
  return { adapter: { modules, config: { peft_type: 'LORA', bias: 'none' }, ...family }, lostEnergy };
}

function isPair(a: StoredTensor, b: StoredTensor): boolean {
  return (
    a.shape.length === 2 &&
    a.shape.join() === b.shape.join() &&
    isWeightType(a.dtype) &&
    isWeightType(b.dtype)
  );
}

interface Change extends UpdateRows {
  close(): Promise<void>;
}

const MEMORY_BYTES = 8 * 1024 * 1024;

function refuseScaled({ dtype, name }: StoredTensor): void {
  if (!isScaled(dtype)) return;
  throw new SaharaError('merge-refused', { reason: 'weights of FP8: make wider ones first', name });
}

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
