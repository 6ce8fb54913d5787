import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import {
  areTermsSound,
  LICENCE_PRESETS,
  LICENCE_REASONS,
  type LicenceParent,
  type LicenceTerms,
  type LineageNode,
  royaltyStack,
  solveLicence,
} from '../../src/protocol/licence.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { assetId, type ParentShare, type RegisterAssetAction } from '../../src/protocol/transaction.ts';
import { alice, Bench, bob, carol, START, suite } from './support.ts';

const OPEN = LICENCE_PRESETS.open;

let ledger: Bench;
beforeEach(async () => {
  ledger = await Bench.create();
});

function asset(
  owner: Signer,
  terms: LicenceTerms | undefined,
  parents: readonly ParentShare[] = [],
): RegisterAssetAction {
  return {
    type: 'register-asset',
    kind: 'dataset',
    name: 'a dataset',
    owners: [{ owner: owner.publicKey, ppm: 1_000_000 }],
    parents,
    commitment: { scheme: 'sha256-merkle-1mib', root: new Uint8Array(32), sizeBytes: 1 },
    licence: 'terms',
    terms,
    replaces: undefined,
    bounty: 0,
  };
}

async function registered(owner: Signer, terms: LicenceTerms | undefined): Promise<Hash> {
  const id = assetId(suite, ledger.network, owner.publicKey, ledger.nonce(owner));
  expect((await ledger.run(owner, asset(owner, terms))).name).toBe('ok');
  return id;
}

const under = (id: Hash, change: Partial<ParentShare> = {}): ParentShare => ({
  asset: id,
  relation: 'trained-on',
  ppm: 100_000,
  ...change,
});

async function made(terms: LicenceTerms | undefined, parent: ParentShare, by: Signer = bob): Promise<string> {
  return (await ledger.run(by, asset(by, terms, [parent]))).name;
}

