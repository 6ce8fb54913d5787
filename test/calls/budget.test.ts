import { describe, expect, it } from 'vitest';
import {
  budgetFault,
  checkParents,
  childContext,
  type PlacedCall,
  rootContext,
  type Spending,
  verifyParents,
} from '../../src/protocol/budget.ts';
import type { CallParent } from '../../src/protocol/call.ts';
import { type CallBudget, type CallContext, type Envelope, envelope } from '../../src/protocol/envelope.ts';
import { CALL_DEADLINE_MS_MAX, CALL_DEPTH_MAX } from '../../src/protocol/limits.ts';
import { createVerifier } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { certify, keyOf, makeTree, NETWORK, NOW_MS, type Plan, parentsOf, sign } from './tree-maker.ts';

const budget = (change: Partial<CallBudget> = {}): CallBudget => ({
  amount: 1_000n,
  depth: 3,
  deadlineMs: NOW_MS + 60_000,
  skills: [],
  ...change,
});

const wanted = (change: Partial<Spending> = {}): Spending => ({
  amount: 400n,
  skill: { name: 'answer' },
  endsAtMs: NOW_MS + 20_000,
  budget: undefined,
  ...change,
});

const whatOf = (above: CallBudget | undefined, spending: Spending): unknown =>
  budgetFault(above, spending)?.facts;

describe('a budget', () => {
  it('lets inside what is inside (CALL-83)', () => {
    expect(budgetFault(budget(), wanted())).toBeUndefined();
    const whole = { amount: 1_000n, budget: budget({ depth: 2 }), endsAtMs: NOW_MS + 60_000 };
    expect(budgetFault(budget(), wanted(whole))).toBeUndefined();
    const named = budget({ skills: ['answer', 'explain'] });
    expect(budgetFault(named, wanted({ budget: budget({ depth: 2, skills: ['explain'] }) }))).toBeUndefined();
  });

  it('refuses what is not, and says what is left and what was wanted (CALL-83)', () => {
    expect(whatOf(undefined, wanted())).toEqual({ what: 'budget', left: '0', wanted: '1' });
    expect(whatOf(budget({ depth: 0 }), wanted())).toEqual({ what: 'depth', left: '0', wanted: '1' });
    expect(whatOf(budget(), wanted({ budget: budget() }))).toEqual({ what: 'depth', left: '3', wanted: '4' });
    const late = { endsAtMs: NOW_MS + 90_001 };
    expect(whatOf(budget(), wanted(late))).toMatchObject({ what: 'deadline' });
    expect(budgetFault(budget(), wanted({ endsAtMs: NOW_MS + 90_000 }))).toBeUndefined();
    const longer = budget({ depth: 1, deadlineMs: NOW_MS + 60_001 });
    expect(whatOf(budget(), wanted({ budget: longer }))).toMatchObject({ what: 'deadline' });
    const named = budget({ skills: ['explain'] });
    expect(whatOf(named, wanted())).toEqual({ what: 'skills', left: 'explain', wanted: 'answer' });
    expect(whatOf(named, wanted({ skill: { name: undefined } }))).toMatchObject({ wanted: 'any' });
    const explain = { skill: { name: 'explain' } };
    expect(whatOf(named, wanted({ ...explain, budget: budget({ depth: 1 }) }))).toMatchObject({
      wanted: 'any',
    });
    const other = budget({ depth: 1, skills: ['explain', 'sing'] });
    expect(whatOf(named, wanted({ ...explain, budget: other }))).toMatchObject({ wanted: 'sing' });
    expect(whatOf(budget(), wanted({ amount: 1_001n }))).toEqual({
      what: 'amount',
      left: '1000',
      wanted: '1001',
    });
    const passed = budget({ depth: 1, amount: 1_001n });
    expect(whatOf(budget(), wanted({ budget: passed }))).toMatchObject({ what: 'amount', wanted: '1001' });
  });

  it('tells the first of several faults in its order (CALL-83)', () => {
    const all = {
      amount: 9_999n,
      endsAtMs: NOW_MS * 2,
      skill: { name: 'sing' },
      budget: budget({ depth: 9 }),
    };
    const tight = budget({ skills: ['explain'] });
    const order = [
      whatOf(undefined, wanted(all)),
      whatOf(tight, wanted(all)),
      whatOf(tight, wanted({ ...all, budget: undefined })),
      whatOf(tight, wanted({ ...all, budget: undefined, endsAtMs: 0 })),
      whatOf(budget(), wanted({ ...all, budget: undefined, endsAtMs: 0 })),
    ];
    expect(order.map((facts) => (facts as { what: string }).what)).toEqual([
      'budget',
      'depth',
      'deadline',
      'skills',
      'amount',
    ]);
  });

  it('never grows on its way down: what two steps allow, one would (CALL-83)', () => {
    const all = [0n, 1n].flatMap((amount) =>
      [0, 1, 2, 3].flatMap((depth) =>
        [1, 2].flatMap((ends) =>
          [[], ['a'], ['a', 'b']].map((skills) =>
            budget({ amount, depth, deadlineMs: NOW_MS + ends, skills }),
          ),
        ),
      ),
    );
    const below = (above: CallBudget): readonly CallBudget[] =>
      all.filter((passed) => budgetFault(above, { amount: 0n, endsAtMs: 0, budget: passed }) === undefined);
    for (const first of all) {
      const direct = new Set(below(first));
      for (const second of direct) {
        expect(second.amount).toBeLessThanOrEqual(first.amount);
        expect(second.depth).toBeLessThan(first.depth);
        for (const third of below(second)) expect(direct.has(third)).toBe(true);
      }
    }
  });
});

