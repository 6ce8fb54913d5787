import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { RULE_SETS } from '../../src/ledger/rules.ts';
import { createSignatureBook } from '../../src/ledger/signatures.ts';
import { credit, State } from '../../src/ledger/state.ts';
import { receive } from '../../src/ledger/transactions/claim.ts';
import { executeAction } from '../../src/ledger/transactions.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import {
  ASSET_PARENTS_MAX,
  ASSET_VERSIONS_MAX,
  BOUNTY_PPM_MAX,
  COLLECT_PATH_MAX,
  LINEAGE_DEPTH_MAX,
} from '../../src/protocol/limits.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import {
  type Action,
  action,
  assetId,
  channelId,
  type RegisterAssetAction,
} from '../../src/protocol/transaction.ts';
import { alice, Bench, bob, carol, claimOf, person, START, suite, testGenesis } from './support.ts';

const NOWHERE: Hash = new Uint8Array(32).fill(7);

function asset(owner: Signer, changes: Partial<RegisterAssetAction> = {}): RegisterAssetAction {
  return {
    type: 'register-asset',
    kind: 'dataset',
    name: 'a dataset',
    owners: [{ owner: owner.publicKey, ppm: 1_000_000 }],
    parents: [],
    commitment: { scheme: 'sha256-merkle-1mib', root: NOWHERE, sizeBytes: 1 },
    licence: '',
    terms: undefined,
    replaces: undefined,
    bounty: 0,
    ...changes,
  };
}

let ledger: Bench;
beforeEach(async () => {
  ledger = await Bench.create();
});

async function register(owner: Signer, changes: Partial<RegisterAssetAction> = {}): Promise<Hash> {
  const id = assetId(suite, ledger.network, owner.publicKey, ledger.nonce(owner));
  expect((await ledger.run(owner, asset(owner, changes))).name).toBe('ok');
  return id;
}

const trainedOn = (id: Hash, ppm: number): RegisterAssetAction['parents'][number] => ({
  asset: id,
  relation: 'trained-on',
  ppm,
});

describe('LEDGER-85 LEDGER-86: versions', () => {
  test('are refused in documented order, after the terms and before the licences of parents', async () => {
    const bound = await register(carol, { terms: { ...OPEN, derivatives: 'no' } });
    const first = await register(alice);
    const second = await register(alice, { replaces: first });
    const run = async (by: Signer, changes: Partial<RegisterAssetAction>): Promise<string> =>
      (await ledger.run(by, asset(by, changes))).name;
    const barred = { parents: [trainedOn(bound, 0)] };
    const bad = { ...OPEN, territories: ['de'] };
    expect(await run(bob, { ...barred, replaces: NOWHERE, terms: bad })).toBe('terms-invalid');
    expect(await run(bob, { ...barred, replaces: NOWHERE })).toBe('asset-unknown');
    expect(await run(bob, { ...barred, replaces: first })).toBe('not-registrant');
    expect(await run(alice, { ...barred, replaces: first })).toBe('version-replaced');
    expect(await run(alice, { ...barred, replaces: second })).toBe('licence-derivatives');
  });

  test('follow each other, once each, and are listed from any of them', async () => {
    const alone = await register(bob);
    const ids = [await register(alice)];
    for (const _ of [1, 2, 3]) ids.push(await register(alice, { replaces: ids.at(-1), kind: 'model' }));
    const listed = (id: Hash): readonly string[] => ledger.queries.versionsOf(id).map((one) => toHex(one.id));
    for (const id of ids) expect(listed(id)).toEqual(ids.map(toHex));
    expect(listed(alone)).toEqual([toHex(alone)]);
    expect(listed(NOWHERE)).toEqual([]);
    expect(ledger.queries.asset(ids[1] ?? NOWHERE)?.replaces).toEqual(ids[0]);
  });

  test('end at the limit', () => {
    const rig = createRig();
    let last: Hash | undefined;
    for (let i = 0; i < ASSET_VERSIONS_MAX; i++) last = rig.register(asset(alice, { replaces: last }));
    expect(rig.run(alice, asset(alice, { replaces: last }))).toBe('versions-exhausted');
    expect(rig.run(alice, asset(alice))).toBe('ok');
  });

  test('leave the money of the older one as it was', async () => {
    const owner = person('owner');
    const first = await register(alice, { owners: [{ owner: owner.publicKey, ppm: 1_000_000 }] });
    const channel = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, ledger.nonce(alice));
    await ledger.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n });
    const claim = async (amount: bigint): Promise<void> => {
      const amounts = [{ asset: first, amount }];
      const parts = { channel, payer: alice, payee: bob, ceiling: amount, amounts };
      await ledger.run(bob, { type: 'claim', ...claimOf(ledger.network, parts) });
    };
    await claim(100n);
    const second = await register(alice, { replaces: first });
    await claim(300n);
    expect((await ledger.run(bob, { type: 'collect', asset: first })).moved).toBe(300n);
    expect(ledger.balance(owner)).toBe(300n);
    expect(ledger.queries.asset(second)?.received).toBe(0n);
  });
});

