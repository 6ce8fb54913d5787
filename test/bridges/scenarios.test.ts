/** What both bots do, told once and run on each. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatAmount } from '../../src/base/amount.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { PAID_MAX, PAID_PER_CALL, TOOK_ANYWAY } from '../stand-ins/agents.ts';
import type { Fault } from '../stand-ins/telegram.ts';
import { GENEROUS } from './settings.ts';
import { type BotMessage, onDiscord, onTelegram, type Stage, type Where } from './stage.ts';

describe.each([
  ['telegram', onTelegram],
  ['discord', onDiscord],
] as const)('a person on %s', (_, start) => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await start();
  });
  afterEach(() => stage.close());

  const finals = (user: number, where: Where): readonly BotMessage[] =>
    stage.shown(user, where).filter((message) => message.actions.includes('receipt'));
  const answered = async (user: number, where: Where, count = 1): Promise<BotMessage> => {
    await stage.until(() => finals(user, where).length >= count, `answer ${count}`);
    await stage.bridge().idle();
    return finals(user, where)[count - 1] as BotMessage;
  };
  const textOf = (user: number, where: Where): string =>
    stage
      .shown(user, where)
      .map((message) => message.text)
      .join('\n');
  const shows = (user: number, where: Where, pattern: RegExp): Promise<void> =>
    stage.until(() => pattern.test(textOf(user, where)), String(pattern));
  const secretly = (user: number, where: Where, pattern: RegExp): Promise<void> =>
    stage.until(
      () => stage.secret(user, where).some((message) => pattern.test(message.text)),
      String(pattern),
    );

  /** `/balance` says that the caps of a day count `amount`. */
  const spentToday = (amount: bigint): Promise<void> => {
    stage.command(7, 'direct', 'balance');
    const pattern = new RegExp(`Spent or held today: ${formatAmount(amount).replace('.', '\\.')}`);
    const texts = () => [...stage.shown(7, 'direct'), ...stage.secret(7, 'direct')].map(({ text }) => text);
    return stage.until(() => pattern.test(texts().join('\n').replaceAll('\\', '')), String(pattern));
  };

  // BRG-1 BRG-10
  test.each(['direct', 'group'] as const)(
    'asks in a %s and gets one answer with its price and buttons',
    async (where) => {
      stage.ask(7, where, 'words=30 delay=4');
      const answer = await answered(7, where);
      expect(answer.text).toContain('w30');
      expect(answer.text).toMatch(/paid · 0\.0000013 SAHARA/);
      expect(answer.actions).toEqual(['retry', 'sources', 'receipt', 'good', 'bad']);
      expect(stage.shown(7, where)).toHaveLength(1);
      expect(stage.bridge().balanceOf('agents')).toBe(PAID_PER_CALL + 300n);
    },
  );

  // BRG-11
  test('asks by command', async () => {
    stage.command(7, 'group', 'ask', 'words=9');
    expect((await answered(7, 'group')).text).toContain('w9');
    expect(stage.shown(7, 'group').filter((message) => message.text !== '')).toHaveLength(1);
  });

  // BRG-22
  test('gets a long answer in several messages without a word lost or repeated', async () => {
    stage.ask(7, 'direct', 'words=1800');
    await answered(7, 'direct');
    const words = textOf(7, 'direct').match(/\bw\d+/g);
    expect(words).toEqual(Array.from({ length: 1800 }, (__, i) => `w${i + 1}`));
    expect(finals(7, 'direct')).toHaveLength(1);
  });

  // BRG-12
  test('stops an answer and pays for what came', async () => {
    stage.ask(7, 'direct', 'words=3000 delay=20');
    await shows(7, 'direct', /w9\b/);
    const growing = stage.shown(7, 'direct').find((message) => message.actions.includes('stop'));
    if (!growing) throw new Error('no stop button');
    stage.press(7, 'direct', growing, 'stop');
    const answer = await answered(7, 'direct');
    expect(textOf(7, 'direct')).toMatch(/\\?\[stopped/);
    expect(textOf(7, 'direct')).not.toContain('w3000');
    expect(answer.actions).toContain('retry');
    expect(stage.bridge().balanceOf('agents')).toBe(stage.agents.charged());
    expect(stage.agents.charged() < PAID_PER_CALL + 30_000n).toBe(true);
  });

  // BRG-13
  test('asks again with the button: a second call, a second charge', async () => {
    stage.ask(7, 'direct', 'words=5');
    const first = await answered(7, 'direct');
    stage.press(7, 'direct', first, 'retry');
    await answered(7, 'direct', 2);
    expect(stage.agents.calls.size).toBe(2);
    expect(stage.bridge().balanceOf('agents')).toBe(2n * (PAID_PER_CALL + 50n));
  });

  test('reads the sources, and the receipt in private', async () => {
    stage.ask(7, 'group', 'words=5');
    const answer = await answered(7, 'group');
    stage.press(7, 'group', answer, 'sources');
    await shows(7, 'group', /The passage behind it/);
    stage.press(7, 'group', answer, 'receipt');
    await secretly(7, 'group', /knowledge: 0\.000000525 SAHARA \(50 %\)/);
    expect(textOf(7, 'group')).not.toContain('knowledge');
  });

  // BRG-40
  test("cannot press another person's buttons", async () => {
    stage.ask(7, 'group', 'words=500 delay=20');
    await shows(7, 'group', /w9\b/);
    const [growing] = stage.shown(7, 'group');
    if (!growing) throw new Error('nothing shown');
    const data = growing.dataOf('stop');
    stage.press(8, 'group', growing, 'stop');
    stage.press(8, 'group', growing, 'receipt', data.replace('stop', 'receipt'));
    stage.press(8, 'group', growing, 'retry', data.replace('stop', 'retry'));
    await secretly(8, 'group', /Only the person who asked/);
    await answered(7, 'group');
    expect(textOf(7, 'group')).toContain('w500');
    expect(stage.agents.calls.size).toBe(1);
  });

  // BRG-41
  test('forged button data does nothing', async () => {
    stage.ask(7, 'direct', 'words=5');
    const answer = await answered(7, 'direct');
    for (const data of [
      'pay:00',
      `retry:${'0'.repeat(32)}`,
      'stop:',
      `spend:${answer.dataOf('retry').slice(6)}`,
    ]) {
      stage.press(7, 'direct', answer, 'retry', data);
    }
    stage.ask(7, 'direct', 'words=6');
    await answered(7, 'direct', 2);
    expect(stage.agents.calls.size).toBe(2);
  });

  test('uses the commands', async () => {
    stage.command(7, 'direct', 'agents');
    await shows(7, 'direct', /guide.*\n.*paid/);
    stage.command(7, 'direct', 'agent', 'giude');
    await shows(7, 'direct', /Did you mean guide\?/);
    stage.command(7, 'direct', 'agent', 'guide');
    await shows(7, 'direct', /now go to guide/);
    stage.ask(7, 'direct', 'topic=free words=3');
    await answered(7, 'direct');
    expect(stage.agents.charged()).toBe(0n);
    stage.command(7, 'direct', 'help');
    await shows(7, 'direct', /Ask me anything/);
    stage.command(7, 'direct', 'privacy');
    await shows(7, 'direct', /used to train or merge models/);
  });

  // BRG-42
  test('reads balance, proof, price and history in private only', async () => {
    stage.ask(7, 'group', 'words=5 topic=secrets');
    await answered(7, 'group');
    stage.command(7, 'group', 'balance');
    await secretly(7, 'group', /You can spend 0\.99999895 SAHARA/);
    stage.command(7, 'group', 'proof');
    await secretly(7, 'group', /The proof is valid: 7 checks/);
    stage.command(7, 'group', 'explain');
    await secretly(7, 'group', /0\.000001 SAHARA for the call/);
    stage.command(7, 'group', 'history');
    await secretly(7, 'group', /words=5 topic=secrets/);
    stage.command(8, 'group', 'history');
    await secretly(8, 'group', /You have not asked anything yet/);
    stage.command(7, 'group', 'forget');
    await secretly(7, 'group', /are deleted/);
    stage.command(7, 'group', 'history');
    await secretly(7, 'group', /You have not asked anything yet/);
    expect(textOf(7, 'group')).not.toContain('You can spend');
  });

  // BRG-43
  test('finds groups closed until they are opened', async () => {
    stage.ask(7, 'closed-group', 'words=5');
    await shows(7, 'closed-group', /not open for me/);
    expect(stage.agents.calls.size).toBe(0);
  });

  // BRG-50
  test.each([
    ['overloaded', /too much to do/],
    ['caller-refused', /refused this question/],
    ['internal', /Something went wrong on our side/],
  ])('reads one sentence with an id when the agent says %s, and keeps the money', async (code, sentence) => {
    stage.ask(7, 'direct', `error=${code}`);
    await stage.until(() => sentence.test(textOf(7, 'direct')), code);
    await stage.bridge().idle();
    expect(textOf(7, 'direct')).toMatch(/this id: [0-9a-f]{12}/);
    expect(stage.shown(7, 'direct')).toHaveLength(1);
    expect(stage.bridge().balanceOf('held')).toBe(0n);
    expect(stage.bridge().balanceOf(`user/${stage.name}:7`)).toBe(GENEROUS.spending.welcome);
  });

  // BRG-33
  test('pays for what came of an answer that broke off, and is told so', async () => {
    stage.ask(7, 'direct', 'words=5 finish=failed');
    const answer = await answered(7, 'direct');
    const charged = PAID_PER_CALL + 50n;
    expect(answer.text.replaceAll('\\', '')).toContain(
      'w5\n\n[ended early: 5 units were delivered, and 0.00000105 SAHARA charged for them]',
    );
    expect(answer.text).toContain('0.00000105 SAHARA');
    expect(stage.bridge().balanceOf(`user/${stage.name}:7`)).toBe(GENEROUS.spending.welcome - charged);
    expect(stage.bridge().balanceOf('operator')).toBe(0n);
  });

  // BRG-33 BRG-148
  test.each(['silent greedy', 'silent greedy finish=failed', 'words=5 finish=failed unreceipted'])(
    'pays nothing to an agent that charges for “%s”, which is not asked again for a while',
    async (how) => {
      stage.ask(7, 'direct', how);
      await answered(7, 'direct');
      const taken = stage.agents.charged();
      expect(taken).toBeGreaterThan(0n);
      expect(stage.bridge().balanceOf(`user/${stage.name}:7`)).toBe(GENEROUS.spending.welcome);
      expect(stage.bridge().balanceOf('operator')).toBe(-taken);
      for (const user of [7, 8]) {
        stage.ask(user, 'direct', how);
        await shows(user, 'direct', /took money without an answer/);
      }
      expect(stage.agents.calls.size).toBe(1);
      stage.command(7, 'direct', 'agent', 'guide');
      await shows(7, 'direct', /now go to guide/);
      stage.ask(7, 'direct', 'words=4');
      await shows(7, 'direct', /w4\b[\s\S]*free/);
    },
  );

  // BRG-33 BRG-148
  test('pays nothing for a call of which an agent took something and delivered nothing; caps count it', async () => {
    stage.ask(7, 'direct', 'error=deadline-exceeded outcome=charged');
    await shows(7, 'direct', /took too long, so nothing was charged/);
    await stage.bridge().idle();
    expect(stage.bridge().balanceOf(`user/${stage.name}:7`)).toBe(GENEROUS.spending.welcome);
    expect(stage.bridge().balanceOf('operator')).toBe(-TOOK_ANYWAY);
    await spentToday(TOOK_ANYWAY);
    stage.ask(7, 'direct', 'words=4');
    await shows(7, 'direct', /took money without an answer/);
  });

  // BRG-33 BRG-166 BRG-172
  test('has so much held as a call can have cost of which its agent does not tell that, and nobody asks that agent', async () => {
    stage.ask(7, 'direct', 'error=deadline-exceeded outcome=unknown');
    await shows(7, 'direct', /not known yet what it cost/);
    await stage.bridge().idle();
    const { welcome } = GENEROUS.spending;
    expect(stage.bridge().balanceOf(`user/${stage.name}:7`)).toBe(welcome - PAID_MAX);
    expect(stage.bridge().balanceOf('held')).toBe(PAID_MAX);
    await spentToday(PAID_MAX);
    stage.ask(8, 'direct', 'words=4');
    await shows(8, 'direct', /not known yet what the last answer of paid cost/);
    expect(stage.bridge().balanceOf('held')).toBe(PAID_MAX);
    stage.command(8, 'direct', 'agent', 'guide');
    await shows(8, 'direct', /now go to guide/);
    stage.ask(8, 'direct', 'words=4');
    await answered(8, 'direct');
  });

  test('is told when the chosen agent went away', async () => {
    stage.agents.online.delete('paid');
    stage.ask(7, 'direct', 'hello');
    await shows(7, 'direct', /That agent is not online/);
  });

  // BRG-3
  test('gets the whole answer when the connection to the agent breaks in the middle', async () => {
    stage.ask(7, 'direct', 'words=60 break=3');
    const answer = await answered(7, 'direct');
    expect(answer.text.match(/\bw\d+/g)).toHaveLength(60);
    expect([...stage.agents.calls.values()].map((call) => call.joins)).toEqual([2]);
    expect(stage.bridge().balanceOf('agents')).toBe(PAID_PER_CALL + 600n);
  });

  // BRG-2
  test('is answered once when the platform delivers twice', async () => {
    stage.ask(7, 'direct', 'words=5');
    await answered(7, 'direct');
    stage.ask(7, 'direct', 'words=6');
    await answered(7, 'direct', 2);
    stage.repeat(2);
    stage.ask(7, 'direct', 'words=7');
    await answered(7, 'direct', 3);
    expect(stage.shown(7, 'direct')).toHaveLength(3);
    expect(stage.agents.calls.size).toBe(3);
  });

  // BRG-3
  test('joins a call again with the very same request, although the conversation went on', async () => {
    stage.ask(7, 'direct', 'words=600 delay=60 topic=long');
    await shows(7, 'direct', /w9\b/);
    stage.ask(7, 'direct', 'words=4 topic=short');
    await stage.until(() => finals(7, 'direct').length === 1, 'the short answer');
    const before = [...stage.agents.calls.values()].map((call) => JSON.stringify(call.request.context));
    await stage.restart();
    await answered(7, 'direct', 2);
    expect(stage.agents.conflicts()).toBe(0);
    expect(before).toEqual(['[]', '[]']);
  });

  // BRG-4
  test('is answered once when the bot restarts in the middle', async () => {
    stage.ask(7, 'direct', 'words=200 delay=15');
    await shows(7, 'direct', /w9\b/);
    await stage.restart();
    const answer = await answered(7, 'direct');
    expect(answer.text.match(/\bw\d+/g)).toHaveLength(200);
    expect(stage.shown(7, 'direct')).toHaveLength(1);
    expect(stage.agents.calls.size).toBe(1);
  });

  // BRG-5
  test.each(['drop-before', 'drop-after', '500-before', '500-after', '429', 'slow'] as const)(
    'sees one whole answer although any sending or edit meets %s',
    async (fault: Fault) => {
      for (const [i, at] of [[1], [2], [1, 2], [3], [2, 4]].entries()) {
        stage.fault((count) => (at.includes(count) ? fault : undefined));
        stage.ask(70 + i, 'direct', 'words=700 delay=3');
        await answered(70 + i, 'direct');
        stage.fault(undefined);
        expect(textOf(70 + i, 'direct').match(/\bw\d+/g)).toEqual(
          Array.from({ length: 700 }, (__, w) => `w${w + 1}`),
        );
        expect(textOf(70 + i, 'direct')).not.toMatch(/Asking|…/);
        expect(finals(70 + i, 'direct')).toHaveLength(1);
      }
      expect(stage.agents.calls.size).toBe(5);
    },
  );

  // BRG-14
  test('sends a text file along, and no other', async () => {
    stage.ask(7, 'direct', 'words=4', { name: 'notes].txt', content: utf8('topic=file is in the notes') });
    expect((await answered(7, 'direct')).text).toContain('Answer to file');
    stage.ask(7, 'direct', 'words=4', { name: 'x.txt', content: new Uint8Array([0xff, 0xfe, 0]) });
    await shows(7, 'direct', /only read text files/);
    stage.ask(8, 'direct', 'words=4', { name: 'big.txt', content: new Uint8Array(40_000) });
    await shows(8, 'direct', /only read text files/);
  });

  // BRG-44
  test('text of a question or an answer cannot ping or choose', async () => {
    stage.ask(7, 'direct', 'please /agent guide @everyone <@1> as=markdown');
    await answered(7, 'direct');
    const [call] = stage.agents.calls.values();
    expect(call?.request.agent).not.toBe('');
    if (stage.name === 'discord') expect(textOf(7, 'direct')).not.toMatch(/(^|[^\\])<@|(^|[^\\])@everyone/);
  });

  // BRG-45
  test('every question says that it is excluded from training', async () => {
    stage.ask(7, 'direct', 'words=4');
    await answered(7, 'direct');
    expect([...stage.agents.calls.values()].map((call) => call.request.training)).toEqual(['excluded']);
  });

  // BRG-15
  test('goes on with a conversation, until it is forgotten', async () => {
    stage.ask(7, 'direct', 'words=4 topic=one');
    await answered(7, 'direct');
    stage.ask(7, 'direct', 'words=4 topic=two');
    await answered(7, 'direct', 2);
    stage.command(7, 'direct', 'forget');
    await stage.until(
      () =>
        /are deleted/.test(
          textOf(7, 'direct') +
            stage
              .secret(7, 'direct')
              .map((one) => one.text)
              .join(),
        ),
      'forgotten',
    );
    stage.ask(7, 'direct', 'words=4 topic=three');
    await answered(7, 'direct', 3);
    const contexts = [...stage.agents.calls.values()].map((call) =>
      call.request.context.map((turn) => turn.role),
    );
    expect(contexts).toEqual([[], ['user', 'agent'], []]);
  });
});

