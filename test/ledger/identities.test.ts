import { beforeEach, describe, expect, test } from 'vitest';
import { keyFor, signersOf } from '../../src/ledger/identities.ts';
import { RECOVERY_DELAY_BLOCKS_MAX } from '../../src/ledger/limits.ts';
import { State } from '../../src/ledger/state.ts';
import type { RecoveryPolicy } from '../../src/protocol/identity.ts';
import type { Action } from '../../src/protocol/transaction.ts';
import {
  ALONE,
  CLOSE_DELAY,
  finish,
  guardedBy,
  nextOf,
  recover,
  register,
  rotate,
  runAs,
  signFor,
  waitUntil,
} from './identity-support.ts';
import { alice, Bench, bob, carol, person, suite } from './support.ts';

const [k1, k2, k3, k4] = ['k1', 'k2', 'k3', 'k4'].map(person) as [
  typeof alice,
  typeof alice,
  typeof alice,
  typeof alice,
];
const pay: Action = { type: 'transfer', to: carol.publicKey, amount: 1n, memo: undefined };
let bench: Bench;
const height = (): number => bench.chain.head().height;
const by = (key: typeof alice, action: Action): Promise<string> => runAs(bench, alice, key, action);
const known = () => bench.queries.identity(alice.publicKey);

beforeEach(async () => {
  bench = await Bench.create();
});

describe('register-identity', () => {
  test('LEDGER-72: a DID gets a record, once; without one it is its own key', async () => {
    expect(known()).toBeUndefined();
    expect(keyFor(new State(bench.chain.readState), alice.publicKey)).toEqual(alice.publicKey);
    expect(await by(alice, register(k1, guardedBy([bob, carol], 2)))).toBe('ok');
    expect(known()).toEqual({
      did: alice.publicKey,
      key: alice.publicKey,
      next: nextOf(k1),
      retired: [],
      guardians: [bob.publicKey, carol.publicKey],
      threshold: 2,
      delayBlocks: 4,
      recoveries: [],
      recovery: undefined,
    });
    expect(await by(alice, register(k2))).toBe('identity-known');
    expect(bench.last && Array.from(bench.last.state.identities.changed())).toEqual([]);
  });

  test('LEDGER-72: the key of another DID cannot be registered, present or former', async () => {
    await by(alice, register(k1));
    await by(k1, rotate(k1, k2));
    expect(await runAs(bench, k1, k1, register(k3))).toBe('key-used');
    await by(k2, rotate(k2, k3));
    expect(await runAs(bench, k1, k1, register(k3))).toBe('key-used');
  });

  test('LEDGER-72: guardians, threshold and delay are bounded, and faults come in order', async () => {
    const seventeen = Array.from({ length: 17 }, (_, i) => person(`guardian ${i}`));
    const cases: readonly (readonly [RecoveryPolicy, string])[] = [
      [guardedBy([bob, bob], 1), 'guardians-invalid'],
      [guardedBy([alice], 1), 'guardians-invalid'],
      [guardedBy([bob], 0), 'guardians-invalid'],
      [guardedBy([bob], 2), 'guardians-invalid'],
      [guardedBy([], 1), 'guardians-invalid'],
      [guardedBy([bob], 0, 0), 'guardians-invalid'],
      [guardedBy([bob], 1, CLOSE_DELAY - 1), 'recovery-delay-invalid'],
      [guardedBy([], 0, CLOSE_DELAY - 1), 'recovery-delay-invalid'],
      [guardedBy([bob], 1, RECOVERY_DELAY_BLOCKS_MAX + 1), 'recovery-delay-invalid'],
    ];
    for (const [policy, refusal] of cases) expect(await by(alice, register(k1, policy))).toBe(refusal);
    expect(await by(alice, register(alice, guardedBy([alice], 1)))).toBe('next-invalid');
    expect(() => signFor(bench, alice, alice, register(k1, guardedBy(seventeen, 17)))).toThrow();
    const most = guardedBy(seventeen.slice(1), 16, RECOVERY_DELAY_BLOCKS_MAX);
    expect(await by(alice, register(k1, most))).toBe('ok');
  });
});

