import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CallResult } from '../../src/agent/caller.ts';
import type { CallsBelow } from '../../src/agent/calls-below.ts';
import { createDelegateAnswerer } from '../../src/agent/delegate.ts';
import type { Answerer, AnswerPart } from '../../src/agent/ports.ts';
import { type BilledCall, billLines, verifyTree } from '../../src/protocol/bill.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { callChild } from '../../src/protocol/checkpoint.ts';
import { envelope } from '../../src/protocol/envelope.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { asking, createTown, saying, type Town } from './budget-town.ts';
import { AGENT_ASSET, quotingAnswerer } from './rig.ts';

/** The verified bill of a call, from what its caller keeps. */
function billOf({ evidence, receipt }: CallResult): BilledCall {
  const made = envelope.decode(evidence.opening.envelope.payload);
  const children = evidence.deliveries
    .filter(({ kind }) => kind === CALL_FRAME.child)
    .map(({ body }) => callChild.decode(body));
  return verifyTree(suite, { envelope: made, receipt }, children);
}

const delegate = (...agents: readonly (readonly [agent: string, budget?: number])[]): Answerer =>
  createDelegateAnswerer({
    asset: AGENT_ASSET,
    delegates: agents.map(([agent, budget = 0]) => ({ agent, skill: 'answer', budget })),
  });

/** Says one word and then what `ask` does. */
const speaking = (ask: (calls: CallsBelow, signal: AbortSignal) => AsyncIterable<AnswerPart>): Answerer =>
  asking(async function* (calls, signal) {
    yield { type: 'delta', text: 'well ', citations: [] };
    yield* ask(calls, signal);
  });

const END: AnswerPart = { type: 'end', finish: 'done' };

const alice = { operator: 'alice', price: { perCall: 100n, perOutputUnit: 1n } };
const bob = { operator: 'bob', price: { perCall: 200n, perOutputUnit: 2n } };
const carol = { operator: 'carol', price: { perCall: 300n, perOutputUnit: 3n } };

const failure = async (
  result: Promise<CallResult>,
): Promise<{ code: string; facts: Record<string, unknown> }> =>
  result.then(
    () => expect.fail('it was answered'),
    (error: { code: string; facts: Record<string, unknown> }) => ({ code: error.code, facts: error.facts }),
  );

/** What an agent's question to others failed with, told in its answer. */
function telling(ask: (calls: CallsBelow) => Promise<unknown>): Answerer {
  return speaking(async function* (calls) {
    const said = await ask(calls).then(
      () => 'asked',
      ({ code, facts }: { code: string; facts: object }) => `${code} ${JSON.stringify(facts)}`,
    );
    yield { type: 'delta', text: said, citations: [] };
    yield END;
  });
}

const balance = (town: Town, who: string): bigint =>
  town.peers[who]?.payer.balances().reduce((sum, { charged }) => sum + charged, 0n) ?? -1n;

