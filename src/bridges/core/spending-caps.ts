/** The caps on spending: whose counters an event counts on, and how far each may go. */
import { toHex } from '../../base/bytes.ts';
import type { StoreOperation } from '../../base/store.ts';
import { grantOf } from './people.ts';
import type { ChatEvent } from './platform.ts';
import { amountSchema } from './records.ts';
import type { SpendingOptions } from './spending.ts';
import { put, type State } from './state.ts';

/** One day, milliseconds. */
export const DAY_MS = 86_400_000;

/** Where the most that an account's owner wants to spend in a day stands. */
export function budgetKey(account: string): string {
  return `budget/${account}`;
}

/** A budget goes along to a DID's account; of two the lower one holds. */
export function budgetAlong(state: State, from: string, did: string): readonly StoreOperation[] {
  const budget = state.get(budgetKey(from), amountSchema);
  const present = state.get(budgetKey(did), amountSchema);
  const isLower = budget !== undefined && (present === undefined || budget.amount < present.amount);
  return isLower ? [put(budgetKey(did), amountSchema, budget)] : [];
}

/** In front of the counters of one day. */
export function dayKey(day: number): string {
  return `cap/${String(day).padStart(8, '0')}`;
}

/** The counter of an account and day. */
export function userDayKey(user: string, day: number): string {
  return `${dayKey(day)}/user/${user}`;
}

/** A cap on what is spent and held: its name, its counter, and how far that may go, grains. */
export interface Cap {
  readonly name: string;
  readonly scope: string;
  readonly max: bigint;
}

/** Most for an answer and for a day, whatever the budget: what the operator allows, and a grant where a DID was linked. Grains. */
export function allowed(
  state: State,
  account: string,
  options: SpendingOptions,
): { readonly callMax: bigint; readonly dayMax: bigint } {
  const grant = grantOf(state, account);
  const least = (a: bigint, b = a): bigint => (b < a ? b : a);
  return {
    callMax: least(options.callMax, grant?.callMax),
    dayMax: least(options.userDayMax, grant?.dayMax),
  };
}

/** What the owner of an account allows: by a budget, and by a grant where a DID was linked. */
export function ownCaps(
  state: State,
  account: string,
  options: SpendingOptions,
): {
  readonly callMax: bigint;
  readonly dayMax: bigint;
  readonly expiresAtMs: number;
  readonly caps: readonly Cap[];
} {
  const grant = grantOf(state, account);
  const budget = state.get(budgetKey(account), amountSchema)?.amount;
  const { callMax, dayMax } = allowed(state, account, options);
  return {
    callMax,
    dayMax: budget !== undefined && budget < dayMax ? budget : dayMax,
    expiresAtMs: grant?.expiresAtMs ?? Number.POSITIVE_INFINITY,
    caps:
      grant === undefined
        ? []
        : [{ name: 'grant', scope: `cap/grant/${toHex(grant.nonce)}`, max: grant.max }],
  };
}

/** What the operator allows, for the user, the chat, the guild and the bridge. */
export function capsOf(
  event: ChatEvent,
  day: number,
  options: SpendingOptions & { readonly account: string },
): readonly Cap[] {
  const { platform, place } = event;
  const at = dayKey(day);
  return [
    { name: 'user', scope: userDayKey(options.account, day), max: options.userDayMax },
    { name: 'chat', scope: `${at}/chat/${platform}:${place.chat}`, max: options.chatDayMax },
    ...(place.guild === undefined
      ? []
      : [{ name: 'guild', scope: `${at}/guild/${platform}:${place.guild}`, max: options.guildDayMax }]),
    { name: 'bridge', scope: `${at}/bridge`, max: options.bridgeDayMax },
    { name: 'bridge-total', scope: 'cap/total', max: options.bridgeMax },
  ];
}
