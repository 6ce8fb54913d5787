/** Search by vectors, from a model behind an endpoint, joined with search by words. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOpenAiEmbedder } from '../../src/agent/embedding/openai.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { plainCodec } from '../../src/vault/codec.ts';
import { vectorsRange } from '../../src/vault/keys.ts';
import type { Embedder } from '../../src/vault/search/embedder.ts';
import { rerank, searchFused } from '../../src/vault/search/fused.ts';
import { VectorIndex } from '../../src/vault/search/vectors.ts';
import { openVault } from '../../src/vault/vault.ts';
import { addText, provenance, texts } from './fixtures.ts';

const { signal } = new AbortController();
const MEANINGS = [
  ['car', 'automobile', 'vehicle'],
  ['cat', 'kitten', 'feline'],
  ['rain', 'storm', 'weather'],
];

/** Texts of each request. */
const asked: number[] = [];

/** A model of three meanings, served over HTTP as OpenAI's embeddings are. */
const server = createServer(async (request, response) => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const { input } = JSON.parse(String(Buffer.concat(pieces))) as { input: string[] };
  asked.push(input.length);
  const data = input
    .filter((text) => text !== 'MISSING')
    .map((text, index) => {
      const counts = MEANINGS.map(
        (words) => words.filter((word) => text.toLowerCase().includes(word)).length,
      );
      return { object: 'embedding', index, embedding: [...counts.map((count) => count - 0.1), 0.01] };
    });
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({ object: 'list', model: 'm', data, usage: { prompt_tokens: 1, total_tokens: 1 } }),
  );
});
let embedder: Embedder;

async function vectorOf(text: string): Promise<Float32Array> {
  const [vector = new Float32Array()] = await embedder.embed([text], { signal });
  return vector;
}

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  embedder = createOpenAiEmbedder({}, { endpoint: `http://127.0.0.1:${port}/v1`, model: 'm' });
});
afterAll(() => void server.close());

