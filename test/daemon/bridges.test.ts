import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import { type Bridges, startBridges } from '../../src/daemon/bridges.ts';
import { createTape } from '../../src/daemon/bridges-tape.ts';
import { type BridgesConfig, bridgesSchema } from '../../src/daemon/config-bridges.ts';
import { type AgentService, agentsOver, startAgentService } from '../stand-ins/agents.ts';
import { createMoneyService } from '../stand-ins/money.ts';
import { startTelegramService, type TelegramService } from '../stand-ins/telegram.ts';

let telegram: TelegramService;
let agents: AgentService;
let tokens: Store;
let open: Bridges[];

beforeEach(async () => {
  telegram = await startTelegramService();
  agents = await startAgentService();
  tokens = createMemoryStore();
  open = [];
});
afterEach(async () => {
  for (const bridges of open) await bridges.stop();
  await telegram.close();
  await agents.close();
});

async function start(
  environment: Readonly<Record<string, string>> = {},
  config: Partial<BridgesConfig> = {},
): Promise<Bridges> {
  const bridges = await startBridges(
    {
      agents: agentsOver(agents.url),
      money: createMoneyService(),
      store: createMemoryStore(),
      ...{ tokens, environment, clock: systemClock, log: silentLog },
    },
    { ...bridgesSchema.parse({ telegramApi: telegram.apiRoot, agent: 'guide' }), ...config },
  );
  open.push(bridges);
  return bridges;
}

async function comes(
  bridges: Bridges,
  fits: (row: ReturnType<Bridges['rows']>[number]) => boolean,
): Promise<void> {
  while (!bridges.rows().some(fits)) await new Promise((resolve) => setTimeout(resolve, 20));
}

const answered = (): number =>
  telegram.messages(7).filter(({ buttons }) => buttons.some((one) => one.callback_data.startsWith('receipt')))
    .length;

describe('the bridges of a daemon', () => {
  // BRG-70
  it('run where there is a token, in the environment or kept, and not where they are off', async () => {
    expect((await start()).rows()).toEqual([]);
    const given = { SAHARA_TELEGRAM_TOKEN: telegram.token };
    const off = await start(given, { off: ['telegram'] });
    expect(off.rows()).toMatchObject([{ platform: 'telegram', state: 'off', tokenFrom: 'environment' }]);
    expect((await off.check('telegram')).findings.at(-1)?.found).toBe('the bridge is off');
    const bridges = await start(given);
    await comes(bridges, ({ state }) => state === 'running');
    telegram.say({ chat: 7, user: 7, text: 'words=3' });
    await telegram.until(() => answered() === 1, 'the answer');
    await expect(bridges.remove('telegram')).rejects.toMatchObject({ code: 'token-missing' });
    await bridges.set('telegram', telegram.token);
    expect(bridges.rows()).toMatchObject([{ tokenFrom: 'kept' }]);
    await bridges.remove('telegram');
    expect(bridges.rows()).toMatchObject([{ tokenFrom: 'environment' }]);
  });

  // BRG-71
  it('keep only a token that the platform knows', async () => {
    const bridges = await start();
    await expect(bridges.set('telegram', '1234:not-known')).rejects.toMatchObject({ code: 'token-refused' });
    expect(bridges.rows()).toEqual([]);
    await expect(bridges.check('telegram')).rejects.toMatchObject({ code: 'token-missing' });
    expect(await bridges.set('telegram', telegram.token)).toMatchObject({ name: '@sahara_bot' });
  });

  // BRG-7 BRG-74
  it('say in words that another process holds the token, or that it is not known', async () => {
    const given = { SAHARA_TELEGRAM_TOKEN: telegram.token };
    const [one, other] = [await start(given), await start(given)];
    for (;;) {
      const held = [one, other].find((bridges) => bridges.rows()[0]?.reason?.includes('(409)'));
      if (held === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        continue;
      }
      expect(held.rows()[0]?.reason).toContain('another process polls with this token');
      break;
    }
    const refused = await start({ SAHARA_TELEGRAM_TOKEN: '1234:not-known' });
    await comes(refused, ({ state }) => state === 'refused');
    expect(refused.rows()[0]?.reason).toContain('does not know the token any more');
  });

  // BRG-70
  it('wait for a platform that is out of reach, and hold up nothing', async () => {
    const bridges = await start(
      { SAHARA_TELEGRAM_TOKEN: telegram.token },
      { telegramApi: 'http://127.0.0.1:1' },
    );
    expect(bridges.rows()).toMatchObject([{ state: 'starting' }]);
    await bridges.stop();
    expect(bridges.rows()).toEqual([]);
  });
});

describe('the tape of an answer', () => {
  // BRG-3
  it('tells every reader all of it, also one that comes late, and ends one that leaves alone', async () => {
    const tape = createTape();
    const read = async (signal?: AbortSignal): Promise<string> => {
      let text = '';
      for await (const event of tape.read(signal)) if (event.type === 'text') text += event.text;
      return text;
    };
    const early = read();
    const leaving = new AbortController();
    const left = read(leaving.signal);
    tape.push([{ type: 'text', text: 'a' }]);
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    const late = read();
    tape.push([{ type: 'text', text: 'b' }]);
    tape.close();
    expect([await early, await late, await read()]).toEqual(['ab', 'ab', 'ab']);
  });
});
