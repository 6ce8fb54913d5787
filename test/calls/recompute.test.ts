/** Repeating what a call's evidence says of who earned, and the answer itself. */
import { afterEach, describe, expect, it } from 'vitest';
import { createVaultAnswerer } from '../../src/agent/answerer.ts';
import { quotesOf } from '../../src/agent/attribution/quotes.ts';
import { type AttributionStatement, attributionStatement } from '../../src/agent/attribution/statement.ts';
import type { Backend } from '../../src/agent/backends/backend.ts';
import { createExtractiveBackend } from '../../src/agent/backends/extractive.ts';
import { createOpenAiBackend } from '../../src/agent/backends/openai.ts';
import { recomputeShares, repeatAnswer } from '../../src/agent/recompute.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock as clock } from '../../src/base/clock.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { BUNDLE_FORMAT, type Bundle } from '../../src/protocol/bundle.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { receipt as receiptSchema } from '../../src/protocol/payment.ts';
import { openVault, type Vault } from '../../src/vault/vault.ts';
import { type Endpoint, type Script, startEndpoint, tell } from '../agent/endpoint.ts';
import { AGENT_ASSET, createRig, hash, keys } from './rig.ts';

const SPLIT = { knowledge: 700_000, operator: 200_000, model: 100_000, prompt: 0 };
const QUESTION = 'How does a wachtower claim with the voucher of a payee who is offline?';
const { signal } = new AbortController();
const endpoints: Endpoint[] = [];

afterEach(async () => {
  for (const endpoint of endpoints.splice(0)) await endpoint.close();
});

async function filled(): Promise<Vault> {
  const vault = await openVault({ store: createMemoryStore(), clock });
  const keep = (name: string, text: string, contribution: number) =>
    vault.importDocument({
      name,
      bytes: utf8(text),
      provenance: {
        contributor: keys.contributor.publicKey,
        contribution: hash(contribution),
        licence: 'CC-BY-4.0',
      },
    });
  await keep(
    'a.md',
    '# Watchtower\n\nA watchtower can claim for a payee who is offline. It cannot steal.',
    0xb1,
  );
  await keep('b.md', '# Voucher\n\nThe watchtower presents the last voucher of the payee to claim.', 0xb2);
  for (let i = 0; i < 12; i++) await keep(`${i}.txt`, `Filler number${i} about channels and payees.`, 0xb3);
  return vault;
}

async function called(
  vaults: readonly Vault[],
  backend: Backend,
): Promise<{ bundle: Bundle; text: string; cited: readonly string[] }> {
  const answerer = createVaultAnswerer(
    { backend, vaults },
    { split: SPLIT, assets: { agent: AGENT_ASSET, model: hash(0xb9) } },
  );
  const rig = await createRig({ answerer });
  const asked = rig.caller.ask({ target: rig.target, question: QUESTION, priceMax: 1_000n, seed: 7 });
  const { evidence, text, citations } = await asked.result;
  const bundle = {
    format: BUNDLE_FORMAT,
    genesis: new Uint8Array(0),
    ...evidence,
    settlement: undefined,
    keys: undefined,
  };
  const bytes = Buffer.from(text);
  return { bundle, text, cited: citations.map(({ start, end }) => bytes.subarray(start, end).toString()) };
}

/** The same evidence with another statement, as an agent could have signed it. */
function restated(bundle: Bundle, change: (stated: AttributionStatement) => AttributionStatement): Bundle {
  return {
    ...bundle,
    deliveries: bundle.deliveries.map((delivery) =>
      delivery.kind === CALL_FRAME.attribution
        ? {
            ...delivery,
            body: attributionStatement.encode(change(attributionStatement.decode(delivery.body))),
          }
        : delivery,
    ),
  };
}

const quoting = () => createExtractiveBackend({ supportMin: 300_000 });

