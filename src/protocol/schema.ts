/**
 * Typed records over the canonical encoding. A record is an array of its fields in their declared order: every
 * field has a place, an absent optional one is null, and a longer or shorter array is refused, but for fields that were
 * added `later`, which are left out at the end. The declaration
 * is at once the type, the writer, the reader and the table in `spec/records.md`. A writer refuses what its own
 * reader would refuse, as an `internal` error: whoever fills a record checks its limits first.
 */
import { utf8 } from '../base/bytes.ts';
import { malformed, Reader, unwritable, Writer } from './codec.ts';

/** How one kind of value is written and read. */
export interface Field<T> {
  write(writer: Writer, value: T): void;
  read(reader: Reader): T;
  /** The kind in the words of `spec/encoding.md`, such as `text(64)`. */
  readonly about?: string;
  /** Whether it is left out at the end of a record, see `later`. */
  readonly later?: boolean;
}

/** The value type of a field. */
export type ValueOf<F> = F extends Field<infer T> ? T : never;

/** What `spec/records.md` says of one field. */
export interface FieldInfo {
  readonly name: string;
  readonly about: string;
}

/** A record's declaration: it can be nested as a field, and stands alone as `encode` and `decode`. */
export interface Schema<T> extends Field<T> {
  readonly name: string;
  /** A record's fields in wire order; for a union, its kinds with their numbers. Empty for other schemas. */
  readonly fields: readonly FieldInfo[];
  /** Records that stand inside this one. */
  readonly inner: readonly Schema<unknown>[];
  /** Canonical bytes of `value`. */
  encode(value: T): Uint8Array;
  /** The value of `bytes`, all of them; `malformed` for anything else. Byte strings are views of `bytes`. */
  decode(bytes: Uint8Array): T;
}

/** Greatest amount of money, in grains: a billion SAHARA. Sums of two amounts stay inside 64 bits. */
export const GRAINS_MAX: bigint = 10n ** 18n;

/** An unsigned integer up to `max` (at most 2^53 - 1). */
export function uint(max: number = Number.MAX_SAFE_INTEGER): Field<number> {
  return {
    about: max === Number.MAX_SAFE_INTEGER ? 'uint' : `uint(${max})`,
    write: (writer, value) => writer.uint(inRange(value, 0, max)),
    read: (reader) => reader.uint(max),
  };
}

function inRange(value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    unwritable(`integer ${value} outside ${min}..${max}`);
  }
  return value;
}

/** An unsigned 32-bit integer. */
export const u32: Field<number> = { ...uint(0xffff_ffff), about: 'u32' };

/** A signed integer in `min..max`. */
export function int(min: number, max: number): Field<number> {
  return {
    about: `int(${min}..${max})`,
    write: (writer, value) => writer.int(inRange(value, min, max)),
    read: (reader) => reader.int(min, max),
  };
}

/** An amount of money in grains. */
export const grains: Field<bigint> = {
  about: 'grains',
  write(writer, value) {
    if (value < 0n || value > GRAINS_MAX) unwritable('amount out of range');
    writer.uint(value);
  },
  read: (reader) => reader.bigUint(GRAINS_MAX),
};

/** A byte string of exactly `length` bytes. */
export function bytes(length: number): Field<Uint8Array> {
  return { ...bytesUpTo(length, length), about: `bytes(${length})` };
}

/** A byte string of `min` to `max` bytes. */
export function bytesUpTo(max: number, min = 0): Field<Uint8Array> {
  return {
    about: `bytes(${min}..${max})`,
    write(writer, value) {
      if (value.length < min || value.length > max) {
        unwritable(`byte string of ${value.length} bytes, ${min} to ${max} allowed`);
      }
      writer.bytes(value);
    },
    read: (reader) => reader.bytes(min, max),
  };
}

/** A text of at most `max` UTF-8 bytes. */
export function text(max: number): Field<string> {
  return {
    about: `text(${max})`,
    write: (writer, value) => writer.text(value, max),
    read: (reader) => reader.text(max),
  };
}

/** True or false. */
export const bool: Field<boolean> = {
  about: 'bool',
  write: (writer, value) => writer.bool(value),
  read: (reader) => reader.bool(),
};

/** One of a closed list of words; on the wire its position in the list. */
export function oneOf<const T extends string>(...words: readonly T[]): Field<T> {
  return {
    about: `one of ${words.map((word, i) => `${i} ${word}`).join(', ')}`,
    write(writer, value) {
      const at = words.indexOf(value);
      if (at < 0) unwritable(`${String(value)} is none of ${words.join(', ')}`);
      writer.uint(at);
    },
    read(reader) {
      const word = words[reader.uint(words.length - 1)];
      if (word === undefined) throw malformed('unknown word');
      return word;
    },
  };
}

/** A field that may be absent. */
export function optional<T>(field: Field<T>): Field<T | undefined> {
  return {
    ...nested(field, `optional ${nameOf(field)}`),
    write: (writer, value) => (value === undefined ? writer.null() : field.write(writer, value)),
    read: (reader) => (reader.nullNext() ? undefined : field.read(reader)),
  };
}

/**
 * A field that was added to the end of a record after others were written without it: absent, it is left out with all that
 * would follow. So every record reads as before, and has one form.
 */
export function later<T>(field: Field<T>): Field<T | undefined> {
  return { ...optional(field), ...nested(field, `later ${nameOf(field)}`), later: true };
}

