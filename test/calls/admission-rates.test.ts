/** Buckets and counts by name, and the limits made of them, with a clock that is moved by hand: CALL-120, CALL-121. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOST_DEFAULTS, type HostOptions } from '../../src/agent/host.ts';
import { callerName, peerName } from '../../src/agent/standing-names.ts';
import { WORK_DEFAULTS } from '../../src/agent/stranger-work.ts';
import {
  type Beginner,
  type Place,
  THROTTLE_DEFAULTS,
  Throttle,
  type ThrottleOptions,
} from '../../src/agent/throttle.ts';
import type { SaharaError } from '../../src/base/errors.ts';
import { Counts, type Rate, Rates } from '../../src/base/rates.ts';
import { hostOptions } from '../../src/daemon/config-calls.ts';
import { configSchema } from '../../src/daemon/config-schema.ts';

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

class HandClock {
  nowMs = 0;
  monotonicMs(): number {
    return this.nowMs;
  }
}

describe('rates', () => {
  const rates = fc.record({
    perSecond: fc.integer({ min: 1, max: 1_000 }),
    burst: fc.integer({ min: 1, max: 100 }),
  });
  const pauses = fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 1, maxLength: 200 });

  it('CALL-120: let no more pass in any while than the burst and what that while fills', () => {
    fc.assert(
      fc.property(rates, pauses, (rate: Rate, waits) => {
        const clock = new HandClock();
        const table = new Rates(clock, 100);
        const taken: number[] = [];
        for (const wait of waits) {
          clock.nowMs += wait;
          if (table.take('one', rate) === 0) taken.push(clock.nowMs);
        }
        for (const [i, from] of taken.entries()) {
          for (let j = i; j < taken.length; j++) {
            const filled = (((taken[j] ?? 0) - from) * rate.perSecond) / 1000;
            expect(j - i + 1).toBeLessThanOrEqual(rate.burst + filled + 0.001);
          }
        }
      }),
    );
  });

  it('CALL-120: say truly how long to wait', () => {
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 300 }), (rate, tries) => {
        const clock = new HandClock();
        const table = new Rates(clock, 100);
        for (let i = 0; i < tries; i++) {
          const waitMs = table.take('one', rate);
          if (waitMs === 0) continue;
          clock.nowMs += waitMs;
          expect(table.take('one', rate)).toBe(0);
        }
      }),
    );
  });

  it('never refill a bucket that was emptied because many other names came', () => {
    const clock = new HandClock();
    const table = new Rates(clock, 64);
    const rate = { perSecond: 1, burst: 10 };
    for (let i = 0; i < 10; i++) expect(table.take('greedy', rate)).toBe(0);
    for (let i = 0; i < 10_000; i++) table.take(`new ${i}`, rate);
    expect(table.take('greedy', rate)).toBeGreaterThan(0);
    expect(table.size).toBeLessThanOrEqual(64);
    clock.nowMs += 10_000;
    expect(table.take('greedy', rate)).toBe(0);
  });

  it('hold nothing of names that are quiet', () => {
    const clock = new HandClock();
    const table = new Rates(clock, 10);
    for (let i = 0; i < 10; i++) table.take(`old ${i}`, { perSecond: 100, burst: 1 });
    clock.nowMs += 1_000;
    table.take('new', { perSecond: 100, burst: 1 });
    expect(table.size).toBe(1);
  });
});

describe('counts', () => {
  it('hold what is there and nothing else', () => {
    const counts = new Counts();
    counts.add('a');
    counts.add('a');
    counts.remove('a');
    expect(counts.of('a')).toBe(1);
    counts.remove('a');
    expect([counts.of('a'), counts.of('b')]).toEqual([0, 0]);
  });
});

const LIMITS: ThrottleOptions = {
  atOnce: 100,
  peerPerSecond: 40,
  peerAtOnce: 30,
  callerPerSecond: 20,
  callerAtOnce: 10,
  channelPerSecond: 15,
  channelAtOnce: 8,
  strangerPerSecond: 5,
  strangerAtOnce: 3,
  namesMax: 1_000,
};

const someone = (change: Partial<Beginner> = {}): Beginner => ({
  peerId: 'p',
  caller: key(1),
  channel: undefined,
  stranger: false,
  ...change,
});

/** The code, what, limit of the refusal of the first call that is refused, and how many passed before. */
function untilRefused(throttle: Throttle, of: () => Beginner, leave: boolean): readonly unknown[] {
  for (let passed = 0; ; passed++) {
    try {
      const place = throttle.begin(of());
      place.count();
      if (leave) place.leave();
    } catch (error) {
      const { code, facts } = error as SaharaError;
      expect(facts.retryAfterMs).toBeGreaterThan(0);
      return [passed, code, facts.what, facts.limit];
    }
  }
}

