import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, must, startPair } from './support.ts';

let peers: Peers;
let host: Peer;
let caller: Peer;
let callId: string;
let payee: string;
let agentAsset: string;

beforeAll(async () => {
  peers = await createPeers();
  host = await peers.add('host');
  caller = await peers.add('caller');
  await startPair(host, caller);
  const { end } = await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' });
  callId = end.callId;
  payee = (await host.client.call('status', {})).did;
  await must(host, 'channel', 'claim');
  agentAsset = end.shares.find(({ role }) => role === 'agent')?.asset ?? '';
}, 180_000);
afterAll(() => peers.clear());

/** Makes an audit file by the command line, and what the verifier says of it without a daemon's help. */
async function audited(peer: Peer, of: string): Promise<string> {
  const file = join(peer.home.root, `${of.slice(-12)}.audit`);
  const made = await peer.sahara(['audit', of, '--out', file]);
  expect(made.stderr + made.stdout).toContain('Anybody can check it');
  const text = await must(peer, 'verify', file);
  const bytes = await readFile(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 4;
  await writeFile(`${file}.bent`, bytes);
  const bent = await peer.sahara(['verify', `${file}.bent`]);
  expect(bent.code).toBe(1);
  expect(bent.stdout).toContain('Not proved');
  return text;
}

describe('an audit file', () => {
  it('of a call is made by a home that keeps no ledger, and holds (RCPT-63, LEDGER-160)', async () => {
    const { ledger } = await caller.client.call('status', {});
    expect(ledger.role).toBe('light');
    await eventually('the settlement is known', async () => {
      const rows = await caller.client.call('receipts', {});
      return rows.find((row) => row.callId === callId && row.settled);
    });
    const text = await audited(caller, callId);
    expect(text).toMatch(
      /answered “What is a voucher\?” for [\d.]+ SAHARA: all \d+ checks of its evidence hold/,
    );
    expect(text).toMatch(/The claim in block \d+ counts this call/);
  });

  it('of an asset is made by either, with transactions by who keeps blocks (RCPT-64)', async () => {
    expect(await audited(host, agentAsset)).toMatch(/Block \d+: claim \(lane \d+/);
    const light = await audited(caller, agentAsset);
    expect(light).toContain('agent “guide” was registered by');
    expect(light).not.toMatch(/Block \d+: claim/);
  });

  it('of a DID is made by either (RCPT-65)', async () => {
    for (const peer of [host, caller]) {
      expect(await audited(peer, payee)).toMatch(/Channel \w+ from did:key:\w+ has paid/);
    }
  });

  it('is refused for what is not there', async () => {
    const { code, stderr } = await host.sahara(['audit', 'nothing of this name']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('asset-unknown');
  });
});

describe('the ledger at the command line', () => {
  it('shows blocks, transactions, accounts, channels and what was registered (LEDGER-161)', async () => {
    const claims = await must(host, 'ledger', 'find', '--kind', 'claim');
    const [, height = '', id = ''] = /^(\d+) +(\w+)/m.exec(claims) ?? [];
    expect(await must(host, 'ledger', 'block', height)).toContain('claim');
    expect(await must(host, 'ledger', 'transaction', id)).toMatch(/kind +claim/);
    const account = await must(host, 'ledger', 'account', payee);
    expect(account).toMatch(/asset +\w{64} agent guide/);
    const [, channel = ''] = /channel +(\w{64})/.exec(account) ?? [];
    expect(await must(host, 'ledger', 'channel', channel)).toMatch(/lane \d+ +[\d.]+ SAHARA/);
    expect(await must(caller, 'ledger', 'channel', channel)).toMatch(/state +open/);
    expect(await must(host, 'ledger', 'find', '--channel', channel)).toMatch(/claim[\s\S]*open-channel/);
    expect(await must(host, 'ledger', 'assets', '-n', '1')).toContain('register-asset');
    expect(await must(host, 'ledger', 'search', 'guide')).toMatch(
      /transaction +\w{64} +block \d+: register-asset agent guide/,
    );
    expect(await must(host, 'ledger', 'search', agentAsset)).toContain('agent guide');
    expect(await must(host, 'ledger', 'search', payee)).toContain('account');
    const first = await host.sahara(['ledger', 'find', '-n', '1']);
    const [, before = ''] = /--before (\S+)/.exec(first.stderr) ?? [];
    expect(await must(host, 'ledger', 'find', '-n', '1', '--before', before)).not.toBe(first.stdout);
  });

  it('says what a light home does not have', async () => {
    const { code, stderr } = await caller.sahara(['ledger', 'find']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('ledger-light');
  });
});
