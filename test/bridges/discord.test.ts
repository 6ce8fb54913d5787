import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { renderMarkdown } from '../../src/bridges/core/markdown.ts';
import { plain, styled } from '../../src/bridges/core/rich.ts';
import { splitRich } from '../../src/bridges/core/split.ts';
import { DISCORD_LIMIT, discordMarkdown } from '../../src/bridges/discord/content.ts';
import type { AgentService } from '../stand-ins/agents.ts';
import type { DiscordService } from '../stand-ins/discord.ts';
import { type DiscordStage, discordStage } from './discord-stage.ts';
import { documents } from './documents.ts';

let stage: DiscordStage;
let discord: DiscordService;
let agents: AgentService;

const mine = { user: '7', channel: '77', guild: undefined };
const replies = () => discord.messages('77').filter((message) => message.fromBot);
const finals = () =>
  replies().filter((message) => message.buttons.some((data) => data.startsWith('receipt')));

describe('a Discord bot', () => {
  beforeEach(async () => {
    stage = await discordStage();
    ({ discord, agents } = stage);
  });
  afterEach(() => stage.close());

  // BRG-60
  test('that was away resumes where its journal ends and misses nothing', async () => {
    discord.say(mine, 'words=4');
    await discord.until(() => finals().length === 1, 'the first answer');
    await stage.bot.bridge.idle();
    await stage.bot.stop();
    discord.say(mine, 'words=5');
    discord.say(mine, 'words=6');
    stage.bot = await stage.start();
    await discord.until(() => finals().length === 3, 'the answers to what was missed');
    expect(discord.joins).toEqual({ identified: 1, resumed: 1 });
    expect(agents.calls.size).toBe(3);
  });

  test('identifies anew when its session is forgotten', async () => {
    discord.cut(true);
    await discord.until(() => discord.joins.identified === 2, 'a new session');
    discord.say(mine, 'words=4');
    await discord.until(() => finals().length === 1, 'the answer');
  });

  // BRG-60
  test.each(['while it ran', 'while it was away'])(
    'takes up what was written when its session was lost %s, once',
    async (when) => {
      const inGuild = { user: '8', channel: '501', guild: '500' };
      discord.say(mine, 'words=4');
      const thread = discord.say(inGuild, `<@${discord.self.id}> words=4`);
      await discord.until(() => agents.calls.size === 2, 'the first questions');
      await stage.bot.bridge.idle();
      const isAway = when === 'while it was away';
      if (isAway) await stage.bot.stop();
      discord.cut(true);
      discord.say(mine, 'words=5');
      discord.say({ ...inGuild, channel: thread }, `<@${discord.self.id}> words=6`);
      discord.say({ ...inGuild, channel: thread }, 'not for the bot');
      if (isAway) stage.bot = await stage.start();
      await discord.until(
        () => finals().length === 2 && agents.calls.size === 4,
        'the answers to what was missed',
      );
      expect(discord.joins.identified).toBe(2);
      await stage.bot.bridge.idle();
      await stage.bot.stop();
      discord.cut(true);
      stage.bot = await stage.start();
      await stage.bot.bridge.idle();
      expect(agents.calls.size).toBe(4);
    },
  );

  // BRG-60
  test('reads all of 250 messages that it missed, and answers what is for it', async () => {
    const at = { user: '8', channel: '501', guild: '500' };
    discord.say(at, `<@${discord.self.id}> topic=known words=4`);
    await discord.until(() => agents.calls.size === 1, 'the first question');
    await stage.bot.bridge.idle();
    await stage.bot.stop();
    discord.cut(true);
    const asked = [0, 60, 149, 151, 249];
    for (let i = 0; i < 250; i++) {
      const who = { ...at, user: String(100 + i) };
      const isAsked = asked.includes(i);
      discord.say(who, isAsked ? `<@${discord.self.id}> topic=missed-${i} words=4` : `chatter ${i}`);
    }
    stage.bot = await stage.start();
    await discord.until(() => agents.calls.size === 1 + asked.length, 'the answers to what was missed');
    await stage.bot.bridge.idle();
    const topics = [...agents.calls.values()].map(({ request }) => /missed-\d+/.exec(request.question)?.[0]);
    expect(new Set(topics.slice(1))).toEqual(new Set(asked.map((i) => `missed-${i}`)));
  });

  // BRG-61
  test('ends an answer with its own token when the interaction has died', async () => {
    discord.command(mine, 'ask', 'words=300 delay=10');
    await discord.until(() => /w9\b/.test(replies()[0]?.content ?? ''), 'the beginning');
    discord.expireTokens();
    await discord.until(() => finals().length === 1, 'the end');
    expect(replies()).toHaveLength(1);
    expect(replies()[0]?.content).toContain('w300');
  });

  // BRG-146
  test('leaves an answer as it is when stop is pressed too late or by somebody else, and tells who pressed', async () => {
    const theirs = { ...mine, user: '8' };
    discord.say(mine, 'words=300 delay=10');
    await discord.until(() => /w9\b/.test(replies()[0]?.content ?? ''), 'the beginning');
    const [growing] = replies();
    const stop = growing?.buttons.find((data) => data.startsWith('stop:')) ?? '';
    discord.press(theirs, growing?.id ?? '', stop);
    await discord.until(() => finals().length === 1, 'the end');
    discord.press(mine, growing?.id ?? '', stop);
    const told = (user: string): string | undefined =>
      replies().find(({ onlyFor }) => onlyFor === user)?.content;
    await discord.until(() => told('7') !== undefined && told('8') !== undefined, 'what is told');
    expect([told('7'), told('8')]).toEqual([
      'That answer has already ended.',
      'Only the person who asked can do that.',
    ]);
    await stage.bot.bridge.idle();
    expect(finals().map(({ content }) => content.match(/\bw\d+/g)?.length)).toEqual([300]);
  });

  // BRG-62
  test('answers in the channel when an interaction could not be acknowledged', async () => {
    discord.plan((method, count) =>
      method.startsWith('POST interactions') && count === 1 ? 'drop-before' : undefined,
    );
    discord.command(mine, 'ask', 'words=4');
    await discord.until(() => finals().length === 1, 'the answer');
    expect(replies()).toHaveLength(1);
  });

  test('publishes its commands and completes names of agents', async () => {
    expect(discord.commands()).toEqual(
      expect.arrayContaining(['ask', 'agents', 'agent', 'balance', 'proof', 'forget']),
    );
    expect(await discord.complete(mine, 'GU')).toEqual(['guide']);
    expect(await discord.complete(mine, '')).toEqual(['guide', 'paid']);
  });

  test('reads no message that is not for it', async () => {
    discord.say({ user: '7', channel: '501', guild: '500' }, 'words=4');
    discord.say(mine, 'words=5');
    await discord.until(() => finals().length === 1, 'the answer');
    expect(agents.calls.size).toBe(1);
  });

  test('refuses a wrong token', async () => {
    await expect(stage.start('wrong')).rejects.toMatchObject({ code: 'token-refused' });
  });
});