describe('rotate-key', () => {
  beforeEach(async () => {
    await by(alice, register(k1, guardedBy([bob], 1)));
  });

  test('LEDGER-70 LEDGER-73: from then on the new key signs, and nothing of the old one is taken', async () => {
    const [first, second, third] = await bench.block([
      signFor(bench, alice, k1, rotate(k1, k2)),
      signFor(bench, alice, alice, pay, 1),
      signFor(bench, alice, k1, pay, 1),
    ]);
    expect([first?.name, second?.name, third?.name]).toEqual(['ok', 'signature-invalid', 'ok']);
    expect(await by(alice, pay)).toBe('signature-invalid');
    const retiredAt = height() - 1;
    expect(known()).toMatchObject({
      key: k1.publicKey,
      next: nextOf(k2),
      retired: [{ key: alice.publicKey, retiredAt, until: retiredAt + CLOSE_DELAY }],
      guardians: [bob.publicKey],
    });
    expect(await runAs(bench, k1, k1, pay)).not.toBe('ok');
  });

  test('LEDGER-70: only the key that was named may rotate, and nobody else spends the fee', async () => {
    const before = bench.nonce(alice);
    expect(await by(alice, rotate(k1, k2))).toBe('signature-invalid');
    expect(await by(k2, rotate(k2, k3))).toBe('signature-invalid');
    expect(await by(k2, rotate(k1, k3))).toBe('signature-invalid');
    expect(await runAs(bench, bob, k1, rotate(k1, k2))).toBe('signature-invalid');
    expect(bench.nonce(alice)).toBe(before);
  });

  test('LEDGER-73: a key serves one DID and is never taken again', async () => {
    await bench.run(k2, { ...pay, amount: 0n });
    await by(k1, rotate(k1, k2));
    // k2 was used as an account of its own.
    expect(bench.nonce(k2)).toBe(1);
    expect(await by(k2, rotate(k2, k3))).toBe('key-used');

    await runAs(bench, bob, bob, register(k1));
    expect(await runAs(bench, bob, k1, rotate(k1, k3))).toBe('key-used');
    await runAs(bench, carol, carol, register(alice));
    expect(await runAs(bench, carol, alice, rotate(alice, k3))).toBe('key-used');
  });

  test('LEDGER-73: back to the DID or to a retired key there is no way, whatever money it was sent', async () => {
    await bench.run(bob, { ...pay, to: k1.publicKey, amount: 5n });
    expect(await by(k1, rotate(k1, alice))).toBe('next-invalid');
    expect(await by(k1, rotate(k1, k1))).toBe('next-invalid');
    expect(await by(k1, rotate(k1, k2))).toBe('ok');
    expect(await by(k2, rotate(k2, k1))).toBe('ok');
    expect(await by(k1, rotate(k1, k3))).toBe('key-used');
  });

  test('LEDGER-73: it may replace guardians, and its own key may not be one', async () => {
    expect(await by(k1, rotate(k1, k2, guardedBy([k1], 1)))).toBe('guardians-invalid');
    expect(await by(k1, rotate(k1, k2, guardedBy([alice], 1)))).toBe('guardians-invalid');
    expect(await by(k1, rotate(k1, k2, guardedBy([bob], 1, 1)))).toBe('recovery-delay-invalid');
    expect(await by(k1, rotate(k1, k2, guardedBy([carol], 1, 9)))).toBe('ok');
    expect(known()).toMatchObject({ guardians: [carol.publicKey], threshold: 1, delayBlocks: 9 });
    expect(await by(k2, rotate(k2, k3))).toBe('ok');
    expect(known()).toMatchObject({ guardians: [carol.publicKey], delayBlocks: 9 });
  });

  test('LEDGER-71 LEDGER-73: twice in one block, and eight times while all of them count, but not nine times', async () => {
    const keys = Array.from({ length: 12 }, (_, i) => person(`row ${i}`));
    const [a, b] = keys as [typeof alice, typeof alice];
    await by(k1, rotate(k1, a));
    const turns = keys
      .slice(0, 8)
      .map((key, i) => signFor(bench, alice, key, rotate(key, keys[i + 1] as typeof alice), i));
    const results = await bench.block(turns);
    expect(results.map(({ name }) => name)).toEqual([...Array(7).fill('ok'), 'rotations-too-many']);
    const at = height();
    expect(known()?.retired.map(({ key }) => key)).toEqual(
      [alice, k1, a, b, ...keys.slice(2, 6)].map(({ publicKey }) => publicKey),
    );
    const state = new State(bench.chain.readState);
    expect(signersOf(state, alice.publicKey, at)).toHaveLength(9);
    expect(signersOf(state, alice.publicKey, at + CLOSE_DELAY)).toHaveLength(8);
    expect(signersOf(state, alice.publicKey, at + CLOSE_DELAY + 1)).toEqual([keys[6]?.publicKey]);
    await waitUntil(bench, at + 2 * CLOSE_DELAY);
    expect(await by(keys[7] as typeof alice, rotate(keys[7] as typeof alice, keys[8] as typeof alice))).toBe(
      'ok',
    );
    expect(known()?.retired).toHaveLength(1);
  });
});

