/** CometBFT beside a daemon: what reaches it, and what is told of it while it does not run. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { eventually, LOOPBACK, must } from '../e2e/support.ts';
import { portsInRow } from './ports.ts';
import { program } from './support.ts';

const FLAGS = [...LOOPBACK, '--guide-host', 'never'];
const SECRETS: Readonly<Record<string, string>> = {
  SAHARA_PASSPHRASE: 'correct horse battery',
  OPENAI_API_KEY: 'sk-of-the-operator',
  TELEGRAM_TOKEN: '12345:of-a-bot',
};

let peers: Peers;
let peer: Peer;
let folder = '';

/** A program in the place of CometBFT. */
async function script(name: string, ...lines: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(path, 0o700);
  return path;
}

beforeAll(async () => {
  peers = await createPeers(SECRETS);
  peer = await peers.add('validator-1');
  folder = dirname(peer.home.root);
  const port = String(await portsInRow(2));
  await must(peer, 'network', 'init', '--validators', '1', '--into', folder, '--port', port);
});

afterAll(() => peers.clear());

test('ENG-65: neither the passphrase of the home nor a token reaches CometBFT', async () => {
  const [said, numbered] = [join(folder, 'environment'), join(folder, 'pid')];
  peer.environment.COMETBFT_BIN = await script(
    'telling',
    `env > "${said}"; echo $$ > "${numbered}"`,
    `exec "${program}" "$@"`,
  );
  await peer.start(...FLAGS);
  const pid = (await readFile(numbered, 'utf8')).trim();
  const kept = process.platform === 'linux' ? await readFile(`/proc/${pid}/environ`, 'utf8') : '';
  for (const environment of [await readFile(said, 'utf8'), kept])
    for (const [name, secret] of Object.entries(SECRETS)) {
      expect(environment).not.toContain(name);
      expect(environment).not.toContain(secret);
    }
  await must(peer, 'network', 'status');
  await peer.stop();
});

test('ENG-65: what CometBFT said last is told while it does not run, and no longer once it does', async () => {
  const real = peer.environment.COMETBFT_BIN ?? '';
  peer.environment.COMETBFT_BIN = await script(
    'ending',
    'echo "the disk of this node is broken" >&2; exit 7',
  );
  const starting = peer.start(...FLAGS);
  const shown = await eventually('what it said', async () => {
    const { code, stdout } = await peer.sahara(['network', 'status']);
    return stdout.includes('the disk of this node is broken') ? { code, stdout } : undefined;
  });
  expect(shown.code).toBe(3);
  expect(shown.stdout).toContain('CometBFT does not run');
  expect(shown.stdout).toContain('exit code 7');
  await starting.catch(() => undefined);
  await peer.stop();
  peer.environment.COMETBFT_BIN = real;
  await peer.start(...FLAGS);
  expect(await must(peer, 'network', 'status')).toContain('up to date');
});
