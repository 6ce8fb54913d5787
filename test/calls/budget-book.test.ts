import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CallBook, type CallHold } from '../../src/agent/call-book.ts';

const granted = { amount: 1_000n, depth: 2, deadlineMs: 1_000, skills: [] };
const agent = (number: number): Uint8Array => new Uint8Array(32).fill(number);
const wanting = (amount: bigint, budget?: bigint) => ({
  amount,
  skill: { name: undefined },
  endsAtMs: 10,
  budget: budget === undefined ? undefined : { ...granted, amount: budget, depth: 1 },
});

describe('the book of a budget', () => {
  it('holds the price or the budget of a call, whichever is more, until it ends (CALL-85)', () => {
    const book = new CallBook(granted, [agent(1)]);
    const first = book.hold(agent(2), wanting(300n, 200n));
    const second = book.hold(agent(3), wanting(0n, 400n));
    expect(book.left).toBe(300n);
    expect(() => book.hold(agent(4), wanting(301n))).toThrow('budget-exceeded');
    first.end(120n);
    expect([book.left, book.spent]).toEqual([480n, 120n]);
    second.end(0n);
    expect([book.left, book.spent]).toEqual([880n, 120n]);
    expect(() => second.end(0n)).toThrow('ends once');
    expect(() => book.hold(agent(5), wanting(10n)).end(11n)).toThrow('inside of its hold');
  });

  it('knows the agents above (CALL-84, CALL-85)', () => {
    const book = new CallBook(granted, [agent(1), agent(2)]);
    for (const above of [1, 2]) expect(() => book.hold(agent(above), wanting(1n))).toThrow('call-cycle');
    expect(book.left).toBe(1_000n);
  });

  it('never gives out more than was granted, in whatever order calls begin and end (CALL-85)', () => {
    const step = fc.record({ begin: fc.boolean(), amount: fc.bigInt(0n, 600n), part: fc.nat(100) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const book = new CallBook(granted, [agent(1)]);
        const open: { hold: CallHold; amount: bigint }[] = [];
        let spent = 0n;
        for (const { begin, amount, part } of steps) {
          if (begin) {
            const held = open.reduce((sum, call) => sum + call.amount, 0n);
            const fits = spent + held + amount <= granted.amount;
            if (fits) open.push({ hold: book.hold(agent(9), wanting(amount)), amount });
            else expect(() => book.hold(agent(9), wanting(amount))).toThrow('budget-exceeded');
          } else {
            const ended = open.splice(part % Math.max(1, open.length), 1)[0];
            const cost = ((ended?.amount ?? 0n) * BigInt(part)) / 100n;
            ended?.hold.end(cost);
            spent += cost;
          }
          expect(book.spent).toBe(spent);
          expect(book.left).toBeGreaterThanOrEqual(0n);
        }
      }),
    );
  });
});
