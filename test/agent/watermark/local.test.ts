import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineTarget } from '../../../src/agent/llama/engine.ts';
import type { ModelSource } from '../../../src/agent/llama/room.ts';
import { randomOf } from '../../../src/agent/llama/sampler.ts';
import { detectMarks } from '../../../src/agent/watermark/detect.ts';
import { toHex } from '../../../src/base/bytes.ts';
import { type ModelHome, openModelHome } from '../llama/home.ts';
import { ANSWER, type Chain, scriptedModel } from '../llama/models.ts';

// A model that goes from every one of its words to any other, with unlike chances: about four bits of choice a word.
const WORDS = Array.from(
  { length: 48 },
  (_, i) => ` w${String.fromCharCode(97 + (i % 24))}${i < 24 ? 'o' : 'u'}n`,
);
const random = randomOf(5);
const chain: Chain = Object.fromEntries(
  [ANSWER, ...WORDS].map((from) => [from, Object.fromEntries(WORDS.map((to) => [to, 20 + 3 * random()]))]),
);
const KEY = createHash('sha256').update('key').digest();
const signal = new AbortController().signal;

let home: ModelHome;
let model: ModelSource;

beforeAll(async () => {
  home = await openModelHome();
  model = await home.add('free', scriptedModel(chain).gguf);
});
afterAll(() => home.close());

const target = (): EngineTarget => ({
  model,
  adapters: [],
  context: { tokens: 1024, sequences: 1 },
  payer: '',
  weight: 1,
});

async function say(seed: number, key?: Uint8Array): Promise<string> {
  let said = '';
  const asked = {
    ...target(),
    prompt: { kind: 'chat', messages: [{ role: 'user', content: 'go' }] } as const,
    sampling: { temperature: 1, topK: 64, topP: 1, minP: 0, seed },
    tokensMax: 220,
    stops: [],
    ...(key !== undefined && { watermark: { key: toHex(key) } }),
  };
  for await (const part of home.engine.generate(asked, { signal }))
    if (part.type === 'text') said += part.text;
  return said;
}

describe('a mark through a model process', () => {
  test('MODEL-75: it is found in the text alone, by the model’s own division into tokens', async () => {
    const keys = [{ name: 'own', key: KEY }];
    const tell = async (text: string): Promise<ReturnType<typeof detectMarks>> =>
      detectMarks(await home.engine.tokenize(target(), text, { signal }), keys);
    const marked = await say(1, KEY);
    const report = await tell(marked);
    expect(report.scores[0]?.scored).toBeGreaterThan(150);
    expect(report.verdict).toBe('marked');
    expect(report.scores[0]?.z).toBeGreaterThan(6);
    expect(await say(1, KEY)).toBe(marked);
    const plain = await tell(await say(1));
    expect(plain.verdict).toBe('not-shown');
    expect(Math.abs(plain.scores[0]?.z ?? 99)).toBeLessThan(4);
    const other = createHash('sha256').update('another').digest();
    expect((await tell(await say(2, other))).verdict).toBe('not-shown');
  });
});
