/** The platforms that the daemon bridges to, in one table. Their libraries are loaded when a bridge is first needed. */
import { parseAmount } from '../base/amount.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Bridge, BridgeOptions } from '../bridges/core/bridge.ts';
import type { BotCheck } from '../bridges/core/check.ts';
import type { PlatformName } from '../bridges/core/platform.ts';
import { POLICY_DEFAULTS } from '../bridges/core/policy.ts';
import type { AgentsPort, LearnPort, MoneyPort } from '../bridges/core/ports.ts';
import type { State } from '../bridges/core/state.ts';
import type { BridgesConfig } from './config-bridges.ts';

/** What a bot works with. */
export interface BotParts {
  readonly agents: AgentsPort;
  readonly money: MoneyPort;
  readonly learn?: LearnPort | undefined;
  readonly state: State;
  readonly clock: Clock;
  readonly log: Log;
}

/** A running bot of any platform. */
export interface RunningBot {
  readonly bridge: Bridge;
  /** Resolves after `stop`; rejects when the platform ended it for good. */
  readonly ended: Promise<void>;
  /** What is wrong with its connection, in words; `undefined` while nothing is. */
  trouble(): string | undefined;
  stop(): Promise<void>;
}

/** One platform. */
interface BridgedPlatform {
  /** The variable that its token may stand in. */
  readonly variable: string;
  check(token: string, config: BridgesConfig): Promise<BotCheck>;
  start(parts: BotParts, token: string, config: BridgesConfig): Promise<RunningBot>;
}

/** Every platform. */
export const BRIDGED: Readonly<Record<PlatformName, BridgedPlatform>> = {
  telegram: {
    variable: 'SAHARA_TELEGRAM_TOKEN',
    async check(token, { telegramApi }) {
      const { checkTelegram } = await import('../bridges/telegram/check.ts');
      return checkTelegram(token, telegramApi);
    },
    async start(parts, token, config) {
      const { startTelegramBot, TELEGRAM_DEFAULTS } = await import('../bridges/telegram/bot.ts');
      const apiRoot = config.telegramApi;
      const bridge = bridgeOptions(config);
      const bot = await startTelegramBot(parts, {
        ...TELEGRAM_DEFAULTS,
        token,
        apiRoot,
        stars: config.stars.map(pair).map(([stars, credit]) => ({ stars: Number(stars), credit })),
        bridge,
      });
      return {
        ...bot,
        trouble() {
          const link = bot.link();
          if (link === 'held')
            return 'another process polls with this token (409): stop it, or take a new token';
          return link === 'down' ? 'Telegram cannot be reached' : undefined;
        },
      };
    },
  },
  discord: {
    variable: 'SAHARA_DISCORD_TOKEN',
    async check(token, { discordApi }) {
      const { checkDiscord } = await import('../bridges/discord/check.ts');
      return checkDiscord(token, discordApi);
    },
    async start(parts, token, config) {
      const { DISCORD_DEFAULTS, startDiscordBot } = await import('../bridges/discord/bot.ts');
      const bridge = bridgeOptions(config);
      const bot = await startDiscordBot(parts, {
        ...DISCORD_DEFAULTS,
        token,
        api: config.discordApi,
        products: config.products.map(pair).map(([sku, credit]) => ({ sku, credit })),
        bridge,
      });
      const ended = Promise.withResolvers<void>();
      return {
        bridge: bot.bridge,
        ended: ended.promise,
        trouble: () => undefined,
        async stop() {
          await bot.stop();
          ended.resolve();
        },
      };
    },
  },
};

/** The platforms' names. */
export const BRIDGE_NAMES: readonly PlatformName[] = ['telegram', 'discord'];

/** What is sold, and the credit for it: `100=0.1`. */
function pair(text: string): readonly [string, bigint] {
  const [what = '', credit = ''] = text.split('=');
  return [what, parseAmount(credit) ?? 0n];
}

/** What the configuration says to a bridge. */
function bridgeOptions(config: BridgesConfig): BridgeOptions {
  const { callMax, userDayMax, chatDayMax, guildDayMax, dayMax, max, welcome } = config;
  const { agent, groups, users, blocked, admins } = config;
  const grains = (text: string): bigint => parseAmount(text) ?? 0n;
  return {
    spending: {
      callMax: grains(callMax),
      userDayMax: grains(userDayMax),
      chatDayMax: grains(chatDayMax),
      guildDayMax: grains(guildDayMax),
      bridgeDayMax: grains(dayMax),
      bridgeMax: grains(max),
      welcome: grains(welcome),
    },
    policy: { ...POLICY_DEFAULTS, groups, users: users.length === 0 ? 'all' : users, blocked, admins },
    agentDefault: agent === '' ? undefined : agent,
    askAbove: parseAmount(config.askAbove),
    support: config.support,
  };
}
