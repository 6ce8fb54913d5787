/** What a caller gets of a vault of which a part is closed to them, and how models that find passages fail. */
import { describe, expect, it } from 'vitest';
import { createVaultAnswerer } from '../../src/agent/answerer.ts';
import { attributionStatement } from '../../src/agent/attribution/statement.ts';
import type { Backend } from '../../src/agent/backends/backend.ts';
import { createExtractiveBackend } from '../../src/agent/backends/extractive.ts';
import { createLlamaBackend } from '../../src/agent/backends/llama.ts';
import { createOpenAiBackend } from '../../src/agent/backends/openai.ts';
import { createFinder, type Finder, type SearchModels } from '../../src/agent/embedding/finder.ts';
import { recomputeShares, repeatAnswer } from '../../src/agent/recompute.ts';
import { toHex, utf8 } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { BUNDLE_FORMAT, type Bundle } from '../../src/protocol/bundle.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { vaultKeys } from '../../src/vault/sealed/key-tree.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { visibleTo } from '../../src/vault/visible.ts';
import { startEndpoint, tell } from '../agent/endpoint.ts';
import { openModelHome } from '../agent/llama/home.ts';
import { saying, scriptedModel } from '../agent/llama/models.ts';
import { AGENT_ASSET, createRig, hash, keys } from './rig.ts';

const { signal } = new AbortController();
const SPLIT = { knowledge: 700_000, operator: 200_000, model: 100_000, prompt: 0 };
const QUESTION = 'Where is the treasure of the watchtower?';
const SECRET = 'The treasure of the watchtower lies under Zephyrine rock.';

async function filled(): Promise<Vault> {
  const vault = await openVault({ store: createMemoryStore(), clock }, { keys: vaultKeys(hash(0xa1)) });
  const keep = (name: string, text: string) =>
    vault.importDocument({
      name,
      bytes: utf8(text),
      provenance: { contributor: keys.contributor.publicKey, contribution: hash(0xb1), licence: 'x' },
    });
  await keep('open.md', 'The treasure of the watchtower is a story that guides tell.');
  await keep('secret.md', SECRET);
  for (let i = 0; i < 6; i++) await keep(`${i}.txt`, `Filler number${i} about channels.`);
  return vault;
}

function finderOf(vault: Vault, models?: () => SearchModels, told: string[] = []): Finder {
  return createFinder({
    clock,
    vaults: [vault],
    visible: (caller) => [visibleTo(vault, { caller, nowMs: clock.nowMs(), licensed: () => false })],
    ...(models && { models }),
    told: (model, fault) => told.push(`${model} ${fault?.code ?? 'ok'}`),
  });
}

async function called(
  vault: Vault,
  backend: Backend,
  finder = finderOf(vault),
): Promise<{ readonly bundle: Bundle; readonly text: string; readonly documents: readonly string[] }> {
  const assets = { agent: AGENT_ASSET, model: hash(0xb9) };
  const answerer = createVaultAnswerer({ backend, vaults: [vault], finder }, { split: SPLIT, assets });
  const rig = await createRig({ answerer });
  const asked = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n, seed: 7 });
  const { evidence, text, sources } = await asked.result;
  const none = { settlement: undefined, keys: undefined };
  const bundle = { format: BUNDLE_FORMAT, genesis: new Uint8Array(0), ...evidence, ...none };
  return { bundle, text, documents: sources.map(({ document }) => document) };
}

function statementIn(bundle: Bundle) {
  const delivery = bundle.deliveries.find(({ kind }) => kind === CALL_FRAME.attribution);
  return attributionStatement.decode(delivery?.body ?? new Uint8Array());
}

const closed = { place: 'secret.md', granted: false, readers: [], licences: [], untilMs: undefined };
const quoting = (): Backend => createExtractiveBackend({ supportMin: 300_000 });

describe('a caller to whom part of a vault is closed', () => {
  it('KNOW-153, KNOW-176: gets no word, name, id or number of it, and evidence that holds', async () => {
    const vault = await filled();
    expect((await called(vault, quoting())).documents).toContain('secret.md');
    await vault.labels.put(closed);
    const { bundle, text, documents } = await called(vault, quoting());
    expect(documents).toEqual(['open.md']);
    expect(text).not.toContain('Zephyrine');
    const secret = await vault.document('secret.md');
    const ids = [];
    if (secret) for await (const { id } of vault.passages(secret)) ids.push(toHex(id));
    const told = Buffer.concat(bundle.deliveries.map(({ body }) => Buffer.from(body)));
    for (const hidden of ['Zephyrine', 'secret.md']) expect(told.includes(hidden)).toBe(false);
    for (const id of ids) expect(told.includes(Buffer.from(id, 'hex'))).toBe(false);
    const stated = statementIn(bundle);
    expect([stated.record.rule, stated.record.terms, stated.proofs]).toEqual([
      'coverage-plain/1',
      [],
      undefined,
    ]);
    expect(stated.how).toMatchObject({ restricted: true, embedder: undefined });
    expect(recomputeShares(bundle).map(({ ok }) => ok)).toEqual([true, true, true]);
    const repeated = { vaults: [vault], backend: quoting(), finder: finderOf(vault) };
    const steps = await repeatAnswer(bundle, repeated, { signal });
    expect(steps.map(({ check, ok }) => [check, ok])).toEqual([
      ['retrieval', true],
      ['answer', true],
      ['record', true],
    ]);
  });

  it('KNOW-175: who is named by the label gets it', async () => {
    const vault = await filled();
    await vault.labels.put({ ...closed, readers: [keys.payer.publicKey] });
    const { bundle, documents } = await called(vault, quoting());
    expect(documents).toContain('secret.md');
    expect(statementIn(bundle).record.rule).toBe('coverage/1');
  });

  it('KNOW-176: what is closed never reaches a model', async () => {
    const vault = await filled();
    await vault.labels.put(closed);
    const endpoint = await startEndpoint(tell(['The treasure of the watchtower is a story [1].']));
    try {
      const options = { endpoint: endpoint.url, model: 'm', seeded: true };
      const { documents } = await called(vault, createOpenAiBackend({ clock }, options));
      expect(documents).toEqual(['open.md']);
      const sent = JSON.stringify(endpoint.requests);
      expect(sent).toContain('guides tell');
      expect(sent).not.toContain('Zephyrine');
    } finally {
      await endpoint.close();
    }
  });
});