describe('an endpoint that makes vectors', () => {
  test('MODEL-94: is asked about many texts in requests of 64, and has to answer about each', async () => {
    const many = Array.from({ length: 150 }, (_, i) => (i % 2 === 0 ? 'car' : 'cat'));
    asked.length = 0;
    const vectors = await embedder.embed(many, { signal });
    expect(asked).toEqual([64, 64, 22]);
    expect(vectors).toHaveLength(150);
    expect(vectors[148]).toEqual(vectors[0]);
    expect(vectors[149]).not.toEqual(vectors[0]);
    await expect(embedder.embed(['car', 'MISSING'], { signal })).rejects.toMatchObject({
      code: 'backend-failed',
      facts: { reason: expect.stringContaining('left out text 1 of 2') },
    });
    const stopped = AbortSignal.abort();
    await expect(embedder.embed(['car'], { signal: stopped })).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('vectors', () => {
  test('KNOW-155: find what no word of the question is in, survive a restart, follow the vault and its views', async () => {
    const store = createMemoryStore();
    const vault = await openVault({ store, clock: systemClock });
    await addText(vault, 'a.txt', 'An automobile stands in the yard.', provenance(1));
    await addText(vault, 'b.txt', 'A kitten sleeps on the sofa.', provenance(2));
    await addText(vault, 'c.txt', 'The storm came from the west.', provenance(2));
    let vectors = await VectorIndex.open({ store, codec: plainCodec, embedder });
    await vectors.sync(vault, { signal });
    expect(vectors.size).toBe(3);
    vectors = await VectorIndex.open({ store, codec: plainCodec, embedder });
    expect(vectors.size).toBe(3);
    const parts = { question: await vectorOf('feline'), vectors: [vectors] };
    expect((await vault.search({ question: 'feline' })).hits).toEqual([]);
    const found = await searchFused([vault], { question: 'feline', limit: 1 }, parts);
    expect(texts(found.hits)).toEqual(['A kitten sleeps on the sofa.']);
    const visible = (document: { contributor: Uint8Array }) => document.contributor[0] === 1;
    const seen = await searchFused([vault], { question: 'feline', visible }, parts);
    expect(texts(seen.hits)).toEqual(['An automobile stands in the yard.']);
    await vault.remove('b.txt');
    await vectors.sync(vault, { signal });
    expect(vectors.size).toBe(2);
    const after = await searchFused([vault], { question: 'feline' }, parts);
    expect(texts(after.hits)).not.toContain('A kitten sleeps on the sofa.');
  });

  test('KNOW-155: what words and vectors both find comes first, and a reranking model has the last word', async () => {
    const store = createMemoryStore();
    const vault = await openVault({ store, clock: systemClock });
    await addText(vault, 'a.txt', 'The yard is wide and the yard is green.');
    await addText(vault, 'b.txt', 'The vehicle stands in the yard.');
    await addText(vault, 'c.txt', 'An automobile likes no storm.');
    const vectors = await VectorIndex.open({ store, codec: plainCodec, embedder });
    await vectors.sync(vault, { signal });
    const parts = { question: await vectorOf('car yard'), vectors: [vectors] };
    const { hits } = await searchFused([vault], { question: 'car yard' }, parts);
    expect(texts(hits)[0]).toBe('The vehicle stands in the yard.');
    const reranker = {
      rank: async (_: string, all: readonly string[]) => all.map((text) => text.indexOf('likes')),
    };
    const again = await rerank('car yard', hits, { reranker, signal });
    expect(texts(again)[0]).toBe('An automobile likes no storm.');
    expect(again.map(({ score }) => score)).toEqual(again.map(({ score }) => score).sort((a, b) => b - a));
    const short = { rank: async () => [1] };
    await expect(rerank('car yard', hits, { reranker: short, signal })).rejects.toMatchObject({
      code: 'backend-failed',
    });
  });

  test('KNOW-170: how much vectors count is a weight; with all of it only what is near is found', async () => {
    const store = createMemoryStore();
    const vault = await openVault({ store, clock: systemClock });
    await addText(vault, 'a.txt', 'The yard is wide and the yard is green.');
    await addText(vault, 'b.txt', 'The storm came from the west.');
    const vectors = await vault.vectors(embedder);
    await vectors.sync(vault, { signal });
    const at = async (weight: number) => {
      const parts = { question: await vectorOf('weather'), vectors: [vectors], weight };
      return texts((await searchFused([vault], { question: 'yard', limit: 1 }, parts)).hits)[0];
    };
    expect(await at(1_000_000)).toBe('The storm came from the west.');
    expect(await at(0)).toBe('The yard is wide and the yard is green.');
    const parts = { question: await vectorOf('weather'), vectors: [vectors], weight: 1_000_000 };
    const { hits } = await searchFused([vault], { question: '"yard is green"' }, parts);
    expect(texts(hits)).toEqual(['The yard is wide and the yard is green.']);
  });

  test('KNOW-172: a removed document takes its vectors along at once, of all models, also while they are made', async () => {
    const store = createMemoryStore();
    const vault = await openVault({ store, clock: systemClock });
    await addText(vault, 'a.txt', 'One car.');
    await addText(vault, 'b.txt', 'Two cats.');
    const other: Embedder = { ...embedder, digest: new Uint8Array(32).fill(9) };
    for (const model of [embedder, other]) await (await vault.vectors(model)).sync(vault, { signal });
    const kept = async (): Promise<number> => {
      let count = 0;
      for await (const _ of store.entries(vectorsRange())) count++;
      return count;
    };
    expect(await kept()).toBe(4);
    await vault.forget('a.txt');
    expect(await kept()).toBe(2);
    await addText(vault, 'c.txt', 'Three storms.');
    const slow: Embedder = {
      digest: embedder.digest,
      embed: async (all, options) => {
        await vault.forget('c.txt');
        return embedder.embed(all, options);
      },
    };
    const vectors = await vault.vectors(slow);
    await vectors.sync(vault, { signal });
    expect([await kept(), vectors.size, vectors.isWhole(vault)]).toEqual([2, 1, false]);
    await vectors.sync(vault, { signal });
    expect(vectors.isWhole(vault)).toBe(true);
  });

  test('KNOW-171: making vectors goes on where it was stopped', async () => {
    const store = createMemoryStore();
    const vault = await openVault({ store, clock: systemClock });
    for (let i = 0; i < 70; i++) await addText(vault, `${i}.txt`, `Text ${i} about a car.`);
    const stop = new AbortController();
    const first = await vault.vectors(embedder);
    const sizes: number[] = [];
    const progress = (size: number): void => {
      sizes.push(size);
      stop.abort();
    };
    await expect(first.sync(vault, { signal: stop.signal, progress })).rejects.toThrow();
    const second = await vault.vectors(embedder);
    expect([sizes, second.size, second.isWhole(vault)]).toEqual([[64], 64, false]);
    await second.sync(vault, { signal, progress: (size) => sizes.push(size) });
    expect([sizes, second.isWhole(vault)]).toEqual([[64, 70], true]);
  });

  test('a model that gives vectors of another length, or numbers that are none, is refused', async () => {
    const store = createMemoryStore();
    const vault = await openVault({ store, clock: systemClock });
    await addText(vault, 'a.txt', 'One.');
    await addText(vault, 'b.txt', 'Two.');
    const giving = (...vectors: number[][]): Embedder => ({
      digest: new Uint8Array(32),
      embed: async () => vectors.map((vector) => Float32Array.from(vector)),
    });
    for (const bad of [giving([Number.NaN], [1]), giving([]), giving()]) {
      const vectors = await VectorIndex.open({ store, codec: plainCodec, embedder: bad });
      await expect(vectors.sync(vault, { signal })).rejects.toMatchObject({ code: 'backend-failed' });
    }
  });
});
