/** A transaction with several faults is refused for the one that its paragraph of the spec names first: the order is read from there. */
import { beforeAll, expect, test } from 'vitest';
import type { ResultName } from '../../src/ledger/result-codes.ts';
import type { Evidence } from '../../src/protocol/evidence-channel.ts';
import { LICENCE_PRESETS } from '../../src/protocol/licence.ts';
import { release } from '../../src/protocol/payment.ts';
import { signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId } from '../../src/protocol/transaction.ts';
import { datasetOf } from './asset-support.ts';
import { guardedBy, register } from './identity-support.ts';
import { chargeOf, countedFor, type LanePlace } from './lane.ts';
import { type Case, choices, holdsFor, placeOf } from './refusal-support.ts';
import { bond, delegate, header } from './stake-support.ts';
import {
  alice,
  Bench,
  bob,
  type ClaimTerms,
  carol,
  claimOf,
  person,
  signAction,
  suite,
  testGenesis,
} from './support.ts';

const MIN = 1_000n;
const BROKEN = Uint8Array.of(1);
const NOWHERE = new Uint8Array(32).fill(3);

let bench: Bench;
let place: LanePlace;

beforeAll(async () => {
  bench = await Bench.create(testGenesis({ parameters: { depositMin: MIN, bondMin: MIN } }));
  const channel = channelId(suite, bench.network, alice.publicKey, bob.publicKey, 0);
  place = { network: bench.network, channel, lane: 0, payer: alice, payee: bob, agent: bob };
  await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 10n * MIN });
  await bench.run(bob, bond(10n * MIN));
});

const holds = <D>(one: Case<D>): Promise<void> => holdsFor(bench, one);

test('LEDGER-11 LEDGER-15: open-channel', () =>
  holds({
    kind: 'open-channel',
    paragraph: 15,
    sound: { payee: bob.publicKey, deposit: MIN },
    groups: [
      [['payee-is-payer', { payee: alice.publicKey }]],
      [
        ['deposit-too-small', { deposit: 0n }],
        ['balance-insufficient', { deposit: 10n ** 17n }],
      ],
    ],
    make: (draft) => [alice, { type: 'open-channel', ...draft }],
  }));

test('LEDGER-11 LEDGER-14: register-asset', () => {
  const sound = datasetOf(alice);
  const parent = { asset: NOWHERE, relation: 'retrieves-from', ppm: 1 } as const;
  const unsound = { ...LICENCE_PRESETS.open, territories: ['de'] };
  return holds({
    kind: 'register-asset',
    paragraph: 14,
    sound,
    groups: [
      [['name-missing', { name: '' }]],
      [['owners-invalid', { owners: [] }]],
      [
        ['parents-invalid', { parents: [parent, parent] }],
        ['parent-unknown', { parents: [parent] }],
      ],
      [['terms-invalid', { terms: unsound }]],
    ],
    make: (draft) => [alice, draft],
  });
});

test('LEDGER-11 LEDGER-17: claim', () => {
  const asset = { asset: NOWHERE, amount: 10n };
  const terms = {
    channel: place.channel,
    payer: alice,
    payee: bob,
    ceiling: 10n,
    amounts: [asset, { ...asset, asset: new Uint8Array(32).fill(9) }],
  };
  const sound: ClaimTerms & { readonly broken?: boolean; readonly where?: Uint8Array } = terms;
  return holds({
    kind: 'claim',
    paragraph: 17,
    sound,
    groups: [
      [['channel-unknown', { where: NOWHERE }]],
      [['claim-malformed', { broken: true }]],
      [['claim-mismatch', { chargeLane: 4 }]],
      [['attribution-unsorted', { amounts: terms.amounts.toReversed() }]],
      [['attribution-sum', { total: 21n }]],
      [['attribution-root', { committed: [] }]],
      [['voucher-signature-invalid', { payer: carol }]],
      [['charge-signature-invalid', { payee: carol }]],
    ],
    make: ({ broken, where, ...draft }) => {
      const body = claimOf(bench.network, draft);
      const charge = broken ? { ...body.charge, payload: BROKEN } : body.charge;
      return [carol, { type: 'claim', ...body, charge, channel: where ?? body.channel }];
    },
  });
});

test('LEDGER-11 LEDGER-100: withdraw', () => {
  const sound = {
    by: alice,
    channel: place.channel,
    network: place.network,
    sequence: 0,
    depositAfter: 5n * MIN,
    signer: bob,
    broken: false,
  };
  return holds({
    kind: 'withdraw',
    paragraph: 100,
    sound,
    groups: [
      [['channel-unknown', { channel: NOWHERE }]],
      [['not-payer', { by: carol }]],
      [['release-malformed', { broken: true }]],
      [['release-mismatch', { network: 'other' }]],
      [['release-stale', { sequence: 1 }]],
      [
        ['withdrawal-too-large', { depositAfter: 11n * MIN }],
        ['deposit-too-small', { depositAfter: 1n }],
      ],
      [['release-signature-invalid', { signer: carol }]],
    ],
    make: ({ by, broken, signer, channel, ...terms }) => {
      const payload = broken ? BROKEN : release.encode({ ...terms, channel: place.channel });
      const message = signOne(suite, signer, bench.network, { type: 'release', payload });
      return [by, { type: 'withdraw', channel, release: message }];
    },
  });
});