describe('the place of a call', () => {
  it('is its own root without a parent, or below another (CALL-81)', () => {
    const id = new Uint8Array(16).fill(7);
    expect(rootContext(id, undefined)).toBeUndefined();
    const top = rootContext(id, budget());
    expect(top).toEqual({ root: id, parent: undefined, depth: 0, budget: budget() });
    const plain = { id, context: undefined } as unknown as Envelope;
    expect(childContext(plain, undefined)).toEqual({ root: id, parent: id, depth: 1, budget: undefined });
  });
});

const verifier = createVerifier(suite);

/** A line of calls, agent i of operator i asking agent i + 1 of operator i + 1. */
function lineOf(length: number, change: Partial<Plan> = {}): Plan {
  const plan = (number: number): Plan => ({
    agent: number,
    operator: number,
    price: { perCall: 100n, perInputUnit: 1n, perOutputUnit: 1n },
    inputUnits: 1,
    outputUnits: 1,
    finish: 'done',
    skill: 'answer',
    free: false,
    slack: 0n,
    children: number < length ? [plan(number + 1)] : [],
    ...change,
  });
  return plan(1);
}

type Change = (sound: Envelope, index: number) => Envelope;

/** The last call of a line, as its host sees it. */
function placed(length: number, change: Change = (same) => same): PlacedCall {
  const made = makeTree(lineOf(length), { envelope: (sound, plan) => change(sound, plan.agent - 1) });
  const line = [made, ...[...made.below].reverse()];
  const operators = line.map((_, i) => i + 1);
  const own = line.at(-1)?.envelope as Envelope;
  return {
    envelope: own,
    request: { priceMax: 102n, skill: 'answer', deadlineMs: 20_000 },
    parents: parentsOf(line, operators),
  };
}

const inContext =
  (at: number, change: (context: CallContext) => Partial<CallContext>): Change =>
  (sound, index) =>
    index === at && sound.context
      ? { ...sound, context: { ...sound.context, ...change(sound.context) } }
      : sound;

const granting = (at: number, change: Partial<CallBudget>): Change =>
  inContext(at, ({ budget: granted }) => ({ budget: granted && { ...granted, ...change } }));

async function refusal(call: PlacedCall): Promise<{ code: string; facts: Record<string, unknown> }> {
  const given = await checkParents({ verifier, network: NETWORK }, call).then(
    () => expect.fail('the calls above are taken'),
    (error: { code: string; facts: Record<string, unknown> }) => ({ code: error.code, facts: error.facts }),
  );
  // Evidence is judged by the same rules, at once.
  expect(() => verifyParents(suite, NETWORK, call)).toThrow(given.code);
  return given;
}

const swapped = (call: PlacedCall, at: number, change: (parent: CallParent) => CallParent): PlacedCall => ({
  ...call,
  parents: call.parents.map((parent, i) => (i === at ? change(parent) : parent)),
});

