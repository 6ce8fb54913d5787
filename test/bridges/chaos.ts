/**
 * Kills a bridge process again and again while people ask, with lost requests and lost responses in between, and then
 * checks that every question has one answer and one charge: `node test/bridges/chaos.ts --kills 100 --seed 1
 * --platform telegram`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openLevelStore } from '../../src/base/level-store.ts';
import { amountSchema } from '../../src/bridges/core/records.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { type AgentService, startAgentService } from '../stand-ins/agents.ts';
import { startDiscordService } from '../stand-ins/discord.ts';
import { type Fault, type FaultPlan, startTelegramService } from '../stand-ins/telegram.ts';
import { GENEROUS } from './telegram-stage.ts';

/** What a run of chaos found. */
export interface ChaosReport {
  readonly kills: number;
  readonly questions: number;
  readonly faults: number;
  /** Broken promises, in words; empty when all is well. */
  readonly wrong: readonly string[];
}

const FAULTS: readonly Fault[] = ['drop-before', 'drop-after', '500-before', '500-after', '429', 'slow'];

/** A bot's message in any chat. */
interface Reply {
  readonly id: string;
  readonly text: string;
  readonly replyTo: string | undefined;
  readonly isFinal: boolean;
  readonly edits: number;
}

/** One platform's stand-in, as the chaos needs it. */
interface Arena {
  /** What the bridge's process is started with: platform, address, token. */
  readonly names: readonly [platform: string, api: string, token: string];
  /** Someone new asks in one of four chats; returns the message's id. */
  ask(index: number, text: string): string;
  replies(): readonly Reply[];
  plan(faults: FaultPlan | undefined): void;
  repeat(count: number): void;
  close(): Promise<void>;
}

async function telegramArena(): Promise<Arena> {
  const service = await startTelegramService();
  const chats = [11, 12, 13, -5];
  return {
    names: ['telegram', service.apiRoot, service.token],
    ask(index, text) {
      const chat = chats[index % chats.length] ?? 11;
      const mention = chat < 0 ? '@sahara_bot ' : '';
      return String(service.say({ chat, user: 1000 + index, text: mention + text }).id);
    },
    replies: () =>
      chats
        .flatMap((chat) => service.messages(chat))
        .filter((message) => message.fromBot)
        .map(({ id, text, replyTo, edits, buttons }) => ({
          id: String(id),
          text,
          edits,
          replyTo: replyTo === undefined ? undefined : String(replyTo),
          isFinal: buttons.some((button) => button.callback_data.startsWith('receipt')),
        })),
    plan: service.plan,
    repeat: service.repeatUpdates,
    close: service.close,
  };
}

async function discordArena(): Promise<Arena> {
  const service = await startDiscordService();
  const channels = ['11', '12', '13', '501'];
  return {
    names: ['discord', service.api, service.token],
    ask(index, text) {
      const channel = channels[index % channels.length] ?? '11';
      const guild = channel === '501' ? '500' : undefined;
      const mention = guild === undefined ? '' : `<@${service.self.id}> `;
      return service.say({ user: String(1000 + index), channel, guild }, mention + text);
    },
    replies: () =>
      [...channels, ...service.threads.keys()]
        .flatMap((channel) => service.messages(channel))
        .filter((message) => message.fromBot)
        .map(({ id, channel, content, replyTo, edits, buttons }) => ({
          id,
          text: content,
          edits,
          // A thread has the id of the question that began it.
          replyTo: replyTo ?? (service.threads.has(channel) ? channel : undefined),
          isFinal: buttons.some((data) => data.startsWith('receipt')),
        })),
    plan: service.plan,
    repeat: service.repeatEvents,
    close: service.close,
  };
}

interface Asked {
  readonly id: string;
  readonly words: number;
}

/** What to run. */
export interface ChaosOptions {
  readonly platform: 'telegram' | 'discord';
  readonly kills: number;
  readonly seed: number;
}

