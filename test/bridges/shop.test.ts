/** Credit for Stars and for Discord's products: bought, spent, given back, each once, whatever is lost or killed. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMemoryStore } from '../../src/base/store.ts';
import { createSpending } from '../../src/bridges/core/spending.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { promisedCredit } from '../../src/bridges/telegram/stars.ts';
import type { DiscordService } from '../stand-ins/discord.ts';
import { type DiscordStage, discordStage } from './discord-stage.ts';
import { GENEROUS } from './settings.ts';
import { type TelegramStage, telegramStage } from './telegram-stage.ts';

const CREDIT = 5_000_000n;
const welcome = 0n;
const poor = { ...GENEROUS, support: 'help@example.org', spending: { ...GENEROUS.spending, welcome } };

describe('Stars', () => {
  let stage: TelegramStage;
  beforeEach(async () => {
    stage = await telegramStage(poor, { stars: [{ stars: 50, credit: CREDIT }] });
  });
  afterEach(() => stage.close());

  const texts = (chat: number): string =>
    stage.telegram
      .messages(chat)
      .filter((message) => message.fromBot)
      .map(({ text }) => text)
      .join('\n');
  const shows = (chat: number, pattern: RegExp): Promise<void> =>
    stage.telegram.until(() => pattern.test(texts(chat)), String(pattern));
  const balance = (user: number): bigint => stage.bot.bridge.balanceOf(`user/telegram:${user}`);
  const invoice = async (): Promise<string> => {
    stage.telegram.say({ chat: 7, user: 7, text: '/buy' });
    await shows(7, /0\.005 SAHARA for 50 ⭐/);
    const entity = stage.telegram
      .messages(7)
      .flatMap(({ entities }) => entities)
      .find((one) => one.type === 'text_link');
    return entity?.type === 'text_link' ? entity.url : '';
  };

  // BRG-140
  test('buy credit once, although the payment is announced twice, and it pays for answers', async () => {
    expect(await stage.telegram.pay(7, 7, await invoice(), { repeat: true })).toBe(true);
    await shows(7, /0\.005 SAHARA of credit are yours/);
    stage.telegram.repeatUpdates(2);
    stage.telegram.say({ chat: 7, user: 7, text: 'words=4' });
    await shows(7, /w4\b[\s\S]*paid · /);
    await stage.bot.bridge.idle();
    expect(balance(7)).toBe(CREDIT - stage.agents.charged());
    expect(texts(7).match(/are yours/g)).toHaveLength(1);
  });

  // BRG-140
  test('are credited to whom they were paid by, also where a group is closed and the user too fast', async () => {
    const address = await invoice();
    expect(await stage.telegram.pay(-6, 9, address)).toBe(true);
    await shows(9, /are yours/);
    expect([balance(9), balance(7)]).toEqual([CREDIT, 0n]);
  });

  // BRG-141
  test('are not taken for what is not offered', async () => {
    for (const [payload, stars] of [
      [`credit:50:${CREDIT * 100n}`, 50],
      [`credit:1:${CREDIT}`, 1],
      [`credit:50:${CREDIT}`, 1],
      ['anything', 50],
    ] as const) {
      expect(await stage.telegram.forgeCheckout(7, payload, stars)).toBe(false);
    }
    expect(balance(7)).toBe(0n);
  });

  // BRG-142
  test('are given back once while unspent, although every answer to the refund is lost and the bot restarts', async () => {
    await stage.telegram.pay(7, 7, await invoice());
    await shows(7, /are yours/);
    stage.telegram.plan((method, count) =>
      method === 'refundStarPayment' && count < 3 ? 'drop-after' : undefined,
    );
    stage.telegram.say({ chat: 7, user: 7, text: '/refund' });
    await stage.telegram.until(() => (stage.telegram.calls.get('refundStarPayment') ?? 0) > 0, 'the refund');
    await stage.restart();
    await shows(7, /was given back/);
    stage.telegram.say({ chat: 7, user: 7, text: '/refund' });
    await shows(7, /no purchase to give back/);
    await stage.bot.bridge.idle();
    expect([...stage.telegram.payments.values()].map(({ refunds }) => refunds)).toEqual([1]);
    expect(balance(7)).toBe(0n);
    stage.telegram.giveBack(7, 'stars-1');
    stage.telegram.say({ chat: 7, user: 7, text: '/help' });
    await shows(7, /Ask me anything/);
    expect(balance(7)).toBe(0n);
    expect(stage.bot.bridge.balanceOf('operator')).toBe(0n);
  });

  // BRG-142
  test('that are spent in part are not given back', async () => {
    await stage.telegram.pay(7, 7, await invoice());
    await shows(7, /are yours/);
    stage.telegram.say({ chat: 7, user: 7, text: 'words=4' });
    await shows(7, /w4\b[\s\S]*paid · /);
    stage.telegram.say({ chat: 7, user: 7, text: '/refund' });
    await shows(7, /is spent\. \/paysupport/);
    expect(stage.telegram.calls.get('refundStarPayment')).toBeUndefined();
  });

  // BRG-143
  test('that Telegram takes back take the credit along; what is spent the operator bears', async () => {
    await stage.telegram.pay(7, 7, await invoice());
    await shows(7, /are yours/);
    stage.telegram.say({ chat: 7, user: 7, text: 'words=4' });
    await shows(7, /w4\b[\s\S]*paid · /);
    await stage.bot.bridge.idle();
    stage.telegram.giveBack(7, 'stars-1');
    await stage.telegram.until(() => balance(7) === 0n, 'the credit to go');
    expect(stage.bot.bridge.balanceOf('operator')).toBe(-stage.agents.charged());
  });

  // BRG-144
  test('come with terms and with whom to ask', async () => {
    stage.telegram.say({ chat: 7, user: 7, text: '/terms' });
    await shows(7, /Credit bought here pays for answers only[\s\S]*help@example\.org/);
    stage.telegram.say({ chat: 7, user: 7, text: '/paysupport' });
    await shows(7, /For anything else: help@example\.org/);
  });

  // BRG-140
  test.each([
    ['another currency', 'EUR', 50, `credit:50:${CREDIT}`],
    ['another total', 'XTR', 1, `credit:50:${CREDIT}`],
    ['no payload of ours', 'XTR', 50, 'credit'],
  ])('%s promises nothing', (_, currency, total_amount, invoice_payload) => {
    expect(promisedCredit({ currency, total_amount, invoice_payload })).toBeUndefined();
  });
});

describe('where nothing is sold', () => {
  // BRG-141
  test('there is nothing to buy, and no payment is let through', async () => {
    const stage = await telegramStage(poor);
    stage.telegram.say({ chat: 7, user: 7, text: '/buy' });
    await stage.telegram.until(
      () => stage.telegram.messages(7).some(({ text }) => /Nothing is sold here/.test(text)),
      'the sentence',
    );
    expect(await stage.telegram.forgeCheckout(7, `credit:50:${CREDIT}`, 50)).toBe(false);
    await stage.close();
  });
});

describe("Discord's products", () => {
  let stage: DiscordStage;
  let discord: DiscordService;
  const balance = (): bigint => stage.bot.bridge.balanceOf('user/discord:7');
  beforeEach(async () => {
    stage = await discordStage(poor, [{ sku: '55555', credit: CREDIT }]);
    ({ discord } = stage);
  });
  afterEach(() => stage.close());

  // BRG-145
  test('are credited once and consumed, although answers are lost; others are left alone', async () => {
    discord.plan((method, count) => (method === 'POST applications' && count < 3 ? 'drop-after' : undefined));
    const first = discord.buy('7', '55555');
    const other = discord.buy('7', '66666');
    await discord.until(() => discord.entitlements.get(first)?.consumed === true, 'the consumption');
    discord.repeatEvents(2);
    const second = discord.buy('7', '55555');
    await discord.until(() => discord.entitlements.get(second)?.consumed === true, 'the second');
    await stage.bot.bridge.idle();
    expect(balance()).toBe(2n * CREDIT);
    expect(discord.entitlements.get(other)?.consumed).toBe(false);
  });

  // BRG-145
  test('that were bought while no process listened are credited at the start', async () => {
    await stage.bot.stop();
    const bought = discord.buy('7', '55555', { unheard: true });
    stage.bot = await stage.start();
    await discord.until(() => discord.entitlements.get(bought)?.consumed === true, 'the consumption');
    expect(balance()).toBe(CREDIT);
  });

  // BRG-143
  test('that Discord takes back take the credit along', async () => {
    const bought = discord.buy('7', '55555');
    await discord.until(() => discord.entitlements.get(bought)?.consumed === true, 'the consumption');
    await stage.bot.bridge.idle();
    discord.takeBack(bought);
    await discord.until(() => balance() === 0n, 'the credit to go');
  });

  // BRG-145
  test('stand behind /buy', async () => {
    expect(discord.commands()).toEqual(expect.arrayContaining(['buy', 'refund', 'terms', 'paysupport']));
    discord.command({ user: '7', channel: '77', guild: undefined }, 'buy');
    const link = /\(<https:\/\/discord\.com\/application-directory\/900\/store\/55555>\)/;
    await discord.until(() => discord.messages('77').some(({ content }) => link.test(content)), 'the link');
    expect(discord.messages('77').every(({ onlyFor }) => onlyFor === '7')).toBe(true);
  });
});

describe('bought credit in the book', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('give'), amount: fc.bigInt({ min: 1n, max: 1000n }) }),
    fc.record({ do: fc.constant('back'), amount: fc.bigInt({ min: 1n, max: 1000n }) }),
    fc.record({ do: fc.constant('credit'), amount: fc.bigInt({ min: 1n, max: 1000n }) }),
    fc.record({ do: fc.constant('leave'), amount: fc.bigInt({ min: 1n, max: 1000n }) }),
  );

  // BRG-34 BRG-140
  test('never leaves as money, and all accounts sum to 0', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.bigInt({ min: 0n, max: 500n }),
        async (steps, gift) => {
          const state = createState(createMemoryStore());
          const spending = createSpending({ state }, { ...GENEROUS.spending, welcome: gift });
          let paidIn = 0n;
          let left = 0n;
          for (const [i, { do: what, amount }] of steps.entries()) {
            const booking = { id: `${i}`, atMs: 1 };
            await state.update(() => {
              if (what === 'give')
                return { operations: spending.give('telegram:7', amount, booking), result: 0 };
              if (what === 'back')
                return { operations: spending.takeBack('telegram:7', amount, booking), result: 0 };
              if (what === 'credit') {
                paidIn += amount;
                return { operations: spending.credit('telegram:7', amount, booking), result: 0 };
              }
              try {
                const operations = spending.leave('telegram:7', amount, booking);
                left += amount;
                return { operations, result: 0 };
              } catch {
                return { operations: [], result: 0 };
              }
            });
          }
          expect(left <= paidIn).toBe(true);
          expect(spending.balance('telegram:7') >= 0n).toBe(true);
          const accounts = ['user/telegram:7', 'operator', 'funding', 'leaving'];
          expect(accounts.reduce((sum, name) => sum + spending.accountBalance(name), 0n)).toBe(0n);
        },
      ),
      { numRuns: 100 },
    );
  });
});
