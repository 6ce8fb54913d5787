import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex, utf8 } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { DEPTH_MAX, Reader, Writer } from '../../src/protocol/codec.ts';

type Value = bigint | string | boolean | null | Uint8Array | readonly Value[] | ReadonlyMap<string, Value>;

function write(writer: Writer, value: Value): void {
  if (value === null) writer.null();
  else if (typeof value === 'bigint') writer.uint(value);
  else if (typeof value === 'string') writer.text(value);
  else if (typeof value === 'boolean') writer.bool(value);
  else if (value instanceof Uint8Array) writer.bytes(value);
  else if (value instanceof Map) writer.map(value, (item: Value) => write(writer, item));
  else {
    const items = value as readonly Value[];
    writer.array(items.length);
    for (const item of items) write(writer, item);
  }
}

function encode(value: Value): Uint8Array {
  const writer = new Writer();
  write(writer, value);
  return writer.finish();
}

/** Reads whatever is next, by its first byte. */
function readAny(reader: Reader, bytes: Uint8Array, at: () => number): Value {
  const first = bytes[at()] ?? 0xff;
  const major = first >> 5;
  if (major === 0) return reader.bigUint(2n ** 64n - 1n);
  if (major === 2) return reader.bytes(0, 1 << 20);
  if (major === 3) return reader.text(1 << 20);
  if (major === 4) {
    const items: Value[] = [];
    const length = reader.array(1 << 20);
    for (let i = 0; i < length; i++) items.push(readAny(reader, bytes, at));
    reader.leave();
    return items;
  }
  if (major === 5) return reader.map(1 << 20, 1 << 20, () => readAny(reader, bytes, at));
  return reader.nullNext() ? null : reader.bool();
}

function decode(bytes: Uint8Array): Value {
  const reader = new Reader(bytes);
  const value = readAny(reader, bytes, () => reader.offset);
  reader.end();
  return value;
}

/** The same value in the terms of @ipld/dag-cbor. */
function plain(value: Value): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'bigint' && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  return value;
}

const wellFormed = fc.string({ unit: 'grapheme', maxLength: 40 });
const anyValue = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    wellFormed,
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value') as fc.Arbitrary<Value>, { maxLength: 30 }),
    fc
      .dictionary(wellFormed, tie('value') as fc.Arbitrary<Value>, { maxKeys: 30 })
      .map((entries) => new Map(Object.entries(entries))),
  ),
})).value;

const refusal = (bytes: Uint8Array): string => {
  try {
    decode(bytes);
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'malformed') return String(error.facts.reason);
    throw error;
  }
  return '';
};
const hex = (text: string): Uint8Array => fromHex(text.replaceAll(' ', '')) ?? new Uint8Array(0);

