import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, must, startPair } from './support.ts';

let peers: Peers;
let host: Peer;
let caller: Peer;
beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  await startPair(host, caller);
});
afterAll(() => peers.clear());

const theChannel = async (): Promise<{ readonly id: string; readonly deposit: string }> => {
  const [channel] = await caller.client.call('channel.list', {});
  return channel ?? expect.fail('a channel');
};

test('PAY-66 PAY-69: a deposit comes back in part with the payee’s word, and the channel goes on', async () => {
  await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' });
  const { id, deposit } = await theChannel();
  expect(await must(caller, 'channel', 'withdraw', id, '0.1')).toContain('left');
  expect((await theChannel()).deposit).toBe(String(BigInt(deposit) - 100_000_000n));
  await askWhole(caller, { agent: 'guide', question: 'What is a receipt?' });
  const tooMuch = await caller.sahara(['channel', 'withdraw', id, '1000']);
  expect(tooMuch.code).not.toBe(0);
  const announced = await must(caller, 'channel', 'withdraw', id, '0.1', '--announce');
  expect(announced).toMatch(/leave .* at height \d+/);
  expect(await must(caller, 'channel', 'withdraw', id, '--cancel')).toContain('stay');
  expect((await theChannel()).deposit).toBe(String(BigInt(deposit) - 100_000_000n));
});

test('PAY-69: when the payee is away the withdrawal is announced, with the height at which it is final', async () => {
  const { did } = await caller.client.call('status', {});
  const { id } = await host.client.call('channel.open', { payee: did, deposit: '1000000000' });
  await caller.stop();
  const announced = await must(host, 'channel', 'withdraw', id, '0.1');
  expect(announced).toContain('The payee did not answer');
  expect(announced).toMatch(/at height \d+/);
  const row = (await host.client.call('channel.list', {})).find((channel) => channel.id === id);
  expect(row).toMatchObject({ deposit: '1000000000', leaving: '100000000' });
});
