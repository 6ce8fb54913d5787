import { describe, expect, it } from 'vitest';
import { type Mutation, planOf } from './plan.ts';
import { tellStory } from './run.ts';

const SEEDS = 150;
const BATCH = 15;
/** The largest stories are for `npm run sim`. */
const PARTIES_MAX = 50;
/** Stories within which a planted defect must be found. */
const CAUGHT_WITHIN = 120;
/** Nothing here depends on speed; a machine may be busy. */
const TIMEOUT_MS = 300_000;

const MUTATIONS: readonly Mutation[] = [
  'double-charge',
  'overcharge',
  'forgetful-disk',
  'eternal-adverts',
  'generous-vouchers',
  'endless-calls',
  'minted-grain',
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

  it.each(MUTATIONS)('fail for the planted defect %s', { timeout: TIMEOUT_MS }, async (mutation) => {
    for (let seed = 1; seed <= CAUGHT_WITHIN; seed++) {
      if (planOf(seed).parties > PARTIES_MAX) continue;
      if ((await tellStory({ seed, mutation })).failure !== undefined) return;
    }
    expect.fail(`${mutation} was not found in ${CAUGHT_WITHIN} stories`);
  });
});
