import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { openChain } from '../../src/ledger/chain.ts';
import { bondOfId } from '../../src/ledger/queries-stake.ts';
import { createSnapshot } from '../../src/ledger/snapshot.ts';
import { snapshotManifest } from '../../src/ledger/snapshot-form.ts';
import { restoreSnapshot } from '../../src/ledger/snapshot-restore.ts';
import { atStake, type Offence, slash } from '../../src/ledger/stake.ts';
import { State } from '../../src/ledger/state.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import type { BondRole } from '../../src/protocol/actions-stake.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import {
  bond,
  delegate,
  FEE,
  header,
  RULES,
  release,
  StakeBench,
  unbond,
  undelegate,
} from './stake-support.ts';
import { alice, bob, carol, signAction, suite } from './support.ts';

const people = [alice, bob, carol] as const;
const ROLES = ['provider', 'validator'] as const;
const who = fc.constantFrom(...people);
const step = fc.record({
  by: who,
  to: who,
  owner: who,
  role: fc.constantFrom<BondRole>(...ROLES),
  kind: fc.constantFrom(
    ...(['bond', 'bond', 'unbond', 'delegate', 'delegate', 'undelegate', 'release'] as const),
    ...(['report', 'claim', 'claim', 'collect', 'pass', 'epoch'] as const),
  ),
  amount: fc.bigInt({ min: 0n, max: 4_000n }),
  at: fc.nat({ max: 3 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** How every story begins, so that in each somebody earns and somebody is punished. */
const BEGINNING: readonly Step[] = [
  { ...{ by: alice, to: alice, owner: alice, role: 'provider' }, kind: 'bond', amount: 4_000n, at: 1 },
  { ...{ by: bob, to: alice, owner: bob, role: 'provider' }, kind: 'delegate', amount: 900n, at: 0 },
  { ...{ by: bob, to: alice, owner: bob, role: 'provider' }, kind: 'claim', amount: 800n, at: 0 },
  { ...{ by: carol, to: carol, owner: carol, role: 'validator' }, kind: 'bond', amount: 3_000n, at: 0 },
  { ...{ by: bob, to: carol, owner: bob, role: 'validator' }, kind: 'report', amount: 0n, at: 3 },
  { ...{ by: bob, to: alice, owner: bob, role: 'provider' }, kind: 'epoch', amount: 0n, at: 0 },
  { ...{ by: bob, to: alice, owner: bob, role: 'provider' }, kind: 'collect', amount: 0n, at: 1 },
];

const doubleSigned = (network: string, by: Signer, height: number): Action => ({
  type: 'report-double-signing',
  first: header(network, by, height),
  second: header(network, by, height, { timeMs: 2 }),
});

/** A story, what its people put at stake, what came back, and what offences took. */
class Story {
  readonly ledger: StakeBench;
  readonly names = new Set<string>();
  readonly put = new Map<Signer, bigint>(people.map((one) => [one, 0n]));
  readonly back = new Map<Signer, bigint>(people.map((one) => [one, 0n]));
  taken = 0n;
  rewards = 0n;
  readonly #channels = new Map<string, { readonly id: Hash; total: bigint }>();

  constructor(ledger: StakeBench) {
    this.ledger = ledger;
  }

  async tell(one: Step): Promise<void> {
    if (one.kind === 'pass') return this.ledger.pass(one.at);
    if (one.kind === 'epoch') {
      await this.ledger.nextEpoch();
      return;
    }
    const { name, moved } = await this.ledger.run(one.by, await this.#action(one));
    this.names.add(name);
    if (name !== 'ok') return;
    const more = (map: Map<Signer, bigint>, of: Signer, amount: bigint) =>
      map.set(of, (map.get(of) ?? 0n) + amount);
    if (one.kind === 'bond' || one.kind === 'delegate') more(this.put, one.by, one.amount);
    if (one.kind === 'release') more(this.back, one.owner, moved);
    if (one.kind === 'report') this.taken += moved;
    if (one.kind === 'collect') this.rewards += moved;
  }

  async #action({ by, to, owner, role, kind, amount, at }: Step): Promise<Action> {
    switch (kind) {
      case 'bond':
        return bond(amount, role, at * 100_000);
      case 'unbond':
        return unbond(at < 2 ? this.ledger.own(by, role) : amount, role);
      case 'delegate':
        return delegate(to, amount, role);
      case 'undelegate':
        return undelegate(to, at < 2 ? this.ledger.delegated(by, to, role) : amount, role);
      case 'release':
        return release(to, owner, role);
      case 'report':
        return doubleSigned(this.ledger.bench.network, to, at);
      case 'claim':
        return this.#claim(by, to, amount);
      default:
        return {
          type: 'collect-reward',
          epoch: Math.max(0, Math.floor(this.ledger.height / RULES.epochBlocks) - at),
          did: to.publicKey,
        };
    }
  }

  async #claim(payer: Signer, payee: Signer, amount: bigint): Promise<Action> {
    const name = `${toHex(payer.publicKey)} ${toHex(payee.publicKey)}`;
    const channel = this.#channels.get(name) ?? {
      id: await this.ledger.open(payer, payee, 1_000_000n),
      total: 0n,
    };
    channel.total += amount;
    this.#channels.set(name, channel);
    return this.ledger.claim(channel.id, payer, payee, channel.total);
  }

  /** What the tables say of each other. */
  check(): void {
    const { queries } = this.ledger.bench;
    let staked = 0n;
    for (const { publicKey } of people) {
      for (const { role, own, leaving, delegated, delegations } of queries.stakeOf(publicKey)) {
        expect(delegations.reduce((sum, { amount }) => sum + amount, 0n)).toBe(delegated);
        expect(delegations.every(({ amount, leaving: out }) => amount > 0n || out.length > 0)).toBe(true);
        expect(own > 0n || leaving.length > 0 || delegations.length > 0).toBe(true);
        const parts = [...leaving, ...delegations.flatMap((one) => [one, ...one.leaving])];
        const all = parts.reduce((sum, { amount }) => sum + amount, own);
        expect(atStake(this.ledger.state, publicKey, role)).toBe(all);
        staked += all;
      }
    }
    const sum = (map: Map<Signer, bigint>) => [...map.values()].reduce((a, b) => a + b, 0n);
    expect(staked).toBe(sum(this.put) - sum(this.back) - this.taken);
  }

  /** Everybody takes everything back. */
  async leave(): Promise<void> {
    const { bench } = this.ledger;
    const stakes: { readonly of: Signer; readonly owner: Signer; readonly role: BondRole }[] = [];
    for (const of of people)
      for (const { role, own, delegations } of bench.queries.stakeOf(of.publicKey)) {
        if (own > 0n) await this.ledger.run(of, unbond(own, role));
        stakes.push({ of, owner: of, role });
        for (const one of delegations) {
          const owner = people.find(({ publicKey }) => toHex(publicKey) === toHex(one.owner)) ?? of;
          if (one.amount > 0n) await this.ledger.run(owner, undelegate(of, one.amount, role));
          stakes.push({ of, owner, role });
        }
      }
    await this.ledger.pass(RULES.unbondDelayBlocks);
    for (const { of, owner, role } of stakes) {
      const { moved } = await this.ledger.run(alice, release(of, owner, role));
      this.back.set(owner, (this.back.get(owner) ?? 0n) + moved);
    }
  }
}

test('LEDGER-2 LEDGER-125 LEDGER-133: whatever people stake, take back and do wrong, money is conserved, and nobody gets more than they put in', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 70 }), async (steps) => {
      const ledger = await StakeBench.create({ bondMin: 500n });
      const story = new Story(ledger);
      const { total } = ledger.bench.queries.supply();
      for (const one of [...BEGINNING, ...steps]) {
        await story.tell(one);
        expect(await ledger.bench.supply()).toBe(total);
        story.check();
      }
      // Enough delegations may be on their way back for one more to be refused: they are released first.
      await ledger.pass(RULES.unbondDelayBlocks);
      for (const of of people)
        for (const owner of people)
          for (const role of ROLES)
            await story.tell({ by: bob, to: of, owner, role, kind: 'release', amount: 0n, at: 0 });
      await story.leave();
      for (const one of people) {
        expect((story.back.get(one) ?? 0n) <= (story.put.get(one) ?? 0n)).toBe(true);
        expect(ledger.bench.queries.stakeOf(one.publicKey)).toEqual([]);
        expect(await ledger.bench.queries.listed('delegations', one.publicKey)).toEqual([]);
      }
      story.check();
      for (const name of story.names) seen.add(name);
      expect(story.taken > 0n && story.rewards > 0n).toBe(true);
      const report = await verifyChain(ledger.bench.parts);
      expect(report.faults).toEqual([]);
      expect(report.supply).toBe(total);
      await sameFromSnapshot(ledger);
    }),
    { numRuns: 20 },
  );
  // The stories were not all alike.
  expect(seen.size).toBeGreaterThan(6);
});

