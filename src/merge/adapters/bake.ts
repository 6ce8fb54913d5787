/**
 * Baking an adapter into a model: `w + b a` for every module it touches, everything else as it is. The output has the
 * model's files, byte for byte, with the touched tensors written over in place, so nothing has to be laid out anew.
 */
import { copyFile, type FileHandle, mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { SaharaError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import { type Checkpoint, GGUF_NAME, openCheckpoint, type StoredTensor } from '../checkpoint.ts';
import { codecBytes, codecOf, decodeLane, encodeLane, isWeightType, isWritable } from '../dtypes.ts';
import { ioError } from '../io.ts';
import { createKernels, type KernelInstance } from '../kernels.ts';
import { INDEX_NAME } from '../output-layout.ts';
import { COPIED_FILES } from '../side-files.ts';
import { toGgufNames } from './gguf-names.ts';
import type { LowRank } from './low-rank.ts';
import { headsOf } from './model-heads.ts';
import type { Adapter } from './peft.ts';

/** What to bake into what. */
export interface BakeInput {
  /** A model in safetensors or GGUF: a folder, or a file called `*.gguf`. */
  readonly model: string;
  /** Named as in PEFT or as in GGUF; for a GGUF model the names are found, and rows put in its order. */
  readonly adapter: Adapter;
  /** Folder to make; it must not exist. */
  readonly output: string;
  /** Hears how many modules are done, of how many. */
  readonly onProgress?: (done: number, modules: number) => void;
}

/**
 * Writes the model with the adapter in it. Fails with `merge-refused`, `problems` naming every module that the model
 * lacks, has in another shape, or in a block format that is only read, or when the output exists; with `tensor-invalid` on
 * a result that the type cannot hold, `disk-full`, `cancelled`. Nothing stands under the final name unless all is well.
 */
export async function bakeAdapter(
  { model, adapter, output, onProgress }: BakeInput,
  signal?: AbortSignal,
): Promise<void> {
  const checkpoint = await openCheckpoint(model);
  refuseTorch(checkpoint);
  const patches = match(checkpoint, fitNames(checkpoint, adapter));
  const target = resolve(output);
  if (await stat(target).catch(() => undefined)) {
    throw new SaharaError('merge-refused', { reason: 'the output exists', path: target });
  }
  const partial = await mkdtemp(`${target}.partial-`);
  try {
    await copyModel(checkpoint, partial);
    const instance = createKernels(MEMORY_BYTES);
    for (const [done, patch] of patches.entries()) {
      if (signal?.aborted) throw new SaharaError('cancelled');
      onProgress?.(done, patches.length);
      await applyPatch(patch, { instance, path: join(partial, nameOf(checkpoint, patch.tensor.path)) });
    }
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw ioError(error, partial);
  }
}

interface Patch {
  readonly tensor: StoredTensor;
  readonly delta: LowRank;
}

// An adapter's names are the model's.
function fitNames({ metadata }: Checkpoint, adapter: Adapter): Adapter {
  if (!metadata) {
    if (adapter.architecture === undefined) return adapter;
    const reason = 'an adapter with names of GGUF, a model in safetensors';
    throw new SaharaError('merge-refused', { reason });
  }
  const heads = headsOf({ metadata, config: {} });
  if (heads === undefined) {
    const architecture = String(metadata.get('general.architecture')?.value);
    throw new SaharaError('merge-refused', { reason: 'the model does not state its heads', architecture });
  }
  return toGgufNames(adapter, heads);
}

function match({ tensors }: Checkpoint, { modules }: Adapter): Patch[] {
  const problems: string[] = [];
  const patches = [...modules].flatMap(([module, delta]): Patch[] => {
    const name = `${module}.weight`;
    const tensor = tensors.get(name);
    const shape = `${delta.b.rows} x ${delta.a.columns}`;
    if (!tensor) {
      const near = nearestNames(name, tensors.keys(), 1)[0];
      problems.push(`the model lacks ${name}${near === undefined ? '' : `; nearest is ${near}`}`);
    } else if (tensor.shape.join(' x ') !== shape || !isWeightType(tensor.dtype)) {
      problems.push(`${name} is ${tensor.dtype} ${tensor.shape.join(' x ')}, the adapter is for ${shape}`);
    } else if (!isWritable(tensor.dtype)) problems.push(`${name}: ${tensor.dtype} is read but not written`);
    return tensor ? [{ tensor, delta }] : [];
  });
  if (problems.length > 0)
    throw new SaharaError('merge-refused', { reason: 'adapter and model do not fit', problems });
  return patches;
}

// A GGUF file may have any name; as a model's folder it has one.
function nameOf({ metadata }: Checkpoint, path: string): string {
  return metadata ? GGUF_NAME : basename(path);
}

// Its tensors may share bytes, and its archive has checksums.
function refuseTorch({ files }: Checkpoint): void {
  if (!files.some(({ path }) => path.endsWith('.bin'))) return;
  const reason = 'a model of PyTorch: make safetensors of it first, by a merge with passthrough';
  throw new SaharaError('merge-refused', { reason });
}

async function copyModel(checkpoint: Checkpoint, partial: string): Promise<void> {
  const { directory, files, metadata } = checkpoint;
  for (const { path } of files) await copyFile(path, join(partial, nameOf(checkpoint, path)));
  if (metadata) return;
  for (const name of [INDEX_NAME, 'config.json', ...COPIED_FILES]) {
    const path = join(directory, name);
    if (await stat(path).catch(() => undefined)) await copyFile(path, join(partial, name));
  }
}

const PIECE_ELEMENTS = 65_536;
const MEMORY_BYTES = 4 * 1024 * 1024;

async function applyPatch(
  { tensor, delta }: Patch,
  { instance, path }: { readonly instance: KernelInstance; readonly path: string },
): Promise<void> {
  const file = await open(path, 'r+');
  try {
    for (let start = 0; start < tensor.elements; start += PIECE_ELEMENTS) {
      const n = Math.min(PIECE_ELEMENTS, tensor.elements - start);
      await addPiece(file, { tensor, delta, start, n }, instance);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function addPiece(
  file: FileHandle,
  { tensor, delta, start, n }: Patch & { readonly start: number; readonly n: number },
  instance: KernelInstance,
): Promise<void> {
  const { kernels, bytes: memory, free } = instance;
  const codec = codecOf(tensor.dtype);
  const lane = free + 4 * PIECE_ELEMENTS;
  const stored = memory.subarray(free, free + codecBytes(codec, n));
  const position = tensor.offset + codecBytes(codec, start);
  const { bytesRead } = await file.read(stored, 0, stored.length, position);
  if (bytesRead !== stored.length) {
    throw new SaharaError('tensor-invalid', { reason: 'file ends too early', tensor: tensor.name });
  }
  decodeLane(codec, { kernels, memory }, { src: free, dst: lane, n });
  const weights = new Float32Array(memory.buffer, lane, n);
  addProduct(weights, delta, start);
  const beyond = kernels.firstBeyond(lane, n, codec.largestBits);
  if (beyond >= 0) {
    const facts = { reason: 'result out of range of the output type', tensor: tensor.name };
    throw new SaharaError('tensor-invalid', { ...facts, dtype: tensor.dtype, index: start + beyond });
  }
  encodeLane(codec, { kernels, memory }, { src: lane, dst: free, n });
  for (let done = 0; done < stored.length; ) {
    const { bytesWritten } = await file.write(stored, done, stored.length - done, position + done);
    done += bytesWritten;
  }
}

// Adds the elements of `b a` from `start` on: each in f64, rounded to f32 once.
function addProduct(weights: Float32Array, { b, a }: LowRank, start: number): void {
  const { columns, rows: rank } = a;
  for (let i = 0; i < weights.length; i++) {
    const row = Math.floor((start + i) / columns);
    const column = (start + i) % columns;
    let sum = weights[i] ?? 0;
    for (let k = 0; k < rank; k++)
      sum += (b.values[row * rank + k] ?? 0) * (a.values[k * columns + column] ?? 0);
    weights[i] = sum;
  }
}
