import { truncate } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineRequest } from '../../src/agent/llama/engine.ts';
import type { HostPart } from '../../src/agent/llama/model-host.ts';
import { contextBytes, type ModelSource, modelBytes } from '../../src/agent/llama/room.ts';
import { SAMPLING_DEFAULTS } from '../../src/agent/llama/sampler.ts';
import type { SaharaError } from '../../src/base/errors.ts';
import { type ModelHome, openModelHome } from '../agent/llama/home.ts';
import { ANSWER, noiseModel, saying, scriptedAdapter, scriptedModel } from '../agent/llama/models.ts';

const CONTEXT = { tokens: 512, sequences: 16 };
const LONG = { [ANSWER]: { tick: 20 }, tick: { tock: 20 }, tock: { tick: 20 } };
const calm = { signal: new AbortController().signal };

function ask(model: ModelSource, text: string, more: Partial<EngineRequest> = {}): EngineRequest {
  return {
    model,
    adapters: [],
    context: CONTEXT,
    payer: 'a',
    weight: 1,
    prompt: { kind: 'chat', messages: [{ role: 'user', content: text }] },
    sampling: SAMPLING_DEFAULTS,
    tokensMax: 32,
    stops: [],
    ...more,
  };
}

async function read(
  parts: AsyncIterable<HostPart>,
): Promise<{ readonly text: string; readonly parts: readonly HostPart[] }> {
  const all: HostPart[] = [];
  for await (const part of parts) all.push(part);
  return { text: all.map((part) => (part.type === 'text' ? part.text : '')).join(''), parts: all };
}

async function failure(promise: Promise<unknown>): Promise<SaharaError> {
  // What is thrown here is always ours; anything else fails the expectation that follows.
  return promise.then(
    () => Promise.reject(new RangeError('it did not fail')),
    (error: SaharaError) => error,
  );
}

