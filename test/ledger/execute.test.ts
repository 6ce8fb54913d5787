import { beforeEach, describe, expect, test } from 'vitest';
import { AGENDA_STEPS_MAX, LANES_MAX } from '../../src/ledger/limits.ts';
import type { Hash } from '../../src/protocol/ids.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { type Action, assetId, channelId, type ParentShare } from '../../src/protocol/transaction.ts';
import {
  alice,
  Bench,
  bob,
  carol,
  claimOf,
  START,
  sequencer,
  signAction,
  suite,
  testGenesis,
} from './support.ts';

const SAHARA = 1_000_000_000n;
const none = new Uint8Array(32);

let ledger: Bench;
beforeEach(async () => {
  ledger = await Bench.create();
});

const transfer = (to: Signer, amount: bigint): Action => ({
  type: 'transfer',
  to: to.publicKey,
  amount,
  memo: undefined,
});

function asset(owners: readonly [Signer, number][], parents: readonly ParentShare[] = []): Action {
  return {
    type: 'register-asset',
    kind: 'dataset',
    name: 'a dataset',
    owners: owners.map(([{ publicKey }, ppm]) => ({ owner: publicKey, ppm })),
    parents,
    commitment: { scheme: 'sha256-merkle-1mib', root: none, sizeBytes: 1 },
    licence: 'open',
    terms: undefined,
    replaces: undefined,
    bounty: 0,
  };
}

async function register(owner: Signer, action: Action): Promise<Hash> {
  const id = assetId(suite, ledger.network, owner.publicKey, ledger.nonce(owner));
  expect(await ledger.run(owner, action)).toEqual({ name: 'ok', moved: 0n });
  return id;
}

async function openChannel(payer: Signer, payee: Signer, deposit = SAHARA): Promise<Hash> {
  const { publicKey } = payer;
  const id = channelId(suite, ledger.network, publicKey, payee.publicKey, ledger.nonce(payer));
  const result = await ledger.run(payer, { type: 'open-channel', payee: payee.publicKey, deposit });
  expect(result.name).toBe('ok');
  return id;
}

const parent = (id: Hash, ppm: number): ParentShare => ({ asset: id, relation: 'trained-on', ppm });

describe('what every transaction passes first', () => {
  test('LEDGER-10: refusals come in documented order and change nothing at all', async () => {
    const paid = await Bench.create(testGenesis({ parameters: { transactionFee: 5n } }));
    const wrong = { ...signAction(paid.network, alice, 7, transfer(bob, 0n)), signature: new Uint8Array(64) };
    const before = paid.chain.head().stateRoot;
    const run = async (changes: object, action = transfer(bob, 0n)) =>
      (await paid.run(alice, action, changes)).name;
    expect(await run({ version: 2, network: 'other', nonce: 7 })).toBe('version-unsupported');
    expect(await run({ network: 'other', nonce: 7 })).toBe('network-mismatch');
    expect((await paid.block([wrong]))[0]?.name).toBe('signature-invalid');
    expect((await paid.block([{ ...wrong, payload: none }]))[0]?.name).toBe('malformed');
    expect(await run({ nonce: 7 })).toBe('nonce-ahead');
    expect(await run({ feeMax: 4n })).toBe('fee-too-low');
    expect((await paid.run(sequencer, transfer(bob, 1n), { feeMax: 5n })).name).toBe('fee-unpaid');
    expect(paid.chain.head().stateRoot).toEqual(before);
    expect(paid.nonce(alice)).toBe(0);
  });

  test('LEDGER-11: a refusal after the fee takes fee and nonce and nothing else', async () => {
    const paid = await Bench.create(testGenesis({ parameters: { transactionFee: 5n } }));
    expect((await paid.run(alice, transfer(bob, START), { feeMax: 9n })).name).toBe('balance-insufficient');
    expect(paid.nonce(alice)).toBe(1);
    expect(paid.balance(alice)).toBe(START - 5n);
    expect(paid.balance(bob)).toBe(START);
    // Of 5 grains 2 go into the reward pool.
    expect(paid.balance(sequencer)).toBe(3n);
    expect((await paid.run(alice, transfer(bob, 1n), { feeMax: 9n, nonce: 0 })).name).toBe('nonce-used');
  });

  test('a block of many senders and one sender many times', async () => {
    const sign = (signer: Signer, nonce: number, action: Action) =>
      signAction(ledger.network, signer, nonce, action);
    const results = await ledger.block([
      sign(alice, 0, transfer(bob, 1n)),
      sign(alice, 1, transfer(alice, 3n)),
      sign(bob, 0, transfer(carol, START + 1n)),
      sign(alice, 1, transfer(bob, 4n)),
      sign(carol, 0, transfer(alice, 2n * START + 1n)),
    ]);
    expect(results.map(({ name }) => name)).toEqual(['ok', 'ok', 'ok', 'nonce-used', 'ok']);
    expect([alice, bob, carol].map((who) => ledger.balance(who))).toEqual([3n * START, 0n, 0n]);
  });
});

