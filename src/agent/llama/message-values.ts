/** What both readers of messages read values by: each throws `malformed` for what is not as it should be. */
import { SaharaError } from '../../base/errors.ts';

/** The fields of an object by their names. Throws `malformed`. */
export function fieldsOf(value: unknown): (name: string) => unknown {
  if (typeof value !== 'object' || value === null) throw malformed('message');
  const record = new Map<string, unknown>(Object.entries(value));
  return (name) => record.get(name);
}

/** The number of a request. */
export function readId(value: unknown): number {
  return readNumber(value, { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true });
}

/** A whole number from 0. */
export function readCount(value: unknown): number {
  return readNumber(value, { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true });
}

/** A number within bounds. */
export function readNumber(
  value: unknown,
  { min, max, whole = false }: { readonly min: number; readonly max: number; readonly whole?: boolean },
): number {
  const sound = typeof value === 'number' && value >= min && value <= max;
  if (!sound || (whole && !Number.isSafeInteger(value))) throw malformed('number');
  return value;
}

/** A text of at most that many UTF-16 units. */
export function readText(value: unknown, lengthMax: number): string {
  if (typeof value !== 'string' || value.length > lengthMax) throw malformed('text');
  return value;
}

/** One of a few words. */
export function readOne<T extends string>(value: unknown, among: readonly T[]): T {
  const found = among.find((one) => one === value);
  if (found === undefined) throw malformed('word');
  return found;
}

/** At most that many of one kind. */
export function readList<T>(value: unknown, lengthMax: number, read: (item: unknown) => T): readonly T[] {
  if (!Array.isArray(value) || value.length > lengthMax) throw malformed('list');
  return value.map(read);
}

/** What is said of a message that is not as it should be. */
export function malformed(what: string): SaharaError {
  return new SaharaError('malformed', { what: `model host message: ${what}` });
}