describe('a tree of calls', () => {
  it('is paid at each step, delivered, and billed to the grain (CALL-80, CALL-81, CALL-86, CALL-88)', async () => {
    const town = await createTown({
      agents: {
        desk: { ...alice, answerer: delegate(['library', 500_000], ['guide']) },
        library: { ...bob, answerer: delegate(['guide']) },
        guide: { ...carol, answerer: quotingAnswerer() },
      },
    });
    const result = await town.ask('desk', { budget: { amount: 20_000n } }).result;
    expect(result.finish).toBe('done');
    expect(result.text).toMatch(/^library:\nA payee claims .*\n\nguide:\nA payee claims/s);
    expect(result.sources).toHaveLength(2);
    expect(result.citations).toHaveLength(6);
    const bill = billOf(result);
    // The guide: 300 and 19 units; the library: 200 and as many; the desk: both, and two names.
    const guide = 300n + 3n * 19n;
    const library = 200n + 2n * 19n;
    const desk = 100n + 40n;
    const items = billLines(bill).map(({ level, own, total }) => [level, own, total]);
    // Calls side by side stand in the order in which they ended.
    expect(new Set(items.map(String))).toEqual(
      new Set([
        `0,${desk},${desk + library + 2n * guide}`,
        `1,${library},${library + guide}`,
        `2,${guide},${guide}`,
        `1,${guide},${guide}`,
      ]),
    );
    expect(items).toHaveLength(4);
    expect(bill.total).toBe(result.amount);
    // Everybody paid what they were charged, and nobody else did.
    expect(balance(town, 'payer')).toBe(bill.total);
    expect(balance(town, 'alice')).toBe(library + 2n * guide);
    expect(balance(town, 'bob')).toBe(guide);
    expect(result.receipt.shares.find(({ role }) => role === 'calls')?.amount).toBe(result.receipt.expenses);
  });

  it('is counted call by call as it ends, in the chain (CALL-86)', async () => {
    const town = await createTown({
      agents: { desk: { ...alice, answerer: delegate(['guide']) }, guide: { ...carol, answerer: saying(2) } },
    });
    const handle = town.ask('desk', { budget: {} });
    const seen: string[] = [];
    for await (const { type } of handle.events()) seen.push(type);
    expect(seen.filter((type) => type !== 'text')).toEqual(['child', 'ending']);
    const { receipt, evidence } = await handle.result;
    expect(receipt.deliveries).toBe(evidence.deliveries.length);
  });

  it('goes by the clock that was corrected (CALL-83, ENV-4)', async () => {
    const behindMs = 400_000;
    const town = await createTown({
      behindMs,
      agents: { desk: { ...alice, answerer: delegate(['guide']) }, guide: { ...carol, answerer: saying(1) } },
    });
    const deadlineMs = Date.now() - behindMs + 30_000;
    const result = await town.ask('desk', { deadlineMs: 30_000, budget: { deadlineMs } }).result;
    expect(billOf(result).below).toBe(303n);
  });

  it('costs an operator nothing of its own for its own agent, and passes on what that paid (CALL-80)', async () => {
    const town = await createTown({
      agents: {
        desk: { ...alice, answerer: delegate(['helper', 1_000_000]) },
        helper: { ...alice, answerer: delegate(['guide']) },
        guide: { ...carol, answerer: saying(5) },
      },
    });
    const asked = await town.ask('desk', { budget: {} }).result;
    const guide = 300n + 15n;
    expect(billLines(billOf(asked)).map(({ own }) => own)).toEqual([105n, 0n, guide]);
    expect(asked.amount).toBe(105n + guide);
    const own = await town.ask('desk', { from: 'alice', budget: {} }).result;
    expect(own.amount).toBe(0n);
    expect(own.receipt.expenses).toBe(guide);
    expect(billOf(own).total).toBe(guide);
    expect(balance(town, 'alice')).toBe(2n * guide);
  });

  it('opens a channel where there is none, and takes what is given away (CALL-80)', async () => {
    const town = await createTown({
      channels: false,
      agents: {
        desk: { ...alice, price: { perCall: 0n }, answerer: delegate(['guide'], ['gift']) },
        guide: { ...carol, answerer: saying(1) },
        gift: { ...bob, price: { perCall: 0n }, answerer: saying(1) },
      },
    });
    const result = await town.ask('desk', { from: 'alice', budget: { amount: 10_000n } }).result;
    expect(new Set(billOf(result).children.map(({ total }) => total))).toEqual(new Set([0n, 303n]));
  });

  it('covers the whole budget before it begins, also where it is metered (CALL-80)', async () => {
    const price = { perCall: 0n, perOutputUnit: 1_000_000n };
    const town = await createTown({
      deposit: 1_000_000_000_000n,
      agents: {
        desk: { ...alice, price, answerer: delegate(['guide']) },
        guide: { ...carol, answerer: saying(90) },
      },
    });
    const asked = { priceMax: 2_000_000_000n, budget: { amount: 50_000_000n } };
    const handle = town.ask('desk', asked);
    const covers: bigint[] = [];
    for await (const event of handle.events()) if (event.type === 'checkpoint') covers.push(event.cover);
    const result = await handle.result;
    expect(result.amount).toBe(90_000_000n + 570n);
    expect(covers.length).toBeGreaterThan(0);
    expect(billOf(result).total).toBe(result.amount);
  });
});

