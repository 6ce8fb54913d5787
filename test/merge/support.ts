/** Makes small tensors from a seed and runs single tensor tasks in memory. */
import { createKernels, type KernelInstance } from '../../src/merge/kernels.ts';
import { mergeTensor } from '../../src/merge/merge-tensor.ts';
import type { ReferenceInput } from '../../src/merge/method.ts';
import { METHODS } from '../../src/merge/methods.ts';
import {
  counterHash,
  hashKey,
  type Rounding,
  type Settings,
  type TensorIo,
  type TensorResult,
  type TensorTask,
} from '../../src/merge/task.ts';

/** Evenly spread numbers in [0, 1) from a seed: mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Normally distributed numbers with deviation `deviation`. */
export function normals(length: number, deviation: number, random: () => number): Float64Array {
  return Float64Array.from({ length }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return deviation * radius * Math.cos(2 * Math.PI * random());
  });
}

/** Raw little-endian bytes of `values` as a weight type. Slow and plain, on purpose unlike the kernels. */
export function encode(values: ArrayLike<number>, dtype: string): Uint8Array {
  const bytes = new Uint8Array(values.length * (dtype === 'F32' ? 4 : 2));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (dtype === 'F32') view.setFloat32(4 * i, value, true);
    else if (dtype === 'BF16') view.setUint16(2 * i, bf16Bits(value), true);
    else view.setUint16(2 * i, nearestF16(value), true);
  }
  return bytes;
}

/** The numbers that raw bytes of a weight type stand for. */
export function decode(bytes: Uint8Array, dtype: string): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'F32')
    return Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  return Float64Array.from({ length: bytes.length / 2 }, (_, i) => {
    const bits = view.getUint16(2 * i, true);
    return dtype === 'BF16' ? fromBits(bits << 16) : f16Value(bits);
  });
}

function fromBits(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setInt32(0, bits);
  return view.getFloat32(0);
}

function bf16Bits(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  const low = bits & 0xffff;
  const up = low > 0x8000 || (low === 0x8000 && (bits & 0x1_0000) !== 0);
  return ((bits >>> 16) + (up ? 1 : 0)) & 0xffff;
}

/** The value of 16 bits as IEEE 754 half precision. */
export function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function nearestF16(value: number): number {
  let [low, high] = [0, 0x7c00];
  const size = Math.abs(value);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (f16Value(middle) <= size) low = middle;
    else high = middle;
  }
  const [below, above] = [size - f16Value(low), f16Value(high) - size];
  const bits = above < below || (above === below && (low & 1) === 1) ? high : low;
  return value < 0 || Object.is(value, -0) ? bits | 0x8000 : bits;
}

/** A tensor task over values in memory. */
export interface MemoryCase {
  readonly method: string;
  readonly settings: Settings;
  readonly models: readonly Float64Array[];
  readonly base?: Float64Array;
  readonly shape: readonly number[];
  readonly dtype?: string;
  readonly outDtype?: string;
  readonly seed?: string;
  readonly name?: string;
  readonly rounding?: Rounding;
  readonly memoryBytes?: number;
}

const instances = new Map<number, KernelInstance>();

/** Runs the kernels on a case; returns the merged numbers, their bytes and what the task reports. */
export function runCase(test: MemoryCase): { merged: Float64Array; bytes: Uint8Array; result: TensorResult } {
  const { task, io, output } = prepareCase(test);
  const memoryBytes = test.memoryBytes ?? 16 * 1024 * 1024;
  const instance = instances.get(memoryBytes) ?? createKernels(memoryBytes);
  instances.set(memoryBytes, instance);
  const result = mergeTensor(instance, task, io);
  return { merged: decode(output, task.target.dtype), bytes: output, result };
}

function prepareCase(test: MemoryCase): { task: TensorTask; io: TensorIo; output: Uint8Array } {
  const { dtype = 'F32', outDtype = dtype, base } = test;
  const elements = test.shape.reduce((product, extent) => product * extent, 1);
  const files = new Map(
    [...test.models, ...(base ? [base] : [])].map((values, i) => [`${i}`, encode(values, dtype)]),
  );
  const source = (path: string) => ({ path, dtype, offset: 0, sizeBytes: files.get(path)?.length ?? 0 });
  const output = encode(new Float64Array(elements), outDtype);
  const task: TensorTask = {
    name: test.name ?? 'model.layers.0.weight',
    shape: test.shape,
    elements,
    kind: 'merge',
    method: test.method,
    settings: test.settings,
    models: test.models.map((_values, i) => source(`${i}`)),
    parents: test.models.map((_values, i) => i),
    ...(base ? { base: source(`${test.models.length}`) } : {}),
    target: { path: 'out', dtype: outDtype, offset: 0, sizeBytes: output.length },
    rounding: test.rounding ?? 'nearest',
    seed: test.seed ?? '0',
  };
  const io: TensorIo = {
    read: ({ path }, offset, into) => {
      into.set((files.get(path) ?? new Uint8Array()).subarray(offset, offset + into.length));
    },
    write: (_target, offset, bytes) => output.set(bytes, offset),
  };
  return { task, io, output };
}

/** The f64 reference of a case: contributions, and the merged numbers. Inputs are first rounded to their type. */
export function referenceCase(test: MemoryCase): { contributions: Float64Array[]; merged: Float64Array } {
  const { dtype = 'F32', seed = '0', name = 'model.layers.0.weight' } = test;
  const stored = (values: Float64Array): Float64Array => decode(encode(values, dtype), dtype);
  const base = test.base && stored(test.base);
  const input: ReferenceInput = {
    models: test.models.map(stored),
    ...(base ? { base } : {}),
    shape: test.shape,
    settings: test.settings,
    hash: (position, index) => counterHash(index, hashKey({ seed, name }, position)),
  };
  const contributions = METHODS.get(test.method)?.reference(input) ?? [];
  const merged = Float64Array.from(input.models[0] ?? [], (_value, i) =>
    contributions.reduce((sum, each) => sum + (each[i] ?? 0), base?.[i] ?? 0),
  );
  return { contributions, merged };
}
