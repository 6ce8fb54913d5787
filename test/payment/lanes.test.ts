import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SaharaError } from '../../src/base/errors.ts';
import { emptyLane, type Hold } from '../../src/payment/payee-lane.ts';
import { PayerLane } from '../../src/payment/payer-lane.ts';
import { CLAIM_ASSETS_MAX } from '../../src/protocol/limits.ts';
import { callsAsset, type ReceiptShare, type Voucher } from '../../src/protocol/payment.ts';
import { appendLeaf, EMPTY_TREE, receiptLeaf, treeRoot } from '../../src/protocol/receipt-tree.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { AGENT_ASSET, CHANNEL, hash, keys } from '../calls/rig.ts';

const signed = { payload: new Uint8Array(0), signature: new Uint8Array(64), sides: 0, siblings: [] };

function voucher(ceiling: bigint, sequence: number, change: Partial<Voucher> = {}): Voucher {
  return {
    network: 'test',
    channel: CHANNEL,
    lane: 0,
    ceiling,
    sequence,
    receiptCount: 0,
    receiptRoot: new Uint8Array(32),
    receiptTotal: 0n,
    notAfterMs: undefined,
    ...change,
  };
}

const own = (amount: bigint): ReceiptShare[] => [
  { asset: AGENT_ASSET, role: 'agent', ppm: 1_000_000, amount },
];

const step = fc.oneof(
  fc.record({ do: fc.constant('reserve' as const), amount: fc.bigInt(0n, 60n), forMs: fc.nat(50) }),
  fc.record({ do: fc.constant('commit' as const), at: fc.nat(20), part: fc.nat(100) }),
  fc.record({ do: fc.constant('release' as const), at: fc.nat(20) }),
  fc.record({ do: fc.constant('raise' as const), by: fc.bigInt(0n, 80n) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.nat(40) }),
  fc.record({ do: fc.constant('extend' as const), at: fc.nat(20), by: fc.bigInt(-20n, 60n) }),
);

