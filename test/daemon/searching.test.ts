/** Models that help agents to find passages: at hand, missing, and stopped. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createSearching, type Searching } from '../../src/daemon/searching.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { addText } from '../vault/fixtures.ts';

/** Answers that wait until the test lets them go. */
const held: (() => void)[] = [];
let holding = false;
let texts = 0;

const server = createServer(async (request, response: ServerResponse) => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const { input } = JSON.parse(String(Buffer.concat(pieces))) as { input: string[] };
  if (holding && input.length > 1) await new Promise<void>((resolve) => held.push(resolve));
  texts += input.length;
  const data = input.map((text, index) => ({ object: 'embedding', index, embedding: [text.length, 1] }));
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({ object: 'list', model: 'm', data, usage: { prompt_tokens: 1, total_tokens: 1 } }),
  );
});
let endpoint = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const embedder = (more: { keyVariable?: string; endpoint?: string | undefined } = {}) => ({
  ...{ model: 'm', endpoint, keyVariable: undefined, withinMs: 5_000 },
  ...more,
});

function searching(): Searching {
  const judge = (name: string): Promise<never> => Promise.reject(new SaharaError('model-unknown', { name }));
  return createSearching({ models: { judge }, clock: systemClock, log: silentLog, environment: {} });
}

async function vaultOf(count: number): Promise<Vault> {
  const vault = await openVault({ store: createMemoryStore(), clock: systemClock });
  for (let i = 0; i < count; i++) await addText(vault, `${i}.txt`, `Text number ${i}.`);
  return vault;
}

async function eventually<T>(look: () => T | undefined | false): Promise<T> {
  for (;;) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('models that help agents to find', () => {
  test('AGENT-41: make vectors once for all agents with the same vault and model, and follow the vault', async () => {
    const all = searching();
    const vault = await vaultOf(3);
    const search = { embedder: embedder(), reranker: undefined, weight: 500_000 };
    texts = 0;
    const one = await all.open({ agent: 'one', search, vaults: [vault] });
    const two = await all.open({ agent: 'two', search, vaults: [vault] });
    await eventually(() =>
      ['one', 'two'].every((agent) => all.rowOf(agent)?.state === 'ready' && all.rowOf(agent)?.vectors === 3),
    );
    // Each tries the model once; each passage is read once.
    expect(texts).toBe(3 + 2);
    expect(one.models().embedder?.vectors[0]).toBe(two.models().embedder?.vectors[0]);
    await addText(vault, 'late.txt', 'Late.');
    await eventually(() => all.rowOf('one')?.vectors === 4);
    await Promise.all([one.close(), two.close()]);
    expect(all.rowOf('one')).toBeUndefined();
  });

  test('AGENT-40: that are missing are said by kind and reason, and the others help', async () => {
    const all = searching();
    const vaults = [await vaultOf(1)];
    const judge = { model: 'judge', withinMs: 5_000 };
    const first = await all.open({
      agent: 'a',
      search: { embedder: embedder(), reranker: judge, weight: 1 },
      vaults,
    });
    expect(all.rowOf('a')).toMatchObject({ state: 'failing', reranker: 'judge', embedder: 'm' });
    expect(all.rowOf('a')?.note).toMatch(/^the reranker is left out: /);
    expect(Object.keys(first.models())).toEqual(['embedder']);
    const keyed = { embedder: embedder({ keyVariable: 'NO_SUCH_KEY' }), reranker: undefined, weight: 1 };
    const second = await all.open({ agent: 'b', search: keyed, vaults });
    expect(all.rowOf('b')?.note).toContain('NO_SUCH_KEY');
    expect(second.models()).toEqual({});
    await Promise.all([first.close(), second.close()]);
  });

  test('AGENT-41: stop at once, also one that waits for the vectors of another', async () => {
    const all = searching();
    const vault = await vaultOf(70);
    const search = { embedder: embedder(), reranker: undefined, weight: 1 };
    holding = true;
    const one = await all.open({ agent: 'one', search, vaults: [vault] });
    await eventually(() => held.length === 1);
    const two = await all.open({ agent: 'two', search, vaults: [vault] });
    await two.close();
    await one.close();
    holding = false;
    for (const go of held.splice(0)) go();
    const three = await all.open({ agent: 'three', search, vaults: [vault] });
    await eventually(() => all.rowOf('three')?.vectors === 70);
    await three.close();
  });
});
