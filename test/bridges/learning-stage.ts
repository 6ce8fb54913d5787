/** People who give documents: a bot on each platform over one state, real vaults, and a wallet that knows grants. */

import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import type { LearnPort } from '../../src/bridges/core/ports.ts';
import { createState, type State } from '../../src/bridges/core/state.ts';
import { DISCORD_DEFAULTS, type DiscordBot, startDiscordBot } from '../../src/bridges/discord/bot.ts';
import { startTelegramBot, TELEGRAM_DEFAULTS, type TelegramBot } from '../../src/bridges/telegram/bot.ts';
import type { LearningOptions } from '../../src/daemon/learning.ts';
import { type AgentService, agentsOver, startAgentService } from '../stand-ins/agents.ts';
import { type DiscordService, startDiscordService } from '../stand-ins/discord.ts';
import { type LearningHome, learningHome } from '../stand-ins/learning.ts';
import { createMoneyService, grantFor, signerOf } from '../stand-ins/money.ts';
import { startTelegramService, type TelegramService } from '../stand-ins/telegram.ts';
import { FAST, GENEROUS } from './settings.ts';

/** A file that somebody sends. */
export interface SentFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** A message of the bot's. */
export interface Said {
  readonly id: string;
  readonly text: string;
  readonly buttons: readonly string[];
}

/** One platform, as people use it for documents. */
export interface LearnSide {
  readonly name: 'telegram' | 'discord';
  /** Sends a command, with a file or words behind it. */
  command(user: number, name: string, more?: { readonly argument?: string; readonly file?: SentFile }): void;
  /** The same in a group that is open. */
  inGroup(user: number, name: string, more?: { readonly file?: SentFile }): void;
  press(user: number, message: Said, action: string): void;
  said(user: number): readonly Said[];
  /** What the bot says after `act` that fits. */
  reply(user: number, act: () => void, pattern: RegExp): Promise<Said>;
}

/** All of it. */
export interface LearnStage {
  readonly telegram: LearnSide;
  readonly discord: LearnSide;
  readonly telegramService: TelegramService;
  readonly home: LearningHome;
  readonly agents: AgentService;
  readonly state: State;
  /** Moves the clock of everything on. */
  pass(ms: number): void;
  /** What stands between the bots and learning from the next start on. */
  between(wrap: (port: LearnPort) => LearnPort): void;
  link(side: LearnSide, user: number, seed: number): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

const LIMITS = { callMax: 10n ** 8n, dayMax: 10n ** 9n, max: 10n ** 9n, expiresAtMs: 9_000_000_000_000 };

/** Starts it. */
export async function learnStage(options: Partial<LearningOptions> = {}): Promise<LearnStage> {
  const [telegram, discord, agents] = await Promise.all([
    startTelegramService(),
    startDiscordService(),
    startAgentService(),
  ]);
  let shiftMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + shiftMs };
  const home = await learningHome(clock, options);
  const state = createState(createMemoryStore());
  const direct: LearnPort = {
    open: () => home.learning.open(),
    learn: (order) => home.learning.learn(order),
    list: (owners) => home.learning.list(owners),
    forget: (owners, id) => home.learning.forget(owners, id),
  };
  let learn = direct;
  const money = createMoneyService();
  const start = async (): Promise<readonly [TelegramBot, DiscordBot]> => {
    const parts = { agents: agentsOver(agents.url), money, learn, state, clock, log: silentLog };
    const common = { pace: FAST, bridge: GENEROUS };
    return [
      await startTelegramBot(parts, {
        ...{ ...TELEGRAM_DEFAULTS, ...common, token: telegram.token, apiRoot: telegram.apiRoot },
        pollSeconds: 1,
      }),
      await startDiscordBot(parts, {
        ...{ ...DISCORD_DEFAULTS, ...common, token: discord.token, api: discord.api },
        fileHosts: [discord.fileHost],
      }),
    ];
  };
  let bots = await start();
  const stop = async (): Promise<void> => {
    for (const bot of bots) await bot.stop();
  };
  const onTelegram = sideOf(telegramSide(telegram), telegram.until);
  const onDiscord = sideOf(discordSide(discord), discord.until);
  return {
    telegram: onTelegram,
    discord: onDiscord,
    telegramService: telegram,
    ...{ home, agents, state },
    pass(ms) {
      shiftMs += ms;
    },
    between(wrap) {
      learn = wrap(direct);
    },
    async link(side, user, seed) {
      const asked = await side.reply(user, () => side.command(user, 'link'), /sahara bridge link/);
      const code = /sahara bridge link ([\w-]+)/.exec(asked.text)?.[1] ?? '';
      const argument = grantFor(code, signerOf(seed), LIMITS);
      await side.reply(user, () => side.command(user, 'link', { argument }), /Linked to did:key/);
    },
    async restart() {
      await stop();
      bots = await start();
    },
    async close() {
      await stop();
      await Promise.all([telegram.close(), discord.close(), agents.close()]);
      await home.close();
    },
  };
}

type BareSide = Omit<LearnSide, 'reply'>;

function sideOf(side: BareSide, until: TelegramService['until']): LearnSide {
  return {
    ...side,
    async reply(user, act, pattern) {
      const before = new Set(side.said(user).map(({ id, text }) => `${id} ${text}`));
      act();
      const fits = (): Said | undefined =>
        side.said(user).find(({ id, text }) => !before.has(`${id} ${text}`) && pattern.test(text));
      await until(() => fits() !== undefined, String(pattern));
      return fits() ?? { id: '', text: '', buttons: [] };
    },
  };
}

function telegramSide(telegram: TelegramService): BareSide {
  const say = (chat: number, user: number, text: string, document: SentFile | undefined): void =>
    void telegram.say({ chat, user, text, ...(document && { document }) });
  return {
    name: 'telegram',
    command: (user, name, { argument, file } = {}) =>
      say(user, user, `/${name}${argument === undefined ? '' : ` ${argument}`}`, file),
    inGroup: (user, name, { file } = {}) => say(-5, user, `/${name}`, file),
    press: (user, { id, buttons }, action) =>
      void telegram.press(user, user, Number(id), buttonOf(buttons, action)),
    said: (user) =>
      [...telegram.messages(user), ...telegram.messages(-5)]
        .filter(({ fromBot }) => fromBot)
        .map(({ id, text, buttons }) => ({
          ...{ id: String(id), text },
          buttons: buttons.map(({ callback_data: data }) => data),
        })),
  };
}

function discordSide(discord: DiscordService): BareSide {
  const actor = (user: number) => ({ user: String(user), channel: `7000${user}`, guild: undefined });
  const group = (user: number) => ({ user: String(user), channel: '501', guild: '500' });
  return {
    name: 'discord',
    command: (user, name, { argument, file } = {}) => void discord.command(actor(user), name, argument, file),
    inGroup: (user, name, { file } = {}) => void discord.command(group(user), name, undefined, file),
    press: (user, { id, buttons }, action) => void discord.press(actor(user), id, buttonOf(buttons, action)),
    said: (user) =>
      [...discord.messages(`7000${user}`), ...discord.messages('501')]
        .filter(({ fromBot }) => fromBot)
        .map(({ id, content, buttons }) => ({ id, text: content.replaceAll('\\', ''), buttons })),
  };
}

function buttonOf(buttons: readonly string[], action: string): string {
  return buttons.find((data) => data.startsWith(`${action}:`)) ?? `${action}:none`;
}
