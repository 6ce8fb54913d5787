import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { createPacer, DISCORD_PACE, type PacerOptions, TELEGRAM_PACE } from '../../src/bridges/core/pacer.ts';

/** A clock whose time passes only when nothing else is left to do. */
function virtualClock(): Clock & { run(): Promise<void> } {
  let now = 0;
  let timers: { readonly at: number; readonly run: () => void }[] = [];
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    after(delayMs, run) {
      const timer = { at: now + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    async run() {
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve));
        const next = timers.toSorted((a, b) => a.at - b.at)[0];
        if (!next) return;
        timers = timers.filter((other) => other !== next);
        now = next.at;
        next.run();
      }
    },
  };
}

const most = (times: readonly number[], windowMs: number): number =>
  Math.max(...times.map((start) => times.filter((at) => at >= start && at < start + windowMs).length));

async function paced(
  options: PacerOptions,
  chats: readonly { chat: string; direct: boolean }[],
  each: number,
) {
  const clock = virtualClock();
  const pacer = createPacer({ clock }, options);
  const sent = new Map<string, number[]>();
  const runs = chats.flatMap((chat) =>
    Array.from({ length: each }, () =>
      pacer.run(chat, async () => {
        sent.set(chat.chat, [...(sent.get(chat.chat) ?? []), clock.monotonicMs()]);
      }),
    ),
  );
  await clock.run();
  await Promise.all(runs);
  return sent;
}

describe('the pace', () => {
  // BRG-25
  test('of Telegram holds in one chat, in groups and in all', async () => {
    const chats = Array.from({ length: 60 }, (_, i) => ({ chat: `${i}`, direct: i % 2 === 0 }));
    const sent = await paced(TELEGRAM_PACE, chats, 25);
    expect(most([...sent.values()].flat(), 1000)).toBeLessThanOrEqual(30);
    for (const { chat, direct } of chats) {
      const times = sent.get(chat) ?? [];
      expect(times).toHaveLength(25);
      if (direct) expect(most(times, 1000)).toBeLessThanOrEqual(3);
      else expect(most(times, 60_000)).toBeLessThanOrEqual(20);
    }
  });

  // BRG-147
  test('holds where requests arrive, however long they and their answers are on the way', async () => {
    const way = fc.tuple(fc.nat(4000), fc.nat(4000), fc.nat(2));
    const requests = fc.array(fc.tuple(fc.nat(3), way), { minLength: 20, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(requests, async (made) => {
        const clock = virtualClock();
        const window = { count: 4, windowMs: 1000 };
        const slow = { burst: 1, intervalMs: 10, window: { count: 2, windowMs: 2000 } };
        const pacer = createPacer(
          { clock },
          { total: { burst: 9, intervalMs: 1, window }, direct: slow, group: slow },
        );
        const arrived = new Map<string, number[]>();
        const later = (delayMs: number) => new Promise<void>((resolve) => clock.after(delayMs, resolve));
        const runs = made.map(([chat, [there, back, more]]) => {
          let refused = 0;
          return pacer.run({ chat: `${chat}`, direct: true }, async (next) => {
            for (let i = 0; i <= more; i++) {
              if (i > 0) await next();
              await later(there);
              arrived.set(`${chat}`, [...(arrived.get(`${chat}`) ?? []), clock.monotonicMs()]);
              await later(back);
            }
            if (more === 2 && refused++ === 0) throw new SaharaError('rate-limited', { retryAfterMs: 5 });
          });
        });
        await clock.run();
        await Promise.all(runs);
        expect(most([...arrived.values()].flat(), 1000)).toBeLessThanOrEqual(4);
        for (const times of arrived.values()) expect(most(times, 2000)).toBeLessThanOrEqual(2);
      }),
      { numRuns: 40 },
    );
  });

  test('of Discord holds: five in five seconds in a channel', async () => {
    const sent = await paced(DISCORD_PACE, [{ chat: 'a', direct: false }], 60);
    expect(most(sent.get('a') ?? [], 5000)).toBeLessThanOrEqual(5);
  });

  // BRG-26
  test('a 429 stops its chat for as long as it says, and the same request goes again', async () => {
    const clock = virtualClock();
    const pacer = createPacer(
      { clock },
      {
        total: { burst: 9, intervalMs: 1 },
        direct: { burst: 3, intervalMs: 10 },
        group: { burst: 1, intervalMs: 10 },
      },
    );
    const log: string[] = [];
    let refused = false;
    const one = pacer.run({ chat: 'a', direct: true }, async () => {
      if (!refused) {
        refused = true;
        throw new SaharaError('rate-limited', { retryAfterMs: 7000 });
      }
      log.push(`first at ${clock.monotonicMs()}`);
    });
    const two = pacer.run({ chat: 'a', direct: true }, async () => {
      log.push(`second at ${clock.monotonicMs()}`);
    });
    const other = pacer.run({ chat: 'b', direct: true }, async () => {
      log.push(`other at ${clock.monotonicMs()}`);
    });
    await clock.run();
    await Promise.all([one, two, other]);
    expect(log[0]).toMatch(/^other at [0-9]$/);
    expect(log[1]).toMatch(/^first at 70[0-9]{2}$/);
    expect(log[2]).toMatch(/^second at 70[0-9]{2}$/);
    expect(pacer.refusals()).toBe(1);
  });

  test('a task that fails does not stop those behind it, and waiting ends with its signal', async () => {
    const clock = virtualClock();
    const pacer = createPacer(
      { clock },
      {
        total: { burst: 9, intervalMs: 1 },
        direct: { burst: 1, intervalMs: 1000 },
        group: { burst: 1, intervalMs: 1 },
      },
    );
    const chat = { chat: 'a', direct: true };
    const stop = new AbortController();
    const failing = pacer
      .run(chat, () => Promise.reject(new Error('no')))
      .catch((error: Error) => error.message);
    const stopped = pacer.run(chat, async () => 'ran', { signal: stop.signal }).catch(() => 'stopped');
    const last = pacer.run(chat, async () => 'last');
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await clock.run();
    expect(await Promise.all([failing, stopped, last])).toEqual(['no', 'stopped', 'last']);
  });
});
