/**
 * Kills a bridge process again and again while people ask, with lost requests and lost responses in between, and then
 * checks that every question has one answer and one charge: `node test/bridges/chaos.ts --kills 100 --seed 1`.
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
import {
  type Fault,
  type SeenMessage,
  startTelegramService,
  type TelegramService,
} from '../stand-ins/telegram.ts';
import { GENEROUS } from './telegram-stage.ts';

/** What a run of chaos found. */
export interface ChaosReport {
  readonly kills: number;
  readonly questions: number;
  readonly faults: number;
  /** Broken promises, in words; empty when all is well. */
  readonly wrong: readonly string[];
}

const CHATS = [11, 12, 13, -5];
const FAULTS: readonly Fault[] = ['drop-before', 'drop-after', '500-before', '500-after', '429', 'slow'];

/** Runs `kills` kills. The same seed asks and kills alike, as far as the machine's timing allows. */
export async function runChaos({
  kills,
  seed,
}: {
  readonly kills: number;
  readonly seed: number;
}): Promise<ChaosReport> {
  const random = seeded(seed);
  const home = await mkdtemp(join(tmpdir(), 'chaos-'));
  const telegram = await startTelegramService();
  const agents = await startAgentService();
  const questions: { readonly asked: SeenMessage; readonly words: number }[] = [];
  let faults = 0;
  telegram.plan(() => {
    if (random() >= 0.08) return undefined;
    faults += 1;
    return FAULTS[Math.floor(random() * FAULTS.length)];
  });
  for (let kill = 0; kill < kills; kill++) {
    const bridge = await startBridge(home, telegram, agents);
    const asks = 1 + Math.floor(random() * 3);
    for (let i = 0; i < asks; i++) {
      questions.push(ask(telegram, questions.length, random));
      await pause(Math.floor(random() * 60));
    }
    if (random() < 0.3) telegram.repeatUpdates(2);
    await pause(Math.floor(random() * 500));
    await killed(bridge);
  }
  telegram.plan(undefined);
  const last = await startBridge(home, telegram, agents);
  await settled(telegram, questions.length);
  last.kill('SIGTERM');
  await once(last, 'exit');
  const wrong = [
    ...questions.flatMap((question) => wrongWith(telegram, question)),
    ...(await wrongMoney(home, agents, questions.length)),
  ];
  await telegram.close();
  await agents.close();
  await rm(home, { recursive: true });
  return { kills, questions: questions.length, faults, wrong };
}

function ask(
  telegram: TelegramService,
  index: number,
  random: () => number,
): { readonly asked: SeenMessage; readonly words: number } {
  const chat = CHATS[index % CHATS.length] ?? 11;
  const words = random() < 0.15 ? 1400 : 20 + Math.floor(random() * 60);
  const mention = chat < 0 ? '@sahara_bot ' : '';
  const text = `${mention}topic=q${index} words=${words} delay=${Math.floor(random() * 12)}`;
  return { asked: telegram.say({ chat, user: 1000 + index, text }), words };
}

async function startBridge(
  home: string,
  telegram: TelegramService,
  agents: AgentService,
): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./bridge-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, home, telegram.apiRoot, telegram.token, agents.url], {
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

function isFinal(message: SeenMessage): boolean {
  return message.buttons.some((button) => button.callback_data.startsWith('receipt'));
}

function botMessages(telegram: TelegramService): readonly SeenMessage[] {
  return CHATS.flatMap((chat) => telegram.messages(chat)).filter((message) => message.fromBot);
}

/** Waits until every question has a final message, or nothing has changed for a long time. */
async function settled(telegram: TelegramService, questions: number): Promise<void> {
  let before = '';
  for (let idle = 0; idle < 60; idle++) {
    const now = JSON.stringify(botMessages(telegram).map((message) => [message.id, message.edits]));
    const final = botMessages(telegram).filter(isFinal).length;
    if (now !== before) idle = final >= questions ? 50 : 0;
    before = now;
    await pause(250);
  }
}

function wrongWith(
  telegram: TelegramService,
  { asked, words }: { readonly asked: SeenMessage; readonly words: number },
): readonly string[] {
  const replies = telegram
    .messages(asked.chat)
    .filter((message) => message.fromBot && message.replyTo === asked.id);
  const text = replies.map((message) => message.text).join('\n');
  const found = text.match(/\bw\d+/g) ?? [];
  const expected = Array.from({ length: words }, (_, i) => `w${i + 1}`);
  const wrong: string[] = [];
  const finals = replies.filter(isFinal).length;
  if (finals !== 1) wrong.push(`question ${asked.id}: ${finals} final messages among ${replies.length}`);
  if (found.join(' ') !== expected.join(' '))
    wrong.push(`question ${asked.id}: ${found.length} of ${words} words`);
  if (/…|Asking/.test(text))
    wrong.push(`question ${asked.id}: a dead message stays: ${JSON.stringify(replies)}`);
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
    options: { kills: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
  });
  const report = await runChaos({ kills: Number(values.kills), seed: Number(values.seed) });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exitCode = report.wrong.length === 0 ? 0 : 1;
}
