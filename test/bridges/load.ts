/**
 * Many conversations at once against Telegram's published limits: `node test/bridges/load.ts --chats 500`. Prints one
 * JSON line: 429s, lost words, how long the first text takes, processor time in the bot's process for each question and for each
 * update (a message that came in, or a request that went out), resident memory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startAgentService } from '../stand-ins/agents.ts';
import { type SeenMessage, startTelegramService } from '../stand-ins/telegram.ts';
import type { BridgeProcessOptions } from './bridge-process.ts';

const WORDS = 150;
/** People who ask one after the other, before all at once. */
const ALONE = 10;
const PUBLISHED = {
  direct: { count: 3, windowMs: 1000 },
  group: { count: 20, windowMs: 60_000 },
  total: { count: 30, windowMs: 1000 },
};

const { values } = parseArgs({ options: { chats: { type: 'string', default: '500' } } });
const chats = Number(values.chats);
const home = await mkdtemp(join(tmpdir(), 'load-'));
const telegram = await startTelegramService(PUBLISHED);
const agents = await startAgentService();
const script = fileURLToPath(new URL('./bridge-process.ts', import.meta.url));
const options: BridgeProcessOptions = {
  ...{ platform: 'telegram', home, api: telegram.apiRoot, token: telegram.token, agents: agents.url },
  isPaced: true,
};
const bot = spawn(process.execPath, [script, JSON.stringify(options)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
await once(bot.stdout, 'data');
const firstTextMs = await firstTexts();
const idle = await usage(bot);
const before = requests();
const startedAt = performance.now();
for (let i = 0; i < chats; i++)
  telegram.say({ chat: 1000 + i, user: 1000 + i, text: `words=${WORDS} delay=400` });
let peak = idle;
while (finals().length < chats && performance.now() - startedAt < 600_000) {
  // Looking is slow enough to make the service late, so it is done rarely.
  await pause(5000);
  const now = await usage(bot);
  if (now.residentBytes > peak.residentBytes) peak = now;
}
const seconds = (performance.now() - startedAt) / 1000;
const end = await usage(bot);
const lost = Array.from({ length: chats }, (_, i) => wordsIn(1000 + i)).filter(
  (words) => words !== WORDS,
).length;
const report = {
  chats,
  answered: finals().length,
  seconds: Math.round(seconds),
  refusals429: telegram.floods(),
  chatsWithLostOrRepeatedWords: lost,
  cpuMsPerQuestion: Number(((end.cpuMs - idle.cpuMs) / chats).toFixed(2)),
  cpuMsPerUpdate: Number(((end.cpuMs - idle.cpuMs) / (chats + requests() - before)).toFixed(2)),
  firstTextMsMedian: firstTextMs[Math.floor(firstTextMs.length / 2)],
  firstTextMsMost: firstTextMs.at(-1),
  residentMiBIdle: Math.round(idle.residentBytes / 2 ** 20),
  residentMiBPeak: Math.round(peak.residentBytes / 2 ** 20),
};
process.stdout.write(`${JSON.stringify(report)}\n`);
bot.kill('SIGTERM');
await once(bot, 'exit');
await telegram.close();
await agents.close();
await rm(home, { recursive: true });
process.exitCode = lost === 0 && report.refusals429 === 0 ? 0 : 1;

/**
 * How long after the first word is there somebody who asks alone sees one, milliseconds, rising. The agent says nothing for
 * half a second, so that the bot shows that it asks, and its next look at the chat is paced.
 */
async function firstTexts(): Promise<readonly number[]> {
  const found: number[] = [];
  for (let chat = 1; chat <= ALONE; chat++) {
    telegram.say({ chat, user: chat, text: `words=40 delay=500 topic=alone${chat}` });
    let saidAt: number | undefined;
    for (;;) {
      const call = [...agents.calls.values()].find(({ request }) =>
        request.question.endsWith(`alone${chat}`),
      );
      if (call?.events.some((event) => event.type === 'text')) saidAt ??= performance.now();
      if (saidAt !== undefined && replies(chat).some(({ text }) => text.includes('Answer to'))) break;
      await pause(5);
    }
    found.push(Math.round(performance.now() - saidAt));
  }
  return found.sort((a, b) => a - b);
}

function replies(chat: number): readonly SeenMessage[] {
  return telegram.messages(chat).filter((message) => message.fromBot);
}

function finals(): readonly SeenMessage[] {
  return Array.from({ length: chats }, (_, i) => replies(1000 + i))
    .flat()
    .filter((message) => message.buttons.some((button) => button.callback_data.startsWith('receipt')));
}

function wordsIn(chat: number): number {
  const text = replies(chat)
    .map((message) => message.text)
    .join(' ');
  return text.match(/\bw\d+/g)?.length ?? 0;
}

function requests(): number {
  return [...telegram.calls.values()].reduce((sum, count) => sum + count, 0);
}

/** Processor time and memory of a process, from Linux's own account. */
async function usage({
  pid,
}: ChildProcess): Promise<{ readonly cpuMs: number; readonly residentBytes: number }> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { cpuMs: ticks * 10, residentBytes: Number(fields[21]) * 4096 };
}
