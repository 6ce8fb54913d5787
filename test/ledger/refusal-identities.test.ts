/** The order of refusals of identities and licences, as their paragraphs of the spec have it. */
import { beforeAll, test } from 'vitest';
import type { Hash } from '../../src/protocol/ids.ts';
import { LICENCE_PRESETS, type LicenceTerms } from '../../src/protocol/licence.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { assetId } from '../../src/protocol/transaction.ts';
import { datasetOf } from './asset-support.ts';
import { finish, guardedBy, recover, register, rotate, runAs, waitUntil } from './identity-support.ts';
import { type Case, holdsFor } from './refusal-support.ts';
import { alice, Bench, bob, carol, person, suite, testGenesis } from './support.ts';

const NOWHERE = new Uint8Array(32).fill(3);
const SERIAL = new Uint8Array(16).fill(1);
const DELAY = 60;
/** Whose next key is theirs alone, and whose next key has sent something since. */
const [gina, hank] = [person('gina'), person('hank')];
const [erin, frank] = [person('erin'), person('frank')];
const tired = person('tired');
const lost = person('lost');
const found = person('found');
const used = person('used');

let bench: Bench;
/** For sale; not for sale and expired; for sale, dear and expired; dear. */
let assets: readonly [Hash, Hash, Hash, Hash];
let replaced: Hash;

async function registerAsset(terms: LicenceTerms, replaces?: Hash): Promise<Hash> {
  const id = assetId(suite, bench.network, alice.publicKey, bench.nonce(alice));
  await bench.run(alice, datasetOf(alice, { terms, replaces }));
  return id;
}

const spend = (who: Signer): Promise<unknown> =>
  bench.run(who, { type: 'revoke-certificate', serial: SERIAL });

beforeAll(async () => {
  bench = await Bench.create(testGenesis({ parameters: { closeDelayBlocks: DELAY } }));
  await bench.run(gina, register(hank, guardedBy([], 0, DELAY)));
  await bench.run(erin, register(frank, guardedBy([], 0, DELAY)));
  await spend(frank);
  await bench.run(tired, register(person('tired 0'), guardedBy([], 0, DELAY)));
  for (let i = 0; i < 8; i++)
    await runAs(bench, tired, person(`tired ${i}`), rotate(person(`tired ${i}`), person(`tired ${i + 1}`)));
  await bench.run(lost, register(person('lost next'), guardedBy([bob, carol], 1, DELAY)));
  await bench.run(bob, recover(bench.network, lost.publicKey, found, person('after')));
  await bench.run(carol, recover(bench.network, lost.publicKey, used, person('after')));
  await spend(used);
  const { open } = LICENCE_PRESETS;
  const dear = { price: 10n ** 17n, blocks: 0 };
  assets = [
    await registerAsset({ ...open, grant: { price: 1n, blocks: 0 } }),
    await registerAsset({ ...open, expiresAt: 1 }),
    await registerAsset({ ...open, expiresAt: 1, grant: dear }),
    await registerAsset({ ...open, grant: dear }),
  ];
  replaced = await registerAsset(open);
  await registerAsset(open, replaced);
  await spend(alice);
});

const holds = <D>(one: Case<D>): Promise<void> => holdsFor(bench, one);

test('LEDGER-11 LEDGER-73: rotate-key', () =>
  holds({
    kind: 'rotate-key',
    paragraph: 73,
    sound: {
      did: gina,
      key: hank,
      next: person('new') as Signer | undefined,
      guardians: [bob],
      delay: DELAY,
    },
    groups: [
      [
        ['key-used', { did: erin, key: frank }],
        ['rotations-too-many', { did: tired, key: person('tired 8') }],
      ],
      // Every DID here is refused for naming itself.
      [['next-invalid', { next: undefined }]],
      [['guardians-invalid', { guardians: [bob, bob] }]],
      [['recovery-delay-invalid', { delay: 0 }]],
    ],
    make: ({ did, key, next, guardians, delay }) => [
      key,
      rotate(key, next ?? did, guardedBy(guardians, 1, delay)),
      did,
    ],
  }));

