import { describe, expect, it } from 'vitest';
import { buildKernels } from '../../scripts/build-kernels.ts';
import { createKernels, exactMath, kernelBytes } from '../../src/merge/kernels.ts';
import { createRandom, decode, encode, f16Value } from './support.ts';

describe('the kernel module', { timeout: 120_000 }, () => {
  it('MRG-23: is what the sources compile to', async () => {
    expect(Buffer.from(kernelBytes()).equals(Buffer.from(await buildKernels()))).toBe(true);
  });

  it('MRG-6: has its own sine, cosine and arc cosine, within an ulp or two of the host’s', () => {
    const { sin, cos, acos } = exactMath();
    for (let i = 0; i <= 1000; i++) {
      const x = (i / 1000) * Math.PI;
      expect(sin(x)).toBeCloseTo(Math.sin(x), 14);
      expect(cos(x)).toBeCloseTo(Math.cos(x), 14);
      expect(acos(i / 500 - 1)).toBeCloseTo(Math.acos(i / 500 - 1), 14);
    }
  });
});

describe('MRG-3: codecs', { timeout: 120_000 }, () => {
  const { kernels, bytes, free } = createKernels(8 * 1024 * 1024);
  const lane = free + 65_536 * 4;
  const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);

  it('widen every F16 exactly', () => {
    bytes.set(new Uint8Array(all.buffer), free);
    kernels.decodeF16(free, lane, 65_536);
    const wide = new Float32Array(bytes.slice(lane, lane + 4 * 65_536).buffer);
    wide.forEach((value, bits) => {
      expect(Object.is(value, f16Value(bits)) || (Number.isNaN(value) && Number.isNaN(f16Value(bits)))).toBe(
        true,
      );
    });
  });

  it('widen every BF16 exactly, and give it back', () => {
    bytes.set(new Uint8Array(all.buffer), free);
    kernels.decodeBf16(free, lane, 65_536);
    const wide = new Uint32Array(bytes.slice(lane, lane + 4 * 65_536).buffer);
    expect(wide.every((word, i) => word === i * 65_536)).toBe(true);
    kernels.encodeBf16(lane, free, 65_536);
    const back = new Uint16Array(bytes.slice(free, free + 2 * 65_536).buffer);
    // Signalling NaNs come back quiet.
    expect(back.every((bits, i) => bits === i || (bits === (i | 0x40) && (i & 0x7f80) === 0x7f80))).toBe(
      true,
    );
  });

  for (const dtype of ['BF16', 'F16'] as const) {
    it(`round to ${dtype} to nearest, ties to even, at every length`, () => {
      const random = createRandom(7);
      const halves = Float32Array.from({ length: 4096 }, () => {
        const size = 2 ** (34 * random() - 20);
        const value = Math.fround((random() < 0.5 ? -1 : 1) * size);
        // Every other one sits exactly between two neighbours.
        const bits = new Uint32Array(Float32Array.of(value).buffer);
        const tied = (bits[0] ?? 0) & (dtype === 'BF16' ? 0xffff_0000 : 0xffff_e000);
        const half = dtype === 'BF16' ? 0x8000 : 0x1000;
        return random() < 0.5 ? value : (new Float32Array(Uint32Array.of(tied | half).buffer)[0] ?? 0);
      });
      for (const n of [1, 2, 3, 7, 8, 9, 15, 4096]) {
        const values = halves.subarray(0, n);
        bytes.set(new Uint8Array(Float32Array.from(values).buffer), lane);
        (dtype === 'BF16' ? kernels.encodeBf16 : kernels.encodeF16)(lane, free, n);
        expect([...decode(bytes.slice(free, free + 2 * n), dtype)]).toEqual([
          ...decode(encode(values, dtype), dtype),
        ]);
      }
    });
  }
});