const OPEN = {
  commercial: true,
  derivatives: 'yes' as const,
  revenueShare: 0,
  attribution: false,
  territories: [] as readonly string[],
  ceiling: undefined,
  expiresAt: undefined,
  grant: undefined,
};

/** The state machine alone: no blocks, no fees; each registered asset has the sender's next number. */
function createRig() {
  const state = new State(() => undefined);
  const network = 'test';
  const nothingOpened = { claims: [], release: undefined, evidence: undefined, pooled: { left: 0n } };
  const signatures = createSignatureBook(suite, network);
  const [first] = RULE_SETS;
  const rules = { suite, network, genesis: testGenesis(), signatures, rules: first, voters: () => [] };
  let nonce = 0;
  const execute = (by: Signer, what: Action) =>
    state.attempt(
      () =>
        executeAction({ ...rules, ...nothingOpened, state, height: 1, sender: by.publicKey, nonce }, what),
      ({ result }) => result === 'ok',
    );
  const run = (by: Signer, what: Action): string => execute(by, what).result;
  return {
    state,
    run,
    moved: (by: Signer, what: Action): bigint => execute(by, what).moved,
    register(what: RegisterAssetAction): Hash {
      nonce++;
      expect(run(alice, what)).toBe('ok');
      return assetId(suite, network, alice.publicKey, nonce);
    },
    balance: (of: Signer): bigint => state.accounts.get(of.publicKey)?.balance ?? 0n,
  };
}
type Rig = ReturnType<typeof createRig>;

describe('limits of a lineage', () => {
  test('LEDGER-14: a line is as deep as the limit and no deeper, whatever other parents there are', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 1_000 }), { maxLength: 15 }), (others) => {
        const rig = createRig();
        const line = [rig.register(asset(alice))];
        for (let depth = 1; depth <= LINEAGE_DEPTH_MAX; depth++) {
          const beside = new Set(others.map((at) => at % line.length).filter((at) => at !== depth - 1));
          const parents = [depth - 1, ...beside].map((at) => trainedOn(line[at] ?? NOWHERE, 1));
          const id = rig.register(asset(alice, { parents }));
          expect(rig.state.assets.get(id)?.depth).toBe(depth);
          line.push(id);
        }
        const parents = [trainedOn(line.at(-1) ?? NOWHERE, 0)];
        expect(rig.run(alice, asset(alice, { parents }))).toBe('lineage-too-deep');
        expect(line.length).toBe(COLLECT_PATH_MAX);
      }),
      { numRuns: 10 },
    );
  });

  test('LEDGER-14: parts of parents add up to the whole and no more', () => {
    const ppm = fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: ASSET_PARENTS_MAX });
    const rig = createRig();
    const ids = Array.from({ length: ASSET_PARENTS_MAX }, () => rig.register(asset(alice)));
    fc.assert(
      fc.property(ppm, (parts) => {
        const parents = parts.map((part, i) => trainedOn(ids[i] ?? NOWHERE, part));
        const whole = parts.reduce((a, b) => a + b, 0);
        expect(rig.run(alice, asset(alice, { parents }))).toBe(whole <= 1_000_000 ? 'ok' : 'parents-invalid');
      }),
    );
  });

  test('more parents, a longer path and a larger bounty than allowed have no wire form', () => {
    const parents = Array.from({ length: ASSET_PARENTS_MAX + 1 }, (_, i) =>
      trainedOn(new Uint8Array(32).fill(i), 1),
    );
    const assets = Array.from({ length: COLLECT_PATH_MAX + 1 }, () => NOWHERE);
    expect(() => action.encode(asset(alice, { parents }))).toThrow();
    expect(() => action.encode(asset(alice, { bounty: BOUNTY_PPM_MAX + 1 }))).toThrow();
    expect(() => action.encode({ type: 'collect-path', assets })).toThrow();
    const widest = { parents: parents.slice(1), bounty: BOUNTY_PPM_MAX };
    expect(action.decode(action.encode(asset(alice, widest)))).toMatchObject(widest);
  });
});