test('LEDGER-11 LEDGER-74: recover-identity', () =>
  holds({
    kind: 'recover-identity',
    paragraph: 74,
    sound: { by: bob, did: lost, key: person('fresh'), next: person('after'), broken: false },
    groups: [
      [['identity-unknown', { did: person('nobody') }]],
      [['not-guardian', { by: alice }]],
      [
        ['key-used', { key: alice }],
        ['already-voted', { key: found }],
      ],
      [['consent-invalid', { broken: true }]],
    ],
    make: ({ by, did, key, next, broken }) => {
      const action = recover(bench.network, did.publicKey, key, next);
      const other = recover(bench.network, did.publicKey, person('another'), next);
      if (action.type !== 'recover-identity' || other.type !== 'recover-identity') throw new Error('a vote');
      return [by, broken ? { ...action, consent: other.consent } : action];
    },
  }));

test('LEDGER-11 LEDGER-75: cancel-recovery', () =>
  holds({
    kind: 'cancel-recovery',
    paragraph: 75,
    sound: { by: lost },
    groups: [
      [
        ['identity-unknown', { by: carol }],
        ['recovery-unknown', { by: gina }],
      ],
    ],
    make: ({ by }) => [by, { type: 'cancel-recovery' }],
  }));

test('LEDGER-11 LEDGER-76: finish-recovery', async () => {
  const sound = { did: lost, key: found };
  const finishing: Case<typeof sound> = {
    kind: 'finish-recovery',
    paragraph: 76,
    sound,
    groups: [
      [
        ['identity-unknown', { did: person('nobody') }],
        [['recovery-unknown', 'key-used'], { key: alice }],
        ['recovery-pending', { key: found }],
        [['recovery-pending', 'key-used'], { key: used }],
      ],
    ],
    make: ({ did, key }) => [bob, finish(did.publicKey, key, person('after'))],
  };
  await holds(finishing);
  await waitUntil(bench, bench.chain.head().height + DELAY + 1);
  await holds({ ...finishing, groups: [[['key-used', { key: used }]]] });
});

test('LEDGER-11 LEDGER-77: revoke-certificate', () =>
  holds({
    kind: 'revoke-certificate',
    paragraph: 77,
    sound: { by: alice },
    groups: [[['certificate-revoked', {}]]],
    make: ({ by }) => [by, { type: 'revoke-certificate', serial: SERIAL }],
  }));

test('LEDGER-11 LEDGER-82: buy-licence', () => {
  const [sound, notForSale, expired, dear] = assets;
  return holds({
    kind: 'buy-licence',
    paragraph: 82,
    sound: { asset: sound },
    groups: [
      [
        ['asset-unknown', { asset: NOWHERE }],
        [['licence-not-for-sale', 'licence-expired'], { asset: notForSale }],
        [['licence-expired', 'balance-insufficient'], { asset: expired }],
        ['balance-insufficient', { asset: dear }],
      ],
    ],
    make: ({ asset }) => [bob, { type: 'buy-licence', asset }],
  });
});

test.each([{ kind: 'approve-derivative' }, { kind: 'withdraw-approval' }] as const)(
  'LEDGER-11 LEDGER-83: $kind',
  ({ kind }) =>
    holds({
      kind,
      paragraph: 83,
      sound: { by: alice, asset: assets[0] },
      groups: [[['asset-unknown', { asset: NOWHERE }]], [['not-registrant', { by: carol }]]],
      make: ({ by, asset }) => [by, { type: kind, asset, licensee: bob.publicKey }],
    }),
);

test('LEDGER-11 LEDGER-85: register-asset as the next version of another', () => {
  const [older] = assets;
  return holds({
    kind: 'register-asset',
    paragraph: 85,
    sound: { by: alice, replaces: older },
    groups: [
      [
        ['asset-unknown', { replaces: NOWHERE }],
        ['version-replaced', { replaces: replaced }],
      ],
      [['not-registrant', { by: carol }]],
    ],
    make: ({ by, replaces }) => [by, datasetOf(alice, { replaces })],
  });
});
