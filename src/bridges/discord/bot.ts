/** A Discord bot on the bridge's core. */
import { type APIUser, REST, Routes } from 'discord.js';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { createAgentIndex } from '../core/agent-index.ts';
import { BRIDGE_DEFAULTS, type Bridge, type BridgeOptions, createBridge } from '../core/bridge.ts';
import { DISCORD_PACE, type PacerOptions, sleep } from '../core/pacer.ts';
import type { Shop } from '../core/platform.ts';
import type { AgentsPort, LearnPort, MoneyPort } from '../core/ports.ts';
import { isBooked } from '../core/shop.ts';
import { userOf } from '../core/spending.ts';
import type { State } from '../core/state.ts';
import { commandList } from './commands.ts';
import { discordFailure } from './failures.ts';
import { connectGateway } from './gateway.ts';
import { createDiscordPlatform } from './platform.ts';
import { createProductShop, entitlementEvent, openEntitlements, type ProductOffer } from './products.ts';

/** What a Discord bot works with. */
export interface DiscordBotParts {
  readonly agents: AgentsPort;
  /** Absent: money does not come in or go out here. */
  readonly money?: MoneyPort | undefined;
  /** Absent: no documents are taken here. */
  readonly learn?: LearnPort | undefined;
  /** The state of all bridges of one operator; nothing else writes to its store. */
  readonly state: State;
  readonly clock: Clock;
  readonly log: Log;
}

/** How a Discord bot behaves. */
export interface DiscordBotOptions {
  /** From the developer portal. Never logged. */
  readonly token: string;
  /** Where the REST API is. */
  readonly api: string;
  /** Hosts that attachments are fetched from. */
  readonly fileHosts: readonly string[];
  /** Whether a question in a channel begins a thread, where the bot may. Default true. */
  readonly threads: boolean;
  /** Credit that is sold as Discord's products. Default: none. */
  readonly products: readonly ProductOffer[];
  readonly pace: PacerOptions;
  readonly bridge: BridgeOptions;
}

/** Everything but the token. */
export const DISCORD_DEFAULTS: Omit<DiscordBotOptions, 'token'> = {
  api: 'https://discord.com/api',
  fileHosts: ['cdn.discordapp.com', 'media.discordapp.net'],
  threads: true,
  products: [],
  pace: DISCORD_PACE,
  bridge: BRIDGE_DEFAULTS,
};

/** A running bot. */
export interface DiscordBot {
  readonly bridge: Bridge;
  stop(): Promise<void>;
}

const START_ATTEMPTS_MAX = 8;

/** Starts a bot: takes up what is unfinished, publishes the commands, connects. Throws `token-refused`, `platform-failed`. */
export async function startDiscordBot(
  parts: DiscordBotParts,
  options: DiscordBotOptions,
): Promise<DiscordBot> {
  const { clock, log, agents } = parts;
  // The bridge itself waits out rate limits and repeats what got no answer; the library would repeat it unseen.
  const rest = new REST({ api: options.api, retries: 0, rejectOnRateLimit: () => true }).setToken(
    options.token,
  );
  // The library leaves the response's type unknown; Discord documents it for the route.
  const self = await patiently(clock, () => rest.get(Routes.user()) as Promise<APIUser>);
  const { products } = options;
  const shop = createProductShop(rest, self.id, products);
  const platform = createDiscordPlatform({
    rest,
    applicationId: self.id,
    clock,
    fileHosts: options.fileHosts,
    threads: options.threads,
    shop,
  });
  const bridge = createBridge({ ...parts, platform, pace: options.pace }, options.bridge);
  await bridge.resume();
  await rest
    .put(Routes.applicationCommands(self.id), { body: commandList(shop !== undefined) })
    .catch((error) => log.warn('commands not published', { code: discordFailure(error).code }));
  const { token } = options;
  const index = await createAgentIndex({ agents, clock, log });
  const joining = { rest, token, selfId: self.id, bridge, index, products, clock, log };
  const gateway = await patiently(clock, () => connectGateway(joining)).catch(async (error: unknown) => {
    index.stop();
    await bridge.stop();
    throw error;
  });
  if (shop !== undefined) {
    await takeOpen({ rest, selfId: self.id, bridge, shop, products, ...parts }).catch((error) =>
      log.error('purchases not looked for', { code: discordFailure(error).code }),
    );
  }
  return {
    bridge,
    async stop() {
      await gateway.close();
      index.stop();
      await bridge.stop();
      rest.clearHashSweeper();
      rest.clearHandlerSweeper();
    },
  };
}

/** Takes up purchases that no process heard of, and those that were booked and not consumed. */
async function takeOpen({
  rest,
  selfId,
  bridge,
  shop,
  products,
  state,
  clock,
}: DiscordBotParts & {
  readonly rest: REST;
  readonly selfId: string;
  readonly bridge: Bridge;
  readonly shop: Shop;
  readonly products: readonly ProductOffer[];
}): Promise<void> {
  for (const entitlement of await openEntitlements(rest, selfId)) {
    const event = entitlementEvent(entitlement, products, { selfId, atMs: clock.nowMs() });
    if (event === undefined) continue;
    await bridge.receive([event]);
    if (isBooked(state, userOf(event), entitlement.id)) await shop.booked?.(entitlement.id);
  }
}

/** Runs a step of the start again while Discord is out of reach. */
async function patiently<T>(clock: Clock, step: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await step();
    } catch (error) {
      const failure = discordFailure(error);
      if (failure.kind !== 'unavailable' || attempt === START_ATTEMPTS_MAX) throw failure;
      await sleep(clock, 250 * attempt);
    }
  }
}
