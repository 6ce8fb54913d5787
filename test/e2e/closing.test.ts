import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, LOOPBACK } from './support.ts';

let peers: Peers;
let host: Peer;
let caller: Peer;
beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  // Long enough for a busy machine, short enough that a claim that never comes is seen as lost.
  const { addresses } = await host.start(...LOOPBACK, '--network-close-delay-blocks', '60');
  await caller.start(...LOOPBACK, '--bootstrap', addresses[0] ?? '');
  await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
});
afterAll(() => peers.clear());

const claimedOf = async (peer: Peer): Promise<string | undefined> =>
  (await peer.client.call('channel.list', {}))[0]?.claimed;

describe('a payer that wants its deposit back', () => {
  it('pays what it owes: a payee that stops claims all, one that runs claims when the channel closes', async () => {
    await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' });
    expect(await claimedOf(caller)).toBe('0');
    await host.stop();
    await host.start(...LOOPBACK, '--bootstrap', (await caller.client.call('status', {})).addresses[0] ?? '');
    expect(await claimedOf(host)).toBe('2000000');

    await eventually('the guide is listed again', async () => {
      const { end } = await askWhole(caller, { agent: 'guide', question: 'What is a receipt?' });
      return end.amount === '2000000' ? end : undefined;
    });
    const [channel] = await caller.client.call('channel.list', {});
    const closing = await caller.client.call('channel.close', { channel: channel?.id ?? '' });
    expect(closing.state).toBe('closing');
    await eventually('it is claimed', async () => ((await claimedOf(host)) === '4000000' ? true : undefined));
    expect(await host.client.call('earnings', {})).toMatchObject({ unclaimed: '0', lost: '0' });
  });
});