const owners = [person('owner 1'), person('owner 2'), person('owner 3')] as const;
const keepers = [person('keeper 1'), person('keeper 2')] as const;

/** A lineage: each asset's parents are picked among those before it. */
const lineage = fc.array(
  fc.record({
    picks: fc.array(fc.tuple(fc.nat({ max: 1_000 }), fc.nat({ max: 62_500 })), { maxLength: 16 }),
    cut: fc.integer({ min: 1, max: 999_999 }),
    bounty: fc.constantFrom(0, 1, 777, BOUNTY_PPM_MAX),
  }),
  { minLength: 1, maxLength: 24 },
);
type Shape = typeof lineage extends fc.Arbitrary<infer T> ? T : never;

function grow(rig: Rig, shape: Shape): readonly Hash[] {
  const ids: Hash[] = [];
  for (const { picks, cut, bounty } of shape) {
    const parts = new Map(picks.map(([at, ppm]) => [ids.length === 0 ? -1 : at % ids.length, ppm]));
    parts.delete(-1);
    const parents = [...parts].map(([at, ppm]) => trainedOn(ids[at] ?? NOWHERE, ppm));
    const shares = [cut, 1_000_000 - cut].map((ppm, i) => ({
      owner: (owners[(ids.length + i) % 3] ?? alice).publicKey,
      ppm,
    }));
    ids.push(rig.register(asset(alice, { parents, owners: shares, bounty })));
  }
  return ids;
}

/** Money for an asset out of alice's account, as a claim would bring it. */
function pay(rig: Rig, id: Hash, amount: bigint): void {
  const { balance = 0n, ...rest } = rig.state.accounts.get(alice.publicKey) ?? { nonce: 0, drawn: 0n };
  rig.state.accounts.set(alice.publicKey, { ...rest, balance: balance - amount });
  expect(receive(rig.state, id, amount)).toBe(0n);
}

const arrivals = fc.array(
  fc.record({
    at: fc.nat({ max: 1_000 }),
    amount: fc.oneof(fc.bigInt({ min: 1n, max: 9n }), fc.bigInt({ min: 1n, max: 10n ** 9n })),
    next: fc.array(fc.tuple(fc.nat({ max: 1 }), fc.array(fc.nat({ max: 1_000 }), { maxLength: 5 })), {
      maxLength: 3,
    }),
  }),
  { minLength: 1, maxLength: 12 },
);

