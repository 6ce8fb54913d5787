/** What `/balance` and the others answer. Those that move money stand in `commands-money.ts`; none here spends. */

import { formatAmount } from '../../base/amount.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import type { Receipt } from '../../protocol/payment.ts';
import { AGENTS_LISTED_MAX, HISTORY_LISTED_MAX, QUESTIONS_SEARCHED_MAX } from '../limits.ts';
import { explainRich, receiptRich, sourcesRich } from './answer.ts';
import { type BudgetParts, budgetReply } from './budget.ts';
import type { Cash } from './cash.ts';
import { MONEY_COMMANDS, moneyReply } from './commands-money.ts';
import { exportOf } from './export.ts';
import type { Journal } from './journal.ts';
import type { Language } from './language.ts';
import { documentsOf, LEARN_COMMANDS, type LearningParts, learnedNote } from './learning.ts';
import { clipped } from './markdown.ts';
import { namesOf } from './people.ts';
import type { ChatEvent } from './platform.ts';
import type { AgentListing, AgentsPort, MoneyPort } from './ports.ts';
import { type Ratings, ratingsOf } from './rating.ts';
import type { Job, Reply } from './records.ts';
import { joined, plain, type Rich, separated, styled } from './rich.ts';
import { shortId } from './settling.ts';
import { SHOP_PRIVATE, type ShopParts, shopReply } from './shop.ts';
import { type Spending, userOf } from './spending.ts';
import { putText, type State } from './state.ts';
import { isUnsettled } from './unsettled.ts';

/** What commands work with. */
export interface CommandParts {
  readonly agents: AgentsPort;
  readonly journal: Journal;
  readonly spending: Spending;
  readonly state: State;
  readonly clock: Clock;
  /** Absent: money does not come in or go out here. */
  readonly money?: MoneyPort | undefined;
  readonly cash?: Cash | undefined;
  /** The agent of users who chose none: a name or DID. */
  readonly agentDefault: string | undefined;
}

/** One command in one language. */
export interface CommandCall {
  readonly event: ChatEvent;
  /** The job's key, hexadecimal. */
  readonly key: string;
  readonly argument: string;
  readonly language: Language;
}

type Command = (parts: CommandParts & BudgetParts & LearningParts, call: CommandCall) => Promise<Reply>;

