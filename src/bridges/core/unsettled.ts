/**
 * Calls of which it is not known what became of their money. What was held for one stays held and counted until that is known:
 * it is looked up again at each start, when there is somebody to ask again, and in between after waits that grow. After two days
 * it is given up: the asker has the money again, the caps count it as taken.
 */
import { toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { StoreOperation } from '../../base/store.ts';
import {
  UNSETTLED_KEPT_MS,
  UNSETTLED_LOOKS_MIN,
  UNSETTLED_WAIT_FIRST_MS,
  UNSETTLED_WAIT_LAST_MS,
} from '../limits.ts';
import { newAnswer } from './answer.ts';
import type { Journal } from './journal.ts';
import { joinedOnce, type Outcome } from './outcome.ts';
import { sleep } from './pacer.ts';
import { pausedFor } from './pausing.ts';
import type { AgentsPort } from './ports.ts';
import { type Job, type Unsettled, unsettledSchema } from './records.ts';
import type { Spending } from './spending.ts';
import { del, put, type State } from './state.ts';

/** What looking after them works with. */
export interface UnsettledParts {
  readonly agents: AgentsPort;
  readonly journal: Journal;
  readonly spending: Spending;
  readonly state: State;
  readonly clock: Clock;
  readonly log: Log;
}

/** Looks after calls that are not settled. */
export interface UnsettledCalls {
  /** Looks again and again until `signal` is aborted. */
  keepUp(signal: AbortSignal): Promise<void>;
  /** An asking has ended: with one more call to look after, or with an answer, so that there is somebody to ask again. */
  ended(how: 'unsettled' | 'answered'): void;
  /** Looks again at once. */
  lookSoon(): void;
}

const UNSETTLED = 'unsettled/';

/** The write that remembers a call that is not settled. It belongs to the one that ends its asking. */
export function unsettled(job: Job, record: Unsettled): StoreOperation {
  return put(UNSETTLED + toHex(job.key), unsettledSchema, record);
}

/** Whether it is not known yet what the answer to a question cost. */
export function isUnsettled(state: State, job: Job): boolean {
  return state.getBytes(UNSETTLED + toHex(job.key)) !== undefined;
}

/** Whether a call of an agent's is not settled because its peer does not say what it took. */
export async function isInDoubt(state: State, agent: string): Promise<boolean> {
  for await (const [, value] of state.entries(UNSETTLED)) {
    if (unsettledSchema.decode(value).agent === agent) return true;
  }
  return false;
}

/** Looks after the calls that `journal` knows. */
export function createUnsettledCalls(parts: UnsettledParts): UnsettledCalls {
  const { journal, state, clock, log } = parts;
  let wake = Promise.withResolvers<void>();
  /** How often this process has looked at each that it has not learnt. */
  const looks = new Map<string, number>();
  let isAway = false;
  let isMore = false;

  /** Those of this bridge's; others in the same store look after theirs. */
  async function open(): Promise<readonly (readonly [Job, Unsettled])[]> {
    const found: (readonly [Job, Unsettled])[] = [];
    for await (const [entry, value] of state.entries(UNSETTLED)) {
      const job = journal.find(entry.slice(UNSETTLED.length));
      if (job !== undefined && journal.isOwn(job)) found.push([job, unsettledSchema.decode(value)]);
    }
    return found;
  }

  /** Looks at each once; how many are left. */
  async function look(signal: AbortSignal): Promise<number> {
    isAway = false;
    let left = 0;
    for (const [job, record] of await open()) {
      try {
        if (!(await lookAt(job, record, signal))) left += 1;
      } catch (error) {
        signal.throwIfAborted();
        left += 1;
        log.error('not looked what became of a call', {
          job: toHex(job.key),
          code: asSaharaError(error).code,
        });
      }
    }
    return left;
  }

  /** Whether that was the end of it. A process that has just started may not reach the agent yet, so it does not give up at once. */
  async function lookAt(job: Job, record: Unsettled, signal: AbortSignal): Promise<boolean> {
    const before = { answer: newAnswer(), failure: undefined, isBegun: true };
    const outcome: Outcome = isAway
      ? { type: 'unknown', isAway }
      : await joinedOnce(parts, { job, signal }, before);
    if (outcome.type === 'unknown') isAway = outcome.isAway;
    const key = toHex(job.key);
    const looked = (looks.get(key) ?? 0) + 1;
    const isOver = looked >= UNSETTLED_LOOKS_MIN && record.sinceMs + UNSETTLED_KEPT_MS <= clock.nowMs();
    if (outcome.type === 'unknown' && !isOver) {
      looks.set(key, looked);
      return false;
    }
    await end(parts, job, { record, outcome });
    looks.delete(key);
    return true;
  }

  return {
    async keepUp(signal) {
      for (let waitMs = UNSETTLED_WAIT_FIRST_MS; !signal.aborted; ) {
        wake = Promise.withResolvers<void>();
        isMore = false;
        try {
          const left = await look(signal);
          const isNew = left === 0 || isMore;
          waitMs = isNew ? UNSETTLED_WAIT_FIRST_MS : Math.min(2 * waitMs, UNSETTLED_WAIT_LAST_MS);
        } catch (error) {
          if (signal.aborted) return;
          log.error('not looked what became of calls', { code: asSaharaError(error).code });
        }
        await restUntil(wake.promise, { clock, waitMs, signal });
        if (isMore) waitMs = UNSETTLED_WAIT_FIRST_MS;
      }
    },
    ended(how) {
      isMore ||= how === 'unsettled';
      if (isAway || isMore) wake.resolve();
    },
    lookSoon: () => wake.resolve(),
  };
}

/** Ends what is held. The asker pays for what was shown to them and a receipt proves, and for nothing else. */
async function end(
  { journal, spending, state, clock, log }: UnsettledParts,
  job: Job,
  { record, outcome }: { readonly record: Unsettled; readonly outcome: Outcome },
): Promise<void> {
  const key = toHex(job.key);
  await journal.change(key, () => {
    const atMs = clock.nowMs();
    if (outcome.type === 'unknown') {
      log.error('it was never known what became of a call', { job: key, held: `${job.amountMax}` });
      const settled = spending.settle(key, 0n, { paidBy: 'operator', atMs, counted: job.amountMax });
      // One whose peer keeps it to itself is the agent's doing; that the daemon is away is not.
      const isGuilty = record.agent !== '' && !outcome.isAway;
      const paused = isGuilty ? pausedFor({ state, log }, job, { counted: job.amountMax, atMs }) : [];
      return { job: {}, operations: [...settled, ...paused, del(UNSETTLED + key)], result: undefined };
    }
    const { taken, ended } = outcome;
    const isPaid = taken.paidBy === 'user' && record.isShown;
    const settled = spending.settle(key, taken.amount, {
      ...{ paidBy: isPaid ? 'user' : 'operator', atMs, counted: taken.counted },
    });
    // What it delivered nobody read. Where the daemon was away, that is not the agent's doing.
    const isGuilty = !isPaid && (record.agent !== '' || ended.answer.text.trim() === '');
    const paused = isGuilty ? pausedFor({ state, log }, job, { counted: taken.counted, atMs }) : [];
    log.info('it is known what became of a call', { job: key, amount: `${taken.amount}` });
    return {
      job: { amount: isPaid ? taken.amount : 0n },
      operations: [...settled, ...paused, del(UNSETTLED + key)],
      result: undefined,
    };
  });
}

async function restUntil(
  wake: Promise<void>,
  { clock, waitMs, signal }: { readonly clock: Clock; readonly waitMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const awake = new AbortController();
  const resting = sleep(clock, waitMs, AbortSignal.any([signal, awake.signal])).catch(() => undefined);
  await Promise.race([wake, resting]);
  awake.abort();
}
