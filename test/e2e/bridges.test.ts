/** From a message in a chat to a settled, verified receipt: real daemons, and a stand-in for each platform. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { type DiscordService, startDiscordService } from '../stand-ins/discord.ts';
import { startTelegramService, type TelegramService } from '../stand-ins/telegram.ts';
import { eventually, LOOPBACK, must } from './support.ts';

const QUESTION = 'How does a payee get paid if the payer disappears?';
/** A person who writes to the bot alone. */
const USER = 7;
const ACTOR = { user: String(USER), channel: '70007', guild: undefined };

let peers: Peers;
let host: Peer;
let bridge: Peer;
let telegram: TelegramService;
let discord: DiscordService;
let flags: readonly string[];

beforeAll(async () => {
  telegram = await startTelegramService();
  discord = await startDiscordService();
  peers = await createPeers();
  [host, bridge] = [await peers.add('host'), await peers.add('bridge')];
  const { addresses } = await host.start(...LOOPBACK);
  flags = [
    ...LOOPBACK,
    ...['--mesh-bootstrap', addresses[0] ?? ''],
    ...['--bridges-telegram-api', telegram.apiRoot],
    ...['--bridges-discord-api', discord.api],
    ...['--bridges-call-max', '0.01', '--bridges-user-day-max', '1', '--bridges-chat-day-max', '1'],
    ...['--bridges-guild-day-max', '1', '--bridges-day-max', '1', '--bridges-max', '1'],
    ...['--bridges-welcome', '0.05'],
  ];
  await bridge.start(...flags);
  await eventually('the guide is listed', async () => (await bridge.client.call('agents', {})).at(0));
});
afterAll(async () => {
  await peers.clear();
  await telegram.close();
  await discord.close();
});

/** What a bot said to the person, on either platform. */
const SAID = {
  telegram: () =>
    telegram
      .messages(USER)
      .filter((message) => message.fromBot)
      .map(({ text, buttons }) => ({ text, data: buttons.map((button) => button.callback_data) })),
  discord: () =>
    discord
      .messages(ACTOR.channel)
      .filter((message) => message.fromBot)
      .map(({ content, buttons }) => ({ text: content.replaceAll('\\', ''), data: buttons })),
};
const SAY = {
  telegram: (text: string) => void telegram.say({ chat: USER, user: USER, text }),
  discord: (text: string) => void discord.say(ACTOR, text),
};
const COMMAND = {
  telegram: (name: string, argument = '') =>
    void telegram.say({ chat: USER, user: USER, text: `/${name} ${argument}`.trim() }),
  discord: (name: string, argument?: string) => void discord.command(ACTOR, name, argument),
};

type Platform = keyof typeof SAID;

/** What the bot says after `act` that fits `pattern`. */
async function reply(platform: Platform, act: () => void, pattern: RegExp): Promise<string> {
  const before = SAID[platform]().length;
  act();
  const fits = (): string | undefined =>
    SAID[platform]()
      .slice(before)
      .find(({ text }) => pattern.test(text))?.text;
  return eventually(`${platform} says ${pattern}`, async () => fits());
}

