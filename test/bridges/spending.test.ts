import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMemoryStore } from '../../src/base/store.ts';
import { joining } from '../../src/bridges/core/people.ts';
import type { ChatEvent } from '../../src/bridges/core/platform.ts';
import { amountSchema, entrySchema } from '../../src/bridges/core/records.ts';
import { createSpending, SPENDING_DEFAULTS, type SpendingOptions } from '../../src/bridges/core/spending.ts';
import { createState } from '../../src/bridges/core/state.ts';

const DAY_MS = 86_400_000;
const rich: SpendingOptions = {
  callMax: 100n,
  userDayMax: 300n,
  chatDayMax: 500n,
  guildDayMax: 600n,
  bridgeDayMax: 900n,
  bridgeMax: 2000n,
  welcome: 250n,
};

function event(user: string, chat: string, guild?: string): ChatEvent {
  return {
    platform: 'discord',
    id: `${user}-${chat}`,
    type: 'question',
    userId: user,
    userName: user,
    language: 'en',
    place: { chat, thread: undefined, direct: false, guild },
    messageId: undefined,
    text: 'q',
    argument: '',
    quote: '',
    attachments: [],
    token: '',
    atMs: 0,
  };
}

function books(options: SpendingOptions) {
  const state = createState(createMemoryStore());
  const spending = createSpending({ state }, options);
  const reserve = (key: string, who: ChatEvent, amountMax: bigint, atMs = 0) =>
    state.update(() => ({
      operations: spending.reserve({ key, event: who, amountMax, atMs }),
      result: undefined,
    }));
  const settle = (key: string, amount: bigint, paidBy: 'user' | 'operator' = 'user') =>
    state.update(() => ({
      operations: spending.settle(key, amount, { paidBy, atMs: 0 }),
      result: undefined,
    }));
  const credit = (user: string, amount: bigint, id: string) =>
    state.update(() => ({ operations: spending.credit(user, amount, { id, atMs: 0 }), result: undefined }));
  return { state, spending, reserve, settle, credit };
}

const HOME = 'did:key:home';

function grantFor(user: string) {
  const did = new Uint8Array(32).fill(1);
  return {
    ...{ version: 1, network: 'test', bridge: did, user, nonce: new Uint8Array(16), did },
    ...{ callMax: 100n, dayMax: 300n, max: 1000n, issuedAtMs: 0, expiresAtMs: 500 },
  };
}

