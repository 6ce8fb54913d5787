import { Api } from 'grammy';
import type { BotCheck, BotFinding } from '../core/check.ts';
import { telegramFailure } from './failures.ts';

const TIMEOUT_SECONDS = 20;

/** Asks Telegram whose token it is and what stands in a bridge's way. Throws `token-refused`, `platform-failed`, `rate-limited`. */
export async function checkTelegram(token: string, apiRoot: string): Promise<BotCheck> {
  const api = new Api(token, { apiRoot, timeoutSeconds: TIMEOUT_SECONDS });
  try {
    const self = await api.getMe();
    const hook = await api.getWebhookInfo();
    const findings: BotFinding[] = [{ state: 'ok', found: `Telegram knows the token: @${self.username}` }];
    if (hook.url) {
      findings.push({
        state: 'fault',
        found: 'a webhook is set, so Telegram hands its updates to another program',
        next: 'Stop the other program and have it call deleteWebhook, or make another bot with @BotFather.',
      });
    }
    if (!self.can_join_groups) {
      findings.push({
        state: 'note',
        found: 'it may not be added to groups',
        next: 'Where you want it in groups: @BotFather, /setjoingroups, Enable.',
      });
    }
    if (self.can_read_all_group_messages) {
      findings.push({
        state: 'note',
        found: 'it is handed every message of its groups, of which it needs only those to itself',
        next: '@BotFather, /setprivacy, Enable.',
      });
    }
    return {
      id: String(self.id),
      name: `@${self.username}`,
      invite: `https://t.me/${self.username}`,
      findings,
    };
  } catch (error) {
    throw telegramFailure(error);
  }
}
