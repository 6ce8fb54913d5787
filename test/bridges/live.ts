/**
 * A look at the real platforms, for who has a bot there: `TELEGRAM_TOKEN=... DISCORD_TOKEN=... npm run live:bridges`. For each token
 * that is set it checks what `sahara bridge check` checks, starts a bot with agents that answer from nothing, and waits until
 * somebody has asked it something and the answer is delivered. Ask within five minutes, or `--seconds N`. Without a token it says
 * so and does nothing.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { wakefulClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { createLog } from '../../src/base/log.ts';
import { BRIDGE_DEFAULTS, type Bridge } from '../../src/bridges/core/bridge.ts';
import type { BotCheck } from '../../src/bridges/core/check.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { DISCORD_DEFAULTS, type DiscordBotParts, startDiscordBot } from '../../src/bridges/discord/bot.ts';
import { checkDiscord } from '../../src/bridges/discord/check.ts';
import { startTelegramBot, TELEGRAM_DEFAULTS } from '../../src/bridges/telegram/bot.ts';
import { checkTelegram } from '../../src/bridges/telegram/check.ts';
import { agentsOver, startAgentService } from '../stand-ins/agents.ts';

interface LivePlatform {
  readonly variable: string;
  check(token: string): Promise<BotCheck>;
  start(parts: DiscordBotParts, token: string): Promise<{ readonly bridge: Bridge; stop(): Promise<void> }>;
}

/** The free agent of the stand-in: nothing is spent. */
const bridge = { ...BRIDGE_DEFAULTS, agentDefault: 'guide' };
const PLATFORMS: readonly LivePlatform[] = [
  {
    variable: 'TELEGRAM_TOKEN',
    check: (token) => checkTelegram(token, TELEGRAM_DEFAULTS.apiRoot),
    start: (parts, token) => startTelegramBot(parts, { ...TELEGRAM_DEFAULTS, token, bridge }),
  },
  {
    variable: 'DISCORD_TOKEN',
    check: (token) => checkDiscord(token, DISCORD_DEFAULTS.api),
    start: (parts, token) => startDiscordBot(parts, { ...DISCORD_DEFAULTS, token, bridge }),
  },
];

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '300' } } });
const say = (text: string): void => void process.stdout.write(`${text}\n`);

for (const platform of PLATFORMS) {
  const token = process.env[platform.variable] ?? '';
  if (token === '') say(`${platform.variable} is not set: nothing is looked at there`);
  else if (!(await look(platform, token))) process.exitCode = 1;
}

/** Whether somebody asked the bot and was answered. */
async function look({ variable, check, start }: LivePlatform, token: string): Promise<boolean> {
  const { name, invite, findings } = await check(token);
  for (const { state, found } of findings) say(`${state}: ${found}`);
  const home = await mkdtemp(join(tmpdir(), 'live-'));
  const store = await openLevelStore(join(home, 'store'));
  const agents = await startAgentService();
  const log = createLog({ level: 'warn', path: join(home, 'log') });
  const parts = { agents: agentsOver(agents.url), state: createState(store), clock: wakefulClock, log };
  const bot = await start(parts, token);
  say(`${name} runs: write to it (${invite}), within ${values.seconds} s`);
  for (let left = Number(values.seconds); left > 0 && agents.calls.size === 0; left--) await pause(1000);
  await bot.bridge.idle();
  const isAnswered = agents.calls.size > 0;
  const { refusals } = bot.bridge.health();
  say(
    isAnswered
      ? `answered, with ${refusals} refusals (429) by the platform`
      : `nobody asked ${name} (${variable})`,
  );
  await bot.stop();
  await agents.close();
  await store.close();
  await rm(home, { recursive: true });
  return isAnswered;
}
