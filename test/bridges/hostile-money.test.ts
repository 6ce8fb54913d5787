/** What people try with the books of a bridge, and what stands between a lone bridge and its daemon. */
import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { fromHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createCash } from '../../src/bridges/core/cash.ts';
import { createJournal, jobKey } from '../../src/bridges/core/journal.ts';
import { languageFor } from '../../src/bridges/core/languages.ts';
import { joining, leaving } from '../../src/bridges/core/people.ts';
import { type ChatEvent, type Platform, platformFailure } from '../../src/bridges/core/platform.ts';
import { paymentEvent, type ShopParts, shopReply, takePayment } from '../../src/bridges/core/shop.ts';
import { createSpending, SPENDING_DEFAULTS } from '../../src/bridges/core/spending.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { createRemotePorts } from '../../src/daemon/bridges-client.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { createMoneyService, FEE, type MoneyService, signerOf } from '../stand-ins/money.ts';
import { telegramStage } from './telegram-stage.ts';

const AT_MS = 1_000_000;
const DID = didOf(signerOf(9).publicKey);
const WIDE = 10n ** 9n;
const options = {
  ...SPENDING_DEFAULTS,
  ...{ callMax: WIDE, userDayMax: WIDE, chatDayMax: WIDE, guildDayMax: WIDE, bridgeDayMax: WIDE },
  bridgeMax: WIDE,
};
const eventOf = ({ userId }: { readonly userId: string }): ChatEvent => ({
  platform: 'telegram',
  id: `of ${userId}`,
  type: 'question',
  userId,
  userName: '',
  language: 'en',
  place: { chat: userId, thread: undefined, direct: true, guild: undefined },
  messageId: undefined,
  ...{ text: '', argument: '', quote: '', attachments: [], token: '', atMs: AT_MS },
});
const grantOf = (user: string, number: number) => ({
  ...{
    version: 1,
    network: 'test',
    bridge: new Uint8Array(32),
    user,
    nonce: new Uint8Array(16).fill(number),
  },
  ...{ did: signerOf(9).publicKey, callMax: WIDE, dayMax: WIDE, max: WIDE, issuedAtMs: 0, expiresAtMs: 9e15 },
});

function books(money: MoneyService = createMoneyService()) {
  const state = createState(createMemoryStore());
  const spending = createSpending({ state }, options);
  const cash = createCash({ money, spending, state, clock: systemClock, log: silentLog });
  const write = (step: () => ReturnType<typeof spending.credit>): Promise<void> =>
    state.update(() => ({ operations: step(), result: undefined }));
  const link = (user: string, number: number): Promise<void> =>
    write(() => [
      ...spending.moveTo(user, DID, { id: `${number}`, atMs: AT_MS }),
      ...joining(state, user, DID, grantOf(user, number)),
    ]);
  return { state, money, spending, cash, write, link };
}

describe('someone who unlinks while a question runs', () => {
  // BRG-81 BRG-86 BRG-140
  test('gets what was given back as given, and is paid none of it', async () => {
    const { state, spending, write, link } = books();
    const event = eventOf({ userId: '1' });
    await write(() => spending.give('telegram:1', 100n, { id: 'bought', atMs: AT_MS }));
    await link('telegram:1', 1);
    await write(() => spending.reserve({ key: 'aa', event, amountMax: 100n, atMs: AT_MS }));
    await write(() => leaving(state, 'telegram:1'));
    await write(() => spending.settle('aa', 30n, { paidBy: 'user', atMs: AT_MS }));
    expect(spending.standing(event)).toMatchObject({ balance: 70n, payable: 0n });
    expect(spending.refundable('telegram:1')).toBe(70n);
  });

  // BRG-81
  test('gets what was paid in back as it was, beside what was given', async () => {
    const { state, spending, write, link } = books();
    const event = eventOf({ userId: '1' });
    await write(() => spending.give('telegram:1', 40n, { id: 'bought', atMs: AT_MS }));
    await write(() => spending.credit('telegram:1', 60n, { id: 'paid', atMs: AT_MS }));
    await link('telegram:1', 1);
    await write(() => spending.reserve({ key: 'aa', event, amountMax: 100n, atMs: AT_MS }));
    await write(() => leaving(state, 'telegram:1'));
    await write(() => spending.settle('aa', 50n, { paidBy: 'user', atMs: AT_MS }));
    expect(spending.standing(event)).toMatchObject({ balance: 50n, payable: 50n });
  });
});

