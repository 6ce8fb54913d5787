/**
 * Typed records over the canonical encoding. A record is an array of its fields in their declared order: every
 * field has a place, an absent optional one is null, and a longer or shorter array is refused. The declaration
 * is at once the type, the writer and the reader.
 */
import { SaharaError } from '../base/errors.ts';
import { malformed, Reader, Writer } from './codec.ts';

/** How one kind of value is written and read. */
export interface Field<T> {
  write(writer: Writer, value: T): void;
  read(reader: Reader): T;
}

/** The value type of a field. */
export type ValueOf<F> = F extends Field<infer T> ? T : never;

/** A record's declaration: it can be nested as a field, and stands alone as `encode` and `decode`. */
export interface Schema<T> extends Field<T> {
  readonly name: string;
  /** Canonical bytes of `value`. */
  encode(value: T): Uint8Array;
  /** The value of `bytes`, all of them; `malformed` for anything else. */
  decode(bytes: Uint8Array): T;
}

/** Greatest amount of money, in grains: a billion SAHARA. Sums of two amounts stay inside 64 bits. */
export const GRAINS_MAX: bigint = 10n ** 18n;

/** An unsigned integer up to `max` (at most 2^53 - 1). */
export function uint(max: number = Number.MAX_SAFE_INTEGER): Field<number> {
  return { write: (writer, value) => writer.uint(checked(value, max)), read: (reader) => reader.uint(max) };
}

function checked(value: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > max) {
    throw new SaharaError('internal', { reason: `integer out of range: ${value}` });
  }
  return value;
}

/** An unsigned 32-bit integer. */
export const u32: Field<number> = uint(0xffff_ffff);

/** A signed integer in `min..max`. */
export function int(min: number, max: number): Field<number> {
  return { write: (writer, value) => writer.int(value), read: (reader) => reader.int(min, max) };
}

/** An amount of money in grains. */
export const grains: Field<bigint> = {
  write(writer, value) {
    if (value < 0n || value > GRAINS_MAX)
      throw new SaharaError('internal', { reason: 'amount out of range' });
    writer.uint(value);
  },
  read: (reader) => reader.bigUint(GRAINS_MAX),
};

/** A byte string of exactly `length` bytes. */
export function bytes(length: number): Field<Uint8Array> {
  return bytesUpTo(length, length);
}

/** A byte string of `min` to `max` bytes. */
export function bytesUpTo(max: number, min = 0): Field<Uint8Array> {
  return {
    write(writer, value) {
      if (value.length < min || value.length > max) {
        throw new SaharaError('internal', { reason: `byte string of ${value.length} bytes` });
      }
      writer.bytes(value);
    },
    read: (reader) => reader.bytes(min, max),
  };
}

/** A text of at most `max` UTF-8 bytes. */
export function text(max: number): Field<string> {
  return { write: (writer, value) => writer.text(value), read: (reader) => reader.text(max) };
}

/** True or false. */
export const bool: Field<boolean> = {
  write: (writer, value) => writer.bool(value),
  read: (reader) => reader.bool(),
};

/** One of a closed list of words. */
export function oneOf<const T extends string>(...words: readonly T[]): Field<T> {
  return {
    write: (writer, value) => writer.uint(words.indexOf(value)),
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
    write: (writer, value) => (value === undefined ? writer.null() : field.write(writer, value)),
    read: (reader) => (reader.nullNext() ? undefined : field.read(reader)),
  };
}

/** Up to `max` values of one kind. */
export function list<T>(field: Field<T>, max: number): Field<readonly T[]> {
  return {
    write(writer, values) {
      if (values.length > max) throw new SaharaError('internal', { reason: 'list too long' });
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

/** A map from texts to values, in canonical key order. */
export function mapOf<T>(field: Field<T>, max: number, keyMax = 64): Field<ReadonlyMap<string, T>> {
  return {
    write: (writer, value) => writer.map(value, (item) => field.write(writer, item)),
    read: (reader) => reader.map(max, keyMax, () => field.read(reader)),
  };
}

/** Fields of a record, in wire order. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** The value type of a record. */
export type RecordOf<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };

/** A record whose fields stand in their declared order. */
export function record<F extends Fields>(name: string, fields: F): Schema<RecordOf<F>> {
  const entries = Object.entries(fields) as readonly (readonly [keyof F & string, Field<unknown>])[];
  return schema<RecordOf<F>>(name, {
    write(writer, value) {
      writer.array(entries.length);
      for (const [key, field] of entries) field.write(writer, value[key]);
    },
    read(reader) {
      if (reader.array(entries.length) !== entries.length) throw malformed(`${name}: wrong number of fields`);
      const value: Partial<Record<keyof F & string, unknown>> = {};
      for (const [key, field] of entries) value[key] = field.read(reader);
      reader.leave();
      // Every declared field was just read by its own reader.
      return value as RecordOf<F>;
    },
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
  const byTag = new Map(
    Object.entries(variants).map(([type, [tag, body]]) => [tag, [type, body] as const] as const),
  );
  return schema<UnionOf<V>>(name, {
    write(writer, value) {
      const variant = variants[value.type];
      if (variant === undefined) throw new SaharaError('internal', { reason: `${name}: unknown kind` });
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
  });
}

/** A field that also stands alone. */
export function schema<T>(name: string, field: Field<T>): Schema<T> {
  return {
    name,
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
