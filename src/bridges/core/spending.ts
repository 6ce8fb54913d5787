/**
 * Money of the bridge's users: a double-entry book in integer grains, and the caps on it. Every movement is an
 * entry whose legs sum to 0 and whose id can be booked once. A call first holds the most that it can cost, then pays
 * exactly what the receipt says; the rest goes back. Caps count what was spent and what is held, per UTC day.
 *
 * Accounts: `user/<platform>:<id>` what a user can spend; `held` for calls that run; `agents` what agents earned;
 * `operator` what the bridge's operator bears (below 0); `funding` where credit comes from (below 0).
 */
import { SaharaError } from '../../base/errors.ts';
import type { StoreOperation } from '../../base/store.ts';
import type { ChatEvent } from './platform.ts';
import { amountSchema, type Entry, entrySchema, type Hold, holdSchema } from './records.ts';
import { del, put, type State } from './state.ts';

/** Most that may be spent, grains. 0 means nothing, not anything. */
export interface SpendingOptions {
  /** One call. */
  readonly callMax: bigint;
  /** One user and day. */
  readonly userDayMax: bigint;
  /** One chat or channel and day. */
  readonly chatDayMax: bigint;
  /** One Discord guild and day. */
  readonly guildDayMax: bigint;
  /** The whole bridge and day. */
  readonly bridgeDayMax: bigint;
  /** The whole bridge, ever. */
  readonly bridgeMax: bigint;
  /** Credit of a user whom the bridge sees for the first time. */
  readonly welcome: bigint;
}

/** Nothing is spent until an operator says how much. */
export const SPENDING_DEFAULTS: SpendingOptions = {
  callMax: 0n,
  userDayMax: 0n,
  chatDayMax: 0n,
  guildDayMax: 0n,
  bridgeDayMax: 0n,
  bridgeMax: 0n,
  welcome: 0n,
};

/** The steps of a call's money. Each returns what to write; the caller writes it together with the job, inside `State.update`. */
export interface Spending {
  /** What a user can spend now. */
  balance(user: string): bigint;
  /** What `/balance` shows: grains that the user can spend, that are held, and that today's cap counts. */
  standing(event: ChatEvent): {
    readonly balance: bigint;
    readonly held: bigint;
    readonly spentToday: bigint;
  };
  /** Any account's balance. */
  accountBalance(account: string): bigint;
  /** The entry that gives a user credit; nothing when `id` was booked before. */
  credit(user: string, amount: bigint, booking: Booking): readonly StoreOperation[];
  /**
   * Holds `amountMax` for a call. Throws `price-above-max` (cap of one call), `quota-exhausted` (fact `cap`),
   * `funds-insufficient`.
   */
  reserve(call: SpendingCall): readonly StoreOperation[];
  /** Ends a hold: `amount` went to the agent, paid by the user or, for a failed answer, by the operator. */
  settle(
    key: string,
    amount: bigint,
    ending: { readonly paidBy: 'user' | 'operator'; readonly atMs: number },
  ): readonly StoreOperation[];
  /** The writes that drop the counters of days that are over. */
  staleCounters(nowMs: number): Promise<readonly StoreOperation[]>;
}

/** Names an entry and dates it. */
export interface Booking {
  readonly id: string;
  readonly atMs: number;
}

/** A call that is about to be made. */
export interface SpendingCall {
  /** The job's key, hexadecimal. */
  readonly key: string;
  readonly event: ChatEvent;
  readonly amountMax: bigint;
  readonly atMs: number;
}

const DAY_MS = 86_400_000;
/** Days that counters stay for calls which began before midnight. */
const COUNTED_DAYS = 2;

/** A user's name in the books. */
export function userOf(event: { readonly platform: string; readonly userId: string }): string {
  return `${event.platform}:${event.userId}`;
}

