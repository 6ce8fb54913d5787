/** A bot in a process of its own, to be killed: `node bridge-process.ts PLATFORM HOME API TOKEN AGENTS_URL [PACE]`. */
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createLog } from '../../src/base/log.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { DISCORD_DEFAULTS, startDiscordBot } from '../../src/bridges/discord/bot.ts';
import { startTelegramBot, TELEGRAM_DEFAULTS } from '../../src/bridges/telegram/bot.ts';
import { agentsOver } from '../stand-ins/agents.ts';
import { FAST, GENEROUS } from './telegram-stage.ts';

// The clock's timers keep no process alive; in the daemon its servers do.
setInterval(() => undefined, 60_000);

const [platform = '', home = '', api = '', token = '', agentsUrl = '', pace = 'fast'] = process.argv.slice(2);
const store = await openLevelStore(`${home}/store`);
const parts = {
  agents: agentsOver(agentsUrl),
  state: createState(store),
  clock: systemClock,
  log: createLog({ level: 'info', path: `${home}/log` }),
};
const common = { token, bridge: GENEROUS, ...(pace === 'fast' && { pace: FAST }) };
const bot =
  platform === 'discord'
    ? await startDiscordBot(parts, { ...DISCORD_DEFAULTS, ...common, api })
    : await startTelegramBot(parts, { ...TELEGRAM_DEFAULTS, ...common, apiRoot: api, pollSeconds: 2 });
process.stdout.write('ready\n');
process.once('SIGTERM', () => {
  bot
    .stop()
    .then(() => store.close())
    .then(() => process.exit(0));
});
