/** Random stories of people whose keys are rotated, stolen, lost and recovered while money is owed under old ones. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { equalBytes, toHex } from '../../src/base/bytes.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { replayBlock } from '../../src/ledger/blocks.ts';
import { createSnapshot } from '../../src/ledger/snapshot.ts';
import { snapshotManifest } from '../../src/ledger/snapshot-form.ts';
import { restoreSnapshot } from '../../src/ledger/snapshot-restore.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import { block } from '../../src/protocol/block.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId } from '../../src/protocol/transaction.ts';
import { CLOSE_DELAY, finish, guardedBy, recover, register, rotate, signFor } from './identity-support.ts';
import { alice, Bench, bob, carol, claimOf, person, suite, testGenesis } from './support.ts';

const RECOVERY_DELAY = 4;
const guardians = [carol, person('gina'), person('hugo')] as const;

/** What a person holds, and what the ledger should know of it: kept apart from the ledger's own rules. */
interface Person {
  readonly did: Signer;
  /** Every key in the order of coming; the last one signs. */
  readonly keys: Signer[];
  /** Height at which each key but the last was retired. */
  readonly retiredAt: number[];
  next: Signer;
  made: number;
  /** The recovery that guardians want, and who voted. */
  wanted: { key: Signer; next: Signer; votes: Set<Signer>; effectiveAt: number | undefined } | undefined;
}

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('rotate' as const), who: fc.nat(1), replace: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('steal' as const), who: fc.nat(1), key: fc.nat(5) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('vote' as const), who: fc.nat(1), by: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), who: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('finish' as const), who: fc.nat(1) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), blocks: fc.integer({ min: 1, max: 5 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('claim' as const), payer: fc.nat(5), payee: fc.nat(5) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('spend' as const), who: fc.nat(1), key: fc.nat(5) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class Story {
  readonly bench: Bench;
  readonly wires: Uint8Array[] = [];
  readonly people: readonly [Person, Person];
  #channel: Hash = new Uint8Array(32);
  #total = 0n;

  constructor(bench: Bench) {
    this.bench = bench;
    const begin = (did: Signer): Person => ({
      did,
      keys: [did],
      retiredAt: [],
      next: person(`${toHex(did.publicKey)} 0`),
      made: 1,
      wanted: undefined,
    });
    this.people = [begin(alice), begin(bob)];
  }

  get height(): number {
    return this.bench.chain.head().height;
  }

  async begin(): Promise<void> {
    for (const { did, next } of this.people)
      expect(await this.run(did, did, register(next, guardedBy(guardians, 2, RECOVERY_DELAY)))).toBe('ok');
    const { network } = this.bench;
    this.#channel = channelId(suite, network, alice.publicKey, bob.publicKey, this.bench.nonce(alice));
    const open: Action = { type: 'open-channel', payee: bob.publicKey, deposit: 1_000_000n };
    expect(await this.run(alice, alice, open)).toBe('ok');
  }

  async run(did: Signer, key: Signer, action: Action): Promise<string> {
    const [result] = await this.bench.block([signFor(this.bench, did, key, action)]);
    this.wires.push(this.bench.last?.wire ?? new Uint8Array(0));
    return result?.name ?? 'nothing';
  }

  /** Whether a statement of a key counts in the next block, as the person would work it out. */
  counts({ keys, retiredAt }: Person, key: Signer): boolean {
    const at = keys.indexOf(key);
    const retired = retiredAt[at];
    return retired === undefined || this.height + 1 <= retired + CLOSE_DELAY;
  }

  fresh(someone: Person): Signer {
    return person(`${toHex(someone.did.publicKey)} ${someone.made++}`);
  }

  current({ keys, did }: Person): Signer {
    return keys.at(-1) ?? did;
  }

  replace(someone: Person, key: Signer, next: Signer): void {
    someone.retiredAt.push(this.height);
    someone.keys.push(key);
    someone.next = next;
    someone.wanted = undefined;
  }

  async take(chosen: Step): Promise<void> {
    if (chosen.do === 'wait') {
      for (let i = 0; i < chosen.blocks; i++) {
        await this.bench.block([]);
        this.wires.push(this.bench.last?.wire ?? new Uint8Array(0));
      }
      return;
    }
    if (chosen.do === 'claim') return this.claim(chosen.payer, chosen.payee);
    const someone = this.people[chosen.who] as Person;
    if (chosen.do === 'rotate') await this.rotate(someone, chosen.replace);
    if (chosen.do === 'vote') await this.vote(someone, guardians[chosen.by] as Signer);
    if (chosen.do === 'cancel') await this.cancel(someone);
    if (chosen.do === 'finish') await this.finish(someone);
    if (chosen.do === 'steal') {
      const thief = someone.keys[chosen.key % someone.keys.length] as Signer;
      const loot = person('thief');
      expect(await this.run(someone.did, thief, rotate(loot, person('thief 2')))).toBe('signature-invalid');
      expect(await this.run(someone.did, loot, rotate(loot, person('thief 2')))).toBe('signature-invalid');
    }
    if (chosen.do === 'spend') {
      const key = someone.keys[chosen.key % someone.keys.length] as Signer;
      const spend: Action = { type: 'transfer', to: carol.publicKey, amount: 1n, memo: undefined };
      const expected = key === this.current(someone) ? 'ok' : 'signature-invalid';
      expect(await this.run(someone.did, key, spend)).toBe(expected);
    }
  }

  async rotate(someone: Person, replace: boolean): Promise<void> {
    const { did, next: key } = someone;
    const counting = someone.retiredAt.filter((at) => this.height + 1 <= at + CLOSE_DELAY).length;
    const next = this.fresh(someone);
    const policy = replace ? guardedBy(guardians, 2, RECOVERY_DELAY) : undefined;
    const result = await this.run(did, key, rotate(key, next, policy));
    expect(result).toBe(counting < 8 ? 'ok' : 'rotations-too-many');
    if (result === 'ok') this.replace(someone, key, next);
  }

  async vote(someone: Person, guardian: Signer): Promise<void> {
    const wanted = someone.wanted ?? {
      key: this.fresh(someone),
      next: this.fresh(someone),
      votes: new Set<Signer>(),
      effectiveAt: undefined,
    };
    const { key, next, votes } = wanted;
    const action = recover(this.bench.network, someone.did.publicKey, key, next);
    const result = await this.run(guardian, guardian, action);
    expect(result).toBe(votes.has(guardian) ? 'already-voted' : 'ok');
    votes.add(guardian);
    if (votes.size === 2) wanted.effectiveAt ??= this.height + RECOVERY_DELAY + 1;
    someone.wanted = wanted;
  }

  async cancel(someone: Person): Promise<void> {
    const result = await this.run(someone.did, this.current(someone), { type: 'cancel-recovery' });
    expect(result).toBe(someone.wanted === undefined ? 'recovery-unknown' : 'ok');
    someone.wanted = undefined;
  }

  async finish(someone: Person): Promise<void> {
    const { wanted } = someone;
    const nothing = { key: person('nobody'), next: person('nobody 2'), effectiveAt: undefined };
    const { key, next, effectiveAt } = wanted ?? nothing;
    const due = effectiveAt !== undefined && this.height + 1 >= effectiveAt;
    const result = await this.run(carol, carol, finish(someone.did.publicKey, key, next));
    if (wanted === undefined) expect(result).toBe('recovery-unknown');
    else expect(result).toBe(due ? 'ok' : 'recovery-pending');
    if (result === 'ok') this.replace(someone, key, next);
  }

  /** One grain more, by whatever keys the parties ever had. */
  async claim(payerKey: number, payeeKey: number): Promise<void> {
    const [from, to] = this.people;
    const payer = from.keys[payerKey % from.keys.length] as Signer;
    const payee = to.keys[payeeKey % to.keys.length] as Signer;
    const amounts = [{ asset: new Uint8Array(32), amount: this.#total + 1n }];
    const terms = { channel: this.#channel, payer, payee, ceiling: this.#total + 1n, amounts };
    const action: Action = { type: 'claim', ...claimOf(this.bench.network, terms) };
    const expected = this.counts(from, payer)
      ? this.counts(to, payee)
        ? 'ok'
        : 'charge-signature-invalid'
      : 'voucher-signature-invalid';
    const before = this.bench.balance(bob);
    const result = await this.run(carol, carol, action);
    expect(result).toBe(expected);
    if (result === 'ok') this.#total++;
    expect(this.bench.balance(bob) - before).toBe(result === 'ok' ? 1n : 0n);
  }

  /** That the ledger knows of everybody what they know themselves. */
  check(): void {
    for (const { did, keys, wanted } of this.people) {
      const known = this.bench.queries.identity(did.publicKey);
      expect(known?.key).toEqual(keys.at(-1)?.publicKey);
      expect(known?.recovery?.key).toEqual(wanted?.key.publicKey);
      expect(known?.recovery?.effectiveAt).toEqual(wanted?.effectiveAt);
      expect(known?.retired.length ?? 9).toBeLessThanOrEqual(8);
    }
  }
}

async function stateOf(bench: Bench): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const [key, value] of bench.chain.stateEntries()) found.push(`${toHex(key)}=${toHex(value)}`);
  return found;
}

test('LEDGER-70 LEDGER-71 LEDGER-73 LEDGER-74 LEDGER-76: keys count as long as they should, in every order', async () => {
  const chosen = fc.array(step, { minLength: 5, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(chosen, async (steps) => {
      const story = new Story(await Bench.create());
      const supply = await story.bench.supply();
      await story.begin();
      for (const one of steps) {
        await story.take(one);
        story.check();
        expect(await story.bench.supply()).toBe(supply);
      }
    }),
    { numRuns: 40 },
  );
}, 120_000);

test('LEDGER-1 LEDGER-4 LEDGER-142: replay, verification and a snapshot give the same keys', async () => {
  const chosen = fc.array(step, { minLength: 10, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(chosen, async (steps) => {
      const story = new Story(await Bench.create());
      await story.begin();
      for (const one of steps) await story.take(one);
      const { bench } = story;
      const again = await Bench.create();
      for (const wire of story.wires)
        await again.chain.commit(await replayBlock(again.parts, wire, block.decode(wire)));
      expect(again.chain.head()).toEqual(bench.chain.head());
      expect(await stateOf(again)).toEqual(await stateOf(bench));
      expect((await verifyChain(again.parts)).faults).toEqual([]);

      const chunks: Uint8Array[] = [];
      const keep = async (index: number, chunk: Uint8Array): Promise<void> => {
        chunks[index] = chunk;
      };
      const manifest = snapshotManifest.encode(await createSnapshot(bench.parts, keep));
      const store = createMemoryStore();
      const source = { manifest, chunk: async (index: number) => chunks[index] };
      await restoreSnapshot({ suite, store, genesis: testGenesis() }, source);
      const restored = await Bench.create(testGenesis(), store);
      expect(await stateOf(restored)).toEqual(await stateOf(bench));
      for (const { did } of story.people) {
        const known = restored.queries.identity(did.publicKey);
        expect(known).toEqual(bench.queries.identity(did.publicKey));
        expect(known && equalBytes(known.did, did.publicKey)).toBe(true);
      }
    }),
    { numRuns: 10 },
  );
}, 120_000);

test('LEDGER-71: an honest payee that claims in its window is paid, however often the payer rotates', async () => {
  const turns = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(turns, fc.integer({ min: 0, max: CLOSE_DELAY }), async (rotations, late) => {
      const story = new Story(await Bench.create());
      await story.begin();
      const [payer] = story.people;
      for (const count of rotations) {
        const held = payer.keys.length - 1;
        for (let i = 0; i < count && i < late; i++) await story.rotate(payer, false);
        await story.claim(held, 0);
        await story.take({ do: 'wait', blocks: CLOSE_DELAY });
      }
      const paid = story.bench.balance(bob) - (await Bench.create()).balance(bob);
      expect(paid).toBe(BigInt(rotations.length));
    }),
    { numRuns: 20 },
  );
}, 120_000);
