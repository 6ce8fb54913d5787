import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createLog, type Log, silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { startTelegramBot, TELEGRAM_DEFAULTS } from '../../src/bridges/telegram/bot.ts';
import { telegramEvent } from '../../src/bridges/telegram/events.ts';
import { agentsOver } from '../stand-ins/agents.ts';
import { FAST, GENEROUS } from './settings.ts';
import { type TelegramStage, telegramStage } from './telegram-stage.ts';

let stage: TelegramStage;

const replies = (chat: number) => stage.telegram.messages(chat).filter((message) => message.fromBot);
const finals = (chat: number) =>
  replies(chat).filter((message) =>
    message.buttons.some((button) => button.callback_data.startsWith('receipt')),
  );
const answered = async (chat: number, count = 1): Promise<void> => {
  await stage.telegram.until(() => finals(chat).length >= count, `answer ${count}`);
  await stage.bot.bridge.idle();
};

describe('a Telegram bot', () => {
  beforeEach(async () => {
    stage = await telegramStage();
  });
  afterEach(() => stage.close());

  test('answers with one message that grows, as a reply, with entities', async () => {
    const asked = stage.telegram.say({ chat: 7, user: 7, text: 'as=markdown delay=8' });
    await answered(7);
    const [reply, ...others] = replies(7);
    expect(others).toEqual([]);
    expect(reply?.replyTo).toBe(asked.id);
    expect(reply?.edits).toBeGreaterThan(0);
    const types = reply?.entities.map((entity) => entity.type);
    expect(types).toEqual(expect.arrayContaining(['bold', 'code', 'pre']));
    expect(reply?.buttons.map((button) => button.text)).toEqual([
      'Ask again',
      'Sources',
      'Receipt',
      '👍',
      '👎',
    ]);
  });

  test('answers in the language of who asks', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: '/help', language: 'de-AT' });
    await stage.telegram.until(() => /Frag mich etwas/.test(replies(7)[0]?.text ?? ''), 'German');
  });

  // BRG-51
  test('answers every pressed button, also one that it does not act on', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'words=4' });
    await answered(7);
    const [reply] = finals(7);
    const id = stage.telegram.press(7, 7, reply?.id ?? 0, reply?.buttons[1]?.callback_data ?? '');
    await stage.telegram.until(() => stage.telegram.answeredCallbacks.includes(id), 'the callback');
  });

  // BRG-52
  test('says where it was asked that a private reply needs a direct chat', async () => {
    stage.telegram.closedChats.add(9);
    stage.telegram.say({ chat: -5, user: 9, text: '/balance' });
    await stage.telegram.until(() => /start a direct chat/.test(replies(-5)[0]?.text ?? ''), 'the sentence');
    expect(replies(9)).toEqual([]);
  });

  // BRG-6
  test('sends an answer anew whose message someone deleted', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: 'words=300 delay=15' });
    await stage.telegram.until(() => /w9\b/.test(replies(7)[0]?.text ?? ''), 'the beginning');
    stage.telegram.remove(7, replies(7)[0]?.id ?? 0);
    await answered(7);
    expect(finals(7)).toHaveLength(1);
    expect(finals(7)[0]?.text.match(/\bw\d+/g)).toHaveLength(300);
  });

  // BRG-7
  test('waits while another process polls with its token, and goes on after it', async () => {
    const options = {
      ...TELEGRAM_DEFAULTS,
      token: stage.telegram.token,
      apiRoot: stage.telegram.apiRoot,
      pollSeconds: 1,
      pace: FAST,
      bridge: GENEROUS,
    };
    const other = await startTelegramBot(
      {
        agents: agentsOver(stage.agents.url),
        state: createState(createMemoryStore()),
        clock: systemClock,
        log: silentLog,
      },
      options,
    );
    await stage.telegram.until(() => (stage.telegram.calls.get('getUpdates') ?? 0) > 4, 'both polling');
    await other.stop();
    stage.telegram.say({ chat: 7, user: 7, text: 'words=4' });
    await answered(7);
    expect(stage.agents.calls.size).toBe(1);
  });

  test('refuses to start with a token that Telegram does not know', async () => {
    const parts = {
      agents: agentsOver(stage.agents.url),
      state: createState(createMemoryStore()),
      clock: systemClock,
      log: silentLog,
    };
    const wrong = startTelegramBot(parts, {
      ...TELEGRAM_DEFAULTS,
      token: '1:wrong',
      apiRoot: stage.telegram.apiRoot,
    });
    await expect(wrong).rejects.toMatchObject({ code: 'token-refused' });
  });

  // BRG-47
  test('never logs its token or what people write', async () => {
    const lines: string[] = [];
    const log = recording(lines);
    stage.telegram.plan((method, count) =>
      method !== 'getMe' && count % 3 === 0 ? 'drop-after' : undefined,
    );
    const bot = await startTelegramBot(
      {
        agents: agentsOver(stage.agents.url),
        state: createState(createMemoryStore()),
        clock: systemClock,
        log,
      },
      {
        ...TELEGRAM_DEFAULTS,
        token: stage.telegram.token,
        apiRoot: stage.telegram.apiRoot,
        pollSeconds: 1,
        pace: FAST,
        bridge: GENEROUS,
      },
    );
    stage.telegram.say({ chat: 7, user: 7, text: 'my-secret-question words=300 delay=4' });
    await stage.telegram.until(() => finals(7).length > 0, 'an answer');
    await bot.stop();
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join('\n')).not.toContain(stage.telegram.token);
    expect(lines.join('\n')).not.toContain('my-secret-question');
  });
});

