import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createJournal, historyKey, jobKey } from '../../src/bridges/core/journal.ts';
import type { ChatEvent } from '../../src/bridges/core/platform.ts';
import { createState, putText } from '../../src/bridges/core/state.ts';
import { addTurn, turnsBefore } from '../../src/bridges/core/talk.ts';
import { KEPT_MS } from '../../src/bridges/limits.ts';

function event(id: string, atMs = 0, messageId = '10'): ChatEvent {
  return {
    platform: 'telegram',
    id,
    type: 'question',
    userId: '7',
    userName: 'Seven',
    language: 'en',
    place: { chat: '7', thread: undefined, direct: true, guild: undefined },
    messageId,
    text: 'a private thought',
    argument: '',
    quote: '',
    attachments: [],
    token: '',
    atMs,
  };
}

function journalOn() {
  const store = createMemoryStore();
  const state = createState(store);
  return { state, store, journal: createJournal(state, { name: 'telegram', sequenceOf: () => 'account' }) };
}

const rest = { result: undefined };

describe('the journal', () => {
  // BRG-2
  test('takes an event once, and its marks with it', async () => {
    const { journal } = journalOn();
    const marks = new Map([['offset', '5']]);
    expect(await journal.record([event('a'), event('a'), event('b')], marks)).toHaveLength(2);
    expect(await journal.record([event('a')])).toEqual([]);
    expect(journal.mark('offset')).toBe('5');
    expect((await journal.unfinished()).map((job) => job.event.id)).toEqual(
      expect.arrayContaining(['a', 'b']),
    );
  });

  test('the key of a job is the same for the same event, in every process', () => {
    expect(toHex(jobKey('telegram:1:2'))).toBe(toHex(jobKey('telegram:1:2')));
    expect(toHex(jobKey('telegram:1:2'))).not.toBe(toHex(jobKey('telegram:1:3')));
    expect(jobKey('x')).toHaveLength(16);
  });

  test('knows its messages, and the greatest id of a sequence', async () => {
    const { journal } = journalOn();
    const [job] = await journal.record([event('a', 0, '9')]);
    if (!job) throw new Error('no job');
    await journal.change(toHex(job.key), () => ({
      job: { slots: [{ messageId: '12', isBegun: true, after: '9' }] },
      ...rest,
    }));
    await journal.record([event('b', 0, '11')]);
    expect(journal.lastIn(job.event.place)).toBe('12');
    expect(journal.isTaken(job.event.place, '12')).toBe(true);
    expect(journal.isTaken(job.event.place, '13')).toBe(false);
  });

  // BRG-48
  test('forgets what a user wrote and got at once, and everything after 30 days', async () => {
    const { journal, state, store } = journalOn();
    const [job] = await journal.record([event('a')]);
    if (!job) throw new Error('no job');
    const key = toHex(job.key);
    await journal.change(key, (now) => ({
      job: { phase: 'done', question: 'a private thought', amount: 5n },
      operations: [
        putText(historyKey(now), key),
        addTurn(state, now.event, { question: 'a private thought', answer: 'x' }),
      ],
      ...rest,
    }));
    expect(turnsBefore(state, event('b', 1))).toHaveLength(2);
    await journal.forget(['telegram:7']);
    expect(turnsBefore(state, event('b', 1))).toEqual([]);
    expect(await journal.questionsOf(['telegram:7'], 9)).toEqual([]);
    expect(journal.find(key)?.amount).toBe(5n);
    for await (const [, value] of store.entries())
      expect(Buffer.from(value).includes('private thought')).toBe(false);
    await journal.prune(KEPT_MS + 1, []);
    expect(journal.find(key)).toBeUndefined();
  });

  test('a conversation ends after a long pause and does not grow without end', async () => {
    const { state } = journalOn();
    for (let i = 0; i < 20; i++) {
      await state.update(() => ({
        operations: [addTurn(state, event(`${i}`, i), { question: `q${i}`, answer: 'a' })],
        ...rest,
      }));
    }
    expect(turnsBefore(state, event('x', 20))).toHaveLength(12);
    expect(turnsBefore(state, event('x', 7 * 3_600_000))).toEqual([]);
  });
});