test('LEDGER-12: transfer', async () => {
  expect((await ledger.run(alice, transfer(bob, 0n))).name).toBe('amount-zero');
  expect((await ledger.run(alice, transfer(bob, START + 1n))).name).toBe('balance-insufficient');
  expect((await ledger.run(alice, transfer(alice, START))).name).toBe('ok');
  expect((await ledger.run(alice, transfer(bob, START))).name).toBe('ok');
  expect(ledger.balance(bob)).toBe(2n * START);
});

test('LEDGER-13: the faucet gives each account its part and no more, and only where genesis has one', async () => {
  const small = await Bench.create(testGenesis({ faucet: { perAccount: 10n, supply: 25n } }));
  const draw = async (to: Signer, amount: bigint) =>
    (await small.run(alice, { type: 'faucet', to: to.publicKey, amount })).name;
  expect(await draw(bob, 0n)).toBe('amount-zero');
  expect(await draw(bob, 11n)).toBe('faucet-cap');
  expect(await draw(bob, 10n)).toBe('ok');
  expect(await draw(bob, 1n)).toBe('faucet-cap');
  expect(await draw(alice, 10n)).toBe('ok');
  expect(await draw(carol, 6n)).toBe('faucet-empty');
  expect(await draw(carol, 5n)).toBe('ok');
  expect(small.queries.supply()).toEqual({ total: 3n * START + 25n, faucet: 0n });
  const without = await Bench.create(testGenesis({ faucet: undefined }));
  const asked = await without.run(alice, { type: 'faucet', to: alice.publicKey, amount: 0n });
  expect(asked.name).toBe('faucet-absent');
});

describe('LEDGER-14: register-asset', () => {
  test('refuses in documented order', async () => {
    const known = await register(alice, asset([[alice, 1_000_000]]));
    const unknown = { ...parent(none, 1) };
    const run = async (changes: object, base = asset([[alice, 1_000_000]])) =>
      (await ledger.run(alice, { ...base, ...changes } as Action)).name;
    expect(await run({ name: '', owners: [], parents: [unknown, unknown] })).toBe('name-missing');
    expect(await run({ owners: [], parents: [unknown, unknown] })).toBe('owners-invalid');
    expect(await run({}, asset([[alice, 999_999]]))).toBe('owners-invalid');
    expect(
      await run(
        {},
        asset([
          [alice, 500_000],
          [alice, 500_000],
        ]),
      ),
    ).toBe('owners-invalid');
    expect(
      await run(
        {},
        asset([
          [alice, 1_000_000],
          [bob, 0],
        ]),
      ),
    ).toBe('owners-invalid');
    expect(await run({ parents: [unknown, unknown] })).toBe('parents-invalid');
    expect(await run({ parents: [unknown, parent(known, 1_000_000)] })).toBe('parents-invalid');
    expect(await run({ parents: [unknown] })).toBe('parent-unknown');
    expect(await run({ parents: [parent(known, 1_000_000)] })).toBe('ok');
  });

  test('lineage ends at depth 64', async () => {
    let id = await register(alice, asset([[alice, 1_000_000]]));
    for (let depth = 1; depth <= 64; depth++) {
      id = await register(alice, asset([[alice, 1_000_000]], [parent(id, 1)]));
      expect(ledger.queries.asset(id)?.depth).toBe(depth);
    }
    const deeper = await ledger.run(alice, asset([[alice, 1_000_000]], [parent(id, 1)]));
    expect(deeper.name).toBe('lineage-too-deep');
    expect(ledger.queries.assetsOf(alice.publicKey)).toHaveLength(65);
  });
});

