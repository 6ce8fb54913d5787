import { GrammyError } from 'grammy';
import { SaharaError } from '../../base/errors.ts';
import { platformFailure } from '../core/platform.ts';

/** A failed Bot API call as ours. Only Telegram's description goes along: network errors carry the token in their address. */
export function telegramFailure(error: unknown): SaharaError {
  if (error instanceof SaharaError) return error;
  if (!(error instanceof GrammyError)) return platformFailure('telegram', 'uncertain', 'no answer');
  const { error_code: status, description, parameters } = error;
  if (status === 429)
    return new SaharaError('rate-limited', { retryAfterMs: (parameters.retry_after ?? 1) * 1000 });
  if (status === 401 || status === 404) return new SaharaError('token-refused', { platform: 'telegram' });
  if (status >= 500) return platformFailure('telegram', 'uncertain', description);
  if (status === 403) return platformFailure('telegram', 'forbidden', description);
  if (/message to edit not found|message can't be edited|MESSAGE_ID_INVALID/i.test(description)) {
    return platformFailure('telegram', 'gone', description);
  }
  if (
    /chat not found|not enough rights|have no rights|TOPIC_CLOSED|TOPIC_DELETED|thread not found/i.test(
      description,
    )
  ) {
    return platformFailure('telegram', 'forbidden', description);
  }
  return platformFailure('telegram', 'refused', description);
}

/** Whether an edit failed only because the message already shows what it should. */
export function isUnchanged(error: unknown): boolean {
  return error instanceof GrammyError && /message is not modified/i.test(error.description);
}
