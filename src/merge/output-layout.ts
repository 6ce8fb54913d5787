/** Where the output's tensors go: files of a bounded size, laid out before anything is written. */
import { utf8 } from '../base/bytes.ts';
import { invariant } from '../base/errors.ts';
import { GGUF_NAME } from './checkpoint.ts';
import { type GgufValue, layOutGguf } from './gguf.ts';
import { layOut } from './safetensors.ts';
import type { TensorTask } from './task.ts';

/** A file of the output, without its tensors' data. */
export interface OutputFile {
  /** Its name within the output folder. */
  readonly name: string;
  /** Its size in bytes, tensors included. */
  readonly sizeBytes: number;
  /** The tensors in it. */
  readonly tensors: readonly string[];
  /** The bytes at its start. */
  readonly header: Uint8Array;
}

/** Name of the index of an output of several files. */
export const INDEX_NAME: string = 'model.safetensors.index.json';

const METADATA = { format: 'pt' };

/** How an output is stored: as GGUF when it has metadata for it, otherwise as safetensors of a bounded size. */
export interface Container {
  readonly shardBytesMax: number;
  readonly metadata: ReadonlyMap<string, GgufValue> | undefined;
}

/** Spreads `tasks` over files and gives each its place; `target.path` is then a name within the output folder. */
export function describeOutput(
  tasks: readonly TensorTask[],
  { shardBytesMax, metadata }: Container,
): { files: OutputFile[]; tasks: TensorTask[] } {
  const shards = metadata ? [tasks] : fill(tasks, shardBytesMax);
  const placed: TensorTask[] = [];
  const files = shards.map((shard, i) => {
    const name = metadata
      ? GGUF_NAME
      : shards.length === 1
        ? 'model.safetensors'
        : shardName(i + 1, shards.length);
    const layout = metadata ? layOutGguf(shapesOf(shard), metadata) : layOut(shapesOf(shard), METADATA);
    const offsets = new Map(layout.tensors.map((entry) => [entry.name, entry.offset]));
    for (const task of shard) {
      const offset = offsets.get(task.name);
      invariant(offset !== undefined, 'every tensor has its place');
      placed.push({ ...task, target: { ...task.target, path: name, offset } });
    }
    const tensors = shard.map((task) => task.name);
    return { name, sizeBytes: layout.fileBytes, tensors, header: layout.bytes };
  });
  return { files, tasks: placed };
}

/** The index of an output of several files, as JSON. */
export function indexFile(files: readonly OutputFile[], tasks: readonly TensorTask[]): Uint8Array {
  const total_size = tasks.reduce((sum, { target }) => sum + target.sizeBytes, 0);
  const weight_map = Object.fromEntries(
    files.flatMap(({ name, tensors }) => tensors.map((tensor) => [tensor, name])),
  );
  return utf8(`${JSON.stringify({ metadata: { total_size }, weight_map }, undefined, 2)}\n`);
}

function fill(tasks: readonly TensorTask[], shardBytesMax: number): TensorTask[][] {
  const shards: TensorTask[][] = [[]];
  let used = 0;
  for (const task of tasks) {
    const { sizeBytes } = task.target;
    if (used > 0 && used + sizeBytes > shardBytesMax) {
      shards.push([]);
      used = 0;
    }
    shards.at(-1)?.push(task);
    used += sizeBytes;
  }
  return shards;
}

function shapesOf(tasks: readonly TensorTask[]): { name: string; dtype: string; shape: readonly number[] }[] {
  return tasks.map(({ name, shape, target }) => ({ name, dtype: target.dtype, shape }));
}

function shardName(number: number, count: number): string {
  const digits = (value: number): string => String(value).padStart(5, '0');
  return `model-${digits(number)}-of-${digits(count)}.safetensors`;
}
