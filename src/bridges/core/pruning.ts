/** What is dropped of forms that are over and of pauses that have ended: by age, and beyond a number the oldest first. */
import type { StoreOperation } from '../../base/store.ts';
import type { Schema } from '../../protocol/schema.ts';
import {
  AGENT_PAUSES_KEPT_MS,
  AGENT_PAUSES_MAX,
  APPROVALS_KEPT_MS,
  APPROVALS_MAX,
  BUDGET_FORMS_KEPT_MS,
  BUDGET_FORMS_MAX,
} from '../limits.ts';
import { APPROVALS } from './approving.ts';
import { BUDGET_FORMS } from './budget.ts';
import { PAUSES } from './pausing.ts';
import { agentPauseSchema, approvalSchema, budgetFormSchema } from './records.ts';
import { del, type State } from './state.ts';

/** Something that holds until a time and is kept a while after it. */
interface Lapsing {
  readonly prefix: string;
  readonly schema: Schema<{ readonly untilMs: number }>;
  /** How long after its end, milliseconds. */
  readonly keptMs: number;
  /** How many are kept. */
  readonly max: number;
}

/** The writes that drop them. */
export async function staleForms(state: State, nowMs: number): Promise<readonly StoreOperation[]> {
  const forms = { prefix: BUDGET_FORMS, schema: budgetFormSchema };
  const approvals = { prefix: APPROVALS, schema: approvalSchema };
  const pauses = { prefix: PAUSES, schema: agentPauseSchema };
  return [
    ...(await stale(state, nowMs, { ...forms, keptMs: BUDGET_FORMS_KEPT_MS, max: BUDGET_FORMS_MAX })),
    ...(await stale(state, nowMs, { ...approvals, keptMs: APPROVALS_KEPT_MS, max: APPROVALS_MAX })),
    ...(await stale(state, nowMs, { ...pauses, keptMs: AGENT_PAUSES_KEPT_MS, max: AGENT_PAUSES_MAX })),
  ];
}

async function stale(
  state: State,
  nowMs: number,
  { prefix, schema, keptMs, max }: Lapsing,
): Promise<readonly StoreOperation[]> {
  const kept: { readonly key: string; readonly untilMs: number }[] = [];
  const dropped: string[] = [];
  for await (const [key, value] of state.entries(prefix)) {
    const { untilMs } = schema.decode(value);
    if (untilMs < nowMs - keptMs) dropped.push(key);
    else kept.push({ key, untilMs });
  }
  const newest = kept.sort((a, b) => b.untilMs - a.untilMs);
  return [...dropped, ...newest.slice(max).map(({ key }) => key)].map(del);
}