describe('channels', () => {
  test('LEDGER-15: open-channel', async () => {
    const open = async (payee: Signer, deposit: bigint) =>
      (await ledger.run(alice, { type: 'open-channel', payee: payee.publicKey, deposit })).name;
    expect(await open(alice, 0n)).toBe('payee-is-payer');
    expect(await open(bob, 999_999n)).toBe('deposit-too-small');
    expect(await open(bob, START + 1n)).toBe('balance-insufficient');
    expect(await open(bob, START)).toBe('ok');
    const [channel] = ledger.queries.channelsOf(bob.publicKey);
    expect(channel).toMatchObject({ deposit: START, claimed: 0n, state: 'open', lanes: [] });
    expect(ledger.queries.channelsOf(alice.publicKey)).toEqual([channel]);
  });

  test('LEDGER-16: top-up by anyone, while open', async () => {
    const channel = await openChannel(alice, bob);
    const topUp = async (amount: bigint, id = channel) =>
      (await ledger.run(carol, { type: 'top-up', channel: id, amount })).name;
    expect(await topUp(0n, none)).toBe('channel-unknown');
    expect(await topUp(0n)).toBe('amount-zero');
    expect(await topUp(START + 1n)).toBe('balance-insufficient');
    expect(await topUp(7n)).toBe('ok');
    expect(ledger.queries.channel(channel)?.deposit).toBe(SAHARA + 7n);
    await ledger.run(alice, { type: 'request-close', channel });
    expect(await topUp(0n)).toBe('channel-closing');
  });

  test('LEDGER-17: claim refuses in documented order', async () => {
    const channel = await openChannel(alice, bob);
    const amounts = [{ asset: none, amount: 10n }];
    const base = { channel, payer: alice, payee: bob, ceiling: 100n, amounts };
    const run = async (terms: object, change: object = {}) => {
      const body = { ...claimOf(ledger.network, { ...base, ...terms }), ...change };
      return (await ledger.run(carol, { type: 'claim', ...body })).name;
    };
    const two = [
      { asset: Uint8Array.from(none).fill(1), amount: 5n },
      { asset: none, amount: 5n },
    ];
    const garbage = claimOf(ledger.network, base).voucher;
    expect(await run({ channel: Uint8Array.from(none).fill(9) })).toBe('channel-unknown');
    const unreadable = { voucher: { ...garbage, payload: none } };
    expect(await run({ chargeLane: 3, total: 11n }, unreadable)).toBe('claim-malformed');
    expect(await run({ chargeLane: 3, amounts: two })).toBe('claim-mismatch');
    expect(await run({ chargeNetwork: 'other' })).toBe('claim-mismatch');
    expect(await run({ amounts: two, total: 11n })).toBe('attribution-unsorted');
    expect(await run({ total: 11n, committed: [] })).toBe('attribution-sum');
    expect(await run({ committed: [], payer: carol })).toBe('attribution-root');
    expect(await run({ payer: carol, payee: carol })).toBe('voucher-signature-invalid');
    expect(await run({ payee: carol })).toBe('charge-signature-invalid');
    expect(await run({}, { voucher: { ...garbage, signature: none.subarray(0, 0) } })).toBe(
      'voucher-signature-invalid',
    );
    expect(await run({})).toBe('ok');
    expect(await run({ amounts: [{ asset: Uint8Array.from(none).fill(1), amount: 20n }] })).toBe(
      'amounts-fall',
    );
  });

  test('LEDGER-18: a claim pays the charge, not the ceiling, and only once', async () => {
    const channel = await openChannel(alice, bob);
    const claim = async (ceiling: bigint, amount: bigint, lane = 0) => {
      const terms = { channel, payer: alice, payee: bob, ceiling, lane, amounts: [{ asset: none, amount }] };
      return ledger.run(carol, { type: 'claim', ...claimOf(ledger.network, terms) });
    };
    expect(await claim(500n, 300n)).toEqual({ name: 'ok', moved: 300n });
    expect(await claim(500n, 300n)).toEqual({ name: 'ok', moved: 0n });
    expect(await claim(400n, 200n)).toEqual({ name: 'ok', moved: 0n });
    expect(await claim(310n, 350n)).toEqual({ name: 'ok', moved: 10n });
    expect(await claim(350n, 350n)).toEqual({ name: 'ok', moved: 40n });
    // Lanes share the deposit.
    expect(await claim(SAHARA, SAHARA, 1)).toEqual({ name: 'ok', moved: SAHARA - 350n });
    expect(await claim(400n, 400n)).toEqual({ name: 'ok', moved: 0n });
    expect(ledger.balance(bob)).toBe(START + SAHARA);
    expect(ledger.queries.channel(channel)).toMatchObject({ claimed: SAHARA, deposit: SAHARA });
  });

  test('LEDGER-19: lanes are bounded', async () => {
    const channel = await openChannel(alice, bob);
    const claim = (lane: number) => {
      const terms = {
        channel,
        payer: alice,
        payee: bob,
        ceiling: 1n,
        lane,
        amounts: [{ asset: none, amount: 1n }],
      };
      return { type: 'claim', ...claimOf(ledger.network, terms) } as const;
    };
    const messages = Array.from({ length: LANES_MAX + 1 }, (_, lane) =>
      signAction(ledger.network, carol, lane, claim(lane)),
    );
    const names = (await ledger.block(messages)).map(({ name }) => name);
    expect(names.slice(0, LANES_MAX).every((name) => name === 'ok')).toBe(true);
    expect(names.at(-1)).toBe('lanes-exhausted');
    expect((await ledger.run(bob, { type: 'close-by-payee', channel, claim: undefined })).name).toBe('ok');
    expect(ledger.balance(bob)).toBe(START + BigInt(LANES_MAX));
    expect(await ledger.supply()).toBe(ledger.queries.supply().total);
  });

  test('LEDGER-20: a payment is shared out over known assets, the rest goes to the payee', async () => {
    const known = await register(bob, asset([[bob, 1_000_000]]));
    const channel = await openChannel(alice, bob);
    const amounts = [
      { asset: none, amount: 1n },
      { asset: known, amount: 2n },
    ].sort((a, b) => Buffer.compare(a.asset, b.asset));
    for (const ceiling of [1n, 2n, 3n]) {
      const terms = { channel, payer: alice, payee: bob, ceiling, amounts };
      const claimed = await ledger.run(bob, { type: 'claim', ...claimOf(ledger.network, terms) });
      expect(claimed).toEqual({ name: 'ok', moved: 1n });
      const received = ledger.queries.asset(known)?.received ?? 0n;
      expect(received + ledger.balance(bob) - START).toBe(ceiling);
    }
    expect(ledger.queries.asset(known)?.received).toBe(2n);
    expect(ledger.balance(bob)).toBe(START + 1n);
  });

  test('LEDGER-21: close-by-payee claims, refunds and ends', async () => {
    const channel = await openChannel(alice, bob);
    const other = await openChannel(alice, bob);
    const terms = { channel, payer: alice, payee: bob, ceiling: 9n, amounts: [{ asset: none, amount: 7n }] };
    const claim = claimOf(ledger.network, terms);
    const close = async (who: Signer, id: Hash, body: typeof claim | undefined = claim) =>
      ledger.run(who, { type: 'close-by-payee', channel: id, claim: body });
    expect((await close(bob, none)).name).toBe('channel-unknown');
    expect((await close(alice, channel)).name).toBe('not-payee');
    expect((await close(bob, other)).name).toBe('claim-mismatch');
    const forged = { ...claim, charge: claim.voucher };
    expect((await close(bob, channel, forged)).name).toBe('claim-malformed');
    expect(await close(bob, channel)).toEqual({ name: 'ok', moved: 7n });
    expect(ledger.balance(bob)).toBe(START + 7n);
    expect(ledger.balance(alice)).toBe(START - SAHARA - 7n);
    expect(ledger.queries.channel(channel)).toBeUndefined();
    expect(ledger.queries.channelsOf(bob.publicKey).map(({ id }) => id)).toEqual([other]);
    expect((await close(bob, channel)).name).toBe('channel-unknown');
  });

  test('LEDGER-22: a payer leaves after the delay, and until then the payee can claim', async () => {
    const channel = await openChannel(alice, bob);
    const request = (who: Signer, id = channel) => ledger.run(who, { type: 'request-close', channel: id });
    const cancel = (who: Signer, id = channel) => ledger.run(who, { type: 'cancel-close', channel: id });
    expect((await request(alice, none)).name).toBe('channel-unknown');
    expect((await request(bob)).name).toBe('not-payer');
    expect((await cancel(alice, none)).name).toBe('channel-unknown');
    expect((await cancel(bob)).name).toBe('not-payer');
    expect((await cancel(alice)).name).toBe('channel-not-closing');
    expect((await request(alice)).name).toBe('ok');
    expect((await request(alice)).name).toBe('channel-closing');
    expect((await cancel(alice)).name).toBe('ok');
    expect((await request(alice)).name).toBe('ok');
    const closeAt = ledger.chain.head().height + 3;
    expect(ledger.queries.channel(channel)).toMatchObject({ state: 'closing', closeAt });
    await ledger.block([]);
    await ledger.block([]);
    expect(ledger.queries.channel(channel)).toBeDefined();
    const terms = { channel, payer: alice, payee: bob, ceiling: 9n, amounts: [{ asset: none, amount: 9n }] };
    // In the very block at whose end the channel ends.
    const last = await ledger.run(bob, { type: 'claim', ...claimOf(ledger.network, terms) });
    expect(last).toEqual({ name: 'ok', moved: 9n });
    expect(ledger.chain.head().height).toBe(closeAt);
    expect(ledger.queries.channel(channel)).toBeUndefined();
    expect(ledger.balance(alice)).toBe(START - 9n);
  });

  test('LEDGER-23: endings are bounded per block, and what is left is carried over', async () => {
    const count = AGENDA_STEPS_MAX + 100;
    const poor = { deposit: 1_000_000n, payee: bob.publicKey };
    const open = Array.from({ length: count }, (_, nonce) =>
      signAction(ledger.network, alice, nonce, { type: 'open-channel', ...poor }),
    );
    await ledger.block(open);
    const ids = open.map((_, nonce) =>
      channelId(suite, ledger.network, alice.publicKey, bob.publicKey, nonce),
    );
    await ledger.block(
      ids.map((channel, i) =>
        signAction(ledger.network, alice, count + i, { type: 'request-close', channel }),
      ),
    );
    const root = ledger.chain.head().stateRoot;
    await ledger.block([]);
    await ledger.block([]);
    // Blocks without work leave the state as it was.
    expect(ledger.chain.head().stateRoot).toEqual(root);
    await ledger.block([]);
    const left = ids.filter((id) => ledger.queries.channel(id)).length;
    expect(left).toBe(100);
    await ledger.block([]);
    expect(ids.some((id) => ledger.queries.channel(id))).toBe(false);
    expect(ledger.balance(alice)).toBe(START);
    const quiet = ledger.chain.head().stateRoot;
    await ledger.block([]);
    expect(ledger.chain.head().stateRoot).toEqual(quiet);
  });
});

