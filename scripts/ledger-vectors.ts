/**
 * Prints the ledger's vectors: `node scripts/ledger-vectors.ts state-tree|settlement|chain|evidence|stake|identities`. Run by hand, when
 * a format changes on purpose; the tests only ever read what stands in `spec/vectors/ledger/`.
 */
import { toHex, utf8 } from '../src/base/bytes.ts';
import { createMemoryStore } from '../src/base/store.ts';
import type { LaneRecord } from '../src/ledger/records.ts';
import { splitPayment } from '../src/ledger/settle.ts';
import { createStateTree } from '../src/ledger/tree.ts';
import { genesis as genesisSchema } from '../src/protocol/block.ts';
import type { Hash } from '../src/protocol/ids.ts';
import { dueToKeepers, dueToOwners, dueToParents } from '../src/protocol/revenue.ts';
import { stateProof } from '../src/protocol/state-proof.ts';
import type { Signer } from '../src/protocol/suite.ts';
import { type Action, assetId, channelId } from '../src/protocol/transaction.ts';
import { type PathAsset, type PathStep, playPaths } from '../test/ledger/path-world.ts';
import { alice, Bench, bob, carol, claimOf, suite, testGenesis } from '../test/ledger/support.ts';
import { channelStory, evidenceVectors } from './ledger-channel-vectors.ts';
import { identityVectors } from './ledger-identity-vectors.ts';
import { stakeVectors } from './ledger-stake-vectors.ts';
import { tellBlocks } from './vectors/blocks.ts';

async function stateTree(): Promise<unknown> {
  const cases = [];
  for (const count of [0, 1, 2, 3, 17, 100]) {
    const store = createMemoryStore();
    const tree = createStateTree(suite, (path) => store.getSync(path));
    const entries = Array.from({ length: count }, (_, i) => ({
      key: utf8(`key ${i}`),
      value: utf8(`value ${i}`),
    }));
    const update = tree.update(entries);
    await store.batch(tree.operations(update));
    tree.adopt(update);
    const prove = (key: Uint8Array, value: Uint8Array | undefined) => ({
      key: toHex(key),
      value: value === undefined ? null : toHex(value),
      proof: toHex(stateProof.encode(tree.prove(key))),
    });
    const absent = [0, 1, 2].map((i) => utf8(`absent ${i}`));
    const valid = [
      ...entries.slice(0, 3).map(({ key, value }) => prove(key, value)),
      ...absent.map((key) => prove(key, undefined)),
    ];
    const invalid = [
      ...entries
        .slice(0, 2)
        .map(({ key, value }) => ({ ...prove(key, value), value: toHex(utf8('another')) })),
      ...entries.slice(0, 2).map(({ key, value }) => ({ ...prove(key, value), value: null })),
      ...absent.slice(0, 2).map((key) => ({ ...prove(key, undefined), value: toHex(utf8('value 0')) })),
    ];
    cases.push({
      entries: entries.map(({ key, value }) => [toHex(key), toHex(value)]),
      root: toHex(update.root),
      valid,
      invalid,
    });
  }
  return {
    about: 'State trees, and proofs that hold or do not hold against their roots (LEDGER-30 to 32).',
    cases,
  };
}

