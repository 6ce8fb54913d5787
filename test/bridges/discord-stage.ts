/** A Discord bot on real parts: a stand-in for Discord, a server of agents, a level store on disk. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import type { BridgeOptions } from '../../src/bridges/core/bridge.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { DISCORD_DEFAULTS, type DiscordBot, startDiscordBot } from '../../src/bridges/discord/bot.ts';
import type { ProductOffer } from '../../src/bridges/discord/products.ts';
import { type AgentService, agentsOver, startAgentService } from '../stand-ins/agents.ts';
import { type DiscordService, startDiscordService } from '../stand-ins/discord.ts';
import { FAST, GENEROUS } from './settings.ts';

/** Everything that a test of the Discord bot touches. */
export interface DiscordStage {
  readonly discord: DiscordService;
  agents: AgentService;
  bot: DiscordBot;
  /** Starts a bot over the stage's store, with the stage's token or another. */
  start(token?: string): Promise<DiscordBot>;
  close(): Promise<void>;
}

/** Starts a stage. */
export async function discordStage(
  bridge: BridgeOptions = GENEROUS,
  products: readonly ProductOffer[] = [],
): Promise<DiscordStage> {
  const home = await mkdtemp(join(tmpdir(), 'bridge-'));
  const store = await openLevelStore(join(home, 'store'));
  const discord = await startDiscordService();
  const agents = await startAgentService();
  const start = (token = discord.token): Promise<DiscordBot> =>
    startDiscordBot(
      { agents: agentsOver(agents.url), state: createState(store), clock: systemClock, log: silentLog },
      { ...DISCORD_DEFAULTS, token, api: discord.api, products, pace: FAST, bridge },
    );
  const stage: DiscordStage = {
    discord,
    agents,
    bot: await start(),
    start,
    async close() {
      await stage.bot.stop();
      await discord.close();
      await stage.agents.close();
      await store.close();
      await rm(home, { recursive: true });
    },
  };
  return stage;
}