describe('credit that the platform takes back', () => {
  const poor = { ...rich, welcome: 0n };

  // BRG-143
  test('while calls hold it is taken when they end, but for what they cost; what was paid in stays', async () => {
    const { state, spending, reserve, settle, credit } = books(poor);
    const me = event('1', 'a');
    const write = (step: () => ReturnType<typeof spending.give>) =>
      state.update(() => ({ operations: step(), result: undefined }));
    await write(() => spending.give('discord:1', 100n, { id: 'bought', atMs: 0 }));
    await credit('discord:1', 100n, 'paid in');
    await reserve('aa', me, 90n);
    await reserve('bb', me, 60n);
    await write(() => spending.takeBack('discord:1', 100n, { id: 'bought', atMs: 0 }));
    expect(spending.standing(me)).toMatchObject({ balance: 0n, held: 150n });
    expect(spending.accountBalance('operator')).toBe(-50n);
    await settle('aa', 30n);
    expect(spending.standing(me)).toMatchObject({ balance: 40n, payable: 40n });
    await settle('bb', 0n);
    expect(spending.standing(me)).toMatchObject({ balance: 100n, payable: 100n });
    expect(spending.accountBalance('operator')).toBe(-30n);
    await write(() => spending.give('discord:1', 20n, { id: 'bought later', atMs: 0 }));
    await reserve('cc', me, 100n);
    await settle('cc', 0n);
    expect(spending.standing(me)).toMatchObject({ balance: 120n, payable: 100n });
  });

  // BRG-34 BRG-143
  // BRG-143
  test('is taken when calls end also where their user linked a DID meanwhile, before or after', async () => {
    for (const order of ['link first', 'taken back first']) {
      const { state, spending, reserve, settle } = books(poor);
      const me = event('1', 'a');
      const write = (step: () => ReturnType<typeof spending.give>) =>
        state.update(() => ({ operations: step(), result: undefined }));
      const takeBack = () => write(() => spending.takeBack('discord:1', 100n, { id: 'bought', atMs: 0 }));
      await write(() => spending.give('discord:1', 100n, { id: 'bought', atMs: 0 }));
      await reserve('aa', me, 60n);
      if (order === 'taken back first') await takeBack();
      await write(() => spending.moveTo('discord:1', HOME, { id: 'link', atMs: 0 }));
      await write(() => joining(state, 'discord:1', HOME, grantFor('discord:1')));
      if (order === 'link first') await takeBack();
      await settle('aa', 10n);
      expect(spending.standing(me)).toMatchObject({ balance: 0n, held: 0n, payable: 0n });
      expect(spending.refundable('discord:1')).toBe(0n);
      expect(spending.accountBalance('operator')).toBe(-10n);
    }
  });

  test('leaves no balance below 0, and the asker without what was taken, whatever is held and spent', async () => {
    const call = fc.record({ max: fc.bigInt(0n, 100n), part: fc.nat(100) });
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt(1n, 150n),
        fc.array(call, { maxLength: 3 }),
        fc.nat(3),
        async (gift, calls, at) => {
          const { state, spending, reserve, settle } = books(poor);
          const me = event('1', 'a');
          await state.update(() => ({
            operations: spending.give('discord:1', gift, { id: 'bought', atMs: 0 }),
            result: undefined,
          }));
          const begun: [string, bigint][] = [];
          for (const [i, { max, part }] of calls.entries()) {
            const key = `${i}`;
            const isHeld = await reserve(key, me, max).then(
              () => true,
              () => false,
            );
            if (isHeld) begun.push([key, (max * BigInt(part)) / 100n]);
          }
          let spent = 0n;
          const takeBack = () =>
            state.update(() => ({
              operations: spending.takeBack('discord:1', gift, { id: 'bought', atMs: 0 }),
              result: undefined,
            }));
          for (const [i, [key, amount]] of begun.entries()) {
            if (i === at) await takeBack();
            await settle(key, amount);
            spent += amount;
            expect(spending.balance('discord:1')).toBeGreaterThanOrEqual(0n);
          }
          if (at >= begun.length) await takeBack();
          expect(spending.balance('discord:1')).toBe(0n);
          expect(spending.accountBalance('operator')).toBe(-spent);
        },
      ),
    );
  });
});

