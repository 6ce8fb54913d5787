/** Sound inputs from the vectors of `spec/`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '../../src/base/bytes.ts';

/** The parsed file `spec/vectors/<name>.json`. */
export function vectorFile(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, `../../spec/vectors/${name}.json`), 'utf8'));
}

/** Every text under one of `keys` anywhere in a vector file, in order. */
export function vectorTexts(name: string, keys: readonly string[]): string[] {
  const found: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inside] of Object.entries(value)) {
      if (typeof inside === 'string' && keys.includes(key)) found.push(inside);
      else walk(inside);
    }
  };
  walk(vectorFile(name));
  return found;
}

/** The byte strings under one of `keys` in a vector file, sound and unsound ones. */
export function vectorBytes(name: string, keys: readonly string[]): Uint8Array[] {
  return vectorTexts(name, keys).flatMap((hex) => fromHex(hex) ?? []);
}