// BRG-80 BRG-85
test('a deposit with the memo of a shared account is that account’s, also when whoever asked for the memo left it', async () => {
  const { state, spending, cash, money, write, link } = books();
  await link('telegram:1', 1);
  await link('discord:2', 2);
  const { memo } = await cash.depositCode('telegram:1');
  expect((await cash.depositCode('discord:2')).memo).toBe(memo);
  await cash.collect();
  await write(() => leaving(state, 'telegram:1'));
  money.receive(didOf(signerOf(77).publicKey), 500n, memo);
  await cash.collect();
  expect([spending.balance('telegram:1'), spending.balance('discord:2')]).toEqual([0n, 500n]);
});

// BRG-89
test('a deposit is credited by one of two bridges that share a wallet, whoever looks first', async () => {
  const money = createMoneyService();
  const homes = [books(money), books(money)];
  for (const [i, home] of homes.entries()) {
    await home.link('telegram:1', i);
    await home.cash.collect();
  }
  const memos = await Promise.all(homes.map(async ({ cash }) => (await cash.depositCode('telegram:1')).memo));
  expect(memos[0]).not.toBe(memos[1]);
  money.receive(DID, 500n, '');
  money.receive(DID, 70n, memos[1] ?? '');
  for (let i = 0; i < 2; i++) await Promise.all(homes.map(({ cash }) => cash.collect()));
  expect(homes.reduce((sum, { spending }) => sum + spending.balance('telegram:1'), 0n)).toBe(570n);
});

describe('two refunds at once', () => {
  async function shopOf(refund: (payment: string) => Promise<void>) {
    const { state, spending } = books();
    // The shop uses nothing else of a platform than its own side of selling.
    const platform = { shop: { offers: async () => [], refund: (_: string, id: string) => refund(id) } };
    const parts: ShopParts = {
      ...{ spending, state, clock: systemClock, log: silentLog, support: '' },
      platform: platform as Partial<Platform> as Platform,
    };
    const event = eventOf({ userId: '1' });
    const language = languageFor('en');
    const journal = createJournal(state, { name: 'telegram', sequenceOf: () => 'x' });
    for (const id of [`stx${'o'.repeat(160)}`, `stx${'t'.repeat(900)}`]) {
      const [job] = await journal.record([paymentEvent(event, { id, amount: 100n, bot: 'b' })]);
      if (job !== undefined) await takePayment(parts, job, language);
    }
    const ask = (key: string) =>
      shopReply(parts, { event: { ...event, text: 'refund' }, key, argument: '', language });
    return { spending, ask };
  }

  // BRG-142
  test('take the credit of one purchase once', async () => {
    const given: string[] = [];
    const { spending, ask } = await shopOf(async (payment) => void given.push(payment));
    await Promise.all([ask('aa'), ask('bb')]);
    expect(new Set(given).size).toBe(1);
    expect(spending.balance('telegram:1')).toBe(100n);
    await ask('cc');
    expect(new Set(given).size).toBe(2);
    expect(spending.balance('telegram:1')).toBe(0n);
  });

  // BRG-142
  test('that are refused leave the credit where it was, and none beside it', async () => {
    const { spending, ask } = await shopOf(async () => {
      throw platformFailure('telegram', 'refused', 'no');
    });
    await Promise.all([ask('aa'), ask('bb'), ask('cc')]);
    expect(spending.balance('telegram:1')).toBe(200n);
  });

  // BRG-142
  test('of which one is refused and one is done leave no credit for what was given back', async () => {
    let count = 0;
    const { spending, ask } = await shopOf(async () => {
      if (++count === 1) throw platformFailure('telegram', 'refused', 'no');
      await new Promise((resolve) => setTimeout(resolve, 20));
    });
    await Promise.all([ask('aa'), ask('bb')]);
    expect(spending.balance('telegram:1')).toBe(100n);
  });
});

