/** Requests to a platform that may be repeated and that nothing else repeats. */
import type { Clock } from '../../base/clock.ts';
import { asSaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { sleep } from './pacer.ts';
import { faultOf } from './platform.ts';

const TRIES_MAX = 5;
const RETRY_FIRST_MS = 500;

/** Runs `step` again, five times in all, while the platform gives no answer or asks to wait. Throws its last failure. */
export async function patiently<T>(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  step: () => Promise<T>,
): Promise<T> {
  for (let tried = 1, waitMs = RETRY_FIRST_MS; ; tried++, waitMs *= 2) {
    try {
      return await step();
    } catch (error) {
      const failure = asSaharaError(error);
      const isLimited = failure.code === 'rate-limited';
      if (tried === TRIES_MAX || (!isLimited && faultOf(error) !== 'uncertain')) throw error;
      log.warn('request repeated', { code: failure.code });
      const asked = failure.facts.retryAfterMs;
      await sleep(clock, typeof asked === 'number' ? asked : waitMs);
    }
  }
}
