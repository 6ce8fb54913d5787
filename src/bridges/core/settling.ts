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
import type { Receipt } from '../../protocol/payment.ts';
import { endedRich, type LiveAnswer, shownSource } from './answer.ts';
import type { Journal } from './journal.ts';
import { failureSentence, type Language } from './language.ts';
import { pausing } from './pausing.ts';
import type { AgentsPort } from './ports.ts';
import type { Job, Reply } from './records.ts';
import { joined, plain, type Rich } from './rich.ts';
import type { Spending } from './spending.ts';
import type { State } from './state.ts';
import { addTurn } from './talk.ts';

/** What settling works with. */
export interface SettlingParts {
  readonly agents: AgentsPort;
  readonly journal: Journal;
  readonly spending: Spending;
  readonly state: State;
  readonly clock: Clock;
  readonly log: Log;
}

/** How an asking ended: with an answer, perhaps a part of one, or with a failure. */
export interface Ended {
  readonly answer: LiveAnswer;
  readonly failure: SaharaError | undefined;
}

/** What an agent took. */
interface Taken {
  /** As far as it is known, grains; never above what was held. */
  readonly amount: bigint;
  /** What the caps count: all that was held while it is unknown how much was taken. */
  readonly counted: bigint;
  readonly paidBy: 'user' | 'operator';
  /** Units that the receipt says were delivered. */
  readonly units: number;
}

/** Ends the hold, decides the reply and remembers the turn, all in one batch. */
export async function settleAnswer(
  parts: SettlingParts,
  { job, language }: { readonly job: Job; readonly language: Language },
  ended: Ended,
): Promise<void> {
  const { journal, spending, state, clock, log } = parts;
  const key = toHex(job.key);
  const { answer } = ended;
  const receipt = isPlain(job, ended)
    ? undefined
    : await parts.agents.receipt(job.key).catch(() => undefined);
  const taken = takenBy(job, ended, receipt);
  const failure = failureOf(job, ended);
  if (failure) log.warn('call failed', { job: key, code: failure.code, explained: explainError(failure) });
  await journal.change(key, () => {
    const atMs = clock.nowMs();
    const amount = taken.paidBy === 'user' ? taken.amount : 0n;
    const isTold = failure !== undefined && amount === 0n;
    const paused = taken.paidBy === 'operator' ? pausing(state, job.agent, atMs) : undefined;
    if (paused) {
      const until = new Date(paused.untilMs).toISOString();
      const facts = { agent: job.agent, name: job.agentName, amount: `${taken.counted}`, until };
      log.error('an agent took money for nothing: it is not asked for a while', facts);
    }
    const place = job.place ?? job.event.place;
    const turn = { question: job.question, answer: answer.text };
    return {
      job: {
        ...{ phase: 'replied', amount, sources: answer.sources.map(shownSource) },
        reply: isTold ? failureReply(failure, key, language) : answerReply(job, ended, { taken, language }),
      },
      operations: [
        ...spending.settle(key, taken.amount, { ...taken, atMs }),
        ...(paused?.operations ?? []),
        ...(isTold || answer.text.trim() === '' ? [] : [addTurn(state, { ...job.event, place }, turn)]),
      ],
      result: undefined,
    };
  });
}

/** Whether nothing needs to be looked up: the answer is whole, or was stopped, at its price. */
function isPlain(job: Job, { answer, failure }: Ended): boolean {
  const { ending } = answer;
  if (failure || ending === undefined || ending.amount > job.amountMax) return false;
  return ending.amount === 0n || (ending.finish !== 'failed' && answer.text.trim() !== '');
}

function failureOf(job: Job, { answer, failure }: Ended): SaharaError | undefined {
  const amount = answer.ending?.amount ?? 0n;
  if (failure) return failure;
  return amount > job.amountMax ? new SaharaError('receipt-invalid', { amount: `${amount}` }) : undefined;
}

/** What the agent took for a call, and who pays it. */
function takenBy(job: Job, ended: Ended, receipt: Receipt | undefined): Taken {
  const { answer, failure } = ended;
  if (isPlain(job, ended)) {
    const amount = answer.ending?.amount ?? 0n;
    return { amount, counted: amount, paidBy: 'user', units: 0 };
  }
  const units = receipt?.outputUnits ?? 0;
  const isReceipted = receipt !== undefined && receipt.amount <= job.amountMax;
  if (isReceipted && units > 0 && answer.text.trim() !== '')
    return { amount: receipt.amount, counted: receipt.amount, paidBy: 'user', units };
  const { outcome, amount: said } = failure?.facts ?? {};
  const ending = answer.ending?.amount ?? 0n;
  const known = isReceipted ? receipt.amount : outcome === 'charged' ? grainsOf(said) : ending;
  const amount = known <= job.amountMax ? known : 0n;
  const counted = outcome === 'unknown' || known > job.amountMax ? job.amountMax : amount;
  return { amount, counted, paidBy: counted > 0n ? 'operator' : 'user', units };
}

function grainsOf(fact: unknown): bigint {
  return /^\d{1,20}$/.test(String(fact)) ? BigInt(String(fact)) : 0n;
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