/** A snapshot of the ledger restores to the same state and lists. */
async function sameFromSnapshot({ bench }: StakeBench): Promise<void> {
  const chunks: Uint8Array[] = [];
  const manifest = await createSnapshot(
    bench.parts,
    async (index, chunk) => {
      chunks[index] = chunk;
    },
    { chunkBytesMax: 400 },
  );
  const store = createMemoryStore();
  const { genesis } = bench.parts;
  const taken = { manifest: snapshotManifest.encode(manifest), chunk: async (i: number) => chunks[i] };
  await restoreSnapshot({ suite, store, genesis }, taken);
  const restored = await openChain({ suite, store }, genesis);
  expect(restored.head().stateRoot).toEqual(bench.chain.head().stateRoot);
}

const accused = {
  did: alice.publicKey,
  role: 'validator',
  to: bob.publicKey,
  informer: carol.publicKey,
} as const;

const permuted = <T>(list: readonly T[]): T[][] =>
  list.length < 2
    ? [[...list]]
    : list.flatMap((first, i) => permuted(list.toSpliced(i, 1)).map((rest) => [first, ...rest]));

test('LEDGER-124 LEDGER-125: who takes a stake back before the offence is known still pays, in every order', async () => {
  const S = 10_000n;
  const cost = (2n * S * BigInt(RULES.slashPpm)) / 1_000_000n;
  // Up to the last block in which nothing is due.
  for (const order of permuted(['unbond', 'undelegate', 'report'] as const))
    for (let wait = 0; wait < RULES.unbondDelayBlocks - 3; wait++) {
      const ledger = await StakeBench.create();
      await ledger.run(alice, bond(S, 'validator'));
      await ledger.run(bob, delegate(alice, S, 'validator'));
      const acts = {
        unbond: () => ledger.run(alice, unbond(ledger.own(alice, 'validator'), 'validator')),
        undelegate: () =>
          ledger.run(bob, undelegate(alice, ledger.delegated(bob, alice, 'validator'), 'validator')),
        async report() {
          await ledger.pass(wait);
          for (const owner of [alice, bob])
            expect(await ledger.name(owner, release(alice, owner, 'validator'))).toBe('nothing-due');
          return ledger.run(carol, doubleSigned(ledger.bench.network, alice, 1));
        },
      };
      const results = new Map<string, bigint>();
      for (const name of order) results.set(name, (await acts[name]()).moved);
      expect(results.get('report'), `${order.join(', ')} after ${wait}`).toBe(cost);
      expect(atStake(ledger.state, alice.publicKey, 'validator')).toBe(2n * S - cost);
    }
});

