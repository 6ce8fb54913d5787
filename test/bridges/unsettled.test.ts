/** Calls of a bridge that loses its daemon: what may have been taken stays held until it is learnt, and then is booked once. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Store } from '../../src/base/store.ts';
import type { AgentsPort } from '../../src/bridges/core/ports.ts';
import { createState } from '../../src/bridges/core/state.ts';
import { UNSETTLED_KEPT_MS } from '../../src/bridges/limits.ts';
import { startTelegramBot, TELEGRAM_DEFAULTS, type TelegramBot } from '../../src/bridges/telegram/bot.ts';
import { createRemotePorts } from '../../src/daemon/bridges-client.ts';
import { serveBridges } from '../../src/daemon/bridges-remote.ts';
import {
  type AgentService,
  agentsOver,
  PAID_MAX,
  PAID_PER_CALL,
  startAgentService,
} from '../stand-ins/agents.ts';
import { createMoneyService } from '../stand-ins/money.ts';
import { startTelegramService, type TelegramService } from '../stand-ins/telegram.ts';
import { FAST, GENEROUS } from './settings.ts';

const TOKEN = 'a token of at least 24 characters';
const { welcome } = GENEROUS.spending;
/** Waits are over sooner here; the order of things is what it is. */
const QUICKER = 20;

