import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnswerRequest } from '../../../src/agent/backends/backend.ts';
import {
  createLlamaBackend,
  type LlamaBackend,
  type LlamaOptions,
} from '../../../src/agent/backends/llama.ts';
import type { ModelSource } from '../../../src/agent/llama/room.ts';
import { toHex } from '../../../src/base/bytes.ts';
import { systemDice } from '../../../src/base/random.ts';
import { backendConforms, REQUEST, readAnswer } from '../backend-conforms.ts';
import { type ModelHome, openModelHome } from './home.ts';
import { noiseModel, saying, scriptedAdapter, scriptedModel } from './models.ts';

const WORDS = ['A watchtower', ' keeps', ' vouchers', ' [1].', ' The', ' charge', ' is', ' paid', ' [2].'];
const SAID = 'A watchtower keeps vouchers. The charge is paid.';
const calm = (): { signal: AbortSignal } => ({ signal: new AbortController().signal });

let home: ModelHome;
let scripted: ModelSource;
let noise: ModelSource;
let adapter: ModelSource;

beforeAll(async () => {
  home = await openModelHome();
  const model = scriptedModel({
    ...saying(...WORDS),
    ' is': { ' paid': 20, ' lost': 10 },
    ' lost': { ' [2].': 20 },
  });
  scripted = await home.add('scripted', model.gguf);
  adapter = await home.add('lost', scriptedAdapter(model, { ' is': { ' paid': -20, ' lost': 20 } }));
  noise = await home.add('noise', noiseModel());
});

afterAll(() => home.close());

function backend(options: Partial<LlamaOptions> = {}): LlamaBackend {
  return createLlamaBackend(
    { engine: home.engine, dice: systemDice },
    { name: 'scripted', model: scripted, contextTokens: 2048, ...options },
  );
}

const LONG: AnswerRequest = { ...REQUEST, question: 'why? '.repeat(500) };

backendConforms('llama', async () => backend(), { tooLong: LONG });

describe('a local model', () => {
  test('says what it says, and cites what it was given', async () => {
    const { text, citations } = await readAnswer(backend().answer(REQUEST, calm()));
    expect(text).toBe(SAID);
    expect(citations.map(({ passage }) => passage)).toEqual([0, 1]);
  });

  test('MODEL-27: an adapter at scale 0 changes nothing, at scale 1 it does, and both are other models', async () => {
    const at = (scale: number): LlamaBackend => backend({ adapters: [{ ...adapter, scale }] });
    const said = async (one: LlamaBackend): Promise<string> =>
      (await readAnswer(one.answer(REQUEST, calm()))).text;
    expect(await said(at(0))).toBe(SAID);
    expect(await said(at(1))).toBe('A watchtower keeps vouchers. The charge is lost.');
    // Below the margin of the script the base wins: 20 - 8 against 10 + 8.
    expect(await said(at(0.2))).toBe(SAID);
    const digests = [backend(), at(0), at(1)].map(({ model }) => toHex(model.digest));
    expect(new Set(digests).size).toBe(3);
  });

  test('MODEL-24: a seed repeats a drawn answer, another seed gives another', async () => {
    const drawing = backend({ model: noise, sampling: { temperature: 1.5, topK: 64, topP: 1, minP: 0 } });
    const said = async (seed: number): Promise<string> =>
      (await readAnswer(drawing.answer({ ...REQUEST, unitsMax: 12, seed }, calm()))).text;
    const first = await said(1);
    expect(first).not.toBe('');
    expect(await said(1)).toBe(first);
    expect(await said(2)).not.toBe(first);
  });

  test('MODEL-28, MODEL-99: names its determinism class', async () => {
    const found = await backend().determinismClass(calm());
    expect(found).toMatch(/^llama\.cpp \S+, cpu \w+, F32, 4 together, steps 2$/);
    expect(backend().model.determinism).toBe('seeded');
  });

  test('MODEL-29: scores an answer, and the adapter makes the other one likely', async () => {
    const plain = backend();
    const bent = backend({ adapters: [{ ...adapter, scale: 1 }] });
    const paid = 'A watchtower keeps vouchers [1]. The charge is paid';
    const lost = 'A watchtower keeps vouchers [1]. The charge is lost';
    const [a, b, c, d] = await Promise.all([
      plain.score(REQUEST, paid, { ...calm(), without: undefined }),
      plain.score(REQUEST, lost, { ...calm(), without: undefined }),
      bent.score(REQUEST, paid, { ...calm(), without: undefined }),
      bent.score(REQUEST, lost, { ...calm(), without: undefined }),
    ]);
    expect(a).toBeGreaterThan(-0.1);
    expect(b).toBeLessThan(-5);
    expect(c).toBeLessThan(-20);
    expect(d).toBeGreaterThan(-0.1);
  });
});
