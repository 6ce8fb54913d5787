import { readFileSync } from 'node:fs';

/** A file of vectors: cases that hold, and cases that must be refused or differ. */
export interface Vectors<V, I = V> {
  readonly valid: readonly V[];
  readonly invalid: readonly I[];
}

/** The vectors in `spec/vectors/knowledge/<name>.json`. */
export function readVectors<V, I = V>(name: string): Vectors<V, I> {
  const url = new URL(`../../spec/vectors/knowledge/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Vectors<V, I>;
}
