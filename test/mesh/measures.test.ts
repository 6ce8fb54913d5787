import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instant } from '../../src/mesh/directory-state.ts';
import { MEASURED_PAYERS_MAX, SAMPLES_PER_PAYER_MAX } from '../../src/mesh/limits.ts';
import { createMeasures, MEASURES_DEFAULTS } from '../../src/mesh/measures.ts';
import { weightedMedian } from '../../src/mesh/medians.ts';
import { createObservationRules } from '../../src/mesh/observation-rules.ts';
import { createSeen } from '../../src/mesh/seen.ts';
import {
  CLOCK_SKEW_MS,
  OBSERVATION_AGE_MS_MAX,
  OBSERVATION_BYTES_MAX,
  OBSERVATION_INTERVAL_MS_MIN,
} from '../../src/protocol/limits.ts';
import { type Observation, observation } from '../../src/protocol/observation.ts';
import { type Receipt, receipt as receiptSchema } from '../../src/protocol/payment.ts';
import { signed, signOne } from '../../src/protocol/signing.ts';
import { NETWORK, newKey, suite } from './market.ts';
import { receiptOf } from './receipts.ts';
import { createToldClock } from './support.ts';

const key = (n: number): Uint8Array => {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};
const AGENT = key(1);

const seenBy = (payer: Uint8Array, changes: Partial<Observation> = {}): Observation => ({
  version: 1,
  network: NETWORK,
  payer,
  peerId: 'host',
  receipt: { payload: new Uint8Array(0), signature: new Uint8Array(64), sides: 0, siblings: [] },
  firstMs: 10,
  totalMs: 100,
  ahead: 0,
  issuedAtMs: 1_000_000,
  ...changes,
});

const receiptBy = (payer: Uint8Array, changes: Partial<Receipt> = {}): Receipt =>
  receiptOf({ agent: AGENT, payer, network: NETWORK, finishedAtMs: 1_000_000, ...changes });