describe('what calls below may cost', () => {
  const guide = { ...carol, skills: ['answer', 'sing'], answerer: saying(4) };

  async function told(
    ask: (calls: CallsBelow) => Promise<unknown>,
    budget: object | undefined,
  ): Promise<{ readonly said: string; readonly town: Town }> {
    const town = await createTown({ agents: { desk: { ...alice, answerer: telling(ask) }, guide } });
    const { text } = await town.ask('desk', budget && { budget }).result;
    return { said: text.replace('well ', ''), town };
  }

  const question = { agent: 'guide', question: 'What?', skill: 'answer' };

  it('is refused before anything is sent: depth, skill, time, amount (CALL-85)', async () => {
    const one = (calls: CallsBelow): Promise<unknown> => calls.ask(question).result;
    const cases: readonly (readonly [string, object | undefined])[] = [
      ['"what":"depth","left":"0","wanted":"1"', { depth: 0 }],
      ['"what":"skills","left":"sing","wanted":"answer"', { skills: ['sing'] }],
      ['"what":"deadline"', { deadlineMs: 1 }],
      ['"what":"amount","left":"299","wanted":"300"', { amount: 299n }],
    ];
    for (const [facts, budget] of cases) {
      const { said, town } = await told(one, budget);
      expect(said).toContain('budget-exceeded');
      expect(said).toContain(facts);
      expect(town.peers.alice?.made).toEqual([]);
      expect(balance(town, 'alice')).toBe(0n);
    }
  });

  it('is nothing without a budget (CALL-80)', async () => {
    const town = await createTown({ agents: { desk: { ...alice, answerer: delegate(['guide']) }, guide } });
    expect(await failure(town.ask('desk').result)).toMatchObject({
      code: 'budget-exceeded',
      facts: { what: 'budget' },
    });
  });

  it('counts calls side by side together, and gives back what they did not use (CALL-85)', async () => {
    const { said, town } = await told(
      async (calls) => {
        const left: bigint[] = [calls.left];
        const first = calls.ask({ ...question, priceMax: 500n });
        const second = calls.ask({ ...question, priceMax: 500n });
        const third = calls.ask({ ...question, priceMax: 500n });
        await Promise.all([first.card, second.card, third.card]);
        await expect(third.result).rejects.toMatchObject({
          code: 'budget-exceeded',
          facts: { what: 'amount', left: '200', wanted: '300' },
        });
        left.push(calls.left);
        await Promise.all([first.result, second.result]);
        left.push(calls.left);
        await calls.ask({ ...question, priceMax: 500n }).result;
        left.push(calls.left);
        expect(left).toEqual([1_200n, 200n, 1_200n - 624n, 1_200n - 936n]);
      },
      { amount: 1_200n },
    );
    expect(said).toBe('asked');
    expect(balance(town, 'alice')).toBe(936n);
  });

  it('goes in no circle (CALL-84, CALL-85)', async () => {
    const town = await createTown({
      agents: {
        desk: { ...alice, answerer: delegate(['library', 1_000_000]) },
        library: { ...bob, answerer: telling((calls) => calls.ask({ ...question, agent: 'desk' }).result) },
      },
    });
    const { text } = await town.ask('desk', { budget: {} }).result;
    expect(text).toContain('call-cycle');
    expect(town.peers.bob?.made).toEqual([]);
  });

  it('is refused by a host when a caller passes on more than it has (CALL-82, CALL-83)', async () => {
    const town = await createTown({ agents: { desk: { ...alice, answerer: saying(1) }, guide } });
    const above = await town.ask('desk', { budget: { amount: 500n } }).result;
    const parent = envelope.decode(above.evidence.opening.envelope.payload);
    const { operatorCertificate } = town.agent('desk').card;
    const parents = [{ envelope: above.evidence.opening.envelope, certificate: operatorCertificate }];
    const ask = (change: object): Promise<CallResult> =>
      town.ask('guide', { from: 'alice', priceMax: 400n, below: { parent, parents }, ...change }).result;
    expect((await ask({ deadlineMs: 10_000 })).amount).toBe(312n);
    const until = parent.context?.budget?.deadlineMs ?? 0;
    const refused = async (change: object): Promise<unknown> =>
      (await failure(ask({ deadlineMs: 10_000, ...change }))).facts.what;
    expect(await refused({ priceMax: 900n, budget: { amount: 501n, depth: 2, deadlineMs: until } })).toBe(
      'amount',
    );
    expect(await refused({ budget: { amount: 0n, depth: 4, deadlineMs: until } })).toBe('depth');
    // Another operator shows the same call above as if it were its own.
    const stolen = town.ask('guide', {
      from: 'payer',
      priceMax: 400n,
      below: { parent, parents },
      deadlineMs: 9_000,
    });
    expect((await failure(stolen.result)).code).toBe('certificate-invalid');
  });

  it('has to be paid for: by the price, and with money (CALL-80)', async () => {
    const town = await createTown({ agents: { desk: { ...alice, freeCalls: 3, answerer: saying(1) } } });
    expect(
      await failure(town.ask('desk', { priceMax: 600n, budget: { amount: 501n } }).result),
    ).toMatchObject({
      code: 'price-above-max',
      facts: { price: '601' },
    });
    const free = town.ask('desk', { payment: 'free', budget: { amount: 1n } });
    expect((await failure(free.result)).code).toBe('payment-required');
    expect((await town.ask('desk', { payment: 'free', budget: { amount: 0n } }).result).amount).toBe(0n);
  });
});