describe('a lane', () => {
  it('PAY-1 PAY-2 PAY-15: whatever happens in whatever order, charged + reserved stays inside the voucher and the deposit', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const deposit = 400n;
        const lane = emptyLane(suite, { channel: CHANNEL, lane: 0, payer: keys.payer.publicKey, others: [] });
        const live: Hold[] = [];
        let [nowMs, ceiling, sequence, charged] = [0, 0n, 0, 0n];
        for (const action of steps) {
          if (action.do === 'wait') nowMs += action.ms;
          if (action.do === 'raise') {
            ceiling += action.by;
            lane.accept({ signed, terms: voucher(ceiling, ++sequence) });
          }
          if (action.do === 'reserve') {
            const hold = { amountMax: action.amount, endsAtMs: nowMs + action.forMs };
            const room = ceiling < deposit ? ceiling : deposit;
            const held = live
              .filter((other) => other.endsAtMs > nowMs)
              .reduce((sum, { amountMax }) => sum + amountMax, 0n);
            const fits = charged + held + action.amount <= room;
            try {
              lane.reserve(hold, deposit, nowMs);
              live.push(hold);
              expect(charged + lane.reserved).toBeLessThanOrEqual(room);
            } catch (error) {
              expect((error as SaharaError).code).toBe('voucher-insufficient');
              expect(fits).toBe(false);
            }
          }
          const extended = action.do === 'extend' ? live[action.at % Math.max(1, live.length)] : undefined;
          if (action.do === 'extend' && extended !== undefined) {
            const before = extended.amountMax;
            const wanted = before + action.by;
            const room = ceiling < deposit ? ceiling : deposit;
            try {
              lane.raise(extended, wanted, { deposit, nowMs });
              expect(extended.amountMax).toBe(wanted > before ? wanted : before);
              if (wanted > before) expect(charged + lane.reserved).toBeLessThanOrEqual(room);
            } catch (error) {
              expect(['voucher-insufficient', 'deadline-exceeded']).toContain((error as SaharaError).code);
              expect(extended.amountMax).toBe(before);
            }
          }
          if (action.do === 'commit' || action.do === 'release') {
            const [hold] = live.splice(action.at % Math.max(1, live.length), 1);
            if (!hold) continue;
            if (action.do === 'release') lane.release(hold);
            else {
              const amount = (hold.amountMax * BigInt(action.part)) / 100n;
              const payload = crypto.getRandomValues(new Uint8Array(8));
              try {
                lane.commit(hold, { payload, amount, shares: own(amount), agent: keys.agent.publicKey });
                charged += amount;
              } catch (error) {
                expect((error as SaharaError).code).toBe('deadline-exceeded');
                expect(hold.endsAtMs).toBeLessThanOrEqual(nowMs);
              }
            }
          }
          expect(lane.charged).toBe(charged);
          expect(lane.state.amounts.reduce((sum, { amount }) => sum + amount, 0n)).toBe(charged);
          expect(treeRoot(suite, lane.state.tree).sum).toBe(charged);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('PAY-3 PAY-4: a voucher whose ceiling falls or whose sequence stands still while it rises is stale', () => {
    const lane = emptyLane(suite, { channel: CHANNEL, lane: 0, payer: keys.payer.publicKey, others: [] });
    lane.accept({ signed, terms: voucher(100n, 5) });
    const code = (offered: Voucher): string | undefined => lane.faultOf(offered)?.code;
    expect(code(voucher(90n, 6))).toBe('voucher-stale');
    expect(code(voucher(110n, 5))).toBe('voucher-stale');
    expect(code(voucher(110n, 4))).toBe('voucher-stale');
    expect(code(voucher(100n, 5))).toBeUndefined();
    expect(code(voucher(90n, 4))).toBeUndefined();
    expect(code(voucher(100n, 6, { receiptCount: 3 }))).toBe('voucher-stale');
    expect(code(voucher(100n, 6, { receiptTotal: 1n }))).toBe('voucher-invalid');
  });

  it('PAY-12: more assets than a claim can name are folded into the agent, in the receipt already', () => {
    const lane = emptyLane(suite, { channel: CHANNEL, lane: 0, payer: keys.payer.publicKey, others: [] });
    lane.accept({ signed, terms: voucher(10n ** 9n, 1) });
    const asset = (n: number): Uint8Array => suite.sha256(Uint8Array.of(n >> 8, n & 255));
    for (let call = 0; call < 20; call++) {
      const knowledge = Array.from(
        { length: 20 },
        (_, i): ReceiptShare => ({
          asset: asset(call * 20 + i),
          role: 'knowledge',
          ppm: 40_000,
          amount: 40n,
        }),
      );
      const shares = lane.fold(
        [...knowledge, { ...(own(200n)[0] as ReceiptShare), ppm: 200_000 }],
        AGENT_ASSET,
      );
      expect(shares.reduce((sum, { ppm }) => sum + ppm, 0)).toBe(1_000_000);
      expect(shares.reduce((sum, { amount }) => sum + amount, 0n)).toBe(1_000n);
      const hold = { amountMax: 1_000n, endsAtMs: 1 };
      lane.reserve(hold, 10n ** 9n, 0);
      lane.commit(hold, {
        payload: Uint8Array.of(call),
        amount: 1_000n,
        shares,
        agent: keys.agent.publicKey,
      });
    }
    expect(lane.state.amounts.length).toBeLessThanOrEqual(CLAIM_ASSETS_MAX);
    expect(lane.state.amounts.reduce((sum, { amount }) => sum + amount, 0n)).toBe(20_000n);
    // What calls below cost is nobody's earning and stays whole (RCPT-6).
    const repaid: ReceiptShare = { asset: callsAsset(suite), role: 'calls', ppm: 0, amount: 300n };
    const late: ReceiptShare = { asset: asset(9_999), role: 'knowledge', ppm: 800_000, amount: 800n };
    const shares = lane.fold(
      [late, { ...(own(200n)[0] as ReceiptShare), ppm: 200_000 }, repaid],
      AGENT_ASSET,
    );
    expect(shares.map(({ role, amount }) => [role, amount])).toEqual([
      ['agent', 1_000n],
      ['calls', 300n],
    ]);
  });

  it('PAY-31 PAY-32: the payer accepts receipts in any order and compares every charge with their tree', () => {
    const amounts = [5n, 7n, 0n, 11n];
    const leaves = amounts.map((amount, i) => receiptLeaf(suite, Uint8Array.of(i), amount));
    const trees = leaves.map((_, i) => {
      const lane = payerLane();
      leaves.slice(0, i + 1).forEach((leaf, at) => {
        lane.accept(at, leaf, chargeOver(leaves.slice(0, at + 1)));
      });
      return lane;
    });
    expect(trees.at(-1)?.charged).toBe(23n);
    const whole = chargeOver(leaves);
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
        const lane = payerLane();
        for (const at of order) lane.accept(at, leaves[at] as (typeof leaves)[number], whole);
        expect([lane.count, lane.charged, lane.disputed]).toEqual([4, 23n, false]);
      }),
    );
    const cheated = payerLane();
    cheated.accept(0, leaves[0] as (typeof leaves)[number], chargeOver(leaves.slice(0, 1)));
    expect(() => cheated.accept(0, leaves[1] as (typeof leaves)[number], whole)).toThrow(/two receipts/);
    expect(cheated.disputed).toBe(true);
    const lied = payerLane();
    const { signed: proof, terms } = chargeOver(leaves.slice(0, 1));
    expect(() =>
      lied.accept(0, leaves[0] as (typeof leaves)[number], { signed: proof, terms: { ...terms, total: 6n } }),
    ).toThrow(/sum/);
    expect(lied.disputed).toBe(true);
    const greedy = payerLane();
    expect(() =>
      greedy.accept(0, leaves[0] as (typeof leaves)[number], {
        signed: proof,
        terms: { ...terms, total: 10n ** 6n },
      }),
    ).toThrow(/above/);
  });
});

function payerLane(): PayerLane {
  const start = {
    channel: CHANNEL,
    lane: 0,
    payee: keys.operator.publicKey,
    ceilingMark: 0n,
    sequenceMark: 0,
    place: 0,
    before: 0n,
  };
  const lane = new PayerLane(suite, { ...start, tree: EMPTY_TREE, charge: undefined, disputed: false });
  lane.reserve({ amountMax: 1_000n });
  return lane;
}

function chargeOver(
  leaves: readonly { readonly hash: Uint8Array; readonly sum: bigint }[],
): Parameters<PayerLane['accept']>[2] {
  const tree = leaves.reduce((grown, leaf) => appendLeaf(suite, grown, leaf), EMPTY_TREE);
  const root = treeRoot(suite, tree);
  const terms = {
    network: 'test',
    channel: CHANNEL,
    lane: 0,
    total: root.sum,
    sequence: leaves.length,
    receiptRoot: root.hash,
    attributionRoot: hash(0),
  };
  return { signed, terms };
}