describe('what a call shows of those above it', () => {
  it('holds for a root, a child and the deepest call (CALL-81, CALL-82)', async () => {
    for (const length of [1, 2, 3, CALL_DEPTH_MAX + 1]) {
      const call = placed(length);
      const above = await checkParents({ verifier, network: NETWORK }, call);
      expect(above.map(({ id }) => id[3])).toEqual(Array.from({ length: length - 1 }, (_, i) => i + 1));
      expect(verifyParents(suite, NETWORK, call)).toEqual(above);
    }
    const plain: PlacedCall = { ...placed(1), envelope: { ...placed(1).envelope, context: undefined } };
    expect(await checkParents({ verifier, network: NETWORK }, plain)).toEqual([]);
  });

  it('is as much as its depth says (CALL-82)', async () => {
    const call = placed(3);
    expect(await refusal({ ...call, parents: call.parents.slice(1) })).toMatchObject({ code: 'malformed' });
    expect(await refusal({ ...call, parents: [] })).toMatchObject({ code: 'malformed' });
    const root = placed(1);
    expect(await refusal({ ...root, parents: call.parents })).toMatchObject({ code: 'malformed' });
    const bare = { ...root, envelope: { ...root.envelope, context: undefined } };
    expect(await refusal({ ...bare, parents: call.parents })).toMatchObject({ code: 'malformed' });
  });

  it('is calls of this network, signed, to agents (CALL-82)', async () => {
    const unsigned = (parent: CallParent): CallParent => ({
      ...parent,
      envelope: { ...parent.envelope, signature: new Uint8Array(0) },
    });
    expect(await refusal(swapped(placed(3), 1, unsigned))).toMatchObject({ code: 'signature-missing' });
    const foreign: Change = (sound, i) => (i === 0 ? { ...sound, network: 'other-0000000000000000' } : sound);
    expect(await refusal(placed(3, foreign))).toMatchObject({ code: 'network-mismatch' });
    const newer: Change = (sound, i) => (i === 0 ? { ...sound, version: 2 } : sound);
    expect(await refusal(placed(3, newer))).toMatchObject({ code: 'version-unsupported' });
    const resumed: Change = (sound, i) => (i === 0 ? { ...sound, bodyType: 'resume' } : sound);
    expect(await refusal(placed(3, resumed))).toMatchObject({ code: 'malformed' });
    const peer: Change = (sound, i) => (i === 0 ? { ...sound, to: { ...sound.to, kind: 'peer' } } : sound);
    expect(await refusal(placed(3, peer))).toMatchObject({ code: 'malformed' });
  });

  it('is one line from one root (CALL-81, CALL-82)', async () => {
    const other = new Uint8Array(16).fill(9);
    for (const at of [0, 1, 2]) {
      expect(
        await refusal(
          placed(
            3,
            inContext(at, () => ({ root: other })),
          ),
        ),
      ).toMatchObject({ code: 'malformed' });
    }
    for (const at of [0, 1, 2]) {
      expect(
        await refusal(
          placed(
            3,
            inContext(at, () => ({ parent: other })),
          ),
        ),
      ).toMatchObject({ code: 'malformed' });
    }
    expect(
      await refusal(
        placed(
          3,
          inContext(1, () => ({ parent: undefined })),
        ),
      ),
    ).toMatchObject({ code: 'malformed' });
    expect(
      await refusal(
        placed(
          3,
          inContext(1, () => ({ depth: 2 })),
        ),
      ),
    ).toMatchObject({ code: 'malformed' });
    const call = placed(3);
    expect(await refusal({ ...call, parents: [...call.parents].reverse() })).toMatchObject({
      code: 'malformed',
    });
  });

  it('is signed by who sent it (CALL-82)', async () => {
    const forged = (parent: CallParent): CallParent => ({
      ...parent,
      envelope: sign(keyOf('payer', 9), 'call', parent.envelope.payload),
    });
    for (const at of [0, 1]) {
      expect(await refusal(swapped(placed(3), at, forged))).toMatchObject({ code: 'signature-invalid' });
    }
    const renamed = (parent: CallParent): CallParent => {
      const payload = envelope.encode({ ...envelope.decode(parent.envelope.payload), sequence: 99 });
      return { ...parent, envelope: { ...parent.envelope, payload } };
    };
    expect(await refusal(swapped(placed(3), 0, renamed))).toMatchObject({ code: 'signature-invalid' });
  });

  it('belongs to who makes the next call (CALL-82)', async () => {
    const call = placed(3);
    const agent = (at: number): Uint8Array => keyOf('agent', at + 1).publicKey;
    const with_ = (at: number, certificate: Uint8Array): PlacedCall =>
      swapped(call, at, (parent) => ({ ...parent, certificate }));
    const cases = [
      with_(0, certify(keyOf('operator', 2), agent(0))),
      with_(1, certify(keyOf('operator', 2), agent(0))),
      with_(1, certify(keyOf('operator', 2), agent(1), { capabilities: ['read:*'] })),
      with_(1, certify(keyOf('operator', 2), agent(1), { notAfterMs: NOW_MS - 40_000 })),
      with_(0, new Uint8Array(0)),
      with_(0, new Uint8Array([1, 2, 3])),
    ];
    for (const bad of cases) expect(await refusal(bad)).toMatchObject({ code: 'certificate-invalid' });
    // Somebody else shows the line of calls as if it were theirs.
    const stolen = { ...call, envelope: { ...call.envelope, from: keyOf('operator', 9).publicKey } };
    expect(await refusal(stolen)).toMatchObject({ code: 'certificate-invalid' });
  });

  it('grants what the call wants, at every step (CALL-82, CALL-83, CALL-89)', async () => {
    const exceeded = async (call: PlacedCall, what: string): Promise<void> =>
      expect(await refusal(call)).toMatchObject({ code: 'budget-exceeded', facts: { what } });
    await exceeded({ ...placed(3), request: { priceMax: 103n, skill: 'answer', deadlineMs: 1 } }, 'amount');
    await exceeded(placed(3, granting(0, { amount: 101n })), 'amount');
    await exceeded(placed(3, granting(0, { depth: 1 })), 'depth');
    await exceeded(placed(3, granting(1, { deadlineMs: NOW_MS + 60_001 })), 'deadline');
    await exceeded(placed(3, granting(1, { skills: ['sing'] })), 'skills');
    await exceeded(placed(3, granting(0, { skills: ['answer'] })), 'skills');
    await exceeded(
      placed(
        3,
        inContext(0, () => ({ budget: undefined })),
      ),
      'budget',
    );
    await exceeded(
      placed(
        3,
        inContext(1, () => ({ budget: undefined })),
      ),
      'budget',
    );
    const endless = { deadlineMs: NOW_MS + CALL_DEADLINE_MS_MAX + 1 };
    await exceeded(placed(3, granting(0, endless)), 'deadline');
    const root = placed(1, (sound) => ({
      ...sound,
      context: { root: sound.id, parent: undefined, depth: 0, budget: budget(endless) },
    }));
    await exceeded(root, 'deadline');
  });

  it('goes in no circle (CALL-84)', async () => {
    const again: Change = (sound, i) =>
      i === 2 ? { ...sound, to: { kind: 'agent', name: keyOf('agent', 1).publicKey } } : sound;
    expect(await refusal(placed(3, again))).toMatchObject({ code: 'call-cycle' });
  });

  it('is judged in one order (CALL-82)', async () => {
    const circle: Change = (sound, i) =>
      i === 2 ? { ...sound, to: { kind: 'agent', name: keyOf('agent', 1).publicKey } } : sound;
    const greedy = { priceMax: 999n, skill: 'answer', deadlineMs: 1 };
    const call = { ...placed(3, circle), request: greedy };
    expect(await refusal(call)).toMatchObject({ code: 'budget-exceeded' });
    const bare = swapped(call, 1, (parent) => ({ ...parent, certificate: new Uint8Array(0) }));
    expect(await refusal(bare)).toMatchObject({ code: 'certificate-invalid' });
    const forged = swapped(bare, 1, (parent) => ({
      ...parent,
      envelope: sign(keyOf('payer', 9), 'call', parent.envelope.payload),
    }));
    expect(await refusal(forged)).toMatchObject({ code: 'signature-invalid' });
    const unsigned = swapped(forged, 1, (parent) => ({
      ...parent,
      envelope: { ...parent.envelope, signature: new Uint8Array(0) },
    }));
    expect(await refusal(unsigned)).toMatchObject({ code: 'signature-missing' });
    expect(await refusal({ ...unsigned, parents: unsigned.parents.slice(0, 1) })).toMatchObject({
      code: 'malformed',
    });
  });
});
