import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UNREAD_LENGTH_MAX } from '../../../src/agent/llama/limits.ts';
import { createModelHost, type ModelHost } from '../../../src/agent/llama/model-host.ts';
import { SAMPLING_DEFAULTS } from '../../../src/agent/llama/sampler.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { writeGguf } from './gguf-writer.ts';
import { ANSWER, END, scriptedModel } from './models.ts';

const LONG = 'o'.repeat(1_000);
const TOKENS = 600;
const IDLE_MS = 1_000;

let folder: string;
let host: ModelHost;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sahara-pause-'));
  const { gguf } = scriptedModel({ [ANSWER]: { [LONG]: 20 }, [LONG]: { [LONG]: 20 }, x: { [END]: 20 } });
  const path = await writeGguf(join(folder, 'model.gguf'), gguf);
  host = createModelHost(
    { path, gpu: 'none', threads: 1, memoryBytesMax: 4e9 },
    { clock: systemClock },
    // Shorter than what a reader takes here: a host that is told to pause is not silent.
    { idleMs: IDLE_MS },
  );
});

afterAll(async () => {
  await host.unload();
  await rm(folder, { recursive: true });
});

function ask(tokensMax: number, signal: AbortSignal, sequences = 2) {
  const messages = [{ role: 'user', content: 'x' }] as const;
  const context = { adapters: [], tokens: 2_048, sequences };
  const prompt = { kind: 'chat', messages } as const;
  const request = { context, prompt, sampling: SAMPLING_DEFAULTS, tokensMax, stops: [] };
  return host.generate(request, { signal })[Symbol.asyncIterator]();
}

/** Reads to the end; how much text that was. */
async function lengthOf(
  parts: AsyncIterator<{ readonly type: string; readonly text?: string }>,
): Promise<number> {
  let length = 0;
  for (let next = await parts.next(); !next.done; next = await parts.next()) {
    length += next.value.text?.length ?? 0;
  }
  return length;
}

/** Steps of the host once no more are made. */
async function restingSteps(): Promise<number> {
  const sum = async (): Promise<number> => (await host.stats()).steps.reduce((all, n) => all + n, 0);
  let before = -1;
  for (let now = await sum(); now !== before; now = await sum()) {
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return before;
}

test('MODEL-81: nothing more is decoded for a reader that is behind, others go on, and nothing is lost', async () => {
  const { signal } = new AbortController();
  const slow = ask(TOKENS, signal);
  let read = 0;
  while (read === 0) {
    const { value } = await slow.next();
    if (value?.type === 'text') read += value.text.length;
  }
  const steps = await restingSteps();
  // A step or two are on their way when it is told.
  expect(steps * LONG.length).toBeLessThan(3 * UNREAD_LENGTH_MAX);
  expect(steps).toBeLessThan(TOKENS / 2);
  expect(await lengthOf(ask(20, signal))).toBe(20 * LONG.length);
  // That nobody but it is left is no silence either.
  await new Promise((resolve) => setTimeout(resolve, 1.5 * IDLE_MS));
  expect(read + (await lengthOf(slow))).toBe(TOKENS * LONG.length);
});

test('MODEL-22, MODEL-81: a paused request that is cancelled gives its sequence back', async () => {
  const stop = new AbortController();
  const slow = ask(TOKENS, stop.signal, 1);
  await slow.next();
  await restingSteps();
  stop.abort();
  await expect(lengthOf(slow)).rejects.toMatchObject({ code: 'cancelled' });
  expect(await lengthOf(ask(20, new AbortController().signal, 1))).toBe(20 * LONG.length);
});

test('MODEL-22, MODEL-100: it does so at once while its reader stands still, whoever else asks in that moment', async () => {
  const { signal } = new AbortController();
  const stop = new AbortController();
  const slow = ask(TOKENS, stop.signal);
  await slow.next();
  await restingSteps();
  const other = ask(TOKENS, signal);
  let read = 0;
  const reading = (async () => {
    for (let next = await other.next(); !next.done; next = await other.next()) {
      read += next.value.type === 'text' ? next.value.text.length : 0;
      // It takes its time, and is paused now and then itself.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  stop.abort();
  expect(await lengthOf(ask(20, signal))).toBe(20 * LONG.length);
  expect(read).toBeLessThan(TOKENS * LONG.length);
  await reading;
  await expect(slow.next()).rejects.toMatchObject({ code: 'cancelled' });
});
