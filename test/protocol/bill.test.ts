import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BilledCall, billLines, readTree, verifyTree } from '../../src/protocol/bill.ts';
import { type CallChild, callChild } from '../../src/protocol/checkpoint.ts';
import type { CallBudget, Envelope } from '../../src/protocol/envelope.ts';
import { TREE_CALLS_MAX } from '../../src/protocol/limits.ts';
import { callsAsset, type Receipt } from '../../src/protocol/payment.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { portableSuite } from '../../src/protocol/suite-portable.ts';
import {
  deliveredBelow,
  keyOf,
  type Made,
  makeTree,
  type Plan,
  plannedCost,
  sign,
} from '../calls/tree-maker.ts';

const leaf = (agent: number, change: Partial<Plan> = {}): Plan => ({
  agent,
  operator: 100 + agent,
  price: { perCall: 100n, perInputUnit: 3n, perOutputUnit: 7n },
  inputUnits: 5,
  outputUnits: 11,
  finish: 'done',
  skill: 'answer',
  free: false,
  slack: 0n,
  children: [],
  ...change,
});

/** 1 asks 2 and 3; 3 asks 4. */
const story = (change: Partial<Plan> = {}): Plan =>
  leaf(1, { children: [leaf(2, change), leaf(3, { children: [leaf(4)] })] });

const bill = (made: Made, delivered: readonly CallChild[] = deliveredBelow(made)): BilledCall =>
  verifyTree(suite, made, delivered);

const refused = (made: Made, delivered?: readonly CallChild[]): string => {
  try {
    bill(made, delivered);
  } catch (error) {
    const { code, facts } = error as { code: string; facts: { reason?: string } };
    expect(['bundle-invalid', 'malformed']).toContain(code);
    return String(facts.reason);
  }
  return expect.fail('the tree is taken');
};

/** A tree in which the receipts of agent `agent` say something else. */
const withReceipt = (agent: number, change: Partial<Receipt>, plan: Plan = story()): Made =>
  makeTree(plan, { receipt: (sound, at) => (at.agent === agent ? { ...sound, ...change } : sound) });

const withEnvelope = (agent: number, change: (sound: Envelope) => Partial<Envelope>): Made =>
  makeTree(story(), {
    envelope: (sound, at) => (at.agent === agent ? { ...sound, ...change(sound) } : sound),
  });

describe('the bill of a tree', () => {
  it('lists every call with what it and those below it cost (RCPT-46, RCPT-47)', () => {
    const made = makeTree(story());
    const whole = bill(made);
    const own = 100n + 15n + 77n;
    expect(billLines(whole).map((line) => [line.level, line.own, line.below, line.total])).toEqual([
      [0, own, 3n * own, 4n * own],
      [1, own, 0n, own],
      [1, own, own, 2n * own],
      [2, own, 0n, own],
    ]);
    expect(whole.total).toBe(made.receipt.amount);
    expect(whole).toMatchObject({ skill: 'answer', inputUnits: 5, outputUnits: 11, finish: 'done' });
  });

  it('takes the calls in any order, in both suites (RCPT-41)', () => {
    const made = makeTree(story());
    const turned = [...deliveredBelow(made)].reverse();
    expect(bill(made, turned).total).toBe(made.receipt.amount);
    expect(verifyTree(portableSuite, made, turned)).toEqual(bill(made, turned));
  });

  it('charges nothing for a free call below (RCPT-40)', () => {
    const made = makeTree(story({ free: true }));
    expect(bill(made).children[0]).toMatchObject({ own: 0n, total: 0n });
  });

  it('passes on what an agent of the same operator paid others (RCPT-40)', () => {
    const own = leaf(2, { operator: 101, free: true, children: [leaf(4)] });
    const made = makeTree(leaf(1, { children: [own] }));
    expect(made.receipt.expenses).toBe(192n);
    expect(bill(made).children[0]).toMatchObject({ own: 0n, below: 192n, total: 192n });
  });

  it('counts what was spent below a call that asks nothing for itself (RCPT-43)', () => {
    for (const finish of ['failed', 'nothing-found'] as const) {
      const made = makeTree(leaf(1, { children: [leaf(3, { finish, children: [leaf(4)] })] }));
      expect(bill(made).children[0]).toMatchObject({ own: 0n, below: 192n });
    }
  });

  it('says who gets the expenses back (RCPT-40)', () => {
    expect(callsAsset(suite)).toEqual(suite.sha256(new TextEncoder().encode('sahara/1/calls-asset')));
  });
});

