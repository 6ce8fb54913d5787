/** Kernels that do several things in one pass, held to those that do them one by one, bit for bit. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createKernels } from '../../src/merge/kernels.ts';

const { kernels, bytes: memory, free } = createKernels(1024 * 1024);
const LANE = 4096;
const lane = (which: number): number => free + which * LANE;
const [A, B, C, D] = [lane(0), lane(1), lane(2), lane(3)] as const;
const SUMS = lane(8);

function put(address: number, values: Float32Array | Uint16Array): void {
  memory.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), address);
}

function taken(address: number, length: number): Uint8Array {
  return memory.slice(address, address + length);
}

const numbers = fc
  .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 70 })
  .map((list) => Float32Array.from(list));
const halves = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 70 })
  .map((list) => Uint16Array.from(list));

describe('MRG-6: inner products of two lanes at once', () => {
  it('are those of one after the other, whatever the place in the tensor', () => {
    fc.assert(
      fc.property(numbers, numbers, fc.nat(7), (x, y, phase) => {
        const n = Math.min(x.length, y.length);
        put(A, x);
        put(B, y);
        memory.fill(0, SUMS, SUMS + 6 * 64);
        for (let round = 0; round < 2; round++) {
          kernels.dotPair(A, B, n, phase, SUMS, SUMS + 64, SUMS + 128);
          kernels.dot(A, A, n, phase, SUMS + 192);
          kernels.dot(A, B, n, phase, SUMS + 256);
          kernels.dot(B, B, n, phase, SUMS + 320);
        }
        expect(taken(SUMS, 192)).toEqual(taken(SUMS + 192, 192));
      }),
    );
  });
});

describe('MRG-3: BF16 in one pass', () => {
  // The largest that still rounds to a number, and the first that does not.
  const edges = Float32Array.from(new Float32Array(Uint32Array.of(0x7f7f7fff, 0xff7f7fff).buffer));
  const beyond = new Float32Array(Uint32Array.of(0x7f7f8000).buffer)[0] ?? 0;

  it('is rounded as alone, with what that changes, and says whether all fit', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const n = values.length;
        put(A, values);
        const fits = kernels.firstBeyond(A, n, 0x7f7f_7fff) < 0;
        expect(kernels.roundBf16(A, B, n, C)).toBe(fits ? 1 : 0);
        if (!fits) return;
        const [codes, change] = [taken(B, 2 * n), taken(C, 4 * n)];
        kernels.encodeBf16(A, B, n);
        kernels.decodeBf16(B, D, n);
        kernels.subtract(D, D, A, n);
        expect([codes, change]).toEqual([taken(B, 2 * n), taken(D, 4 * n)]);
      }),
    );
  });

  it('fits up to the last number that rounds to one, at any place', () => {
    for (let place = 0; place < 19; place++) {
      const values = new Float32Array(19);
      values[place] = edges[place % 2] ?? 0;
      put(A, values);
      expect(kernels.roundBf16(A, B, 19, C)).toBe(1);
      values[place] = place % 2 ? -beyond : beyond;
      put(A, values);
      expect(kernels.roundBf16(A, B, 19, C)).toBe(0);
    }
  });

  it('is finite or not as when it is widened first', () => {
    fc.assert(
      fc.property(halves, (codes) => {
        put(A, codes);
        kernels.decodeBf16(A, B, codes.length);
        const finite = kernels.firstBeyond(B, codes.length, 0x7f7f_ffff) < 0;
        expect(kernels.finiteBf16(A, codes.length)).toBe(finite ? 1 : 0);
      }),
    );
    for (let code = 0; code < 0x1_0000; code++) {
      put(A, Uint16Array.of(code));
      expect(kernels.finiteBf16(A, 1)).toBe((code & 0x7f80) === 0x7f80 ? 0 : 1);
    }
  });

  it('gives the same deltas as widening and subtracting', () => {
    fc.assert(
      fc.property(halves, numbers, (codes, base) => {
        const n = Math.min(codes.length, base.length);
        put(
          A,
          codes.map((code) => ((code & 0x7f80) === 0x7f80 ? 0 : code)),
        );
        put(B, base);
        kernels.decodeBf16Delta(A, C, n, B);
        kernels.decodeBf16(A, D, n);
        kernels.subtract(D, D, B, n);
        expect(taken(C, 4 * n)).toEqual(taken(D, 4 * n));
      }),
    );
  });
});