describe('a bridge in the daemon', () => {
  // BRG-70 BRG-71 BRG-74
  it.each([
    ['telegram', () => telegram.token],
    ['discord', () => discord.token],
  ] as const)('begins with a token for %s that is checked and kept sealed', async (platform, token) => {
    const wrong = await bridge.sahara(['bridge', 'setup', platform, '--no-input'], {
      input: platform === 'telegram' ? '1234:wrong-token-wrong-token-wrong' : `wrong${'.'.repeat(40)}token`,
    });
    expect(wrong.stderr).toContain('(token-refused)');
    const done = await bridge.sahara(['bridge', 'setup', platform, '--no-input'], { input: token() });
    expect(done.code, done.stderr).toBe(0);
    expect(done.stdout).toContain('knows the token');
    await eventually(`${platform} runs`, async () => {
      const rows = await bridge.client.call('bridge.list', {});
      return rows.find((row) => row.platform === platform && row.state === 'running');
    });
    expect(await must(bridge, 'status')).toContain(`bridge   ${platform} running`);
    expect(await must(bridge, 'bridge', 'check', platform)).toContain('the bridge runs here');
    for (const name of await readdir(bridge.home.store)) {
      const stored = await readFile(join(bridge.home.store, name), 'latin1');
      expect(stored.includes(token()), name).toBe(false);
    }
    expect(await readFile(bridge.home.log, 'utf8')).not.toContain(token());
  });

  // BRG-72 BRG-73
  it.each(['telegram', 'discord'] as const)(
    'carries a question on %s to a settled receipt that verifies offline',
    async (platform) => {
      const answer = await reply(platform, () => SAY[platform](QUESTION), /guide · 0\.002 SAHARA/);
      expect(answer).toContain('even if the payer disappears');
      expect(answer).toContain('payments.md');
      const id = /guide · 0\.002 SAHARA · ([0-9a-f]{12})/.exec(answer)?.[1] ?? '';
      expect(await reply(platform, () => COMMAND[platform]('proof', id), /The proof/)).toContain(
        'not settled',
      );
      expect(await reply(platform, () => COMMAND[platform]('receipt', id), /Receipt/)).toContain('knowledge');

      await must(host, 'channel', 'claim');
      await eventually('the receipt is settled', async () => {
        const rows = await bridge.client.call('receipts', {});
        return rows.find(({ callId, settled }) => callId.startsWith(id) && settled);
      });
      const proof = await reply(platform, () => COMMAND[platform]('proof', id), /The proof is valid/);
      expect(proof).toMatch(/paid in block \d+/);
      const file = join(bridge.home.root, `${platform}.bundle`);
      await must(bridge, 'bundle', id, file);
      expect(await must(bridge, 'verify', file)).toMatch(/Proved: guide answered .* settled in block \d+/);
    },
  );

  // BRG-70 BRG-72 BRG-4
  it('answers once and pays once when the daemon is killed while people ask', async () => {
    const ask = async (i: number): Promise<void> => {
      const question = `What does the ledger do in case ${i}?`;
      const before = SAID.telegram().length;
      SAY.telegram(question);
      const asked = (): boolean => SAID.telegram().length > before;
      await eventually('something is shown', async () => asked() || undefined);
      await bridge.kill();
      await bridge.start(...flags);
      const answered = (): boolean =>
        SAID.telegram().some(({ data }, at) => at >= before && data.some((one) => one.startsWith('receipt')));
      await eventually('the answer after the kill', async () => answered() || undefined);
      const calls = (await bridge.client.call('receipts', {})).filter((row) => row.question === question);
      expect(calls.length, question).toBe(1);
    };
    for (const i of [1, 2, 3]) await ask(i);
    const { text = '' } = SAID.telegram().at(-1) ?? {};
    expect(text).toContain('guide · 0.002 SAHARA');
  });

  // BRG-80 BRG-81
  it('takes money that a person pays in from their own home, and pays it out again', async () => {
    const { did } = await host.client.call('status', {});
    const how = await reply('telegram', () => COMMAND.telegram('deposit'), /sahara pay did:key/);
    const [, operator = '', memo = ''] = /sahara pay (\S+) 1 --memo (\S+)/.exec(how) ?? [];
    await must(host, 'pay', operator, '0.5', '--memo', memo);
    await eventually('the deposit is there', async () => {
      const text = await reply('telegram', () => COMMAND.telegram('balance'), /You can spend/);
      return /have 0\.5 SAHARA of it paid out/.test(text) || undefined;
    });
    const before = BigInt((await host.client.call('status', {})).balance);
    await reply(
      'telegram',
      () => COMMAND.telegram('withdraw', `0.2 ${did}`),
      /Paid 0\.2 SAHARA to .* in block \d+/,
    );
    await eventually('it has arrived', async () => {
      const { balance } = await host.client.call('status', {});
      return BigInt(balance) - before === 200_000_000n || undefined;
    });
  });

  // BRG-84 BRG-85 BRG-86
  it('shares the account of a DID that is linked by a signed grant, on both platforms', async () => {
    const link = async (platform: Platform): Promise<void> => {
      const asked = await reply(platform, () => COMMAND[platform]('link'), /sahara bridge link/);
      const code = /sahara bridge link ([\w-]+)/.exec(asked)?.[1] ?? '';
      const granted = await must(host, 'bridge', 'link', code, '--total', '0.4', '--days', '2', '--json');
      const { grant } = JSON.parse(granted);
      await reply(platform, () => COMMAND[platform]('link', grant), /Linked to did:key/);
    };
    await link('telegram');
    await link('discord');
    const onTelegram = await reply('telegram', () => COMMAND.telegram('balance'), /You can spend/);
    const onDiscord = await reply('discord', () => COMMAND.discord('balance'), /You can spend/);
    expect(onDiscord).toBe(onTelegram);
    expect(await reply('discord', () => COMMAND.discord('history'), /Your last questions/)).toMatch(
      /payee get paid[\s\S]*payee get paid/,
    );
    await reply('telegram', () => COMMAND.telegram('unlink'), /link is ended/);
    await reply('discord', () => COMMAND.discord('unlink'), /Paid 0\.\d+ SAHARA to did:key/);
  });

  // BRG-71
  it('takes another token without a restart, and forgets one', async () => {
    const { pid } = await bridge.client.call('status', {});
    const again = await bridge.sahara(['bridge', 'setup', 'discord', '--no-input'], { input: discord.token });
    expect(again.code, again.stderr).toBe(0);
    await eventually('discord runs again', async () => {
      const rows = await bridge.client.call('bridge.list', {});
      return rows.find((row) => row.platform === 'discord' && row.state === 'running');
    });
    await reply('discord', () => COMMAND.discord('help'), /Ask me anything/);
    expect((await bridge.client.call('status', {})).pid).toBe(pid);
    await must(bridge, 'bridge', 'remove', 'discord');
    expect((await bridge.sahara(['bridge', 'check', 'discord'])).stderr).toContain('(token-missing)');
  });
});