describe('a tree that does not hold', () => {
  it('counts a call twice, or one that is not in it (RCPT-41, RCPT-44)', () => {
    const made = makeTree(story());
    const all = deliveredBelow(made);
    expect(refused(made, [...all, ...all.slice(0, 1)])).toContain('counted twice');
    expect(refused(made, all.slice(1))).toContain('grains below it');
    expect(refused(made, all.slice(0, 2))).toContain('not in the tree');
    expect(refused(made, [])).toContain('of 0 grains below it');
  });

  it('bills one receipt under two parents (RCPT-41)', () => {
    // Call 4 was made below 3; its envelope says so, whoever else counts it.
    expect(refused(withReceipt(2, { expenses: 192n, amount: 384n }))).toContain('192 of 0 grains below it');
    const foreign = withEnvelope(2, (sound) => ({
      context: { ...(sound.context as NonNullable<Envelope['context']>), root: new Uint8Array(16) },
    }));
    expect(refused(foreign)).toContain('another tree');
  });

  it('stands at another depth or in another network (RCPT-41, RCPT-42)', () => {
    const deeper = withEnvelope(2, (sound) => ({
      context: { ...(sound.context as NonNullable<Envelope['context']>), depth: 2 },
    }));
    expect(refused(deeper)).toContain('another depth');
    expect(refused(withEnvelope(2, () => ({ network: 'other-0000000000000000' })))).toContain(
      'another network',
    );
    expect(refused(withEnvelope(2, () => ({ bodyType: 'resume' })))).toContain('no call to an agent');
    expect(refused(withEnvelope(2, () => ({ context: undefined })))).not.toBe('');
  });

  it('was asked or answered by somebody else (RCPT-42)', () => {
    expect(refused(withEnvelope(2, () => ({ from: keyOf('operator', 9).publicKey })))).toContain(
      'another operator',
    );
    expect(refused(withReceipt(2, { agent: keyOf('agent', 9).publicKey }))).toContain('another agent');
    expect(refused(withReceipt(2, { payer: keyOf('payer', 9).publicKey }))).toContain('another payer');
    expect(refused(withReceipt(2, { requestHash: new Uint8Array(32) }))).toContain('another question');
    expect(refused(withReceipt(2, { callId: new Uint8Array(16) }))).toContain('another call');
    expect(refused(withReceipt(2, { finishedAtMs: 1 }))).toContain('ends before it begins');
  });

  it('has a sum that is not one (RCPT-43)', () => {
    expect(refused(withReceipt(2, { amount: 193n }))).toContain('192 grains are due');
    expect(refused(withReceipt(3, { expenses: 191n, amount: 383n }))).toContain('191 of 192');
    expect(refused(withReceipt(1, { expenses: 577n }))).toContain('577 of 576');
    const generous = leaf(1, { children: [leaf(2, { free: true, children: [leaf(4)] })] });
    expect(refused(makeTree(generous))).toContain('a free call that spent on others');
  });

  it('is paid without a charge, or free with one (RCPT-42)', () => {
    const made = makeTree(story());
    const [first, ...rest] = deliveredBelow(made) as [CallChild, ...CallChild[]];
    expect(refused(made, [{ ...first, charge: undefined }, ...rest])).toContain('has no charge');
    const free = makeTree(story({ free: true }));
    const [gift, ...others] = deliveredBelow(free) as [CallChild, ...CallChild[]];
    expect(refused(free, [{ ...gift, charge: first.charge }, ...others])).toContain('free and has a charge');
    const [, third] = deliveredBelow(made);
    expect(refused(made, [{ ...first, charge: third?.charge }, ...rest])).toContain('another channel');
  });

  it('goes round in a circle (RCPT-44)', () => {
    const again = leaf(1, { children: [leaf(3, { children: [leaf(1)] })] });
    expect(refused(makeTree(again))).toContain('already answering above it');
  });

  it('spends above a budget or outside of it (RCPT-45)', () => {
    expect(refused(makeTree(leaf(1, { slack: -1n, children: [leaf(2), leaf(3)] })))).toContain(
      'budget of 383',
    );
    const granted = (change: Partial<CallBudget>): Made =>
      withEnvelope(1, (sound) => {
        const context = sound.context as NonNullable<Envelope['context']>;
        return { context: { ...context, budget: { ...(context.budget as CallBudget), ...change } } };
      });
    expect(refused(granted({ depth: 1 }))).toContain('depth 2, allowed 1');
    expect(refused(granted({ skills: ['other'] }))).toContain('skills answer, allowed other');
    expect(refused(granted({ deadlineMs: 1 }))).toContain('deadline');
    expect(refused(granted({ amount: 191n }))).toContain('amount 192, allowed 191');
    expect(
      refused(
        withEnvelope(1, (sound) => ({
          context: { ...(sound.context as NonNullable<Envelope['context']>), budget: undefined },
        })),
      ),
    ).toContain('none was granted');
  });

  it('is larger than trees may be (RCPT-41)', () => {
    const made = makeTree(leaf(1, { children: [leaf(2)] }));
    const [only] = deliveredBelow(made);
    const many = Array.from({ length: TREE_CALLS_MAX + 1 }, () => only as CallChild);
    expect(refused(made, many)).toContain(`more than ${TREE_CALLS_MAX}`);
  });

  it('is signed by somebody else (RCPT-42)', () => {
    const made = makeTree(story());
    const [first, ...rest] = deliveredBelow(made) as [CallChild, ...CallChild[]];
    const stranger = keyOf('payer', 77);
    const forged = (change: Partial<CallChild>): string => refused(made, [{ ...first, ...change }, ...rest]);
    expect(forged({ envelope: sign(stranger, 'call', first.envelope.payload) })).toContain(
      'the call of a call below',
    );
    expect(forged({ receipt: sign(stranger, 'receipt', first.receipt.payload) })).toContain('the receipt of');
    expect(forged({ charge: first.charge && sign(stranger, 'charge', first.charge.payload) })).toContain(
      'the charge',
    );
    expect(forged({ receipt: { ...first.receipt, signature: new Uint8Array(0) } })).toContain(
      'the receipt of',
    );
  });
});

