/** GGUF files of any type for tests: written from numbers, and read back as numbers. */
import { open, writeFile } from 'node:fs/promises';
import { openCheckpoint } from '../../src/merge/checkpoint.ts';
import { codecBytes, codecOf, decodeLane, encodeLane } from '../../src/merge/dtypes.ts';
import { type GgufValue, layOutGguf } from '../../src/merge/gguf.ts';
import { createKernels } from '../../src/merge/kernels.ts';

const LANE = 1024 * 1024;

/** Writes a file and gives its path back. */
export async function writeModel(
  path: string,
  model: {
    readonly metadata: ReadonlyMap<string, GgufValue>;
    readonly tensors: readonly {
      readonly name: string;
      readonly dtype: string;
      readonly shape: readonly number[];
      readonly values: ArrayLike<number>;
    }[];
  },
): Promise<string> {
  const layout = layOutGguf(model.tensors, model.metadata);
  const file = new Uint8Array(layout.fileBytes);
  file.set(layout.bytes);
  const { kernels, bytes: memory, free } = createKernels(4 * LANE);
  layout.tensors.forEach(({ offset, elements, dtype, sizeBytes }, i) => {
    memory.set(new Uint8Array(Float32Array.from(model.tensors[i]?.values ?? []).buffer), free);
    encodeLane(codecOf(dtype), { kernels, memory }, { src: free, dst: free + LANE, n: elements });
    file.set(memory.subarray(free + LANE, free + LANE + sizeBytes), offset);
  });
  await writeFile(path, file);
  return path;
}

/** The numbers of a tensor in any type that is read. */
export async function readTensor(model: string, name: string): Promise<Float64Array> {
  const tensor = (await openCheckpoint(model)).tensors.get(name);
  if (!tensor) throw new Error(`no ${name}`);
  const codec = codecOf(tensor.dtype);
  const { kernels, bytes: memory, free } = createKernels(4 * LANE);
  const file = await open(tensor.path);
  await file.read(memory, free, codecBytes(codec, tensor.elements), tensor.offset);
  await file.close();
  decodeLane(codec, { kernels, memory }, { src: free, dst: free + LANE, n: tensor.elements });
  return Float64Array.from(
    new Float32Array(memory.slice(free + LANE, free + LANE + 4 * tensor.elements).buffer),
  );
}