describe('the canonical encoding', () => {
  it('reads back what it writes (ENC-1)', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = encode(value);
        expect(toHex(encode(decode(bytes)))).toBe(toHex(bytes));
      }),
    );
  });

  it('writes the bytes that @ipld/dag-cbor writes (ENC-1)', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(toHex(encode(value))).toBe(toHex(dagCbor.encode(plain(value))));
      }),
    );
  });

  it('accepts of random bytes only those that encode to themselves (ENC-2)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        let value: Value;
        try {
          value = decode(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'malformed' });
          return;
        }
        expect(toHex(encode(value))).toBe(toHex(bytes));
      }),
      { numRuns: 5000 },
    );
  });

  it('accepts of changed encodings only those that encode to themselves (ENC-2)', () => {
    const change = fc.tuple(anyValue, fc.nat(), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(change, ([original, position, mask]) => {
        const bytes = encode(original).slice();
        const at = position % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        if (refusal(bytes) === '') expect(toHex(encode(decode(bytes)))).toBe(toHex(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['an integer below 24 in two bytes (ENC-3)', '18 17', 'integer not in shortest form'],
    ['an integer below 2^8 in three bytes (ENC-3)', '19 00 ff', 'integer not in shortest form'],
    ['an integer below 2^16 in five bytes (ENC-3)', '1a 00 00 ff ff', 'integer not in shortest form'],
    [
      'an integer below 2^32 in nine bytes (ENC-3)',
      '1b 00 00 00 00 ff ff ff ff',
      'integer not in shortest form',
    ],
    ['a length in a longer form (ENC-3)', '58 01 00', 'integer not in shortest form'],
    ['an array of indefinite length (ENC-4)', '9f ff', 'not a canonical head'],
    ['a byte string of indefinite length (ENC-4)', '5f 41 00 ff', 'not a canonical head'],
    ['reserved additional information (ENC-4)', '1c', 'not a canonical head'],
    ['a float (ENC-5)', 'fb 40 09 21 fb 54 44 2d 18', 'expected a boolean'],
    ['undefined (ENC-5)', 'f7', 'expected a boolean'],
    ['a tag (ENC-5)', 'c1 00', 'expected a boolean'],
    ['keys out of order (ENC-6)', 'a2 61 62 00 61 61 00', 'map keys not in canonical order'],
    ['a longer key before a shorter (ENC-6)', 'a2 62 61 61 00 61 62 00', 'map keys not in canonical order'],
    ['a key twice (ENC-6)', 'a2 61 61 00 61 61 00', 'map keys not in canonical order'],
    ['a map key that is not a text (ENC-6)', 'a1 00 00', 'unexpected type'],
    ['a text with an overlong sequence (ENC-7)', '62 c0 80', 'text is not UTF-8'],
    ['a text with a surrogate (ENC-7)', '63 ed a0 80', 'text is not UTF-8'],
    ['a text that is cut (ENC-8)', '63 61', 'truncated'],
    ['an array that is cut (ENC-8)', '82 00', 'expected a boolean'],
    ['bytes after the end (ENC-8)', '00 00', 'bytes after the end'],
    ['nothing (ENC-8)', '', 'expected a boolean'],
  ])('refuses %s', (_name, bytes, reason) => {
    const found = refusal(hex(bytes));
    expect(['truncated', reason]).toContain(found);
    expect(found).not.toBe('');
  });

  it('keeps texts as they are, composed or not (ENC-7)', () => {
    const composed = '\u00e9';
    const decomposed = 'e\u0301';
    expect(decode(encode(composed))).toBe(composed);
    expect(decode(encode(decomposed))).toBe(decomposed);
    expect(toHex(encode(composed))).not.toBe(toHex(encode(decomposed)));
    expect(decode(encode('\ufeffmark'))).toBe('\ufeffmark');
  });

  it('nests to its limit and no deeper (ENC-9)', () => {
    const nested = (depth: number): Uint8Array => concat(new Uint8Array(depth).fill(0x81), Uint8Array.of(0));
    expect(refusal(nested(DEPTH_MAX))).toBe('');
    expect(refusal(nested(DEPTH_MAX + 1))).toBe('nested too deeply');
    expect(refusal(nested(1_000_000))).toBe('nested too deeply');
    const maps = concat(...Array.from({ length: 40 }, () => hex('a1 61 61')), Uint8Array.of(0));
    expect(refusal(maps)).toBe('nested too deeply');
  });

  it('allocates nothing for a length that is only announced (ENC-8)', () => {
    for (const head of ['9b', 'bb', '5b', '7b']) {
      expect(refusal(hex(`${head} 00 00 00 01 00 00 00 00`))).toBe('too long');
    }
    for (const head of ['9a', 'ba', '5a', '7a']) {
      expect(refusal(hex(`${head} 00 0f ff ff`))).toMatch(/truncated|expected a boolean|unexpected type/);
    }
  });

  it('reads signed integers, one encoding each (ENC-3)', () => {
    const whole = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(whole, (value) => {
        const writer = new Writer();
        writer.int(value);
        const bytes = writer.finish();
        expect(toHex(bytes)).toBe(toHex(dagCbor.encode(value)));
        const reader = new Reader(bytes);
        expect(reader.int(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)).toBe(value);
      }),
    );
    expect(() => new Reader(hex('3b ff ff ff ff ff ff ff ff')).int(-10, 10)).toThrow('malformed');
    expect(() => new Reader(hex('29')).int(-9, 10)).toThrow('malformed');
  });

  it('reads bytes that begin inside a larger buffer', () => {
    const inside = concat(utf8('before'), encode([1n, 'two', 70_000n])).subarray(6);
    expect(decode(inside)).toEqual([1n, 'two', 70_000n]);
  });

  it.each([
    ['a negative integer', (writer: Writer) => writer.uint(-1)],
    ['a fraction', (writer: Writer) => writer.uint(1.5)],
    ['NaN', (writer: Writer) => writer.int(Number.NaN)],
    ['an unsafe integer', (writer: Writer) => writer.uint(2 ** 53)],
    ['2^64', (writer: Writer) => writer.uint(2n ** 64n)],
    ['a negative bigint', (writer: Writer) => writer.uint(-1n)],
    ['two keys that are one in UTF-8', (writer: Writer) => writer.map(twins, () => writer.null())],
  ])('does not write %s', (_name, attempt) => {
    expect(() => attempt(new Writer())).toThrow('cannot be encoded');
  });
});

const twins: ReadonlyMap<string, null> = new Map([
  ['\ud800', null],
  ['\ufffd', null],
]);
