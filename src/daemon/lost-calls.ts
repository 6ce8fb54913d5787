/** Calls that were cut before their end was known. */
import { asSaharaError } from '../base/errors.ts';
import type { PayerBook } from '../payment/payer-book.ts';
import type { Core } from './core.ts';

const RESOLVE_EVERY_MS = 5_000;

/** Asks payees about calls that were cut, until none is left. */
export function resolveRegularly(
  { clock, log }: Pick<Core, 'clock' | 'log'>,
  payer: PayerBook,
): () => Promise<void> {
  const stopping = new AbortController();
  let round: Promise<void> = Promise.resolve();
  let cancel = (): void => {};
  const look = (): void => {
    round = payer
      .resolveUnknown({ signal: stopping.signal })
      .then((left) => {
        if (left > 0) log.debug('calls with an unknown end', { left });
      })
      .catch((error: unknown) => log.debug('calls not resolved', { code: asSaharaError(error).code }))
      .finally(() => {
        if (!stopping.signal.aborted) cancel = clock.after(RESOLVE_EVERY_MS, look);
      });
  };
  cancel = clock.after(1_000, look);
  return async () => {
    stopping.abort();
    cancel();
    await round;
  };
}