describe('recovery', () => {
  const guardians = [bob, carol, person('dave')];
  const dave = guardians[2] as typeof alice;
  const vote = (who: typeof alice, key = k3, next = k4): Promise<string> =>
    runAs(bench, who, who, recover(bench.network, alice.publicKey, key, next));
  const end = (key = k3, next = k4): Promise<string> =>
    runAs(bench, dave, dave, finish(alice.publicKey, key, next));

  beforeEach(async () => {
    await by(alice, register(k1, guardedBy(guardians, 2)));
  });

  test('LEDGER-74 LEDGER-76: enough votes, the delay, and anyone makes it', async () => {
    expect(await end()).toBe('recovery-unknown');
    expect(await vote(bob)).toBe('ok');
    expect(known()?.recovery).toEqual({
      key: k3.publicKey,
      next: nextOf(k4),
      votes: [bob.publicKey],
      effectiveAt: undefined,
    });
    expect(await end()).toBe('recovery-pending');
    expect(await vote(carol)).toBe('ok');
    const effectiveAt = height() + 4 + 1;
    expect(known()?.recovery?.effectiveAt).toBe(effectiveAt);
    expect(await vote(dave)).toBe('ok');
    expect(known()?.recovery).toMatchObject({ effectiveAt, votes: guardians.map((one) => one.publicKey) });
    await waitUntil(bench, effectiveAt - 2);
    expect(await end()).toBe('recovery-pending');
    expect(await end(k3, k2)).toBe('recovery-unknown');
    expect(await by(alice, pay)).toBe('ok');
    expect(await end()).toBe('ok');
    expect(known()).toMatchObject({
      key: k3.publicKey,
      next: nextOf(k4),
      recoveries: [],
      retired: [{ key: alice.publicKey, retiredAt: height() }],
      guardians: guardians.map((one) => one.publicKey),
    });
    expect(await by(alice, pay)).toBe('signature-invalid');
    expect(await by(k3, pay)).toBe('ok');
    expect(await by(k1, rotate(k1, k2))).toBe('signature-invalid');
    expect(await by(k4, rotate(k4, k2))).toBe('ok');
  });

  test('LEDGER-74: refusals of a vote, in order', async () => {
    const network = bench.network;
    const of = (did = alice, key = k3, next = k4): Action => recover(network, did.publicKey, key, next);
    const bad = (action: Action, consent: Uint8Array): Action =>
      action.type === 'recover-identity' ? { ...action, consent } : action;
    const nobody = new Uint8Array(0);
    expect(await runAs(bench, bob, bob, bad(of(bob, carol, carol), nobody))).toBe('identity-unknown');
    expect(await runAs(bench, alice, alice, bad(of(alice, carol, carol), nobody))).toBe('not-guardian');
    expect(await runAs(bench, bob, bob, bad(of(alice, bob, bob), nobody))).toBe('key-used');
    expect(await runAs(bench, bob, bob, bad(of(alice, alice), nobody))).toBe('key-used');
    expect(await runAs(bench, bob, bob, bad(of(alice, k3, k3), nobody))).toBe('next-invalid');
    expect(await runAs(bench, bob, bob, bad(of(alice, k3, alice), nobody))).toBe('next-invalid');
    const other = of(alice, k3, k2);
    const borrowed = other.type === 'recover-identity' ? other.consent : nobody;
    for (const consent of [nobody, new Uint8Array(64), borrowed])
      expect(await runAs(bench, bob, bob, bad(of(), consent))).toBe('consent-invalid');
    expect(await vote(bob)).toBe('ok');
    expect(await vote(bob)).toBe('already-voted');
  });

  test('LEDGER-74: a guardian has one vote, and whoever takes one back begins the delay anew', async () => {
    await vote(bob);
    await vote(carol);
    expect(known()?.recovery?.effectiveAt).toBe(height() + 5);
    expect(await vote(bob, k2)).toBe('ok');
    expect(known()?.recoveries).toEqual([
      { key: k3.publicKey, next: nextOf(k4), votes: [carol.publicKey], effectiveAt: undefined },
      { key: k2.publicKey, next: nextOf(k4), votes: [bob.publicKey], effectiveAt: undefined },
    ]);
    await waitUntil(bench, height() + 5);
    expect(await end()).toBe('recovery-pending');
    expect(await vote(carol, k2)).toBe('ok');
    const [only, ...none] = known()?.recoveries ?? [];
    expect([only?.key, only?.effectiveAt, none]).toEqual([k2.publicKey, height() + 5, []]);
    expect(await vote(dave)).toBe('ok');
    expect(known()?.recovery?.key).toEqual(k2.publicKey);
  });

  test('LEDGER-75: the current key rejects what guardians want, up to the last block of the delay', async () => {
    expect(await by(bob, { type: 'cancel-recovery' })).toBe('signature-invalid');
    expect(await runAs(bench, bob, bob, { type: 'cancel-recovery' })).toBe('identity-unknown');
    expect(await by(alice, { type: 'cancel-recovery' })).toBe('recovery-unknown');
    await vote(bob);
    await vote(carol);
    await vote(dave, k2);
    await waitUntil(bench, (known()?.recovery?.effectiveAt ?? 0) - 2);
    const [rejected, late] = await bench.block([
      signFor(bench, alice, alice, { type: 'cancel-recovery' }),
      signFor(bench, dave, dave, finish(alice.publicKey, k3, k4)),
    ]);
    expect([rejected?.name, late?.name]).toEqual(['ok', 'recovery-unknown']);
    expect(known()?.recoveries).toEqual([]);
    expect(await vote(bob)).toBe('ok');
  });

  test('LEDGER-73: a rotation lets every recovery fall, also one that could be finished in its block', async () => {
    await vote(bob);
    await vote(carol);
    await waitUntil(bench, known()?.recovery?.effectiveAt ?? 0);
    const [rotated, finished] = await bench.block([
      signFor(bench, alice, k1, rotate(k1, k2)),
      signFor(bench, dave, dave, finish(alice.publicKey, k3, k4)),
    ]);
    expect([rotated?.name, finished?.name]).toEqual(['ok', 'recovery-unknown']);
    expect(known()).toMatchObject({ key: k1.publicKey, recoveries: [] });
  });

  test('LEDGER-76: a recovery finished first leaves nothing for the key that was named as the next', async () => {
    await vote(bob);
    await vote(carol);
    await waitUntil(bench, known()?.recovery?.effectiveAt ?? 0);
    const [finished, rotated] = await bench.block([
      signFor(bench, dave, dave, finish(alice.publicKey, k3, k4)),
      signFor(bench, alice, k1, rotate(k1, k2)),
    ]);
    expect([finished?.name, rotated?.name]).toEqual(['ok', 'signature-invalid']);
  });

  test('LEDGER-76: a key that came into use meanwhile is refused; a stranger cannot bring it into use', async () => {
    await vote(bob);
    await vote(carol);
    await bench.run(bob, { ...pay, to: k3.publicKey, amount: 5n });
    await waitUntil(bench, known()?.recovery?.effectiveAt ?? 0);
    await bench.run(k3, { ...pay, amount: 0n });
    expect(await end()).toBe('key-used');
    expect(await runAs(bench, dave, dave, finish(bob.publicKey, k3, k4))).toBe('identity-unknown');
  });

  test('LEDGER-76: when it is made, none of the keys before the last one counts', async () => {
    const quick = Array.from({ length: 9 }, (_, i) => person(`quick ${i}`));
    const [first, ...rest] = quick as [typeof alice, ...(typeof alice)[]];
    await by(k1, rotate(k1, first, guardedBy(guardians, 1, CLOSE_DELAY)));
    const turns = rest
      .slice(0, 7)
      .map((key, i) =>
        signFor(bench, alice, quick[i] as typeof alice, rotate(quick[i] as typeof alice, key), i),
      );
    const asked = signFor(bench, bob, bob, recover(bench.network, alice.publicKey, k3, k4));
    expect((await bench.block([...turns, asked])).every(({ name }) => name === 'ok')).toBe(true);
    expect(known()?.retired).toHaveLength(8);
    const at = height();
    expect(known()?.recovery?.effectiveAt).toBe(at + CLOSE_DELAY + 1);
    await waitUntil(bench, at + CLOSE_DELAY - 1);
    expect(await end()).toBe('recovery-pending');
    // None of them can be claimed with, but their DID can still be challenged about them.
    expect(await end()).toBe('rotations-too-many');
    expect(signersOf(new State(bench.chain.readState), alice.publicKey, height())).toHaveLength(1);
    await waitUntil(bench, at + 2 * CLOSE_DELAY);
    expect(await end()).toBe('ok');
    expect(known()?.retired).toMatchObject([{ key: quick[6]?.publicKey, retiredAt: height() }]);
  });
});