/** Diamonds and lines of assets with and without bounties, collected along paths in more than one order. */
const PATHS: readonly { readonly assets: readonly PathAsset[]; readonly steps: readonly PathStep[] }[] = [
  {
    assets: [
      { parents: [], owners: [[0, 1_000_000]], bountyPpm: 10_000 },
      {
        parents: [[0, 400_000]],
        owners: [
          [1, 700_000],
          [2, 300_000],
        ],
        bountyPpm: 0,
      },
      {
        parents: [
          [0, 100_001],
          [1, 899_999],
        ],
        owners: [[2, 1_000_000]],
        bountyPpm: 1,
      },
    ],
    steps: [
      { receives: 2, amount: '1000003' },
      { keeper: 2, path: [2, 1, 0] },
      { keeper: 0, path: [2, 1, 0] },
      { receives: 1, amount: '999' },
      { keeper: 1, path: [0, 1, 0, 0] },
      { keeper: 1, path: [] },
    ],
  },
  {
    assets: [
      {
        parents: [],
        owners: [
          [0, 333_333],
          [1, 333_333],
          [2, 333_334],
        ],
        bountyPpm: 9_999,
      },
      { parents: [[0, 1_000_000]], owners: [[0, 1_000_000]], bountyPpm: 10_000 },
    ],
    steps: [
      { receives: 1, amount: '1' },
      { keeper: 2, path: [1, 0] },
      { receives: 1, amount: '123456789' },
      { receives: 0, amount: '7' },
      { keeper: 1, path: [0, 1] },
      { keeper: 0, path: [0] },
    ],
  },
];

async function paths(): Promise<unknown> {
  const told = [];
  for (const { assets, steps } of PATHS) {
    const { moved, received, earned } = await playPaths(assets, steps);
    told.push({ assets, steps: steps.map((step, i) => ({ ...step, moved: moved[i] })), received, earned });
  }
  return told;
}

async function settlement(): Promise<unknown> {
  const ids = [1, 2, 3].map((i) => new Uint8Array(32).fill(i));
  let lane: LaneRecord = { paid: 0n, total: 0n, parts: [], frozen: undefined };
  const claims = [];
  for (const [amounts, payment] of [
    [[10n, 0n, 0n], 3n],
    [[10n, 7n, 0n], 5n],
    [[10n, 7n, 100n], 1n],
    [[11n, 7n, 100n], 109n],
  ] as const) {
    const parts = amounts.map((amount, i) => ({ asset: ids[i] ?? new Uint8Array(32), amount }));
    const split = splitPayment(lane, parts, payment);
    if (split === undefined) throw new Error('the story is wrong');
    lane = split.lane;
    const credits = ids.map((id) => split.credits.find(({ asset }) => asset === id)?.amount ?? 0n);
    claims.push({ amounts: amounts.map(String), payment: String(payment), credits: credits.map(String) });
  }
  const parents = [400_000, 123_457, 1].map((ppm, i) => ({
    asset: ids[i] ?? new Uint8Array(32),
    relation: 'trained-on' as const,
    ppm,
  }));
  const owners = [700_000, 299_999, 1].map((ppm, i) => ({ owner: ids[i] ?? new Uint8Array(32), ppm }));
  const collects = [0, 1, 10_000].flatMap((bounty) =>
    [0n, 1n, 2n, 3n, 999n, 1_000_000n, 123_456_789_012n].map((received) => ({
      bountyPpm: bounty,
      received: String(received),
      parents: dueToParents(received, parents).map(String),
      owners: dueToOwners(received, { parents, owners, bounty }).map(String),
      bounty: String(dueToKeepers(received, { parents, owners, bounty })),
    })),
  );
  return {
    about:
      'Splitting of claims over three assets in turn (LEDGER-20); cumulative dues of an asset (LEDGER-24, LEDGER-87); assets collected along paths, whose keepers get the bounties (LEDGER-88).',
    claims,
    shares: { parentsPpm: parents.map(({ ppm }) => ppm), ownersPpm: owners.map(({ ppm }) => ppm) },
    collects,
    paths: await paths(),
  };
}

