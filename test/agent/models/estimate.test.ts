import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { demandFit, fitOf, memoryNeed } from '../../../src/agent/models/estimate.ts';
import type { ModelFacts } from '../../../src/agent/models/model.ts';
import { SaharaError } from '../../../src/base/errors.ts';

// Sizes of a model of 8 thousand million parameters at four bits, as its file states them.
const model: ModelFacts = {
  kind: 'model',
  architecture: 'llama',
  title: '8B',
  quantisation: 'Q4_K',
  weightsBytes: 4_900_000_000,
  parameters: 8_030_000_000,
  contextMax: 131_072,
  layers: 32,
  embedding: 4096,
  vocabulary: 128_256,
  cacheBytesPerToken: 131_072,
  hasTemplate: true,
};
const wish = { tokens: 4096, sequences: 4 };
const GB = 1e9;

describe('what a model needs', () => {
  test('MODEL-54: weights, adapters, keys and values of all sequences, and room to compute', () => {
    const need = memoryNeed(model, wish, [{ ...model, kind: 'adapter', weightsBytes: 100_000_000 }]);
    expect(need.weightsBytes).toBe(5_000_000_000);
    expect(need.cacheBytes).toBe(131_072 * 4096 * 4);
    expect(need.totalBytes).toBe(need.weightsBytes + need.cacheBytes + need.workBytes);
    expect(need.workBytes).toBeGreaterThan(400_000_000);
  });

  test('MODEL-54: it goes where it fits: graphics memory, main memory, or both', () => {
    const where = (ramBytes: number, vramBytes: number): readonly [string, boolean] => {
      const fit = fitOf(model, wish, { free: { ramBytes, vramBytes } });
      return [fit.where, fit.fits];
    };
    expect(where(4 * GB, 24 * GB)).toEqual(['gpu', true]);
    expect(where(32 * GB, 0)).toEqual(['ram', true]);
    expect(where(6 * GB, 6 * GB)).toEqual(['both', true]);
    expect(where(4 * GB, 0)).toEqual(['ram', false]);
    expect(where(2 * GB, 2 * GB)).toEqual(['both', false]);
  });

  test('MODEL-55: what cannot fit is refused with what would', () => {
    const refusal = (ramBytes: number): SaharaError => {
      const fit = fitOf(model, wish, { free: { ramBytes, vramBytes: 0 } });
      try {
        demandFit('big', wish, fit);
      } catch (error) {
        if (error instanceof SaharaError) return error;
      }
      throw new Error('it fits');
    };
    expect(refusal(7.5 * GB).code).toBe('memory-insufficient');
    expect(refusal(7.5 * GB).facts.advice).toMatch(/^A context of \d+ tokens fits with 4 at once$/);
    expect(refusal(3 * GB).facts.advice).toMatch(/^No useful context fits/);
  });

  test('MODEL-55: the context that is said to fit does, and one more token does not', () => {
    const amount = fc.integer({ min: 5, max: 200 });
    fc.assert(
      fc.property(amount, fc.integer({ min: 1, max: 16 }), (gigabytes, sequences) => {
        const free = { ramBytes: gigabytes * GB, vramBytes: 0 };
        const { contextMax } = fitOf(model, { tokens: 1, sequences }, { free });
        const fits = (tokens: number): boolean => fitOf(model, { tokens, sequences }, { free }).fits;
        if (contextMax === 0) expect(fits(1)).toBe(false);
        else expect(fits(contextMax)).toBe(true);
        if (contextMax > 0 && contextMax < model.contextMax) expect(fits(contextMax + 1)).toBe(false);
      }),
    );
  });
});
