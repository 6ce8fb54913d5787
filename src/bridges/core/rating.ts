/** What people think of answers: one verdict for each answer, of the person who asked, and the sums for each agent. */
import { toHex } from '../../base/bytes.ts';
import type { StoreOperation } from '../../base/store.ts';
import { amountSchema, type Job } from './records.ts';
import { put, putText, type State } from './state.ts';

/** A verdict. */
export type Rating = 'good' | 'bad';

/** How often an agent's answers were called good, and how many were judged. */
export interface Ratings {
  readonly good: number;
  readonly all: number;
}

/** The writes that note a verdict; a later one takes the place of the one before. Belongs inside `State.update`. */
export function rated(state: State, job: Job, rating: Rating): readonly StoreOperation[] {
  const key = `rating/${toHex(job.key)}`;
  const before = state.getText(key);
  if (before === rating) return [];
  const counter = (which: string, change: bigint): StoreOperation =>
    put(countKey(job.agent, which), amountSchema, { amount: count(state, job.agent, which) + change });
  return [putText(key, rating), counter(rating, 1n), ...(before === undefined ? [] : [counter(before, -1n)])];
}

/** What an agent's answers were called on this bridge. */
export function ratingsOf(state: State, agent: string): Ratings {
  const good = Number(count(state, agent, 'good'));
  return { good, all: good + Number(count(state, agent, 'bad')) };
}

function count(state: State, agent: string, which: string): bigint {
  return state.get(countKey(agent, which), amountSchema)?.amount ?? 0n;
}

function countKey(agent: string, which: string): string {
  return `rated/${agent}/${which}`;
}