async function chain(): Promise<unknown> {
  const genesis = testGenesis({
    parameters: { transactionFee: 2n },
    faucet: { perAccount: 10n ** 9n, supply: 10n ** 12n },
  });
  const bench = await Bench.create(genesis);
  const { network } = bench;
  const { blocks, make: run } = tellBlocks(bench, 2n);
  const give = (to: Signer, amount: bigint): Action => ({
    type: 'transfer',
    to: to.publicKey,
    amount,
    memo: 'thanks',
  });
  const register = (name: string, owner: Signer, parents: readonly [Hash, number][]): Action => ({
    type: 'register-asset',
    kind: 'dataset',
    name,
    owners: [
      { owner: owner.publicKey, ppm: 600_000 },
      { owner: carol.publicKey, ppm: 400_000 },
    ],
    parents: parents.map(([asset, ppm]) => ({ asset, relation: 'trained-on', ppm })),
    commitment: { scheme: 'sha256-merkle-1mib', root: suite.sha256(utf8(name)), sizeBytes: name.length },
    licence: 'open',
    terms: undefined,
    replaces: undefined,
    bounty: 0,
  });
  await run([alice, give(bob, 5n)], [alice, give(bob, 0n)], [bob, give(carol, 10n ** 12n)]);
  await run([bob, { type: 'faucet', to: bob.publicKey, amount: 7n }]);
  const base = assetId(suite, network, bob.publicKey, bench.nonce(bob));
  await run([bob, register('base', bob, [])]);
  const model = assetId(suite, network, bob.publicKey, bench.nonce(bob));
  const channel = channelId(suite, network, alice.publicKey, bob.publicKey, bench.nonce(alice));
  const open: Action = { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n };
  await run([bob, register('model', bob, [[base, 250_000]])], [alice, open]);
  const amounts = [
    { asset: model, amount: 1_001n },
    { asset: new Uint8Array(32), amount: 9n },
  ].sort((a, b) => Buffer.compare(a.asset, b.asset));
  const claim = (ceiling: bigint): Action => ({
    type: 'claim',
    ...claimOf(network, { channel, payer: alice, payee: bob, ceiling, amounts }),
  });
  await run(
    [carol, claim(500n)],
    [carol, claim(400n)],
    [bob, claim(2_000n)],
    [carol, { type: 'top-up', channel, amount: 5n }],
  );
  await run([alice, { type: 'collect', asset: model }], [alice, { type: 'collect', asset: base }]);
  await run([alice, { type: 'request-close', channel }]);
  await run([alice, { type: 'cancel-close', channel }], [alice, { type: 'request-close', channel }]);
  await run();
  await run([bob, { type: 'close-by-payee', channel, claim: undefined }]);
  await run();
  await run();
  const newer = assetId(suite, network, bob.publicKey, bench.nonce(bob));
  const replacing = (name: string, replaces: Hash): Action => {
    const plain = register(name, bob, [[base, 250_000]]);
    return plain.type === 'register-asset' ? { ...plain, replaces, bounty: 10_000 } : plain;
  };
  await run(
    [bob, replacing('model 2', model)],
    [bob, replacing('model 3', model)],
    [carol, replacing('x', base)],
  );
  const second = channelId(suite, network, alice.publicKey, bob.publicKey, bench.nonce(alice));
  const earned = [{ asset: newer, amount: 10_001n }];
  const parties = { channel: second, payer: alice, payee: bob, ceiling: 20_000n, amounts: earned };
  await run([alice, open], [bob, { type: 'claim', ...claimOf(network, parties) }]);
  await run(
    [alice, { type: 'collect-path', assets: [newer, base] }],
    [alice, { type: 'collect-path', assets: [newer, suite.sha256()] }],
    [alice, { type: 'collect-path', assets: [] }],
  );
  await channelStory({ network, queries: bench.queries, nonce: (who) => bench.nonce(who) }, run);
  return {
    about:
      'A network from its genesis: every block with its results, changed records and state root (LEDGER-1 to 29, 100 to 114).',
    genesis: toHex(genesisSchema.encode(genesis)),
    network,
    genesisRoot: toHex((await Bench.create(genesis)).chain.head().stateRoot),
    blocks,
  };
}

const makers: Readonly<Record<string, () => unknown>> = {
  'state-tree': stateTree,
  settlement,
  chain,
  evidence: evidenceVectors,
  identities: identityVectors,
  stake: stakeVectors,
};
const made = makers[process.argv[2] ?? ''];
if (made === undefined) throw new Error('state-tree, settlement, chain, evidence, identities or stake?');
process.stdout.write(`${JSON.stringify(await made(), null, 2)}\n`);
