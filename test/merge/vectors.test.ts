import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/base/bytes.ts';
import { createKernels } from '../../src/merge/kernels.ts';
import { contentHash, type HashedTensor } from '../../src/merge/merkle.ts';
import { headerLength, parseHeader, type TensorHeader } from '../../src/merge/safetensors.ts';
import { evaluate, type Setting } from '../../src/merge/settings.ts';
import { shareOut, type TensorContributions } from '../../src/merge/shares.ts';
import { counterHash, hashKey } from '../../src/merge/task.ts';

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../spec/vectors/merge/${name}.json`, import.meta.url), 'utf8'));
}

describe('MRG-8: the counter hash', () => {
  interface Case {
    seed: string;
    name: string;
    position: number;
    k0: number;
    k1: number;
    hashes: [number, number][];
  }
  const { kernels } = createKernels(65_536);
  for (const { seed, name, position, k0, k1, hashes } of vectors<{ cases: Case[] }>('counter-hash').cases) {
    it(`${seed}, ${name}, ${position}`, () => {
      expect(hashKey({ seed, name }, position)).toEqual({ k0, k1 });
      for (const [index, value] of hashes) {
        expect(counterHash(index, { k0, k1 })).toBe(value);
        expect(kernels.hash(index, k0, k1) >>> 0).toBe(value);
      }
    });
  }
});

describe('MRG-18: the content hash', () => {
  for (const { tensors, contentHash: expected } of vectors<{
    cases: { tensors: HashedTensor[]; contentHash: string }[];
  }>('content-hash').cases) {
    it(`of ${tensors.length} tensors, in any order`, () => {
      expect(contentHash(tensors)).toBe(expected);
      expect(contentHash(tensors.toReversed())).toBe(expected);
    });
  }
});

describe('MRG-20: shares', () => {
  interface Case {
    note: string;
    parents: number;
    tensors: TensorContributions[];
    sharePpm: number[];
  }
  for (const { note, parents, tensors, sharePpm } of vectors<{ cases: Case[] }>('shares').cases) {
    it(note, () => {
      expect(shareOut(parents, tensors).map((share) => share.sharePpm)).toEqual(sharePpm);
    });
  }
});

describe('MRG-13: settings', () => {
  for (const { setting, name, progress, value } of vectors<{
    cases: { setting: Setting; name: string; progress: number; value: unknown }[];
  }>('settings').cases) {
    it(`${JSON.stringify(setting)} for ${name} at ${progress}`, () => {
      expect(evaluate(setting, name, progress) ?? null).toEqual(value);
    });
  }
});

describe('MRG-1: safetensors files', () => {
  const { valid, invalid } = vectors<{
    valid: { note: string; hex: string; tensors: Record<string, number> }[];
    invalid: { note: string; hex: string }[];
  }>('safetensors');
  const parse = (hex: string): TensorHeader => {
    const bytes = fromHex(hex) ?? new Uint8Array();
    const length = headerLength(bytes.subarray(0, 8), bytes.length);
    return parseHeader(bytes.subarray(8, 8 + length), bytes.length);
  };
  for (const { note, hex, tensors } of valid) {
    it(`takes ${note}`, () => {
      const sizes = parse(hex).tensors.map(({ name, sizeBytes }) => [name, sizeBytes]);
      expect(Object.fromEntries(sizes)).toEqual(tensors);
    });
  }
  for (const { note, hex } of invalid) {
    it(`refuses ${note}`, () => {
      expect(() => parse(hex)).toThrow(expect.objectContaining({ code: 'tensor-invalid' }));
    });
  }
});
