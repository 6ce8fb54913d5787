/** The order of refusals of what moves money and of channels, as their paragraphs of the spec have it. */
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import type { Hash } from '../../src/protocol/ids.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, channelId } from '../../src/protocol/transaction.ts';
import { type Case, holdsFor } from './refusal-support.ts';
import { alice, Bench, bob, carol, claimOf, person, suite, testGenesis } from './support.ts';

const MIN = 1_000n;
const RICH = 10n ** 17n;
const NOWHERE = new Uint8Array(32).fill(3);
const REFERENCE = new Uint8Array(16).fill(1);

let bench: Bench;
let open: Hash;
let closing: Hash;
/** Has as many voucher keys as may count. */
let full: Hash;
/** A withdrawal is announced of these; the second one is closing besides. */
let leaving: Hash;
let both: Hash;

async function openChannel(): Promise<Hash> {
  const id = channelId(suite, bench.network, alice.publicKey, bob.publicKey, bench.nonce(alice));
  await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 10n * MIN });
  return id;
}

const voucherKey = (channel: Hash, key: Signer): Action => ({
  type: 'set-voucher-key',
  channel,
  key: key.publicKey,
});

beforeAll(async () => {
  const parameters = { depositMin: MIN, closeDelayBlocks: 1_000 };
  const faucet = { perAccount: 100n, supply: 50n };
  bench = await Bench.create(testGenesis({ parameters, faucet }));
  [open, closing, full] = [await openChannel(), await openChannel(), await openChannel()];
  [leaving, both] = [await openChannel(), await openChannel()];
  for (const channel of [leaving, both])
    await bench.run(alice, { type: 'request-withdraw', channel, amount: 1n });
  for (const channel of [closing, both]) await bench.run(alice, { type: 'request-close', channel });
  for (let i = 0; i < 4; i++) await bench.run(alice, voucherKey(full, person(`key ${i}`)));
});

const holds = <D>(one: Case<D>): Promise<void> => holdsFor(bench, one);

test('LEDGER-11 LEDGER-12: transfer', () =>
  holds({
    kind: 'transfer',
    paragraph: 12,
    sound: { amount: 1n },
    groups: [
      [
        ['amount-zero', { amount: 0n }],
        ['balance-insufficient', { amount: RICH }],
      ],
    ],
    make: ({ amount }) => [alice, { type: 'transfer', to: bob.publicKey, amount, memo: undefined }],
  }));

test('LEDGER-11 LEDGER-13: faucet', () =>
  holds({
    kind: 'faucet',
    paragraph: 13,
    sound: { amount: 1n },
    groups: [
      [
        ['amount-zero', { amount: 0n }],
        ['faucet-empty', { amount: 60n }],
        [['faucet-cap', 'faucet-empty'], { amount: 101n }],
      ],
    ],
    make: ({ amount }) => [carol, { type: 'faucet', to: carol.publicKey, amount }],
  }));

test('LEDGER-11 LEDGER-16: top-up', () =>
  holds({
    kind: 'top-up',
    paragraph: 16,
    sound: { channel: open, amount: 1n },
    groups: [
      [
        ['channel-unknown', { channel: NOWHERE }],
        ['channel-closing', { channel: closing }],
      ],
      [
        ['amount-zero', { amount: 0n }],
        ['balance-insufficient', { amount: RICH }],
      ],
    ],
    make: (draft) => [carol, { type: 'top-up', ...draft }],
  }));

test('LEDGER-11 LEDGER-21: close-by-payee', () =>
  holds({
    kind: 'close-by-payee',
    paragraph: 21,
    sound: { by: bob, channel: open, claimed: open },
    groups: [
      [['channel-unknown', { channel: NOWHERE }]],
      [['not-payee', { by: carol }]],
      [['claim-mismatch', { claimed: closing }]],
    ],
    make: ({ by, channel, claimed }) => {
      const terms = { channel: claimed, payer: alice, payee: bob, ceiling: 1n, amounts: [] };
      return [by, { type: 'close-by-payee', channel, claim: claimOf(bench.network, terms) }];
    },
  }));

test('LEDGER-11 LEDGER-22: request-close', () =>
  holds({
    kind: 'request-close',
    paragraph: 22,
    sound: { by: alice, channel: open },
    groups: [
      [
        ['channel-unknown', { channel: NOWHERE }],
        ['channel-closing', { channel: closing }],
      ],
      [['not-payer', { by: carol }]],
    ],
    make: ({ by, channel }) => [by, { type: 'request-close', channel }],
  }));

test('LEDGER-11 LEDGER-22: cancel-close', () =>
  holds({
    kind: 'cancel-close',
    paragraph: 22,
    from: '`cancel-close`',
    sound: { by: alice, channel: closing },
    groups: [
      [
        ['channel-unknown', { channel: NOWHERE }],
        ['channel-not-closing', { channel: open }],
      ],
      [['not-payer', { by: carol }]],
    ],
    make: ({ by, channel }) => [by, { type: 'cancel-close', channel }],
  }));

