/** What only Discord has: threads, forms, the menu of a message, suggestions, and the bot as one's own. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commandList } from '../../src/bridges/discord/commands.ts';
import { type AgentService, startAgentService } from '../stand-ins/agents.ts';
import type { DiscordService, SeenDiscordMessage } from '../stand-ins/discord.ts';
import { type DiscordStage, discordStage } from './discord-stage.ts';

let stage: DiscordStage;
let discord: DiscordService;
let agents: AgentService;

const inChannel = { user: '7', channel: '501', guild: '500' };
const mine = { user: '7', channel: '77', guild: undefined };
const replies = (channel: string): readonly SeenDiscordMessage[] =>
  discord.messages(channel).filter((message) => message.fromBot);
const finals = (channel: string): readonly SeenDiscordMessage[] =>
  replies(channel).filter((message) => message.buttons.some((data) => data.startsWith('receipt')));
const mention = (text: string): string => `<@${discord.self.id}> ${text}`;
const answered = async (channel: string, count = 1): Promise<SeenDiscordMessage> => {
  await discord.until(() => finals(channel).length >= count, `answer ${count} in ${channel}`);
  await stage.bot.bridge.idle();
  return finals(channel)[count - 1] as SeenDiscordMessage;
};
const contexts = (): readonly number[] =>
  [...agents.calls.values()].map((call) => call.request.context.length);

beforeEach(async () => {
  stage = await discordStage();
  ({ discord, agents } = stage);
});
afterEach(() => stage.close());

describe('a thread for each conversation', () => {
  // BRG-114
  test('begins at the question, and the conversation goes on there', async () => {
    const asked = discord.say(inChannel, mention('words=4  what is\na thread?'));
    await answered(asked);
    expect(replies('501')).toEqual([]);
    expect(discord.threads.get(asked)).toEqual({ channel: '501', name: 'words=4 what is a thread?' });
    discord.say({ ...inChannel, channel: asked }, mention('words=5 and then?'));
    await answered(asked, 2);
    discord.say(inChannel, mention('words=6 something else'));
    await discord.until(() => discord.threads.size === 2, 'a second thread');
    await stage.bot.bridge.idle();
    expect(contexts()).toEqual([0, 2, 0]);
  });

  // BRG-114
  test('works with its buttons', async () => {
    const asked = discord.say(inChannel, mention('words=4'));
    const { id, buttons } = await answered(asked);
    discord.press(
      { ...inChannel, channel: asked },
      id,
      buttons.find((data) => data.startsWith('retry')) ?? '',
    );
    await answered(asked, 2);
    expect(agents.calls.size).toBe(2);
  });

  // BRG-115
  test('is done without where the bot may begin none, and inside a thread', async () => {
    discord.threadless.add('501');
    const asked = discord.say(inChannel, mention('words=4'));
    expect((await answered('501')).replyTo).toBe(asked);
    const tried = discord.calls.get('POST channels/messages') ?? 0;
    discord.say(inChannel, mention('words=5'));
    await answered('501', 2);
    expect(contexts()).toEqual([0, 2]);
    // The placeholder and nothing for a thread: what was refused is not asked for again.
    expect((discord.calls.get('POST channels/messages') ?? 0) - tried).toBe(1);
  });

  // BRG-114 BRG-4 BRG-5
  test.each(['drop-before', 'drop-after', '500-after', '429'] as const)(
    'is one, with one answer, although every second sending meets %s',
    async (fault) => {
      discord.plan((method, count) =>
        method === 'POST channels/messages' && count % 2 === 1 ? fault : undefined,
      );
      const asked = discord.say(inChannel, mention('words=400 delay=20'));
      await discord.until(() => /w9\b/.test(replies(asked)[0]?.content ?? ''), 'the beginning');
      await stage.bot.stop();
      stage.bot = await stage.start();
      const answer = await answered(asked);
      expect(answer.content.match(/\bw\d+/g)).toHaveLength(400);
      expect(replies(asked)).toHaveLength(1);
      expect(replies('501')).toEqual([]);
      expect(discord.threads.size).toBe(1);
      expect(agents.calls.size).toBe(1);
    },
  );
});

describe('forms', () => {
  // BRG-116
  test('a long question is written into a form', async () => {
    const form = await discord.openForm(mine);
    expect([...form.fields.keys()]).toEqual(['question']);
    discord.sendForm(mine, form.id, { question: `words=4 topic=long ${'x'.repeat(3900)}` });
    expect((await answered('77')).content).toContain('Answer to long');
    expect(agents.calls.size).toBe(1);
  });

  // BRG-117
  test('the menu of a message asks about it: the person sees and sends what goes along', async () => {
    const told = discord.say({ ...inChannel, user: '8' }, 'The answer is topic=forty-two @everyone');
    const form = await discord.openForm(inChannel, told);
    expect(form.fields.get('about')).toBe('The answer is topic=forty-two @everyone');
    discord.sendForm(inChannel, form.id, { question: 'words=3 why?', about: 'topic=forty-one' });
    await answered('501');
    const [call] = agents.calls.values();
    expect(call?.request.question).toBe('> topic=forty-one\n\nwords=3 why?');
  });

  // BRG-117
  test('a form that is not the bot’s own does nothing', async () => {
    discord.sendForm(mine, 'spend', { question: 'words=3' });
    discord.say(mine, 'words=4');
    await answered('77');
    expect(agents.calls.size).toBe(1);
  });
});

describe('suggestions', () => {
  // BRG-118
  test('come from memory, the better matches first, also while no daemon answers', async () => {
    expect(await discord.complete(mine, 'GU')).toEqual(['guide']);
    await agents.close();
    expect(await discord.complete(mine, '')).toEqual(['guide', 'paid']);
    expect(await discord.complete(mine, 'for money')).toEqual(['paid']);
    expect(await discord.complete(mine, 'nobody')).toEqual([]);
    stage.agents = await startAgentService();
  });
});

describe('the bot as one’s own', () => {
  const alone = { user: '7', channel: '888', guild: '999', alone: true };

  // BRG-119
  test('answers anywhere, and only the person sees it', async () => {
    discord.command(alone, 'ask', 'words=2100');
    await answered('888');
    const seen = replies('888');
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.map((message) => message.onlyFor)).toEqual(seen.map(() => '7'));
    expect(
      seen
        .map((message) => message.content)
        .join(' ')
        .match(/\bw\d+/g),
    ).toHaveLength(2100);
    const last = finals('888')[0];
    discord.press(alone, last?.id ?? '', last?.buttons.find((data) => data.startsWith('retry')) ?? '');
    await discord.until(() => finals('888').length === 2, 'the second answer');
    expect(replies('888').every((message) => message.onlyFor === '7')).toBe(true);
  });

  // BRG-119
  test('is published for servers and for people', () => {
    for (const command of commandList(true)) {
      expect(command).toMatchObject({ integration_types: [0, 1], contexts: [0, 1, 2] });
    }
    expect(commandList(false).map(({ name }) => name)).toContain('Ask about this message');
  });
});

describe('what only one person may see', () => {
  // BRG-42
  test('is never said before everyone, not even when its interaction was lost', async () => {
    discord.plan((method) => (method.startsWith('POST interactions') ? 'drop-before' : undefined));
    discord.command(inChannel, 'balance');
    await discord.until(() => (discord.calls.get('POST interactions') ?? 0) > 0, 'the acknowledgement');
    await stage.bot.bridge.idle();
    expect(discord.messages('501')).toEqual([]);
  });
});

describe('ratings', () => {
  const rate = (message: SeenDiscordMessage, verdict: string, user = '7'): void => {
    const data = message.buttons.find((one) => one.startsWith(verdict)) ?? '';
    discord.press({ ...inChannel, user, channel: message.channel }, message.id, data);
  };

  // BRG-120
  test('count once for each answer, for whom it was made, and show in the list', async () => {
    discord.threadless.add('501');
    discord.say(inChannel, mention('words=4'));
    const first = await answered('501');
    discord.say(inChannel, mention('words=5'));
    const second = await answered('501', 2);
    const thanks = (): number => replies('501').filter(({ content }) => /that is noted/.test(content)).length;
    for (const [i, verdict] of ['good', 'good', 'bad', 'good'].entries()) {
      rate(first, verdict);
      await discord.until(() => thanks() === i + 1, 'the thanks');
    }
    rate(second, 'bad');
    rate(second, 'good', '8');
    await discord.until(
      () => replies('501').some(({ onlyFor, content }) => onlyFor === '8' && /Only the person/.test(content)),
      'the refusal',
    );
    await discord.until(() => thanks() === 5, 'the thanks');
    await stage.bot.bridge.idle();
    discord.command(mine, 'agents');
    await discord.until(() => replies('77').some(({ content }) => /paid/.test(content)), 'the list');
    expect(replies('77')[0]?.content).toMatch(/paid\*\* \(.* · 👍 1\/2\\?\)/);
  });
});
