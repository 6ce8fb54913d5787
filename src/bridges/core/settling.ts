/**
 * The end of an answer: who pays what the agent took, and what the person reads. The asker pays for what was delivered and a
 * receipt says so, also where the answer ended early; what an agent took for nothing the operator bears, and the agent is not
 * asked for a while.
 */
import { toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { explainError } from '../../base/error-text.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { StoreOperation } from '../../base/store.ts';
import { endedRich, type LiveAnswer, openRich, shownSource } from './answer.ts';
import type { Journal } from './journal.ts';
import { failureSentence, type Language } from './language.ts';
import { type Ended, type Outcome, outcomeOf, type Taken } from './outcome.ts';
import { pausedFor } from './pausing.ts';
import type { AgentsPort } from './ports.ts';
import type { Job, Reply } from './records.ts';
import { joined, plain, type Rich } from './rich.ts';
import type { Spending } from './spending.ts';
import type { State } from './state.ts';
import { addTurn } from './talk.ts';
import { unsettled } from './unsettled.ts';

/** What settling works with. */
export interface SettlingParts {
  readonly agents: AgentsPort;
  readonly journal: Journal;
  readonly spending: Spending;
  readonly state: State;
  readonly clock: Clock;
  readonly log: Log;
}

/** The question whose answer has ended, and in which language that is said. */
interface Settled {
  readonly job: Job;
  readonly language: Language;
  readonly signal: AbortSignal;
}

/** Ends the hold, decides the reply and remembers the turn, all in one batch. Throws only when `signal` is aborted. */
export async function settleAnswer(parts: SettlingParts, asking: Settled, ended: Ended): Promise<void> {
  const { journal, log } = parts;
  const key = toHex(asking.job.key);
  // Somebody may have pressed stop since the asking began.
  const job = journal.find(key) ?? asking.job;
  const outcome = await outcomeOf(parts, { job, signal: asking.signal }, ended);
  const { failure } = outcome.type === 'known' ? outcome.ended : ended;
  if (failure) log.warn('call failed', { job: key, code: failure.code, explained: explainError(failure) });
  if (outcome.type === 'unknown') await leaveOpen(parts, { ...asking, job }, ended);
  else await settle(parts, { ...asking, job }, outcome);
}

async function settle(
  parts: SettlingParts,
  { job, language }: Settled,
  { ended, taken }: Outcome & { readonly type: 'known' },
): Promise<void> {
  const { journal, spending, state, clock, log } = parts;
  const key = toHex(job.key);
  const { answer } = ended;
  const failure = failureOf(job, ended);
  await journal.change(key, () => {
    const atMs = clock.nowMs();
    const amount = taken.paidBy === 'user' ? taken.amount : 0n;
    const isTold = failure !== undefined && amount === 0n;
    const paused = taken.paidBy === 'operator' ? pausedFor({ state, log }, job, { ...taken, atMs }) : [];
    return {
      job: {
        ...{ phase: 'replied', amount, sources: answer.sources.map(shownSource) },
        reply: isTold ? failureReply(failure, key, language) : answerReply(job, ended, { taken, language }),
      },
      operations: [
        ...spending.settle(key, taken.amount, { ...taken, atMs }),
        ...paused,
        ...(isTold ? [] : turnOf(parts, job, answer)),
      ],
      result: undefined,
    };
  });
}

/** What is held stays held until it is learnt what became of the call; so far it is not known. */
function leaveOpen(
  parts: SettlingParts,
  { job, language }: Settled,
  { answer, failure }: Ended,
): Promise<void> {
  const { journal, clock } = parts;
  const key = toHex(job.key);
  const isShown = answer.text.trim() !== '';
  const agent = failure?.facts.outcome === 'unknown' ? job.agent : '';
  const about = { agentName: job.agentName, amountMax: job.amountMax, id: shortId(key) };
  return journal.change(key, () => ({
    job: {
      ...{ phase: 'replied', sources: answer.sources.map(shownSource) },
      reply: { rich: openRich(answer, about, language), buttons: ['retry'], isPrivate: false },
    },
    operations: [
      unsettled(job, { sinceMs: clock.nowMs(), isShown, agent }),
      ...(isShown ? turnOf(parts, job, answer) : []),
    ],
    result: undefined,
  }));
}

/** The write that remembers what was said. */
function turnOf({ state }: SettlingParts, job: Job, answer: LiveAnswer): readonly StoreOperation[] {
  if (answer.text.trim() === '') return [];
  const place = job.place ?? job.event.place;
  return [addTurn(state, { ...job.event, place }, { question: job.question, answer: answer.text })];
}

/** What stands in the way of believing a call's end. */
function failureOf(job: Job, { answer, failure }: Ended): SaharaError | undefined {
  const amount = answer.ending?.amount ?? 0n;
  if (failure) return failure;
  return amount > job.amountMax ? new SaharaError('receipt-invalid', { amount: `${amount}` }) : undefined;
}

function answerReply(
  job: Job,
  { answer }: Ended,
  { taken, language }: { readonly taken: Taken; readonly language: Language },
): Reply {
  const amount = taken.paidBy === 'user' ? taken.amount : 0n;
  const about = { agentName: job.agentName, amount, units: taken.units, id: shortId(toHex(job.key)) };
  const hasSources = answer.sources.length > 0;
  return {
    rich: endedRich(answer, about, language),
    buttons: ['retry', ...(hasSources ? (['sources'] as const) : []), 'receipt', 'good', 'bad'],
    isPrivate: false,
  };
}

/** The reply to a failure: one sentence, and the id that finds it in the logs. */
export function failureReply(error: SaharaError, key: string, language: Language): Reply {
  const sentence = language.failures[failureSentence(error)];
  const rich: Rich = joined(plain(sentence), ` ${language.failureId(shortId(key))}`);
  return { rich, buttons: ['retry'], isPrivate: false };
}

/** The part of a job's key that people see. */
export function shortId(key: string): string {
  return key.slice(0, 12);
}
