import { expect, test } from 'vitest';
import { runChaos } from './chaos.ts';

// BRG-8
test('a bridge that is killed again and again answers each question once and charges it once', async () => {
  const report = await runChaos({ kills: 5, seed: 7 });
  expect(report.wrong).toEqual([]);
  expect(report.questions).toBeGreaterThan(4);
}, 120_000);