describe('measures', () => {
  const say = (
    measures: ReturnType<typeof createMeasures>,
    by: number,
    word: { totalMs?: number; paid?: bigint; stake?: bigint; own?: boolean; failed?: boolean },
  ): void => {
    const { totalMs = 100, paid = 0n, stake = paid, own = false, failed = false } = word;
    const receipt = receiptBy(key(by), { amount: paid, finish: failed ? 'failed' : 'done' });
    measures.put(seenBy(key(by), { totalMs }), receipt, { stake, own });
  };

  it('MESH-77: are medians by weight: who paid more counts more, who paid nothing not at all', () => {
    const measures = createMeasures({ clock: createToldClock() });
    expect(measures.of(AGENT, 'host')).toBeUndefined();
    for (let i = 0; i < 50; i++) say(measures, 100 + i, { totalMs: 1 });
    expect(measures.of(AGENT, 'host')).toMatchObject({ totalMs: 1, payers: 50, from: 'free' });
    say(measures, 1, { totalMs: 900, paid: 10n });
    expect(measures.of(AGENT, 'host')).toMatchObject({ totalMs: 900, payers: 1, from: 'paid', paid: 10n });
    say(measures, 2, { totalMs: 200, paid: 30n });
    say(measures, 3, { totalMs: 5_000, paid: 5n });
    expect(measures.of(AGENT, 'host')).toMatchObject({ totalMs: 200, payers: 3 });
    expect(measures.of(AGENT, 'elsewhere')).toBeUndefined();
  });

  it('MESH-77: no payer weighs more than its channel locks, whatever its receipts say', () => {
    const measures = createMeasures({ clock: createToldClock() });
    say(measures, 1, { totalMs: 300, paid: 100n, stake: 1_000n });
    say(measures, 2, { totalMs: 1, paid: 10n ** 18n, stake: 20n });
    say(measures, 3, { totalMs: 1, paid: 10n ** 18n, stake: 0n });
    expect(measures.of(AGENT, 'host')).toMatchObject({ totalMs: 300, payers: 2 });
  });

  it('MESH-77: what this peer saw itself goes before everything', () => {
    const measures = createMeasures({ clock: createToldClock() });
    say(measures, 1, { totalMs: 1, paid: 1_000_000n });
    say(measures, 9, { totalMs: 700, own: true });
    say(measures, 9, { totalMs: 720, own: true, failed: true });
    expect(measures.of(AGENT, 'host')).toMatchObject({ totalMs: 700, payers: 1, from: 'own', failed: 0.5 });
  });

  it('MESH-77: fade with time', () => {
    const clock = createToldClock();
    const measures = createMeasures({ clock });
    say(measures, 1, { paid: 5n, totalMs: 100 });
    clock.advance(MEASURES_DEFAULTS.windowMs - 1_000);
    say(measures, 2, { paid: 50n, totalMs: 400 });
    expect(measures.of(AGENT, 'host')).toMatchObject({ payers: 2 });
    clock.advance(1_000);
    expect(measures.of(AGENT, 'host')).toMatchObject({ payers: 1, totalMs: 400 });
    clock.advance(MEASURES_DEFAULTS.windowMs);
    expect(measures.of(AGENT, 'host')).toBeUndefined();
  });

  it('MESH-78: a crowd that paid nothing pushes nobody out who did', () => {
    const measures = createMeasures({ clock: createToldClock() });
    for (let i = 0; i < 20; i++) say(measures, i, { totalMs: 250, paid: 10n });
    for (let i = 0; i < 1_000; i++) say(measures, 1_000 + i, { totalMs: 1 });
    expect(measures.of(AGENT, 'host')).toMatchObject({ totalMs: 250, payers: 20 });
    for (let i = 0; i < 100; i++) say(measures, 50_000 + i, { paid: 1n, totalMs: 1 });
    expect(measures.of(AGENT, 'host')).toMatchObject({ totalMs: 250, payers: MEASURED_PAYERS_MAX });
  });

  it('MESH-77: less than half of the weight moves no median beyond what the others say', () => {
    const word = fc.record({ totalMs: fc.integer({ min: 1, max: 10_000 }), paid: fc.bigInt(1n, 1_000n) });
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 10 }),
        fc.array(word, { maxLength: 10 }),
        (honest, liars) => {
          const sum = (words: readonly { paid: bigint }[]): bigint =>
            words.reduce((total, { paid }) => total + paid, 0n);
          fc.pre(2n * sum(liars) < sum(honest) + sum(liars));
          const measures = createMeasures({ clock: createToldClock() });
          honest.forEach((said, i) => {
            say(measures, i, said);
          });
          liars.forEach((said, i) => {
            say(measures, 1_000 + i, said);
          });
          const { totalMs = -1 } = measures.of(AGENT, 'host') ?? {};
          const said = honest.map((each) => each.totalMs);
          expect(totalMs).toBeGreaterThanOrEqual(Math.min(...said));
          expect(totalMs).toBeLessThanOrEqual(Math.max(...said));
        },
      ),
    );
  });

  it('MESH-78: one payer is heard by its last calls only', () => {
    const measures = createMeasures({ clock: createToldClock() });
    for (let i = 0; i < 3 * SAMPLES_PER_PAYER_MAX; i++) {
      say(measures, 1, { totalMs: i < 2 * SAMPLES_PER_PAYER_MAX ? 9_000 : 50, paid: 1n });
    }
    expect(measures.of(AGENT, 'host')).toMatchObject({ totalMs: 50 });
  });
});

describe('a weighted median', () => {
  it('MESH-77: is the middle of equal weights, and always one of the values', () => {
    const of = (...values: number[]): number =>
      weightedMedian(values.map((value) => ({ value, weight: 1n })));
    expect(of(3, 1, 2)).toBe(2);
    expect(of(4, 1, 2, 3)).toBe(2);
    expect(of(7)).toBe(7);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer(), fc.bigInt(0n, 9n)), { minLength: 1 }), (pairs) => {
        const values = pairs.map(([value, weight]) => ({ value, weight }));
        const middle = weightedMedian(values);
        expect(pairs.map(([value]) => value)).toContain(middle);
        expect(weightedMedian([...values].reverse())).toBe(middle);
      }),
    );
  });
});

