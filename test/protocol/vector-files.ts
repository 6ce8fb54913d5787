import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '../../src/base/bytes.ts';

/** A case of a vector file: its values by name, all JSON. */
export type Case = Readonly<Record<string, unknown>> & { readonly name: string };

/** A file of vectors as it is checked in. */
export interface VectorFile {
  readonly text: string;
  readonly given: Readonly<Record<string, unknown>>;
  readonly valid: readonly Case[];
  readonly invalid: readonly Case[];
}

/** Reads `spec/vectors/<name>.json`. */
export function vectors(name: string): VectorFile {
  const text = readFileSync(join(import.meta.dirname, `../../spec/vectors/${name}.json`), 'utf8');
  const file = JSON.parse(text) as Omit<VectorFile, 'text' | 'given'> & Partial<VectorFile>;
  return { ...file, given: file.given ?? {}, text };
}

/** The bytes of a hex value of a case. */
export function bytesOf(entry: Readonly<Record<string, unknown>>, key: string): Uint8Array {
  const bytes = fromHex(String(entry[key]));
  if (bytes === undefined) throw new TypeError(`${key} is not hex`);
  return bytes;
}
