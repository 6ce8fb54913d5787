/**
 * A bot in a process of its own, to be killed: `node bridge-process.ts OPTIONS`, JSON of `BridgeProcessOptions`. It prints
 * `ready` once it runs.
 */
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createLog } from '../../src/base/log.ts';
import type { Store } from '../../src/base/store.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { agentsOver } from '../stand-ins/agents.ts';
import { moneyOver } from '../stand-ins/money-server.ts';
import { CREDIT, FAST, GENEROUS, SKU, STARS } from './settings.ts';

/** How the bot is started. */
export interface BridgeProcessOptions {
  readonly platform: 'telegram' | 'discord';
  readonly home: string;
  readonly api: string;
  readonly token: string;
  readonly agents: string;
  /** A wallet's server; absent: no money comes in or goes out. */
  readonly money?: string;
  /** The platform's own pace instead of one that does not slow tests down. */
  readonly isPaced?: boolean;
  /** Every price is asked about first. */
  readonly isCareful?: boolean;
  /** It kills itself right before, or right after, it writes to the disk for this time. */
  readonly dieAt?: { readonly write: number; readonly isWritten: boolean };
}

// The clock's timers keep no process alive; in the daemon its servers do.
setInterval(() => undefined, 60_000);

const options: BridgeProcessOptions = JSON.parse(process.argv[2] ?? '{}');
const { platform, home, api, token, money } = options;
const store = await openLevelStore(`${home}/store`);
const parts = {
  agents: agentsOver(options.agents),
  state: createState(options.dieAt ? mortal(store, options.dieAt) : store),
  clock: systemClock,
  log: createLog({ level: 'info', path: `${home}/log` }),
  ...(money !== undefined && { money: moneyOver(money) }),
};
const bridge = options.isCareful ? { ...GENEROUS, askAbove: 0n } : GENEROUS;
const common = { token, bridge, ...(!options.isPaced && { pace: FAST }) };
const bot = await (platform === 'discord' ? discord() : telegram());
process.stdout.write('ready\n');
process.once('SIGTERM', () => {
  bot
    .stop()
    .then(() => store.close())
    .then(() => process.exit(0));
});

async function discord(): Promise<{ stop(): Promise<void> }> {
  // Only what is needed is loaded: it is started a thousand times.
  const { DISCORD_DEFAULTS, startDiscordBot } = await import('../../src/bridges/discord/bot.ts');
  const products = [{ sku: SKU, credit: CREDIT }];
  return startDiscordBot(parts, { ...DISCORD_DEFAULTS, ...common, api, products });
}

async function telegram(): Promise<{ stop(): Promise<void> }> {
  const { startTelegramBot, TELEGRAM_DEFAULTS } = await import('../../src/bridges/telegram/bot.ts');
  const stars = [{ stars: STARS, credit: CREDIT }];
  return startTelegramBot(parts, { ...TELEGRAM_DEFAULTS, ...common, apiRoot: api, pollSeconds: 2, stars });
}

function mortal(inner: Store, { write, isWritten }: { write: number; isWritten: boolean }): Store {
  let count = 0;
  return {
    ...inner,
    async batch(operations, batchOptions) {
      count += 1;
      if (count === write && !isWritten) process.kill(process.pid, 'SIGKILL');
      await inner.batch(operations, batchOptions);
      if (count === write) process.kill(process.pid, 'SIGKILL');
    },
  };
}