describe('licences on the ledger', () => {
  test('LEDGER-80: each term refuses what it forbids, in the order of the page, and nothing else', async () => {
    const height = 1_000_000;
    const cases: readonly (readonly [
      string,
      Partial<LicenceTerms>,
      Partial<LicenceTerms>,
      Partial<ParentShare>,
    ])[] = [
      ['licence-expired', { expiresAt: 1, derivatives: 'no' }, {}, {}],
      ['licence-grant', { grant: { price: 5n, blocks: 0 }, derivatives: 'no' }, {}, {}],
      ['licence-derivatives', { derivatives: 'no', commercial: false }, {}, {}],
      ['licence-approval', { derivatives: 'by-approval', commercial: false }, {}, {}],
      ['licence-reciprocal', { derivatives: 'reciprocal', commercial: false }, {}, {}],
      [
        'licence-reciprocal',
        { derivatives: 'reciprocal' },
        { derivatives: 'reciprocal', grant: { price: 1n, blocks: 0 } },
        {},
      ],
      ['licence-commercial', { commercial: false, revenueShare: 500_000 }, {}, {}],
      ['licence-share', { revenueShare: 100_001, attribution: true }, {}, {}],
      ['licence-attribution', { attribution: true, territories: ['DE'] }, {}, {}],
      ['licence-territory', { territories: ['DE', 'FR'], expiresAt: height }, {}, {}],
      ['licence-territory', { territories: ['DE', 'FR'] }, { territories: ['DE', 'US'] }, {}],
      ['licence-term', { expiresAt: height, ceiling: 5n }, {}, {}],
      ['licence-term', { expiresAt: height }, { expiresAt: height + 1 }, {}],
      ['licence-ceiling', { ceiling: 5n }, {}, {}],
      ['licence-ceiling', { ceiling: 5n }, { ceiling: 6n }, {}],
      // Retrieving is no derivation, and being measured passes nothing on.
      ['ok', { derivatives: 'no' }, {}, { relation: 'retrieves-from' }],
      ['licence-commercial', { commercial: false }, {}, { relation: 'retrieves-from' }],
      [
        'ok',
        { commercial: false, revenueShare: 999_999, attribution: true },
        {},
        { relation: 'evaluated-on' },
      ],
      ['licence-grant', { grant: { price: 5n, blocks: 0 } }, {}, { relation: 'evaluated-on' }],
      // What stays inside of the terms may be made.
      [
        'ok',
        { ...LICENCE_PRESETS['commercial-remix'], territories: ['DE', 'FR'], expiresAt: height, ceiling: 9n },
        { attribution: true, territories: ['FR'], expiresAt: height, ceiling: 9n },
        { ppm: 50_000 },
      ],
      ['ok', LICENCE_PRESETS['non-commercial'], LICENCE_PRESETS['non-commercial'], {}],
    ];
    for (const [name, theirs, ours, share] of cases) {
      const parent = await registered(alice, { ...OPEN, ...theirs });
      expect([name, await made({ ...OPEN, ...ours }, under(parent, share))]).toEqual([name, name]);
      // Whoever registered the parent needs no licence of their own.
      expect(await made({ ...OPEN, ...ours }, under(parent, share), alice)).toBe('ok');
    }
    const free = await registered(alice, undefined);
    expect(await made(undefined, under(free, { ppm: 0 }))).toBe('ok');
    const strict = await registered(alice, { ...OPEN, commercial: false });
    expect(await made(undefined, under(strict))).toBe('licence-commercial');
    const [child] = ledger.queries.childrenOf(free);
    expect(child).toMatchObject({ registrant: bob.publicKey, parents: [{ relation: 'trained-on', ppm: 0 }] });
    expect(ledger.queries.childrenOf(strict)).toEqual([]);
    const mixed = asset(bob, OPEN, [under(free), under(strict)]);
    expect((await ledger.run(bob, mixed)).name).toBe('licence-commercial');
  });

  test('LEDGER-81: terms that are not well-formed are refused', async () => {
    for (const territories of [['de'], ['DE', 'DE'], ['FR', 'DE'], ['D'], ['D1']]) {
      expect((await ledger.run(alice, asset(alice, { ...OPEN, territories }))).name).toBe('terms-invalid');
    }
    const gift = { ...OPEN, grant: { price: 0n, blocks: 1 } };
    expect((await ledger.run(alice, asset(alice, gift))).name).toBe('terms-invalid');
    expect(Object.values(LICENCE_PRESETS).every(areTermsSound)).toBe(true);
  });

  test('LEDGER-82: a bought licence counts for its blocks, and its price goes to the asset', async () => {
    const sold = await registered(alice, { ...OPEN, grant: { price: 700n, blocks: 4 } });
    const buy = { type: 'buy-licence', asset: sold } as const;
    expect(await made(OPEN, under(sold))).toBe('licence-grant');
    expect(await ledger.run(bob, buy)).toEqual({ name: 'ok', moved: 700n });
    expect(ledger.queries.asset(sold)?.received).toBe(700n);
    expect(ledger.queries.account(bob.publicKey).balance).toBe(START - 700n);
    // Bought in one block, it counts in the next three; a second one adds four to them.
    expect(await made(OPEN, under(sold))).toBe('ok');
    expect((await ledger.run(bob, buy)).name).toBe('ok');
    for (let block = 0; block < 5; block++) expect(await made(OPEN, under(sold))).toBe('ok');
    expect(await made(OPEN, under(sold))).toBe('licence-grant');
    expect(await made(OPEN, under(sold), carol)).toBe('licence-grant');
    await ledger.run(alice, { type: 'collect', asset: sold });
    expect(ledger.queries.account(alice.publicKey).balance).toBe(START + 1_400n);
    const refused = async (action: Parameters<Bench['run']>[1], by = bob) =>
      (await ledger.run(by, action)).name;
    expect(await refused({ type: 'buy-licence', asset: new Uint8Array(32) })).toBe('asset-unknown');
    const open = await registered(alice, OPEN);
    expect(await refused({ type: 'buy-licence', asset: open })).toBe('licence-not-for-sale');
    const over = await registered(alice, { ...OPEN, expiresAt: 1, grant: { price: 1n, blocks: 0 } });
    expect(await refused({ type: 'buy-licence', asset: over })).toBe('licence-expired');
    const dear = await registered(alice, { ...OPEN, grant: { price: START, blocks: 0 } });
    expect(await refused({ type: 'buy-licence', asset: dear })).toBe('balance-insufficient');
    const forever = await registered(alice, { ...OPEN, grant: { price: 1n, blocks: 0 } });
    expect(await refused({ type: 'buy-licence', asset: forever })).toBe('ok');
    for (let block = 0; block < 6; block++) expect(await made(OPEN, under(forever))).toBe('ok');
  });

  test('LEDGER-83: the registrant approves and withdraws, nobody else', async () => {
    const guarded = await registered(alice, { ...OPEN, derivatives: 'by-approval' });
    const about = { asset: guarded, licensee: bob.publicKey };
    const run = async (by: Signer, type: 'approve-derivative' | 'withdraw-approval', of = about) =>
      (await ledger.run(by, { type, ...of })).name;
    expect(await run(bob, 'approve-derivative')).toBe('not-registrant');
    expect(await run(alice, 'approve-derivative', { ...about, asset: new Uint8Array(32) })).toBe(
      'asset-unknown',
    );
    expect(await run(alice, 'approve-derivative')).toBe('ok');
    expect(await made(OPEN, under(guarded))).toBe('ok');
    expect(await made(OPEN, under(guarded), carol)).toBe('licence-approval');
    expect(await run(bob, 'withdraw-approval')).toBe('not-registrant');
    expect(await run(alice, 'withdraw-approval')).toBe('ok');
    expect(await run(alice, 'withdraw-approval')).toBe('ok');
    expect(await made(OPEN, under(guarded))).toBe('licence-approval');
  });
});

