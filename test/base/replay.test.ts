import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { openReplayStore, type ReplayStore } from '../../src/base/replay.ts';

let path = '';
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'sahara-replay-'));
});
afterEach(() => rm(path, { recursive: true }));

/** A clock that stands where it is put; what is deferred runs when the test flushes. */
function standing(nowMs: number): Clock & { now: number } {
  const clock = { now: nowMs, nowMs: () => clock.now, monotonicMs: () => clock.now, after: () => () => {} };
  return clock;
}

async function withStore<T>(
  clock: Clock,
  use: (replay: ReplayStore) => Promise<T>,
  entriesMax = 1000,
): Promise<T> {
  const store = await openLevelStore(path);
  const replay = await openReplayStore({ clock, store }, { entriesMax });
  try {
    return await use(replay);
  } finally {
    await replay.close();
    await store.close();
  }
}

describe('what was taken', () => {
  const id = utf8('0123456789abcdef');

  it('is not taken again, also after a restart, until it expires (ENV-9)', async () => {
    const clock = standing(1_000_000);
    await withStore(clock, async (replay) => {
      expect(replay.claim(id, 1_060_000)).toBe(true);
      expect(replay.claim(id, 1_060_000)).toBe(false);
      await replay.flushed();
    });
    await withStore(clock, async (replay) => {
      expect(replay.size).toBe(1);
      expect(replay.claim(id, 1_060_000)).toBe(false);
      clock.now = 1_080_000;
      expect(replay.has(id)).toBe(false);
      expect(replay.claim(utf8('another'), 1_100_000)).toBe(true);
      expect(replay.size).toBe(1);
    });
  });

  it('is never forgotten to make room: more is refused (ENV-9)', async () => {
    await withStore(
      standing(0),
      async (replay) => {
        expect(replay.claim(utf8('a'), 1000)).toBe(true);
        expect(replay.claim(utf8('b'), 1000)).toBe(true);
        expect(() => replay.claim(utf8('c'), 1000)).toThrow('overloaded');
        expect(replay.claim(utf8('a'), 1000)).toBe(false);
      },
      2,
    );
  });
});
