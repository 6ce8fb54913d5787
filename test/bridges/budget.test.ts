/** `/budget` as a form: a conversation with buttons on Telegram, a form of its own on Discord. */
import { afterEach, describe, expect, test } from 'vitest';
import { type DiscordStage, discordStage } from './discord-stage.ts';
import { GENEROUS } from './settings.ts';
import { type TelegramStage, telegramStage } from './telegram-stage.ts';

const options = {
  ...GENEROUS,
  spending: { ...GENEROUS.spending, callMax: 5_000_000n, userDayMax: 400_000_000n },
};

describe('on Telegram', () => {
  let stage: TelegramStage;
  afterEach(() => stage.close());

  const last = (chat = 7) => stage.telegram.messages(chat).findLast(({ fromBot }) => fromBot);
  const reads = (pattern: RegExp, chat = 7): Promise<void> =>
    stage.telegram.until(() => pattern.test(last(chat)?.text ?? ''), String(pattern));
  const say = (text: string, chat = 7): void => void stage.telegram.say({ chat, user: 7, text });
  const press = (action: string): void => {
    const message = stage.telegram
      .messages(7)
      .findLast(({ buttons }) => buttons.some((one) => one.callback_data.startsWith(`${action}:`)));
    const data = message?.buttons.find((one) => one.callback_data.startsWith(`${action}:`))?.callback_data;
    stage.telegram.press(7, 7, message?.id ?? 0, data ?? '');
  };
  const budget = (): bigint | undefined => stage.bot.bridge.budgetOf('telegram:7');

  // BRG-149
  test('tells what holds, and is set by a button, by an amount that is no question, and taken back', async () => {
    stage = await telegramStage(options);
    say('/budget');
    await reads(/no budget.*0\.005 SAHARA for one answer and 0\.4 SAHARA for you in a day[\s\S]*How much/);
    press('quarter');
    await reads(/at most 0\.1 SAHARA in a day/);
    expect(budget()).toBe(100_000_000n);
    press('other');
    await reads(/Write the amount/);
    say('a lot');
    await reads(/That is no amount\. Write/);
    await stage.bot.bridge.idle();
    await stage.restart();
    say('0,25');
    await reads(/at most 0\.25 SAHARA in a day/);
    expect(budget()).toBe(250_000_000n);
    say('0.5');
    await reads(/paid · /);
    expect(stage.agents.calls.size).toBe(1);
    say('/budget');
    await reads(/at most 0\.25 SAHARA in a day[\s\S]*How much/);
    press('unset');
    await reads(/no budget/);
    expect(budget()).toBeUndefined();
  });

  // BRG-149
  test('gives up after three messages that are no amount, and the next is a question', async () => {
    stage = await telegramStage(options);
    say('/budget');
    await reads(/How much/);
    press('other');
    await reads(/Write the amount/);
    for (const text of ['-1', '1e9', '99999999999']) {
      await stage.bot.bridge.idle();
      say(text);
      await reads(text === '99999999999' ? /stays as it was/ : /That is no amount\./);
    }
    expect([budget(), stage.agents.calls.size]).toEqual([undefined, 0]);
    say('words=4');
    await reads(/paid · /);
  });

  // BRG-149 BRG-42
  test('is asked for in the direct chat also from a group, and above the limit the limit holds', async () => {
    stage = await telegramStage(options);
    say('/budget', -5);
    await reads(/How much/);
    expect(stage.telegram.messages(-5).filter(({ fromBot }) => fromBot)).toEqual([]);
    press('other');
    await reads(/Write the amount/);
    say('@sahara_bot words=4', -5);
    await reads(/paid · /, -5);
    say('7');
    await reads(/at most 7 SAHARA in a day.*above the limit, so 0\.4 SAHARA is what holds/);
  });
});

describe('on Discord', () => {
  let stage: DiscordStage;
  afterEach(() => stage.close());
  const mine = { user: '7', channel: '501', guild: '500' };
  const secrets = (): readonly string[] =>
    stage.discord
      .messages('501')
      .filter(({ onlyFor }) => onlyFor === '7')
      .map(({ content }) => content.replaceAll('\\', ''));
  const reads = (pattern: RegExp): Promise<void> =>
    stage.discord.until(() => secrets().some((text) => pattern.test(text)), String(pattern));

  // BRG-149
  test('opens with what holds and the present amount, and says what is wrong with another', async () => {
    stage = await discordStage(options);
    const form = await stage.discord.openForm(mine, undefined, 'budget');
    expect(form.words).toMatch(/no budget.*0\.005 SAHARA for one answer and 0\.4 SAHARA for you in a day/);
    expect([...form.fields]).toEqual([['amount', '']]);
    stage.discord.sendForm(mine, form.id, { amount: 'much' });
    await reads(/Say the most that you want to spend/);
    stage.discord.sendForm(mine, form.id, { amount: '0.3' });
    await reads(/at most 0\.3 SAHARA in a day/);
    const again = await stage.discord.openForm(mine, undefined, 'budget');
    expect([...again.fields]).toEqual([['amount', '0.3']]);
    stage.discord.sendForm(mine, form.id, { amount: 'off' });
    await reads(/no budget/);
    expect(stage.bot.bridge.budgetOf('discord:7')).toBeUndefined();
  });
});
