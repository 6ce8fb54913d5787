/** What has to hold when the chaos is over: one answer and one charge for each question, each payment booked once. */
import { join } from 'node:path';
import { openLevelStore } from '../../src/base/level-store.ts';
import { amountSchema } from '../../src/bridges/core/records.ts';
import { createState, type State } from '../../src/bridges/core/state.ts';
import { didOf } from '../../src/protocol/ids.ts';
import type { AgentService, ServedCall } from '../stand-ins/agents.ts';
import { FEE, type MoneyService } from '../stand-ins/money.ts';
import type { Arena, Reply } from './chaos-arenas.ts';
import { CREDIT, GENEROUS } from './settings.ts';

/** One question of one person. */
export interface Asked {
  readonly id: string;
  readonly person: number;
  readonly words: number;
}

/** What people did. */
export interface Told {
  readonly home: string;
  readonly arena: Arena;
  readonly agents: AgentService;
  readonly money: MoneyService;
  readonly questions: Asked[];
  readonly commands: { readonly person: number; readonly id: string }[];
  /** What each paid in, grains. */
  readonly savers: Map<number, bigint>;
}

/** Whom a saver is paid out to. */
export function didOfPerson(person: number): string {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, person);
  return didOf(key);
}

/** Broken promises, in words. */
export async function wrongIn(told: Told): Promise<string[]> {
  const { arena, agents, questions, commands, home } = told;
  const replies = Map.groupBy(arena.replies(), ({ replyTo }) => replyTo ?? '');
  const calls = new Map([...agents.calls.values()].map((call) => [topicOf(call), call]));
  const wrong = questions.flatMap((question) =>
    wrongWith(question, replies.get(question.id) ?? [], calls.get(`q${question.person}`)),
  );
  if (agents.calls.size !== questions.length)
    wrong.push(`${agents.calls.size} calls for ${questions.length} questions`);
  if (agents.conflicts() > 0) wrong.push(`${agents.conflicts()} calls were joined with another request`);
  for (const { id, person } of arena.names[0] === 'telegram' ? commands : []) {
    const found = replies.get(id) ?? [];
    if (found.length !== 1 || isUnfinished(found))
      wrong.push(`command ${id} of ${person}: ${JSON.stringify(found)}`);
  }
  const store = await openLevelStore(join(home, 'store'));
  wrong.push(...(await wrongBooks(createState(store), told)));
  await store.close();
  return wrong;
}

function wrongWith(
  { id, words }: Asked,
  replies: readonly Reply[],
  call: ServedCall | undefined,
): readonly string[] {
  const text = replies.map((message) => message.text).join('\n');
  const found = text.match(/\bw\d+/g) ?? [];
  const delivered = call === undefined ? 0 : wordsIn(call).length;
  const isStopped = call?.events.some(
    (event) => event.type === 'ending' && event.ending.finish === 'cancelled',
  );
  // Where the agent was stopped, the last word may be half a one.
  const expected = call === undefined ? [] : wordsIn(call);
  const wrong: string[] = [];
  const finals = replies.filter(({ buttons }) => buttons.some((data) => data.startsWith('receipt'))).length;
  if (finals !== 1) wrong.push(`question ${id}: ${finals} final messages among ${replies.length}`);
  if (!isStopped && delivered !== words)
    wrong.push(`question ${id}: ${delivered} of ${words} words answered`);
  if (found.join(' ') !== expected.join(' '))
    wrong.push(`question ${id}: ${found.length} of ${delivered} words shown, as ${outline(replies)}`);
  if (isUnfinished(replies)) wrong.push(`question ${id}: a dead message stays: ${JSON.stringify(replies)}`);
  return wrong;
}

/** The first and the last word of each message. */
function outline(replies: readonly Reply[]): string {
  const ends = replies.map(({ id, text }) => {
    const words = text.match(/\bw\d+/g) ?? [];
    return `${id}: ${words[0]}..${words.at(-1)}`;
  });
  return ends.join(', ');
}

function isUnfinished(replies: readonly Reply[]): boolean {
  return replies.some(
    ({ text, buttons }) => /…|Asking/.test(text) || buttons.some((one) => one.startsWith('stop')),
  );
}

async function wrongBooks(state: State, told: Told): Promise<readonly string[]> {
  const { arena, agents, questions, savers, money } = told;
  const platform = arena.names[0];
  const wrong: string[] = [];
  const books = new Map<string, bigint>();
  for await (const [key, value] of state.entries('account/'))
    books.set(key.slice('account/'.length), amountSchema.decode(value).amount);
  const { welcome } = GENEROUS.spending;
  const expect = (account: string, amount: bigint): void => {
    const booked = books.get(account) ?? (account.startsWith('user/') ? welcome : 0n);
    if (booked !== amount) wrong.push(`${account} has ${booked}, not ${amount}`);
  };
  const sum = [...books.values()].reduce((all, one) => all + one, 0n);
  if (sum !== 0n) wrong.push(`the accounts sum to ${sum}`);
  expect('held', 0n);
  expect('leaving', 0n);
  expect('agents', agents.charged());
  const charges = new Map([...agents.calls.values()].map((call) => [topicOf(call), call.charged ?? 0n]));
  for (const { person } of questions)
    expect(`user/${platform}:${person}`, welcome - (charges.get(`q${person}`) ?? 0n));
  for (const [person, paidIn] of savers) {
    const out = [...money.paid.values()].filter(({ to }) => to === didOfPerson(person));
    const left = out.reduce((all, { amount }) => all + amount + FEE, 0n);
    expect(`user/${platform}:${person}`, welcome + paidIn - left);
  }
  const bought = Map.groupBy(arena.bought(), ({ person }) => person);
  for (const [person, payments] of bought) {
    const kept = payments.filter(({ isBack }) => !isBack).length;
    expect(`user/${platform}:${person}`, welcome + CREDIT * BigInt(kept));
  }
  for await (const [key] of state.entries('open/')) wrong.push(`job ${key} is not done`);
  for await (const [key] of state.entries('leaving/')) wrong.push(`withdrawal ${key} is not decided`);
  return wrong;
}

function topicOf(call: ServedCall): string {
  return /topic=(q\d+)/.exec(call.request.question)?.[1] ?? '';
}

function wordsIn({ events }: ServedCall): readonly string[] {
  const text = events.map((event) => (event.type === 'text' ? event.text : '')).join('');
  return text.match(/\bw\d+/g) ?? [];
}