test('LEDGER-24: collect forwards to parents and pays owners, and again moves nothing', async () => {
  const root = await register(carol, asset([[carol, 1_000_000]]));
  const leaf = await register(
    bob,
    asset(
      [
        [bob, 750_000],
        [alice, 250_000],
      ],
      [parent(root, 400_000)],
    ),
  );
  const channel = await openChannel(alice, bob);
  const terms = {
    channel,
    payer: alice,
    payee: bob,
    ceiling: 1_000n,
    amounts: [{ asset: leaf, amount: 1_000n }],
  };
  await ledger.run(bob, { type: 'claim', ...claimOf(ledger.network, terms) });
  const collect = (id: Hash) => ledger.run(carol, { type: 'collect', asset: id });
  expect((await collect(none)).name).toBe('asset-unknown');
  expect(await collect(leaf)).toEqual({ name: 'ok', moved: 1_000n });
  expect(await collect(leaf)).toEqual({ name: 'ok', moved: 0n });
  expect(await collect(root)).toEqual({ name: 'ok', moved: 400n });
  expect(ledger.balance(bob)).toBe(START + 450n);
  expect(ledger.balance(alice)).toBe(START - SAHARA + 150n);
  expect(ledger.balance(carol)).toBe(START + 400n);
  expect(ledger.queries.asset(leaf)).toMatchObject({
    received: 1_000n,
    forwarded: [400n],
    paid: [450n, 150n],
  });
});
