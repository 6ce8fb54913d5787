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
  const service = platform === 'telegram' ? telegram : discord;
  const fits = (): string | undefined =>
    SAID[platform]()
      .slice(before)
      .find(({ text }) => pattern.test(text))?.text;
  await service.until(() => fits() !== undefined, `${platform} says ${pattern}`);
  return fits() ?? '';
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
});
