/** What only Telegram has: drafts with a stop of their own, topics, inline queries. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { telegramEvent } from '../../src/bridges/telegram/events.ts';
import type { SeenMessage } from '../stand-ins/telegram.ts';
import { GENEROUS } from './settings.ts';
import { type TelegramStage, telegramStage } from './telegram-stage.ts';

let stage: TelegramStage;

const replies = (chat: number): readonly SeenMessage[] =>
  stage.telegram.messages(chat).filter((message) => message.fromBot);
const finals = (chat: number): readonly SeenMessage[] =>
  replies(chat).filter((message) =>
    message.buttons.some((button) => button.callback_data.startsWith('receipt')),
  );
const answered = async (chat: number, count = 1): Promise<SeenMessage> => {
  await stage.telegram.until(() => finals(chat).length >= count, `answer ${count}`);
  await stage.bot.bridge.idle();
  return finals(chat)[count - 1] as SeenMessage;
};
const draftShows = (chat: number, pattern: RegExp): Promise<void> =>
  stage.telegram.until(() => pattern.test(stage.telegram.draft(chat)?.text ?? ''), `draft ${pattern}`);
const wordsIn = (text: string): number => text.match(/\bw\d+/g)?.length ?? 0;

afterEach(() => stage.close());

describe('drafts', () => {
  beforeEach(async () => {
    stage = await telegramStage(GENEROUS, { features: { drafts: true } });
  });

  // BRG-130
  test('grow while the answer is written; one message comes of them, never edited', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'words=300 delay=20' });
    await draftShows(7, /w9\b/);
    expect(replies(7)).toEqual([]);
    const answer = await answered(7);
    expect(wordsIn(answer.text)).toBe(300);
    expect(replies(7)).toHaveLength(1);
    expect(answer.edits).toBe(0);
    expect(stage.telegram.drafted.length).toBeGreaterThan(1);
    expect(stage.telegram.draft(7)).toBeUndefined();
  });

  // BRG-131
  test('are stopped by their own button, and what came is paid', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'words=3000 delay=20' });
    await draftShows(7, /w9\b/);
    stage.telegram.stopDraft(7);
    const answer = await answered(7);
    expect(answer.text).toContain('[stopped]');
    expect(wordsIn(answer.text)).toBeLessThan(3000);
    expect(stage.bot.bridge.balanceOf('agents')).toBe(stage.agents.charged());
  });

  // BRG-131
  test('of another chat are not stopped', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'words=200 delay=20 topic=a' });
    stage.telegram.say({ chat: 8, user: 8, text: 'words=2000 delay=20 topic=b' });
    await draftShows(7, /w9\b/);
    await draftShows(8, /w9\b/);
    stage.telegram.stopDraft(8);
    await answered(8);
    expect(wordsIn((await answered(7)).text)).toBe(200);
  });

  // BRG-130 BRG-22
  test('of a long answer leave its whole messages behind', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'words=2000 delay=4' });
    await answered(7);
    expect(
      wordsIn(
        replies(7)
          .map(({ text }) => text)
          .join(' '),
      ),
    ).toBe(2000);
    expect(replies(7)).toHaveLength(3);
  });

  // BRG-130 BRG-4
  test('go on after a restart, and one answer comes', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'words=300 delay=30' });
    await draftShows(7, /w9\b/);
    await stage.restart();
    expect(wordsIn((await answered(7)).text)).toBe(300);
    expect(replies(7)).toHaveLength(1);
    expect(stage.agents.calls.size).toBe(1);
  });

  // BRG-130 BRG-5
  test.each(['drop-before', 'drop-after', '500-after', '429'] as const)(
    'and the message after them survive %s',
    async (fault) => {
      stage.telegram.plan((method, count) =>
        /^sendMessage/.test(method) && count % 2 === 1 ? fault : undefined,
      );
      stage.telegram.say({ chat: 7, user: 7, text: 'words=100 delay=20' });
      expect(wordsIn((await answered(7)).text)).toBe(100);
      expect(replies(7)).toHaveLength(1);
    },
  );

  // BRG-130
  test('are none in groups: a message is edited there', async () => {
    stage.telegram.say({ chat: -5, user: 7, text: '@sahara_bot words=100 delay=20' });
    expect((await answered(-5)).edits).toBeGreaterThan(0);
    expect(stage.telegram.drafted).toEqual([]);
  });
});

describe('topics', () => {
  beforeEach(async () => {
    stage = await telegramStage();
  });

  // BRG-132
  test('are conversations of their own, and buttons answer where they stand', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'words=4 topic=a', topic: 31 });
    const first = await answered(7);
    stage.telegram.say({ chat: 7, user: 7, text: 'words=4 topic=b', topic: 32 });
    await answered(7, 2);
    stage.telegram.say({ chat: 7, user: 7, text: 'words=5 topic=c', topic: 31 });
    await answered(7, 3);
    expect(finals(7).map(({ topic }) => topic)).toEqual([31, 32, 31]);
    const contexts = [...stage.agents.calls.values()].map((call) => call.request.context.length);
    expect(contexts).toEqual([0, 0, 2]);
    const retry = first.buttons.find((button) => button.callback_data.startsWith('retry'));
    stage.telegram.press(7, 7, first.id, retry?.callback_data ?? '');
    expect((await answered(7, 4)).topic).toBe(31);
  });
});

describe('inline queries', () => {
  beforeEach(async () => {
    const policy = { ...GENEROUS.policy, blocked: ['telegram:13'] };
    stage = await telegramStage({ ...GENEROUS, policy });
  });

  // BRG-133
  test('show agents with their prices', async () => {
    const { results } = await stage.telegram.inline(7, '');
    expect(results.map(({ title }) => title)).toEqual(['guide · free', 'paid · ≤ 0.001 SAHARA']);
    expect(results[1]?.input_message_content).toMatchObject({
      message_text: 'paid (≤ 0.001 SAHARA)\nKnows the same for money',
      link_preview_options: { is_disabled: true },
    });
    expect((await stage.telegram.inline(7, 'PAI')).results).toHaveLength(1);
    expect((await stage.telegram.inline(7, 'words=5 delay=1')).results).toEqual([]);
    expect((await stage.telegram.inline(13, '')).results).toEqual([]);
  });

  // BRG-133
  test('never spend: what they put into a chat is no question, not even in the direct chat', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'paid (≤ 0.001 SAHARA) words=3', viaBot: true });
    stage.telegram.say({ chat: -5, user: 7, text: '@sahara_bot words=3', viaBot: true });
    await stage.telegram.inline(7, 'paid');
    stage.telegram.say({ chat: 7, user: 7, text: 'words=4' });
    await answered(7);
    expect(stage.agents.calls.size).toBe(1);
  });

  test('are no events', () => {
    const from = { id: 7, is_bot: false, first_name: 'U' };
    const update = { update_id: 1, inline_query: { id: '1', from, query: 'x', offset: '' } };
    expect(telegramEvent(update, { id: 4242, username: 'sahara_bot' }, 0)).toBeUndefined();
  });
});
