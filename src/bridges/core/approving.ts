/**
 * Answers that can cost more than the operator's threshold are made only after whoever asks has seen the price and pressed a
 * button. The question waits in its own job: the press makes that job one that asks, together with the money that it holds, so
 * neither a second press nor a crash asks or holds twice, and the answer takes the place of the message with the price.
 */
import { formatAmount } from '../../base/amount.ts';
import { toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import { APPROVAL_MS, JOBS_RUNNING_MAX, QUESTIONS_PER_USER_MAX } from '../limits.ts';
import { whyNotAsked } from './askable.ts';
import { historyKey, type Journal } from './journal.ts';
import { failureSentence, type Language } from './language.ts';
import type { AgentListing } from './ports.ts';
import { type Approval, approvalSchema, type Job, type Reply } from './records.ts';
import { plain } from './rich.ts';
import { type Spending, userOf } from './spending.ts';
import { put, putText, type State } from './state.ts';
import { turnsBefore } from './talk.ts';

/** What approving works with. */
export interface ApprovingParts {
  readonly journal: Journal;
  readonly spending: Spending;
  readonly state: State;
  readonly clock: Clock;
  /** An answer that can cost more is approved first, grains; `undefined`: none is. */
  readonly askAbove: bigint | undefined;
  /** Jobs that are deciding on or making a call, and whose they are. */
  readonly asking: Map<string, string>;
  /** Resolves when nothing is done with a job at the moment. */
  readonly rests: (key: string) => Promise<void>;
  /** Looks again what became of calls that are not settled. */
  readonly lookSoon: () => void;
  /** Carries a job on from where it stands. */
  readonly goOn: (key: string) => void;
}

/** In front of the questions that wait, or waited, for a yes. */
export const APPROVALS = 'approval/';

/** Whether an agent's answer has to be approved. */
export function isAboveThreshold({ askAbove }: ApprovingParts, agent: AgentListing): boolean {
  return askAbove !== undefined && agent.amountMax > askAbove;
}

/** Whether a job waits for a yes. */
export function isWaiting(state: State, key: string): boolean {
  return state.get(APPROVALS + key, approvalSchema)?.takenBy === '';
}

/** The question for a yes. Nothing is held yet. Throws what would stand in the way of holding it. */
export async function askFirst(
  { journal, spending, clock }: ApprovingParts,
  { job, agent, asked }: { readonly job: Job; readonly agent: AgentListing; readonly asked: string },
  language: Language,
): Promise<Reply> {
  const key = toHex(job.key);
  const { did, name, amountMax } = agent;
  const atMs = clock.nowMs();
  await journal.change(key, () => {
    spending.reserve({ key, event: job.event, amountMax, atMs });
    const approval: Approval = { untilMs: atMs + APPROVAL_MS, takenBy: '' };
    return {
      job: { agent: did, agentName: name, question: asked, amountMax },
      operations: [put(APPROVALS + key, approvalSchema, approval)],
      result: undefined,
    };
  });
  const price = { agent: name, amount: formatAmount(amountMax), minutes: APPROVAL_MS / 60_000 };
  return { rich: plain(language.approvalAsk(price)), buttons: ['approve', 'dismiss'], isPrivate: false };
}

/** What came of a press: a call, an end without one, or nothing after another press. */
type Pressed = 'asked' | 'taken' | 'decided';

/** What a press on one of its buttons leads to; `undefined` when the question's own message says it. */
export async function approvalPress(
  parts: ApprovingParts,
  { event, key: pressed }: Job,
  { target, language }: { readonly target: Job; readonly language: Language },
): Promise<Reply | undefined> {
  const key = toHex(target.key);
  const by = toHex(pressed);
  // Whoever presses again while the answer comes sees it come.
  const isUnderWay = target.phase !== 'done' && !isWaiting(parts.state, key);
  if (isUnderWay) return undefined;
  // Its own message may still be on the way.
  await parts.rests(key);
  const about = { did: target.agent, name: target.agentName, nowMs: parts.clock.nowMs() };
  const not = (await whyNotAsked(parts.state, about, language)) ?? whyTooMany(parts, target, language);
  const isYes = event.text === 'approve';
  if (isYes && not !== undefined && isWaiting(parts.state, key)) return secret(not);
  // Counted from here on, so that others that are pressed meanwhile are not asked as well.
  const isFirst = isYes && !parts.asking.has(key);
  if (isFirst) parts.asking.set(key, userOf(target.event));
  let outcome: Pressed = 'decided';
  try {
    outcome = await parts.journal.change<Pressed>(key, (now) => {
      const approval = parts.state.get(APPROVALS + key, approvalSchema);
      if (approval === undefined || approval.takenBy !== '' || now.phase !== 'done')
        return { job: {}, result: approval?.takenBy === by ? 'taken' : 'decided' };
      const taken = put(APPROVALS + key, approvalSchema, { ...approval, takenBy: by });
      const isOver = approval.untilMs < parts.clock.nowMs() || now.question === '';
      if (isYes && !isOver) {
        const held = holding(parts, now);
        return { ...held, operations: [...held.operations, taken], result: 'asked' };
      }
      const rich = plain(isOver ? language.approvalLapsed : language.approvalDismissed);
      const reply: Reply = { rich, buttons: now.question === '' ? [] : ['retry'], isPrivate: false };
      return { job: { phase: 'replied', reply }, operations: [taken], result: 'taken' };
    });
  } finally {
    if (isFirst && outcome !== 'asked') parts.asking.delete(key);
  }
  if (outcome === 'decided') return secret(language.approvalDecided);
  parts.goOn(key);
  return undefined;
}

/** What keeps one more question of somebody's, or of anybody's, from being asked now, in words. */
function whyTooMany({ asking }: ApprovingParts, { key, event }: Job, language: Language): string | undefined {
  const user = userOf(event);
  const others = [...asking].filter(([other]) => other !== toHex(key));
  if (others.length >= JOBS_RUNNING_MAX)
    return language.failures[failureSentence(new SaharaError('overloaded'))];
  return others.filter(([, whose]) => whose === user).length >= QUESTIONS_PER_USER_MAX
    ? language.tooMany
    : undefined;
}

function holding(
  { spending, state, clock }: ApprovingParts,
  job: Job,
): { readonly job: Partial<Job>; readonly operations: ReturnType<Spending['reserve']> } {
  const key = toHex(job.key);
  const { event, amountMax } = job;
  return {
    job: { phase: 'asking', reply: undefined, context: turnsBefore(state, event) },
    operations: [
      ...spending.reserve({ key, event, amountMax, atMs: clock.nowMs() }),
      putText(historyKey(job), key),
    ],
  };
}

function secret(text: string): Reply {
  return { rich: plain(text), buttons: [], isPrivate: true };
}