/** Runs `kills` kills. The same seed asks and kills alike, as far as the machine's timing allows. */
export async function runChaos({ platform, kills, seed }: ChaosOptions): Promise<ChaosReport> {
  const random = seeded(seed);
  const home = await mkdtemp(join(tmpdir(), 'chaos-'));
  const arena = await (platform === 'discord' ? discordArena() : telegramArena());
  const agents = await startAgentService();
  const questions: Asked[] = [];
  let faults = 0;
  arena.plan(() => {
    if (random() >= 0.08) return undefined;
    faults += 1;
    return FAULTS[Math.floor(random() * FAULTS.length)];
  });
  for (let kill = 0; kill < kills; kill++) {
    const bridge = await startBridge(home, arena, agents);
    const asks = 1 + Math.floor(random() * 3);
    for (let i = 0; i < asks; i++) {
      questions.push(ask(arena, questions.length, random));
      await pause(Math.floor(random() * 60));
    }
    if (random() < 0.3) arena.repeat(2);
    await pause(Math.floor(random() * 500));
    await killed(bridge);
  }
  arena.plan(undefined);
  const last = await startBridge(home, arena, agents);
  await settled(arena, questions.length);
  last.kill('SIGTERM');
  await once(last, 'exit');
  const wrong = [
    ...questions.flatMap((question) => wrongWith(arena, question)),
    ...(await wrongMoney(home, agents, questions.length)),
  ];
  await arena.close();
  await agents.close();
  await rm(home, { recursive: true });
  return { kills, questions: questions.length, faults, wrong };
}

function ask(arena: Arena, index: number, random: () => number): Asked {
  const words = random() < 0.15 ? 1400 : 20 + Math.floor(random() * 60);
  const delay = Math.floor(random() * 12);
  return { id: arena.ask(index, `topic=q${index} words=${words} delay=${delay}`), words };
}

async function startBridge(home: string, arena: Arena, agents: AgentService): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./bridge-process.ts', import.meta.url));
  const [platform, api, token] = arena.names;
  const child = spawn(process.execPath, [script, platform, home, api, token, agents.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit').then(() => {
    throw new Error(`the bridge ended before it was ready: ${child.exitCode}`);
  });
  await Promise.race([once(child.stdout, 'data'), exit]);
  exit.catch(() => undefined);
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

/** Waits until every question has a final message, or nothing has changed for a long time. */
async function settled(arena: Arena, questions: number): Promise<void> {
  let before = '';
  for (let idle = 0; idle < 60; idle++) {
    const replies = arena.replies();
    const now = JSON.stringify(replies.map((message) => [message.id, message.edits]));
    const isComplete = replies.filter((message) => message.isFinal).length >= questions;
    if (now !== before) idle = isComplete ? 50 : 0;
    before = now;
    await pause(250);
  }
}

function wrongWith(arena: Arena, { id, words }: Asked): readonly string[] {
  const replies = arena.replies().filter((message) => message.replyTo === id);
  const text = replies.map((message) => message.text).join('\n');
  const found = text.match(/\bw\d+/g) ?? [];
  const expected = Array.from({ length: words }, (_, i) => `w${i + 1}`);
  const wrong: string[] = [];
  const finals = replies.filter((message) => message.isFinal).length;
  if (finals !== 1) wrong.push(`question ${id}: ${finals} final messages among ${replies.length}`);
  if (found.join(' ') !== expected.join(' ')) wrong.push(`question ${id}: ${found.length} of ${words} words`);
  if (/…|Asking/.test(text)) wrong.push(`question ${id}: a dead message stays: ${JSON.stringify(replies)}`);
  return wrong;
}

async function wrongMoney(home: string, agents: AgentService, questions: number): Promise<readonly string[]> {
  const store = await openLevelStore(join(home, 'store'));
  const state = createState(store);
  const wrong: string[] = [];
  let users = 0n;
  let spent = 0n;
  for await (const [key, value] of state.entries('account/user/')) {
    if (key === '') continue;
    users += 1n;
    spent += GENEROUS.spending.welcome - amountSchema.decode(value).amount;
  }
  const held = state.get('account/held', amountSchema)?.amount;
  const paid = state.get('account/agents', amountSchema)?.amount;
  await store.close();
  if (agents.calls.size !== questions) wrong.push(`${agents.calls.size} calls for ${questions} questions`);
  if (users !== BigInt(questions)) wrong.push(`${users} accounts for ${questions} users`);
  if (held !== 0n) wrong.push(`${held} grains are still held`);
  if (paid !== agents.charged()) wrong.push(`agents charged ${agents.charged()}, the book says ${paid}`);
  if (spent !== agents.charged()) wrong.push(`agents charged ${agents.charged()}, users paid ${spent}`);
  return wrong;
}

/** Mulberry32: a small generator that a seed repeats. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      platform: { type: 'string', default: 'telegram' },
      kills: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
    },
  });
  const platform = values.platform === 'discord' ? 'discord' : 'telegram';
  const report = await runChaos({ platform, kills: Number(values.kills), seed: Number(values.seed) });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exitCode = report.wrong.length === 0 ? 0 : 1;
}
