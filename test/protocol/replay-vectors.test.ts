/** The sequences of `replay.json`, with the real store on a real disk. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { asSaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { openReplayStore, type ReplayStore } from '../../src/base/replay.ts';
import { openEnvelope } from '../../src/protocol/envelope.ts';
import { CLOCK_SKEW_MS } from '../../src/protocol/limits.ts';
import { signed } from '../../src/protocol/signing.ts';
import { nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { bytesOf, type Case, vectors } from './vector-files.ts';

const file = vectors('replay');

interface Step {
  readonly do: 'receive' | 'restart';
  readonly atMs: number;
  readonly message?: string;
  readonly verdict?: string;
}

function receive(replay: ReplayStore, step: Step): string {
  try {
    const opened = openEnvelope(
      suite,
      signed.decode(bytesOf({ ...step }, 'message')),
      bytesOf(file.given, 'body'),
      {
        network: String(file.given.network),
        to: { kind: 'agent', name: bytesOf(file.given, 'agent') },
        bodyType: 'call',
        nowMs: step.atMs,
      },
    );
    return replay.claim(opened.id, opened.expiresAtMs + CLOCK_SKEW_MS) ? 'ok' : 'replayed';
  } catch (error) {
    return asSaharaError(error).code;
  }
}

async function play(entry: Case): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'sahara-replay-vectors-'));
  let nowMs = 0;
  const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs, after: () => () => {} };
  const open = async () => {
    const store = await openLevelStore(path);
    return { store, replay: await openReplayStore({ clock, store }) };
  };
  let running = await open();
  try {
    // JSON of our own file: each is a step.
    for (const step of entry.steps as readonly Step[]) {
      nowMs = step.atMs;
      if (step.do === 'receive') expect(receive(running.replay, step)).toBe(step.verdict);
      else {
        await running.replay.close();
        await running.store.close();
        running = await open();
      }
    }
  } finally {
    await running.replay.close();
    await running.store.close();
    await rm(path, { recursive: true });
  }
}

describe('replay.json', () => {
  it.each(file.valid)('$name: taken (ENV-9)', play);
  it.each(file.invalid)('$name: refused (ENV-9)', play);
});