describe.each([
  ['telegram', onTelegram],
  ['discord', onDiscord],
] as const)('a bridge on %s', (_, start) => {
  // BRG-32
  test('with all caps at 0 spends nothing, whoever asks, and free agents still answer', async () => {
    const zero = {
      callMax: 0n,
      userDayMax: 0n,
      chatDayMax: 0n,
      guildDayMax: 0n,
      bridgeDayMax: 0n,
      bridgeMax: 0n,
    };
    const stage = await start({ ...GENEROUS, spending: { ...GENEROUS.spending, ...zero } });
    stage.ask(7, 'direct', 'words=4');
    const text = (): string =>
      stage
        .shown(7, 'direct')
        .map((message) => message.text)
        .join('\n');
    await stage.until(() => /costs more for one answer/.test(text()), 'the refusal');
    stage.command(7, 'direct', 'agent', 'guide');
    await stage.until(() => /now go to guide/.test(text()), 'the choice');
    stage.ask(7, 'direct', 'words=4');
    await stage.until(() => /w4\b[\s\S]*free/.test(text()), 'the answer');
    expect(stage.agents.charged()).toBe(0n);
    await stage.close();
  });

  // BRG-46
  test('slows down a user who floods it', async () => {
    const stage = await start({
      ...GENEROUS,
      policy: { ...GENEROUS.policy, userBurst: 2, userIntervalMs: 60_000 },
    });
    for (let i = 0; i < 3; i++) stage.ask(7, 'direct', `words=4 topic=t${i}`);
    await stage.until(() => stage.shown(7, 'direct').some((one) => /too fast/.test(one.text)), 'the refusal');
    await stage.bridge().idle();
    expect(stage.agents.calls.size).toBe(2);
    await stage.close();
  });
});