test('LEDGER-11 LEDGER-101: request-withdraw', () =>
  holds({
    kind: 'request-withdraw',
    paragraph: 101,
    sound: { by: alice, channel: place.channel, amount: MIN },
    groups: [
      [['channel-unknown', { channel: NOWHERE }]],
      [['not-payer', { by: carol }]],
      [
        ['amount-zero', { amount: 0n }],
        ['withdrawal-too-large', { amount: 11n * MIN }],
        ['deposit-too-small', { amount: 10n * MIN }],
      ],
    ],
    make: ({ by, ...draft }) => [by, { type: 'request-withdraw', ...draft }],
  }));

test('LEDGER-11 LEDGER-107: challenge', () => {
  const sound = { channel: place.channel, by: bob, lane: 0, broken: false, amount: 5n };
  return holds({
    kind: 'challenge',
    paragraph: 107,
    sound,
    groups: [
      [['channel-unknown', { channel: NOWHERE }]],
      [['evidence-malformed', { broken: true }]],
      [['evidence-mismatch', { lane: 1 }]],
      [['evidence-unproven', { amount: 7n }]],
      [['evidence-signature-invalid', { by: carol }]],
    ],
    make: ({ channel, by, lane, broken, amount }) => {
      const first = chargeOf(place, countedFor(place, [7n]), { by });
      // The same statement twice contradicts nothing.
      const second = chargeOf({ ...place, lane }, countedFor(place, [amount]), { by });
      const evidence: Evidence = {
        type: 'two-charges',
        first,
        second: amount === 7n && lane === 0 ? first : second,
      };
      const shown: Evidence = broken ? { ...evidence, second: { ...second, payload: BROKEN } } : evidence;
      return [carol, { type: 'challenge', channel, evidence: shown }];
    },
  });
});

test('LEDGER-11 LEDGER-72: register-identity', () => {
  const next = person('the next');
  return holds({
    kind: 'register-identity',
    paragraph: 72,
    sound: { next, guardians: [bob], delay: 5 },
    groups: [
      [['next-invalid', { next: carol }]],
      [['guardians-invalid', { guardians: [bob, bob] }]],
      [['recovery-delay-invalid', { delay: 0 }]],
    ],
    make: (draft) => [carol, register(draft.next, guardedBy(draft.guardians, 1, draft.delay))],
  });
});

test('LEDGER-11 LEDGER-123: delegate', () =>
  holds({
    kind: 'delegate',
    paragraph: 123,
    sound: { to: bob, amount: MIN, role: 'provider' as 'provider' | 'host' },
    groups: [
      [['delegate-to-self', { to: carol }]],
      [['bond-unknown', { role: 'host' }]],
      [
        ['amount-zero', { amount: 0n }],
        ['bond-too-small', { amount: 1n }],
        ['balance-insufficient', { amount: 10n ** 17n }],
      ],
    ],
    make: ({ to, amount, role }) => [carol, delegate(to, amount, role)],
  }));

test('LEDGER-11 LEDGER-127: report-double-signing', () =>
  holds({
    kind: 'report-double-signing',
    paragraph: 127,
    sound: { broken: false, height: 3, signer: bob },
    groups: [
      [['headers-malformed', { broken: true }]],
      [['headers-agree', { height: 4 }]],
      [['headers-unsigned', { signer: carol }]],
      [['nothing-at-stake', {}]],
    ],
    make: ({ broken, height, signer }) => {
      const other = header(bench.network, signer, height, { timeMs: 2, proposer: bob.publicKey });
      const second = broken ? { ...other, payload: BROKEN } : other;
      return [carol, { type: 'report-double-signing', first: header(bench.network, bob, 3), second }];
    },
  }));

test('LEDGER-10: what is asked of every transaction comes first, in its order', async () => {
  const rich = await Bench.create(testGenesis({ parameters: { transactionFee: 10n } }));
  await rich.run(
    alice,
    { type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined },
    { feeMax: 10n },
  );
  const action: Action = { type: 'transfer', to: bob.publicKey, amount: 0n, memo: undefined };
  interface Draft {
    readonly broken: boolean;
    readonly version: number;
    readonly network: string;
    readonly key: Signer;
    readonly nonce: number;
    readonly feeMax: bigint;
  }
  const sound: Draft = {
    broken: false,
    version: 1,
    network: rich.network,
    key: alice,
    nonce: 1,
    feeMax: 10n,
  };
  const groups: readonly (readonly (readonly [ResultName, Partial<Draft>])[])[] = [
    [['malformed', { broken: true }]],
    [['version-unsupported', { version: 2 }]],
    [['network-mismatch', { network: 'other' }]],
    [['signature-invalid', { key: carol }]],
    [
      ['nonce-used', { nonce: 0 }],
      ['nonce-ahead', { nonce: 7 }],
    ],
    [['fee-too-low', { feeMax: 9n }]],
  ];
  for (const chosen of choices(groups)) {
    if (chosen.length === 0) continue;
    let draft = sound;
    for (const [, changes] of chosen) draft = { ...draft, ...changes };
    const { broken, key, nonce, ...changes } = draft;
    const made = signAction(rich.network, key, nonce, action, { ...changes, sender: alice.publicKey });
    const [result] = await rich.block([broken ? { ...made, payload: BROKEN } : made]);
    const [first] = chosen
      .map(([name]) => name)
      .toSorted((a, b) => placeOf({ paragraph: 10 }, a) - placeOf({ paragraph: 10 }, b));
    expect(result?.name, chosen.map(([name]) => name).join()).toBe(first);
  }
});
