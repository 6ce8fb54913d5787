/** One story that is written down: it visits the refusals that chance rarely finds. */
import type { Hash } from '../../src/protocol/ids.ts';
import { LICENCE_PRESETS, type LicenceTerms } from '../../src/protocol/licence.ts';
import type { Signed } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, assetId, channelId, type RegisterAssetAction } from '../../src/protocol/transaction.ts';
import { datasetOf } from './asset-support.ts';
import { finish, guardedBy, recover, register, rotate } from './identity-support.ts';
import { bond, header, RULES, unbond } from './stake-support.ts';
import { type ClaimTerms, claimOf, person, suite } from './support.ts';
import { PEOPLE, type World } from './whole-world.ts';

const [hana, hugo, mal, mara, milo, moss] = PEOPLE as readonly [
  Signer,
  Signer,
  Signer,
  Signer,
  Signer,
  Signer,
];

/** Who does what, and with which key if it is not their own. */
type Move = readonly [by: Signer, action: Action, key?: Signer];
/** The transactions of a block. */
export type Act = (world: World) => readonly Signed[];

const act =
  (moves: (world: World) => readonly Move[]): Act =>
  (world) =>
    moves(world).map(([by, action, key]) => world.sign(by, action, key));

const OPEN = LICENCE_PRESETS.open;
const STRICT: readonly Partial<LicenceTerms>[] = [
  { derivatives: 'no' },
  { derivatives: 'by-approval' },
  { derivatives: 'reciprocal' },
  { commercial: false },
  { revenueShare: 500_000 },
  { attribution: true },
  { territories: ['DE'] },
  { expiresAt: 1_000_000 },
  { ceiling: 5n },
  { expiresAt: 0 },
  { grant: { price: 1n, blocks: 0 } },
];

const made = (changes: Partial<RegisterAssetAction>): Action =>
  datasetOf(mal, { name: 'of the tour', ...changes });

/** Mal's assets are what mal's first transactions register. */
const strict = ({ bench }: World, number: number): Hash =>
  assetId(suite, bench.network, mal.publicKey, number);
const below = (asset: Hash) => ({ asset, relation: 'trained-on', ppm: 0 }) as const;
const channelOf = ({ bench }: World): Hash =>
  channelId(suite, bench.network, mal.publicKey, mara.publicKey, STRICT.length);
const A = new Uint8Array(32).fill(1);
const B = new Uint8Array(32).fill(2);

function claim(world: World, changes: Partial<ClaimTerms>): ReturnType<typeof claimOf> {
  const amounts = [{ asset: A, amount: 100n }];
  const terms = { channel: channelOf(world), payer: mal, payee: mara, ceiling: 1_000n, amounts };
  return claimOf(world.bench.network, { ...terms, ...changes });
}

const double = ({ bench }: World): Action => ({
  type: 'report-double-signing',
  first: header(bench.network, milo, 3),
  second: header(bench.network, milo, 3, { timeMs: 2 }),
});

const licences: readonly Act[] = [
  act(() => STRICT.map((terms) => [mal, made({ terms: { ...OPEN, ...terms } })])),
  act((world) => STRICT.map((_, i) => [mara, made({ parents: [below(strict(world, i))] })])),
];