describe('the spending book', () => {
  // BRG-30
  test('what is held comes back but for the exact price', async () => {
    const { spending, reserve, settle } = books(rich);
    await reserve('k', event('u', 'c'), 100n);
    expect(spending.balance('discord:u')).toBe(150n);
    expect(spending.standing(event('u', 'c'))).toMatchObject({ balance: 150n, held: 100n, spentToday: 100n });
    await settle('k', 30n);
    expect(spending.standing(event('u', 'c'))).toMatchObject({ balance: 220n, held: 0n, spentToday: 30n });
    expect(spending.accountBalance('agents')).toBe(30n);
  });

  // BRG-84
  test('a grant that is over spends nothing, and what is free stays free', async () => {
    const { state, reserve, credit } = books({ ...rich, welcome: 0n });
    const operations = joining(state, 'discord:u', HOME, grantFor('discord:u'));
    await state.update(() => ({ operations, result: undefined }));
    await credit('discord:u', 1000n, 'paid in');
    await reserve('a', event('u', 'c'), 50n, 499);
    await expect(reserve('b', event('u', 'c'), 50n, 500)).rejects.toMatchObject({
      facts: { cap: 'grant-expired' },
    });
    await reserve('c', event('u', 'c'), 0n, 500);
  });

  // BRG-87
  test('a budget goes along to the account of a DID, where the lower one holds', async () => {
    const { state, spending, reserve } = books(rich);
    const write = (step: () => ReturnType<typeof spending.setBudget>) =>
      state.update(() => ({ operations: step(), result: undefined }));
    const link = async (user: string): Promise<void> => {
      await write(() => spending.moveTo(user, HOME, { id: user, atMs: 0 }));
      await write(() => joining(state, user, HOME, grantFor(user)));
    };
    await write(() => spending.setBudget('discord:u', 30n));
    await write(() => spending.setBudget('discord:v', 50n));
    await link('discord:v');
    expect(spending.budgetOf('discord:v')).toBe(50n);
    await link('discord:u');
    expect(spending.budgetOf('discord:v')).toBe(30n);
    await expect(reserve('a', event('u', 'c'), 31n)).rejects.toMatchObject({ facts: { cap: 'user' } });
    await reserve('b', event('u', 'c'), 30n);
  });

  // BRG-31
  test('booking the same step again changes nothing', async () => {
    const { spending, reserve, settle, credit } = books(rich);
    await reserve('k', event('u', 'c'), 100n);
    await settle('k', 30n);
    await settle('k', 30n);
    await credit('discord:u', 5n, 'gift');
    await credit('discord:u', 5n, 'gift');
    expect(spending.balance('discord:u')).toBe(225n);
  });

  // BRG-32
  test('0 means 0: nothing can be spent, and what is free stays free', async () => {
    const { reserve, credit } = books(SPENDING_DEFAULTS);
    await credit('discord:u', 1000n, 'gift');
    await expect(reserve('a', event('u', 'c'), 1n)).rejects.toMatchObject({ code: 'price-above-max' });
    await reserve('b', event('u', 'c'), 0n);
    for (const cap of ['userDayMax', 'chatDayMax', 'guildDayMax', 'bridgeDayMax', 'bridgeMax'] as const) {
      const one = books({ ...rich, [cap]: 0n });
      await expect(one.reserve('a', event('u', 'c', 'g'), 1n)).rejects.toMatchObject({
        code: 'quota-exhausted',
      });
      await one.reserve('b', event('u', 'c', 'g'), 0n);
    }
  });

  // BRG-33
  test('a failed answer costs its user nothing; the operator bears what the agent took', async () => {
    const { spending, reserve, settle } = books(rich);
    await reserve('k', event('u', 'c'), 100n);
    await settle('k', 30n, 'operator');
    expect(spending.balance('discord:u')).toBe(250n);
    expect(spending.accountBalance('operator')).toBe(-30n);
    expect(spending.accountBalance('agents')).toBe(30n);
  });

  test('a charge above what is held is refused', async () => {
    const { reserve, settle } = books(rich);
    await reserve('k', event('u', 'c'), 10n);
    await expect(settle('k', 11n)).rejects.toMatchObject({ code: 'receipt-invalid' });
  });

  // BRG-34
  test('caps hold, money is conserved and every entry sums to 0, whatever is asked', async () => {
    const step = fc.record({
      user: fc.constantFrom('u1', 'u2', 'u3'),
      chat: fc.constantFrom('c1', 'c2'),
      max: fc.bigInt({ min: 0n, max: 130n }),
      part: fc.nat({ max: 100 }),
      day: fc.nat({ max: 2 }),
      end: fc.constantFrom('user', 'operator', 'open'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { state, spending, reserve, settle } = books(rich);
        const spent = new Map<string, bigint>();
        for (const [i, { user, chat, max, part, day, end }] of steps.entries()) {
          const accepted = await reserve(`k${i}`, event(user, chat, 'g'), max, day * DAY_MS).then(
            () => true,
            () => false,
          );
          if (!accepted) continue;
          const amount = (max * BigInt(part)) / 100n;
          if (end !== 'open') await settle(`k${i}`, amount, end);
          const counted = end === 'open' ? max : amount;
          for (const scope of [`${day}/${user}`, `${day}/${chat}`, `${day}`, 'all']) {
            spent.set(scope, (spent.get(scope) ?? 0n) + counted);
          }
        }
        for (const [scope, amount] of spent) {
          const cap =
            scope === 'all'
              ? rich.bridgeMax
              : /u\d/.test(scope)
                ? rich.userDayMax
                : /c\d/.test(scope)
                  ? rich.chatDayMax
                  : rich.guildDayMax;
          expect(amount <= cap, `${scope}: ${amount} of ${cap}`).toBe(true);
        }
        let sum = 0n;
        for await (const [key, value] of state.entries('account/')) {
          const { amount } = amountSchema.decode(value);
          if (key.startsWith('account/user/')) expect(amount >= 0n).toBe(true);
          sum += amount;
        }
        expect(sum).toBe(0n);
        for await (const [, value] of state.entries('entry/')) {
          expect(entrySchema.decode(value).legs.reduce((total, leg) => total + leg.amount, 0n)).toBe(0n);
        }
        expect(spending.accountBalance('held') >= 0n).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});
