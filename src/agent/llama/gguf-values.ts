/** Typed access to the metadata of a GGUF file. What is of another type than it should be is refused, not converted. */
import { fromUtf8 } from '../../base/bytes.ts';
import type { GgufValue } from '../../merge/gguf.ts';
import type { KeyRule } from './architectures.ts';
import { unsound } from './gguf-error.ts';

/** What stands before the data, by name. */
export type Metadata = ReadonlyMap<string, GgufValue>;

const STRING = 8;
const FLAG = 7;
const INTEGERS: readonly number[] = [0, 1, 2, 3, 4, 5, 10, 11];
const FLOATS: readonly number[] = [6, 12];
const ITEM_BYTES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];
/** Item type and length stand before the items of an array. */
const ARRAY_HEAD_BYTES = 12;

/** The whole number under `key`, within bounds, or `undefined` when there is none. */
export function integerAt(
  metadata: Metadata,
  key: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const found = metadata.get(key);
  if (found === undefined) return undefined;
  if (!INTEGERS.includes(found.type)) throw unsound('a number of another type is needed', { key });
  const value = Number(found.value);
  if (!(Number.isSafeInteger(value) && value >= min && value <= max)) {
    throw unsound('a number is out of bounds', { key, found: String(found.value), min, max });
  }
  return value;
}

/** The text under `key`, or `undefined` when there is none. */
export function textAt(metadata: Metadata, key: string, bytesMax: number): string | undefined {
  const found = metadata.get(key);
  if (found === undefined) return undefined;
  if (typeof found.value !== 'string') throw unsound('a text is needed', { key });
  if (found.bytes.length - 8 > bytesMax) throw unsound('a text is too long', { key, bytesMax });
  return found.value;
}

/** Checks what stands under `key` by `rule`. */
export function checkKey(metadata: Metadata, key: string, rule: KeyRule): void {
  const found = metadata.get(key);
  if (found === undefined) {
    if ('required' in rule && rule.required) throw unsound('a key is missing', { key });
    return;
  }
  if (rule.kind === 'integer') integerAt(metadata, key, rule);
  else if (rule.kind === 'flag') {
    if (found.type !== FLAG) throw unsound('a flag is needed', { key });
  } else if (rule.kind === 'word') {
    const word = textAt(metadata, key, 64);
    if (word === undefined || !rule.among.includes(word))
      throw unsound('an unknown word', { key, allowed: rule.among });
  } else if (rule.kind === 'texts') {
    const { item, length } = arrayAt(metadata, key) ?? { item: -1, length: 0 };
    if (item !== STRING || length !== rule.lengthMax) throw unsound('a list of texts is needed', { key });
  } else {
    const { value } = found;
    if (!FLOATS.includes(found.type) || typeof value !== 'number') {
      throw unsound('a fraction is needed', { key });
    }
    // Also false for what is no number.
    if (!(value >= rule.min && value <= rule.max)) {
      throw unsound('a number is out of bounds', { key, found: String(value), min: rule.min, max: rule.max });
    }
  }
}

/** An array of metadata: the type of its items, how many, and their bytes. */
export interface GgufArray {
  readonly item: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** The array under `key`, or `undefined` when there is none. */
export function arrayAt(metadata: Metadata, key: string): GgufArray | undefined {
  const found = metadata.get(key);
  if (found === undefined) return undefined;
  if (found.length === undefined) throw unsound('a list is needed', { key });
  const view = viewOf(found.bytes);
  return {
    item: view.getUint32(0, true),
    length: found.length,
    bytes: found.bytes.subarray(ARRAY_HEAD_BYTES),
  };
}

/** Calls `each` with every text of an array of texts. Refuses what is not UTF-8. */
export function eachText(
  { bytes, length }: GgufArray,
  key: string,
  each: (text: string, i: number) => void,
): void {
  const view = viewOf(bytes);
  let at = 0;
  for (let i = 0; i < length; i++) {
    const size = Number(view.getBigUint64(at, true));
    const text = fromUtf8(bytes.subarray(at + 8, at + 8 + size));
    if (text === undefined) throw unsound('a text is not UTF-8', { key, item: i });
    each(text, i);
    at += 8 + size;
  }
}

/** The items of an array of 32-bit numbers of `type`. */
export function numbersOf(array: GgufArray, type: number): readonly number[] | undefined {
  if (array.item !== type || ITEM_BYTES[type] !== 4) return undefined;
  const view = viewOf(array.bytes);
  return Array.from({ length: array.length }, (_, i) =>
    FLOATS.includes(type) ? view.getFloat32(4 * i, true) : view.getInt32(4 * i, true),
  );
}

/** Whether an array holds texts. */
export function holdsTexts(array: GgufArray): boolean {
  return array.item === STRING;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
