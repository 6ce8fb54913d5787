import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareBytes,
  concat,
  equalBytes,
  fromHex,
  fromUtf8,
  prefixEnd,
  readU64be,
  toHex,
  u32be,
  u64be,
  utf8,
} from '../../src/base/bytes.ts';

const anyBytes = fc.uint8Array({ maxLength: 80 });

describe('byte strings', () => {
  it('become hex and come back', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
    for (const bad of ['0', 'zz', '0x00', ' 00', '0 ']) expect(fromHex(bad)).toBeUndefined();
  });

  it('compare as Buffer does', () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
        expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
      }),
    );
  });

  it('join in order', () => {
    fc.assert(
      fc.property(fc.array(anyBytes), (parts) => {
        expect(toHex(concat(...parts))).toBe(parts.map(toHex).join(''));
      }),
    );
  });

  it('are text only when they are UTF-8', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const text = fromUtf8(bytes);
        if (text !== undefined) expect(utf8(text)).toEqual(bytes);
      }),
    );
    expect(fromUtf8(Uint8Array.of(0xff))).toBeUndefined();
    expect(utf8('\ud800')).toEqual(Uint8Array.of(0xef, 0xbf, 0xbd));
  });

  it('hold integers that sort like them', () => {
    const whole = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(whole, whole, (a, b) => {
        expect(readU64be(u64be(a))).toBe(a);
        expect(Math.sign(compareBytes(u64be(a), u64be(b)))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
    expect(toHex(u32be(0x01020304))).toBe('01020304');
    for (const bad of [-1n, 2n ** 64n]) expect(() => u64be(bad)).toThrow('internal');
    for (const bad of [-1, 2 ** 32, 1.5, Number.NaN]) expect(() => u32be(bad)).toThrow('internal');
  });

  it('have an end of everything that starts with them', () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (prefix, rest) => {
        const end = prefixEnd(prefix);
        const inside = concat(prefix, rest);
        if (end === undefined) expect(prefix.every((byte) => byte === 0xff)).toBe(true);
        else expect(compareBytes(inside, end)).toBeLessThan(0);
      }),
    );
  });
});
