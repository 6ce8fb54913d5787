/**
 * A model on disk: its headers, without its data. One safetensors file, many behind an index, or one GGUF file; every
 * file is read strictly, and an index and its files must agree.
 */
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { type GgufHeader, GgufTruncated, type GgufValue, parseGguf } from './gguf.ts';
import { HEADER_BYTES_MAX, JSON_BYTES_MAX, SHARDS_MAX } from './limits.ts';
import { headerLength, PREFIX_BYTES, parseHeader, type TensorEntry } from './safetensors.ts';

/** A tensor of a model and the file it is in. */
export interface StoredTensor extends TensorEntry {
  readonly path: string;
}

/** What the headers of a model say. */
export interface Checkpoint {
  readonly directory: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** `config.json`, or empty when there is none. */
  readonly config: Readonly<Record<string, unknown>>;
  /** GGUF's metadata; absent for safetensors. */
  readonly metadata?: ReadonlyMap<string, GgufValue>;
  /** Files with weights: absolute path and size. */
  readonly files: readonly { readonly path: string; readonly sizeBytes: number }[];
}

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** Name of a model's only file when it is GGUF. */
export const GGUF_NAME: string = 'model.gguf';

/**
 * Reads the headers of the model at `path`: a folder, or a file called `*.gguf`. Fails with `file-missing` when there is no model, and with
 * `tensor-invalid`, naming the file, when a file is not what it should be.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const root = resolve(path);
  if (root.endsWith('.gguf')) return openGguf(root);
  if (await exists(join(root, GGUF_NAME))) return openGguf(join(root, GGUF_NAME));
  const config = (await readJson(join(root, 'config.json'))) ?? {};
  const index = await readJson(join(root, INDEX));
  const names = index === undefined ? [SINGLE] : shardNames(index, root);
  const tensors = new Map<string, StoredTensor>();
  const files: { path: string; sizeBytes: number }[] = [];
  for (const name of names) {
    const path = join(root, name);
    const shard = await readShard(path);
    files.push({ path, sizeBytes: shard.sizeBytes });
    for (const entry of shard.tensors) {
      if (tensors.has(entry.name)) throw invalid(path, 'stands in two files', entry.name);
      tensors.set(entry.name, { ...entry, path });
    }
  }
  if (index !== undefined) checkIndex(index, { root, tensors });
  return { directory: root, tensors, config, files };
}

async function openGguf(path: string): Promise<Checkpoint> {
  const { header, sizeBytes } = await readFrom(path, readGgufHeader);
  const parts = header.metadata.get('split.count')?.value;
  if (typeof parts === 'number' && parts > 1)
    throw invalid(path, 'is one part of several, which is not supported');
  const architecture = header.metadata.get('general.architecture')?.value;
  const layers = header.metadata.get(`${String(architecture)}.block_count`)?.value;
  return {
    directory: dirname(path),
    tensors: new Map(header.tensors.map((entry) => [entry.name, { ...entry, path }])),
    config: typeof layers === 'number' ? { num_hidden_layers: layers } : {},
    metadata: header.metadata,
    files: [{ path, sizeBytes }],
  };
}

const GGUF_FIRST_BYTES = 1024 * 1024;

// How long the header is shows only on reading it, so it is read in growing pieces.
async function readGgufHeader(file: FileHandle, sizeBytes: number): Promise<GgufHeader> {
  for (let length = Math.min(sizeBytes, GGUF_FIRST_BYTES); ; length = Math.min(sizeBytes, 4 * length)) {
    const bytes = new Uint8Array(length);
    await file.read(bytes, 0, length, 0);
    try {
      return parseGguf(bytes, sizeBytes);
    } catch (error) {
      if (!(error instanceof GgufTruncated) || length === sizeBytes || length > HEADER_BYTES_MAX) throw error;
    }
  }
}

async function readShard(path: string): Promise<{ tensors: readonly TensorEntry[]; sizeBytes: number }> {
  const { header, sizeBytes } = await readFrom(path, async (file, size) => {
    const prefix = new Uint8Array(PREFIX_BYTES);
    const { bytesRead } = await file.read(prefix, 0, PREFIX_BYTES, 0);
    const bytes = new Uint8Array(headerLength(prefix.subarray(0, bytesRead), size));
    await file.read(bytes, 0, bytes.length, PREFIX_BYTES);
    return parseHeader(bytes, size);
  });
  return { tensors: header.tensors, sizeBytes };
}

// Opens a file, reads its header, and names the file in whatever is wrong.
async function readFrom<T>(
  path: string,
  read: (file: FileHandle, sizeBytes: number) => Promise<T>,
): Promise<{ header: T; sizeBytes: number }> {
  const file = await open(path).catch((error: unknown) => {
    throw new SaharaError('file-missing', { path }, { cause: error });
  });
  try {
    const { size } = await file.stat();
    return { header: await read(file, size), sizeBytes: size };
  } catch (error) {
    const failure = asSaharaError(error);
    throw new SaharaError(failure.code, { ...failure.facts, path }, { cause: error });
  } finally {
    await file.close();
  }
}

// A weight map from tensor names to files in the same folder; anything else could point outside it.
function shardNames(index: Readonly<Record<string, unknown>>, root: string): string[] {
  const names = new Set(Object.values(weightMap(index, root)));
  for (const name of names) {
    if (!/^[\w.-]+\.safetensors$/.test(name))
      throw invalid(join(root, INDEX), 'names a file outside the model', name);
  }
  if (names.size === 0) throw invalid(join(root, INDEX), 'names no file');
  if (names.size > SHARDS_MAX) throw invalid(join(root, INDEX), 'names too many files');
  return [...names].sort();
}

function checkIndex(
  index: Readonly<Record<string, unknown>>,
  { root, tensors }: { readonly root: string; readonly tensors: ReadonlyMap<string, StoredTensor> },
): void {
  const map = weightMap(index, root);
  for (const [name, file] of Object.entries(map)) {
    if (tensors.get(name)?.path !== join(root, file))
      throw invalid(join(root, file), 'lacks a tensor of the index', name);
  }
  for (const { name, path } of tensors.values()) {
    if (!Object.hasOwn(map, name)) throw invalid(path, 'has a tensor that the index lacks', name);
  }
}

function weightMap(index: Readonly<Record<string, unknown>>, root: string): Record<string, string> {
  const map = index.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw invalid(join(root, INDEX), 'has no weight map');
  }
  const files: Record<string, string> = Object.create(null);
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string') throw invalid(join(root, INDEX), 'names no file', name);
    files[name] = file;
  }
  return files;
}

/** A JSON object from a file, or `undefined` when the file does not exist. */
export async function readJson(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const size = await stat(path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined) return undefined;
  if (size > JSON_BYTES_MAX) throw new SaharaError('too-large', { path, bytesMax: JSON_BYTES_MAX });
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return Object.fromEntries(Object.entries(value));
  } catch (error) {
    throw new SaharaError('tensor-invalid', { reason: 'is not JSON', path }, { cause: error });
  }
  throw new SaharaError('tensor-invalid', { reason: 'is not a JSON object', path });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function invalid(path: string, reason: string, name?: string): SaharaError {
  return new SaharaError('tensor-invalid', { reason, path, ...(name === undefined ? {} : { name }) });
}
