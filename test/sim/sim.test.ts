import { describe, expect, it } from 'vitest';
import { tellStory } from './run.ts';

const SEEDS = 120;
const BATCH = 20;

describe('stories of many peers', () => {
  it.each(Array.from({ length: SEEDS / BATCH }, (_, at) => 1 + at * BATCH))(
    'hold from seed %i on',
    async (first) => {
      for (let seed = first; seed < first + BATCH; seed++) {
        const { failure, last } = await tellStory({ seed });
        expect(failure, `npm run sim -- --seed ${seed}\n${last.slice(-20).join('\n')}`).toBeUndefined();
      }
    },
  );

  it('are the same for the same seed, to the last step', async () => {
    for (const seed of [3, 14, 45]) {
      const [first, second] = [await tellStory({ seed }), await tellStory({ seed })];
      expect(second.hash).toBe(first.hash);
      expect(second.tasks).toBe(first.tasks);
    }
    const [one, other] = [await tellStory({ seed: 3 }), await tellStory({ seed: 4 })];
    expect(one.hash).not.toBe(other.hash);
  });
});
