import { expect, test } from 'vitest';
import { runChaos } from './chaos.ts';

// BRG-8
test.each(['telegram', 'discord'] as const)(
  'a bridge to %s that is killed again and again answers each question once and charges it once',
  async (platform) => {
    const report = await runChaos({ platform, kills: 4, seed: 7 });
    expect(report.wrong).toEqual([]);
    expect(Object.values(report.questions).reduce((sum, one) => sum + one)).toBeGreaterThan(3);
  },
  120_000,
);
