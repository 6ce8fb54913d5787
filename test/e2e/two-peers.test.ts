import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, must, startPair } from './support.ts';

const ESCAPE = String.fromCharCode(27);
const QUESTION = 'How does a payee get paid if the payer disappears?';

let peers: Peers;
let host: Peer;
let caller: Peer;
beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  await startPair(host, caller);
});
afterAll(() => peers.clear());

describe('two peers', () => {
  it('ask, pay, settle, earn and prove', async () => {
    const file = join(caller.home.root, 'call.bundle');
    const printed = await must(caller, 'ask', 'guide', QUESTION, '--max-price', '0.01', '--receipt', file);
    expect(printed).toContain('even if the payer disappears');
    expect(printed).toMatch(/\[1\] docs\/payments\.md/);
    expect(printed).toContain('paid 0.002 SAHARA');
    expect(await must(caller, 'verify', file)).toContain('not settled yet');

    expect((await host.sahara(['channel', 'claim', 'ffff0000ffff'])).stderr).toContain('(channel-unknown)');
    const [paying] = await host.client.call('channel.list', {});
    const claimed = JSON.parse(await must(host, 'channel', 'claim', paying?.id.slice(0, 12) ?? '', '--json'));
    expect(claimed).toMatchObject([{ role: 'payee', charged: '2000000', claimed: '2000000', calls: 1 }]);
    const [receipt] = await caller.client.call('receipts', {});
    expect(receipt).toMatchObject({ agentName: 'guide', question: QUESTION, amount: '2000000' });
    await eventually('the caller sees it settled', async () => {
      const rows = await caller.client.call('receipts', {});
      return rows[0]?.settled === true ? rows : undefined;
    });
    await must(caller, 'bundle', receipt?.callId ?? '', file);
    expect(await must(caller, 'verify', file)).toMatch(/Proved: guide answered .* settled in block \d+/);

    const { assets } = await host.client.call('earnings', {});
    expect(assets.reduce((sum, { received }) => sum + BigInt(received), 0n)).toBe(2_000_000n);
    await must(host, 'collect');
    const { balance } = await host.client.call('earnings', {});
    expect(BigInt(balance)).toBe(100_002_000_000n);
    expect(JSON.parse(await must(host, 'ledger', 'verify', '--json'))).toMatchObject({ sound: true });
    // LEDGER-155: who only calls keeps no ledger, and says so.
    const { ledger } = await caller.client.call('status', {});
    expect(ledger).toMatchObject({
      role: 'light',
      light: { channels: 1, peers: { connected: 1, answering: 1 } },
    });
    expect(ledger.light?.warning).toBeUndefined();
    expect((await caller.sahara(['ledger', 'verify'])).stderr).toContain('(ledger-light)');
  });

  it('sees any changed byte of the evidence', async () => {
    const { end } = await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' });
    const sound = await readFile(end.path);
    const altered = join(caller.home.root, 'altered.bundle');
    const step = Math.max(1, Math.floor(sound.length / 12));
    for (let at = 3; at < sound.length; at += step) {
      const bytes = Buffer.from(sound);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await writeFile(altered, bytes);
      const { code, stdout } = await caller.sahara(['verify', altered]);
      expect(code, `byte ${at}`).toBe(1);
      expect(stdout).toMatch(/Not proved: .+\./);
    }
    await writeFile(altered, sound);
    expect((await caller.sahara(['verify', altered, '--network', 'other-0000000000000000'])).code).toBe(1);
    expect((await caller.sahara(['verify', altered])).code).toBe(0);
  });

  it('gives machines what people read', async () => {
    for (const args of [
      ['status'],
      ['agents'],
      ['channel', 'list'],
      ['earnings'],
      ['receipts'],
      ['ledger', 'status'],
    ]) {
      const text = await must(caller, ...args, '--json');
      expect(JSON.parse(text), args.join(' ')).toBeTypeOf('object');
      expect(await must(caller, ...args)).not.toContain(ESCAPE);
    }
    const lines = (await must(caller, 'ask', 'guide', 'What is a grain?', '--json')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).type).at(-1)).toBe('end');
  });

  it('keeps many questions on one channel apart', async () => {
    const before = BigInt((await caller.client.call('channel.list', {}))[0]?.charged ?? '0');
    const questions = Array.from({ length: 12 }, (_, i) => `What does the ledger do in case ${i}?`);
    const ends = await Promise.all(
      questions.map((question) => askWhole(caller, { agent: 'guide', question })),
    );
    const paid = ends.reduce((sum, { end }) => sum + BigInt(end.amount), 0n);
    const [channel] = await caller.client.call('channel.list', {});
    expect(BigInt(channel?.charged ?? '0') - before).toBe(paid);
    expect(new Set(ends.map(({ end }) => end.callId)).size).toBe(questions.length);
  });

  it('ends a channel and gives the rest back', async () => {
    await must(host, 'channel', 'claim');
    const channel = await eventually('the caller knows of the claim', async () => {
      const [found] = await caller.client.call('channel.list', {});
      return found !== undefined && found.claimed === found.charged ? found : undefined;
    });
    const closed = await must(host, 'channel', 'close', channel.id.slice(0, 12));
    expect(closed).toContain('is closed');
    await eventually('the deposit is back', async () => {
      const { balance } = await caller.client.call('earnings', {});
      return BigInt(balance) + BigInt(channel.claimed) === 100_000_000_000n ? true : undefined;
    });
    // The next question opens another channel by itself.
    const { end } = await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' });
    expect(end.amount).toBe('2000000');
  });
});