const channels: readonly Act[] = [
  act(() => [
    [mara, bond(5_000n)],
    [mal, { type: 'open-channel', payee: mara.publicKey, deposit: 1_000n }],
  ]),
  act((world) => {
    const sound = claim(world, {});
    const twice = [A, A].map((asset) => ({ asset, amount: 50n }));
    const bodies = [
      { ...sound, voucher: { ...sound.voucher, payload: A } },
      claim(world, { amounts: twice }),
      claim(world, { total: 7n }),
      claim(world, { committed: [] }),
      claim(world, { payee: moss }),
      sound,
      claim(world, { amounts: [{ asset: B, amount: 200n }] }),
    ];
    return bodies.map((body) => [moss, { type: 'claim', ...body }]);
  }),
  act((world) => {
    const amounts = [{ asset: A, amount: 1n }];
    const claims = Array.from({ length: 63 }, (_, i) => claim(world, { amounts, lane: 1 + i }));
    return [
      [moss, { type: 'claim-batch', claims }],
      [moss, { type: 'claim', ...claim(world, { amounts, lane: 99 }) }],
    ];
  }),
  act((world) => {
    const [first, second] = [A, B].map((asset) => claim(world, { amounts: [{ asset, amount: 9n }] }).charge);
    if (first === undefined || second === undefined) return [];
    const evidence = { type: 'two-charges', first, second } as const;
    const accuse: Action = { type: 'challenge', channel: channelOf(world), evidence };
    return [
      [moss, accuse],
      [moss, accuse],
    ];
  }),
  act((world) => {
    const channel = channelOf(world);
    const ask: Action = { type: 'request-withdraw', channel, amount: 5n };
    const keys = ['a', 'b', 'c', 'd', 'e'].map((name) => person(`voucher ${name}`).publicKey);
    return [
      [mal, ask],
      [mal, ask],
      ...keys.map((key): Move => [mal, { type: 'set-voucher-key', channel, key }]),
    ];
  }),
];

const money: readonly Act[] = [
  act((world) => [
    [moss, made({ terms: { ...OPEN, grant: { price: 0n, blocks: 0 } } })],
    [mara, bond(1n, 'provider', 500_000)],
    [moss, made({ owners: [{ owner: moss.publicKey, ppm: 3 }] })],
    [moss, made({ parents: [0, 0].map((i) => below(strict(world, i))) })],
    [mal, made({ replaces: strict(world, 0) })],
    [mal, made({ replaces: strict(world, 0) })],
    [moss, { type: 'transfer', to: mal.publicKey, amount: 10n ** 15n, memo: undefined }],
    ...[hana, hugo, mal, mara].map(
      ({ publicKey: to }): Move => [moss, { type: 'faucet', to, amount: 3_000n }],
    ),
    [moss, { type: 'faucet', to: milo.publicKey, amount: 1n }],
  ]),
];

const rotations = Array.from({ length: 10 }, (_, i) => person(`milo's key ${i}`));

const keys: readonly Act[] = [
  act(({ bench }) => {
    const vote = recover(bench.network, mara.publicKey, person('fresh'), person('later'));
    return [
      [moss, register(mal)],
      [moss, rotate(mal, person('later')), mal],
      [mara, register(person('next of mara'), guardedBy([mal], 1))],
      [mal, vote.type === 'recover-identity' ? { ...vote, consent: new Uint8Array(64) } : vote],
      [mal, vote],
      [mal, vote],
      [moss, finish(mara.publicKey, person('fresh'), person('later'))],
      // The first key of the row is only named.
      [milo, register(rotations[0] ?? milo)],
      ...rotations.slice(0, -1).map((key, i): Move => [milo, rotate(key, rotations[i + 1] ?? milo), key]),
    ];
  }),
];

const stakes: readonly Act[] = [
  act(() => [[mal, bond(20_000n)]]),
  ...Array.from({ length: 9 }, () => act(() => [[mal, unbond(1_000n)]])),
  ...Array.from({ length: RULES.epochBlocks }, () => act(() => [])),
  act(() => {
    const collect: Action = { type: 'collect-reward', epoch: 0, did: mara.publicKey };
    return [
      [mal, collect],
      [mal, collect],
    ];
  }),
];

const offences: readonly Act[] = [
  act(() => [[milo, bond(5_000n, 'validator')]]),
  act((world) => [
    [mal, double(world)],
    [mal, double(world)],
  ]),
];

// Under neither engine hana has a vote.
const votes: readonly Act[] = [act(() => [[hana, { type: 'approve-upgrade', version: 2, height: 1_000 }]])];

/** Block by block; mal's first transactions have to be those of `licences`. */
export const TOUR: readonly Act[] = [
  ...licences,
  ...channels,
  ...money,
  ...offences,
  ...keys,
  ...stakes,
  ...votes,
];
