/** Evidence of a call whose payee rotated its key more than once after the claim (ID-38). */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, LOOPBACK, must } from './support.ts';

const DELAY_BLOCKS = 6;

let peers: Peers;
let host: Peer;
let caller: Peer;
let address = '';
beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  const { addresses } = await host.start(...LOOPBACK, '--network-close-delay-blocks', String(DELAY_BLOCKS));
  address = addresses[0] ?? '';
  await caller.start(...LOOPBACK, '--ledger-mode', 'full', '--bootstrap', address);
  await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
});
afterAll(() => peers.clear());

const rotate = async (): Promise<void> => {
  const { ledger } = await host.client.call('status', {});
  await must(host, 'identity', 'rotate');
  // A retired key proves nothing any more when as many blocks have passed as a channel takes to end.
  const to = (await caller.client.call('status', {})).did;
  for (let i = 0; i <= DELAY_BLOCKS; i++) {
    const reference = randomBytes(16).toString('hex');
    await host.client.call('pay', { to, amount: '1', reference });
  }
  expect((await host.client.call('status', {})).ledger.height).toBeGreaterThan(ledger.height + DELAY_BLOCKS);
};

it('ID-38: proves its settlement by the keys that were kept when the claim was seen, after any number of rotations', async () => {
  await must(host, 'identity', 'init');
  const { end } = await eventually('the guide answers', async () => {
    const asked = await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' });
    return asked.end.amount === '2000000' ? asked : undefined;
  });
  // What was charged under the first key is claimed at once, in a transaction that the second one signs.
  await rotate();
  const { height } = (await host.client.call('status', {})).ledger;
  await eventually('the caller has the block', async () => {
    const { ledger } = await caller.client.call('status', {});
    return ledger.height >= height ? true : undefined;
  });
  // It is on disk: nothing of it has to be remembered, and nobody asked for it so far.
  await caller.kill();
  await caller.start(...LOOPBACK, '--ledger-mode', 'full', '--bootstrap', address);
  await rotate();
  await rotate();
  const proved = JSON.parse(await must(caller, 'verify', end.path, '--json'));
  expect(proved.settlement).toBeUndefined();
  await caller.client.call('receipts.bundle', { callId: end.callId });
  const settled = JSON.parse(await must(caller, 'verify', end.path, '--json'));
  expect(settled.settlement).toMatchObject({ by: 'claim' });
});
