/** A bot in a process of its own, and the daemon that asks for it elsewhere: real processes, HTTP with a bearer token. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { startTelegramService, type TelegramService } from '../stand-ins/telegram.ts';
import { eventually, LOOPBACK, must } from './support.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/sahara.js', import.meta.url));
const BEARER = 'a-bearer-token-for-tests-only';
const QUESTION = 'How does a payee get paid if the payer disappears?';
const USER = 7;

let peers: Peers;
let daemon: Peer;
let alone: Peer;
let telegram: TelegramService;
let url: string;
let running: ChildProcess | undefined;

beforeAll(async () => {
  telegram = await startTelegramService();
  peers = await createPeers();
  [daemon, alone] = [await peers.add('daemon'), await peers.add('alone')];
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  daemon.environment.SAHARA_BRIDGE_TOKEN = BEARER;
  await daemon.start(...LOOPBACK, '--bridges-listen', `127.0.0.1:${port}`, '--bridges-learn', 'guide');
  Object.assign(alone.environment, {
    SAHARA_BRIDGE_DAEMON: url,
    SAHARA_BRIDGE_TOKEN: BEARER,
    SAHARA_TELEGRAM_TOKEN: telegram.token,
    SAHARA_BRIDGES_TELEGRAM_API: telegram.apiRoot,
  });
});
afterAll(async () => {
  await end('SIGTERM');
  await peers.clear();
  await telegram.close();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function begin(): void {
  running = spawn(process.execPath, [LAUNCHER, 'bridge', 'run'], {
    env: { ...process.env, ...alone.environment },
    stdio: 'ignore',
  });
}

async function end(signal: NodeJS.Signals): Promise<number | null> {
  const child = running;
  running = undefined;
  if (child === undefined) return null;
  const gone = once(child, 'exit');
  child.kill(signal);
  return (await gone)[0];
}

const said = () => telegram.messages(USER).filter((message) => message.fromBot);
const finals = () =>
  said().filter(({ buttons }) => buttons.some((button) => button.callback_data.startsWith('receipt')));
const say = (text: string) => void telegram.say({ chat: USER, user: USER, text });

const until = (holds: () => boolean, what: string): Promise<true> =>
  eventually(what, async () => holds() || undefined);

// BRG-75
describe('a bot without a daemon of its own', () => {
  it('is refused without the token', async () => {
    const environment = { SAHARA_BRIDGE_TOKEN: 'another-token-that-is-wrong' };
    const refused = await alone.sahara(['bridge', 'run'], { environment });
    expect(refused.stderr).toContain('(token-refused)');
    const ask = (token: string): Promise<Response> =>
      fetch(`${url}/bridge/v1/list`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{}',
      });
    expect((await ask('')).status).toBe(401);
    expect((await ask(BEARER)).status).toBe(200);
  });

  it('answers with the agents of the daemon, and proves it', async () => {
    begin();
    say(QUESTION);
    await until(() => finals().length === 1, 'the answer');
    expect(finals()[0]?.text).toContain('even if the payer disappears');
    say('/proof');
    await until(() => said().some(({ text }) => /The proof is valid/.test(text)), 'the proof');
  });

  // BRG-163
  it('learns through the daemon what a person agreed to, once although it is killed, and destroys it', async () => {
    const told = async (text: string, pattern: RegExp): Promise<string> => {
      const before = said().length;
      say(text);
      const fits = () => said().findLast((one, i) => i >= before && pattern.test(one.text));
      return eventually(`${pattern}`, async () => fits()?.text);
    };
    const code = /sahara bridge link ([\w-]+)/.exec(await told('/link', /sahara bridge link/))?.[1] ?? '';
    const { grant } = JSON.parse(await must(daemon, 'bridge', 'link', code, '--json'));
    await told(`/link ${grant}`, /Linked to did:key/);
    await told(
      '/learn The quokka lighthouse at Port Zorbel was lit by Amra Fennick.',
      /nothing of it is kept/,
    );
    const asked = said().findLast(({ buttons }) => buttons.length === 2);
    telegram.press(USER, USER, asked?.id ?? 0, asked?.buttons[0]?.callback_data ?? '');
    await end('SIGKILL');
    begin();
    const learned = () => said().filter(({ text }) => /is knowledge of guide now/.test(text)).length;
    await until(() => learned() === 1, 'it is learned');
    say('Who lit the quokka lighthouse at Port Zorbel?');
    await until(() => finals().some(({ text }) => text.includes('by Amra Fennick')), 'the answer');
    await told('/unlearn 1', /is destroyed/);
    await told('/learned', /No document of yours/);
    expect(learned()).toBe(1);
  });

  it('answers once although it is killed while people ask, and ends in order', async () => {
    for (const i of [1, 2]) {
      const before = finals().length;
      const shown = said().length;
      say(`What does the ledger do in case ${i}?`);
      await until(() => said().length > shown, 'something is shown');
      await end('SIGKILL');
      begin();
      await until(() => finals().length === before + 1, 'the answer after the kill');
    }
    const asked = (await daemon.client.call('receipts', {})).map(({ question }) => question).sort();
    expect(asked.filter((question) => question.startsWith('What does'))).toEqual([
      'What does the ledger do in case 1?',
      'What does the ledger do in case 2?',
    ]);
    expect(await end('SIGTERM')).toBe(0);
  });
});