describe("Discord's Markdown", () => {
  test.each([
    [
      plain('@everyone <@1> *a* _b_ `c` ~~d~~ ||e||'),
      '\\@everyone \\<\\@1\\> \\*a\\* \\_b\\_ \\`c\\` \\~\\~d\\~\\~ \\|\\|e\\|\\|',
    ],
    [plain('# no\n- no\n> no\n-# no'), '\\# no\n\\- no\n\\> no\n\\-# no'],
    [plain('https://x.org a-b #1'), 'https\\://x.org a-b #1'],
    [styled('x', 'link', { url: 'https://x.org/a)b' }), '[x](<https://x.org/a%29b>)'],
    [styled('https://x.org/', 'link', { url: 'https://x.org/' }), '<https://x.org/>'],
    [styled('a`b', 'code'), '`` a`b ``'],
    [styled('a\n```b', 'pre'), '```\na\n`\u200b`\u200b`b\n```'],
    [styled('one\ntwo', 'quote'), '> one\n> two'],
    [styled('b', 'bold'), '**b**'],
  ])('%j', (rich, written) => expect(discordMarkdown(rich)).toBe(written));

  // BRG-22 BRG-27
  test('messages fit, balance their fences, and keep every visible character', () => {
    fc.assert(
      fc.property(documents, (markdown) => {
        const rich = renderMarkdown(markdown);
        const pieces = splitRich(rich, DISCORD_LIMIT);
        expect(
          pieces
            .map((piece) => piece.text)
            .join('')
            .replace(/\s+/g, ''),
        ).toBe(rich.text.replace(/\s+/g, ''));
        for (const piece of pieces) {
          const written = discordMarkdown(piece);
          expect(written.length).toBeLessThanOrEqual(2000);
          expect((written.match(/^(> )?```/gm) ?? []).length % 2).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });
});
