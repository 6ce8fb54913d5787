import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { openReplayStore } from '../../src/base/replay.ts';
import { createMemoryStore } from '../../src/base/store.ts';

function clockAt(start: number): Clock & { nowIs(ms: number): void } {
  let now = start;
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    after: () => () => {},
    nowIs: (ms) => {
      now = ms;
    },
  };
}

const id = (n: number): Uint8Array => new Uint8Array(16).fill(n);

describe('the replay store', () => {
  it('CALL-16: takes each message once, also after a restart, and forgets it when it has expired', async () => {
    const clock = clockAt(1_000_000);
    const store = createMemoryStore();
    const replay = await openReplayStore({ clock, store });
    expect([
      replay.claim(id(1), 1_060_000),
      replay.claim(id(1), 1_060_000),
      replay.claim(id(2), 1_020_000),
    ]).toEqual([true, false, true]);
    await replay.flushed();
    const again = await openReplayStore({ clock, store });
    expect([again.claim(id(1), 1_060_000), again.has(id(2)), again.size]).toEqual([false, true, 2]);
    clock.nowIs(1_040_000);
    expect([again.has(id(2)), again.claim(id(3), 1_060_000), again.size]).toEqual([false, true, 2]);
    await again.close();
    expect((await openReplayStore({ clock, store })).size).toBe(2);
  });

  it('CALL-17: full, it refuses instead of forgetting', async () => {
    const clock = clockAt(1_000_000);
    const replay = await openReplayStore({ clock, store: createMemoryStore() }, { entriesMax: 2 });
    replay.claim(id(1), 1_060_000);
    replay.claim(id(2), 1_060_000);
    expect(() => replay.claim(id(3), 1_060_000)).toThrow(/overloaded/);
    expect(replay.claim(id(1), 1_060_000)).toBe(false);
  });
});
