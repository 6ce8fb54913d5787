/**
 * Money of the bridge's users: a double-entry book in integer grains, and the caps on it. Every movement is an
 * entry whose legs sum to 0 and whose id can be booked once. A call first holds the most that it can cost, then pays
 * exactly what the receipt says; the rest goes back. Caps count what was spent and what is held, per UTC day.
 *
 * Accounts: `user/<platform>:<id>` what a user can spend, or `user/<did>` where it was linked; `leaving` what is being paid
 * out; `held` for calls that run; `agents` what agents earned;
 * `operator` what the bridge's operator bears (below 0); `funding` where credit comes from (below 0).
 */
import { SaharaError } from '../../base/errors.ts';
import type { StoreOperation } from '../../base/store.ts';
import { accountOf, namesOf } from './people.ts';
import type { ChatEvent } from './platform.ts';
import { amountSchema, type Entry, entrySchema, type Hold, holdSchema } from './records.ts';
import {
  allowed,
  budgetAlong,
  budgetKey,
  capsOf,
  DAY_MS,
  dayKey,
  ownCaps,
  userDayKey,
} from './spending-caps.ts';
import { accountKey, giftKey, heldKey, owedKey } from './spending-keys.ts';
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
    /** What can be paid out: the balance without what the operator gave. */
    readonly payable: bigint;
    /** Most for an answer and for a day that the operator and the user's own grant allow. */
    readonly callMax: bigint;
    readonly dayMax: bigint;
    /** Most that the user wants to spend in a day; absent: what the operator allows. */
    readonly budget: bigint | undefined;
  };
  /** Any account's balance. */
  accountBalance(account: string): bigint;
  /** The entry that gives a user credit; nothing when `id` was booked before. */
  credit(user: string, amount: bigint, booking: Booking): readonly StoreOperation[];
  /** Credit that can be spent on answers but not be paid out; nothing when `id` was booked before. */
  give(user: string, amount: bigint, booking: Booking): readonly StoreOperation[];
  /** Takes such credit back, what calls hold of it when they end; what is spent of it is borne by the operator. Nothing when `id` was booked before. */
  takeBack(user: string, amount: bigint, booking: Booking): readonly StoreOperation[];
  /** How much of such credit is unspent. */
  refundable(user: string): bigint;
  /**
   * Holds `amountMax` for a call. Throws `price-above-max` (cap of one call), `quota-exhausted` (fact `cap`),
   * `funds-insufficient`.
   */
  reserve(call: SpendingCall): readonly StoreOperation[];
  /**
   * Ends a hold: `amount` went to the agent, paid by the user or, where nothing was delivered, by the operator. Caps count
   * `counted`; default: the amount.
   */
  settle(
    key: string,
    amount: bigint,
    ending: {
      readonly paidBy: 'user' | 'operator';
      readonly atMs: number;
      readonly counted?: bigint;
    },
  ): readonly StoreOperation[];
  /** Books what a user has as that of the account `did`, which the user is about to join. */
  moveTo(user: string, did: string, booking: Booking): readonly StoreOperation[];
  /** Takes `amount` out of what can be paid out, to leave; nothing when it was booked before. Throws `funds-insufficient`. */
  leave(user: string, amount: bigint, booking: Booking): readonly StoreOperation[];
  /** What left is gone, or, with `back`, again the user's. */
  left(
    user: string,
    amount: bigint,
    booking: Booking & { readonly back: boolean },
  ): readonly StoreOperation[];
  /** What left under an id, grains; `undefined` for one that nothing left under. */
  whatLeft(id: string): bigint | undefined;
  /** Whether what left under an id came back to its user. */
  wasGivenBack(id: string): boolean;
  /** Most that a user wants to spend in a day; `undefined`: what the operator allows. */
  budgetOf(user: string): bigint | undefined;
  /** The write that changes it. */
  setBudget(user: string, amount: bigint | undefined): readonly StoreOperation[];
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
  const isKnown = (account: string): boolean =>
    state.get(accountKey(`user/${account}`), amountSchema) !== undefined;
  /** A DID's account begins empty: what its users were given comes along with them. */
  const welcomeOf = (account: string): bigint =>
    isKnown(account) || account.startsWith('did:') ? 0n : options.welcome;
  const balanceOf = (account: string): bigint => amountAt(accountKey(`user/${account}`)) + welcomeOf(account);
  const balance = (user: string): bigint => balanceOf(accountOf(state, user));
  const giftOf = (account: string): bigint => amountAt(giftKey(account)) + welcomeOf(account);
  /** What of the balance cannot be paid out: it is spent first, so all that is left of it counts. */
  const refundableOf = (account: string): bigint => {
    const gift = giftOf(account);
    return gift < balanceOf(account) ? gift : balanceOf(account);
  };
  const payableOf = (account: string): bigint => balanceOf(account) - refundableOf(account);

  function book(entry: Entry): readonly StoreOperation[] {
    if (state.get(`entry/${entry.id}`, entrySchema) !== undefined) return [];
    return [
      put(`entry/${entry.id}`, entrySchema, entry),
      ...entry.legs.map(({ account, amount }) =>
        put(accountKey(account), amountSchema, { amount: amountAt(accountKey(account)) + amount }),
      ),
    ];
  }

  /** What is left of the operator's gift once `spent` of it is gone. It is spent before the user's own money. */
  function giftAfter(account: string, spent: bigint): StoreOperation {
    const gift = giftOf(account);
    return put(giftKey(account), amountSchema, { amount: gift > spent ? gift - spent : 0n });
  }

  const owedBy = (account: string): bigint => amountAt(owedKey(account));
  const heldOf = (user: string): bigint =>
    namesOf(state, user).reduce((sum, name) => sum + amountAt(heldKey(name)), 0n);

  /** What of a hold that ends is for credit that was taken back while it was held: at most what is left of the credit. */
  function dueAt(account: string, hold: Hold, paid: bigint): bigint {
    const given = giftOf(account) > paid ? giftOf(account) - paid : 0n;
    return [owedBy(account), hold.amount - paid, given].reduce((least, one) => (one < least ? one : least));
  }

  /** The account that a hold was taken from; its user may have another one since. */
  function heldFrom(key: string): string | undefined {
    return state.get(`entry/reserve:${key}`, entrySchema)?.legs[0]?.account.slice('user/'.length);
  }

  /** What was held from one account and comes back to another is given as far as the first one's money was. */
  function giftAlong(
    from: string,
    to: string,
    { amount, paid }: { readonly amount: bigint; readonly paid: bigint },
  ): readonly StoreOperation[] {
    const gift = giftOf(from);
    const given = gift < amount ? gift : amount;
    const kept = given > paid ? given - paid : 0n;
    return [giftAfter(from, given), giftAfter(to, given === 0n ? paid : -kept)];
  }

  /** An account with `amount` more, of which `gift` cannot be paid out. */
  function add(
    user: string,
    amount: bigint,
    { id, atMs, gift }: Booking & { readonly gift: bigint },
  ): readonly StoreOperation[] {
    const account = accountOf(state, user);
    const given = welcomeOf(account);
    const legs = [
      { account: `user/${account}`, amount: amount + given },
      { account: 'funding', amount: -amount - given },
    ];
    const booked = book({ id, legs, atMs });
    return booked.length === 0 ? [] : [...booked, giftAfter(account, -gift)];
  }

  /** What is still to come back goes along with the credit. */
  function owedAlong(from: string, did: string): readonly StoreOperation[] {
    if (owedBy(from) === 0n) return [];
    return [
      put(owedKey(did), amountSchema, { amount: owedBy(did) + owedBy(from) }),
      put(owedKey(from), amountSchema, { amount: 0n }),
    ];
  }

  function counters(hold: Hold, change: bigint): readonly StoreOperation[] {
    return hold.scopes.map((scope) => put(scope, amountSchema, { amount: amountAt(scope) + change }));
  }

  return {
    balance,
    standing(event) {
      const account = accountOf(state, userOf(event));
      const day = Math.floor(event.atMs / DAY_MS);
      return {
        balance: balanceOf(account),
        held: heldOf(userOf(event)),
        spentToday: amountAt(userDayKey(account, day)),
        payable: payableOf(account),
        budget: state.get(budgetKey(account), amountSchema)?.amount,
        ...allowed(state, account, options),
      };
    },
    accountBalance: (account) => amountAt(accountKey(account)),
    async staleCounters(nowMs) {
      const kept = dayKey(Math.floor(nowMs / DAY_MS) - COUNTED_DAYS);
      const stale: StoreOperation[] = [];
      for await (const [key] of state.entries('cap/0')) if (key < kept) stale.push(del(key));
      return stale;
    },
    credit: (user, amount, { id, atMs }) => add(user, amount, { id: `credit:${id}`, atMs, gift: 0n }),
    give: (user, amount, { id, atMs }) => add(user, amount, { id: `give:${id}`, atMs, gift: amount }),
    refundable: (user) => refundableOf(accountOf(state, user)),
    takeBack(user, amount, { id, atMs }) {
      const account = accountOf(state, user);
      const unspent = refundableOf(account);
      const taken = unspent < amount ? unspent : amount;
      const given = welcomeOf(account);
      const legs = [
        { account: `user/${account}`, amount: given - taken },
        { account: 'operator', amount: taken - amount },
        { account: 'funding', amount: amount - given },
      ];
      const booked = book({ id: `take-back:${id}`, legs, atMs });
      if (booked.length === 0) return [];
      // What running calls hold of it comes back later, and is taken then.
      const held = heldOf(user);
      const missing = amount - taken;
      const owed = owedBy(account) + missing;
      const due = put(owedKey(account), amountSchema, { amount: owed < held ? owed : held });
      return [...booked, giftAfter(account, taken), due];
    },
    reserve({ key, event, amountMax, atMs }) {
      const user = userOf(event);
      const account = accountOf(state, user);
      const day = Math.floor(atMs / DAY_MS);
      const own = ownCaps(state, account, options);
      const caps = [...own.caps, ...capsOf(event, day, { ...options, account, userDayMax: own.dayMax })];
      if (amountMax > own.callMax) {
        throw new SaharaError('price-above-max', { price: `${amountMax}`, max: `${own.callMax}` });
      }
      if (amountMax > 0n && own.expiresAtMs <= atMs) {
        throw new SaharaError('quota-exhausted', { cap: 'grant-expired' });
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
        { account: `user/${account}`, amount: welcomeOf(account) - amountMax },
        { account: 'held', amount: amountMax },
        { account: 'funding', amount: -welcomeOf(account) },
      ];
      return [
        ...book({ id: `reserve:${key}`, legs, atMs }),
        put(`hold/${key}`, holdSchema, hold),
        put(heldKey(user), amountSchema, { amount: amountAt(heldKey(user)) + amountMax }),
        ...counters(hold, amountMax),
        giftAfter(account, 0n),
      ];
    },
    settle(key, amount, { paidBy, atMs, counted = amount }) {
      const hold = state.get(`hold/${key}`, holdSchema);
      if (hold === undefined) return [];
      if (amount > hold.amount)
        throw new SaharaError('receipt-invalid', { amount: `${amount}`, held: `${hold.amount}` });
      const paid = paidBy === 'user' ? amount : 0n;
      const account = accountOf(state, hold.user);
      const from = heldFrom(key) ?? account;
      // Where credit went since the hold began, there went what is to come back of it.
      const debtor = owedBy(from) > 0n ? from : account;
      const due = dueAt(debtor, hold, paid);
      const legs = [
        { account: 'held', amount: -hold.amount },
        { account: `user/${account}`, amount: hold.amount - paid - due },
        { account: 'operator', amount: paid + due - amount },
        { account: 'agents', amount },
      ];
      const gone = paid + due;
      const owed = heldOf(hold.user) > hold.amount ? owedBy(debtor) - due : 0n;
      return [
        ...book({ id: `settle:${key}`, legs, atMs }),
        del(`hold/${key}`),
        put(heldKey(hold.user), amountSchema, { amount: amountAt(heldKey(hold.user)) - hold.amount }),
        ...counters(hold, counted - hold.amount),
        ...(owedBy(debtor) === 0n ? [] : [put(owedKey(debtor), amountSchema, { amount: owed })]),
        ...(from === account
          ? [giftAfter(account, gone)]
          : giftAlong(from, account, { ...hold, paid: gone })),
      ];
    },
    moveTo(user, did, { id, atMs }) {
      const from = accountOf(state, user);
      const day = Math.floor(atMs / DAY_MS);
      const amount = balanceOf(from);
      const legs = [
        { account: `user/${from}`, amount: welcomeOf(from) - amount },
        { account: `user/${did}`, amount },
        { account: 'funding', amount: -welcomeOf(from) },
      ];
      const booked = book({ id: `link:${id}`, legs, atMs });
      if (booked.length === 0 || from === did) return [];
      const spent = amountAt(userDayKey(from, day)) + amountAt(userDayKey(did, day));
      return [
        ...booked,
        put(giftKey(did), amountSchema, { amount: giftOf(did) + giftOf(from) }),
        put(giftKey(from), amountSchema, { amount: 0n }),
        put(userDayKey(did, day), amountSchema, { amount: spent }),
        ...owedAlong(from, did),
        ...budgetAlong(state, from, did),
      ];
    },
    leave(user, amount, { id, atMs }) {
      if (state.get(`entry/leave:${id}`, entrySchema) !== undefined) return [];
      const account = accountOf(state, user);
      const payable = payableOf(account);
      if (amount > payable) {
        throw new SaharaError('funds-insufficient', { needed: `${amount}`, balance: `${payable}` });
      }
      const legs = [
        { account: `user/${account}`, amount: -amount },
        { account: 'leaving', amount },
      ];
      return book({ id: `leave:${id}`, legs, atMs });
    },
    left(user, amount, { id, atMs, back }) {
      if (state.get(`entry/left:${id}`, entrySchema) !== undefined) return [];
      const account = back ? `user/${accountOf(state, user)}` : 'funding';
      const legs = [
        { account: 'leaving', amount: -amount },
        { account, amount },
      ];
      return book({ id: `left:${id}`, legs, atMs });
    },
    whatLeft: (id) => state.get(`entry/leave:${id}`, entrySchema)?.legs.at(-1)?.amount,
    wasGivenBack(id) {
      const legs = state.get(`entry/left:${id}`, entrySchema)?.legs ?? [];
      return legs.some(({ account }) => account.startsWith('user/'));
    },
    budgetOf: (user) => state.get(budgetKey(accountOf(state, user)), amountSchema)?.amount,
    setBudget(user, amount) {
      const key = budgetKey(accountOf(state, user));
      return [amount === undefined ? del(key) : put(key, amountSchema, { amount })];
    },
  };
}
