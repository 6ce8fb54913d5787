import { describe, expect, test } from 'vitest';
import { readFromHost, readToHost } from '../../../src/agent/llama/read-messages.ts';
import { SAMPLING_DEFAULTS } from '../../../src/agent/llama/sampler.ts';

describe('messages', () => {
  const generate = {
    type: 'generate',
    id: 1,
    context: { adapters: [{ path: 'a', scale: 1 }], tokens: 10, sequences: 1 },
    prompt: { kind: 'text', text: 'x' },
    sampling: SAMPLING_DEFAULTS,
    tokensMax: 1,
    stops: ['.'],
  };

  test('MODEL-12: that are sound pass both ways', () => {
    expect(readToHost(generate)).toEqual(generate);
    const ready = {
      type: 'ready',
      gpu: 'none',
      build: 'b',
      devices: [],
      memoryBytes: 1,
      deviceBytes: 0,
      wrapper: 'w',
    };
    expect(readFromHost(ready)).toEqual(ready);
    const texts = { type: 'texts', texts: [[1, 'a', 1, 'answer']] };
    expect(readFromHost(texts)).toEqual(texts);
    const failed = {
      type: 'failed',
      id: 2,
      code: 'overloaded',
      facts: { what: 'x', nested: {}, long: 'x'.repeat(9_999) },
    };
    expect(readFromHost(failed)).toMatchObject({ facts: { what: 'x', long: 'x'.repeat(1_024) } });
  });

  const bad: readonly (readonly [string, unknown])[] = [
    ['nothing', null],
    ['a number', 7],
    ['an empty record', {}],
    ['a list', []],
    ['an unknown type', { type: 'made-up' }],
    ['no id', { ...generate, id: 0 }],
    ['half an id', { ...generate, id: 1.5 }],
    ['no tokens', { ...generate, tokensMax: 0 }],
    ['tokens that are no number', { ...generate, tokensMax: Number.NaN }],
    ['too many stops', { ...generate, stops: Array.from({ length: 17 }, () => '.') }],
    ['too many sequences', { ...generate, context: { ...generate.context, sequences: 65 } }],
    [
      'a scale too great',
      { ...generate, context: { ...generate.context, adapters: [{ path: 'a', scale: 9 }] } },
    ],
    [
      'too many adapters',
      {
        ...generate,
        context: {
          ...generate.context,
          adapters: Array.from({ length: 9 }, () => ({ path: 'a', scale: 1 })),
        },
      },
    ],
    ['a negative temperature', { ...generate, sampling: { ...SAMPLING_DEFAULTS, temperature: -1 } }],
    ['too many candidates', { ...generate, sampling: { ...SAMPLING_DEFAULTS, topK: 257 } }],
    ['an unknown role', { ...generate, prompt: { kind: 'chat', messages: [{ role: 'root', content: '' }] } }],
  ];

  test.each(bad)('MODEL-12, MODEL-27: %s is refused by either side', (_, message) => {
    expect(() => readToHost(message)).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(() => readFromHost(message)).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  test('MODEL-12: a host that says something malformed is believed nothing', () => {
    for (const message of [
      { type: 'end', id: 1, finish: 'well', tokens: 1 },
      { type: 'end', id: 1, finish: 'stop', tokens: -1 },
      { type: 'texts', texts: [[1, 7, 1]] },
      { type: 'failed', id: 1, code: 'made-up', facts: {} },
      { type: 'scored', id: 1, logProbabilities: [1] },
      {
        type: 'stats',
        memoryBytes: 1,
        processorMs: 1,
        contexts: 1,
        steps: Array.from({ length: 65 }, () => 1),
        tokens: 1,
        lateSteps: 0,
      },
    ]) {
      expect(() => readFromHost(message)).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
  });
});