/** The books over `state`. */
export function createSpending(parts: { readonly state: State }, options: SpendingOptions): Spending {
  const { state } = parts;
  const amountAt = (key: string): bigint => state.get(key, amountSchema)?.amount ?? 0n;
  const isKnown = (user: string): boolean =>
    state.get(accountKey(`user/${user}`), amountSchema) !== undefined;
  const balance = (user: string): bigint =>
    isKnown(user) ? amountAt(accountKey(`user/${user}`)) : options.welcome;

  function book(entry: Entry): readonly StoreOperation[] {
    if (state.get(`entry/${entry.id}`, entrySchema) !== undefined) return [];
    return [
      put(`entry/${entry.id}`, entrySchema, entry),
      ...entry.legs.map(({ account, amount }) =>
        put(accountKey(account), amountSchema, { amount: amountAt(accountKey(account)) + amount }),
      ),
    ];
  }

  /** A new user's credit goes with the first entry of the account. */
  function welcome(user: string): bigint {
    return isKnown(user) ? 0n : options.welcome;
  }

  function counters(hold: Hold, change: bigint): readonly StoreOperation[] {
    return hold.scopes.map((scope) => put(scope, amountSchema, { amount: amountAt(scope) + change }));
  }

  return {
    balance,
    standing(event) {
      const user = userOf(event);
      const day = Math.floor(event.atMs / DAY_MS);
      return {
        balance: balance(user),
        held: amountAt(heldKey(user)),
        spentToday: amountAt(userDayKey(user, day)),
      };
    },
    accountBalance: (account) => amountAt(accountKey(account)),
    async staleCounters(nowMs) {
      const kept = dayKey(Math.floor(nowMs / DAY_MS) - COUNTED_DAYS);
      const stale: StoreOperation[] = [];
      for await (const [key] of state.entries('cap/0')) if (key < kept) stale.push(del(key));
      return stale;
    },
    credit(user, amount, { id, atMs }) {
      const legs = [
        { account: `user/${user}`, amount: amount + welcome(user) },
        { account: 'funding', amount: -amount - welcome(user) },
      ];
      return book({ id: `credit:${id}`, legs, atMs });
    },
    reserve({ key, event, amountMax, atMs }) {
      const user = userOf(event);
      const day = Math.floor(atMs / DAY_MS);
      const caps = capsOf(event, day, options);
      if (amountMax > options.callMax) {
        throw new SaharaError('price-above-max', { price: `${amountMax}`, max: `${options.callMax}` });
      }
      for (const cap of amountMax > 0n ? caps : []) {
        const used = amountAt(cap.scope);
        if (used + amountMax > cap.max) {
          throw new SaharaError('quota-exhausted', { cap: cap.name, max: `${cap.max}`, used: `${used}` });
        }
      }
      if (balance(user) < amountMax) {
        throw new SaharaError('funds-insufficient', { needed: `${amountMax}`, balance: `${balance(user)}` });
      }
      const hold: Hold = { user, amount: amountMax, scopes: caps.map((cap) => cap.scope), day };
      const legs = [
        { account: `user/${user}`, amount: welcome(user) - amountMax },
        { account: 'held', amount: amountMax },
        { account: 'funding', amount: -welcome(user) },
      ];
      return [
        ...book({ id: `reserve:${key}`, legs, atMs }),
        put(`hold/${key}`, holdSchema, hold),
        put(heldKey(user), amountSchema, { amount: amountAt(heldKey(user)) + amountMax }),
        ...counters(hold, amountMax),
      ];
    },
    settle(key, amount, { paidBy, atMs }) {
      const hold = state.get(`hold/${key}`, holdSchema);
      if (hold === undefined) return [];
      if (amount > hold.amount)
        throw new SaharaError('receipt-invalid', { amount: `${amount}`, held: `${hold.amount}` });
      const paid = paidBy === 'user' ? amount : 0n;
      const legs = [
        { account: 'held', amount: -hold.amount },
        { account: `user/${hold.user}`, amount: hold.amount - paid },
        { account: 'operator', amount: paid - amount },
        { account: 'agents', amount },
      ];
      return [
        ...book({ id: `settle:${key}`, legs, atMs }),
        del(`hold/${key}`),
        put(heldKey(hold.user), amountSchema, { amount: amountAt(heldKey(hold.user)) - hold.amount }),
        ...counters(hold, amount - hold.amount),
      ];
    },
  };
}

function accountKey(account: string): string {
  return `account/${account}`;
}

function heldKey(user: string): string {
  return `held/${user}`;
}

function dayKey(day: number): string {
  return `cap/${String(day).padStart(8, '0')}`;
}

function userDayKey(user: string, day: number): string {
  return `${dayKey(day)}/user/${user}`;
}

interface Cap {
  readonly name: string;
  readonly scope: string;
  readonly max: bigint;
}

function capsOf(event: ChatEvent, day: number, options: SpendingOptions): readonly Cap[] {
  const { platform, place } = event;
  const at = dayKey(day);
  return [
    { name: 'user', scope: userDayKey(userOf(event), day), max: options.userDayMax },
    { name: 'chat', scope: `${at}/chat/${platform}:${place.chat}`, max: options.chatDayMax },
    ...(place.guild === undefined
      ? []
      : [{ name: 'guild', scope: `${at}/guild/${platform}:${place.guild}`, max: options.guildDayMax }]),
    { name: 'bridge', scope: `${at}/bridge`, max: options.bridgeDayMax },
    { name: 'bridge-total', scope: 'cap/total', max: options.bridgeMax },
  ];
}
