/** Who may use a bridge, where, and how often. Groups are closed until an operator opens them. */
import type { Clock } from '../../base/clock.ts';
import { RATED_USERS_MAX } from '../limits.ts';
import type { ChatEvent } from './platform.ts';
import { userOf } from './spending.ts';

/** Names are `telegram:<id>` and `discord:<id>`; for Discord a group is a guild. */
export interface PolicyOptions {
  /** Groups and guilds in which anyone may ask. Default: none. */
  readonly groups: readonly string[];
  /** Users who may ask; `all` for anyone. Default `all`. */
  readonly users: 'all' | readonly string[];
  /** Users who may never. They get no reply. Default: none. */
  readonly blocked: readonly string[];
  /** Users who may stop anyone's answer and ask anywhere. Default: none. */
  readonly admins: readonly string[];
  /** Events of one user at once, and then one each `userIntervalMs`. Defaults 10 and 3,000. */
  readonly userBurst: number;
  readonly userIntervalMs: number;
}

/** Open to direct messages, closed to groups. */
export const POLICY_DEFAULTS: PolicyOptions = {
  groups: [],
  users: 'all',
  blocked: [],
  admins: [],
  userBurst: 10,
  userIntervalMs: 3000,
};

/** What is to be done with an event. */
export type PolicyVerdict =
  | { readonly type: 'accept' }
  /** Not even an answer: the user is blocked. */
  | { readonly type: 'ignore' }
  | { readonly type: 'refuse'; readonly why: 'group-closed' | 'not-listed' }
  | { readonly type: 'refuse'; readonly why: 'too-fast'; readonly waitMs: number };

/** Decides about events. */
export interface Policy {
  judge(event: ChatEvent): PolicyVerdict;
  isAdmin(event: ChatEvent): boolean;
}

/** A policy; its memory of rates starts empty. */
export function createPolicy(parts: { readonly clock: Clock }, options: PolicyOptions): Policy {
  const fullAt = new Map<string, number>();
  const isAdmin = (event: ChatEvent): boolean => options.admins.includes(userOf(event));

  /** Milliseconds that the user is too early by; 0 takes one. */
  function early(user: string): number {
    const now = parts.clock.monotonicMs();
    const full = Math.max(fullAt.get(user) ?? now, now);
    const waitMs = full - options.userIntervalMs * (options.userBurst - 1) - now;
    if (waitMs > 0) return waitMs;
    fullAt.delete(user);
    fullAt.set(user, full + options.userIntervalMs);
    for (const [oldest] of fullAt) {
      if (fullAt.size <= RATED_USERS_MAX) break;
      fullAt.delete(oldest);
    }
    return 0;
  }

  return {
    isAdmin,
    judge(event) {
      const user = userOf(event);
      if (options.blocked.includes(user)) return { type: 'ignore' };
      if (!isAdmin(event)) {
        const group = `${event.platform}:${event.place.guild ?? event.place.chat}`;
        if (options.users !== 'all' && !options.users.includes(user))
          return { type: 'refuse', why: 'not-listed' };
        if (!event.place.direct && !options.groups.includes(group))
          return { type: 'refuse', why: 'group-closed' };
      }
      const waitMs = early(user);
      return waitMs === 0 ? { type: 'accept' } : { type: 'refuse', why: 'too-fast', waitMs };
    },
  };
}
