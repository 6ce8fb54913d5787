import { expect, test } from 'vitest';
import { createMemoryStore } from '../../src/base/store.ts';
import { pausedAgents, pausedUntil, pausing } from '../../src/bridges/core/pausing.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { AGENT_PAUSE_FIRST_MS, AGENT_PAUSE_LAST_MS, AGENT_PAUSES_KEPT_MS } from '../../src/bridges/limits.ts';

// BRG-148
test('an agent is paused for longer each time, for a day at most, and from the beginning after a week', async () => {
  const state = createState(createMemoryStore());
  const pause = (nowMs: number): Promise<number> =>
    state.update(() => {
      const { operations, untilMs } = pausing(state, 'did:key:a', nowMs);
      return { operations, result: untilMs - nowMs };
    });
  let nowMs = 1_000_000;
  const lasted: number[] = [];
  for (let i = 0; i < 12; i++) {
    const lastsMs = await pause(nowMs);
    lasted.push(lastsMs);
    expect(pausedUntil(state, 'did:key:a', nowMs + lastsMs - 1)).toBe(nowMs + lastsMs);
    expect(pausedUntil(state, 'did:key:a', nowMs + lastsMs)).toBeUndefined();
    expect(await pausedAgents(state, nowMs)).toEqual([{ agent: 'did:key:a', untilMs: nowMs + lastsMs }]);
    nowMs += lastsMs;
  }
  expect(lasted.slice(0, 3)).toEqual([1, 2, 4].map((times) => times * AGENT_PAUSE_FIRST_MS));
  expect(lasted.at(-1)).toBe(AGENT_PAUSE_LAST_MS);
  expect(pausedUntil(state, 'did:key:b', nowMs)).toBeUndefined();
  expect(await pause(nowMs + AGENT_PAUSES_KEPT_MS + 1)).toBe(AGENT_PAUSE_FIRST_MS);
});