describe('decoding', () => {
  let home: ModelHome;
  let clock: ModelSource;
  let noise: ModelSource;
  let adapters: readonly ModelSource[];

  beforeAll(async () => {
    home = await openModelHome();
    const model = scriptedModel(LONG);
    clock = await home.add('clock', model.gguf);
    noise = await home.add('noise', noiseModel());
    const bend = (i: number) => scriptedAdapter(model, { tick: { tock: i } });
    adapters = await Promise.all(Array.from({ length: 9 }, (_, i) => home.add(`adapter${i}`, bend(i))));
  });

  afterAll(() => home.close());

  const run = (request: EngineRequest) => read(home.engine.generate(request, calm));
  const stats = async () => home.engine.models.find(({ path }) => path === noise.path)?.host.stats();

  test('MODEL-17, MODEL-25: sixteen at once are decoded in the same steps', async () => {
    await run(ask(noise, 'warm'));
    const before = (await stats())?.steps ?? [];
    const answers = await Promise.all(Array.from({ length: 16 }, (_, i) => run(ask(noise, `question ${i}`))));
    const after = (await stats())?.steps ?? [];
    const inStep = (size: number): number => (after[size - 1] ?? 0) - (before[size - 1] ?? 0);
    const generated = answers.reduce((sum, { parts }) => {
      const end = parts.at(-1);
      return sum + (end?.type === 'end' ? end.tokens : 0);
    }, 0);
    const steps = after.reduce((sum, _, i) => sum + inStep(i + 1), 0);
    expect(inStep(16)).toBeGreaterThan(10);
    // Far fewer passes than tokens: what comes together is decoded together.
    expect(steps).toBeLessThan(generated / 4);
    // Alone each says the same, as long as its scores are not as good as equal.
    const alone = await run(ask(noise, 'question 3'));
    expect(alone.text).toBe(answers[3]?.text);
  });

  test('MODEL-23: a known beginning is not read again, and changes nothing', async () => {
    const one = { tokens: 2_048, sequences: 1 };
    const beginning = 'the same beginning '.repeat(40);
    const drawing = { context: one, sampling: { temperature: 1.5, topK: 64, topP: 1, minP: 0, seed: 3 } };
    const long = ask(noise, `${beginning} end`, drawing);
    const first = await run(long);
    const again = await run(long);
    await run(ask(noise, `${beginning} another end of it all`, drawing));
    const third = await run(long);
    const reused = (parts: readonly HostPart[]): number =>
      parts[0]?.type === 'started' ? parts[0].reusedTokens : -1;
    expect([first, again, third].map(({ parts }) => reused(parts))).toEqual([0, 640, 640]);
    expect(again.text).toBe(first.text);
    expect(third.text).toBe(first.text);
  });

  test('MODEL-21: what does not fit is refused, what fills the context is cut, and nothing is shifted', async () => {
    const small = { context: { tokens: 64, sequences: 1 }, tokensMax: 500 };
    const error = await failure(run(ask(clock, 'x'.repeat(300), small)));
    expect(error).toMatchObject({ code: 'context-overflow', facts: { limit: 63 } });
    expect(error.facts.found).toBeGreaterThan(300);
    const { parts } = await run(ask(clock, 'x', small));
    const [started] = parts;
    const end = parts.at(-1);
    expect(end).toMatchObject({ type: 'end', finish: 'length' });
    const read = started?.type === 'started' ? started.promptTokens : 0;
    expect(read + (end?.type === 'end' ? end.tokens : 0)).toBe(64);
  });

  test('MODEL-20: stops of the request end it', async () => {
    expect((await run(ask(clock, 'x', { stops: ['ckti'] }))).text).toBe('tickto');
    expect((await run(ask(clock, 'x', { stops: ['nothing'], tokensMax: 4 }))).text).toBe('ticktockticktock');
  });

  test('MODEL-22: a cancelled request gives nothing more at once, and takes at most one more step', async () => {
    const stop = new AbortController();
    const request = ask(clock, 'x', { tokensMax: 10_000, context: { tokens: 2048, sequences: 4 } });
    let texts = 0;
    const reading = async (): Promise<void> => {
      for await (const part of home.engine.generate(request, stop)) {
        if (part.type === 'text' && ++texts === 3) stop.abort();
      }
    };
    expect((await failure(reading())).code).toBe('cancelled');
    expect(texts).toBe(3);
    expect(home.engine.load.running).toBe(0);
    // The next one takes the sequence that it left.
    expect((await run(ask(clock, 'x', { tokensMax: 2, context: { tokens: 2048, sequences: 1 } }))).text).toBe(
      'ticktock',
    );
    const found = await home.engine.models.find(({ path }) => path === clock.path)?.host.stats();
    expect(found?.lateSteps).toBeLessThanOrEqual(1);
  });

  test('MODEL-26: contexts of many sets of adapters come and go', async () => {
    for (const { path } of adapters) {
      const request = ask(clock, 'x', {
        adapters: [{ path, scale: 0.5 }],
        tokensMax: 2,
        context: { tokens: 256, sequences: 2 },
      });
      expect((await run(request)).text).toBe('ticktock');
    }
    const found = home.engine.models.find(({ path }) => path === clock.path);
    expect(found?.contexts).toBe(8);
    expect((await found?.host.stats())?.contexts).toBe(8);
  });

  test('MODEL-9: an adapter of another model is refused before the host sees it', async () => {
    const [adapter] = adapters;
    const request = ask(noise, 'x', { adapters: [{ path: adapter?.path ?? '', scale: 1 }] });
    expect(await failure(run(request))).toMatchObject({ code: 'model-invalid' });
  });

  test('MODEL-13: when the host is killed its calls fail with a code, and the next one is answered', async () => {
    const request = ask(clock, 'x', { tokensMax: 10_000, context: { tokens: 2048, sequences: 4 } });
    const host = home.engine.models.find(({ path }) => path === clock.path)?.host;
    const pid = host?.pid ?? 0;
    const reading = async (): Promise<void> => {
      for await (const part of home.engine.generate(request, calm)) {
        if (part.type === 'text') process.kill(pid, 'SIGKILL');
      }
    };
    const [one, other] = await Promise.all([failure(reading()), failure(reading())]);
    for (const error of [one, other]) {
      expect(error).toMatchObject({ code: 'backend-failed', facts: { backend: 'llama' } });
      expect(error.facts.reason).toContain('SIGKILL');
    }
    expect((await run(ask(clock, 'x', { tokensMax: 2 }))).text).toBe('ticktock');
    expect(host?.pid).not.toBe(pid);
    // The other model's host heard nothing of it.
    expect((await run(ask(noise, 'x', { tokensMax: 2 }))).parts.at(-1)).toMatchObject({ type: 'end' });
  });
});

