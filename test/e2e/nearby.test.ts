import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { must } from './support.ts';

/** Two peers with nothing configured but the network's name, which keeps other peers of this machine out. */
let peers: Peers;
let first: Peer;
let second: Peer;
beforeAll(async () => {
  peers = await createPeers({ SAHARA_NETWORK_NAME: `test-${randomBytes(4).toString('hex')}` });
  [first, second] = [await peers.add('first'), await peers.add('second')];
});
afterAll(() => peers.clear());

describe('two peers on one network', () => {
  it('find each other by themselves; the second asks the first', async () => {
    const begun = await first.start();
    const joined = await second.start();
    expect(begun.ledger.role).toBe('sequencer');
    expect(joined.ledger).toMatchObject({ network: begun.ledger.network, role: 'light' });
    expect(joined.did).not.toBe(begun.did);
    const answer = await must(second, 'ask', 'guide', 'How does a payee get paid if the payer disappears?');
    expect(answer).toContain('paid 0.002 SAHARA');
    expect(await must(second, 'verify', answer.match(/evidence in (\S+)/)?.[1] ?? '')).toContain('Proved');
    expect(await must(first, 'ask', 'guide', 'What is a voucher?')).toContain('free');
  });

  it('meet again after a restart, with the same keys and the same money', async () => {
    const before = await second.client.call('status', {});
    // A stop that had to be forced ends with 1.
    expect((await second.stop())?.code).toBe(0);
    expect((await first.stop())?.code).toBe(0);
    await first.start();
    const after = await second.start();
    expect(after).toMatchObject({ did: before.did, peerId: before.peerId, balance: before.balance });
    expect(await must(second, 'ask', 'guide', 'What is a voucher?')).toContain('paid 0.002 SAHARA');
    expect((await second.client.call('channel.list', {})).map(({ calls }) => calls)).toEqual([2]);
  });
});
