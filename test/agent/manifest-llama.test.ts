import { describe, expect, test } from 'vitest';
import { manifestHash, parseManifest } from '../../src/agent/manifest.ts';
import { filesOf, LLAMA_DEFAULTS } from '../../src/agent/manifest-llama.ts';
import { toHex } from '../../src/base/bytes.ts';
import { SaharaError } from '../../src/base/errors.ts';

const ASSET = 'ab'.repeat(32);
const parse = (backend: string): ReturnType<typeof parseManifest> =>
  parseManifest(`name: notes\nvaults: [notes]\nbackend: ${backend}\n`, { file: 'agent.yaml' });
const complaint = (backend: string): SaharaError['facts'] => {
  try {
    parse(backend);
  } catch (error) {
    if (error instanceof SaharaError && error.code === 'manifest-invalid') return error.facts;
    throw error;
  }
  throw new Error('it was taken');
};

describe('a manifest with a model on this machine', () => {
  test('MODEL-56: one line is enough; the rest has defaults', () => {
    const { backend } = parse('{kind: llama, model: qwen}');
    expect(backend).toEqual({ kind: 'llama', model: 'qwen', ...LLAMA_DEFAULTS });
    expect(backend).toMatchObject({
      context: 4096,
      temperature: 0,
      topK: 40,
      topP: 950_000,
      watermark: false,
    });
  });

  test('MODEL-56: everything can be said, numbers to six decimals', () => {
    const adapters = `[{model: red, scale: 0.6, asset: ${ASSET}, part: 25 %}, {model: green, scale: -1.5}]`;
    const sampling = 'temperature: 0.7, topK: 20, topP: 0.9, minP: 0, seed: 7, watermark: true';
    const { backend } = parse(
      `{kind: llama, model: qwen, asset: ${ASSET}, context: 8192, adapters: ${adapters}, ${sampling}}`,
    );
    expect(backend).toMatchObject({
      context: 8192,
      temperature: 700_000,
      topK: 20,
      topP: 900_000,
      minP: 0,
      seed: 7,
      watermark: true,
      adapters: [
        { model: 'red', scale: 600_000, part: 250_000 },
        { model: 'green', scale: -1_500_000, asset: undefined, part: 0 },
      ],
    });
    if (backend.kind !== 'llama') throw new Error('another kind');
    expect(filesOf(backend)).toEqual(['qwen', 'red', 'green']);
    expect(parse('{kind: llama, model: q, temperature: 1, watermark: true}').backend).toMatchObject({
      topK: 64,
    });
  });

  test.each([
    ['{kind: llama}', 'backend.model', /name of a model/],
    ['{kind: llama, modle: x}', 'backend.modle', /did you mean model/],
    ['{kind: llama, model: x, endpoint: "http://h/v1"}', 'backend.endpoint', /^one of kind, model/],
    [
      '{kind: openai, endpoint: "http://h/v1", model: x, adapters: []}',
      'backend.adapters',
      /^one of kind, endpoint/,
    ],
    ['{kind: llama, model: x, temperature: 6}', 'backend.temperature', /from 0 to 5/],
    ['{kind: llama, model: x, temperature: 0.12345678}', 'backend.temperature', /six decimals/],
    ['{kind: llama, model: x, temperature: .nan}', 'backend.temperature', /from 0 to 5/],
    ['{kind: llama, model: x, context: 10}', 'backend.context', /from 256/],
    [
      '{kind: llama, model: x, adapters: [{model: y, scale: 9}]}',
      'backend.adapters[0].scale',
      /from -8 to 8/,
    ],
    ['{kind: llama, model: x, adapters: [{scale: 1}]}', 'backend.adapters[0].model', /name of an adapter/],
    [
      '{kind: llama, model: x, adapters: [{model: y, part: 10 %}]}',
      'backend.adapters[0].part',
      /asset that earns/,
    ],
    [
      `{kind: llama, model: x, adapters: [{model: y, asset: ${ASSET}, part: 60 %}, {model: z, asset: ${ASSET}, part: 60 %}]}`,
      'backend.adapters',
      /at most 100 %/,
    ],
    ['{kind: llama, model: x, asset: abc}', 'backend.asset', /id of an asset/],
    ['{kind: llama, model: x, watermark: true}', 'backend.watermark', /without a temperature/],
    [
      `{kind: llama, model: x, adapters: [{model: y, asset: ${ASSET}, part: 6 %}, {model: z, asset: ${ASSET}, part: 6 %}]}`,
      'backend.adapters',
      /each by an asset of its own/,
    ],
    ['{kind: llama, model: x, adapterParts: guessed}', 'backend.adapterParts', /declared, measured/],
    ['{kind: llama, model: x, adapterParts: measured}', 'backend.adapterParts', /with an asset and a part/],
  ] as const)('MODEL-57, MODEL-97: %s is refused with what is allowed', (backend, field, allowed) => {
    const facts = complaint(backend);
    expect(facts.field).toBe(field);
    expect(String(facts.allowed)).toMatch(allowed);
    expect(facts.line).toBe(3);
  });

  test('KNOW-36: every part of it counts for the hash', () => {
    const variants = [
      '{kind: llama, model: x}',
      '{kind: llama, model: y}',
      '{kind: llama, model: x, seed: 0}',
      '{kind: llama, model: x, temperature: 0.1}',
      '{kind: llama, model: x, adapters: [{model: y}]}',
      '{kind: llama, model: x, adapters: [{model: y, scale: 2}]}',
      '{kind: llama, model: x, temperature: 0.1, topK: 64, watermark: true}',
      `{kind: llama, model: x, adapters: [{model: y, asset: ${ASSET}, part: 6 %}]}`,
      `{kind: llama, model: x, adapters: [{model: y, asset: ${ASSET}, part: 6 %}], adapterParts: measured}`,
    ];
    const hashes = variants.map((backend) => toHex(manifestHash(parse(backend))));
    expect(new Set(hashes).size).toBe(variants.length);
    expect(toHex(manifestHash(parse('{kind: llama, model: x, context: 4096, temperature: 0.0}')))).toBe(
      hashes[0],
    );
    // What was there before it could be said keeps its hash.
    expect(toHex(manifestHash(parse('{kind: llama, model: x, adapterParts: declared}')))).toBe(hashes[0]);
  });
});
