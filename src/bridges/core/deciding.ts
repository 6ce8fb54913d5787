/** What an event leads to: a reply at once, a call with its money held, or nothing. */
import { toHex, utf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { QUESTION_BYTES_MAX } from '../../protocol/limits.ts';
import { JOBS_RUNNING_MAX, QUESTIONS_PER_USER_MAX } from '../limits.ts';
import { type ApprovingParts, approvalPress, askFirst, isAboveThreshold } from './approving.ts';
import { whyNotAsked } from './askable.ts';
import type { AskingParts } from './asking.ts';
import { attachmentText } from './attachments.ts';
import { budgetPress, budgetWritten } from './budget.ts';
import {
  type CommandParts,
  chosenAgent,
  receiptReply,
  runCommand,
  secret,
  shown,
  sourcesReply,
} from './commands.ts';
import { historyKey } from './journal.ts';
import type { Language } from './language.ts';
import { type LearningParts, learnPress } from './learning.ts';
import { accountOf } from './people.ts';
import type { Policy, PolicyVerdict } from './policy.ts';
import type { AgentListing } from './ports.ts';
import { type Rating, rated } from './rating.ts';
import type { Job, Reply } from './records.ts';
import { plain } from './rich.ts';
import { type ShopParts, takePayment } from './shop.ts';
import { userOf } from './spending.ts';
import { putText } from './state.ts';
import { turnsBefore } from './talk.ts';

/** What deciding works with. */
export interface DecidingParts extends AskingParts, ApprovingParts, CommandParts, LearningParts, ShopParts {
  readonly policy: Policy;
  /** Jobs that are deciding on or making a call, and whose they are. */
  readonly asking: Map<string, string>;
}

/** A reply at once; `asking` when the job now holds money for a call; `undefined` when nothing is to be said. */
export type Decision = Reply | 'asking' | undefined;

/** Decides about a journalled event. Throws what stands in the way of a call. */
export async function decideReply(parts: DecidingParts, job: Job, language: Language): Promise<Decision> {
  const { event } = job;
  if (event.type === 'payment') return takePayment(parts, job, language);
  const verdict = parts.policy.judge(event);
  if (verdict.type === 'ignore') return undefined;
  if (verdict.type === 'refuse') return shown(plain(refusal(verdict, language)));
  if (event.type === 'press') return press(parts, job, language);
  if (event.type === 'question') {
    const written = await budgetWritten(parts, job, language);
    if (written) return written;
  }
  if (event.type === 'question') return question(parts, job, { text: event.text, language });
  if (event.text === 'ask') return question(parts, job, { text: event.argument, language });
  return runCommand(parts, { event, key: toHex(job.key), argument: event.argument.trim(), language });
}

function refusal(verdict: PolicyVerdict & { readonly type: 'refuse' }, language: Language): string {
  if (verdict.why === 'too-fast') return language.tooFast(Math.ceil(verdict.waitMs / 1000));
  return verdict.why === 'group-closed' ? language.groupClosed : language.notListed;
}

async function press(parts: DecidingParts, job: Job, language: Language): Promise<Decision> {
  const { event } = job;
  const target = parts.journal.find(event.argument);
  const places = [target?.event.place.chat, target?.place?.chat];
  if (target === undefined || !places.includes(event.place.chat)) {
    return shown(plain(language.receiptNone));
  }
  const learned = await learnPress(parts, job, { target, language });
  if (learned !== undefined) return learned;
  const isApproval = event.text === 'approve' || event.text === 'dismiss';
  const isMine = accountOf(parts.state, userOf(target.event)) === accountOf(parts.state, userOf(event));
  // Nobody, admins neither, agrees to a price for somebody else.
  if (!isMine && (isApproval || !parts.policy.isAdmin(event))) return secret(plain(language.notYours));
  switch (event.text) {
    case 'stop':
      return stopAnswer(parts, target, language);
    case 'retry':
      return question(parts, job, { text: target.question, language });
    case 'approve':
    case 'dismiss':
      return approvalPress(parts, job, { target, language });
    case 'sources':
      return sourcesReply(target, language);
    case 'receipt':
      return receiptReply(parts, target, language);
    case 'good':
    case 'bad':
      return rate(parts, target, { rating: event.text, language });
    default:
      return (await budgetPress(parts, job, language)) ?? shown(plain(language.commandUnknown));
  }
}

async function rate(
  { state }: DecidingParts,
  target: Job,
  { rating, language }: { readonly rating: Rating; readonly language: Language },
): Promise<Reply> {
  if (target.amount === undefined) return secret(plain(language.receiptNone));
  await state.update(() => ({ operations: rated(state, target, rating), result: undefined }));
  return secret(plain(language.rated));
}

async function stopAnswer(parts: DecidingParts, target: Job, language: Language): Promise<Reply | undefined> {
  const isRunning = await parts.journal.change(toHex(target.key), (job) => ({
    job: { isStopped: true },
    result: job.phase === 'asking' || job.phase === 'received',
  }));
  if (!isRunning) return shown(plain(language.alreadyDone));
  await parts.agents.cancel(target.key);
  return undefined;
}

async function question(
  parts: DecidingParts,
  job: Job,
  { text, language }: { readonly text: string; readonly language: Language },
): Promise<Decision> {
  const key = toHex(job.key);
  const user = userOf(job.event);
  const asked = await wholeQuestion(parts, job, text);
  if (asked.trim() === '') return shown(plain(language.askWhat));
  const running = [...parts.asking.values()].filter((other) => other === user).length;
  if (running >= QUESTIONS_PER_USER_MAX) return shown(plain(language.tooMany));
  parts.asking.set(key, user);
  try {
    const agent = await agentFor(parts, job, asked);
    const not = agent && (await whyNotAsked(parts.state, { ...agent, nowMs: parts.clock.nowMs() }, language));
    if (not !== undefined) {
      parts.asking.delete(key);
      parts.lookSoon();
      return shown(plain(not));
    }
    if (agent !== undefined && isAboveThreshold(parts, agent)) {
      const reply = await askFirst(parts, { job, agent, asked }, language);
      parts.asking.delete(key);
      return reply;
    }
    if (agent !== undefined) {
      await holdMoney(parts, { job, agent, asked });
      return 'asking';
    }
  } catch (error) {
    parts.asking.delete(key);
    // Kept, so that the button under the failure can ask the same again.
    await parts.journal.change(key, () => ({ job: { question: asked }, result: undefined }));
    throw error;
  }
  parts.asking.delete(key);
  return shown(plain(language.agentUnset));
}

async function agentFor(
  parts: DecidingParts,
  { event }: Job,
  asked: string,
): Promise<AgentListing | undefined> {
  if (utf8(asked).length > QUESTION_BYTES_MAX)
    throw new SaharaError('too-large', { max: QUESTION_BYTES_MAX });
  if (parts.asking.size > JOBS_RUNNING_MAX) throw new SaharaError('overloaded');
  return chosenAgent(parts, event);
}

/** Holds what the call can cost, and makes the job one that asks: one batch, so neither is without the other. */
function holdMoney(
  { journal, spending, state, clock }: DecidingParts,
  { job, agent, asked }: { readonly job: Job; readonly agent: AgentListing; readonly asked: string },
): Promise<void> {
  const key = toHex(job.key);
  const { did, name, amountMax } = agent;
  const context = turnsBefore(state, job.event);
  return journal.change(key, (now) => ({
    job: { phase: 'asking', agent: did, agentName: name, question: asked, context, amountMax },
    operations: [
      ...spending.reserve({ key, event: job.event, amountMax, atMs: clock.nowMs() }),
      putText(historyKey(now), key),
    ],
    result: undefined,
  }));
}

/** The question with what it quotes and the text files that came along. */
async function wholeQuestion(parts: DecidingParts, { event }: Job, text: string): Promise<string> {
  if (event.type === 'press') return text;
  const quoted = event.quote
    .split('\n')
    .map((line) => `> ${line}`)
    .join('\n');
  const pieces = event.quote === '' ? [text] : [quoted, text];
  for (const file of event.attachments) pieces.push(await attachmentText(parts, file));
  return pieces.filter((part) => part !== '').join('\n\n');
}