describe('the same with a model of this machine', () => {
  it('KNOW-176: rests on what is open', async () => {
    const home = await openModelHome();
    try {
      const script = scriptedModel(saying('The treasure', ' of the watchtower', ' is a story', ' [1].'), {
        context: 4096,
      });
      const model = await home.add('scripted', script.gguf);
      const options = { name: 'scripted', model, contextTokens: 4096 };
      const backend = createLlamaBackend({ engine: home.engine, dice: systemDice }, options);
      const vault = await filled();
      await vault.labels.put(closed);
      const { bundle, documents } = await called(vault, backend);
      expect(documents).toEqual(['open.md']);
      expect(statementIn(bundle)).toMatchObject({ record: { rule: 'spans/1' }, proofs: undefined });
    } finally {
      await home.close();
    }
  });
});

describe('models that help to find passages', () => {
  const digest = hash(0xd1);
  const embedder = {
    digest,
    embed: async (texts: readonly string[]) => texts.map(() => Float32Array.of(1, 0.5)),
  };
  const never = ({ signal: stop }: { readonly signal: AbortSignal }): Promise<never> =>
    new Promise((_, reject) => stop.addEventListener('abort', () => reject(stop.reason)));

  async function modelsFor(vault: Vault): Promise<Required<SearchModels>> {
    const vectors = await vault.vectors(embedder);
    await vectors.sync(vault, { signal });
    const reranker = {
      rank: async (_: string, all: readonly string[]) => all.map((text) => Number(text.includes('number3'))),
    };
    return {
      embedder: { name: 'small', digest, withinMs: 60_000, embedder, vectors: [vectors], weight: 400_000 },
      reranker: { name: 'judge', digest: hash(0xd2), withinMs: 60_000, reranker },
    };
  }
  const query = { question: QUESTION, limit: 3 };
  const who = { caller: keys.payer.publicKey, signal };

  it('KNOW-178: say in the statement what found the passages, and a repetition with them comes out the same', async () => {
    const vault = await filled();
    const models = await modelsFor(vault);
    const finder = finderOf(vault, () => models);
    const { hits, how } = await finder.find(query, who);
    expect([hits.length, hits[0]?.name]).toEqual([3, '3.txt']);
    expect(how).toMatchObject({ embedder: { name: 'small' }, reranker: { name: 'judge' }, weight: 400_000 });
    expect(how).toMatchObject({ whole: true, restricted: false });
    const { bundle } = await called(vault, quoting(), finder);
    expect(statementIn(bundle).how).toEqual(how);
    expect(recomputeShares(bundle).every(({ ok }) => ok)).toBe(true);
    const again = { vaults: [vault], backend: quoting(), finder };
    const steps = await repeatAnswer(bundle, again, { signal });
    expect(steps.every(({ ok }) => ok)).toBe(true);
    await vault.importDocument({
      name: 'late.md',
      bytes: utf8('Late.'),
      provenance: { contributor: keys.contributor.publicKey, contribution: undefined, licence: '' },
    });
    expect((await finder.find(query, who)).how?.whole).toBe(false);
  });

  it('KNOW-173: that fail or are late are left out, and it is told; words find as without them', async () => {
    const vault = await filled();
    const { embedder: vectors, reranker } = await modelsFor(vault);
    const plain = await finderOf(vault).find(query, who);
    const told: string[] = [];
    const failing = {
      ...vectors,
      embedder: { digest, embed: async () => Promise.reject(new SaharaError('backend-failed')) },
    };
    const first = await finderOf(vault, () => ({ embedder: failing }), told).find(query, who);
    const late = {
      ...reranker,
      withinMs: 10,
      reranker: {
        rank: (_: string, __: readonly string[], options: { signal: AbortSignal }) => never(options),
      },
    };
    const second = await finderOf(vault, () => ({ reranker: late }), told).find(query, who);
    expect([first, second]).toEqual([plain, { ...plain, hits: second.hits }]);
    expect(second.hits.map(({ name }) => name)).toEqual(plain.hits.map(({ name }) => name));
    expect(told).toEqual(['embedder backend-failed', 'reranker deadline-exceeded']);
  });

  it('KNOW-173: a cancelled search ends, whatever a model does', async () => {
    const vault = await filled();
    const { embedder: vectors } = await modelsFor(vault);
    const stop = new AbortController();
    const hanging = {
      ...vectors,
      embedder: { digest, embed: (_: readonly string[], options: { signal: AbortSignal }) => never(options) },
    };
    const work = finderOf(vault, () => ({ embedder: hanging })).find(query, { ...who, signal: stop.signal });
    stop.abort();
    await expect(work).rejects.toMatchObject({ code: 'cancelled' });
  });
});