/** Every command but `/ask`, which makes a call. */
const COMMANDS: Readonly<Record<string, Command>> = {
  agents: async ({ agents, state }, { language }) => {
    const listed = (await agents.list()).slice(0, AGENTS_LISTED_MAX);
    if (listed.length === 0) return shown(plain(language.agentsEmpty));
    return shown(
      separated(
        [
          styled(language.agentsTitle, 'bold'),
          ...listed.map((agent) => agentLine(agent, ratingsOf(state, agent.did), language)),
        ],
        '\n',
      ),
    );
  },
  agent: async (parts, { event, argument, language }) => {
    if (argument === '') {
      const chosen = await chosenAgent(parts, event);
      return shown(plain(chosen === undefined ? language.agentUnset : language.agentNow(chosen.name)));
    }
    const listed = await parts.agents.list();
    const found = agentNamed(listed, argument);
    if (found === undefined)
      return shown(
        plain(
          language.agentNone(
            clipped(argument, 64),
            nearestNames(
              argument.trim(),
              listed.map(({ name }) => name),
            ),
          ),
        ),
      );
    await parts.state.update(() => ({
      operations: [putText(choiceKey(event), found.did)],
      result: undefined,
    }));
    return shown(plain(language.agentNow(found.name)));
  },
  balance: async ({ spending, cash, clock }, { event, language }) => {
    // What arrived a moment ago counts. Who cannot look shows what is known.
    await cash?.collect().catch(() => undefined);
    const { balance, held, spentToday, payable } = spending.standing({ ...event, atMs: clock.nowMs() });
    return secret(
      plain(
        language.balance({
          balance: formatAmount(balance),
          held: formatAmount(held),
          spentToday: formatAmount(spentToday),
          payable: formatAmount(payable),
        }),
      ),
    );
  },
  budget: budgetReply,
  receipt: async (parts, call) => {
    const found = await lastReceipt(parts, call);
    return secret(
      found === undefined
        ? plain(call.language.receiptNone)
        : receiptRich(found.receipt, call.language, found.id),
    );
  },
  explain: async (parts, call) => {
    const found = await lastReceipt(parts, call);
    return secret(
      found === undefined ? plain(call.language.receiptNone) : explainRich(found.receipt, call.language),
    );
  },
  proof: async (parts, call) => {
    const job = await answerMeant(parts, call);
    if (job === undefined) return secret(plain(call.language.receiptNone));
    const verdict = await parts.agents.verify(job.key);
    return secret(
      plain(
        verdict.valid
          ? call.language.proofGood(verdict.checks, verdict.block)
          : call.language.proofBad(verdict.reason),
      ),
    );
  },
  history: async ({ journal, state }, { event, language }) => {
    const keys = await journal.questionsOf(namesOf(state, userOf(event)), HISTORY_LISTED_MAX);
    const jobs = keys.map((key) => journal.find(key)).filter((job) => job !== undefined);
    if (jobs.length === 0) return secret(plain(language.historyEmpty));
    const lines = jobs.map((job) => plain(historyLine(job, isUnsettled(state, job), language)));
    return secret(separated([styled(language.historyTitle, 'bold'), ...lines], '\n'));
  },
  export: async (parts, { event }) => {
    const text = await exportOf({ ...parts, learned: await documentsOf(parts, event) }, event);
    return secret({ text, spans: [{ style: 'pre', offset: 0, length: text.length, language: 'json' }] });
  },
  forget: async (parts, { event, language }) => {
    const names = namesOf(parts.state, userOf(event));
    await parts.offers.endOf(names);
    await parts.journal.forget(names);
    const note = await learnedNote(parts, event, language);
    const rich = plain([language.forgotten, note].filter((text) => text !== undefined).join('\n\n'));
    const isKept = note !== undefined && note !== language.learnedUnknown;
    return { rich, buttons: isKept ? ['unlearn'] : [], isPrivate: true };
  },
  help: async (_, { language }) => shown(plain(language.help)),
  start: async (_, { language }) => shown(plain(language.help)),
  privacy: async (_, { language }) => shown(plain(language.privacy)),
  ...LEARN_COMMANDS,
};

/** Commands whose reply only the person may read. */
export const PRIVATE_COMMANDS: readonly string[] = [
  'balance',
  'budget',
  'receipt',
  'explain',
  'proof',
  'history',
  'export',
  'forget',
  ...Object.keys(LEARN_COMMANDS),
  ...Object.keys(MONEY_COMMANDS),
  ...SHOP_PRIVATE,
];

/** What platforms list: each command and what it does. */
export const COMMAND_TEXTS: Readonly<Record<string, string>> = {
  ask: 'Ask the chosen agent',
  agents: 'Who can answer, and for how much',
  agent: 'Choose whom to ask',
  balance: 'What you can spend',
  deposit: 'Pay in',
  withdraw: 'Have your money paid out',
  budget: 'Most that you want to spend in a day',
  link: 'Use the money of your own DID',
  unlink: 'End that, and get the rest back',
  receipt: 'Who was paid for the last answer',
  proof: 'Check the proof of the last answer',
  explain: 'How its price came about',
  history: 'Your last questions',
  export: 'All that is kept of you',
  forget: 'Delete your questions and answers',
  learn: 'Give an agent a document of your own',
  learned: 'Documents that you gave',
  unlearn: 'Destroy a document that you gave',
  help: 'What this bot does',
  privacy: 'What is kept, and for how long',
  terms: 'What you agree to',
  paysupport: 'Whom to ask about payments',
};

