/** Agents that took money and delivered nothing are not asked for a while: longer each time, until they have behaved for a week. */
import type { Log } from '../../base/log.ts';
import type { StoreOperation } from '../../base/store.ts';
import { AGENT_PAUSE_FIRST_MS, AGENT_PAUSE_LAST_MS, AGENT_PAUSES_KEPT_MS } from '../limits.ts';
import { type AgentPause, agentPauseSchema, type Job } from './records.ts';
import { put, type State } from './state.ts';

/** In front of the agents that are paused, or were. */
export const PAUSES = 'pause/';

/** The writes that pause an agent, and until when, milliseconds. Belongs inside `State.update`. */
export function pausing(
  state: State,
  agent: string,
  nowMs: number,
): { readonly operations: readonly StoreOperation[]; readonly untilMs: number } {
  const before = state.get(PAUSES + agent, agentPauseSchema);
  const isFirst = before === undefined || before.untilMs < nowMs - AGENT_PAUSES_KEPT_MS;
  const times = isFirst ? 1 : before.times + 1;
  const lastMs = Math.min(AGENT_PAUSE_FIRST_MS * 2 ** Math.min(times - 1, 20), AGENT_PAUSE_LAST_MS);
  const pause: AgentPause = { times, untilMs: nowMs + lastMs };
  return { operations: [put(PAUSES + agent, agentPauseSchema, pause)], untilMs: pause.untilMs };
}

/** The writes that pause the agent of a job that took money for nothing, which the log says too. Belongs inside `State.update`. */
export function pausedFor(
  { state, log }: { readonly state: State; readonly log: Log },
  { agent, agentName }: Job,
  { counted, atMs }: { readonly counted: bigint; readonly atMs: number },
): readonly StoreOperation[] {
  if (counted === 0n) return [];
  const { operations, untilMs } = pausing(state, agent, atMs);
  const facts = { agent, name: agentName, amount: `${counted}`, until: new Date(untilMs).toISOString() };
  log.error('an agent took money for nothing: it is not asked for a while', facts);
  return operations;
}

/** Until when an agent is not asked, milliseconds; `undefined` for one that may be. */
export function pausedUntil(state: State, agent: string, nowMs: number): number | undefined {
  const pause = state.get(PAUSES + agent, agentPauseSchema);
  return pause !== undefined && pause.untilMs > nowMs ? pause.untilMs : undefined;
}

/** All agents that are not asked now, for the operator. */
export async function pausedAgents(
  state: State,
  nowMs: number,
): Promise<readonly { readonly agent: string; readonly untilMs: number }[]> {
  const found: { readonly agent: string; readonly untilMs: number }[] = [];
  for await (const [key, value] of state.entries(PAUSES)) {
    const { untilMs } = agentPauseSchema.decode(value);
    if (untilMs > nowMs) found.push({ agent: key.slice(PAUSES.length), untilMs });
  }
  return found;
}
