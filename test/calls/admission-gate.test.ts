/** Places at an agent's gate and the turns in which they are given: CALL-122, CALL-123. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Gate } from '../../src/agent/gate.ts';
import type { SaharaError } from '../../src/base/errors.ts';

const forever = new AbortController().signal;
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A gate whose calls are written down as they start, by turn. */
class Watched {
  readonly gate: Gate;
  readonly started: string[] = [];
  readonly refused: string[] = [];

  constructor(places: number, queueMax: number) {
    this.gate = new Gate(places, queueMax);
  }

  enter(turn: string, signal: AbortSignal = forever): void {
    this.gate.enter(signal, turn).then(
      () => this.started.push(turn),
      (error: SaharaError) => this.refused.push(`${turn} ${error.code}`),
    );
  }
}

describe('turns', () => {
  it('CALL-122: one caller with 256 calls waiting does not make a stranger wait for them', async () => {
    const watched = new Watched(1, 300);
    for (let i = 0; i < 257; i++) watched.enter('many');
    expect(watched.gate.ahead('one')).toBe(1);
    watched.enter('one');
    await settled();
    expect(watched.started).toEqual(['many']);
    for (let i = 0; i < 3; i++) watched.gate.leave();
    await settled();
    expect(watched.started).toEqual(['many', 'many', 'one', 'many']);
  });

  it('CALL-122: `ahead` is the number of calls that start before it if nobody else comes', async () => {
    const turns = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), turns, fc.nat(12), async (places, calls, left) => {
        const watched = new Watched(places, 100);
        for (let i = 0; i < places; i++) watched.enter('first');
        for (const turn of calls) watched.enter(turn);
        // Some have had their turn, so that the order of turns is no longer the one of arrival.
        for (let i = 0; i < Math.min(left, calls.length); i++) watched.gate.leave();
        await settled();
        const before = watched.started.length;
        const ahead = watched.gate.ahead('b');
        watched.enter('b');
        const own = calls.filter((turn) => turn === 'b').length + 1;
        while (watched.started.filter((turn) => turn === 'b').length < own) {
          watched.gate.leave();
          await settled();
        }
        expect(watched.started.length - before - 1).toBe(ahead);
      }),
    );
  });

  it('CALL-122: while a caller waits, no other starts more than one call more than it', async () => {
    const event = fc.oneof(
      { arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'e'), weight: 3 },
      { arbitrary: fc.constant('leave'), weight: 2 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 120 }), async (events) => {
        const watched = new Watched(2, 1_000);
        const waiting = new Map<string, number>();
        const since = new Map<string, Map<string, number>>();
        let running = 0;
        for (const happens of events) {
          if (happens !== 'leave') {
            if (running < 2) running++;
            else {
              waiting.set(happens, (waiting.get(happens) ?? 0) + 1);
              if (!since.has(happens)) since.set(happens, new Map());
            }
            watched.enter(happens);
            await settled();
            continue;
          }
          if (running === 0) continue;
          const before = watched.started.length;
          watched.gate.leave();
          await settled();
          const next = watched.started[before];
          if (next === undefined) {
            running--;
            expect([...waiting.values()].reduce((sum, count) => sum + count, 0)).toBe(0);
            continue;
          }
          const left = (waiting.get(next) ?? 0) - 1;
          expect(left).toBeGreaterThanOrEqual(0);
          waiting.set(next, left);
          since.delete(next);
          if (left > 0) since.set(next, new Map());
          for (const [other, started] of since) {
            if (other === next) continue;
            started.set(next, (started.get(next) ?? 0) + 1);
            expect(started.get(next), `${next} while ${other} waits`).toBeLessThanOrEqual(1);
          }
        }
        expect(watched.gate.queued).toBe([...waiting.values()].reduce((sum, count) => sum + count, 0));
      }),
    );
  });

  it('CALL-123: with a full queue the one who has most gives a place to who has less', async () => {
    const watched = new Watched(1, 4);
    for (let i = 0; i < 5; i++) watched.enter('many');
    expect(() => watched.gate.check('many')).toThrow(expect.objectContaining({ code: 'overloaded' }));
    watched.gate.check('one');
    watched.enter('one');
    watched.enter('one');
    await settled();
    expect(watched.refused).toEqual(['many overloaded', 'many overloaded']);
    expect(watched.gate.queued).toBe(4);
    // Two and two: nobody has to give.
    expect(() => watched.gate.check('one')).toThrow(expect.objectContaining({ code: 'overloaded' }));
    watched.enter('two');
    await settled();
    expect(watched.refused).toHaveLength(3);
    expect(watched.gate.queued).toBe(4);
    for (let i = 0; i < 5; i++) watched.gate.leave();
    await settled();
    expect([...watched.started].sort()).toEqual(['many', 'many', 'one', 'one', 'two'].slice(0, 5).sort());
    expect(watched.gate.load).toBe(0);
  });

  it('gives up the place of a call that goes away, and counts nothing twice', async () => {
    const ways = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(ways, fc.integer({ min: 1, max: 8 }), async (calls, queueMax) => {
        const watched = new Watched(1, queueMax);
        const stops: AbortController[] = [];
        for (const [turn, goes] of calls) {
          const stop = new AbortController();
          watched.enter(turn, stop.signal);
          if (goes) stops.push(stop);
        }
        await settled();
        expect(watched.gate.queued).toBeLessThanOrEqual(queueMax);
        for (const stop of stops) stop.abort();
        await settled();
        for (let i = 0; i < calls.length; i++) if (watched.gate.load > 0) watched.gate.leave();
        await settled();
        expect(watched.gate.load).toBe(0);
        expect(watched.started.length + watched.refused.length).toBe(calls.length);
      }),
    );
  });
});
