/**
 * One question from the held money to the settled answer. The call's id is the job's key, so after a crash, or when the
 * daemon was out of reach, the same call is joined again; it is never made twice.
 */
import { toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, SaharaError } from '../../base/errors.ts';
import { type LiveAnswer, liveRich, newAnswer } from './answer.ts';
import { LOST_CONNECTION, requestOf, take } from './call.ts';
import type { Delivery } from './delivery.ts';
import type { Language } from './language.ts';
import { sleep } from './pacer.ts';
import { type Button, faultOf, type MessageContent, type Platform } from './platform.ts';
import type { Job } from './records.ts';
import { type SettlingParts, settleAnswer } from './settling.ts';
import { splitRich } from './split.ts';

/** What asking works with. */
export interface AskingParts extends SettlingParts {
  readonly platform: Platform;
}

/** One asking: the job, how to show it, in which language. */
export interface Asking {
  readonly job: Job;
  readonly delivery: Delivery;
  readonly language: Language;
  readonly signal: AbortSignal;
  /** An earlier process may have begun the call. */
  readonly isResumed: boolean;
}

/** Times that a call is joined again while its agent or daemon is out of reach, and the first pause, milliseconds. */
export const ASK_ATTEMPTS_MAX = 6;
const ASK_RETRY_FIRST_MS = 500;
const TYPING_EVERY_MS = 5000;
const SHOW_RETRY_MS = 1000;

/** Asks, shows the answer as it comes, and settles. On return the job is `replied`. Throws only when `signal` is aborted. */
export async function askAndSettle(parts: AskingParts, asking: Asking): Promise<void> {
  const live: Live = { answer: newAnswer(), version: 0, wake: Promise.withResolvers<void>() };
  const ended = new AbortController();
  const showing = showWhile(parts, asking, { live, ended: ended.signal });
  let failure: SaharaError | undefined;
  try {
    await receive(parts, asking, live);
  } catch (error) {
    asking.signal.throwIfAborted();
    failure = asSaharaError(error);
  } finally {
    ended.abort();
    live.wake.resolve();
    await showing;
  }
  const isBegun = asking.isResumed || live.version > 0;
  await settleAnswer(parts, asking, { answer: live.answer, failure, isBegun });
}

interface Live {
  answer: LiveAnswer;
  version: number;
  wake: PromiseWithResolvers<void>;
}

async function receive(parts: AskingParts, { job, signal }: Asking, live: Live): Promise<void> {
  const { agents, clock } = parts;
  const request = requestOf(job);
  if (job.isStopped) await agents.cancel(job.key);
  for (let attempt = 1, waitMs = ASK_RETRY_FIRST_MS; ; attempt++, waitMs *= 2) {
    live.answer = newAnswer();
    try {
      for await (const event of agents.ask(request, { signal })) {
        take(live.answer, event);
        live.version += 1;
        live.wake.resolve();
        if (event.type === 'ending') return;
      }
      throw new SaharaError('peer-gone');
    } catch (error) {
      signal.throwIfAborted();
      const known = asSaharaError(error);
      if (!LOST_CONNECTION.includes(known.code) || attempt === ASK_ATTEMPTS_MAX) throw known;
      parts.log.warn('call joined again', { job: toHex(job.key), code: known.code });
    }
    await sleep(clock, waitMs, signal);
  }
}

/** Keeps the messages up to the answer until it ends. What fails here is mended by the final delivery. */
async function showWhile(
  parts: AskingParts,
  { job, delivery, language, signal }: Asking,
  { live, ended }: { readonly live: Live; readonly ended: AbortSignal },
): Promise<void> {
  const { clock, log } = parts;
  const until = AbortSignal.any([ended, signal]);
  const key = toHex(job.key);
  let typedAtMs = Number.NEGATIVE_INFINITY;
  while (!until.aborted) {
    const { version } = live;
    live.wake = Promise.withResolvers<void>();
    const rich = liveRich(live.answer, job.agentName, language);
    const contents = contentsOf(parts.platform, { rich, buttons: [buttonFor('stop', key, language)] });
    try {
      await delivery.show(contents, until);
      if (live.answer.text === '' && clock.monotonicMs() - typedAtMs >= TYPING_EVERY_MS) {
        typedAtMs = clock.monotonicMs();
        await delivery.typing().catch(() => undefined);
      }
    } catch (error) {
      const fault = faultOf(error);
      if (until.aborted || fault === 'forbidden') return;
      log.warn('answer not shown yet', { job: key, fault: fault ?? asSaharaError(error).code });
      await sleep(clock, SHOW_RETRY_MS, until).catch(() => undefined);
      if (fault !== 'refused') continue;
    }
    if (live.version === version && !until.aborted) await restUntil(live.wake.promise, clock, until);
  }
}

/** Waits for more of the answer, but not so long that people think nobody works. */
async function restUntil(wake: Promise<void>, clock: Clock, signal: AbortSignal): Promise<void> {
  const awake = new AbortController();
  const resting = sleep(clock, TYPING_EVERY_MS, AbortSignal.any([signal, awake.signal])).catch(
    () => undefined,
  );
  await Promise.race([wake, resting]);
  awake.abort();
}

/** A button of a job. */
export function buttonFor(action: Button['action'], job: string, language: Language): Button {
  return { action, job, label: language.buttons[action] };
}

/** A reply as messages; the last one carries the buttons. */
export function contentsOf(platform: Platform, content: MessageContent): readonly MessageContent[] {
  const pieces = splitRich(content.rich, platform.limit);
  return pieces.map((rich, i) => ({ rich, buttons: i === pieces.length - 1 ? content.buttons : [] }));
}
