import { type APIUser, PermissionFlagsBits, REST, type RESTGetAPIGatewayBotResult, Routes } from 'discord.js';
import type { BotCheck, BotFinding } from '../core/check.ts';
import { discordFailure } from './failures.ts';

/** All that the bot needs in a server. */
const PERMISSIONS: bigint =
  PermissionFlagsBits.ViewChannel |
  PermissionFlagsBits.SendMessages |
  PermissionFlagsBits.CreatePublicThreads |
  PermissionFlagsBits.SendMessagesInThreads |
  PermissionFlagsBits.ReadMessageHistory;

const SESSIONS_LOW = 20;

/** Asks Discord whose token it is and what stands in a bridge's way. Throws `token-refused`, `platform-failed`, `rate-limited`. */
export async function checkDiscord(token: string, api: string): Promise<BotCheck> {
  const rest = new REST({ api, retries: 0, rejectOnRateLimit: () => true }).setToken(token);
  try {
    // The library leaves the types of responses unknown; Discord documents them for the routes.
    const self = (await rest.get(Routes.user())) as APIUser;
    const gateway = (await rest.get(Routes.gatewayBot())) as RESTGetAPIGatewayBotResult;
    const { remaining, reset_after: resetMs } = gateway.session_start_limit;
    const findings: BotFinding[] = [{ state: 'ok', found: `Discord knows the token: ${self.username}` }];
    if (remaining < SESSIONS_LOW) {
      findings.push({
        state: remaining === 0 ? 'fault' : 'note',
        found: `${remaining} connections may still be opened today: something connects with this token again and again`,
        next: `Stop every other program that uses it, or wait ${Math.ceil(resetMs / 3_600_000)} h.`,
      });
    }
    return { id: self.id, name: self.username, invite: inviteOf(self.id), findings };
  } catch (error) {
    throw discordFailure(error);
  } finally {
    rest.clearHashSweeper();
    rest.clearHandlerSweeper();
  }
}

/** Where an operator adds the bot to a server, with the least that it needs. */
function inviteOf(id: string): string {
  const query = new URLSearchParams({
    client_id: id,
    scope: 'bot applications.commands',
    permissions: String(PERMISSIONS),
  });
  return `https://discord.com/oauth2/authorize?${query}`;
}
