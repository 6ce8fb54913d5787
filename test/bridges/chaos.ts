/**
 * Kills a bridge process again and again while people ask, stop, pay in, are paid out, buy and give back, with lost
 * requests and lost responses in between, and then checks that every question has one answer and one charge and every payment
 * is booked once: `npm run chaos:bridges -- --kills 100 --seed 1 --platform telegram`. Without a platform, half of the
 * kills on each. With `--careful` every price has to be agreed to before its question is asked.
 *
 * A life ends at a random time, right before or after one of its writes to the disk, or while one of its requests is on the
 * way, before or after the platform carried it out.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type AgentService, startAgentService } from '../stand-ins/agents.ts';
import { createMoneyService, type MoneyService, type PayFault } from '../stand-ins/money.ts';
import { startMoneyServer } from '../stand-ins/money-server.ts';
import type { Fault } from '../stand-ins/telegram.ts';
import type { BridgeProcessOptions } from './bridge-process.ts';
import { type Arena, discordArena, telegramArena } from './chaos-arenas.ts';
import { didOfPerson, type Told, wrongIn } from './chaos-checks.ts';

/** What a run of chaos found. */
export interface ChaosReport {
  readonly platform: string;
  /** By what ended the lives. */
  readonly kills: { readonly atATime: number; readonly atAWrite: number; readonly atARequest: number };
  /** By where they were asked. */
  readonly questions: Readonly<Record<string, number>>;
  readonly stops: number;
  readonly deposits: number;
  readonly withdrawals: number;
  readonly purchases: number;
  readonly faults: number;
  /** Broken promises, in words; empty when all is well. */
  readonly wrong: readonly string[];
}

/** What to run. */
export interface ChaosOptions {
  readonly platform: 'telegram' | 'discord';
  readonly kills: number;
  readonly seed: number;
  /** Every price has to be agreed to. Default false. */
  readonly isCareful?: boolean;
}

const FAULTS: readonly Fault[] = ['drop-before', 'drop-after', '500-before', '500-after', '429', 'slow'];
const PAY_FAULTS: readonly PayFault[] = ['lost-before', 'lost-after', 'refused'];
/** Requests that a life may end at. */
const DEADLY = /^(send|edit|delete|answer|refund|POST|PATCH|DELETE|PUT)/;
/** Longest life, milliseconds: what it was to end at may never come. On a slow machine, so many times as long as a start took. */
const LIFE_MS = 1500;
const LIFE_STARTS = 3;
/** How long nothing may change before it is held that nothing will, milliseconds. */
const STILL_MS = 120_000;
const LOOK_EVERY_MS = 250;
/** People who agreed wait so long before they press again, milliseconds. */
const AGREE_EVERY_MS = 3_000;
/** Looks that everything must stay as it is for, once all is answered. */
const LOOKS_AFTER = 10;
/** Most broken promises that are told. */
const WRONG_MAX = 20;
/** Kills between two lines about how far it is. */
const PROGRESS_EVERY = 50;
/** People by what they do; their numbers tell. */
const ASKER = 1_000_000;
const SAVER = 2_000_000;
const BUYER = 3_000_000;

interface World extends Told {
  readonly home: string;
  readonly arena: Arena;
  readonly agents: AgentService;
  readonly money: MoneyService;
  readonly moneyUrl: string;
  readonly isCareful: boolean;
  /** When somebody last agreed to the price of a question, milliseconds. */
  readonly agreedAtMs: Map<string, number>;
  readonly random: () => number;
  readonly kills: { atATime: number; atAWrite: number; atARequest: number };
  faults: number;
  stops: number;
  deposits: number;
  /** Asked of each request while a life lasts; says what becomes of it. */
  deadly: ((method: string) => Fault | undefined) | undefined;
}

/** Runs `kills` kills. The same seed asks and kills alike, as far as the machine's timing allows. */
export async function runChaos({
  platform,
  kills,
  seed,
  isCareful = false,
}: ChaosOptions): Promise<ChaosReport> {
  const agents = await startAgentService();
  const money = createMoneyService();
  const server = await startMoneyServer(money);
  const world: World = {
    home: await mkdtemp(join(tmpdir(), 'chaos-')),
    arena: await (platform === 'discord' ? discordArena() : telegramArena()),
    agents,
    money,
    moneyUrl: server.url,
    isCareful,
    agreedAtMs: new Map(),
    random: seeded(seed),
    kills: { atATime: 0, atAWrite: 0, atARequest: 0 },
    questions: [],
    commands: [],
    savers: new Map(),
    ...{ faults: 0, stops: 0, deposits: 0, deadly: undefined },
  };
  await firstLife(world);
  trouble(world);
  for (let round = 0; round < kills; round++) {
    world.arena.turn(round);
    await live(world);
    if ((round + 1) % PROGRESS_EVERY === 0)
      process.stderr.write(`${platform}: ${round + 1} kills, ${world.questions.length} questions\n`);
  }
  const wrong = await end(world);
  const { arena, questions, home } = world;
  await Promise.all([arena.close(), agents.close(), server.close()]);
  await rm(home, { recursive: true });
  const { deposits, stops, faults } = world;
  const counts = { deposits, withdrawals: money.paid.size, purchases: arena.bought().length, stops, faults };
  if (questions.length === 0) wrong.push('nobody asked');
  return { platform, kills: world.kills, questions: arena.places(), ...counts, wrong };
}

