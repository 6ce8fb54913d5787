import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { answerTextOf, PAID_PER_CALL } from '../stand-ins/agents.ts';
import { type TelegramStage, telegramStage } from './telegram-stage.ts';

let stage: TelegramStage;
beforeEach(async () => {
  stage = await telegramStage();
});
afterEach(() => stage.close());

const replies = (chat: number) => stage.telegram.messages(chat).filter((message) => message.fromBot);
const ended =
  (chat: number, count = 1) =>
  () =>
    replies(chat).filter((message) =>
      message.buttons.some((button) => button.callback_data.startsWith('receipt')),
    ).length >= count;

describe('a question on Telegram', () => {
  test('is answered by one message that grows, with sources, price and buttons', async () => {
    const asked = stage.telegram.say({ chat: 7, user: 7, text: 'What? words=40 delay=5' });
    await stage.telegram.until(ended(7), 'the answer');
    await stage.bot.bridge.idle();
    const [reply, ...others] = replies(7);
    expect(others).toEqual([]);
    expect(reply?.replyTo).toBe(asked.id);
    expect(reply?.text).toContain('w40');
    expect(reply?.text).toContain('Answer to that¹:');
    expect(reply?.text).toContain('Sources: ¹ handbook.md');
    expect(reply?.buttons.map((button) => button.text)).toEqual(['Ask again', 'Sources', 'Receipt']);
    expect(reply?.edits).toBeGreaterThan(0);
    expect(stage.bot.bridge.balanceOf('agents')).toBe(PAID_PER_CALL + 400n);
    expect(stage.agents.charged()).toBe(PAID_PER_CALL + 400n);
  });

  test('that is longer than a message is spread over several, and no word is lost', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'words=2000' });
    await stage.telegram.until(ended(7), 'the answer');
    await stage.bot.bridge.idle();
    const text = replies(7)
      .map((message) => message.text)
      .join(' ');
    for (let i = 1; i <= 2000; i++) expect(text).toContain(`w${i}`);
    expect(replies(7).length).toBeGreaterThan(2);
    expect(replies(7).filter((message) => message.buttons.length > 0)).toHaveLength(1);
  });

  test('keeps Markdown as entities', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'as=markdown' });
    await stage.telegram.until(ended(7), 'the answer');
    const types = replies(7)[0]?.entities.map((entity) => entity.type);
    expect(types).toEqual(expect.arrayContaining(['bold', 'code', 'pre']));
    expect(answerTextOf('as=markdown')).toContain('const x');
  });
});
