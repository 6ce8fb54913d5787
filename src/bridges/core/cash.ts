/**
 * Money that comes in for users and goes out to them. A deposit is credited once, by the transaction that brought it. A
 * withdrawal leaves the user's account before it is paid and is paid once, by its job's key, however often that is tried:
 * until the ledger has decided it stands among those that are leaving, and is looked at again.
 */
import { createHash } from 'node:crypto';
import { fromHex, toHex } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { asSaharaError, type ErrorCode, SaharaError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { type Dice, systemDice } from '../../base/random.ts';
import { sleep } from './pacer.ts';
import { accountOf, membersOf } from './people.ts';
import type { MoneyPort } from './ports.ts';
import { type Leaving, leavingSchema } from './records.ts';
import type { Spending } from './spending.ts';
import { del, put, putText, type State } from './state.ts';

/** What cash works with. */
export interface CashParts {
  readonly money: MoneyPort;
  readonly spending: Spending;
  readonly state: State;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: the system's. */
  readonly dice?: Dice;
}

/** How a withdrawal went so far. */
export type Withdrawal =
  | { readonly type: 'paid'; readonly block: number }
  /** The ledger has not decided it yet. */
  | { readonly type: 'under-way' }
  /** It was not paid and will not be; the money is the user's again. */
  | { readonly type: 'refused'; readonly failure: SaharaError };

/** Deposits and withdrawals. */
export interface Cash {
  /** What a user writes into a payment so that it is theirs. */
  depositCode(user: string): Promise<{ readonly did: string; readonly memo: string }>;
  /** Credits what has arrived. Throws what the ledger's port throws. */
  collect(): Promise<void>;
  /** Whether deposits are seen here at all. */
  seesDeposits(): Promise<boolean>;
  /** Pays `amount` and the fee out of a user's account, once for each key. Throws `funds-insufficient`. */
  withdraw(
    key: string,
    order: { readonly user: string; readonly to: string; readonly amount: bigint },
  ): Promise<Withdrawal>;
  /** Whether a withdrawal was ordered under a key. */
  isKnown(key: string): boolean;
  /** What a payment costs, grains. */
  fee(): Promise<bigint>;
  /** Looks for deposits and goes on with withdrawals until `signal` is aborted. */
  keepUp(signal: AbortSignal): Promise<void>;
}

const LOOK_EVERY_MS = 3_000;
/** Rounds between two tries of what is leaving. */
const TRY_EVERY_ROUNDS = 10;
const HEIGHT = 'deposits/height';
const BOOK = 'deposits/book';
const BOOK_BYTES = 16;
/** After these a payment was not made and will not be. */
const NEVER_PAID: readonly ErrorCode[] = ['usage', 'funds-insufficient', 'malformed', 'too-large'];

/** Cash over the operator's money. */
export function createCash(parts: CashParts): Cash {
  const { money, spending, state, clock, log, dice = systemDice } = parts;

  /** The name of these books: other bridges of the operator see the same deposits. */
  function book(): Promise<string> {
    return state.update(() => {
      const known = state.getText(BOOK);
      const name = known ?? toHex(dice.bytes(BOOK_BYTES));
      return { operations: known === undefined ? [putText(BOOK, name)] : [], result: name };
    });
  }

  async function collect(): Promise<void> {
    const from = state.getText(HEIGHT);
    const { deposits, height } = await money.deposits(from === undefined ? undefined : Number(from));
    for (const { id, from: did, amount, memo } of deposits) {
      const user =
        state.getText(`code/${memo.trim()}`) ?? (membersOf(state, did).length > 0 ? did : undefined);
      if (user === undefined) {
        log.warn('a deposit names nobody', { transaction: id });
        continue;
      }
      if (!(await money.claim(id, await book()))) {
        log.info('a deposit is in the books of another bridge', { transaction: id });
        continue;
      }
      await state.update(() => ({
        operations: spending.credit(user, amount, { id: `deposit:${id}`, atMs: clock.nowMs() }),
        result: undefined,
      }));
    }
    if (String(height) !== from)
      await state.update(() => ({ operations: [putText(HEIGHT, String(height))], result: undefined }));
  }

  async function payOut(key: string, { user, to, amount, fee }: Leaving): Promise<Withdrawal> {
    const whole = amount + fee;
    const end = (back: boolean): Promise<void> =>
      state.update(() => ({
        operations: [
          ...spending.left(user, whole, { id: key, atMs: clock.nowMs(), back }),
          del(leavingKey(key)),
        ],
        result: undefined,
      }));
    try {
      const block = await money.pay(orderOf(key, { to, amount }));
      await end(false);
      return { type: 'paid', block };
    } catch (error) {
      const failure = asSaharaError(error);
      const isOver =
        NEVER_PAID.includes(failure.code) || (failure.code === 'tx-refused' && 'height' in failure.facts);
      log.warn('withdrawal not paid', { job: key, code: failure.code, isOver });
      if (!isOver) return { type: 'under-way' };
      await end(true);
      return { type: 'refused', failure };
    }
  }

  async function tryAll(): Promise<void> {
    const left: [string, Leaving][] = [];
    for await (const [entry, value] of state.entries('leaving/')) {
      left.push([entry.slice('leaving/'.length), leavingSchema.decode(value)]);
    }
    for (const [key, order] of left) await payOut(key, order);
  }

  return {
    async depositCode(user) {
      const { did } = await money.whoami();
      const account = accountOf(state, user);
      const memo = codeOf({ did, account, book: await book() });
      if (state.getText(`code/${memo}`) === undefined) {
        await state.update(() => ({ operations: [putText(`code/${memo}`, account)], result: undefined }));
      }
      return { did, memo };
    },
    collect,
    async seesDeposits() {
      try {
        await collect();
        return true;
      } catch (error) {
        if (asSaharaError(error).code === 'ledger-light') return false;
        throw error;
      }
    },
    async withdraw(key, { user, to, amount }) {
      const { fee } = await money.whoami();
      const order: Leaving = { user, to, amount, fee };
      await state.update(() => {
        const booked = spending.leave(user, amount + fee, { id: key, atMs: clock.nowMs() });
        return {
          operations: booked.length === 0 ? [] : [...booked, put(leavingKey(key), leavingSchema, order)],
          result: undefined,
        };
      });
      const kept = state.get(leavingKey(key), leavingSchema);
      // One that ended before a crash is told again: the same reference is not paid twice.
      return kept === undefined ? told(key, order) : payOut(key, kept);
    },
    isKnown: (key) => spending.whatLeft(key) !== undefined,
    fee: async () => (await money.whoami()).fee,
    async keepUp(signal) {
      for (let round = 0; !signal.aborted; round++) {
        try {
          await collect();
          if (round % TRY_EVERY_ROUNDS === 0) await tryAll();
        } catch (error) {
          const { code } = asSaharaError(error);
          if (code !== 'ledger-light') log.warn('deposits not looked for', { code });
        }
        await sleep(clock, LOOK_EVERY_MS, signal).catch(() => undefined);
      }
    },
  };

  /** How a withdrawal ended whose user has to be told again. */
  async function told(key: string, { to, fee }: Leaving): Promise<Withdrawal> {
    if (spending.wasGivenBack(key)) return { type: 'refused', failure: new SaharaError('tx-refused') };
    return {
      type: 'paid',
      block: await money.pay(orderOf(key, { to, amount: (spending.whatLeft(key) ?? fee) - fee })),
    };
  }
}

/** What a payment to `did` says so that it is for `account`: short enough to type. */
function codeOf(parts: { readonly did: string; readonly account: string; readonly book: string }): string {
  const { did, account, book } = parts;
  const digest = createHash('sha256').update(`sahara/bridge/deposit ${did} ${account} ${book}`).digest();
  return `chat-${toHex(digest).slice(0, 16)}`;
}

/** A withdrawal's job names its payment. */
function orderOf(
  key: string,
  { to, amount }: Pick<Leaving, 'to' | 'amount'>,
): Parameters<MoneyPort['pay']>[0] {
  return {
    reference: fromHex(key) ?? new Uint8Array(16),
    to,
    amount,
    memo: `withdrawal ${key.slice(0, 12)}`,
  };
}

function leavingKey(key: string): string {
  return `leaving/${key}`;
}