test('LEDGER-77: a certificate is revoked by its issuer, once, whoever else uses its serial', async () => {
  const serial = suite.sha256(alice.publicKey).slice(0, 16);
  const revoke: Action = { type: 'revoke-certificate', serial };
  expect(bench.queries.isRevoked(alice.publicKey, serial)).toBe(false);
  expect(await runAs(bench, bob, bob, revoke)).toBe('ok');
  expect(bench.queries.isRevoked(alice.publicKey, serial)).toBe(false);
  expect(await by(alice, revoke)).toBe('ok');
  expect(bench.queries.isRevoked(alice.publicKey, serial)).toBe(true);
  expect(await by(alice, revoke)).toBe('certificate-revoked');
});

test('LEDGER-78: delays of keys and recoveries pace blocks, and none takes that back', async () => {
  const paced = (): number | undefined =>
    new State(bench.chain.readState).paces.get(new Uint8Array(0))?.until;
  await by(alice, register(k1, guardedBy([bob], 1, 20)));
  expect(paced()).toBeUndefined();
  await bench.run(bob, recover(bench.network, alice.publicKey, k3, k4));
  const until = height() + 20;
  expect(paced()).toBe(until);
  expect(await by(k1, rotate(k1, k2, ALONE))).toBe('ok');
  expect(paced()).toBe(until);
  await waitUntil(bench, until);
  await by(k2, rotate(k2, k3));
  expect(paced()).toBe(height() + CLOSE_DELAY);
});
