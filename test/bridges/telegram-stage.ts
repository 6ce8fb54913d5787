/** A Telegram bot on real parts: a stand-in for Telegram, a server of agents, a level store on disk. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Store } from '../../src/base/store.ts';
import type { BridgeOptions } from '../../src/bridges/core/bridge.ts';
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
import { FAST, GENEROUS } from './settings.ts';

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
    clock = systemClock,
  }: {
    readonly pace?: PacerOptions;
    readonly limits?: FloodLimits;
    readonly features?: TelegramFeatures;
    readonly stars?: readonly StarOffer[];
    readonly clock?: Clock;
  } = {},
): Promise<TelegramStage> {
  const home = await mkdtemp(join(tmpdir(), 'bridge-'));
  const store = await openLevelStore(join(home, 'store'));
  const telegram = await startTelegramService(limits, features);
  const agents = await startAgentService();
  const start = (): Promise<TelegramBot> =>
    startTelegramBot(
      { agents: agentsOver(agents.url), state: createState(store), clock, log: silentLog },
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
