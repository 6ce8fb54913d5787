/** Every call to a platform against every way that it can go wrong, in one visit each: nothing is lost, doubled or charged twice. */
import { describe, expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { discordStage } from '../bridges/discord-stage.ts';
import { CREDIT, GENEROUS, SKU, STARS } from '../bridges/settings.ts';
import { telegramStage } from '../bridges/telegram-stage.ts';
import type { Fault } from '../stand-ins/telegram.ts';

const FAULTS: readonly Fault[] = ['drop-before', 'drop-after', '500-before', '500-after', '429', 'slow'];
/** Times that each call goes wrong. */
const TIMES = 2;
const GIVE_UP_MS = 3000;
const { welcome } = GENEROUS.spending;

/** A plan that breaks each call at first, and what it broke. */
function breaking(fault: Fault) {
  const hits = new Map<string, number>();
  const plan = (method: string): Fault | undefined => {
    const before = hits.get(method) ?? 0;
    hits.set(method, before + 1);
    return before < TIMES ? fault : undefined;
  };
  return { plan, broken: () => [...hits.keys()].sort() };
}

/** What is worth nothing later is not repeated by the bridge; people try again. */
async function insisting<T>(step: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const late = new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), GIVE_UP_MS));
    const done = await Promise.race([step(), late]);
    if (done !== 'late') return done as T;
    if (tries > TIMES) throw new Error('never answered');
  }
}

const words = (text: string): number => text.match(/\bw\d+/g)?.length ?? 0;

describe.concurrent('on Telegram', () => {
  // BRG-5 BRG-26
  test.each(FAULTS)('a visit goes well although every call meets %s', async (fault) => {
    const stars = [{ stars: STARS, credit: CREDIT }];
    const stage = await telegramStage(GENEROUS, { features: { drafts: true }, stars });
    const { telegram, agents } = stage;
    const { plan, broken } = breaking(fault);
    const read = (chat: number) => telegram.messages(chat).filter(({ fromBot }) => fromBot);
    const text = (chat: number): string =>
      read(chat)
        .map((one) => one.text)
        .join('\n');
    const finals = (chat: number) =>
      read(chat).filter(({ buttons }) => buttons.some((one) => one.callback_data.startsWith('receipt')));
    const shows = (chat: number, pattern: RegExp) =>
      telegram.until(() => pattern.test(text(chat)), String(pattern));
    telegram.plan(plan);
    await stage.restart();
    telegram.say({ chat: 7, user: 7, text: 'words=1400 delay=2' });
    telegram.say({ chat: -5, user: 8, text: '@sahara_bot words=900 delay=25 held', topic: 3 });
    telegram.say({ chat: 9, user: 9, text: 'words=4', document: { name: 'a.txt', content: utf8('notes') } });
    // So it is edited, however long its first message took.
    await telegram.until(() => read(-5).length > 0, 'something in the group');
    agents.release();
    for (const chat of [7, -5, 9]) await telegram.until(() => finals(chat).length === 1, `answer in ${chat}`);
    for (const action of ['sources', 'receipt']) {
      const [answer] = finals(-5);
      const data = answer?.buttons.find((one) => one.callback_data.startsWith(action))?.callback_data;
      telegram.press(-5, 8, answer?.id ?? 0, data ?? '');
    }
    await shows(-5, /The passage behind it/);
    await shows(8, /knowledge: /);
    telegram.say({ chat: 10, user: 10, text: '/buy' });
    await shows(10, /SAHARA for 50 ⭐/);
    const invoice = telegram
      .messages(10)
      .flatMap(({ entities }) => entities)
      .find((one) => one.type === 'text_link');
    expect(
      await insisting(() => telegram.pay(10, 10, invoice?.type === 'text_link' ? invoice.url : '')),
    ).toBe(true);
    await shows(10, /are yours/);
    telegram.say({ chat: 10, user: 10, text: '/refund' });
    await shows(10, /was given back/);
    expect((await insisting(() => telegram.inline(11, ''))).results).toHaveLength(2);
    telegram.repeatUpdates(6);
    await stage.restart();
    telegram.say({ chat: 7, user: 7, text: '/balance' });
    await shows(7, /You can spend/);
    await stage.bot.bridge.idle();
    expect([7, -5, 9].map((chat) => finals(chat).length)).toEqual([1, 1, 1]);
    expect([words(text(7)), words(text(-5)), words(text(9))]).toEqual([1400, 900, 4]);
    expect(agents.calls.size).toBe(3);
    expect(stage.bot.bridge.balanceOf('agents')).toBe(agents.charged());
    expect(stage.bot.bridge.balanceOf('user/telegram:10')).toBe(welcome);
    expect([...telegram.payments.values()].map(({ refunds }) => refunds)).toEqual([1]);
    expect([7, -5, 9, 8, 10].map(text).join('\n')).not.toMatch(/…|Asking/);
    expect(broken()).toEqual(expect.arrayContaining([...TELEGRAM_CALLS]));
    await stage.close();
  });
});

