import { DiscordAPIError, RateLimitError } from 'discord.js';
import { SaharaError } from '../../base/errors.ts';
import { platformFailure } from '../core/platform.ts';

const UNKNOWN_MESSAGE = 10_008;
const ALREADY_ACKNOWLEDGED = 40_060;
/** Unknown webhook, unknown interaction, invalid webhook token: an interaction nobody waits for any more. */
const DEAD_INTERACTION: readonly unknown[] = [10_015, 10_062, 50_027];

/** A failed request to Discord as ours. The reason names no address: those of interactions carry their token. */
export function discordFailure(error: unknown): SaharaError {
  if (error instanceof SaharaError) return error;
  if (error instanceof RateLimitError)
    return new SaharaError('rate-limited', { retryAfterMs: error.retryAfter });
  if (!(error instanceof DiscordAPIError)) return platformFailure('discord', 'uncertain', 'no answer');
  const { status, code } = error;
  if (status === 401 && !DEAD_INTERACTION.includes(code))
    return new SaharaError('token-refused', { platform: 'discord' });
  if (code === UNKNOWN_MESSAGE) return platformFailure('discord', 'gone', `${code}`);
  if (status === 403 || status === 404) return platformFailure('discord', 'forbidden', `${code}`);
  return platformFailure('discord', 'refused', `${code}`);
}

/** Whether an acknowledgement failed only because an earlier one arrived. */
export function isAlreadyAcknowledged(error: unknown): boolean {
  return error instanceof DiscordAPIError && error.code === ALREADY_ACKNOWLEDGED;
}

/** Whether an interaction can no longer be answered by its token. */
export function isDeadInteraction(error: unknown): boolean {
  return error instanceof DiscordAPIError && DEAD_INTERACTION.includes(error.code);
}
