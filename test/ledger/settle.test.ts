import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LaneRecord } from '../../src/ledger/records.ts';
import { splitPayment } from '../../src/ledger/settle.ts';
import type { AssetAmount } from '../../src/protocol/payment.ts';
import { dueToKeepers, dueToOwners, dueToParents } from '../../src/protocol/revenue.ts';
import type { ParentShare } from '../../src/protocol/transaction.ts';

const EMPTY: LaneRecord = { paid: 0n, total: 0n, parts: [], frozen: undefined };
const asset = (i: number): Uint8Array => new Uint8Array(32).fill(i);
const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((a, b) => a + b, 0n);

const growth = fc.array(
  fc.record({
    adds: fc.array(fc.bigInt({ min: 0n, max: 1_000n }), { minLength: 5, maxLength: 5 }),
    payPpm: fc.integer({ min: 0, max: 1_000_000 }),
  }),
  { minLength: 1, maxLength: 12 },
);

test('LEDGER-20: whatever the order and size of payments, every grain is credited, none twice, all in the end', () => {
  fc.assert(
    fc.property(growth, (steps) => {
      let lane = EMPTY;
      let amounts: AssetAmount[] = [0, 1, 2, 3, 4].map((i) => ({ asset: asset(i), amount: 0n }));
      const credited = new Map<number, bigint>();
      const pay = (payment: bigint): void => {
        const split = splitPayment(lane, amounts, payment);
        expect(split).toBeDefined();
        if (split === undefined) return;
        expect(sum(split.credits.map(({ amount }) => amount))).toBe(payment);
        for (const { asset: id, amount } of split.credits) {
          expect(amount > 0n).toBe(true);
          credited.set(id[0] ?? -1, (credited.get(id[0] ?? -1) ?? 0n) + amount);
        }
        lane = split.lane;
        for (const part of lane.parts) expect(part.credited <= part.amount).toBe(true);
        expect(sum(lane.parts.map((part) => part.credited))).toBe(lane.paid);
      };
      for (const { adds, payPpm } of steps) {
        amounts = amounts.map((one, i) => ({ ...one, amount: one.amount + (adds[i] ?? 0n) }));
        const outstanding = sum(amounts.map(({ amount }) => amount)) - lane.paid;
        pay((outstanding * BigInt(payPpm)) / 1_000_000n);
      }
      pay(sum(amounts.map(({ amount }) => amount)) - lane.paid);
      for (const [i, { amount }] of amounts.entries()) expect(credited.get(i) ?? 0n).toBe(amount);
    }),
  );
});

test('LEDGER-17: amounts that fall or vanish are noticed', () => {
  const first = splitPayment(
    EMPTY,
    [
      { asset: asset(1), amount: 5n },
      { asset: asset(3), amount: 5n },
    ],
    10n,
  );
  const lane = first?.lane ?? EMPTY;
  expect(splitPayment(lane, [{ asset: asset(1), amount: 11n }], 1n)).toBeUndefined();
  expect(
    splitPayment(
      lane,
      [
        { asset: asset(1), amount: 4n },
        { asset: asset(3), amount: 9n },
      ],
      1n,
    ),
  ).toBeUndefined();
  const more = [1, 2, 3].map((i) => ({ asset: asset(i), amount: 5n }));
  expect(splitPayment(lane, more, 5n)?.credits).toEqual([{ asset: asset(2), amount: 5n }]);
});

test('LEDGER-24 LEDGER-87: what is due only rises, never exceeds what came in, and leaves less than one grain a party', () => {
  const shares = fc
    .array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 8 })
    .map((weights) => {
      const whole = weights.reduce((a, b) => a + b, 0);
      const ppm = weights.map((weight) => Math.floor((weight * 1_000_000) / whole));
      const [first = 0, ...rest] = ppm;
      return [first + 1_000_000 - ppm.reduce((a, b) => a + b, 0), ...rest];
    });
  const parents = fc.array(fc.integer({ min: 0, max: 1_000_000 / 16 }), { maxLength: 16 });
  const bounties = fc.constantFrom(0, 1, 9_999, 10_000);
  fc.assert(
    fc.property(
      shares,
      parents,
      bounties,
      fc.array(fc.bigInt({ min: 0n, max: 10n ** 12n })),
      (owned, edges, bounty, arrivals) => {
        const owners = owned.map((ppm, i) => ({ owner: asset(i), ppm }));
        const to: ParentShare[] = edges.map((ppm, i) => ({ asset: asset(i), relation: 'trained-on', ppm }));
        let received = 0n;
        let before: readonly bigint[] = [...to, ...owners, bounty].map(() => 0n);
        for (const arrival of arrivals) {
          received += arrival;
          const all = { parents: to, owners, bounty };
          const due = [
            ...dueToParents(received, to),
            ...dueToOwners(received, all),
            dueToKeepers(received, all),
          ];
          for (const [i, amount] of due.entries()) expect(amount >= (before[i] ?? 0n)).toBe(true);
          const rest = received - sum(due);
          expect(rest >= 0n && rest < BigInt(Math.max(1, due.length))).toBe(true);
          before = due;
        }
      },
    ),
  );
});
