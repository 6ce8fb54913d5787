/**
 * Long polling with a durable inbox. Telegram forgets an update when the next request names a greater offset; the
 * offset rises only after the journal holds the update, in the same batch. Answers run beside the polling, so a
 * pressed Stop is never behind the answer that it stops.
 */
import { type Api, GrammyError } from 'grammy';
import type { Update } from 'grammy/types';
import type { Clock } from '../../base/clock.ts';
import { SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Bridge } from '../core/bridge.ts';
import { sleep } from '../core/pacer.ts';
import type { ChatEvent } from '../core/platform.ts';
import { draftId } from './drafts.ts';
import { eventId, stopEvent, type TelegramSelf, telegramEvent } from './events.ts';
import { telegramFailure } from './failures.ts';

/** What polling works with. */
export interface PollerParts {
  readonly api: Api;
  readonly bridge: Bridge;
  readonly self: TelegramSelf;
  readonly clock: Clock;
  readonly log: Log;
}

/** How to poll. */
export interface PollOptions {
  /** How long one request waits for an update. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
  readonly onCaughtUp: () => void;
  /** Told how the polling goes. */
  readonly onLink: (link: PollLink) => void;
  /** Told of every update at once, before it is journalled: for what is worth nothing later. Must not throw. */
  readonly onInstant: (update: Update) => void;
}

/** Polling works, another process holds the token, or Telegram is out of reach. */
export type PollLink = 'up' | 'held' | 'down';

const UPDATES = [
  'message',
  'callback_query',
  'inline_query',
  'stopped_message_generation',
  'pre_checkout_query',
] as const;
const UPDATES_MAX = 100;
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 15_000;

/**
 * Polls until `signal` is aborted. `onCaughtUp` runs once, when everything that waited at the start is journalled.
 * Throws `token-refused` when Telegram does not know the token any more.
 */
export async function pollUpdates(
  parts: PollerParts,
  { timeoutSeconds, signal, onCaughtUp, onLink, onInstant }: PollOptions,
): Promise<void> {
  const { api, bridge, self, clock, log } = parts;
  const mark = `telegram/${self.id}/offset`;
  let offset = Number(bridge.mark(mark) ?? 0);
  let waitMs = RETRY_FIRST_MS;
  let isCaughtUp = false;
  while (!signal.aborted) {
    try {
      const request = {
        offset,
        limit: UPDATES_MAX,
        timeout: isCaughtUp ? timeoutSeconds : 0,
        allowed_updates: UPDATES,
      };
      const updates = await api.getUpdates(request, asGrammySignal(signal));
      waitMs = RETRY_FIRST_MS;
      onLink('up');
      const last = updates.at(-1);
      if (last === undefined) {
        if (!isCaughtUp) onCaughtUp();
        isCaughtUp = true;
        continue;
      }
      for (const update of updates) onInstant(update);
      const events = await Promise.all(updates.map((update) => eventOf(parts, update)));
      offset = last.update_id + 1;
      await bridge.receive(
        events.filter((event) => event !== undefined),
        new Map([[mark, String(offset)]]),
      );
    } catch (error) {
      if (signal.aborted) return;
      const failure = telegramFailure(error);
      if (failure.code === 'token-refused') throw failure;
      if (error instanceof SaharaError) offset = Number(bridge.mark(mark) ?? 0);
      const isHeld = error instanceof GrammyError && error.error_code === 409;
      onLink(isHeld ? 'held' : 'down');
      log.warn(isHeld ? 'another process polls with this token' : 'polling failed', { code: failure.code });
      const asked = failure.facts.retryAfterMs;
      await sleep(clock, typeof asked === 'number' ? asked : waitMs, signal).catch(() => undefined);
      waitMs = Math.min(2 * waitMs, RETRY_LAST_MS);
    }
  }
}

/** The event of an update. A draft names no job, only its number, so the job is looked for among those that are not done. */
async function eventOf({ bridge, self, clock }: PollerParts, update: Update): Promise<ChatEvent | undefined> {
  const stopped = update.stopped_message_generation;
  if (stopped === undefined) return telegramEvent(update, self, clock.nowMs());
  const job = await bridge.findOpen(
    (key, { event }) => event.place.chat === String(stopped.chat.id) && draftId(key) === stopped.draft_id,
  );
  return job === undefined
    ? undefined
    : stopEvent(stopped, { id: eventId(update, self), job, atMs: clock.nowMs() });
}

type GrammySignal = NonNullable<Parameters<Api['getUpdates']>[1]>;

/** grammY's types want the signal of a polyfill; at run time it only calls `addEventListener` on it, as on the platform's own. */
function asGrammySignal(signal: AbortSignal): GrammySignal {
  return signal as unknown as GrammySignal;
}
