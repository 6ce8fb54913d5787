/**
 * Stories over all kinds of transactions at once, in random blocks, by people who keep the rules and people who do not.
 * `LEDGER_STORIES` tells how many beside those of fixed seeds; `LEDGER_SEED` tells one again.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemoryStore } from '../../src/base/store.ts';
import { replayBlock } from '../../src/ledger/blocks.ts';
import { RESULT_CODES, type ResultName } from '../../src/ledger/result-codes.ts';
import { createSnapshot } from '../../src/ledger/snapshot.ts';
import { snapshotManifest } from '../../src/ledger/snapshot-form.ts';
import { restoreSnapshot } from '../../src/ledger/snapshot-restore.ts';
import { verifyChain } from '../../src/ledger/verify.ts';
import { block } from '../../src/protocol/block.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import { verifyStateProof } from '../../src/protocol/state-proof.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { HonestLine } from './honest-line.ts';
import { Bench, suite } from './support.ts';
import { type Act, TOUR } from './whole-tour.ts';
import { type Deed, KINDS, PEOPLE, World } from './whole-world.ts';

const [hana, hugo] = PEOPLE as readonly [Signer, Signer];

const nat = (max: number) => fc.nat({ max });
const deed: fc.Arbitrary<Deed> = fc.record({
  kind: fc.constantFrom(...KINDS),
  by: fc.integer({ min: 2, max: 5 }),
  to: nat(5),
  which: nat(40),
  bent: nat(40),
  amount: fc.oneof(nat(3_000), nat(3_000), nat(60), fc.constant(0), nat(300_000)).map(BigInt),
});
const turn = fc.record({
  deeds: fc.array(deed, { minLength: 4, maxLength: 24, size: 'max' }),
  serve: nat(40),
  honest: fc.constantFrom('', '', '', '', 'claim', 'request-close', 'cancel-close'),
  idle: fc.constantFrom(0, 0, 0, 0, 0, 0, 4, 12),
});
const story = fc.array(turn, { minLength: 30, maxLength: 60 });
type Turn = typeof turn extends fc.Arbitrary<infer T> ? T : never;

/** What a story reached. */
const reached = new Set<string>();

async function follower(world: World, keepBlocks?: number): Promise<Bench> {
  return Bench.create(world.bench.parts.genesis, createMemoryStore(), keepBlocks);
}

/** Executes on `to` every block of the world that it lacks. */
async function follow(world: World, to: Bench): Promise<void> {
  while (to.chain.head().height < world.height) {
    const wire = await world.bench.chain.block(to.chain.head().height + 1);
    if (wire === undefined) throw new Error('a block is missing');
    await to.chain.commit(await replayBlock(to.parts, wire, block.decode(wire)));
  }
}

async function snapshotOf(bench: Bench): Promise<Bench> {
  const chunks: Uint8Array[] = [];
  const manifest = await createSnapshot(bench.parts, async (i, chunk) => {
    chunks[i] = chunk;
  });
  const store = createMemoryStore();
  const { genesis } = bench.parts;
  const taken = { manifest: snapshotManifest.encode(manifest), chunk: async (i: number) => chunks[i] };
  await restoreSnapshot({ suite, store, genesis }, taken);
  return Bench.create(genesis, store);
}

async function provesItsRecords({ chain }: Bench): Promise<void> {
  const root = chain.head().stateRoot;
  let count = 0;
  for await (const [key, value] of chain.stateEntries()) {
    if (count++ % 5 > 0) continue;
    const proof = chain.tree.prove(key);
    expect(verifyStateProof(suite, root, { key, value }, proof)).toBe(true);
    expect(verifyStateProof(suite, root, { key, value: undefined }, proof)).toBe(false);
    const absent = Uint8Array.of(...key, 0);
    const none = chain.tree.prove(absent);
    expect(verifyStateProof(suite, root, { key: absent, value: undefined }, none)).toBe(true);
  }
}

/** One block of what others do, and what the honest two do about their channel; then blocks in which nobody else does anything. */
async function play(world: World, line: HonestLine, { deeds, serve, honest, idle }: Turn): Promise<void> {
  world.begin();
  const messages = deeds.map((one) => world.message(one));
  line.serve(BigInt(serve));
  const { channel } = line;
  if (honest === 'request-close' || honest === 'cancel-close')
    messages.push(world.sign(hana, { type: honest, channel }));
  await make(world, line, messages, honest === 'claim');
  for (let i = 0; i < idle; i++) {
    world.begin();
    await make(world, line, [], false);
  }
}

