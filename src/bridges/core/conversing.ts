/** Where a question's conversation goes on: a place of its own, where the platform has such places and lets the bot make one. */
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Journal } from './journal.ts';
import { type Pacer, sleep } from './pacer.ts';
import type { Platform } from './platform.ts';

/** What opening a conversation works with. */
export interface ConversingParts {
  readonly platform: Platform;
  readonly pacer: Pacer;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Log;
}

const TRIES_MAX = 3;
const RETRY_MS = 500;

/**
 * Makes the place before the first message of the answer goes there, and journals it. Without one, the answer stays where
 * it was asked. Throws only when `signal` is aborted.
 */
export async function openConversation(
  { platform, pacer, journal, clock, log }: ConversingParts,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  const job = journal.find(key);
  const { converse } = platform;
  if (converse === undefined || job === undefined || job.place !== undefined || job.slots.length > 0) return;
  for (let tried = 1; tried <= TRIES_MAX; tried++) {
    try {
      const place = await pacer.run(job.event.place, () => converse(job.event), { signal });
      if (place) await journal.change(key, () => ({ job: { place }, result: undefined }));
      return;
    } catch (error) {
      signal.throwIfAborted();
      log.warn('no place for a conversation', { job: key, code: asSaharaError(error).code });
      if (tried < TRIES_MAX) await sleep(clock, RETRY_MS * tried, signal);
    }
  }
}
