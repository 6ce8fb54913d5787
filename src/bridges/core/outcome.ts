/**
 * What became of the money of a call that did not end plainly. It is looked up: first the call itself, stopped and joined once
 * more, then its receipt, again for a while where that cannot be asked for. What is not learnt is said to be unknown; that an
 * agent left no receipt is another thing, and the agent's doing.
 */
import { type Clock, timeoutSignal } from '../../base/clock.ts';
import { asSaharaError, type SaharaError } from '../../base/errors.ts';
import type { Receipt } from '../../protocol/payment.ts';
import { LOOK_UP_MS, RECEIPT_TRIES_MAX } from '../limits.ts';
import { type LiveAnswer, newAnswer } from './answer.ts';
import { LOST_CONNECTION, requestOf, take } from './call.ts';
import { sleep } from './pacer.ts';
import type { AgentsPort } from './ports.ts';
import type { Job } from './records.ts';

/** What looking up works with. */
export interface OutcomeParts {
  readonly agents: AgentsPort;
  readonly clock: Clock;
}

/** How an asking ended: with an answer, perhaps a part of one, or with a failure. */
export interface Ended {
  readonly answer: LiveAnswer;
  readonly failure: SaharaError | undefined;
  /** It may have been carried out although nothing tells so: some of it was seen, or an earlier process had begun it. */
  readonly isBegun: boolean;
}

/** What an agent took. */
export interface Taken {
  /** As far as it is known, grains; never above what was held. */
  readonly amount: bigint;
  /** What the caps count: all that was held where more was taken than that. */
  readonly counted: bigint;
  readonly paidBy: 'user' | 'operator';
  /** Units that the receipt says were delivered. */
  readonly units: number;
}

/** What became of a call: how it ended after all, and what was taken, or that neither can be learnt now. */
export type Outcome =
  | { readonly type: 'known'; readonly ended: Ended; readonly taken: Taken }
  /** `isAway`: there was nobody to ask, not even the daemon. */
  | { readonly type: 'unknown'; readonly isAway: boolean };

const NOTHING: Taken = { amount: 0n, counted: 0n, paidBy: 'user', units: 0 };
const RECEIPT_RETRY_FIRST_MS = 500;

/** What became of a call that has just ended. Throws only when `signal` is aborted. */
export async function outcomeOf(
  parts: OutcomeParts,
  { job, signal }: { readonly job: Job; readonly signal: AbortSignal },
  ended: Ended,
): Promise<Outcome> {
  if (isPlain(job, ended)) return knownPlain(ended);
  const outcome = ended.failure?.facts.outcome;
  const isLost = ended.failure !== undefined && LOST_CONNECTION.includes(ended.failure.code);
  const isOpen = ended.failure !== undefined && outcome === undefined && (isLost || ended.isBegun);
  if (job.amountMax > 0n && outcome === 'unknown') return { type: 'unknown', isAway: false };
  if (job.amountMax > 0n && isOpen) return joinedOnce(parts, { job, signal }, ended);
  return receipted(parts, { job, signal }, ended);
}

/** The same for one that ended before: it is stopped where it still runs, and joined once. Throws only when `signal` is aborted. */
export async function joinedOnce(
  parts: OutcomeParts,
  { job, signal }: { readonly job: Job; readonly signal: AbortSignal },
  before: Ended,
): Promise<Outcome> {
  const { agents, clock } = parts;
  const late = timeoutSignal(clock, LOOK_UP_MS);
  const answer = newAnswer();
  try {
    // Who has been told that it failed does not wait for it: what has not begun never does then.
    await agents.cancel(job.key);
    for await (const event of agents.ask(requestOf(job), { signal: AbortSignal.any([signal, late]) })) {
      take(answer, event);
      if (event.type === 'ending') break;
    }
  } catch (error) {
    signal.throwIfAborted();
    const failure = asSaharaError(error);
    const { outcome } = failure.facts;
    if (outcome === 'charged' || outcome === 'uncharged')
      return receipted(parts, { job, signal }, { ...before, failure });
    // Who says that it does not know is there.
    const isAway = !late.aborted && outcome === undefined && LOST_CONNECTION.includes(failure.code);
    return { type: 'unknown', isAway };
  }
  const { ending } = answer;
  if (ending === undefined) return { type: 'unknown', isAway: true };
  if (ending.amount === 0n && answer.text === '') return { type: 'known', ended: before, taken: NOTHING };
  // That it was stopped was nobody's wish, unless somebody pressed the button.
  const isOurs = ending.finish === 'cancelled' && !job.isStopped;
  answer.ending = isOurs ? { ...ending, finish: 'failed' } : ending;
  const ended = { ...before, answer, failure: undefined };
  return isPlain(job, ended) ? knownPlain(ended) : receipted(parts, { job, signal }, ended);
}

function knownPlain(ended: Ended): Outcome {
  const amount = ended.answer.ending?.amount ?? 0n;
  return { type: 'known', ended, taken: { ...NOTHING, amount, counted: amount } };
}

/** With the receipt, where something may have been taken. */
async function receipted(
  parts: OutcomeParts,
  { job, signal }: { readonly job: Job; readonly signal: AbortSignal },
  ended: Ended,
): Promise<Outcome> {
  const isTaken = (ended.answer.ending?.amount ?? 0n) > 0n || ended.failure?.facts.outcome === 'charged';
  if (!isTaken) return { type: 'known', ended, taken: NOTHING };
  const receipt = await receiptOf(parts, job, signal);
  if (receipt === 'away') return { type: 'unknown', isAway: true };
  return { type: 'known', ended, taken: takenBy(job, ended, receipt) };
}

/** The receipt of a job's call; `undefined`: there is none; `away`: that could not be asked, several times. */
async function receiptOf(
  { agents, clock }: OutcomeParts,
  job: Job,
  signal: AbortSignal,
): Promise<Receipt | undefined | 'away'> {
  for (let tried = 1, waitMs = RECEIPT_RETRY_FIRST_MS; ; tried++, waitMs *= 2) {
    try {
      return await agents.receipt(job.key, { signal });
    } catch {
      signal.throwIfAborted();
      if (tried === RECEIPT_TRIES_MAX) return 'away';
    }
    await sleep(clock, waitMs, signal);
  }
}

/** Whether nothing needs to be looked up: the answer is whole, or was stopped, at its price. */
function isPlain(job: Job, { answer, failure }: Ended): boolean {
  const { ending } = answer;
  if (failure || ending === undefined || ending.amount > job.amountMax) return false;
  return ending.amount === 0n || (ending.finish !== 'failed' && answer.text.trim() !== '');
}

/** What the agent took for a call, and who pays it. */
function takenBy(job: Job, { answer, failure }: Ended, receipt: Receipt | undefined): Taken {
  const units = receipt?.outputUnits ?? 0;
  const isReceipted = receipt !== undefined && receipt.amount <= job.amountMax;
  if (isReceipted && units > 0 && answer.text.trim() !== '')
    return { amount: receipt.amount, counted: receipt.amount, paidBy: 'user', units };
  const { outcome, amount: said } = failure?.facts ?? {};
  const ending = answer.ending?.amount ?? 0n;
  const known = isReceipted ? receipt.amount : outcome === 'charged' ? grainsOf(said) : ending;
  const amount = known <= job.amountMax ? known : 0n;
  const counted = known > job.amountMax ? job.amountMax : amount;
  return { amount, counted, paidBy: counted > 0n ? 'operator' : 'user', units };
}

function grainsOf(fact: unknown): bigint {
  return /^\d{1,20}$/.test(String(fact)) ? BigInt(String(fact)) : 0n;
}
