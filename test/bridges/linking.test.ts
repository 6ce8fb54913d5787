/** One person on both platforms, and a home of their own: real bots over one state, stand-ins for the platforms. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { DISCORD_DEFAULTS, type DiscordBot, startDiscordBot } from '../../src/bridges/discord/bot.ts';
import { startTelegramBot, TELEGRAM_DEFAULTS, type TelegramBot } from '../../src/bridges/telegram/bot.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { type AgentService, agentsOver, startAgentService } from '../stand-ins/agents.ts';
import { type DiscordService, startDiscordService } from '../stand-ins/discord.ts';
import { createMoneyService, grantFor, type MoneyService, signerOf } from '../stand-ins/money.ts';
import { startTelegramService, type TelegramService } from '../stand-ins/telegram.ts';
import { FAST, GENEROUS } from './settings.ts';

const HOME = signerOf(9);
const DID = didOf(HOME.publicKey);
const USER = 7;
const ACTOR = { user: '8', channel: '70008', guild: undefined };
const LIMITS = { callMax: 10n ** 8n, dayMax: 10n ** 9n, max: 10n ** 9n, expiresAtMs: 9_000_000_000_000 };
/** No welcome: whatever is there was paid in. */
const bridge = { ...GENEROUS, spending: { ...GENEROUS.spending, welcome: 0n } };

let telegram: TelegramService;
let discord: DiscordService;
let agents: AgentService;
let money: MoneyService;
let bots: readonly [TelegramBot, DiscordBot];

beforeEach(async () => {
  [telegram, discord, agents] = await Promise.all([
    startTelegramService(),
    startDiscordService(),
    startAgentService(),
  ]);
  money = createMoneyService();
  const state = createState(createMemoryStore());
  const parts = { agents: agentsOver(agents.url), money, state, clock: systemClock, log: silentLog };
  const common = { pace: FAST, bridge };
  bots = [
    await startTelegramBot(parts, {
      ...TELEGRAM_DEFAULTS,
      ...common,
      token: telegram.token,
      apiRoot: telegram.apiRoot,
      pollSeconds: 1,
    }),
    await startDiscordBot(parts, { ...DISCORD_DEFAULTS, ...common, token: discord.token, api: discord.api }),
  ];
});
afterEach(async () => {
  for (const bot of bots) await bot.stop();
  await Promise.all([telegram.close(), discord.close(), agents.close()]);
});

const onTelegram = (chat = USER): readonly string[] =>
  telegram
    .messages(chat)
    .filter((message) => message.fromBot)
    .map(({ text }) => text);
const onDiscord = (): readonly string[] =>
  discord
    .messages(ACTOR.channel)
    .filter((message) => message.fromBot)
    .map(({ content }) => content.replaceAll('\\', ''));

async function said(who: () => readonly string[], act: () => void, pattern: RegExp): Promise<string> {
  const service = who === onDiscord ? discord : telegram;
  const before = who().length;
  act();
  const fits = (): string | undefined =>
    who()
      .slice(before)
      .find((text) => pattern.test(text));
  await service.until(() => fits() !== undefined, String(pattern));
  return fits() ?? '';
}
const tell =
  (text: string, user = USER) =>
  (): void =>
    void telegram.say({ chat: user, user, text });
const slash = (name: string, argument?: string) => (): void => void discord.command(ACTOR, name, argument);

async function linkTelegram(limits = LIMITS): Promise<void> {
  const asked = await said(onTelegram, tell('/link'), /sahara bridge link/);
  const code = /sahara bridge link (\S+)/.exec(asked)?.[1] ?? '';
  await said(onTelegram, tell(`/link ${grantFor(code, HOME, limits)}`), /Linked to did:key/);
}

