/** Lineages that receive and are collected along paths, on a real chain; for the vectors of LEDGER-88 and their test. */
import type { Signer } from '../../src/protocol/suite.ts';
import { assetId } from '../../src/protocol/transaction.ts';
import { datasetOf } from './asset-support.ts';
import { alice, Bench, bob, carol, person, START, suite, testGenesis } from './support.ts';

/** An asset of a story; parents are numbers of earlier assets, owners of people. */
export interface PathAsset {
  readonly parents: readonly (readonly [asset: number, ppm: number])[];
  readonly owners: readonly (readonly [person: number, ppm: number])[];
  readonly bountyPpm: number;
}

/** What happens: an asset receives, or somebody collects a path. */
export type PathStep =
  | { readonly receives: number; readonly amount: string }
  | { readonly keeper: number; readonly path: readonly number[] };

/** What came of it. */
export interface PathOutcome {
  /** For each step, what it moved. */
  readonly moved: readonly string[];
  /** What each asset received in all. */
  readonly received: readonly string[];
  /** What each person earned, as owner and as keeper. */
  readonly earned: readonly string[];
}

/** People who own and collect; alice pays. */
const PEOPLE: readonly Signer[] = [bob, carol, person('nobody else')];

/** Plays a story. */
export async function playPaths(
  assets: readonly PathAsset[],
  steps: readonly PathStep[],
): Promise<PathOutcome> {
  const bench = await Bench.create(testGenesis());
  const keyOf = (i: number): Uint8Array => (PEOPLE[i] ?? alice).publicKey;
  const ids: Uint8Array[] = [];
  for (const { parents, owners, bountyPpm } of assets) {
    const action = datasetOf(alice, {
      kind: 'model',
      name: `asset ${ids.length}`,
      owners: owners.map(([i, ppm]) => ({ owner: keyOf(i), ppm })),
      parents: parents.map(([i, ppm]) => ({ asset: ids[i] ?? expectKnown(i), relation: 'trained-on', ppm })),
      bounty: bountyPpm,
    });
    const { nonce } = bench.queries.account(alice.publicKey);
    await demand(bench.run(alice, action));
    ids.push(assetId(suite, bench.network, alice.publicKey, nonce));
  }
  const moved: string[] = [];
  for (const [i, step] of steps.entries()) {
    const outcome =
      'receives' in step
        ? bench.run(alice, {
            type: 'pay',
            payee: bob.publicKey,
            asset: ids[step.receives],
            reference: new Uint8Array(16).fill(i),
            amount: BigInt(step.amount),
          })
        : bench.run(PEOPLE[step.keeper] ?? alice, {
            type: 'collect-path',
            assets: step.path.map((at) => ids[at] ?? expectKnown(at)),
          });
    moved.push(String(await demand(outcome)));
  }
  return {
    moved,
    received: ids.map((id) => String(bench.queries.asset(id)?.received)),
    earned: PEOPLE.map(({ publicKey }) => {
      const began = publicKey === bob.publicKey || publicKey === carol.publicKey ? START : 0n;
      return String(bench.queries.account(publicKey).balance - began);
    }),
  };
}

function expectKnown(at: number): never {
  throw new Error(`the story has no asset ${at}`);
}

async function demand(run: ReturnType<Bench['run']>): Promise<bigint> {
  const { name, moved } = await run;
  if (name !== 'ok') throw new Error(`the story is wrong: ${name}`);
  return moved;
}
