import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue } from '../../../src/agent/llama/fair-queue.ts';
import { type Room, Scheduler, type Turn } from '../../../src/agent/llama/scheduler.ts';
import { SaharaError } from '../../../src/base/errors.ts';
import { settle, TestClock } from '../../calls/host-rig.ts';

interface Item {
  readonly payer: string;
  readonly weight: number;
  readonly tokens: number;
  readonly name: string;
}

const item = (payer: string, tokens = 100, weight = 1, name = ''): Item => ({ payer, tokens, weight, name });
const always = (): boolean => true;

describe('a fair queue', () => {
  test('MODEL-30: a payer’s own come in their order, and payers take turns', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 3; i++) queue.push(item('a', 100, 1, `a${i}`));
    for (let i = 0; i < 3; i++) queue.push(item('b', 100, 1, `b${i}`));
    const planned = [...queue.order()].map(({ name }) => name);
    const taken = Array.from({ length: 6 }, () => queue.take(always)?.name);
    expect(taken).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2']);
    expect(planned).toEqual(taken);
    expect(queue.take(always)).toBeUndefined();
  });

  test('MODEL-30: a flood does not hold up others', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 60; i++) queue.push(item('flood'));
    for (let i = 0; i < 10; i++) queue.take(always);
    for (let i = 0; i < 6; i++) queue.push(item('small'));
    const next = Array.from({ length: 12 }, () => queue.take(always)?.payer);
    expect(next.filter((payer) => payer === 'small')).toHaveLength(6);
  });

  test('MODEL-31: fresh names do not go before everyone', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 20; i++) queue.push(item('old'));
    for (let i = 0; i < 10; i++) queue.take(always);
    let old = 0;
    for (let i = 0; i < 20; i++) {
      queue.push(item(`fresh ${i}`));
      if (queue.take(always)?.payer === 'old') old++;
    }
    // With a start at zero none of the old one's would have come.
    expect(old).toBeGreaterThan(0);
  });

  test.each([1, 4])('MODEL-31: always %s new names do not keep an old one waiting', (names) => {
    const queue = new FairQueue<Item>();
    const running: Item[] = [];
    const turns = 40 * (names + 5);
    let old = 0;
    for (let turn = 0, fresh = 0; turn < turns; turn++) {
      while (queue.lengthOf('old') < 8) queue.push(item('old'));
      while (queue.length < 8 + names) queue.push(item(`fresh ${fresh++}`));
      const ended = running.length < 4 ? undefined : running.shift();
      if (ended) queue.settle(ended, ended.tokens / 2);
      const taken = queue.take(always);
      if (taken) running.push(taken);
      if (taken?.payer === 'old') old++;
    }
    // Four names run, and each that comes is owed for the old one's turn: a share of one in twice as many as are here.
    expect(old).toBeGreaterThanOrEqual(15);
  });

  test('MODEL-32: weights divide what is given', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ weight: fc.integer({ min: 1, max: 8 }), tokens: fc.integer({ min: 1, max: 50 }) }),
          {
            minLength: 2,
            maxLength: 6,
          },
        ),
        (payers) => {
          const queue = new FairQueue<Item>();
          const given = payers.map(() => 0);
          payers.forEach(({ weight, tokens }, i) => {
            for (let n = 0; n < 400; n++) queue.push(item(String(i), tokens, weight));
          });
          for (let n = 0; n < 300; n++) {
            const taken = queue.take(always);
            if (taken) given[Number(taken.payer)] = (given[Number(taken.payer)] ?? 0) + taken.tokens;
          }
          const shares = payers.map(({ weight }, i) => (given[i] ?? 0) / weight);
          const step = Math.max(...payers.map(({ weight, tokens }) => tokens / weight));
          // Nobody who has something waiting is further behind than one request.
          expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(step + 1e-9);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('MODEL-30: whatever happens, all that went in comes out once or was taken out', () => {
    const action = fc.oneof(
      fc.record({
        kind: fc.constant('push' as const),
        payer: fc.constantFrom('a', 'b', 'c'),
        tokens: fc.integer({ min: 1, max: 9 }),
      }),
      fc.record({ kind: fc.constant('take' as const), not: fc.constantFrom('a', 'b', '') }),
      fc.record({ kind: fc.constant('remove' as const), at: fc.nat(20) }),
      fc.record({ kind: fc.constant('settle' as const), used: fc.nat(9) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const queue = new FairQueue<Item>();
        const waiting: Item[] = [];
        const running: Item[] = [];
        for (const act of actions) {
          if (act.kind === 'push') {
            const one = item(act.payer, act.tokens);
            waiting.push(one);
            queue.push(one);
          } else if (act.kind === 'take') {
            const one = queue.take(({ payer }) => payer !== act.not);
            // It takes something whenever there is something that may go.
            expect(one !== undefined).toBe(waiting.some(({ payer }) => payer !== act.not));
            if (one === undefined) continue;
            const first = waiting.find(({ payer }) => payer === one.payer);
            expect(first).toBe(one);
            waiting.splice(waiting.indexOf(one), 1);
            running.push(one);
          } else if (act.kind === 'remove') {
            const one = waiting[act.at];
            if (one === undefined) continue;
            expect(queue.remove(one)).toBe(true);
            expect(queue.remove(one)).toBe(false);
            waiting.splice(act.at, 1);
          } else {
            const one = running.shift();
            if (one !== undefined) queue.settle(one, act.used);
          }
          expect(queue.length).toBe(waiting.length);
          expect([...queue.order()]).toHaveLength(waiting.length);
        }
      }),
    );
  });

  test('MODEL-103: who comes while others run goes before for as much as they hold', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 20; i++) queue.push(item('flood'));
    const running = Array.from({ length: 4 }, () => queue.take(always));
    for (let i = 0; i < 6; i++) queue.push(item('small'));
    const planned = [...queue.order()].slice(0, 8).map(({ payer }) => payer);
    const next = Array.from({ length: 8 }, () => {
      const ended = running.shift();
      if (ended) queue.settle(ended, ended.tokens);
      const taken = queue.take(always);
      running.push(taken);
      return taken?.payer;
    });
    // Four for the four that ran, then in turns.
    expect(next).toEqual(['small', 'small', 'small', 'small', 'flood', 'small', 'flood', 'small']);
    expect(planned).toEqual(next);
  });

  test('MODEL-103: no more is made up for than what runs uses in the end', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 20; i++) queue.push(item('flood'));
    const running = Array.from({ length: 4 }, () => queue.take(always));
    for (let i = 0; i < 6; i++) queue.push(item('small'));
    for (const ended of running) if (ended) queue.settle(ended, 50);
    // Of what was given back the other has as much as it: 200 are owed, and it starts 200 behind.
    const next = Array.from({ length: 6 }, () => queue.take(always)?.payer);
    expect(next).toEqual(['flood', 'small', 'flood', 'small', 'flood', 'small']);
  });

  test('MODEL-103: a greater weight needs fewer tokens to be made up for', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 20; i++) queue.push(item('flood'));
    for (let i = 0; i < 2; i++) queue.take(always);
    for (let i = 0; i < 8; i++) queue.push(item('small', 100, 2));
    const next = Array.from({ length: 6 }, () => queue.take(always)?.payer);
    expect(next).toEqual(['small', 'small', 'flood', 'small', 'small', 'flood']);
  });

  test('MODEL-104: what runs is made up for once, and what was given for it is made up for to nobody', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 400; i++) queue.push(item('old'));
    const running = Array.from({ length: 4 }, () => queue.take(always));
    const given = new Map<string, number>();
    for (let i = 0; i < 200; i++) {
      // A new name every four turns, with as much as it could be owed.
      if (i % 4 === 0) for (let n = 0; n < 4; n++) queue.push(item(`fresh ${i}`));
      const ended = running.shift();
      if (ended) queue.settle(ended, ended.tokens);
      const taken = queue.take(always);
      running.push(taken);
      if (taken) given.set(taken.payer, (given.get(taken.payer) ?? 0) + 1);
    }
    // Each of the fifty names has four; were they made up for by each other, the old one would have none.
    expect(given.get('old')).toBeGreaterThan(4);
  });

  test('MODEL-39: what was not used is given back', () => {
    const queue = new FairQueue<Item>();
    for (let i = 0; i < 4; i++) queue.push(item('a', 100, 1, `a${i}`));
    for (let i = 0; i < 4; i++) queue.push(item('b', 10, 1, `b${i}`));
    const first = queue.take(always);
    expect(first?.name).toBe('a0');
    if (first) queue.settle(first, 5);
    // With 100 counted all of the other's would come before.
    expect(Array.from({ length: 3 }, () => queue.take(always)?.name)).toEqual(['b0', 'a1', 'b1']);
  });
});

