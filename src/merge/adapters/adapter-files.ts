/** Adapters on disk, whichever way they are stored: a folder as PEFT has it, or one GGUF file. */
import { mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SaharaError } from '../../base/errors.ts';
import { ioError } from '../io.ts';
import { readGgufLora, writeGgufLora } from './gguf-lora.ts';
import { fromGgufNames, type ModelHeads, toGgufNames } from './gguf-names.ts';
import { type Adapter, readPeft, writePeft } from './peft.ts';

/** How an adapter is stored. */
export type AdapterFormat = 'PEFT' | 'GGUF';

/** How the adapter at `path` is stored, by its name. */
export function formatOf(path: string): AdapterFormat {
  return path.endsWith('.gguf') ? 'GGUF' : 'PEFT';
}

/** Reads an adapter. Fails like `readPeft` and `readGgufLora`. */
export async function readAdapter(path: string): Promise<Adapter> {
  return formatOf(path) === 'GGUF' ? readGgufLora(path) : readPeft(path);
}

/** Refuses with `merge-refused` a path where something is. */
export async function demandFree(path: string): Promise<void> {
  if (await stat(path).catch(() => undefined))
    throw new SaharaError('merge-refused', { reason: 'the output exists', path: resolve(path) });
}

/**
 * Writes an adapter in the format that `path` names; whole or not at all. Fails with `merge-refused` when something is
 * there, or its modules have the other format's names (`inFormat`); with `disk-full`.
 */
export async function writeAdapter(path: string, adapter: Adapter): Promise<void> {
  await demandFree(path);
  if (formatOf(path) === 'GGUF') return writeGgufLora(path, adapter);
  const target = resolve(path);
  const partial = await mkdtemp(`${target}.partial-`).catch((error: unknown) => {
    throw ioError(error, target);
  });
  try {
    await writePeft(partial, adapter);
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw ioError(error, target);
  }
}

/**
 * The adapter with the names of `format`. Fails with `merge-refused` when that takes the heads of its model and it states
 * none, or when they are those of another kind of model.
 */
export function inFormat(adapter: Adapter, format: AdapterFormat, heads: ModelHeads | undefined): Adapter {
  const own: AdapterFormat = adapter.architecture === undefined ? 'PEFT' : 'GGUF';
  if (own === format) return adapter;
  if (heads === undefined) {
    throw new SaharaError('merge-refused', {
      reason: `the model does not state its heads, which order rows of query and key between ${own} and ${format}`,
    });
  }
  return format === 'GGUF' ? toGgufNames(adapter, heads) : fromGgufNames(adapter, heads);
}
