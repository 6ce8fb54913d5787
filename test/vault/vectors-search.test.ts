/** Search by vectors, from a model behind an endpoint, joined with search by words. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOpenAiEmbedder } from '../../src/agent/backends/openai-embedder.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { plainCodec } from '../../src/vault/codec.ts';
import type { Embedder } from '../../src/vault/search/embedder.ts';
import { searchFused } from '../../src/vault/search/fused.ts';
import { VectorIndex } from '../../src/vault/search/vectors.ts';
import { openVault } from '../../src/vault/vault.ts';
import { addText, provenance, texts } from './fixtures.ts';

const { signal } = new AbortController();
const MEANINGS = [
  ['car', 'automobile', 'vehicle'],
  ['cat', 'kitten', 'feline'],
  ['rain', 'storm', 'weather'],
];

/** A model of three meanings, served over HTTP as OpenAI's embeddings are. */
const server = createServer(async (request, response) => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const { input } = JSON.parse(String(Buffer.concat(pieces))) as { input: string[] };
  const data = input.map((text, index) => {
    const counts = MEANINGS.map((words) => words.filter((word) => text.toLowerCase().includes(word)).length);
    return { object: 'embedding', index, embedding: [...counts.map((count) => count - 0.1), 0.01] };
  });
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({ object: 'list', model: 'm', data, usage: { prompt_tokens: 1, total_tokens: 1 } }),
  );
});
let embedder: Embedder;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  embedder = createOpenAiEmbedder({}, { endpoint: `http://127.0.0.1:${port}/v1`, model: 'm' });
});
afterAll(() => void server.close());

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
    const parts = { embedder, vectors: [vectors], signal };
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
    await addText(vault, 'c.txt', 'An automobile needs oil.');
    const vectors = await VectorIndex.open({ store, codec: plainCodec, embedder });
    await vectors.sync(vault, { signal });
    const parts = { embedder, vectors: [vectors], signal };
    const { hits } = await searchFused([vault], { question: 'car yard' }, parts);
    expect(texts(hits)[0]).toBe('The vehicle stands in the yard.');
    const reranker = { rank: async (_: string, all: readonly string[]) => all.map((text) => -text.length) };
    const again = await searchFused([vault], { question: 'car yard' }, { ...parts, reranker });
    expect(texts(again.hits)[0]).toBe('An automobile needs oil.');
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