/** Makes a block, in which hugo claims if he likes to, or if it is his last. */
async function make(world: World, line: HonestLine, messages: Signed[], wants: boolean): Promise<void> {
  const known = world.bench.queries.channel(line.channel);
  const due = known?.closeAt !== undefined && known.closeAt <= world.height + 1;
  if (known !== undefined && line.served.length > 0 && (due || wants))
    messages.push(world.sign(hugo, line.claim()));
  for (const { name } of await world.bench.block(messages)) reached.add(name);
  line.look();
  expect(line.paid <= line.signed).toBe(true);
}

async function tell(turns: readonly Turn[], acts: readonly Act[] = []): Promise<void> {
  const world = await World.create();
  const { bench } = world;
  const { total } = bench.queries.supply();
  const channel = channelId(suite, bench.network, hana.publicKey, hugo.publicKey, 0);
  world.begin();
  await bench.block([world.sign(hana, { type: 'open-channel', payee: hugo.publicKey, deposit: 900n })]);
  world.target = channel;
  const line = new HonestLine(world, channel);
  const pruned = await follower(world, 4);
  let late: Bench | undefined;
  for (const one of acts) {
    world.begin();
    await make(world, line, [...one(world)], false);
    expect(await bench.supply()).toBe(total);
  }
  for (const [i, one] of turns.entries()) {
    await play(world, line, one);
    expect(await bench.supply()).toBe(total);
    if (i === Math.floor(turns.length / 2)) late = await snapshotOf(bench);
  }
  // At the end hugo claims what is open; all that he served was paid, and no more.
  world.begin();
  await make(world, line, [], true);
  expect(line.paid).toBe(line.total);
  const report = await verifyChain(bench.parts);
  expect(report.faults).toEqual([]);
  expect(report.supply).toBe(total);
  for (const other of [pruned, ...(late === undefined ? [] : [late])]) {
    await follow(world, other);
    expect(other.chain.head()).toEqual(bench.chain.head());
    expect(await other.supply()).toBe(total);
  }
  await provesItsRecords(bench);
}

/** Refusals that no story of a few people in one network reaches, and where they are. */
const ELSEWHERE: Readonly<Partial<Record<ResultName, string>>> = {
  'amount-out-of-range': 'adversary.test.ts: takes more money than all of them have',
  'backers-full': 'stake.test.ts: takes 65 people',
  'faucet-absent': 'execute.test.ts: takes a network without a faucet',
  'lineage-too-deep': 'execute.test.ts: takes 66 generations',
  'recipient-unusable': 'upgrade.test.ts: takes a later version of the rules',
  'upgrade-height': 'upgrade.test.ts: takes a vote about the rules',
  'upgrade-version': 'upgrade.test.ts: takes a vote about the rules',
  'versions-exhausted': 'assets.test.ts: takes 257 versions',
};

const SEEDS = [1, 2, 3, 4];
const MORE = Number(process.env.LEDGER_STORIES ?? 0);
const AGAIN = process.env.LEDGER_SEED;

test('LEDGER-1 LEDGER-2 LEDGER-4 LEDGER-142 LEDGER-153: whatever all do at once, nothing throws, nothing is lost, and everybody agrees', {
  timeout: 60_000 + MORE * 10_000,
}, async () => {
  const seeds =
    AGAIN === undefined ? [...SEEDS, ...Array.from({ length: MORE }, (_, i) => 100 + i)] : [Number(AGAIN)];
  for (const seed of seeds) {
    for (const turns of fc.sample(story, { seed, numRuns: 1 }))
      await tell(turns).catch((cause: unknown) => {
        throw new Error(`LEDGER_SEED=${seed} tells it again`, { cause });
      });
  }
  await tell([], TOUR);
  // A single story is told to look into it.
  if (AGAIN === undefined) {
    const missing = Object.keys(RESULT_CODES).filter((name) => !reached.has(name));
    expect(missing.sort()).toEqual(Object.keys(ELSEWHERE).sort());
  }
});