describe('the rules of observations', () => {
  const payer = key(7);
  const at = (ms: number): Instant => ({ wallMs: 1_000_000 + ms, monotonicMs: ms });
  const around = (ms: number, author = 'author') => ({ author, now: at(ms), isHost: () => true });
  const fresh = () => createObservationRules({ network: NETWORK });

  it('MESH-79: verdicts, in the order of the rules', () => {
    const judge = (seen: Partial<Observation>, said: Partial<Receipt> = {}, ms = 0): string =>
      fresh().judge(seenBy(payer, seen), receiptBy(payer, said), around(ms));
    expect(judge({})).toBe('accept');
    expect(judge({ version: 2, network: 'other' })).toBe('ignore');
    expect(judge({ network: 'other' })).toBe('reject');
    expect(judge({}, { network: 'other' })).toBe('reject');
    // Somebody else's receipt.
    expect(judge({}, { payer: key(8) })).toBe('reject');
    expect(judge({ payer: key(8) })).toBe('reject');
    expect(judge({ firstMs: 101 })).toBe('reject');
    expect(judge({}, {}, OBSERVATION_AGE_MS_MAX + 1)).toBe('ignore');
    expect(judge({}, {}, -CLOCK_SKEW_MS - 1)).toBe('ignore');
    expect(judge({}, { finishedAtMs: 1_000_000 - OBSERVATION_AGE_MS_MAX - 1, startedAtMs: 0 })).toBe(
      'ignore',
    );
    // Faster than the host says that it was.
    expect(judge({ totalMs: 100 }, { startedAtMs: 990_000 })).toBe('ignore');
    expect(fresh().judge(seenBy(payer), receiptBy(payer), { ...around(0), isHost: () => false })).toBe(
      'ignore',
    );
  });

  it('MESH-79: one for each call, one for each payer and agent in a while', () => {
    const rules = fresh();
    const first = receiptBy(payer, { callId: new Uint8Array(16).fill(1) });
    const second = receiptBy(payer, { callId: new Uint8Array(16).fill(2) });
    const judge = (said: Receipt, ms: number): string =>
      rules.judge(seenBy(said.payer, { issuedAtMs: 1_000_000 + ms }), said, around(ms));
    expect(judge(first, 0)).toBe('accept');
    rules.mark(first, at(0));
    expect(judge(first, 1_000)).toBe('ignore');
    expect(judge(second, 1_000)).toBe('ignore');
    expect(rules.mayTell(second, at(1_000))).toBe(false);
    expect(judge(receiptBy(key(8), { callId: new Uint8Array(16).fill(3) }), 1_000)).toBe('accept');
    expect(judge(first, OBSERVATION_INTERVAL_MS_MIN)).toBe('ignore');
    expect(judge(second, OBSERVATION_INTERVAL_MS_MIN)).toBe('accept');
  });

  it('MESH-79: a flood from one peer is ignored, and others are still heard', () => {
    const rules = fresh();
    const verdicts = Array.from({ length: 500 }, (_, i) =>
      rules.judge(
        seenBy(key(100 + i)),
        receiptBy(key(100 + i), { callId: key(i).subarray(0, 16) }),
        around(0),
      ),
    );
    expect(verdicts.filter((verdict) => verdict === 'accept').length).toBeLessThan(40);
    expect(verdicts).not.toContain('reject');
    expect(rules.judge(seenBy(payer), receiptBy(payer), around(0, 'another'))).toBe('accept');
  });

  it('MESH-76: an observation of an ordinary call fits; one of a receipt with many shares is not told', () => {
    const signer = newKey();
    const shares = (count: number): Receipt['shares'] =>
      Array.from({ length: count }, (_, i) => ({
        asset: key(i),
        role: 'knowledge' as const,
        ppm: 1,
        amount: 1_000_000n,
      }));
    const sizeOf = (count: number): number => {
      const payload = receiptSchema.encode(receiptBy(payer, { shares: shares(count) }));
      const receipt = signOne(suite, signer, NETWORK, { type: 'receipt', payload });
      const seen = observation.encode(seenBy(payer, { receipt, peerId: 'p'.repeat(52) }));
      return signed.encode(signOne(suite, signer, NETWORK, { type: 'observation', payload: seen })).length;
    };
    expect(sizeOf(16)).toBeLessThanOrEqual(OBSERVATION_BYTES_MAX);
    expect(sizeOf(64)).toBeGreaterThan(OBSERVATION_BYTES_MAX);
  });
});

describe('names that are remembered', () => {
  it('MESH-78: are forgotten in time, and the first when there are too many', () => {
    const seen = createSeen({ namesMax: 2 });
    seen.add('a', 10);
    expect(seen.has('a', 9)).toBe(true);
    expect(seen.has('a', 10)).toBe(false);
    for (const name of ['b', 'c', 'd']) seen.add(name, 100);
    expect(['b', 'c', 'd'].map((name) => seen.has(name, 0))).toEqual([false, true, true]);
  });
});