/** A log that keeps its lines. */
function recording(lines: string[]): Log {
  const keep = (event: string, facts: object = {}): void => {
    lines.push(`${event} ${JSON.stringify(facts)}`);
  };
  return { ...createLog({ level: 'silent' }), debug: keep, info: keep, warn: keep, error: keep };
}

describe('a chat that Telegram slows down', () => {
  // BRG-26
  test('gets every word although the bot is refused again and again', async () => {
    const window = { count: 2, windowMs: 900 };
    stage = await telegramStage(GENEROUS, { limits: { direct: window, group: window, total: window } });
    stage.telegram.say({ chat: 7, user: 7, text: 'words=1500 delay=2' });
    await answered(7);
    const words = replies(7)
      .map((message) => message.text)
      .join(' ')
      .match(/\bw\d+/g);
    expect(words).toHaveLength(1500);
    expect(stage.telegram.floods()).toBeGreaterThan(0);
    await stage.close();
  });
});

describe('updates that are not for the bot', () => {
  const self = { id: 4242, username: 'sahara_bot' };
  const user = { id: 7, is_bot: false, first_name: 'U' };
  const group = { id: -5, type: 'group' as const, title: 'G' };
  const base = { message_id: 1, date: 1, chat: group, from: user };

  test.each([
    ['a group message without a mention', { ...base, text: 'hello' }],
    [
      'another bot',
      {
        ...base,
        from: { ...user, is_bot: true },
        text: '@sahara_bot hi',
        entities: [{ type: 'mention' as const, offset: 0, length: 11 }],
      },
    ],
    [
      'a command for another bot',
      {
        ...base,
        text: '/help@other_bot',
        entities: [{ type: 'bot_command' as const, offset: 0, length: 15 }],
      },
    ],
    [
      'a mention of someone else',
      { ...base, text: '@sahara_bott hi', entities: [{ type: 'mention' as const, offset: 0, length: 12 }] },
    ],
    [
      'a message in the name of a channel',
      {
        ...base,
        text: '/help',
        sender_chat: group,
        entities: [{ type: 'bot_command' as const, offset: 0, length: 5 }],
      },
    ],
    ['a message without words', { ...base }],
  ])('%s', (_, message) => {
    expect(telegramEvent({ update_id: 1, message }, self, 0)).toBeUndefined();
  });

  test('a button whose data is not ours', () => {
    const query = { id: '1', from: user, chat_instance: '1', data: 'pay:1', message: { ...base, text: 'x' } };
    expect(telegramEvent({ update_id: 1, callback_query: query }, self, 0)).toBeUndefined();
  });

  test('a mention in any case, in the middle, is one; the mention goes', () => {
    const message = {
      ...base,
      text: 'hey @Sahara_Bot, why?',
      entities: [{ type: 'mention' as const, offset: 4, length: 11 }],
    };
    expect(telegramEvent({ update_id: 1, message }, self, 0)).toMatchObject({
      type: 'question',
      text: 'hey , why?',
    });
  });
});