/** Requests are lost, refused and delayed, on their way there or back; so are payments of the ledger. */
function trouble(world: World): void {
  const { arena, money, random } = world;
  arena.plan((method) => {
    const deadly = DEADLY.test(method) ? world.deadly?.(method) : undefined;
    if (deadly !== undefined) return deadly;
    if (random() >= 0.08) return undefined;
    world.faults += 1;
    return pick(FAULTS, random);
  });
  money.plan(() => {
    if (random() >= 0.3) return undefined;
    world.faults += 1;
    return pick(PAY_FAULTS, random);
  });
}

/** A bot that was never connected has no session to go on with: what is written before is promised nothing. */
async function firstLife(world: World): Promise<void> {
  const bridge = start(world);
  await once(bridge.stdout ?? bridge, 'data');
  bridge.kill('SIGKILL');
  await once(bridge, 'exit');
}

/** One life of the bridge, and what people do meanwhile. */
async function live(world: World): Promise<void> {
  const { arena, random, kills } = world;
  const way = random();
  const isAtWrite = way < 0.35;
  const dieAt = isAtWrite ? { write: 1 + Math.floor(random() * 40), isWritten: random() < 0.5 } : undefined;
  const startedAt = performance.now();
  const bridge = start(world, dieAt);
  const ended = once(bridge, 'exit');
  let isKilledByRequest = false;
  if (!isAtWrite && way < 0.7) {
    let left = 1 + Math.floor(random() * 15);
    const fault = random() < 0.5 ? 'drop-before' : 'drop-after';
    world.deadly = () => {
      left -= 1;
      if (left !== 0) return undefined;
      isKilledByRequest = true;
      bridge.kill('SIGKILL');
      return fault;
    };
  }
  await Promise.race([once(bridge.stdout ?? bridge, 'data'), ended]);
  const startMs = performance.now() - startedAt;
  const asks = 1 + Math.floor(random() * 3);
  for (let i = 0; i < asks; i++) {
    act(world);
    await pause(Math.floor(random() * 60));
    agree(world);
  }
  if (random() < 0.3) arena.repeat(2);
  if (random() < 0.5) await stopOne(world);
  const isAtAPoint = isAtWrite || way < 0.7;
  const longest = isAtAPoint ? Math.max(LIFE_MS, LIFE_STARTS * startMs) : Math.max(LIFE_MS / 3, startMs);
  const patience = isAtAPoint ? longest : Math.floor(random() * longest);
  const alarm = new AbortController();
  await Promise.race([ended, pause(patience, undefined, { signal: alarm.signal }).catch(() => undefined)]);
  alarm.abort();
  const isOver = bridge.signalCode !== null || bridge.exitCode !== null;
  if (isOver && bridge.exitCode !== null) throw new Error(`the bridge ended by itself: ${bridge.exitCode}`);
  world.deadly = undefined;
  if (!isOver) bridge.kill('SIGKILL');
  await ended;
  if (isKilledByRequest) kills.atARequest += 1;
  else if (isAtWrite && isOver) kills.atAWrite += 1;
  else kills.atATime += 1;
}

/** Somebody asks, and now and then does something else as well. */
function act(world: World): void {
  const { arena, random, questions } = world;
  const person = ASKER + questions.length;
  const words = random() < 0.15 ? 1400 : 20 + Math.floor(random() * 60);
  const text = `topic=q${person} words=${words} delay=${Math.floor(random() * 12)}`;
  questions.push({ id: arena.ask(person, text), person, words });
  if (random() < 0.5) save(world);
  if (random() < 0.25) trade(world);
}