// BRG-2 BRG-140
test('an event beyond what is kept does not hold up those behind it', async () => {
  const stage = await telegramStage();
  try {
    const event = { ...eventOf({ userId: '7' }), id: 'sound', text: '/help', messageId: '1' };
    const tooLong = { ...event, id: 'x'.repeat(5_000) };
    const file = { id: 'x', name: 'a', sizeBytes: -1 };
    await stage.bot.bridge.receive([tooLong, { ...event, id: 'file', attachments: [file] }, event]);
    await stage.telegram.until(() => stage.telegram.messages(7).length > 0, 'an answer');
  } finally {
    await stage.close();
  }
});

// BRG-48
test('what was refused, and what still ran at one /forget, is gone after the next', async () => {
  const state = createState(createMemoryStore());
  const journal = createJournal(state, { name: 'telegram', sequenceOf: () => 'x' });
  const secret = 'my secret question';
  const events: ChatEvent[] = ['refused', 'running'].map((id) => ({
    ...eventOf({ userId: '1' }),
    ...{ id, text: secret },
  }));
  const [refused = '', running = ''] = events.map(({ id }) => Buffer.from(jobKey(id)).toString('hex'));
  await journal.record(events);
  await journal.change(refused, () => ({ job: { phase: 'done', question: secret }, result: undefined }));
  await journal.change(running, () => ({ job: { phase: 'asking', question: secret }, result: undefined }));
  await journal.forget(['telegram:1']);
  expect(journal.find(refused)).toMatchObject({ question: '', event: { text: '' } });
  expect(journal.find(running)?.question).toBe(secret);
  await journal.change(running, () => ({ job: { phase: 'done' }, result: undefined }));
  await journal.forget(['telegram:1']);
  expect(journal.find(running)).toMatchObject({ question: '', event: { text: '' } });
});

describe('a proxy in front of a daemon that is away', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  // BRG-75 BRG-82 BRG-83
  test.each([
    [502, 'text/html', '<html>Bad Gateway</html>'],
    [404, 'application/json', '{"message":"Route not found","error":"Not Found","statusCode":404}'],
    [200, 'text/html', '<html>Maintenance</html>'],
    [200, 'application/json', '{}'],
    [503, 'application/json', '{"code":"unavailable"}'],
  ])('has paid nothing when it says %i %s', async (status, type, body) => {
    server = createServer((_, response) => {
      response.writeHead(status, { 'content-type': type }).end(body);
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const { money } = createRemotePorts(`http://127.0.0.1:${port}`, 'x'.repeat(32));
    const order = {
      reference: fromHex('00'.repeat(16)) ?? new Uint8Array(16),
      to: DID,
      amount: 5n,
      memo: '',
    };
    await expect(money.pay(order)).rejects.toMatchObject({ code: 'daemon-not-running' });

    const { spending, state, write } = books();
    const whoami = createMoneyService().whoami;
    const cash = createCash({
      ...{ spending, state, clock: systemClock, log: silentLog },
      money: { ...money, whoami },
    });
    await write(() => spending.credit('telegram:1', 100n, { id: 'paid', atMs: AT_MS }));
    const withdrawn = await cash.withdraw('ab'.repeat(16), { user: 'telegram:1', to: DID, amount: 50n });
    expect(withdrawn.type).toBe('under-way');
    expect(spending.accountBalance('leaving')).toBe(50n + FEE);
  });
});