describe('the end of a call with calls below', () => {
  /** Resolves when the guide has said so many words; from there on it waits for its signal. */
  function slow(words: number): { readonly answerer: Answerer; readonly reached: Promise<void> } {
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const answerer = saying(100, async (word, signal) => {
      if (word < words) return;
      resolve();
      await new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
      );
    });
    return { answerer, reached };
  }

  it('stops them at their price, and bills them, when it is stopped (CALL-87)', async () => {
    const { answerer, reached } = slow(3);
    const town = await createTown({
      agents: { desk: { ...alice, answerer: delegate(['guide']) }, guide: { ...carol, answerer } },
    });
    const handle = town.ask('desk', { budget: {} });
    await reached;
    handle.stop();
    const result = await handle.result;
    expect(result.finish).toBe('cancelled');
    const bill = billOf(result);
    expect(bill.children).toMatchObject([{ total: 309n, finish: 'cancelled' }]);
    expect(result.amount).toBe(bill.own + 309n);
  });

  it('bills them though it said nothing itself, and asks nothing for itself (CALL-87)', async () => {
    const { answerer, reached } = slow(2);
    const town = await createTown({
      agents: {
        desk: {
          ...alice,
          answerer: asking(async function* (calls) {
            await calls.ask({ agent: 'guide', question: 'What?' }).result;
            yield END;
          }),
        },
        guide: { ...carol, answerer },
      },
    });
    const handle = town.ask('desk', { budget: {} });
    await reached;
    handle.stop();
    const result = await handle.result;
    expect(billOf(result)).toMatchObject({ own: 0n, below: 306n, total: 306n, finish: 'cancelled' });
    expect(result.text).toBe('');
  });

  it('bills what ended before it failed (CALL-87)', async () => {
    const town = await createTown({
      agents: {
        desk: {
          ...alice,
          answerer: asking(async function* (calls) {
            await calls.ask({ agent: 'guide', question: 'What?' }).result;
            yield { type: 'delta', text: 'Hm', citations: [] };
            throw new TypeError('broken');
          }),
        },
        guide: { ...carol, answerer: saying(1) },
      },
    });
    const result = await town.ask('desk', { budget: {} }).result;
    expect(billOf(result)).toMatchObject({ finish: 'failed', below: 303n });
  });

  it('stops those that nobody waits for (CALL-87)', async () => {
    const { answerer, reached } = slow(4);
    const town = await createTown({
      agents: {
        desk: {
          ...alice,
          answerer: speaking(async function* (calls) {
            calls.ask({ agent: 'guide', question: 'What?' });
            await reached;
            yield END;
          }),
        },
        guide: { ...carol, answerer },
      },
    });
    const result = await town.ask('desk', { budget: {} }).result;
    expect(result.finish).toBe('done');
    expect(billOf(result).children).toMatchObject([{ total: 312n, finish: 'cancelled' }]);
  });

  it('ends also when its agent has ceased to read what it asked for (CALL-87)', async () => {
    const dots: Answerer = {
      answer: () => ({
        parts: (async function* (): AsyncGenerator<AnswerPart> {
          for (let i = 0; i < 3_000; i++) yield { type: 'delta', text: '. ', citations: [] };
          yield END;
        })(),
        shares: () => ({ rule: 'test/1', shares: [{ asset: AGENT_ASSET, role: 'agent', ppm: 1_000_000 }] }),
      }),
    };
    const { promise: full, resolve } = Promise.withResolvers<void>();
    const town = await createTown({
      agents: {
        desk: {
          ...alice,
          answerer: speaking(async function* (calls, signal) {
            const events = calls.ask({ agent: 'guide', question: 'What?' }).events()[Symbol.asyncIterator]();
            await events.next();
            resolve();
            await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
            yield END;
          }),
        },
        guide: { ...carol, answerer: dots },
      },
    });
    const handle = town.ask('desk', { budget: {} });
    await full;
    await new Promise((done) => setTimeout(done, 50));
    handle.stop();
    expect(billOf(await handle.result).children).toMatchObject([{ finish: 'cancelled', total: 300n }]);
  });

  it('keeps held what a call may have cost whose end is unknown, and does not bill it (CALL-85)', async () => {
    const left: bigint[] = [];
    const town = await createTown({
      agents: {
        desk: {
          ...alice,
          answerer: speaking(async function* (calls) {
            await calls.ask({ agent: 'guide', question: 'What?', priceMax: 400n }).result.catch(() => {});
            left.push(calls.left);
            yield END;
          }),
        },
        guide: { ...carol, answerer: saying(9) },
      },
      pair: (agent) => ({
        tap: (frame, from, index) => (agent === 'guide' && from === 'host' && index === 2 ? 'cut' : frame),
      }),
    });
    const result = await town.ask('desk', { budget: { amount: 1_000n } }).result;
    expect(left).toEqual([600n]);
    expect(billOf(result)).toMatchObject({ below: 0n, children: [] });
  });

  it('costs nothing when nothing came of anything (CALL-42, CALL-87)', async () => {
    const town = await createTown({ agents: { desk: { ...alice, answerer: delegate(['nobody']) } } });
    expect((await failure(town.ask('desk', { budget: {} }).result)).code).toBe('agent-unknown');
    expect(balance(town, 'payer')).toBe(0n);
  });
});