describe('from the file alone', () => {
  it('KNOW-157, KNOW-158: game and shares of an honest call come out the same, and its counts are proven', async () => {
    const { bundle } = await called([await filled()], quoting());
    const steps = recomputeShares(bundle);
    expect(steps.map(({ check, ok }) => [check, ok])).toEqual([
      ['statement', true],
      ['game', true],
      ['shares', true],
    ]);
    expect(steps[0]?.detail).toContain('coverage/1; its counts are proven');
  });

  it('KNOW-158: a false part is found, with its passage, what is stated and what comes out', async () => {
    const { bundle } = await called([await filled()], quoting());
    const planted = restated(bundle, (stated) => ({
      ...stated,
      record: {
        ...stated.record,
        sources: stated.record.sources.map((source, i) => ({
          ...source,
          ppm: source.ppm + (i === 0 ? 1000 : i === 1 ? -1000 : 0),
        })),
      },
    }));
    const failed = recomputeShares(planted).at(-1);
    expect(failed).toMatchObject({ check: 'game', ok: false });
    expect(failed?.detail).toMatch(
      /^sources\[0\]\.ppm \(passage \S+ of [ab]\.md\) is \d+; the rule gives \d+$/,
    );
  });

  it('KNOW-158: a false count, a source left out and one that was not cited are found', async () => {
    const { bundle } = await called([await filled()], quoting());
    const counted = restated(bundle, (stated) => ({
      ...stated,
      record: {
        ...stated.record,
        terms: stated.record.terms.map((term, i) => (i === 0 ? { ...term, chunksWith: [9] } : term)),
      },
    }));
    expect(recomputeShares(counted).at(-1)?.detail).toMatch(/terms\[0\]\.chunksWith 9 is not what corpus 0/);
    const short = restated(bundle, (stated) => ({
      ...stated,
      record: { ...stated.record, sources: stated.record.sources.slice(1) },
    }));
    expect(recomputeShares(short)[0]?.detail).toMatch(/is cited and left out of the statement/);
    const extra = restated(bundle, (stated) => {
      const [first] = stated.record.sources;
      if (first === undefined) return stated;
      const sources = [...stated.record.sources, { ...first, id: hash(0xff) }];
      return { ...stated, record: { ...stated.record, sources } };
    });
    expect(recomputeShares(extra)[0]?.detail).toMatch(/stands in the statement and is not cited/);
  });

  it('KNOW-158: a false share of the receipt is found, with what the rule gives', async () => {
    const { bundle } = await called([await filled()], quoting());
    const final = receiptSchema.decode(bundle.ending.receipt.payload);
    const shares = final.shares.map((share, i) => ({ ...share, ppm: share.ppm + (i === 0 ? -7 : 0) }));
    const [first] = shares;
    const wrong: Bundle = {
      ...bundle,
      ending: {
        ...bundle.ending,
        receipt: { ...bundle.ending.receipt, payload: receiptSchema.encode({ ...final, shares }) },
      },
    };
    expect(recomputeShares(wrong).at(-1)).toMatchObject({ check: 'shares', ok: false });
    expect(recomputeShares(wrong).at(-1)?.detail).toContain(
      `is ${first?.ppm}; the rule gives ${(first?.ppm ?? 0) + 7}`,
    );
  });

  it('KNOW-158: shares that were exchanged, and an adapter that the model is not made with, are found', async () => {
    const { bundle } = await called([await filled()], quoting());
    const final = receiptSchema.decode(bundle.ending.receipt.payload);
    const [first, second] = final.shares.filter(({ role }) => role === 'knowledge');
    if (first === undefined || second === undefined) throw new Error('two contributors earn');
    expect(first.ppm).not.toBe(second.ppm);
    const swap = (share: typeof first): typeof first => {
      const other = share === first ? second : share === second ? first : undefined;
      return other === undefined ? share : { ...share, asset: other.asset };
    };
    const receipt = {
      ...bundle.ending.receipt,
      payload: receiptSchema.encode({ ...final, shares: final.shares.map(swap) }),
    };
    const swapped = recomputeShares({ ...bundle, ending: { ...bundle.ending, receipt } }).at(-1);
    expect(swapped).toMatchObject({ check: 'shares', ok: false });
    expect(swapped?.detail).toMatch(
      new RegExp(`^shares\\[\\d\\] \\(knowledge \\S+\\) is ${first.ppm}; the rule gives ${second.ppm}$`),
    );
    const foreign = restated(bundle, (stated) => ({
      ...stated,
      assets: { ...stated.assets, adapters: [{ asset: hash(0xfe), ppm: 500_000 }] },
    }));
    expect(recomputeShares(foreign)).toMatchObject([
      {
        check: 'statement',
        ok: false,
        detail: expect.stringMatching(/pays 1 adapters; the card's model is made with 0/),
      },
    ]);
    const agent = restated(bundle, (stated) => ({ ...stated, assets: { agent: hash(0xfd) } }));
    expect(recomputeShares(agent)[0]?.detail).toMatch(/pays the agent \S+; the card's is/);
  });

  it('KNOW-195: a statement under another analysis of terms is not repeated, and both versions are named', async () => {
    const { bundle } = await called([await filled()], quoting());
    const [here] = attributionStatement.decode(
      bundle.deliveries.find(({ kind }) => kind === CALL_FRAME.attribution)?.body ?? new Uint8Array(0),
    ).record.corpora;
    const analysis = (here?.analysis ?? 0) + 1;
    const planted = restated(bundle, (stated) => ({
      ...stated,
      record: { ...stated.record, corpora: stated.record.corpora.map((corpus) => ({ ...corpus, analysis })) },
    }));
    expect(recomputeShares(planted).at(-1)).toEqual({
      check: 'game',
      ok: false,
      detail: `corpora[0] is committed to under version ${analysis} of the analysis of terms, and here is version ${analysis - 1}: terms and their counts come out only under the same one`,
    });
  });

  it('KNOW-158: evidence without a statement says so, and bytes that are none are no crash', async () => {
    const { bundle } = await called([await filled()], quoting());
    const deliveries = bundle.deliveries.filter(({ kind }) => kind !== CALL_FRAME.attribution);
    expect(recomputeShares({ ...bundle, deliveries })).toMatchObject([{ check: 'statement', ok: false }]);
    const broken = bundle.deliveries.map((delivery) =>
      delivery.kind === CALL_FRAME.attribution ? { ...delivery, body: Uint8Array.of(0xff) } : delivery,
    );
    expect(recomputeShares({ ...bundle, deliveries: broken })).toMatchObject([{ ok: false }]);
  });
});

describe('with the vault', () => {
  it('KNOW-159: an extractive answer comes out the same to the byte, also out of two vaults', async () => {
    const vaults = [await filled(), await openVault({ store: createMemoryStore(), clock })];
    await vaults[1]?.importDocument({
      name: 'c.md',
      bytes: utf8('# Payees\n\nA payee who is offline has a watchtower claim with the last voucher.'),
      provenance: { contributor: keys.payer.publicKey, contribution: undefined, licence: '' },
    });
    const { bundle } = await called(vaults, quoting());
    expect(recomputeShares(bundle).every(({ ok }) => ok)).toBe(true);
    const steps = await repeatAnswer(bundle, { vaults, backend: quoting() }, { signal });
    expect(steps.map(({ check, ok }) => [check, ok])).toEqual([
      ['retrieval', true],
      ['answer', true],
      ['record', true],
    ]);
  });

  it('KNOW-159: another answer than the vault gives is found, with the byte and the passage', async () => {
    const vault = await filled();
    const { bundle } = await called([vault], quoting());
    await vault.remove('b.md');
    const steps = await repeatAnswer(bundle, { vaults: [vault], backend: quoting() }, { signal });
    expect(steps[0]).toMatchObject({ check: 'retrieval', ok: false });
    expect(steps[0]?.detail).toMatch(/sources\[\d\] is passage \S+ of [ab]\.md; repeated it is/);
    expect(steps[1]?.detail).toMatch(/differs from byte \d+ on/);
  });
});

describe('a passage of another document', () => {
  it('KNOW-159: that says the same and was cited instead is found, with both names', async () => {
    const vault = await filled();
    const honest = quoting();
    // A copy of one sentence, which the search finds too: its contributor shall earn for what another wrote.
    await vault.importDocument({
      name: 'copy.md',
      bytes: utf8(
        '# Notes\n\nThe watchtower presents the last voucher of the payee to claim.\n\nMore of it.',
      ),
      provenance: { contributor: keys.contributor.publicKey, contribution: hash(0xb7), licence: '' },
    });
    const lying: Backend = {
      ...honest,
      async *answer(request, options) {
        const last = (id: Uint8Array): number => request.passages.findIndex((other) => other.id === id);
        const of = (needle: string) => request.passages.filter(({ text }) => text.includes(needle));
        const copies = of('presents the last voucher');
        const copy = copies.find(({ title }) => title.includes('Notes'));
        for await (const part of honest.answer(request, options)) {
          const cited = part.type === 'citation' ? request.passages[part.passage] : undefined;
          const swaps =
            part.type === 'citation' && copy !== undefined && cited !== undefined && copies.includes(cited);
          if (!swaps) yield part;
          else {
            const shift = copy.text.indexOf('The watchtower presents') - part.passageStart;
            yield {
              ...part,
              passage: last(copy.id),
              passageStart: part.passageStart + shift,
              passageEnd: part.passageEnd + shift,
            };
          }
        }
      },
    };
    const { bundle } = await called([vault], lying);
    const steps = await repeatAnswer(bundle, { vaults: [vault], backend: honest }, { signal });
    expect(steps[0]).toMatchObject({ check: 'retrieval', ok: false });
    expect(steps[0]?.detail).toMatch(/is passage \S+ of copy\.md; repeated it is .*b\.md/);
    expect(steps.at(-1)).toMatchObject({ check: 'record', ok: false });
  });
});

describe('answers that a model wrote', () => {
  async function model(script: Script): Promise<Backend> {
    const endpoint = await startEndpoint(script);
    endpoints.push(endpoint);
    return createOpenAiBackend({ clock }, { endpoint: endpoint.url, model: 'm', seeded: true });
  }
  const SAID = 'Yes: a watchtower can claim for a payee who is offline, so nobody has to stay awake [1, 2].';

  it('KNOW-157, RCPT-4: cites what the passages say word for word, and pays them by the same words', async () => {
    const { bundle, text, cited } = await called([await filled()], await model(tell([SAID])));
    expect(text).toBe(SAID.replace(' [1, 2]', ''));
    expect(cited).toEqual(['watchtower can claim for a payee who is offline']);
    const steps = recomputeShares(bundle);
    expect(steps.map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(steps[0]?.detail).toContain('spans/1');
  });

  it('KNOW-160: a seeded answer is repeated inside its class, and another one is found', async () => {
    const vault = await filled();
    const backend = await model(tell([SAID]));
    const { bundle } = await called([vault], backend);
    const same = await repeatAnswer(bundle, { vaults: [vault], backend }, { signal });
    expect(same.every(({ ok }) => ok)).toBe(true);
    const other = await model(tell([SAID.replace('nobody', 'no one')]));
    const steps = await repeatAnswer(bundle, { vaults: [vault], backend: other }, { signal });
    expect(steps[1]).toMatchObject({ check: 'answer', ok: false });
    expect(steps[1]?.detail).toMatch(/"nobody|"body/);
  });

  it('quotes whole words, three content words or more, in the order of the statement', () => {
    const passage = 'The sequencer orders transactions into blocks. Every block has one header.';
    const said = 'Every block has one header, and the sequencer orders transactions into blocks quickly.';
    expect(quotesOf(said, passage).map(({ start, end }) => said.slice(start, end))).toEqual([
      'Every block has one header',
      'sequencer orders transactions into blocks',
    ]);
    expect(quotesOf('An orderly transaction', passage)).toEqual([]);
    const [quote] = quotesOf('Ä sequencer orders transactions.', 'ß sequencer orders transactions');
    expect(quote).toEqual({ start: 3, end: 32, passageStart: 3, passageEnd: 32 });
  });
});
