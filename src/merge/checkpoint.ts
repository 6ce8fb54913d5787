/**
 * A model on disk: its headers, without its data. One file of safetensors or PyTorch, many behind an index, or one GGUF
 * file; every file is read strictly, and an index and its files must agree.
 */
import { readSync } from 'node:fs';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { type GgufHeader, GgufTruncated, type GgufValue, parseGguf } from './gguf.ts';
import { HEADER_BYTES_MAX, JSON_BYTES_MAX, SHARDS_MAX } from './limits.ts';
import { headerLength, PREFIX_BYTES, parseHeader, type TensorEntry } from './safetensors.ts';
import { findScale, isScaled, type ScaleSource } from './scaled.ts';
import type { SideFolder } from './side-folder.ts';
import { readTorch } from './torch/torch-file.ts';
import type { ByteSource } from './torch/zip.ts';

/** A tensor of a model and the file it is in. */
export interface StoredTensor extends TensorEntry {
  readonly path: string;
  /** Scales of FP8. */
  readonly scale?: ScaleSource;
}

/** What the headers of a model say. */
export interface Checkpoint extends SideFolder {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** `config.json`, or empty when there is none. */
  readonly config: Readonly<Record<string, unknown>>;
  /** GGUF's metadata; absent for safetensors. */
  readonly metadata?: ReadonlyMap<string, GgufValue>;
  /** Files with weights: absolute path and size. */
  readonly files: readonly { readonly path: string; readonly sizeBytes: number }[];
}

interface Kind {
  readonly single: string;
  readonly index: string;
  /** Names that an index may give; anything else could point outside the folder. */
  readonly names: RegExp;
  readonly read: (file: FileHandle, sizeBytes: number) => Promise<readonly TensorEntry[]>;
}

/** The first of these that is there is the model. */
const KINDS: readonly [Kind, Kind] = [
  {
    single: 'model.safetensors',
    index: 'model.safetensors.index.json',
    names: /^[\w.-]+\.safetensors$/,
    read: readSafetensors,
  },
  {
    single: 'pytorch_model.bin',
    index: 'pytorch_model.bin.index.json',
    names: /^[\w.-]+\.bin$/,
    read: async (file, sizeBytes) => readTorch(sourceOf(file, sizeBytes)),
  },
];
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
  const kind = await kindOf(root);
  const index = await readJson(join(root, kind.index));
  const names = index === undefined ? [kind.single] : shardNames(index, join(root, kind.index), kind);
  const tensors = new Map<string, StoredTensor>();
  const files: { path: string; sizeBytes: number }[] = [];
  for (const name of names) {
    const path = join(root, name);
    const { header, sizeBytes } = await readFrom(path, kind.read);
    files.push({ path, sizeBytes });
    for (const entry of header) {
      if (tensors.has(entry.name)) throw invalid(path, 'stands in two files', entry.name);
      tensors.set(entry.name, { ...entry, path });
    }
  }
  if (index !== undefined) checkIndex(index, { root, indexPath: join(root, kind.index), tensors });
  for (const tensor of tensors.values()) {
    if (isScaled(tensor.dtype))
      tensors.set(tensor.name, { ...tensor, scale: findScale(tensor, { tensors, config }) });
  }
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

async function kindOf(root: string): Promise<Kind> {
  for (const kind of KINDS) {
    for (const name of [kind.index, kind.single]) if (await exists(join(root, name))) return kind;
  }
  return KINDS[0];
}

async function readSafetensors(file: FileHandle, size: number): Promise<readonly TensorEntry[]> {
  const prefix = new Uint8Array(PREFIX_BYTES);
  const { bytesRead } = await file.read(prefix, 0, PREFIX_BYTES, 0);
  const bytes = new Uint8Array(headerLength(prefix.subarray(0, bytesRead), size));
  await file.read(bytes, 0, bytes.length, PREFIX_BYTES);
  return parseHeader(bytes, size).tensors;
}

function sourceOf(file: FileHandle, sizeBytes: number): ByteSource {
  return {
    sizeBytes,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const count = readSync(file.fd, bytes, done, length - done, offset + done);
        if (count === 0) throw new SaharaError('tensor-invalid', { reason: 'file ends too early' });
        done += count;
      }
      return bytes;
    },
  };
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

// A weight map from tensor names to files in the same folder.
function shardNames(index: Readonly<Record<string, unknown>>, path: string, kind: Kind): string[] {
  const names = new Set(Object.values(weightMap(index, path)));
  for (const name of names) {
    if (!kind.names.test(name)) throw invalid(path, 'names a file outside the model', name);
  }
  if (names.size === 0) throw invalid(path, 'names no file');
  if (names.size > SHARDS_MAX) throw invalid(path, 'names too many files');
  return [...names].sort();
}

function checkIndex(
  index: Readonly<Record<string, unknown>>,
  {
    root,
    indexPath,
    tensors,
  }: {
    readonly root: string;
    readonly indexPath: string;
    readonly tensors: ReadonlyMap<string, StoredTensor>;
  },
): void {
  const map = weightMap(index, indexPath);
  for (const [name, file] of Object.entries(map)) {
    if (tensors.get(name)?.path !== join(root, file))
      throw invalid(join(root, file), 'lacks a tensor of the index', name);
  }
  for (const { name, path } of tensors.values()) {
    if (!Object.hasOwn(map, name)) throw invalid(path, 'has a tensor that the index lacks', name);
  }
}

function weightMap(index: Readonly<Record<string, unknown>>, path: string): Record<string, string> {
  const map = index.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw invalid(path, 'has no weight map');
  }
  const files: Record<string, string> = Object.create(null);
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string') throw invalid(path, 'names no file', name);
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

/** Whether there is a file or folder at `path`. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function invalid(path: string, reason: string, name?: string): SaharaError {
  return new SaharaError('tensor-invalid', { reason, path, ...(name === undefined ? {} : { name }) });
}
