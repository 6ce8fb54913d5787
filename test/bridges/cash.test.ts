import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { createCash } from '../../src/bridges/core/cash.ts';
import { jobKey } from '../../src/bridges/core/journal.ts';
import { joining, leaving } from '../../src/bridges/core/people.ts';
import { amountSchema } from '../../src/bridges/core/records.ts';
import { createSpending, type SpendingOptions } from '../../src/bridges/core/spending.ts';
import { createState, type State } from '../../src/bridges/core/state.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { createMoneyService, FEE, type MoneyService, type PayFault, signerOf } from '../stand-ins/money.ts';

const options: SpendingOptions = {
  callMax: 1000n,
  userDayMax: 100_000n,
  chatDayMax: 100_000n,
  guildDayMax: 100_000n,
  bridgeDayMax: 100_000n,
  bridgeMax: 1_000_000n,
  welcome: 100n,
};
const HOME = didOf(signerOf(9).publicKey);
const USERS = ['telegram:1', 'discord:2', 'telegram:3'] as const;

/** A store whose process dies when told to: nothing of that batch is written. */
function mortal(store: Store): { readonly store: Store; dieAfter(writes: number): void } {
  let left = Number.POSITIVE_INFINITY;
  return {
    dieAfter(writes) {
      left = writes;
    },
    store: {
      ...store,
      async batch(operations, batchOptions) {
        if (left-- <= 0) throw new Error('died');
        await store.batch(operations, batchOptions);
      },
    },
  };
}

function open(store: Store, money: MoneyService) {
  const state = createState(store);
  const spending = createSpending({ state }, options);
  const cash = createCash({ money, spending, state, clock: systemClock, log: silentLog });
  return { state, spending, cash };
}

async function accounts(state: State): Promise<Map<string, bigint>> {
  const found = new Map<string, bigint>();
  for await (const [key, value] of state.entries('account/')) {
    found.set(key.slice('account/'.length), amountSchema.decode(value).amount);
  }
  return found;
}

const nameOf = (key: string): Uint8Array => fromHex(key) ?? new Uint8Array(16);
const grantOf = (user: string, key: string) => ({
  ...{ version: 1, network: 'test', bridge: new Uint8Array(32), user, nonce: nameOf(key) },
  ...{ did: signerOf(9).publicKey, callMax: 50n, dayMax: 200n, max: 300n, issuedAtMs: 0, expiresAtMs: 9e15 },
});