test('LEDGER-11 LEDGER-102: cancel-withdraw', () =>
  holds({
    kind: 'cancel-withdraw',
    paragraph: 102,
    sound: { by: alice, channel: open },
    groups: [
      [
        ['channel-unknown', { channel: NOWHERE }],
        ['withdrawal-absent', { channel: open }],
      ],
      [['not-payer', { by: carol }]],
    ],
    make: ({ by, channel }) => [by, { type: 'cancel-withdraw', channel }],
  }));

test('LEDGER-11 LEDGER-101: request-withdraw', () =>
  holds({
    kind: 'request-withdraw',
    paragraph: 101,
    sound: { by: alice, channel: open, amount: 1n },
    groups: [
      [
        ['channel-unknown', { channel: NOWHERE }],
        ['channel-closing', { channel: closing }],
        ['withdrawal-pending', { channel: leaving }],
        [['channel-closing', 'withdrawal-pending'], { channel: both }],
      ],
      [['not-payer', { by: carol }]],
      [
        ['amount-zero', { amount: 0n }],
        ['withdrawal-too-large', { amount: 11n * MIN }],
        ['deposit-too-small', { amount: 10n * MIN }],
      ],
    ],
    make: ({ by, ...draft }) => [by, { type: 'request-withdraw', ...draft }],
  }));

test('LEDGER-11 LEDGER-106: set-voucher-key', () =>
  holds({
    kind: 'set-voucher-key',
    paragraph: 106,
    sound: { by: alice, channel: open, key: person('another key') },
    groups: [
      [
        ['channel-unknown', { channel: NOWHERE }],
        ['voucher-keys-exhausted', { channel: full }],
      ],
      [['not-payer', { by: carol }]],
      [['voucher-key-unchanged', { key: alice }]],
    ],
    make: ({ by, channel, key }) => [by, voucherKey(channel, key)],
  }));

test('LEDGER-11 LEDGER-114: pay', () =>
  holds({
    kind: 'pay',
    paragraph: 114,
    sound: { asset: undefined as Hash | undefined, amount: 1n },
    groups: [
      [['asset-unknown', { asset: NOWHERE }]],
      [
        ['amount-zero', { amount: 0n }],
        ['balance-insufficient', { amount: RICH }],
      ],
    ],
    make: (draft) => [alice, { type: 'pay', payee: bob.publicKey, reference: REFERENCE, ...draft }],
  }));

test('LEDGER-11 LEDGER-112: claim-batch', async () => {
  const terms = { channel: open, payer: alice, payee: bob, ceiling: 1n, amounts: [] };
  const wrong = claimOf(bench.network, { ...terms, chargeLane: 4 });
  const unknown = claimOf(bench.network, { ...terms, channel: NOWHERE });
  const nameOf = async (claims: readonly (typeof wrong)[]): Promise<string> =>
    (await bench.run(carol, { type: 'claim-batch', claims })).name;
  expect(await nameOf([])).toBe('batch-empty');
  expect(await nameOf([wrong, unknown])).toBe('claim-mismatch');
  expect(await nameOf([unknown, wrong])).toBe('channel-unknown');
  expect(await nameOf([unknown, claimOf(bench.network, terms)])).toBe('batch-partial');
});

test('LEDGER-11 LEDGER-24 LEDGER-88: collect, collect-path', async () => {
  await holds({
    kind: 'collect',
    paragraph: 24,
    sound: { asset: NOWHERE },
    groups: [[['asset-unknown', {}]]],
    make: (draft) => [carol, { type: 'collect', ...draft }],
  });
  await holds({
    kind: 'collect-path',
    paragraph: 88,
    sound: { assets: [NOWHERE] },
    groups: [[['asset-unknown', {}]]],
    make: (draft) => [carol, { type: 'collect-path', ...draft }],
  });
});

test('LEDGER-11: every kind of transaction has its order tried', () => {
  const records = readFileSync(new URL('../../spec/records.md', import.meta.url), 'utf8');
  const kinds = Array.from(records.matchAll(/^\| `([a-z-]+)` \| \d+ [a-z-]+ \|/gm), ([, kind = '']) => kind);
  const actions = kinds.slice(kinds.indexOf('transfer'), kinds.indexOf('approve-upgrade') + 1);
  expect(actions.length).toBeGreaterThan(30);
  const tried = ['refusal-order', 'refusal-channels', 'refusal-identities', 'refusal-stakes', 'upgrade']
    .map((part) => readFileSync(new URL(`./${part}.test.ts`, import.meta.url), 'utf8'))
    .join('');
  const named = new Set(
    Array.from(tried.matchAll(/kind: '([a-z-]+)'|: (claim-batch)'/g), ([, a, b]) => a ?? b),
  );
  expect(actions.filter((kind) => !named.has(kind))).toEqual([]);
});