test('LEDGER-125: in one block with the report, only what was due before it escapes', async () => {
  const S = 10_000n;
  const run = async (order: readonly ('release' | 'report')[], early: number): Promise<bigint> => {
    const ledger = await StakeBench.create();
    const { bench } = ledger;
    await ledger.run(alice, bond(S, 'validator'));
    await ledger.run(alice, unbond(S, 'validator'));
    await ledger.pass(RULES.unbondDelayBlocks - 1 - early);
    const nonce = bench.nonce(carol);
    const actions = {
      release: release(alice, alice, 'validator'),
      report: doubleSigned(bench.network, alice, 1),
    };
    const results = await bench.block(
      order.map((name, i) => signAction(bench.network, carol, nonce + i, actions[name], { feeMax: FEE })),
    );
    return results[order.indexOf('report')]?.moved ?? 0n;
  };
  const cost = (S * BigInt(RULES.slashPpm)) / 1_000_000n;
  expect(await run(['release', 'report'], 1)).toBe(cost);
  expect(await run(['report', 'release'], 1)).toBe(cost);
  expect(await run(['report', 'release'], 0)).toBe(cost);
  expect(await run(['release', 'report'], 0)).toBe(0n);
});

test('LEDGER-125 LEDGER-126: any offences after each other take what they say, from the first layer first, and never more than there is', () => {
  const part = fc.bigInt({ min: 1n, max: 10n ** 15n });
  const leaving = fc.array(part, { maxLength: 8 });
  const backer = fc.record({ amount: fc.bigInt({ min: 0n, max: 10n ** 15n }), leaving });
  const offence = fc.record({
    compensation: fc.bigInt({ min: 0n, max: 3n * 10n ** 15n }),
    again: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.record({ own: part, leaving, backers: fc.array(backer, { maxLength: 12 }) }),
      fc.array(offence, { minLength: 1, maxLength: 6 }),
      fc.nat(1_000_000),
      (stake, offences, slashPpm) => {
        const state = new State(() => undefined);
        const rules = { genesis: { parameters: { slashPpm, epochBlocks: 10 } }, height: 3 } as Parameters<
          typeof slash
        >[1];
        const out = (amounts: readonly bigint[]) =>
          amounts.map((amount, i) => ({ amount, releaseAt: i + 1 }));
        const id = new Uint8Array([...alice.publicKey, 6]);
        const owners = stake.backers.map((_, i) => new Uint8Array(32).fill(i + 1));
        const kept = stake.backers.map(({ amount, leaving: leaves }) => ({
          amount: amount === 0n && leaves.length === 0 ? 1n : amount,
          since: 0,
          leaving: out(leaves),
        }));
        const delegated = kept.reduce((sum, { amount }) => sum + amount, 0n);
        state.stakes.bonds.set(id, { own: stake.own, leaving: out(stake.leaving), delegated, commission: 0 });
        if (owners.length > 0) state.stakes.backers.set(id, { owners });
        for (const [i, owner] of owners.entries())
          state.stakes.delegations.set(new Uint8Array([...id, ...owner]), kept[i]);
        const begin = state.heldChange();
        const ownBegin = stake.leaving.reduce((sum, amount) => sum + amount, stake.own);
        const all = atStake(state, alice.publicKey, 'validator');
        const paid = (one: Signer) => state.accounts.get(one.publicKey)?.balance ?? 0n;
        let taken = 0n;
        for (const [i, { compensation, again }] of offences.entries()) {
          const before = atStake(state, alice.publicKey, 'validator');
          const evidence = new Uint8Array(32).fill(i);
          const proved: Offence = { ...accused, evidence, compensation };
          const ownBefore = taken < ownBegin ? ownBegin - taken : 0n;
          const heldBefore = [bob, carol].map(paid);
          const cost = slash(state, rules, proved);
          const part = (amount: bigint) => (amount * BigInt(slashPpm)) / 1_000_000n;
          const most = ownBefore - part(ownBefore);
          const wronged = compensation < most ? compensation : most;
          expect(cost).toEqual({ taken: wronged + part(before), compensation: wronged });
          if (again) expect(slash(state, rules, proved).taken).toBe(0n);
          taken += cost.taken;
          // Whoever they are, the wronged and the informer get nothing but what the offender itself lost.
          const [toWronged, toInformer] = [bob, carol].map((one, at) => paid(one) - (heldBefore[at] ?? 0n));
          expect(toWronged).toBe(wronged);
          const ownLost = ownBefore < cost.taken ? ownBefore : cost.taken;
          expect(toInformer).toBe((ownLost - wronged) / 2n);
          expect(atStake(state, alice.publicKey, 'validator')).toBe(all - taken);
          expect(state.heldChange()).toBe(begin);
          const left = state.stakes.bonds.get(id);
          const ownLeft = (left?.leaving ?? []).reduce((sum, { amount }) => sum + amount, left?.own ?? 0n);
          expect(ownLeft).toBe(taken < ownBegin ? ownBegin - taken : 0n);
        }
      },
    ),
  );
});

test('the ids of lists name bonds, and nothing else', () => {
  const id = new Uint8Array([...alice.publicKey, 1]);
  expect(bondOfId(id)).toEqual({ did: alice.publicKey, role: 'provider' });
  expect([bondOfId(alice.publicKey), bondOfId(new Uint8Array([...alice.publicKey, 10]))]).toEqual([
    undefined,
    undefined,
  ]);
});