const TELEGRAM_CALLS = [
  ...[
    'getMe',
    'setMyCommands',
    'getUpdates',
    'sendMessage',
    'editMessageText',
    'sendMessageDraft',
    'getFile',
  ],
  ...[
    'answerCallbackQuery',
    'answerInlineQuery',
    'answerPreCheckoutQuery',
    'createInvoiceLink',
    'refundStarPayment',
  ],
];

describe.concurrent('on Discord', () => {
  // BRG-5 BRG-26 BRG-62
  test.each(FAULTS)('a visit goes well although every call meets %s', async (fault) => {
    const stage = await discordStage(GENEROUS, [{ sku: SKU, credit: CREDIT }]);
    const { discord, agents } = stage;
    const { plan, broken } = breaking(fault);
    const direct = { user: '7', channel: '70', guild: undefined };
    const guild = { user: '8', channel: '501', guild: '500' };
    const asking = { user: '9', channel: '90', guild: undefined };
    const read = (channel: string) => discord.messages(channel).filter(({ fromBot }) => fromBot);
    const text = (channel: string): string =>
      read(channel)
        .map((one) => one.content.replaceAll('\\', ''))
        .join('\n');
    const finals = (channel: string) =>
      read(channel).filter(({ buttons }) => buttons.some((one) => one.startsWith('receipt')));
    const shows = (channel: string, pattern: RegExp) =>
      discord.until(() => pattern.test(text(channel)), String(pattern));
    discord.plan(plan);
    await stage.bot.stop();
    stage.bot = await stage.start();
    discord.say(direct, 'words=700 delay=3');
    const thread = discord.say(guild, `<@${discord.self.id}> words=400 delay=6 held`);
    discord.command(asking, 'ask', 'words=30 delay=3');
    const inThread = () => [...read(thread), ...read('501')];
    await discord.until(() => inThread().length > 0, 'something in the guild');
    agents.release();
    const places = ['70', '90'];
    for (const channel of places)
      await discord.until(() => finals(channel).length === 1, `answer in ${channel}`);
    const inGuild = () => [...finals(thread), ...finals('501')];
    await discord.until(() => inGuild().length === 1, 'the answer in a guild');
    const [answer] = inGuild();
    for (const action of ['sources', 'receipt']) {
      const data = answer?.buttons.find((one) => one.startsWith(action)) ?? '';
      discord.press({ ...guild, channel: answer?.channel ?? '' }, answer?.id ?? '', data);
    }
    await shows(answer?.channel ?? '', /The passage behind it/);
    await shows(answer?.channel ?? '', /knowledge: /);
    const bought = discord.buy('10', SKU);
    await discord.until(() => discord.entitlements.get(bought)?.consumed === true, 'consumed');
    discord.repeatEvents(6);
    await stage.bot.stop();
    stage.bot = await stage.start();
    discord.command(direct, 'balance');
    await shows('70', /You can spend/);
    await stage.bot.bridge.idle();
    expect([...places.map((channel) => finals(channel).length), inGuild().length]).toEqual([1, 1, 1]);
    expect([words(text('70')), words(text('90'))]).toEqual([700, 30]);
    expect(words(text(thread) + text('501'))).toBe(400);
    expect(agents.calls.size).toBe(3);
    expect(stage.bot.bridge.balanceOf('agents')).toBe(agents.charged());
    expect(stage.bot.bridge.balanceOf('user/discord:10')).toBe(welcome + CREDIT);
    expect([...places, thread, '501'].map(text).join('\n')).not.toMatch(/…|Asking/);
    expect(broken()).toEqual(expect.arrayContaining([...DISCORD_CALLS]));
    await stage.close();
  });
});

const DISCORD_CALLS = [
  ...['GET users', 'GET gateway', 'PUT applications', 'POST interactions', 'PATCH webhooks'],
  ...['POST channels/messages', 'PATCH channels/messages', 'POST applications'],
];