describe('a bridge with its daemon elsewhere', () => {
  let telegram: TelegramService;
  let agents: AgentService;
  let store: Store;
  let home: string;
  let bot: TelegramBot;
  let daemon: Awaited<ReturnType<typeof serveBridges>>;
  let listen = '127.0.0.1:0';
  let laterMs = 0;
  let served: AgentsPort;
  /** How often the bot, since it started, has looked for what became of a call. */
  let looks = 0;

  const clock: Clock = {
    ...systemClock,
    nowMs: () => systemClock.nowMs() + laterMs,
    after: (delayMs, run) => systemClock.after(delayMs / QUICKER, run),
  };
  const serve = async (): Promise<void> => {
    daemon = await serveBridges(
      { agents: served, money: createMoneyService(), log: silentLog },
      { listen, token: TOKEN },
    );
    listen = daemon.address.replace('http://', '');
  };
  const startBot = async (): Promise<void> => {
    const { agents: port } = createRemotePorts(`http://${listen}`, TOKEN);
    looks = 0;
    const cancel: AgentsPort['cancel'] = (callId) => {
      looks += 1;
      return port.cancel(callId);
    };
    bot = await startTelegramBot(
      { agents: { ...port, cancel }, state: createState(store), clock, log: silentLog },
      {
        ...TELEGRAM_DEFAULTS,
        ...{ token: telegram.token, apiRoot: telegram.apiRoot, pollSeconds: 2, pace: FAST, bridge: GENEROUS },
      },
    );
  };
  const say = (text: string): void => void telegram.say({ chat: 7, user: 7, text });
  const said = (): string =>
    telegram
      .messages(7)
      .filter(({ fromBot }) => fromBot)
      .map(({ text }) => text)
      .join('\n');
  const reads = (pattern: RegExp): Promise<void> =>
    telegram.until(() => pattern.test(said()), String(pattern));
  const books = (): Readonly<Record<string, bigint>> => {
    const at = (account: string): bigint => bot.bridge.balanceOf(account);
    return { held: at('held'), user: at('user/telegram:7'), agents: at('agents'), operator: at('operator') };
  };
  const settled = (): Promise<void> => telegram.until(() => books().held === 0n, 'nothing held');

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'bridge-'));
    store = await openLevelStore(join(home, 'store'));
    [telegram, agents] = await Promise.all([startTelegramService(), startAgentService()]);
    served = agentsOver(agents.url);
    laterMs = 0;
    listen = '127.0.0.1:0';
    await serve();
    await startBot();
  });
  afterEach(async () => {
    await bot.stop();
    await daemon.stop();
    await Promise.all([telegram.close(), agents.close()]);
    await store.close();
    await rm(home, { recursive: true });
  });

  /** Asks, and takes the daemon away while the agent answers. */
  async function lose(question: string): Promise<void> {
    say(question);
    await telegram.until(() => agents.calls.size === 1, 'the call');
    await daemon.stop();
    await reads(/not known yet what it cost/);
    await bot.bridge.idle();
  }

  // BRG-166 BRG-167
  test.each([
    ['held words=5', PAID_PER_CALL + 50n],
    ['held silent', 0n],
  ])(
    'keeps what it held for “%s” until it learns, after a restart too, what it cost',
    async (question, cost) => {
      await lose(question);
      expect(books()).toEqual({ held: PAID_MAX, user: welcome - PAID_MAX, agents: 0n, operator: 0n });
      await bot.stop();
      await startBot();
      agents.release();
      expect(books().held).toBe(PAID_MAX);
      await serve();
      await settled();
      expect(books()).toEqual({ held: 0n, user: welcome, agents: cost, operator: -cost });
      await telegram.until(() => agents.charged() === cost, 'the charge');
      // Nobody took money for nothing: the agent is asked on.
      say('words=4');
      await reads(/paid · /);
      await bot.bridge.idle();
      const price = PAID_PER_CALL + 40n;
      expect(books()).toEqual({ held: 0n, user: welcome - price, agents: cost + price, operator: -cost });
      await bot.stop();
      await startBot();
      expect(books()).toEqual({ held: 0n, user: welcome - price, agents: cost + price, operator: -cost });
    },
  );

  // BRG-167
  test('gives up after two days: the asker has the money, and the agent is not to blame', async () => {
    await lose('held words=5');
    say('/history');
    await reads(/cost not known yet · held words=5/);
    say('/export');
    await reads(/"paid": null/);
    laterMs = UNSETTLED_KEPT_MS;
    await settled();
    say('/history');
    await reads(/free · held words=5/);
    expect(books()).toEqual({ held: 0n, user: welcome, agents: 0n, operator: 0n });
    await serve();
    say('words=4');
    await reads(/paid · /);
  });

  // BRG-148 BRG-172
  test('nobody asks an agent that does not tell what it took, and it is paused for what the operator bears of it', async () => {
    say('begun error=deadline-exceeded outcome=unknown words=5');
    await reads(/not known yet what it cost/);
    await bot.bridge.idle();
    expect(books()).toEqual({ held: PAID_MAX, user: welcome - PAID_MAX, agents: 0n, operator: 0n });
    say('words=4');
    await reads(/not known yet what the last answer of paid cost/);
    agents.release();
    await settled();
    const price = PAID_PER_CALL + 50n;
    expect(books()).toEqual({ held: 0n, user: welcome, agents: price, operator: -price });
    say('words=4');
    await reads(/took money without an answer/);
    expect(agents.calls.size).toBe(1);
  });

  // BRG-167
  test('does not give up at once what was left over for longer: it may not reach anybody yet', async () => {
    await lose('held words=5');
    await bot.stop();
    agents.release();
    laterMs = UNSETTLED_KEPT_MS;
    await startBot();
    await telegram.until(() => looks >= 2, 'a second look');
    await serve();
    await settled();
    const cost = PAID_PER_CALL + 50n;
    expect(books()).toEqual({ held: 0n, user: welcome, agents: cost, operator: -cost });
  });

  // BRG-167 BRG-172
  test('gives up after two days what an agent never told: the asker has the money, and the agent is paused', async () => {
    say('error=peer-gone outcome=unknown');
    await reads(/not known yet what it cost/);
    laterMs = UNSETTLED_KEPT_MS;
    await settled();
    expect(books()).toEqual({ held: 0n, user: welcome, agents: 0n, operator: 0n });
    say('words=4');
    await reads(/took money without an answer/);
  });

  // BRG-168 BRG-33
  test('asks for a receipt again, and blames nobody for one that could not be asked for', async () => {
    let failing = 2;
    await daemon.stop();
    const whole = agentsOver(agents.url);
    served = {
      ...whole,
      async receipt(callId) {
        if (failing-- > 0) throw new SaharaError('internal');
        return whole.receipt(callId);
      },
    };
    await serve();
    say('words=5 finish=failed');
    await reads(/ended early: 5 units were delivered/);
    await bot.bridge.idle();
    const price = PAID_PER_CALL + 50n;
    expect(books()).toEqual({ held: 0n, user: welcome - price, agents: price, operator: 0n });

    failing = 6;
    say('words=6 finish=failed');
    await reads(/w6[\s\S]*not known yet what it cost/);
    await settled();
    const both = 2n * price + 10n;
    expect(books()).toEqual({ held: 0n, user: welcome - both, agents: both, operator: 0n });
    say('words=4');
    await reads(/w4\n[\s\S]*paid · /);
  });
});
