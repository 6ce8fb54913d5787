import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFromHost, readToHost } from '../../../src/agent/llama/read-messages.ts';
import type { ModelSource } from '../../../src/agent/llama/room.ts';
import { ENCODING, encoding } from './families.ts';
import { type ModelHome, openModelHome } from './home.ts';
import { embeddingModel, rankingModel } from './judging-models.ts';

const calm = { signal: new AbortController().signal };
const MEANINGS = [
  ['car', 'automobile', 'vehicle'],
  ['cat', 'kitten', 'feline'],
];

let home: ModelHome;
let embedding: ModelSource;
let ranking: ModelSource;

beforeAll(async () => {
  home = await openModelHome();
  embedding = await home.add('embedding', embeddingModel(MEANINGS));
  ranking = await home.add('ranking', rankingModel(['gold']));
});
afterAll(() => home.close());

function cosine(a: readonly number[] = [], b: readonly number[] = []): number {
  const product = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
}

describe('what is said about judging', () => {
  const embed = { type: 'embed', id: 1, tokens: 512, texts: ['a'] };
  const rank = { type: 'rank', id: 1, tokens: 512, question: 'q', passages: ['a', 'b'] };

  test('MODEL-12: is read back, and anything else refused', () => {
    for (const said of [embed, rank]) expect(readToHost(said)).toEqual(said);
    for (const wrong of [
      { ...embed, texts: 'a' },
      { ...embed, texts: Array.from({ length: 65 }, () => 'a') },
      { ...embed, tokens: 1 },
      { ...embed, id: 0 },
      { ...rank, question: 7 },
      { ...rank, passages: [7] },
    ]) {
      expect(() => readToHost(wrong)).toThrow(expect.objectContaining({ code: 'malformed' }));
    }
    const judged = { type: 'judged', id: 1, numbers: [0.5, -1], last: true };
    expect(readFromHost(judged)).toEqual(judged);
    for (const numbers of [[], [null], ['1'], [Number.NaN], Array.from({ length: 8193 }, () => 1)]) {
      expect(() => readFromHost({ ...judged, numbers })).toThrow(
        expect.objectContaining({ code: 'malformed' }),
      );
    }
  });
});

describe('a model that judges texts', () => {
  test('MODEL-90: makes vectors as its pooling says, the same ones again, more texts than one turn takes', async () => {
    const target = { model: embedding, payer: 'a', weight: 1 };
    const texts = ['automobile', 'feline', 'vehicle', ...Array.from({ length: 18 }, () => 'kitten')];
    const vectors = await home.engine.embed(target, texts, calm);
    expect(vectors).toHaveLength(texts.length);
    expect(cosine(vectors[0], vectors[2])).toBeGreaterThan(0.99);
    expect(cosine(vectors[0], vectors[1])).toBeLessThan(0.5);
    expect(cosine(vectors[1], vectors.at(-1))).toBeGreaterThan(0.99);
    expect(await home.engine.embed(target, texts, calm)).toEqual(vectors);
  });

  test('MODEL-91: a text is read as far as it fits, and says nothing to the model but words', async () => {
    const target = { model: embedding, payer: 'a', weight: 1 };
    const [long, marked] = await home.engine.embed(target, ['car '.repeat(5_000), '</s>car'], calm);
    expect(long).toHaveLength(32);
    expect(marked?.every(Number.isFinite)).toBe(true);
  });

  test.each(ENCODING)('MODEL-90: of a %s too, whose places end with its context', async (name) => {
    const model = await home.add(name.replaceAll(' ', '-'), encoding(name));
    const target = { model, payer: 'a', weight: 1 };
    const [short, long] = await home.engine.embed(
      target,
      ['bee hive', 'bee hive queen '.repeat(2_000)],
      calm,
    );
    expect([short?.length, long?.length]).toEqual([64, 64]);
    expect(long?.every(Number.isFinite)).toBe(true);
  });

  test('MODEL-92: tells how well passages answer, also long ones, in parts', async () => {
    const target = { model: ranking, payer: 'a', weight: 1 };
    const passages = ['sand and dust', 'gold gold', `${'dust '.repeat(600)}gold gold gold gold`, 'one gold'];
    const worths = await home.engine.rank(target, { question: 'what glitters?', passages }, calm);
    expect(worths).toHaveLength(4);
    expect(worths[1]).toBeGreaterThan(worths[0] ?? 1);
    expect(worths[3]).toBeGreaterThan(worths[0] ?? 1);
    expect(worths.every((worth) => worth >= 0 && worth <= 1)).toBe(true);
    expect(await home.engine.rank(target, { question: 'what glitters?', passages }, calm)).toEqual(worths);
  });

  test('MODEL-92: a model that ranks nothing says so', async () => {
    const target = { model: embedding, payer: 'a', weight: 1 };
    await expect(home.engine.rank(target, { question: 'q', passages: ['p'] }, calm)).rejects.toMatchObject({
      code: 'model-invalid',
    });
  });

  test('MODEL-93: ends when it is cancelled, and answers who comes next', async () => {
    const stop = new AbortController();
    const target = { model: embedding, payer: 'a', weight: 1 };
    const work = home.engine.embed(
      target,
      Array.from({ length: 64 }, () => 'cat '.repeat(200)),
      { signal: stop.signal },
    );
    stop.abort();
    await expect(work).rejects.toMatchObject({ code: 'cancelled' });
    expect(await home.engine.embed({ ...target, payer: 'b' }, ['cat'], calm)).toHaveLength(1);
  });
});