const amounts = fc.bigInt(0n, 1_000_000n);
const finishes = fc.constantFrom('done', 'length', 'nothing-found', 'cancelled', 'failed');

/** Random trees of up to so many levels; agents are numbered later, so that none stands twice. */
const planOf = (levels: number): fc.Arbitrary<Plan> =>
  fc.record({
    agent: fc.constant(0),
    operator: fc.integer({ min: 1, max: 4 }),
    price: fc.record({ perCall: amounts, perInputUnit: amounts, perOutputUnit: amounts }),
    inputUnits: fc.nat(50),
    outputUnits: fc.integer({ min: 1, max: 500 }),
    finish: finishes,
    skill: fc.constantFrom('answer', 'explain'),
    free: fc.constant(false),
    slack: amounts,
    children: levels === 0 ? fc.constant([]) : fc.array(planOf(levels - 1), { maxLength: 3 }),
  });
const plans = planOf(3);

const numbered = (plan: Plan, payer = 0, next = { agent: 1 }): Plan => ({
  ...plan,
  agent: next.agent++,
  // Whom an operator asks of their own is free, as in the daemon.
  free: plan.operator === payer,
  children: plan.children.map((child) => numbered(child, plan.operator, next)),
});

describe('random trees', () => {
  it('sum to the grain, and nobody spends above a budget (RCPT-45, RCPT-46)', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(plans, (plan) => {
        const made = makeTree(numbered(plan));
        const whole = bill(made);
        const lines = billLines(whole);
        expect(lines.reduce((sum, { own }) => sum + own, 0n)).toBe(whole.total);
        expect(whole.total).toBe(plannedCost(numbered(plan), undefined));
        const budgets = new Map(
          [made, ...made.below].map(({ envelope }) => [
            Buffer.from(envelope.id).toString('hex'),
            envelope.context?.budget?.amount ?? 0n,
          ]),
        );
        for (const line of lines) {
          expect(line.below).toBeLessThanOrEqual(
            budgets.get(Buffer.from(line.callId).toString('hex')) ?? -1n,
          );
          expect(line.own).toBeGreaterThanOrEqual(0n);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('refuse a budget that is one grain too small anywhere (RCPT-45)', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(plans, fc.nat(100), (plan, pick) => {
        const sound = numbered(plan);
        const spending: number[] = [];
        const look = (at: Plan): void => {
          if (
            plannedCost(
              { ...at, free: false, price: { perCall: 0n, perInputUnit: 0n, perOutputUnit: 0n } },
              undefined,
            ) > 0n
          )
            spending.push(at.agent);
          at.children.forEach(look);
        };
        look(sound);
        fc.pre(spending.length > 0);
        const agent = spending[pick % spending.length];
        const tight = (at: Plan): Plan => ({
          ...at,
          slack: at.agent === agent ? -1n : 0n,
          children: at.children.map(tight),
        });
        expect(refused(makeTree(tight(sound)))).toMatch(/budget/);
      }),
      { numRuns: 20 },
    );
  });

  it('refuse any changed byte of a call below (RCPT-42)', { timeout: 120_000 }, () => {
    const made = makeTree(story());
    const all = deliveredBelow(made);
    for (const [index, child] of all.entries()) {
      const sound = callChild.encode(child).slice();
      for (let at = 0; at < sound.length; at++) {
        const changed = sound.slice();
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
        let read: CallChild;
        try {
          read = callChild.decode(changed);
        } catch {
          continue;
        }
        const altered = all.map((same, i) => (i === index ? read : same));
        expect(refused(made, altered), `call ${index}, byte ${at}`).not.toBe('');
      }
    }
  });

  it('name every signature that they rest on', () => {
    const { signatures } = readTree(makeTree(story()), deliveredBelow(makeTree(story())));
    expect(signatures.map(({ type }) => type).sort()).toEqual(
      ['call', 'charge', 'receipt'].flatMap((type) => [type, type, type]),
    );
  });
});
