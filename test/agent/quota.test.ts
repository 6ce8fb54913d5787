import { describe, expect, it } from 'vitest';
import { FREE_CALLERS_PER_AGENT, FREE_CALLERS_PER_PEER } from '../../src/agent/call-limits.ts';
import { openQuotaBook, type QuotaBook } from '../../src/agent/quota.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';

const QUOTA = { calls: 2, windowSeconds: 3_600 };
const agent = new Uint8Array(32).fill(1);
// Inside one window, however long the test takes.
const clock: Clock = { ...systemClock, nowMs: () => 1_000_000_000 };

/** What became of one free call with a new key. */
function strange(book: QuotaBook, peerId: string): unknown {
  try {
    book.take({ agent, caller: systemDice.bytes(32), peerId }, QUOTA);
    return 'taken';
  } catch (error) {
    return (error as { readonly facts: { readonly of: unknown } }).facts.of;
  }
}

describe('free calls', () => {
  it('CALL-31: new keys bring one peer nothing more, also after a restart', async () => {
    const store = createMemoryStore();
    const book = await openQuotaBook({ store, clock });
    for (let i = 0; i < QUOTA.calls * FREE_CALLERS_PER_PEER; i++) expect(strange(book, 'one')).toBe('taken');
    expect(strange(book, 'one')).toBe('peer');
    expect(strange(book, 'another')).toBe('taken');
    await book.flushed();
    expect(strange(await openQuotaBook({ store, clock }), 'one')).toBe('peer');
  });

  it('CALL-31: an agent gives all callers together no more than its bound', async () => {
    const book = await openQuotaBook({ store: createMemoryStore(), clock });
    const all = QUOTA.calls * FREE_CALLERS_PER_AGENT;
    for (let i = 0; i < all; i++) expect(strange(book, `peer ${i}`)).toBe('taken');
    expect(strange(book, 'one more')).toBe('agent');
  });

  it('CALL-30 CALL-31: a call that was not served counts nowhere', async () => {
    const book = await openQuotaBook({ store: createMemoryStore(), clock });
    const call = { agent, caller: systemDice.bytes(32), peerId: 'one' };
    for (let i = 0; i < 100; i++) {
      book.take(call, QUOTA);
      book.giveBack(call);
    }
    book.take(call, QUOTA);
    book.take(call, QUOTA);
    expect(() => book.take(call, QUOTA)).toThrow(
      expect.objectContaining({ facts: expect.objectContaining({ of: 'caller' }) }),
    );
  });
});
