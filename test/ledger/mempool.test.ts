import { expect, test } from 'vitest';
import { createMempool } from '../../src/ledger/mempool.ts';
import { type Prepared, prepareTransaction } from '../../src/ledger/prepare.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import { alice, bob, carol, signAction, suite } from './support.ts';

function one(who: Signer, nonce: number): { sender: Uint8Array; nonce: number; prepared: Prepared } {
  const action = { type: 'transfer', to: who.publicKey, amount: 1n, memo: undefined } as const;
  const prepared = prepareTransaction(suite, 'test-0', signAction('test-0', who, nonce, action));
  return { sender: who.publicKey, nonce, prepared };
}

test('LEDGER-45: the pool is bounded in number, bytes and per sender', () => {
  const size = one(alice, 0).prepared.wire.length;
  const pool = createMempool({ transactionsMax: 4, perSenderMax: 2, bytesMax: 3 * size });
  expect(pool.offer(one(alice, 0), 0)).toBe('taken');
  expect(pool.offer(one(alice, 0), 0)).toBe('nonce-taken');
  expect(pool.offer(one(alice, 1), 0)).toBe('taken');
  expect(pool.offer(one(alice, 2), 0)).toBe('full');
  expect(pool.offer(one(bob, 0), 0)).toBe('taken');
  expect(pool.offer(one(carol, 0), 0)).toBe('full');
  pool.remove(alice.publicKey, 0);
  expect(pool.offer(one(carol, 0), 0)).toBe('taken');
  expect(pool.size).toBe(3);
});

test('senders take turns, each in the order of its numbers, up to the first gap', () => {
  const pool = createMempool();
  const all = [one(alice, 1), one(alice, 0), one(alice, 3), one(bob, 5), one(carol, 1)];
  for (const entry of all) pool.offer(entry, 0);
  const next = (sender: Uint8Array): number => (sender === bob.publicKey ? 5 : 0);
  const [a1, a0, , b5] = all.map(({ prepared }) => prepared);
  expect(pool.ready(10, next)).toEqual([a0, a1, b5]);
  expect(pool.ready(1, next)).toHaveLength(1);
  const served = [pool.ready(2, next), pool.ready(2, next)].flat();
  expect(served).toContain(b5);
});

test('what waits too long is dropped', () => {
  const pool = createMempool({ ageMsMax: 100 });
  const old = one(alice, 7);
  pool.offer(old, 0);
  pool.offer(one(bob, 0), 60);
  expect(pool.expire(100)).toEqual([old.prepared]);
  expect(pool.size).toBe(1);
});

test('an earlier number takes the place of the sender’s latest, never of an earlier one or of somebody else', () => {
  const pool = createMempool({ perSenderMax: 2 });
  const [second, third] = [one(alice, 1), one(alice, 2)];
  pool.offer(second, 0);
  pool.offer(third, 0);
  pool.offer(one(bob, 9), 0);
  expect(pool.displace(alice.publicKey, 3)).toBeUndefined();
  expect(pool.displace(alice.publicKey, 0)).toEqual(third.prepared);
  expect(pool.offer(one(alice, 0), 0)).toBe('taken');
  expect(pool.displace(carol.publicKey, 0)).toBeUndefined();
  expect(pool.size).toBe(3);
});
