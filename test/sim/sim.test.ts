import { describe, expect, it } from 'vitest';
import { type Mutation, type Plan, planOf } from './plan.ts';
import { tellStory } from './run.ts';

/** More stories, and larger ones, are for `npm run sim`. */
const SEEDS = 60;
const BATCH = 15;
const PARTIES_MAX = 11;
/** Stories within which a planted defect must be found. */
const CAUGHT_WITHIN = 250;
/** Life of an advert. */
const ADVERT_MS = 60_000;
/** Nothing here depends on speed; a machine may be busy. */
const TIMEOUT_MS = 600_000;

/** Each defect, and the stories in which it can show. */
const MUTATIONS: readonly (readonly [Mutation, (plan: Plan) => boolean])[] = [
  ['double-charge', () => true],
  ['overcharge', () => true],
  ['forgetful-disk', ({ faults }) => faults.crashes + faults.tripwires > 0],
  [
    'one-lane',
    ({ faults, roguePayers }) =>
      roguePayers > 0 && (faults.powerLoss || faults.lostDisks) && faults.crashes + faults.tripwires > 0,
  ],
  ['eternal-adverts', ({ faults, probesPerRound }) => probesPerRound === 0 && faults.outageMs > ADVERT_MS],
  ['generous-vouchers', () => true],
  ['endless-calls', () => true],
  ['minted-grain', () => true],
];

describe('stories of many peers', () => {
  const firsts = Array.from({ length: SEEDS / BATCH }, (_, at) => 1 + at * BATCH);

  it.each(firsts)('hold from seed %i on', { timeout: TIMEOUT_MS }, async (first) => {
    for (let seed = first; seed < first + BATCH; seed++) {
      if (planOf(seed).parties > PARTIES_MAX) continue;
      const { failure, last } = await tellStory({ seed });
      expect(failure, `npm run sim -- --seed ${seed}\n${last.slice(-20).join('\n')}`).toBeUndefined();
    }
  });

  it('are the same for the same seed, to the last step', { timeout: TIMEOUT_MS }, async () => {
    for (const seed of [3, 14, 45]) {
      const [first, second] = [await tellStory({ seed }), await tellStory({ seed })];
      expect(second.hash).toBe(first.hash);
      expect(second.tasks).toBe(first.tasks);
    }
    const [one, other] = [await tellStory({ seed: 3 }), await tellStory({ seed: 4 })];
    expect(one.hash).not.toBe(other.hash);
  });

  it.each(MUTATIONS)('fail for the planted defect %s', { timeout: TIMEOUT_MS }, async (mutation, shows) => {
    for (let seed = 1; seed <= CAUGHT_WITHIN; seed++) {
      const plan = planOf(seed);
      if (plan.parties > PARTIES_MAX || !shows(plan)) continue;
      if ((await tellStory({ seed, mutation })).failure !== undefined) return;
    }
    expect.fail(`${mutation} was not found in ${CAUGHT_WITHIN} stories`);
  });
});
