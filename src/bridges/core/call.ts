/** One call of a bridge as the agents' port takes it, and what is kept of what it tells. */
import type { ErrorCode } from '../../base/errors.ts';
import { CITATIONS_MAX, SOURCES_MAX } from '../../protocol/limits.ts';
import type { LiveAnswer } from './answer.ts';
import type { AnswerEvent, AskRequest } from './ports.ts';
import type { Job } from './records.ts';

/** Failures after which nobody knows how far a call came. */
export const LOST_CONNECTION: readonly ErrorCode[] = ['peer-gone', 'peer-unreachable', 'daemon-not-running'];

/** Most characters of an answer that are kept in memory beyond what is shown; the rest is counted by the receipt only. */
const ANSWER_CHARACTERS_KEPT = 262_144;

/** What a job asks: the same however often it is joined. */
export function requestOf(job: Job): AskRequest {
  return {
    callId: job.key,
    agent: job.agent,
    question: job.question,
    context: job.context,
    priceMax: job.amountMax,
    training: 'excluded',
  };
}

/** Adds an event to what has arrived of an answer. */
export function take(answer: LiveAnswer, event: AnswerEvent): void {
  if (event.type === 'text') {
    if (answer.text.length < ANSWER_CHARACTERS_KEPT) answer.text += event.text;
  } else if (event.type === 'source') {
    if (answer.sources.length < SOURCES_MAX) answer.sources.push(event.source);
  } else if (event.type === 'citation') {
    if (answer.citations.length < CITATIONS_MAX * SOURCES_MAX) answer.citations.push(event.citation);
  } else answer.ending = event.ending;
}
