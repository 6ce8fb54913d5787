/** A Telegram bot on the bridge's core. */
import { Api } from 'grammy';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { createAgentIndex } from '../core/agent-index.ts';
import { BRIDGE_DEFAULTS, type Bridge, type BridgeOptions, createBridge } from '../core/bridge.ts';
import { COMMAND_TEXTS } from '../core/commands.ts';
import { type PacerOptions, sleep, TELEGRAM_PACE } from '../core/pacer.ts';
import { platformFailure } from '../core/platform.ts';
import type { AgentsPort, LearnPort, MoneyPort } from '../core/ports.ts';
import { SHOP_TEXTS } from '../core/shop.ts';
import type { State } from '../core/state.ts';
import { telegramFailure } from './failures.ts';
import { createInstant } from './instant.ts';
import { createTelegramPlatform } from './platform.ts';
import { type PollLink, pollUpdates } from './poller.ts';
import { createStarShop, type StarOffer } from './stars.ts';

/** What a Telegram bot works with. */
export interface TelegramBotParts {
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

/** How a Telegram bot behaves. */
export interface TelegramBotOptions {
  /** From @BotFather. Never logged. */
  readonly token: string;
  /** Where the Bot API is, without a trailing slash. */
  readonly apiRoot: string;
  /** How long one poll waits for an update, seconds. Default 25. */
  readonly pollSeconds: number;
  /** Credit that is sold for Stars. Default: none. */
  readonly stars: readonly StarOffer[];
  readonly pace: PacerOptions;
  readonly bridge: BridgeOptions;
}

/** Everything but the token. */
export const TELEGRAM_DEFAULTS: Omit<TelegramBotOptions, 'token'> = {
  apiRoot: 'https://api.telegram.org',
  pollSeconds: 25,
  stars: [],
  pace: TELEGRAM_PACE,
  bridge: BRIDGE_DEFAULTS,
};

/** A running bot. */
export interface TelegramBot {
  readonly bridge: Bridge;
  /** Resolves after `stop`; rejects with `token-refused` when the token is withdrawn. */
  readonly ended: Promise<void>;
  /** How the polling goes. */
  link(): PollLink;
  stop(): Promise<void>;
}

const REQUEST_SECONDS_MAX = 40;
const START_ATTEMPTS_MAX = 8;

/** Starts a bot: takes up what is unfinished, publishes the commands, polls. Throws `token-refused`, `platform-failed`. */
export async function startTelegramBot(
  parts: TelegramBotParts,
  options: TelegramBotOptions,
): Promise<TelegramBot> {
  const { clock, log } = parts;
  const { token, apiRoot } = options;
  const api = new Api(token, { apiRoot, timeoutSeconds: options.pollSeconds + REQUEST_SECONDS_MAX });
  const self = await whoAmI(api, clock);
  const download = (path: string): Promise<Response> =>
    fetch(`${apiRoot}/file/bot${token}/${path}`).catch(() => {
      throw platformFailure('telegram', 'uncertain', 'file not read');
    });
  const platform = createTelegramPlatform({ api, download, shop: createStarShop(api, options.stars) });
  const bridge = createBridge({ ...parts, platform, pace: options.pace }, options.bridge);
  const stopping = new AbortController();
  await publishCommands(api, options.stars.length > 0).catch((error) =>
    log.warn('commands not published', { code: telegramFailure(error).code }),
  );
  // What an earlier process left is taken up after the updates that waited: a search for a lost message starts at
  // the last one known.
  const onCaughtUp = (): void => {
    bridge.resume().catch((error) => log.error('not resumed', { code: asSaharaError(error).code }));
  };
  let link: PollLink = 'down';
  const onLink = (now: PollLink): void => {
    link = now;
  };
  const index = await createAgentIndex({ agents: parts.agents, clock, log });
  const { policy } = options.bridge;
  const onInstant = createInstant({ api, index, self, policy, stars: options.stars, log });
  const ended = pollUpdates(
    { api, bridge, self, clock, log },
    { timeoutSeconds: options.pollSeconds, signal: stopping.signal, onCaughtUp, onLink, onInstant },
  );
  return {
    bridge,
    ended,
    link: () => link,
    async stop() {
      stopping.abort();
      await ended.catch(() => undefined);
      index.stop();
      await bridge.stop();
    },
  };
}

async function whoAmI(api: Api, clock: Clock): Promise<{ readonly id: number; readonly username: string }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await api.getMe();
    } catch (error) {
      const failure = telegramFailure(error);
      if (failure.kind !== 'unavailable' || attempt === START_ATTEMPTS_MAX) throw failure;
      await sleep(clock, 250 * attempt);
    }
  }
}

async function publishCommands(api: Api, hasShop: boolean): Promise<void> {
  const texts = { ...COMMAND_TEXTS, ...(hasShop && SHOP_TEXTS) };
  const commands = Object.entries(texts).map(([command, description]) => ({ command, description }));
  await api.setMyCommands(commands);
}