describe('the limits of a host', () => {
  const channel = key(9);
  const fresh = (): Throttle => new Throttle({ clock: new HandClock() }, LIMITS);

  it('CALL-120: bound the calls begun by peer, key and channel', () => {
    let fill = 0;
    const everybody = (): Beginner => someone({ caller: key(fill++ % 250) });
    expect(untilRefused(fresh(), everybody, true)).toEqual([40, 'rate-limited', 'peer', 40]);
    expect(untilRefused(fresh(), () => someone(), true)).toEqual([20, 'rate-limited', 'caller', 20]);
    expect(untilRefused(fresh(), () => someone({ channel }), true)).toEqual([
      15,
      'rate-limited',
      'channel',
      15,
    ]);
    const stranger = someone({ stranger: true });
    expect(untilRefused(fresh(), () => stranger, true)).toEqual([5, 'rate-limited', 'caller', 5]);
  });

  it('CALL-120: bound the calls at a time by peer, key, channel and host', () => {
    let fill = 0;
    const everybody = (): Beginner => someone({ caller: key(fill++ % 250) });
    expect(untilRefused(fresh(), everybody, false)).toEqual([30, 'overloaded', 'peer', 30]);
    expect(untilRefused(fresh(), () => someone(), false)).toEqual([10, 'overloaded', 'caller', 10]);
    expect(untilRefused(fresh(), () => someone({ channel }), false)).toEqual([8, 'overloaded', 'channel', 8]);
    expect(untilRefused(fresh(), () => someone({ stranger: true }), false)).toEqual([
      3,
      'overloaded',
      'caller',
      3,
    ]);
    const anywhere = (): Beginner => someone({ caller: key(fill++ % 250), peerId: `p${fill}` });
    expect(untilRefused(fresh(), anywhere, false)).toEqual([100, 'overloaded', 'host', 100]);
  });

  it('CALL-121: nobody uses up the key or channel of another, whose signature was not checked', () => {
    const throttle = fresh();
    for (let i = 0; i < 35; i++) throttle.begin(someone({ channel, peerId: `forger ${i}` })).leave();
    expect(untilRefused(throttle, () => someone(), true)[0]).toBe(20);
    // With a key of one's own, another's channel is not touched either.
    const thief = fresh();
    expect(untilRefused(thief, () => someone({ channel, caller: key(2) }), true)[2]).toBe('channel');
    expect(untilRefused(thief, () => someone({ channel, peerId: 'q' }), true)[0]).toBe(15);
  });

  it('CALL-121: what was looked at together is counted one by one', () => {
    const throttle = fresh();
    const places: Place[] = [];
    for (let i = 0; i < 12; i++) places.push(throttle.begin(someone()));
    const counted = places.map((place) => {
      try {
        place.count();
        return 'counted';
      } catch (error) {
        return (error as SaharaError).code;
      }
    });
    expect(counted.filter((what) => what === 'counted')).toHaveLength(10);
    expect(new Set(counted)).toEqual(new Set(['counted', 'overloaded']));
    for (const place of places) place.leave();
    for (const place of places) place.leave();
    expect(throttle.running).toBe(0);
    expect(throttle.begin(someone()).turn).toBe(callerName(key(1)));
  });

  it('CALL-122: strangers of one peer share its turn', () => {
    const throttle = fresh();
    expect(throttle.begin(someone({ stranger: true })).turn).toBe(peerName('p'));
    expect(throttle.begin(someone({ stranger: true, caller: key(2) })).turn).toBe(peerName('p'));
    expect(throttle.begin(someone({ caller: key(2) })).turn).toBe(callerName(key(2)));
  });

  it('CALL-134: standing lowers limits, and at the last step leaves one call at a time and one a second', () => {
    const clock = new HandClock();
    const throttle = new Throttle({ clock, shareOf: () => 1 / 1_024 }, LIMITS);
    expect(throttle.limitsOf(someone({ stranger: true }))).toEqual({
      peer: { what: 'peer', perSecond: 1, atOnce: 1 },
      caller: { what: 'caller', perSecond: 1, atOnce: 1 },
    });
    for (let i = 0; i < 5; i++) {
      const place = throttle.begin(someone());
      place.count();
      expect(() => throttle.begin(someone())).toThrow(expect.objectContaining({ code: 'rate-limited' }));
      clock.nowMs += 1_000;
      expect(() => throttle.begin(someone())).toThrow(expect.objectContaining({ code: 'overloaded' }));
      clock.nowMs += 1_000;
      place.leave();
    }
  });

  it('CALL-120: are what the configuration says, and its defaults are those of the code', () => {
    const options = (calls: object): Partial<HostOptions> => hostOptions(configSchema.parse({ calls }).calls);
    const { namesMax: _inside, ...limits } = THROTTLE_DEFAULTS;
    const { queueMax } = HOST_DEFAULTS;
    expect(options({})).toEqual({ queueMax, limits, work: WORK_DEFAULTS });
    const set = options({ peerPerSecond: 7, strangerAtOnce: 2, workBitsAsked: 0 });
    expect(set.work).toEqual({ bitsMax: 0 });
    const throttle = new Throttle({ clock: new HandClock() }, set.limits);
    expect(throttle.limitsOf(someone({ stranger: true }))).toMatchObject({
      peer: { perSecond: 7 },
      caller: { perSecond: 64, atOnce: 2 },
    });
  });
});