describe('a model that cannot be loaded', () => {
  test('MODEL-10: is refused by its header, which is checked again, and others are not held up', async () => {
    const home = await openModelHome();
    try {
      const good = await home.add('good', scriptedModel(saying('fine')).gguf);
      const bad = await home.add('bad', scriptedModel(saying('gone')).gguf);
      await truncate(bad.path, 500_000);
      const run = (model: ModelSource) => read(home.engine.generate(ask(model, 'x'), calm));
      // The check sees the cut before the host does.
      expect((await failure(run(bad))).code).toBe('model-invalid');
      expect((await run(good)).text).toBe('fine');
    } finally {
      await home.close();
    }
  });
});

describe('memory', () => {
  test('MODEL-35: an idle model makes room, one at work does not, and what never fits is refused', async () => {
    const small = { tokens: 256, sequences: 1 };
    const context = { context: small, tokensMax: 3 };
    const bigger = { tokens: 2048, sequences: 64 };
    const gguf = scriptedModel(saying('one')).gguf;
    const probe = await openModelHome();
    const source = await probe.add('probe', gguf);
    await probe.close();
    const needs = modelBytes(source) + contextBytes({ model: source, key: { ...small, adapters: [] } });
    // Room for one model and a half.
    const home = await openModelHome({ memoryBytes: Math.floor(1.5 * needs) });
    try {
      const first = await home.add('first', scriptedModel(LONG).gguf);
      const second = await home.add('second', gguf);
      const run = (request: EngineRequest) => read(home.engine.generate(request, calm));
      expect((await run(ask(first, 'x', context))).text).toBe('ticktocktick');
      expect((await run(ask(second, 'x', context))).text).toBe('one');
      expect(home.engine.models.map(({ path }) => path)).toEqual([second.path]);
      // One at work stays: the other waits for its end.
      const order: string[] = [];
      const long = home.engine.generate(ask(first, 'x', { ...context, tokensMax: 150 }), calm);
      const working = (async (): Promise<void> => {
        for await (const part of long) if (part.type === 'end') order.push('first');
      })();
      const waiting = read(home.engine.generate(ask(second, 'x', context), calm)).then(() =>
        order.push('second'),
      );
      await Promise.all([working, waiting]);
      expect(order.toSorted()).toEqual(['first', 'second']);
      expect(home.engine.models).toHaveLength(1);
      // Many for both at once: none is unloaded before it has answered, so all are answered.
      const both = await Promise.all(
        [first, second, first, second].map((model, i) =>
          run(ask(model, 'x', { ...context, payer: `p${i}` })),
        ),
      );
      expect(both.map(({ text }) => text)).toEqual(['ticktocktick', 'one', 'ticktocktick', 'one']);
      expect(await failure(run(ask(first, 'x', { context: bigger })))).toMatchObject({
        code: 'memory-insufficient',
      });
    } finally {
      await home.close();
    }
  });

  test('MODEL-35: contexts of one model that do not fit beside each other take turns', async () => {
    const model = scriptedModel(LONG);
    const wide = { tokens: 2_048, sequences: 4 };
    const probe = await openModelHome();
    const source = await probe.add('probe', model.gguf);
    await probe.close();
    const context = contextBytes({ model: source, key: { ...wide, adapters: [] } });
    const home = await openModelHome({ memoryBytes: modelBytes(source) + Math.floor(1.5 * context) });
    try {
      const base = await home.add('base', model.gguf);
      const { path } = await home.add('bent', scriptedAdapter(model, { tick: { tock: -40, tick: 40 } }));
      const run = (adapters: EngineRequest['adapters']) =>
        read(home.engine.generate(ask(base, 'x', { context: wide, tokensMax: 3, adapters }), calm));
      const bent = [{ path, scale: 1 }];
      const both = await Promise.all([run([]), run(bent), run([]), run(bent)]);
      expect(both.map(({ text }) => text)).toEqual([
        'ticktocktick',
        'tickticktick',
        'ticktocktick',
        'tickticktick',
      ]);
      expect(home.engine.models.map(({ contexts }) => contexts)).toEqual([1]);
    } finally {
      await home.close();
    }
  });
});