/** The reply to a command; one that is not known gets a sentence. */
export async function runCommand(
  parts: CommandParts & LearningParts & ShopParts,
  call: CommandCall,
): Promise<Reply> {
  const about = (await moneyReply(parts, call)) ?? (await shopReply(parts, call));
  if (about !== undefined) return about;
  const command = Object.hasOwn(COMMANDS, call.event.text) ? COMMANDS[call.event.text] : undefined;
  return command?.(parts, call) ?? shown(plain(call.language.commandUnknown));
}

/** The sources of an answer, behind its button. */
export function sourcesReply(job: Job, language: Language): Reply {
  return shown(sourcesRich(job.sources, language));
}

/** The receipt of one answer, behind its button. */
export async function receiptReply(parts: CommandParts, job: Job, language: Language): Promise<Reply> {
  const receipt = await parts.agents.receipt(job.key);
  if (receipt === undefined) throw new SaharaError('receipt-unknown');
  return secret(receiptRich(receipt, language, shortId(toHex(job.key))));
}

/** A reply that everyone in the place may read. */
export function shown(rich: Rich): Reply {
  return { rich, buttons: [], isPrivate: false };
}

/** A reply for the asking person only. */
export function secret(rich: Rich): Reply {
  return { rich, buttons: [], isPrivate: true };
}

/** Whom a user's questions go to: the one chosen, the bridge's default, or the only one there is. */
export async function chosenAgent(parts: CommandParts, event: ChatEvent): Promise<AgentListing | undefined> {
  const listed = await parts.agents.list();
  const wanted = parts.state.getText(choiceKey(event)) ?? parts.agentDefault;
  if (wanted === undefined) return listed.length === 1 ? listed[0] : undefined;
  const found = agentNamed(listed, wanted);
  if (found === undefined) throw new SaharaError('agent-unknown', { agent: wanted });
  return found;
}

function agentNamed(listed: readonly AgentListing[], wanted: string): AgentListing | undefined {
  const name = wanted.trim().toLowerCase();
  return (
    listed.find((agent) => agent.did === wanted.trim()) ??
    listed.find((agent) => agent.name.toLowerCase() === name)
  );
}

function choiceKey(event: ChatEvent): string {
  return `choice/${userOf(event)}`;
}

function agentLine(agent: AgentListing, { good, all }: Ratings, language: Language): Rich {
  const price = agent.amountMax === 0n ? language.free : `≤ ${formatAmount(agent.amountMax)}`;
  const stars = all === 0 ? '' : ` · 👍 ${good}/${all}`;
  return joined('• ', styled(agent.name, 'bold'), ` (${price}${stars}) ${clipped(agent.description, 160)}`);
}

function historyLine(job: Job, isOpen: boolean, language: Language): string {
  const paid = job.amount === undefined || job.amount === 0n ? language.free : formatAmount(job.amount);
  const amount = isOpen ? language.amountOpen : paid;
  const question = clipped(job.question.replace(/\s+/g, ' '), 100);
  return `• ${shortId(toHex(job.key))} · ${amount} · ${question}`;
}

/** The caller's own answer that an id names, or the last one. */
async function answerMeant(parts: CommandParts, { event, argument }: CommandCall): Promise<Job | undefined> {
  const names = namesOf(parts.state, userOf(event));
  const keys = await parts.journal.questionsOf(names, QUESTIONS_SEARCHED_MAX);
  const wanted = argument.trim().toLowerCase();
  if (wanted !== '' && (wanted.length < 6 || fromHex(wanted.slice(0, wanted.length & ~1)) === undefined))
    return undefined;
  const jobs = keys.filter((key) => key.startsWith(wanted)).map((key) => parts.journal.find(key));
  return jobs.find((job) => job?.amount !== undefined);
}

async function lastReceipt(
  parts: CommandParts,
  call: CommandCall,
): Promise<{ readonly receipt: Receipt; readonly id: string } | undefined> {
  const job = await answerMeant(parts, call);
  const receipt = job && (await parts.agents.receipt(job.key));
  return job && receipt && { receipt, id: shortId(toHex(job.key)) };
}
