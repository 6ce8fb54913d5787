import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { Writer } from '../../src/protocol/codec.ts';
import {
  bool,
  bytes,
  bytesUpTo,
  type Field,
  GRAINS_MAX,
  grains,
  int,
  list,
  mapOf,
  oneOf,
  optional,
  record,
  type Schema,
  schema,
  text,
  u32,
  uint,
  union,
} from '../../src/protocol/schema.ts';
import { sampleBytes } from './samples.ts';
import { SCHEMAS } from './schemas.ts';

const point = record('point', { x: uint(100), label: optional(text(8)), tags: list(text(4), 3) });
const shape = union('shape', {
  dot: [1, record('dot', { at: point })],
  none: [7, record('none', {})],
});

function canWrite<T>(field: Field<T>, value: T): boolean {
  try {
    field.write(new Writer(), value);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'internal' });
    return false;
  }
}

describe('records', () => {
  it('stand as arrays of their fields in order (ENC-10)', () => {
    const encoded = point.encode({ x: 5, label: undefined, tags: ['a'] });
    expect(toHex(encoded)).toBe('8305f6816161');
    expect(point.decode(encoded)).toEqual({ x: 5, label: undefined, tags: ['a'] });
  });

  it.each(['8205f6', '8405f6816100f6', '8305f6', '83f6f680', '8318 65f680', '8305f68461616161616161 61'])(
    'refuse another number of fields, an absent required one or a value out of range: %s (ENC-10)',
    (hex) => {
      expect(() => point.decode(fromSpaced(hex))).toThrow('malformed');
    },
  );

  it('tell kinds of a union by their number (ENC-11)', () => {
    const dot = { type: 'dot', at: { x: 1, label: 'l', tags: [] } } as const;
    expect(shape.decode(shape.encode(dot))).toEqual(dot);
    expect(toHex(shape.encode({ type: 'none' }))).toBe('820780');
    for (const hex of ['820280', '8307800', '820781 00', '8207']) {
      expect(() => shape.decode(fromSpaced(hex))).toThrow('malformed');
    }
    expect(canWrite(shape, { type: 'toString' } as unknown as { readonly type: 'none' })).toBe(false);
  });

  it('do not write what they would not read (ENC-2, ENC-14)', () => {
    expect(canWrite(uint(5), 6)).toBe(false);
    expect(canWrite(u32, 2 ** 32)).toBe(false);
    expect(canWrite(int(-3, 3), -4)).toBe(false);
    expect(canWrite(int(-3, 3), 1.5)).toBe(false);
    expect(canWrite(grains, GRAINS_MAX + 1n)).toBe(false);
    expect(canWrite(grains, -1n)).toBe(false);
    expect(canWrite(bytes(2), new Uint8Array(3))).toBe(false);
    expect(canWrite(bytesUpTo(2, 1), new Uint8Array(0))).toBe(false);
    expect(canWrite(text(3), 'ää')).toBe(false);
    expect(canWrite(list(bool, 1), [true, true])).toBe(false);
    expect(
      canWrite(
        mapOf(bool, 1),
        new Map([
          ['a', true],
          ['b', true],
        ]),
      ),
    ).toBe(false);
    expect(canWrite(mapOf(bool, 1, 2), new Map([['abc', true]]))).toBe(false);
    expect(canWrite(oneOf('a', 'b'), 'c' as 'a')).toBe(false);
  });

  it('refuse words that are not in the list (ENC-12)', () => {
    const word: Schema<'a' | 'b'> = schema('word', oneOf('a', 'b'));
    expect(word.decode(Uint8Array.of(1))).toBe('b');
    expect(() => word.decode(Uint8Array.of(2))).toThrow('malformed');
    expect(() => word.decode(Uint8Array.of(0x61, 0x61))).toThrow('malformed');
  });

  it('say what they consist of', () => {
    expect(point.fields.map(({ name, about }) => `${name}: ${about}`)).toEqual([
      'x: uint(100)',
      'label: optional text(8)',
      'tags: list(3) of text(4)',
    ]);
    expect(shape.inner.map(({ name }) => name)).toEqual(['dot', 'none']);
    expect(shape.inner[0]?.inner).toEqual([point]);
    for (const known of SCHEMAS) {
      expect(
        known.fields.every(({ about }) => about !== 'custom'),
        known.name,
      ).toBe(true);
    }
  });
});

function fromSpaced(hex: string): Uint8Array {
  const digits = hex.replaceAll(' ', '');
  return Uint8Array.from({ length: Math.floor(digits.length / 2) }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

describe('every record of the protocol', () => {
  it.each(sampleBytes())(
    '$name: what is accepted encodes to itself, whatever is changed (ENC-2)',
    (sample) => {
      const { schema: known, encoded } = sample;
      expect(toHex(known.encode(known.decode(encoded)))).toBe(toHex(encoded));
      const edit = fc.record({
        at: fc.nat(encoded.length),
        removed: fc.nat(3),
        added: fc.uint8Array({ maxLength: 3 }),
      });
      let accepted = 0;
      fc.assert(
        fc.property(edit, ({ at, removed, added }) => {
          const changed = Uint8Array.from([
            ...encoded.subarray(0, at),
            ...added,
            ...encoded.subarray(at + removed),
          ]);
          let value: unknown;
          try {
            value = known.decode(changed);
          } catch (error) {
            expect(error).toMatchObject({ code: 'malformed' });
            return;
          }
          accepted++;
          expect(toHex(known.encode(value))).toBe(toHex(changed));
        }),
        { numRuns: 300 },
      );
      expect(accepted).toBeGreaterThan(0);
    },
  );

  it('bounds the work on random bytes (ENC-8)', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SCHEMAS), fc.uint8Array({ maxLength: 2000 }), (known, noise) => {
        try {
          known.decode(noise);
        } catch (error) {
          expect(error).toMatchObject({ code: 'malformed' });
        }
      }),
      { numRuns: 3000 },
    );
  });
});