async function linkDiscord(): Promise<void> {
  const asked = await said(onDiscord, slash('link'), /sahara bridge link/);
  const code = /sahara bridge link (\S+?)`?$/m.exec(asked)?.[1] ?? '';
  await said(onDiscord, slash('link', grantFor(code, HOME, LIMITS)), /Linked to did:key/);
}

describe('a person with a home of their own', () => {
  // BRG-84 BRG-85
  test('has one balance, one history and one conversation on both platforms', async () => {
    await linkTelegram();
    money.receive(DID, 3_000_000_000n, '');
    await said(onTelegram, tell('/balance'), /You can spend 3 SAHARA/);
    expect(await said(onDiscord, slash('balance'), /You can spend/)).toContain('spend 0 SAHARA');
    await linkDiscord();
    await said(onDiscord, slash('balance'), /You can spend 3 SAHARA/);

    await said(onTelegram, tell('topic=tides words=4'), /paid · 0\.000001/);
    await said(onDiscord, () => discord.say(ACTOR, 'words=3'), /paid · 0\.000001/);
    const [, second] = [...agents.calls.values()];
    expect(second?.request.context.map(({ text }) => text).join()).toContain('topic=tides');
    const history = await said(onDiscord, slash('history'), /Your last questions/);
    expect(history).toContain('topic=tides');
    expect(history).toContain('words=3');
    expect(await said(onTelegram, tell('/balance'), /You can spend 2\.99999/)).toContain('today: 0.0000');
    const asked = /([0-9a-f]{12})[^\n]*topic=tides/.exec(history)?.[1];
    await said(onDiscord, slash('receipt', asked), new RegExp(`Receipt\\W+${asked}`));
    await said(onDiscord, slash('proof', asked), /The proof is valid/);
  });

  // BRG-150
  test('pays nothing by a grant alone: what is not paid in is not there', async () => {
    await linkTelegram();
    await said(onTelegram, tell('words=4'), /balance does not cover/);
    expect([agents.calls.size, money.paid.size]).toEqual([0, 0]);
  });

  // BRG-84
  test('spends no more than the grant says, whatever the operator allows', async () => {
    await linkTelegram({ ...LIMITS, callMax: 1n });
    money.receive(DID, 3_000_000_000n, '');
    await said(onTelegram, tell('/balance'), /You can spend 3 SAHARA/);
    await said(onTelegram, tell('words=4'), /costs more for one answer/);
    await linkTelegram({ ...LIMITS, max: 1n });
    await said(onTelegram, tell('words=4'), /spending limit/);
    expect(agents.calls.size).toBe(0);
  });

  // BRG-85
  test('is not linked by a grant of another, an old one, a used one, or one for another user', async () => {
    const asked = await said(onTelegram, tell('/link'), /sahara bridge link/);
    const code = /sahara bridge link (\S+)/.exec(asked)?.[1] ?? '';
    const grant = grantFor(code, HOME, LIMITS);
    const bytes = Buffer.from(grant, 'base64url');
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    for (const wrong of [
      bytes.toString('base64url'),
      grantFor(code, HOME, LIMITS, { user: 'telegram:99' }),
      grantFor(code, HOME, LIMITS, { nonce: new Uint8Array(16) }),
      grantFor(code, HOME, { ...LIMITS, expiresAtMs: 5 }),
      'nonsense-nonsense',
    ]) {
      await said(onTelegram, tell(`/link ${wrong}`), /does not hold/);
    }
    await said(() => onTelegram(99), tell(`/link ${grant}`, 99), /does not hold/);
    await said(onTelegram, tell(`/link ${grant}`), /Linked to/);
    await said(onTelegram, tell('/unlink'), /link is ended/);
    await said(onTelegram, tell(`/link ${grant}`), /does not hold/);
  });

  // BRG-86
  test('gets everything back when the last link ends', async () => {
    await linkTelegram();
    await linkDiscord();
    money.receive(DID, 1000n, '');
    await said(onTelegram, tell('/balance'), /You can spend 0\.000001 SAHARA/);
    await said(onTelegram, tell('/unlink'), /link is ended/);
    expect(money.paid.size).toBe(0);
    expect(await said(onDiscord, slash('unlink'), /link is ended/)).toContain('in block 1');
    expect([...money.paid.values()]).toEqual([{ to: DID, amount: 995n }]);
    await said(onDiscord, slash('balance'), /You can spend 0 SAHARA/);
  });
});

describe('a person without one', () => {
  // BRG-80 BRG-81
  test('pays in by a memo, is paid out by command, and cannot reach the money of others', async () => {
    const how = await said(onTelegram, tell('/deposit'), /sahara pay did:key/);
    const memo = /--memo (\S+)/.exec(how)?.[1] ?? '';
    money.receive(DID, 2_000_000_000n, memo);
    await said(onTelegram, tell('/balance'), /have 2 SAHARA of it paid out/);
    await said(() => onTelegram(99), tell(`/withdraw all ${DID}`, 99), /nothing to pay out/);
    await said(onTelegram, tell('/withdraw 5 did:key:zz'), /Say how much and to whom/);
    await said(onTelegram, tell(`/withdraw 5 ${DID}`), /At most 2 SAHARA/);
    await said(onTelegram, tell(`/withdraw 0.5 ${DID}`), /Paid 0\.5 SAHARA to did:key:\S+, in block 1/);
    await said(onTelegram, tell(`/withdraw all ${DID}`), /in block 2/);
    expect([...money.paid.values()].reduce((sum, { amount }) => sum + amount, 0n)).toBe(2_000_000_000n - 10n);
  });

  // BRG-87
  test('sets a budget for a day, and takes it back', async () => {
    money.receive(
      DID,
      2_000_000_000n,
      /--memo (\S+)/.exec(await said(onTelegram, tell('/deposit'), /--memo/))?.[1] ?? '',
    );
    await said(onTelegram, tell('/budget 0.000000001'), /at most 0\.000000001 SAHARA in a day/);
    await said(onTelegram, tell('/balance'), /You can spend 2 SAHARA/);
    await said(onTelegram, tell('words=4'), /spending limit/);
    await said(onTelegram, tell('/budget off'), /no budget/);
    await said(onTelegram, tell('words=4'), /paid · 0\.000001/);
  });

  // BRG-88
  test('is given all that is kept, and only that', async () => {
    tell('topic=others words=3', 55)();
    money.receive(
      DID,
      2_000_000_000n,
      /--memo (\S+)/.exec(await said(onTelegram, tell('/deposit'), /--memo/))?.[1] ?? '',
    );
    await said(onTelegram, tell('/balance'), /You can spend 2 SAHARA/);
    await said(onTelegram, tell('topic=kept words=3'), /paid · 0\.000001/);
    const text = await said(onTelegram, tell('/export'), /"account"/);
    expect(JSON.parse(text)).toMatchObject({
      account: 'telegram:7',
      questions: [{ agent: 'paid', question: 'topic=kept words=3' }],
      leftOut: 0,
    });
    expect(text).not.toContain('topic=others');
    await said(onTelegram, tell('/forget'), /are deleted/);
    expect(JSON.parse(await said(onTelegram, tell('/export'), /"account"/)).questions).toEqual([]);
  });
});
