import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareBytes, toHex } from '../../src/base/bytes.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import type { AssetAmount } from '../../src/protocol/payment.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, assetId, channelId } from '../../src/protocol/transaction.ts';
import { alice, Bench, bob, carol, claimOf, signAction, suite, testGenesis } from './support.ts';

const people = [alice, bob, carol] as const;
const who = fc.constantFrom(...people);
const amount = fc.bigInt({ min: 0n, max: 3_000_000n });
const pick = fc.nat({ max: 1_000 });

/** One step of a random story. Numbers pick among the channels and assets that exist by then. */
const step = fc.oneof(
  fc.record({ do: fc.constant('transfer' as const), by: who, to: who, amount }),
  fc.record({ do: fc.constant('faucet' as const), by: who, to: who, amount }),
  fc.record({ do: fc.constant('open' as const), by: who, to: who, amount }),
  fc.record({ do: fc.constant('top-up' as const), by: who, at: pick, amount }),
  fc.record({
    do: fc.constant('claim' as const),
    by: who,
    at: pick,
    lane: fc.nat({ max: 2 }),
    ceiling: amount,
    parts: fc.array(fc.tuple(pick, amount), { minLength: 1, maxLength: 4 }),
    close: fc.boolean(),
    liar: fc.constantFrom('nobody', 'payer', 'payee', 'total', 'root'),
  }),
  fc.record({ do: fc.constant('request' as const), by: who, at: pick }),
  fc.record({ do: fc.constant('cancel' as const), by: who, at: pick }),
  fc.record({ do: fc.constant('close' as const), by: who, at: pick }),
  fc.record({
    do: fc.constant('asset' as const),
    by: who,
    parents: fc.array(fc.tuple(pick, fc.nat({ max: 700_000 })), { maxLength: 3 }),
    cut: fc.integer({ min: 0, max: 1_000_000 }),
    bounty: fc.constantFrom(0, 1, 10_000),
    replaces: fc.option(pick, { nil: undefined }),
  }),
  fc.record({ do: fc.constant('path' as const), by: who, path: fc.array(pick, { maxLength: 5 }) }),
  fc.record({ do: fc.constant('collect' as const), by: who, at: pick }),
  fc.record({ do: fc.constant('again' as const), by: who, at: pick }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const NOWHERE: Hash = new Uint8Array(32).fill(7);

/** Turns steps into signed transactions, keeping count of what could exist. */
class Story {
  readonly channels: { readonly id: Hash; readonly payer: Signer; readonly payee: Signer }[] = [];
  readonly assets: Hash[] = [];
  readonly sent: Signed[] = [];
  readonly #bench: Bench;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  message(one: Step): Signed {
    if (one.do === 'again' && this.sent.length > 0) return this.#of(this.sent, one.at) as Signed;
    const nonce = this.#bench.nonce(one.by);
    const message = signAction(this.#bench.network, one.by, nonce, this.#action(one, nonce));
    this.sent.push(message);
    return message;
  }

  #action(one: Step, nonce: number): Action {
    const { network } = this.#bench;
    const me = one.by.publicKey;
    switch (one.do) {
      case 'transfer':
        return { type: 'transfer', to: one.to.publicKey, amount: one.amount, memo: undefined };
      case 'faucet':
        return { type: 'faucet', to: one.to.publicKey, amount: one.amount };
      case 'open': {
        const id = channelId(suite, network, me, one.to.publicKey, nonce);
        this.channels.push({ id, payer: one.by, payee: one.to });
        return { type: 'open-channel', payee: one.to.publicKey, deposit: one.amount };
      }
      case 'top-up':
        return { type: 'top-up', channel: this.#channel(one.at).id, amount: one.amount };
      case 'claim':
        return this.#claim(one);
      case 'request':
        return { type: 'request-close', channel: this.#channel(one.at).id };
      case 'cancel':
        return { type: 'cancel-close', channel: this.#channel(one.at).id };
      case 'close':
        return { type: 'close-by-payee', channel: this.#channel(one.at).id, claim: undefined };
      case 'collect':
        return { type: 'collect', asset: this.#of(this.assets, one.at) ?? NOWHERE };
      case 'path':
        return {
          type: 'collect-path',
          assets: one.path.map((at) => this.#of(this.assets, at) ?? NOWHERE),
        };
      case 'again':
        return { type: 'collect', asset: NOWHERE };
      case 'asset':
        return this.#register(one, nonce);
    }
  }

  #claim(one: Extract<Step, { do: 'claim' }>): Action {
    const { id, payer, payee } = this.#channel(one.at);
    const named = new Map<string, AssetAmount>();
    for (const [at, part] of one.parts) {
      const asset = this.#of([...this.assets, NOWHERE], at) ?? NOWHERE;
      named.set(toHex(asset), { asset, amount: part });
    }
    const amounts = [...named.values()].sort((a, b) => compareBytes(a.asset, b.asset));
    const body = claimOf(this.#bench.network, {
      channel: id,
      payer: one.liar === 'payer' ? one.by : payer,
      payee: one.liar === 'payee' ? one.by : payee,
      ceiling: one.ceiling,
      lane: one.lane,
      amounts,
      ...(one.liar === 'total' && { total: one.ceiling }),
      ...(one.liar === 'root' && { committed: [] }),
    });
    return one.close ? { type: 'close-by-payee', channel: id, claim: body } : { type: 'claim', ...body };
  }

  #register(one: Extract<Step, { do: 'asset' }>, nonce: number): Action {
    const parents = one.parents.map(([at, ppm]) => ({
      asset: this.#of(this.assets, at) ?? NOWHERE,
      relation: 'merged-from' as const,
      ppm,
    }));
    const replaces = one.replaces === undefined ? undefined : this.#of(this.assets, one.replaces);
    this.assets.push(assetId(suite, this.#bench.network, one.by.publicKey, nonce));
    return {
      type: 'register-asset',
      kind: 'merge',
      name: 'made up',
      owners: [
        { owner: one.by.publicKey, ppm: one.cut },
        { owner: NOWHERE, ppm: 1_000_000 - one.cut },
      ],
      parents,
      commitment: { scheme: 'none', root: NOWHERE, sizeBytes: 0 },
      licence: '',
      terms: undefined,
      replaces,
      bounty: one.bounty,
    };
  }

  #channel(at: number): Story['channels'][number] {
    return this.#of(this.channels, at) ?? { id: NOWHERE, payer: alice, payee: bob };
  }

  #of<T>(list: readonly T[], at: number): T | undefined {
    return list[at % Math.max(1, list.length)];
  }
}

test('LEDGER-1 LEDGER-2 LEDGER-3: money is conserved at every height of every story, and replay gives the same', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const faucet = { perAccount: 5_000_000n, supply: 12_000_000n };
      const bench = await Bench.create(testGenesis({ faucet }));
      const story = new Story(bench);
      const { total } = bench.queries.supply();
      const claimed = new Map<string, bigint>();
      for (const one of steps) {
        const [result] = await bench.block([story.message(one)]);
        seen.add(result?.name ?? '');
        expect(await bench.supply()).toBe(total);
        for (const { id } of story.channels) {
          const channel = bench.queries.channel(id);
          if (channel === undefined) continue;
          // Claims only rise and never pass the deposit.
          expect(channel.claimed >= (claimed.get(toHex(id)) ?? 0n)).toBe(true);
          expect(channel.claimed <= channel.deposit).toBe(true);
          claimed.set(toHex(id), channel.claimed);
        }
      }
      const report = await verifyChain(bench.parts);
      expect(report.faults).toEqual([]);
      expect(report.stateRoot).toEqual(bench.chain.head().stateRoot);
      expect(report.supply).toBe(total);
    }),
    { numRuns: 40 },
  );
  // The stories were not all alike.
  expect(seen.size).toBeGreaterThan(10);
});