describe('money that comes and goes', () => {
  // BRG-80
  test('a deposit is credited once, to whom its memo names', async () => {
    const money = createMoneyService();
    const { cash, spending, state } = open(createMemoryStore(), money);
    await cash.collect();
    const { did, memo } = await cash.depositCode('telegram:1');
    expect(did).toBe(money.did);
    money.receive(HOME, 500n, memo);
    money.receive(HOME, 70n, 'something else');
    await cash.collect();
    await cash.collect();
    expect(spending.balance('telegram:1')).toBe(600n);
    expect(spending.balance('discord:2')).toBe(100n);
    expect([...(await accounts(state)).values()].reduce((a, b) => a + b, 0n)).toBe(0n);
  });

  // BRG-81
  test('what a user paid in can be paid out, but not what the operator gave', async () => {
    const money = createMoneyService();
    const { cash, spending } = open(createMemoryStore(), money);
    await cash.collect();
    money.receive(HOME, 500n, (await cash.depositCode('telegram:1')).memo);
    await cash.collect();
    const key = toHex(jobKey('a'));
    await expect(cash.withdraw(key, { user: 'telegram:1', to: HOME, amount: 500n })).rejects.toMatchObject({
      code: 'funds-insufficient',
    });
    const done = await cash.withdraw(key, { user: 'telegram:1', to: HOME, amount: 400n });
    expect(done.type).toBe('paid');
    expect(await cash.withdraw(key, { user: 'telegram:1', to: HOME, amount: 400n })).toEqual(done);
    expect([...money.paid.values()]).toEqual([{ to: HOME, amount: 400n }]);
    expect(spending.balance('telegram:1')).toBe(600n - 400n - FEE);
  });

  // BRG-82
  test('a refused withdrawal comes back; one whose answer is lost is neither lost nor made twice', async () => {
    const money = createMoneyService();
    const { cash, spending } = open(createMemoryStore(), money);
    await cash.collect();
    money.receive(HOME, 500n, (await cash.depositCode('telegram:1')).memo);
    await cash.collect();
    const order = { user: 'telegram:1', to: HOME, amount: 100n };
    money.plan(() => 'refused');
    expect((await cash.withdraw(toHex(jobKey('a')), order)).type).toBe('refused');
    expect((await cash.withdraw(toHex(jobKey('a')), order)).type).toBe('refused');
    expect(spending.balance('telegram:1')).toBe(600n);
    money.plan(() => 'lost-after');
    expect((await cash.withdraw(toHex(jobKey('b')), order)).type).toBe('under-way');
    expect(spending.balance('telegram:1')).toBe(600n - 100n - FEE);
    money.plan(undefined);
    expect((await cash.withdraw(toHex(jobKey('b')), order)).type).toBe('paid');
    expect(money.paid.size).toBe(1);
  });

  // BRG-80 BRG-81 BRG-82 BRG-83
  test('whatever is asked and whenever it dies, no grain is lost, made, or paid twice', async () => {
    const user = fc.constantFrom(...USERS);
    const step = fc.oneof(
      fc.record({ do: fc.constant('deposit' as const), user, amount: fc.integer({ min: 1, max: 400 }) }),
      fc.record({
        do: fc.constant('withdraw' as const),
        user,
        amount: fc.integer({ min: 1, max: 300 }),
        key: fc.nat(12),
      }),
      fc.record({
        do: fc.constant('spend' as const),
        user,
        amount: fc.integer({ min: 0, max: 120 }),
        key: fc.nat(40),
      }),
      fc.record({ do: fc.constant('link' as const), user, key: fc.nat(20) }),
      fc.record({ do: fc.constant('unlink' as const), user }),
    );
    const fault = fc.constantFrom<PayFault | undefined>(
      undefined,
      undefined,
      'refused',
      'lost-before',
      'lost-after',
    );
    const run = fc.tuple(
      fc.array(fc.tuple(step, fc.option(fc.nat(3), { freq: 3 })), { maxLength: 25 }),
      fc.array(fault),
    );
    await fc.assert(
      fc.asyncProperty(run, async ([steps, faults]) => {
        const money = createMoneyService();
        const disk = createMemoryStore();
        await open(disk, money).cash.collect();
        money.plan((count) => faults[count - 1]);
        let received = 0n;
        let atMs = 1;
        for (const [one, dies] of steps) {
          atMs += 1;
          const { store, dieAfter } = mortal(disk);
          const { cash, spending, state } = open(store, money);
          if (dies !== null) dieAfter(dies);
          const event = {
            ...{
              platform: one.user.split(':')[0] as 'telegram',
              userId: one.user.split(':')[1] ?? '',
              id: '',
            },
            ...{
              type: 'question' as const,
              userName: '',
              language: '',
              messageId: undefined,
              text: '',
              argument: '',
            },
            ...{ quote: '', attachments: [], token: '', atMs },
            place: { chat: 'c', thread: undefined, direct: true, guild: undefined },
          } as const;
          const write = (operations: () => readonly Parameters<Store['batch']>[0][number][]): Promise<void> =>
            state.update(() => ({ operations: operations(), result: undefined }));
          const work = async (): Promise<void> => {
            if (one.do === 'deposit') {
              const { memo } = await cash.depositCode(one.user);
              money.receive(HOME, BigInt(one.amount), memo);
              received += BigInt(one.amount);
              await cash.collect();
            } else if (one.do === 'withdraw') {
              const key = toHex(jobKey(`w${one.key}`));
              await cash.withdraw(key, { user: one.user, to: HOME, amount: BigInt(one.amount) });
            } else if (one.do === 'spend') {
              const key = `${one.key}-${atMs}`;
              const amountMax = BigInt(one.amount);
              await write(() => spending.reserve({ key, event, amountMax, atMs }));
              await write(() => spending.settle(key, amountMax / 2n, { paidBy: 'user', atMs }));
            } else if (one.do === 'link') {
              const id = toHex(jobKey(`l${one.key}-${atMs}`));
              const grant = grantOf(one.user, id);
              await write(() => [
                ...spending.moveTo(one.user, HOME, { id, atMs }),
                ...joining(state, one.user, HOME, grant),
              ]);
            } else await write(() => leaving(state, one.user));
          };
          await work().catch(() => undefined);
        }
        money.plan(undefined);
        const { cash, state } = open(disk, money);
        await cash.collect();
        // What is leaving is tried once more, as after a start.
        const stop = new AbortController();
        const trying = cash.keepUp(stop.signal);
        while (await any(state, 'leaving/')) await new Promise((resolve) => setImmediate(resolve));
        stop.abort();
        await trying;
        const books = await accounts(state);
        expect([...books.values()].reduce((a, b) => a + b, 0n)).toBe(0n);
        for (const [account, amount] of books)
          if (account.startsWith('user/')) expect(amount >= 0n).toBe(true);
        expect(books.get('leaving') ?? 0n).toBe(0n);
        const out = [...money.paid.values()].reduce((sum, { amount }) => sum + amount + FEE, 0n);
        // All that users ever had: what was received and the gifts, less what went out and was spent or is held.
        const gifts = [...books.keys()].filter((name) => /^user\/(telegram|discord):/.test(name)).length;
        const users = [...books].reduce(
          (sum, [name, amount]) => (name.startsWith('user/') ? sum + amount : sum),
          0n,
        );
        const spent = (books.get('agents') ?? 0n) + (books.get('held') ?? 0n) + (books.get('operator') ?? 0n);
        expect(users + spent + out).toBe(received + BigInt(gifts) * options.welcome);
      }),
      { numRuns: 150 },
    );
  });
});

async function any(state: State, prefix: string): Promise<boolean> {
  for await (const _ of state.entries(prefix)) return true;
  return false;
}
