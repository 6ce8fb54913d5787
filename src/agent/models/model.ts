/** What a home knows of a model file: what it is, how large, where from. */
import { SaharaError } from '../../base/errors.ts';
import { bool, bytes, oneOf, optional, record, type Schema, text, u32, uint } from '../../protocol/schema.ts';
import type { GgufFacts, GgufSummary } from '../llama/gguf-check.ts';

/** What a validator found in a file: enough to say what it needs and where it fits. */
export type ModelFacts = GgufFacts;

/** Looks through a whole file. Throws `model-invalid` with the reason, `file-missing`, `cancelled`. */
export type ModelCheck = (path: string, options: { readonly signal: AbortSignal }) => Promise<GgufSummary>;

/** A model of a home. */
export interface StoredModel extends GgufSummary {
  readonly name: string;
  /** The file or address that it came from. */
  readonly source: string;
  readonly addedAtMs: number;
}

const modelFacts: Schema<ModelFacts> = record('model-facts', {
  kind: oneOf('model', 'adapter'),
  architecture: text(64),
  // At most 256 characters.
  title: text(1024),
  quantisation: text(32),
  weightsBytes: uint(),
  parameters: uint(),
  contextMax: u32,
  layers: u32,
  embedding: u32,
  vocabulary: u32,
  cacheBytesPerToken: uint(),
  hasTemplate: bool,
});

/** What a home writes of a model under its name. */
export interface ModelEntry extends StoredModel {
  /** Time of the last change of the file as the file system tells it, in whole milliseconds: another one means that the file has to be looked through anew. */
  readonly changedAtMs: number;
}

/** The stored form of a model of a home. */
export const modelEntry: Schema<ModelEntry> = record('model-entry', {
  name: text(64),
  digest: bytes(32),
  sizeBytes: uint(),
  facts: modelFacts,
  source: text(2048),
  addedAtMs: uint(),
  changedAtMs: uint(),
});

/** What is known of a download that has not ended. */
export interface PartEntry {
  readonly name: string;
  readonly url: string;
  /** What the server calls this version of the file: a strong entity tag or a date. */
  readonly validator: string | undefined;
  readonly totalBytes: number | undefined;
  /** SHA-256 that the whole must have. */
  readonly sha256: Uint8Array | undefined;
}

/** The stored form of a download that has not ended. */
export const partEntry: Schema<PartEntry> = record('model-part', {
  name: text(64),
  url: text(2048),
  validator: optional(text(512)),
  totalBytes: optional(uint()),
  sha256: optional(bytes(32)),
});

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** A name that a model can have. Throws `usage`. */
export function checkedModelName(name: string): string {
  if (NAME.test(name)) return name;
  const reason = `A model's name has lower-case letters, digits, dots, - and _, at most 64; not "${name}"`;
  throw new SaharaError('usage', { reason });
}

/** The name that a file's own name suggests: `Qwen3-8B-Q4_K_M.gguf` becomes `qwen3-8b-q4_k_m`. */
export function modelNameOf(file: string): string {
  const last = file.split(/[/\\]/).at(-1) ?? '';
  const plain = last
    .replace(/\.gguf$/i, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64);
  return plain === '' ? 'model' : plain;
}