test('LEDGER-25: the order of collecting changes nothing once all is collected', async () => {
  const orders = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 });
  const payments = fc.array(fc.bigInt({ min: 1n, max: 9_999n }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.array(orders, { maxLength: 4 }), payments, async (early, paid) => {
      const finish = async (interleave: readonly (readonly number[])[]): Promise<string> => {
        const bench = await Bench.create();
        const ids = await diamond(bench);
        const id = channelId(suite, bench.network, alice.publicKey, bob.publicKey, bench.nonce(alice));
        await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n });
        let sum = 0n;
        for (const [i, payment] of paid.entries()) {
          sum += payment;
          const amounts = [{ asset: ids[3] ?? NOWHERE, amount: sum }];
          const body = claimOf(bench.network, {
            channel: id,
            payer: alice,
            payee: bob,
            ceiling: sum,
            amounts,
          });
          await bench.run(bob, { type: 'claim', ...body });
          for (const at of interleave[i] ?? [])
            await bench.run(bob, { type: 'collect', asset: ids[at] ?? NOWHERE });
        }
        for (const at of [3, 2, 1, 0]) await bench.run(bob, { type: 'collect', asset: ids[at] ?? NOWHERE });
        const assets = ids.map((one) => bench.queries.asset(one));
        const balances = people.map((person) => bench.balance(person));
        return JSON.stringify([assets, balances], (_, value) =>
          typeof value === 'bigint' ? `${value}` : value,
        );
      };
      expect(await finish(early)).toBe(await finish([]));
    }),
    { numRuns: 15 },
  );
});

