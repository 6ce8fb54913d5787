/** A run of blocks as the embedded engine builds them, told again by the real program. */
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import type { CometNetwork } from '../../src/ledger/engines/comet/ledger.ts';
import { isPaced } from '../../src/ledger/pace.ts';
import { type BlockHeader, block, blockHeader } from '../../src/protocol/block.ts';
import { firstValidatorsHash } from '../../src/protocol/consensus.ts';
import { type Signed, signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { transaction } from '../../src/protocol/transaction.ts';
import { suite } from '../ledger/support.ts';
import { TOUR } from '../ledger/whole-tour.ts';
import { type Deed, KINDS, PEOPLE, World, worldGenesis } from '../ledger/whole-world.ts';
import { until } from '../mesh/support.ts';
import { openGate } from './gate.ts';
import { places, seedOf, startNode, type TestNode, testFolder } from './support.ts';

const [hana, hugo] = PEOPLE as readonly [Signer, Signer];
// So much that whoever takes a bond for validating in the story decides nothing.
const first = [{ did: createSigner(seedOf(0)).publicKey, power: 1_000_000_000 }];

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const nat = (max: number) => fc.nat({ max });
const deed = (kind: Deed['kind']): fc.Arbitrary<Deed> =>
  fc.record({
    kind: fc.constant(kind),
    by: fc.integer({ min: 2, max: 5 }),
    to: nat(5),
    which: nat(40),
    bent: nat(40),
    amount: nat(3_000).map(BigInt),
  });
const deeds = fc.tuple(...KINDS.flatMap((kind) => Array.from({ length: 6 }, () => deed(kind))));

/** One block, as the embedded engine would make it: never empty unless delays run. */
async function make(world: World, messages: readonly Signed[]): Promise<void> {
  const { chain } = world.bench;
  const idle = isPaced(chain.readState, chain.head().height);
  if (messages.length > 0 || idle) await world.bench.block(messages);
}

/** A payment that always has a place, so that no block is empty by chance. */
function payment(world: World): Signed {
  return world.sign(hana, { type: 'transfer', to: hugo.publicKey, amount: 1n, memo: undefined });
}

/** Blocks with all kinds of transactions by people who keep the rules and people who do not, and empty ones between. */
async function record(network: CometNetwork): Promise<World> {
  const world = await World.create(network.genesis);
  for (const one of TOUR) {
    world.begin();
    await make(world, one(world));
  }
  const [all = []] = fc.sample(deeds, { seed: 8, numRuns: 1 });
  const mixed = fc.sample(fc.shuffledSubarray([...all], { minLength: all.length }), { seed: 9, numRuns: 1 });
  const rest = [...(mixed[0] ?? [])];
  for (let number = 0; rest.length > 0; number++) {
    world.begin();
    await make(
      world,
      number % 5 === 4 ? [] : [payment(world), ...rest.splice(0, 9).map((one) => world.message(one))],
    );
  }
  return world;
}

interface Recorded {
  readonly transactions: readonly Signed[];
  readonly header: BlockHeader;
}

async function recordedIn({ bench, height }: World): Promise<readonly Recorded[]> {
  const blocks: Recorded[] = [];
  for (let number = 1; number <= height; number++) {
    const wire = await bench.chain.block(number);
    if (wire === undefined) throw new RangeError('a block is missing');
    const { header, transactions } = block.decode(wire);
    blocks.push({ transactions, header: blockHeader.decode(header.payload) });
  }
  return blocks;
}

/** What both have in common: all but the proposer, the time, and the hash of the header before, which has them too. */
function essence({ height, transactionsRoot, resultsRoot, stateRoot }: BlockHeader): string {
  return [String(height), ...[transactionsRoot, resultsRoot, stateRoot].map(toHex)].join(' ');
}

/** A node whose CometBFT proposes what was recorded. */
async function replaying(network: CometNetwork, recorded: readonly Recorded[]): Promise<TestNode> {
  const folder = await testFolder();
  closing.push(folder.remove);
  const wires = recorded.map(({ transactions }) => transactions.map((one) => signed.encode(one)));
  const path = join(folder.path, 'gate.sock');
  let node: TestNode | undefined;
  const next = (): readonly Uint8Array[] => wires[node?.ledger.head().height ?? 0] ?? [];
  const gate = await openGate(path, join(folder.path, 'abci.sock'), next);
  closing.push(gate.close);
  const setup = { network, number: 0, all: await places(1), folder: folder.path };
  node = await startNode({ ...setup, files: { abciAddress: `unix://${path}` } });
  closing.push(node.stop);
  return node;
}

test('ENG-1: a recorded run of all kinds of transactions has the same roots at every height when CometBFT decides on it', async () => {
  const world = worldGenesis();
  // Fees are shared as rewards, all of them: a proposer's part would be another's under the other engine.
  const parameters = { ...world.parameters, rewardPpm: 1_000_000 };
  const genesis = { ...world, parameters, sequencer: firstValidatorsHash(suite, first) };
  const network = { genesis, first };
  const recorded = await recordedIn(await record(network));
  const all = recorded.flatMap(({ transactions }) =>
    transactions.map(({ payload }) => transaction.decode(payload).action.type),
  );
  expect(all.length).toBeGreaterThan(200);
  expect(new Set(all)).toEqual(new Set([...KINDS, 'approve-upgrade']));
  expect(recorded.some(({ transactions }) => transactions.length === 0)).toBe(true);

  const node = await replaying(network, recorded);
  const { ledger, rpc } = node;
  const { signal } = new AbortController();
  const hand = async (message: Signed): Promise<boolean> =>
    rpc.broadcast(signed.encode(message), { signal }).then(
      () => true,
      () => false,
    );
  for (const { transactions, header } of recorded) {
    // CometBFT makes a block when something waits; what it takes too early it refuses, and has in the block all the same.
    for (const one of transactions) await until(() => ledger.head().height >= header.height || hand(one));
    await until(() => ledger.head().height >= header.height);
  }
  const decided: BlockHeader[] = [];
  while (decided.length < recorded.length)
    for (const wire of await ledger.blocks(decided.length + 1))
      decided.push(blockHeader.decode(block.decode(wire).header.payload));
  expect(decided.slice(0, recorded.length).map(essence)).toEqual(
    recorded.map(({ header }) => essence(header)),
  );
  expect(await ledger.verify()).toMatchObject({ faults: [] });
});
