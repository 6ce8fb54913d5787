/**
 * Weights of eight bits with scales beside them. An FP8 tensor `NAME` is stored divided by scales that stand in another
 * tensor, `NAME_scale_inv` or `NAME_scale`: one for all, one for each row, or one for each block of rows and columns.
 * Despite its name, the first is what to multiply by, like the second.
 */
import { invariant, SaharaError } from '../base/errors.ts';
import type { Kernels } from './kernels.ts';
import { SCALES_MAX } from './limits.ts';
import type { TensorEntry } from './safetensors.ts';
import type { TensorIo, TensorSource } from './task.ts';

/** Where the scales of a tensor lie, and for what. */
export interface ScaleSource {
  readonly path: string;
  readonly dtype: 'F32' | 'BF16';
  /** Start of the data in the file, in bytes. */
  readonly offset: number;
  /** Scales downwards and across. */
  readonly shape: readonly [number, number];
  /** Rows and columns of the weights that share one. */
  readonly block: readonly [number, number];
  /** Columns of the weights. */
  readonly columns: number;
}

const FP8: readonly string[] = ['F8_E4M3', 'F8_E5M2'];
const SCALE_NAMES = ['_scale_inv', '_scale'];
const BESIDE = /^(.+\.weight)_scale(_inv)?$|^(.+)\.(?:input|k|v)_scale$/;
const BLOCK_DEFAULT: readonly [number, number] = [128, 128];

/** Whether a type is one that has scales beside it. */
export function isScaled(dtype: string): boolean {
  return FP8.includes(dtype);
}

/** Whether a tensor only says how another one of FP8 is read. */
export function isScale(name: string, tensors: ReadonlyMap<string, TensorEntry>): boolean {
  const [, weight, , module] = BESIDE.exec(name) ?? [];
  const of = tensors.get(weight ?? `${module}.weight`);
  return of !== undefined && isScaled(of.dtype);
}

/**
 * The scales of `tensor` among those of its model. Fails with `tensor-invalid` when there are none, or they do not fit:
 * without them the numbers mean nothing.
 */
export function findScale(
  tensor: TensorEntry,
  {
    tensors,
    config,
  }: {
    readonly tensors: ReadonlyMap<string, TensorEntry & { readonly path: string }>;
    readonly config: Readonly<Record<string, unknown>>;
  },
): ScaleSource {
  const { name, shape } = tensor;
  const found = SCALE_NAMES.map((ending) => tensors.get(`${name}${ending}`)).find(
    (each) => each !== undefined,
  );
  if (!found) throw invalid('weights of FP8 without their scales', name);
  const { dtype, path, offset, elements } = found;
  if (dtype !== 'F32' && dtype !== 'BF16') throw invalid('scales of a type that is not known', found.name);
  if (elements > SCALES_MAX) throw invalid('too many scales', found.name);
  const [rows = 1, columns = 1] = shape.length === 2 ? shape : [1, tensor.elements];
  const common: Pick<ScaleSource, 'path' | 'dtype' | 'offset' | 'columns'> = { path, dtype, offset, columns };
  if (elements === 1) return { ...common, shape: [1, 1], block: [rows, columns] };
  if (elements === rows && (found.shape.length === 1 || found.shape[1] === 1)) {
    return { ...common, shape: [rows, 1], block: [1, columns] };
  }
  const block = blockSize(config) ?? BLOCK_DEFAULT;
  const [down, across] = [Math.ceil(rows / block[0]), Math.ceil(columns / block[1])];
  if (found.shape.join() !== `${down},${across}`)
    throw invalid('scales of another shape than the weights', found.name);
  return { ...common, shape: [down, across], block };
}

// `weight_block_size`, or in the nested form of compressed-tensors `block_structure`.
function blockSize(config: Readonly<Record<string, unknown>>): readonly [number, number] | undefined {
  const wanted = ['weight_block_size', 'block_structure'];
  const search = (value: unknown, depth: number): readonly [number, number] | undefined => {
    if (typeof value !== 'object' || value === null || depth > 4) return undefined;
    for (const [key, inner] of Object.entries(value)) {
      const pair: unknown = wanted.includes(key) ? inner : undefined;
      if (Array.isArray(pair) && pair.length === 2) {
        const [rows, columns]: unknown[] = pair;
        if (isExtent(rows) && isExtent(columns)) return [rows, columns];
      }
      const found = search(inner, depth + 1);
      if (found) return found;
    }
    return undefined;
  };
  return search(config.quantization_config, 0);
}

function isExtent(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

/** Multiplies `n` weights at `lane`, from element `index` of the tensor on, by their scales. */
export type ApplyScales = (lane: number, n: number, index: number) => void;

/** Reads the scales. Fails with `tensor-invalid` when one is not finite. */
export function readScales(
  scale: ScaleSource,
  { kernels, io }: { readonly kernels: Kernels; readonly io: TensorIo },
): ApplyScales {
  const values = readValues(scale, io);
  return (lane, n, index) => {
    eachRun(scale, { n, index }, (cell, done, length) => {
      const factor = values[cell];
      invariant(factor !== undefined, 'every weight has its scale');
      kernels.scale(lane + 4 * done, length, factor);
    });
  };
}

/** How a matrix is divided among scales. */
export type ScaleGrid = Pick<ScaleSource, 'shape' | 'block' | 'columns'>;

/** The grid of a matrix of this shape, `block` rows and columns sharing a scale. */
export function scaleGrid([rows = 1, columns = 1]: readonly number[], block: ScaleGrid['block']): ScaleGrid {
  return { shape: [Math.ceil(rows / block[0]), Math.ceil(columns / block[1])], block, columns };
}

/**
 * Calls `visit` for each run of elements that share a scale, in order, among `n` from element `index` of the tensor on:
 * with the scale's place, the elements before the run, and its length.
 */
export function eachRun(
  { shape, block, columns }: ScaleGrid,
  { n, index }: { readonly n: number; readonly index: number },
  visit: (cell: number, done: number, length: number) => void,
): void {
  for (let done = 0; done < n; ) {
    const [row, column] = [Math.floor((index + done) / columns), (index + done) % columns];
    const [down, across] = [Math.floor(row / block[0]), Math.floor(column / block[1])];
    const left = Math.min((across + 1) * block[1], columns) - column;
    const length = Math.min(shape[0] === 1 && shape[1] === 1 ? n : left, n - done);
    visit(down * shape[1] + across, done, length);
    done += length;
  }
}

function readValues({ path, dtype, offset, shape }: ScaleSource, io: TensorIo): Float32Array {
  const count = shape[0] * shape[1];
  const bytes = new Uint8Array(count * (dtype === 'F32' ? 4 : 2));
  const source: TensorSource = { path, dtype, offset, sizeBytes: bytes.length };
  io.read(source, 0, bytes);
  const view = new DataView(bytes.buffer);
  const bits = new DataView(new ArrayBuffer(4));
  const values = Float32Array.from({ length: count }, (_, i) => {
    if (dtype === 'F32') return view.getFloat32(4 * i, true);
    bits.setUint32(0, view.getUint16(2 * i, true) << 16);
    return bits.getFloat32(0);
  });
  if (!values.every(Number.isFinite))
    throw new SaharaError('tensor-invalid', { reason: 'a scale is not finite', path });
  return values;
}

function invalid(reason: string, name: string): SaharaError {
  return new SaharaError('tensor-invalid', { reason, name });
}
