/** Prices that somebody agrees to first, on both platforms. */
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { APPROVAL_MS, QUESTIONS_PER_USER_MAX } from '../../src/bridges/limits.ts';
import { PAID_MAX, PAID_PER_CALL } from '../stand-ins/agents.ts';
import { GENEROUS } from './settings.ts';
import { type BotMessage, onDiscord, onTelegram, type Stage, type Where } from './stage.ts';
import { type TelegramStage, telegramStage } from './telegram-stage.ts';

const careful = { ...GENEROUS, askAbove: PAID_MAX - 1n };
const { welcome } = GENEROUS.spending;

describe.each([
  ['telegram', onTelegram],
  ['discord', onDiscord],
] as const)('on %s', (_, start) => {
  let stage: Stage;
  afterEach(() => stage.close());

  const find = async (where: Where, action: string, count = 1): Promise<BotMessage> => {
    const found = (): readonly BotMessage[] =>
      stage.shown(7, where).filter(({ actions }) => actions.includes(action));
    await stage.until(() => found().length >= count, `${action} ${count}`);
    await stage.bridge().idle();
    return found()[count - 1] as BotMessage;
  };
  const shows = (where: Where, pattern: RegExp): Promise<void> =>
    stage.until(() => stage.shown(7, where).some(({ text }) => pattern.test(text)), String(pattern));
  const secretly = (user: number, where: Where, pattern: RegExp): Promise<void> =>
    stage.until(() => stage.secret(user, where).some(({ text }) => pattern.test(text)), String(pattern));
  const books = (): readonly bigint[] =>
    [`user/${stage.name}:7`, 'held', 'agents'].map((account) => stage.bridge().balanceOf(account));

  // BRG-170 BRG-171
  test.each(['direct', 'group'] as const)(
    'a question in a %s whose answer can cost more waits for a yes, and is asked once',
    async (where) => {
      stage = await start(careful);
      stage.ask(7, where, 'words=5');
      const asked = await find(where, 'approve');
      expect(asked.text.replaceAll('\\', '')).toMatch(/paid can cost up to 0\.001 SAHARA/);
      expect(asked.actions).toEqual(['approve', 'dismiss']);
      expect([stage.agents.calls.size, ...books()]).toEqual([0, 0n, 0n, 0n]);
      await stage.restart();
      stage.press(7, where, asked, 'approve');
      stage.press(7, where, asked, 'approve');
      const answer = await find(where, 'receipt');
      expect(answer.id).toBe(asked.id);
      expect(answer.text).toContain('w5');
      const price = PAID_PER_CALL + 50n;
      const paid = [1, welcome - price, 0n, price];
      expect([stage.agents.calls.size, ...books()]).toEqual(paid);

      await stage.restart();
      stage.repeat(10);
      stage.press(7, where, asked, 'approve', asked.dataOf('approve'));
      stage.press(7, where, asked, 'dismiss', asked.dataOf('dismiss'));
      await secretly(7, where, /decided already/);
      await stage.bridge().idle();
      expect([stage.agents.calls.size, ...books()]).toEqual(paid);
    },
  );

  // BRG-171
  test('a bot that stops at once after the yes asks and charges once when it is back', async () => {
    stage = await start(careful);
    for (let i = 1; i <= 3; i++) {
      stage.ask(7, 'direct', `topic=t${i} words=5`);
      const asked = await find('direct', 'approve');
      stage.press(7, 'direct', asked, 'approve');
      await stage.restart();
      await find('direct', 'receipt', i);
    }
    const price = 3n * (PAID_PER_CALL + 50n);
    expect([stage.agents.calls.size, ...books()]).toEqual([3, welcome - price, 0n, price]);
  });

  // BRG-170 BRG-171
  test('nobody else agrees, admins neither; a no spends nothing, and the question can be asked again', async () => {
    const policy = { ...GENEROUS.policy, admins: ['telegram:8', 'discord:8'] };
    stage = await start({ ...careful, policy });
    stage.ask(7, 'group', 'words=5');
    const asked = await find('group', 'approve');
    stage.press(8, 'group', asked, 'approve');
    await secretly(8, 'group', /Only the person who asked/);
    stage.press(7, 'group', asked, 'dismiss');
    await shows('group', /Not asked/);
    const done = await find('group', 'retry');
    expect(done.id).toBe(asked.id);
    expect(stage.agents.calls.size).toBe(0);
    stage.press(7, 'group', done, 'retry');
    stage.press(7, 'group', await find('group', 'approve'), 'approve');
    expect((await find('group', 'receipt')).text).toContain('w5');
    expect(stage.agents.calls.size).toBe(1);
  });

  // BRG-170
  test('what costs no more than that is asked at once, and so is everything where nothing is said', async () => {
    stage = await start({ ...GENEROUS, askAbove: PAID_MAX });
    stage.ask(7, 'direct', 'words=5');
    await find('direct', 'receipt');
    await stage.close();
    stage = await start(GENEROUS);
    stage.ask(7, 'direct', 'words=5');
    await find('direct', 'receipt');
  });

  // BRG-170
  test('what caps do not allow is refused before anybody agrees to it', async () => {
    const spending = { ...GENEROUS.spending, callMax: PAID_MAX - 1n };
    stage = await start({ ...careful, askAbove: 0n, spending });
    stage.ask(7, 'direct', 'words=5');
    await shows('direct', /costs more for one answer/);
    stage.command(7, 'direct', 'agent', 'guide');
    await shows('direct', /now go to guide/);
    stage.ask(7, 'direct', 'words=6');
    expect((await find('direct', 'receipt')).text).toContain('w6');
  });
});