/** Somebody who asked a moment ago has enough of the answer, if it shows within half a second. */
async function stopOne(world: World): Promise<void> {
  const { arena, random, questions } = world;
  const asked = questions[questions.length - 1 - Math.floor(random() * 2)];
  for (let tries = 0; asked !== undefined && tries < 5; tries++) {
    if (arena.stop(asked.person, asked.id)) {
      world.stops += 1;
      return;
    }
    await pause(100);
  }
}

/** Everybody agrees to the prices that they are asked about, again after a while where that was lost. */
function agree({ arena, questions, isCareful, agreedAtMs }: World): void {
  for (const { person, id } of isCareful ? questions : []) {
    const now = performance.now();
    if (now - (agreedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < AGREE_EVERY_MS) continue;
    if (arena.agree(person, id)) agreedAtMs.set(id, now);
  }
}

/** A saver asks where to pay in, pays in, or is paid out. */
function save(world: World): void {
  const { arena, money, random, savers, commands } = world;
  const person = SAVER + Math.floor(random() * 8);
  const memo = arena
    .readBy(person)
    .join('\n')
    .match(/--memo (chat-[0-9a-f]{16})/)?.[1];
  if (memo === undefined) commands.push({ person, id: arena.command(person, 'deposit') });
  else if (random() < 0.6) {
    const amount = BigInt(1 + Math.floor(random() * 1_000_000));
    money.receive(didOfPerson(person), amount, memo);
    world.deposits += 1;
    savers.set(person, (savers.get(person) ?? 0n) + amount);
  } else {
    const order = `${random() < 0.5 ? 'all' : '0.0001'} ${didOfPerson(person)}`;
    commands.push({ person, id: arena.command(person, 'withdraw', order) });
  }
}

/** A buyer buys credit, or gives it back. */
function trade({ arena, random }: World): void {
  const person = BUYER + Math.floor(random() * 16);
  const mine = arena.bought().filter((one) => one.person === person);
  if (mine.length < 2) arena.buy(person);
  else if (person % 2 === 0) arena.takeBack(person);
}

/** Lets everything come to its end, with nothing lost any more, and says what is wrong then. */
async function end(world: World): Promise<string[]> {
  const { arena, money } = world;
  arena.plan(undefined);
  money.plan(undefined);
  const last = start(world);
  await once(last.stdout ?? last, 'data');
  await settled(world);
  // What was being given back when the bridge was killed is gone on with by who asks again.
  for (const { person, isBack } of arena.bought()) {
    if (person % 2 === 0 && !isBack) arena.takeBack(person);
  }
  await settled(world);
  last.kill('SIGTERM');
  await once(last, 'exit');
  return (await wrongIn(world)).slice(0, WRONG_MAX);
}

/** Waits until every question has a final message, and then until nothing has changed for a while. */
async function settled(world: World): Promise<void> {
  const { arena, questions } = world;
  let before = '';
  let looks = 0;
  for (let stillMs = 0; stillMs < STILL_MS && looks < LOOKS_AFTER; stillMs += LOOK_EVERY_MS) {
    agree(world);
    const replies = arena.replies();
    const now = JSON.stringify(replies.map((message) => [message.id, message.edits]));
    const finals = replies.filter(({ buttons }) => buttons.some((data) => data.startsWith('receipt')));
    if (now !== before) stillMs = 0;
    looks = now === before && finals.length >= questions.length ? looks + 1 : 0;
    before = now;
    await pause(LOOK_EVERY_MS);
  }
}

function start(
  { home, arena, agents, moneyUrl, isCareful }: World,
  dieAt?: BridgeProcessOptions['dieAt'],
): ChildProcess {
  const script = fileURLToPath(new URL('./bridge-process.ts', import.meta.url));
  const [platform, api, token] = arena.names;
  const options: BridgeProcessOptions = {
    ...{ platform, home, api, token, agents: agents.url, money: moneyUrl, isCareful },
    ...(dieAt && { dieAt }),
  };
  return spawn(process.execPath, [script, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // Half of a start is compiling.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'sahara-chaos-cache') },
  });
}

function pick<T>(from: readonly T[], random: () => number): T | undefined {
  return from[Math.floor(random() * from.length)];
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
      platform: { type: 'string' },
      kills: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
      careful: { type: 'boolean', default: false },
    },
  });
  const platforms = (['telegram', 'discord'] as const).filter((one) => (values.platform ?? one) === one);
  const kills = Math.ceil(Number(values.kills) / platforms.length);
  for (const platform of platforms) {
    const report = await runChaos({ platform, kills, seed: Number(values.seed), isCareful: values.careful });
    process.stdout.write(`${JSON.stringify(report)}\n`);
    if (report.wrong.length > 0) process.exitCode = 1;
  }
}
