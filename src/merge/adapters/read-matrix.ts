/** The factors of adapters, read out of files of either format. */
import { readFile, stat } from 'node:fs/promises';
import { SaharaError } from '../../base/errors.ts';
import { codecBytes, codecOf, decodeLane, isWeightType } from '../dtypes.ts';
import { createKernels } from '../kernels.ts';
import { ADAPTER_BYTES_MAX } from '../limits.ts';
import type { TensorEntry } from '../safetensors.ts';
import type { Matrix } from './low-rank.ts';

/** A whole file of an adapter. Fails with `file-missing`, `too-large`. */
export async function readAdapterFile(path: string): Promise<Uint8Array> {
  const size = await stat(path).then(
    (found) => found.size,
    (error: unknown) => {
      throw new SaharaError('file-missing', { path }, { cause: error });
    },
  );
  if (size > ADAPTER_BYTES_MAX) throw new SaharaError('too-large', { path, bytesMax: ADAPTER_BYTES_MAX });
  return readFile(path);
}

const PIECE_ELEMENTS = 65_536;

/** One factor. Fails with `tensor-invalid` when it is no matrix of weights, or has a NaN or infinity. */
export function readMatrix(file: Uint8Array, { name, dtype, shape, elements, offset }: TensorEntry): Matrix {
  const [rows, columns] = shape;
  if (rows === undefined || columns === undefined || shape.length !== 2 || !isWeightType(dtype)) {
    throw new SaharaError('tensor-invalid', { reason: 'is not a matrix of weights', name, dtype });
  }
  const codec = codecOf(dtype);
  const { kernels, bytes: memory, free } = createKernels(1024 * 1024);
  const lane = free + 4 * PIECE_ELEMENTS;
  const values = new Float64Array(elements);
  for (let start = 0; start < elements; start += PIECE_ELEMENTS) {
    const n = Math.min(PIECE_ELEMENTS, elements - start);
    const from = offset + codecBytes(codec, start);
    memory.set(file.subarray(from, from + codecBytes(codec, n)), free);
    decodeLane(codec, { kernels, memory }, { src: free, dst: lane, n });
    values.set(new Float32Array(memory.slice(lane, lane + 4 * n).buffer), start);
  }
  if (!values.every(Number.isFinite))
    throw new SaharaError('tensor-invalid', { reason: 'NaN or infinity', name });
  return { rows, columns, values };
}