/** Four assets: one root, two between, one that both lead to. */
async function diamond(bench: Bench): Promise<readonly Hash[]> {
  const ids: Hash[] = [];
  const shapes = [
    [],
    [[0, 333_333]],
    [[0, 123_457]],
    [
      [1, 300_001],
      [2, 500_003],
    ],
  ] as const;
  for (const [i, parents] of shapes.entries()) {
    const owner = people[i % 3] ?? alice;
    ids.push(assetId(suite, bench.network, owner.publicKey, bench.nonce(owner)));
    const shares = parents.map(([at, ppm]) => ({
      asset: ids[at] ?? NOWHERE,
      relation: 'merged-from' as const,
      ppm,
    }));
    const owners = people.map(({ publicKey }, at) => ({
      owner: publicKey,
      ppm: at === 0 ? 333_334 : 333_333,
    }));
    const commitment = { scheme: 'none', root: NOWHERE, sizeBytes: 0 };
    const made = {
      kind: 'merge' as const,
      name: `asset ${i}`,
      owners,
      parents: shares,
      commitment,
      licence: '',
      terms: undefined,
      replaces: undefined,
      bounty: 0,
    };
    expect((await bench.run(owner, { type: 'register-asset', ...made })).name).toBe('ok');
  }
  return ids;
}

test('LEDGER-4: verify notices an altered record, an altered block and a missing one', async () => {
  const make = async () => {
    const store = createMemoryStore();
    const bench = await Bench.create(testGenesis(), store);
    for (let i = 0; i < 3; i++) {
      await bench.run(alice, { type: 'transfer', to: bob.publicKey, amount: 5n, memo: undefined });
    }
    return { store, bench };
  };
  const find = async (gte: number): Promise<readonly [Uint8Array, Uint8Array]> => {
    for await (const entry of store.entries({ gte: Uint8Array.of(gte) })) return entry;
    throw new Error('nothing stored');
  };
  const { store, bench } = await make();
  expect((await verifyChain(bench.parts)).faults).toEqual([]);
  const [accountKey, account] = await find(0x10);
  const richer = account.slice();
  richer[richer.length - 3] = (richer[richer.length - 3] ?? 0) ^ 1;
  await store.batch([{ type: 'put', key: accountKey, value: richer }]);
  expect((await verifyChain(bench.parts)).faults).toEqual(['the stored state is not what its blocks give']);
  await store.batch([{ type: 'put', key: accountKey, value: account }]);
  const [blockKey, first] = await find(0x20);
  const bent = first.slice();
  bent[bent.length - 90] = (bent[bent.length - 90] ?? 0) ^ 1;
  await store.batch([{ type: 'put', key: blockKey, value: bent }]);
  expect((await verifyChain(bench.parts)).faults).toHaveLength(1);
  await store.batch([{ type: 'del', key: blockKey }]);
  expect((await verifyChain(bench.parts)).faults).toEqual(['block 1 is missing']);
});