describe('the solver', () => {
  test('LEDGER-80: tells every reason at once, parent by parent, in the order of the page', () => {
    const terms: LicenceTerms = {
      commercial: false,
      derivatives: 'no',
      revenueShare: 2,
      attribution: true,
      territories: ['DE'],
      ceiling: 1n,
      expiresAt: 5,
      grant: { price: 1n, blocks: 1 },
    };
    const parent = (asset: number): LicenceParent => ({
      ...under(new Uint8Array(32).fill(asset), { ppm: 1 }),
      terms,
      own: false,
      granted: false,
      approved: false,
    });
    const faults = solveLicence({ terms: undefined, parents: [parent(2), parent(1)], height: 9 });
    const reasons = LICENCE_REASONS.filter((reason) => reason !== 'approval' && reason !== 'reciprocal');
    expect(faults.map(({ asset, reason }) => [asset[0], reason])).toEqual(
      [2, 1].flatMap((first) => reasons.map((reason) => [first, reason])),
    );
    expect(solveLicence({ terms: undefined, parents: [{ ...parent(1), own: true }], height: 9 })).toEqual([]);
  });

  test('LEDGER-84: a royalty stack sums to the whole and is what collecting brings', () => {
    const id = (n: number): Hash => new Uint8Array(32).fill(n + 1);
    const lineage = fc.array(
      fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 400_000 })), { maxLength: 4 }),
      {
        minLength: 1,
        maxLength: 12,
      },
    );
    fc.assert(
      fc.property(lineage, (drawn) => {
        const nodes = drawn.map((parents, at): LineageNode => {
          const chosen = new Map(parents.map(([above, ppm]) => [at === 0 ? -1 : above % at, ppm]));
          chosen.delete(-1);
          const all = [...chosen].map(([above, ppm]) => ({ asset: id(above), ppm: Math.floor(ppm / 2) }));
          return { parents: all };
        });
        const top = nodes.length - 1;
        const stack = royaltyStack(id(top), (asset) => nodes[(asset[0] as number) - 1]);
        expect(stack.reduce((sum, { ppm }) => sum + ppm, 0)).toBe(1_000_000);
        expect(new Set(stack.map(({ asset }) => toHex(asset))).size).toBe(stack.length);
        // By floating point, which is near enough to compare with.
        const reaching: number[] = nodes.map((_, at) => (at === top ? 1 : 0));
        for (let at = top; at > 0; at--) {
          for (const { asset, ppm } of nodes[at]?.parents ?? []) {
            const above = (asset[0] as number) - 1;
            reaching[above] = (reaching[above] ?? 0) + ((reaching[at] ?? 0) * ppm) / 1e6;
          }
        }
        for (const { asset, ppm } of stack) {
          const at = (asset[0] as number) - 1;
          const passed = (nodes[at]?.parents ?? []).reduce((sum, parent) => sum + parent.ppm, 0) / 1e6;
          expect(Math.abs(ppm - (reaching[at] ?? 0) * (1 - passed) * 1e6)).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 300 },
    );
    expect(royaltyStack(id(0), () => undefined)).toEqual([{ asset: id(0), ppm: 1_000_000 }]);
  });
});
