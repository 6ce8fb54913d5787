/** A Telegram bot in a process of its own, to be killed: `node bridge-process.ts HOME API_ROOT TOKEN AGENTS_URL`. */
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createLog } from '../../src/base/log.ts';
import { startTelegramBot, TELEGRAM_DEFAULTS } from '../../src/bridges/telegram/bot.ts';
import { agentsOver } from '../stand-ins/agents.ts';
import { FAST, GENEROUS } from './telegram-stage.ts';

// The clock's timers keep no process alive; in the daemon its servers do.
setInterval(() => undefined, 60_000);

const [home = '', apiRoot = '', token = '', agentsUrl = ''] = process.argv.slice(2);
const log = createLog({ level: 'info', path: `${home}/log` });
const store = await openLevelStore(`${home}/store`);
const bot = await startTelegramBot(
  { agents: agentsOver(agentsUrl), store, clock: systemClock, log },
  { ...TELEGRAM_DEFAULTS, token, apiRoot, pollSeconds: 2, pace: FAST, bridge: GENEROUS },
);
process.stdout.write('ready\n');
process.once('SIGTERM', () => {
  bot
    .stop()
    .then(() => store.close())
    .then(() => process.exit(0));
});
await bot.ended;