/** Room for a number of requests, at one place each. */
class Slots implements Room<string> {
  free: number;
  urgent: string[] = [];
  constructor(free: number) {
    this.free = free;
  }
  begin(): void {
    this.urgent = [];
  }
  take(place: string, { urgent }: { readonly urgent: boolean }): boolean {
    if (urgent) this.urgent.push(place);
    if (this.free === 0 || place === 'nowhere') return false;
    this.free--;
    return true;
  }
  give(): void {
    this.free++;
  }
}

const calm = { signal: new AbortController().signal };

function rig(free: number, options: ConstructorParameters<typeof Scheduler<string>>[1] = {}) {
  const clock = new TestClock();
  const room = new Slots(free);
  const scheduler = new Scheduler<string>({ clock, room }, options);
  const ask = (payer: string, more: object = {}): Promise<Turn> =>
    scheduler.turn({ payer, weight: 1, tokens: 100, place: 'm', ...more }, calm);
  return { clock, room, scheduler, ask };
}

async function refusal(promise: Promise<unknown>): Promise<SaharaError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SaharaError) return error;
    throw error;
  }
  throw new RangeError('it was not refused');
}

describe('a scheduler', () => {
  test('MODEL-33: refuses what is too much, and says when to come again by the rate that was measured', async () => {
    const { ask, clock, scheduler } = rig(1, { queueMax: 3, queuePerPayerMax: 2, retryMs: 777 });
    const running = await ask('a');
    const waiting = [ask('a'), ask('a')];
    expect(await refusal(ask('a'))).toMatchObject({ code: 'overloaded', facts: { retryAfterMs: 777 } });
    waiting.push(ask('b'));
    expect(await refusal(ask('c'))).toMatchObject({ code: 'overloaded', facts: { retryAfterMs: 777 } });
    // A hundred tokens a second, half of what was reserved.
    await clock.pass(500);
    running.end(50);
    const next = await waiting[0];
    expect(scheduler.load).toMatchObject({ queued: 2, running: 1, tokensPerSecond: 100 });
    waiting.push(ask('d'));
    const later = await refusal(ask('c'));
    // Three that wait and half of one that runs: 350 reserved, 175 to come.
    expect(later.facts.retryAfterMs).toBe(1_750);
    next?.end(50);
    await Promise.all(waiting.slice(1).map(async (turn) => (await turn).end(50)));
  });

  test('MODEL-34: refuses who would wait too long, and who did', async () => {
    const { ask, clock } = rig(1);
    const first = await ask('a');
    await clock.pass(1_000);
    first.end(100);
    const second = await ask('a');
    const queued = ask('b');
    expect(await refusal(ask('c', { withinMs: 100 }))).toMatchObject({
      code: 'deadline-exceeded',
      facts: { withinMs: 100 },
    });
    const patient = refusal(ask('c', { withinMs: 60_000 }));
    await clock.pass(60_000);
    expect((await patient).code).toBe('deadline-exceeded');
    second.end(1);
    (await queued).end(1);
  });

  test('MODEL-36: who waits long for room of its own goes before', async () => {
    const { ask, clock, room, scheduler } = rig(1, { patienceMs: 5_000 });
    const stopped = new AbortController();
    const stuck = scheduler.turn(
      { payer: 'a', weight: 1, tokens: 1, place: 'nowhere' },
      { signal: stopped.signal },
    );
    (await ask('b')).end(1);
    expect(room.urgent).toEqual([]);
    // By time alone, without anything that happens.
    await clock.pass(5_000);
    expect(room.urgent).toEqual(['nowhere']);
    (await ask('b')).end(1);
    expect(room.urgent).toEqual(['nowhere']);
    stopped.abort();
    expect((await refusal(stuck)).code).toBe('cancelled');
  });

  test('MODEL-37: tells those who wait where they stand', async () => {
    const { ask, clock } = rig(1);
    const first = await ask('a');
    await clock.pass(1_000);
    first.end(100);
    const second = await ask('a');
    const told: unknown[] = [];
    const waiting = [ask('b'), ask('c', { waiting: (standing: unknown) => told.push(standing) })];
    await clock.pass(1_000);
    second.end(100);
    (await waiting[0])?.end(100);
    (await waiting[1])?.end(100);
    expect(told).toEqual([
      { ahead: 1, waitMs: 1_500 },
      { ahead: 0, waitMs: 500 },
    ]);
  });

  test('MODEL-38: drains', async () => {
    const { ask, scheduler } = rig(1);
    const first = await ask('a');
    const waiting = refusal(ask('b'));
    let drained = false;
    const drain = scheduler.drain().then(() => {
      drained = true;
    });
    expect((await waiting).code).toBe('overloaded');
    expect((await refusal(ask('c'))).code).toBe('overloaded');
    await settle();
    expect(drained).toBe(false);
    first.end(1);
    await drain;
  });

  test('MODEL-22: who is cancelled while it waits leaves the queue', async () => {
    const { ask, scheduler } = rig(1);
    const first = await ask('a');
    const stop = new AbortController();
    const waiting = scheduler.turn({ payer: 'b', weight: 1, tokens: 1, place: 'm' }, { signal: stop.signal });
    stop.abort();
    expect((await refusal(waiting)).code).toBe('cancelled');
    expect(scheduler.load.queued).toBe(0);
    first.end(1);
  });
});