/** Up to `max` values of one kind. */
export function list<T>(field: Field<T>, max: number): Field<readonly T[]> {
  return {
    ...nested(field, `list(${max}) of ${nameOf(field)}`),
    write(writer, values) {
      if (values.length > max) unwritable(`list of ${values.length}, at most ${max}`);
      writer.array(values.length);
      for (const value of values) field.write(writer, value);
    },
    read(reader) {
      const length = reader.array(max);
      const values: T[] = [];
      for (let i = 0; i < length; i++) values.push(field.read(reader));
      reader.leave();
      return values;
    },
  };
}

/** A map of at most `max` texts, each of at most `keyMax` UTF-8 bytes, to values; in canonical key order. */
export function mapOf<T>(field: Field<T>, max: number, keyMax = 64): Field<ReadonlyMap<string, T>> {
  return {
    ...nested(field, `map(${max}) from text(${keyMax}) to ${nameOf(field)}`),
    write(writer, value) {
      if (value.size > max) unwritable(`map of ${value.size}, at most ${max}`);
      for (const key of value.keys()) if (utf8(key).length > keyMax) unwritable('map key too long');
      writer.map(value, (item) => field.write(writer, item));
    },
    read: (reader) => reader.map(max, keyMax, () => field.read(reader)),
  };
}

/** Fields of a record, in wire order. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** The value type of a record. */
export type RecordOf<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };

/** A record whose fields stand in their declared order; those added `later` are the last. */
export function record<F extends Fields>(name: string, fields: F): Schema<RecordOf<F>> {
  const entries = Object.entries(fields) as readonly (readonly [keyof F & string, Field<unknown>])[];
  const least = entries.length - entries.filter(([, { later: isLater }]) => isLater).length;
  const field: Field<RecordOf<F>> = {
    write(writer, value) {
      let length = entries.length;
      while (length > least && value[(entries[length - 1] as (typeof entries)[number])[0]] === undefined)
        length--;
      writer.array(length);
      let left = length;
      for (const [key, field] of entries) if (left-- > 0) field.write(writer, value[key]);
    },
    read(reader) {
      const length = reader.array(entries.length);
      if (length < least) throw malformed(`${name}: wrong number of fields`);
      const value: Partial<Record<keyof F & string, unknown>> = {};
      let left = length;
      let last: unknown;
      for (const [key, field] of entries) {
        if (left-- <= 0) break;
        last = field.read(reader);
        value[key] = last;
      }
      reader.leave();
      if (length > least && last === undefined) throw malformed(`${name}: an absent last field`);
      // Every declared field was just read by its own reader, or is one that may be left out.
      return value as RecordOf<F>;
    },
  };
  return describe(schema(name, field), {
    fields: entries.map(([key, inside]) => ({ name: key, about: nameOf(inside) })),
    inner: entries.flatMap(([, inside]) => innerOf(inside)),
  });
}

/** The kinds of a union: each name's number on the wire and its record. */
export type Variants = Readonly<Record<string, readonly [tag: number, body: Schema<unknown>]>>;

/** The value type of a union: each kind's record with its name as `type`. */
export type UnionOf<V extends Variants> = {
  readonly [K in keyof V & string]: { readonly type: K } & ValueOf<V[K][1]>;
}[keyof V & string];

/** One of several records, told apart by a number: `[tag, record]`. */
export function union<V extends Variants>(name: string, variants: V): Schema<UnionOf<V>> {
  const entries = Object.entries(variants);
  const byTag = new Map(entries.map(([type, [tag, body]]) => [tag, [type, body] as const] as const));
  const field: Field<UnionOf<V>> = {
    write(writer, value) {
      const variant = Object.hasOwn(variants, value.type) ? variants[value.type] : undefined;
      if (variant === undefined) return unwritable(`${name}: unknown kind`);
      writer.array(2);
      writer.uint(variant[0]);
      variant[1].write(writer, value);
    },
    read(reader) {
      if (reader.array(2) !== 2) throw malformed(`${name}: expected a tag and a body`);
      const variant = byTag.get(reader.uint(0xff));
      if (variant === undefined) throw malformed(`${name}: unknown kind`);
      const [type, body] = variant;
      const value = { type, ...(body.read(reader) as object) };
      reader.leave();
      // The body was read by the schema that `type` names.
      return value as UnionOf<V>;
    },
  };
  return describe(schema(name, field), {
    fields: entries.map(([type, [tag, body]]) => ({ name: type, about: `${tag} ${body.name}` })),
    inner: entries.map(([, [, body]]) => body),
  });
}

/** A field that also stands alone. */
export function schema<T>(name: string, field: Field<T>): Schema<T> {
  return {
    name,
    about: name,
    fields: [],
    inner: innerOf(field),
    write: field.write,
    read: field.read,
    encode(value) {
      const writer = new Writer();
      field.write(writer, value);
      return writer.finish();
    },
    decode(encoded) {
      const reader = new Reader(encoded);
      const value = field.read(reader);
      reader.end();
      return value;
    },
  };
}

type Described = Field<unknown> & { readonly inner?: readonly Schema<unknown>[]; readonly name?: string };

function describe<T>(made: Schema<T>, facts: Pick<Schema<T>, 'fields' | 'inner'>): Schema<T> {
  return { ...made, ...facts };
}

function nameOf(field: Described): string {
  return field.name ?? field.about ?? 'custom';
}

/** Records inside a field: itself when it is one. */
function innerOf(field: Described): readonly Schema<unknown>[] {
  // A name together with `inner` is what only `schema` makes.
  if (field.name !== undefined && field.inner !== undefined) return [field as Schema<unknown>];
  return field.inner ?? [];
}

function nested(field: Field<unknown>, about: string): { about: string; inner: readonly Schema<unknown>[] } {
  return { about, inner: innerOf(field) };
}
