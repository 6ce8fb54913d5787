/** A Telegram bot on real parts: a stand-in for Telegram, a server of agents, a level store on disk. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Store } from '../../src/base/store.ts';
import { BRIDGE_DEFAULTS, type BridgeOptions } from '../../src/bridges/core/bridge.ts';
import type { PacerOptions } from '../../src/bridges/core/pacer.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { startTelegramBot, TELEGRAM_DEFAULTS, type TelegramBot } from '../../src/bridges/telegram/bot.ts';
import type { StarOffer } from '../../src/bridges/telegram/stars.ts';
import { type AgentService, agentsOver, startAgentService } from '../stand-ins/agents.ts';
import {
  type FloodLimits,
  startTelegramService,
  type TelegramFeatures,
  type TelegramService,
} from '../stand-ins/telegram.ts';

/** A pace that does not slow tests down. */
export const FAST: PacerOptions = {
  total: { burst: 50, intervalMs: 1 },
  direct: { burst: 10, intervalMs: 5 },
  group: { burst: 10, intervalMs: 5 },
};

/** Money for everyone, groups open. */
export const GENEROUS: BridgeOptions = {
  ...BRIDGE_DEFAULTS,
  agentDefault: 'paid',
  spending: {
    callMax: 10n ** 9n,
    userDayMax: 10n ** 12n,
    chatDayMax: 10n ** 12n,
    guildDayMax: 10n ** 12n,
    bridgeDayMax: 10n ** 12n,
    bridgeMax: 10n ** 12n,
    welcome: 10n ** 9n,
  },
  policy: { ...BRIDGE_DEFAULTS.policy, groups: ['telegram:-5', 'discord:500'], userBurst: 1000 },
};

/** Everything that a test of the Telegram bot touches. */
export interface TelegramStage {
  readonly telegram: TelegramService;
  readonly agents: AgentService;
  bot: TelegramBot;
  readonly store: Store;
  /** Stops the bot where it stands and starts another over the same store. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a stage. */
export async function telegramStage(
  options: BridgeOptions = GENEROUS,
  {
    pace = FAST,
    limits,
    features,
    stars = [],
  }: {
    readonly pace?: PacerOptions;
    readonly limits?: FloodLimits;
    readonly features?: TelegramFeatures;
    readonly stars?: readonly StarOffer[];
  } = {},
): Promise<TelegramStage> {
  const home = await mkdtemp(join(tmpdir(), 'bridge-'));
  const store = await openLevelStore(join(home, 'store'));
  const telegram = await startTelegramService(limits, features);
  const agents = await startAgentService();
  const start = (): Promise<TelegramBot> =>
    startTelegramBot(
      { agents: agentsOver(agents.url), state: createState(store), clock: systemClock, log: silentLog },
      {
        ...TELEGRAM_DEFAULTS,
        token: telegram.token,
        apiRoot: telegram.apiRoot,
        pollSeconds: 2,
        stars,
        pace,
        bridge: options,
      },
    );
  const stage: TelegramStage = {
    telegram,
    agents,
    store,
    bot: await start(),
    async restart() {
      await stage.bot.stop();
      stage.bot = await start();
    },
    async close() {
      await stage.bot.stop();
      await telegram.close();
      await agents.close();
      await store.close();
      await rm(home, { recursive: true });
    },
  };
  return stage;
}