describe('a price that nobody agreed to in time', () => {
  let stage: TelegramStage;
  afterEach(() => stage.close());

  const shown = () => stage.telegram.messages(7).filter(({ fromBot }) => fromBot);
  const reads = (pattern: RegExp): Promise<void> =>
    stage.telegram.until(() => shown().some(({ text }) => pattern.test(text)), String(pattern));
  const agree = async (): Promise<void> => {
    await stage.bot.bridge.idle();
    const asked = shown().find(({ buttons }) => buttons[0]?.callback_data.startsWith('approve:'));
    stage.telegram.press(7, 7, asked?.id ?? 0, asked?.buttons[0]?.callback_data ?? '');
  };

  // BRG-171
  test('is over, and nothing is asked; also when its question was forgotten', async () => {
    let laterMs = 0;
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
    stage = await telegramStage(careful, { clock });
    stage.telegram.say({ chat: 7, user: 7, text: 'words=5' });
    await reads(/can cost up to/);
    laterMs = APPROVAL_MS + 60_000;
    await agree();
    await reads(/time to decide is over/);
    stage.telegram.say({ chat: 7, user: 7, text: 'words=6' });
    await reads(/can cost up to/);
    await stage.bot.bridge.idle();
    stage.telegram.say({ chat: 7, user: 7, text: '/forget' });
    await reads(/are deleted/);
    await agree();
    await stage.telegram.until(
      () => shown().filter(({ text }) => /time to decide is over/.test(text)).length === 2,
      'the end of the second',
    );
    await stage.bot.bridge.idle();
    expect(stage.agents.calls.size).toBe(0);
    expect(stage.bot.bridge.balanceOf('held')).toBe(0n);
  });
});

describe('prices that one person agrees to all at the same time', () => {
  let stage: TelegramStage;
  afterEach(() => stage.close());

  // BRG-46 BRG-171
  test('are asked no more of than questions of one person may be', async () => {
    stage = await telegramStage(careful);
    const { telegram, agents, bot } = stage;
    const shown = () => telegram.messages(7).filter(({ fromBot }) => fromBot);
    const waiting = () =>
      shown().filter(({ buttons }) => buttons[0]?.callback_data.startsWith('approve:') === true);
    const count = QUESTIONS_PER_USER_MAX + 3;
    for (let i = 1; i <= count; i++) {
      telegram.say({ chat: 7, user: 7, text: `held topic=t${i} words=5` });
      await telegram.until(() => waiting().length === i, `price ${i}`);
      await bot.bridge.idle();
    }
    for (const { id, buttons } of waiting()) telegram.press(7, 7, id, buttons[0]?.callback_data ?? '');
    await telegram.until(
      () => shown().filter(({ text }) => /still being answered/.test(text)).length === 3,
      'what is refused',
    );
    expect(agents.calls.size).toBeLessThanOrEqual(QUESTIONS_PER_USER_MAX);
    agents.release();
    await telegram.until(() => agents.calls.size === QUESTIONS_PER_USER_MAX, 'the calls');
    await bot.bridge.idle();
    expect([agents.calls.size, waiting().length]).toEqual([QUESTIONS_PER_USER_MAX, 3]);
  });
});