describe('LEDGER-87 LEDGER-88: bounties and paths', () => {
  test('LEDGER-2 LEDGER-25: every grain is conserved, and no order of collecting changes who is due what', () => {
    fc.assert(
      fc.property(lineage, arrivals, (shape, story) => {
        const finish = (interleaved: boolean) => {
          const rig = createRig();
          credit(rig.state, alice.publicKey, START);
          const ids = grow(rig, shape);
          const idOf = (at: number): Hash => ids[at % ids.length] ?? NOWHERE;
          for (const { at, amount, next } of story) {
            pay(rig, idOf(at), amount);
            if (!interleaved) continue;
            for (const [keeper, path] of next) {
              const by = keepers[keeper] ?? keepers[0];
              expect(rig.run(by, { type: 'collect-path', assets: path.map(idOf) })).toBe('ok');
              expect(rig.state.heldChange()).toBe(START);
            }
          }
          const path = [...ids].reverse();
          rig.moved(keepers[0], { type: 'collect-path', assets: path });
          expect(rig.moved(keepers[1], { type: 'collect-path', assets: path })).toBe(0n);
          expect(rig.state.heldChange()).toBe(START);
          const revenues = ids.map((id) => rig.state.revenues.get(id));
          const bounties = revenues.reduce((sum, revenue) => sum + (revenue?.bounty ?? 0n), 0n);
          const kept = keepers.map(rig.balance).reduce((a, b) => a + b, 0n);
          expect(kept).toBe(bounties);
          return { revenues, owned: owners.map(rig.balance), kept };
        };
        expect(finish(true)).toEqual(finish(false));
      }),
      { numRuns: 60 },
    );
  });

  test('a grain at the end of the longest line, with every bounty, gets as far as floors let it, in one transaction', () => {
    const rig = createRig();
    credit(rig.state, alice.publicKey, START);
    const line: Hash[] = [];
    for (let depth = 0; depth <= LINEAGE_DEPTH_MAX; depth++) {
      const parents = depth === 0 ? [] : [trainedOn(line[depth - 1] ?? NOWHERE, 900_000)];
      line.push(rig.register(asset(alice, { parents, bounty: BOUNTY_PPM_MAX, owners: halves() })));
    }
    const leaf = line.at(-1) ?? NOWHERE;
    const path = [...line].reverse();
    for (const amount of [1n, 1n, 7n, 999_999_990n]) {
      pay(rig, leaf, amount);
      rig.moved(keepers[0], { type: 'collect-path', assets: path });
    }
    let reaching = 999_999_999n;
    for (const id of path) {
      expect(rig.state.revenues.get(id)?.received).toBe(reaching);
      reaching = (reaching * 900_000n) / 1_000_000n;
    }
    expect(rig.state.heldChange()).toBe(START);
    // Three parties an asset: less than three grains stay with each.
    const left = START - [alice, ...owners, ...keepers].map(rig.balance).reduce((a, b) => a + b, 0n);
    expect(left >= 0n && left < 3n * BigInt(line.length)).toBe(true);
  });

  test('an asset without a bounty pays keepers nothing and owners what it always did', () => {
    const amounts = fc.bigInt({ min: 0n, max: 10n ** 15n });
    fc.assert(
      fc.property(amounts, fc.nat({ max: 1_000_000 }), (amount, ppm) => {
        const rig = createRig();
        credit(rig.state, alice.publicKey, 10n ** 18n);
        const root = rig.register(asset(alice));
        const leaf = rig.register(asset(alice, { parents: [trainedOn(root, ppm)], owners: halves() }));
        if (amount > 0n) pay(rig, leaf, amount);
        rig.run(keepers[0], { type: 'collect', asset: leaf });
        const half = (amount * (1_000_000n - BigInt(ppm)) * 500_000n) / 10n ** 12n;
        expect(rig.state.revenues.get(leaf)).toMatchObject({ paid: [half, half], bounty: 0n });
        expect(rig.balance(keepers[0])).toBe(0n);
      }),
    );
  });

  test('one asset that is unknown refuses the whole path, and what was collected before it is undone', async () => {
    const first = await register(alice, { bounty: BOUNTY_PPM_MAX });
    const channel = channelId(suite, ledger.network, alice.publicKey, bob.publicKey, ledger.nonce(alice));
    await ledger.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n });
    const amounts = [{ asset: first, amount: 1_000n }];
    const parts = { channel, payer: alice, payee: bob, ceiling: 1_000n, amounts };
    await ledger.run(bob, { type: 'claim', ...claimOf(ledger.network, parts) });
    const path = (assets: readonly Hash[]): Action => ({ type: 'collect-path', assets });
    expect(await ledger.run(carol, path([first, NOWHERE]))).toEqual({ name: 'asset-unknown', moved: 0n });
    expect(ledger.balance(carol)).toBe(START);
    expect(await ledger.run(carol, path([first, first]))).toEqual({ name: 'ok', moved: 1_000n });
    expect(ledger.balance(carol)).toBe(START + 10n);
    expect(ledger.queries.asset(first)).toMatchObject({ paid: [990n], bountyPaid: 10n });
    expect(await ledger.run(carol, path([]))).toEqual({ name: 'ok', moved: 0n });
  });
});

function halves(): RegisterAssetAction['owners'] {
  return [owners[0], owners[1]].map(({ publicKey }) => ({ owner: publicKey, ppm: 500_000 }));
}