describe('an agent that bills what it did not pay', () => {
  const once = async (): Promise<{
    readonly town: Town;
    readonly child: AnswerPart;
    readonly spoil: { part?: AnswerPart };
  }> => {
    const spoil: { part?: AnswerPart } = {};
    const town = await createTown({
      agents: {
        desk: {
          ...alice,
          answerer: speaking(async function* (calls) {
            await calls.ask({ agent: 'guide', question: 'What?' }).result;
            if (spoil.part) yield spoil.part;
            yield { type: 'delta', text: 'done', citations: [] };
            yield END;
          }),
        },
        guide: { ...carol, answerer: saying(1) },
      },
    });
    const { evidence } = await town.ask('desk', { budget: {} }).result;
    const body = evidence.deliveries.find(({ kind }) => kind === CALL_FRAME.child)?.body as Uint8Array;
    return { town, child: { type: 'child', body, amount: 303n }, spoil };
  };

  it('is refused: the call of another tree, or one that was counted already (CALL-88)', async () => {
    const { town, child, spoil } = await once();
    spoil.part = child;
    expect(await failure(town.ask('desk', { budget: {} }).result)).toMatchObject({ code: 'receipt-invalid' });
  });

  it('is refused: a call whose signatures do not hold (CALL-88)', async () => {
    const { town, child, spoil } = await once();
    if (child.type !== 'child') throw new TypeError('a child');
    const read = callChild.decode(child.body);
    const forged = callChild.encode({ ...read, receipt: { ...read.receipt, signature: new Uint8Array(64) } });
    spoil.part = { ...child, body: forged };
    expect(await failure(town.ask('desk', { budget: {} }).result)).toMatchObject({ code: 'receipt-invalid' });
  });
});

describe('random towns', () => {
  it('never spend above a budget, and bill to the grain (CALL-83, CALL-85, CALL-88)', {
    timeout: 120_000,
  }, async () => {
    const wish = fc.record({ to: fc.nat(5), priceMax: fc.bigInt(0n, 3_000n), budget: fc.bigInt(0n, 2_000n) });
    const wishes = fc.array(fc.array(wish, { maxLength: 3 }), { minLength: 5, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(wishes, fc.bigInt(0n, 6_000n), async (plan, amount) => {
        const town = await createTown({
          agents: Object.fromEntries(
            Array.from({ length: 6 }, (_, i) => [
              `a${i}`,
              {
                operator: ['alice', 'bob', 'carol'][i % 3] as string,
                price: { perCall: BigInt(50 + 37 * i), perOutputUnit: 5n },
                answerer: speaking(async function* (calls) {
                  const made = (plan[i] ?? []).map(
                    ({ to, priceMax, budget }) =>
                      calls.ask({ agent: `a${to}`, question: 'And?', priceMax, budget }).result,
                  );
                  await Promise.allSettled(made);
                  expect(calls.left).toBeGreaterThanOrEqual(0n);
                  yield END;
                }),
              },
            ]),
          ),
        });
        const result = await town.ask('a0', { budget: { amount, depth: 3 } }).result;
        const bill = billOf(result);
        expect(bill.below).toBeLessThanOrEqual(amount);
        expect(bill.total).toBe(result.amount);
        expect(billLines(bill).reduce((sum, { own }) => sum + own, 0n)).toBe(bill.total);
        const paid = ['payer', 'alice', 'bob', 'carol'].reduce((sum, who) => sum + balance(town, who), 0n);
        const charged = billLines(bill)
          .filter(({ payer, operator }) => !Buffer.from(payer).equals(operator))
          .reduce((sum, { total }) => sum + total, 0n);
        expect(paid).toBe(charged);
      }),
      { numRuns: 12 },
    );
  });
});
