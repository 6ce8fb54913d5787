import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, LOOPBACK, must } from './support.ts';

let peers: Peers;
let first: Peer;
let payee: Peer;
let caller: Peer;
let join: readonly string[];
beforeAll(async () => {
  peers = await createPeers();
  [first, payee, caller] = [await peers.add('first'), await peers.add('payee'), await peers.add('caller')];
  // The first makes the blocks and is the tower. Its tower has the second half of this for its claim.
  const { addresses } = await first.start(
    ...LOOPBACK,
    ...['--network-close-delay-blocks', '40', '--guide-host', 'never', '--watchtower-serve', 'true'],
  );
  join = [...LOOPBACK, '--bootstrap', addresses[0] ?? ''];
  await payee.start(...join, '--guide-host', 'always');
  await caller.start(...join);
  await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
});
afterAll(() => peers.clear());

describe('a payee that is away when its payer closes the channel', () => {
  it('PAY-55 PAY-59 PAY-61: finds its money when it is back, claimed by a tower that was killed in between', async () => {
    const { addresses } = await first.client.call('status', {});
    const refused = await payee.sahara([
      ...['watchtower', 'use'],
      (await caller.client.call('status', {})).addresses[0] ?? '',
    ]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('watchtower-off');
    await must(payee, 'watchtower', 'use', addresses[0] ?? '');

    await askWhole(caller, { agent: 'guide', question: 'What is a voucher?' });
    const watched = await eventually('the tower watches', async () =>
      (await first.client.call('watchtower.status', {})).serving?.watched.at(0),
    );
    expect(watched.promised).toBe('2000000');
    expect(await must(payee, 'watchtower', 'status')).toContain('Watched by');
    await payee.kill();

    await first.kill();
    await first.start(...LOOPBACK, '--guide-host', 'never', '--watchtower-serve', 'true');
    const { serving } = await first.client.call('watchtower.status', {});
    expect(serving?.watched).toEqual([watched]);
    expect(await must(first, 'watchtower', 'status')).toContain('watches 1 lane for 1 payee');
    await caller.stop();
    const again = (await first.client.call('status', {})).addresses[0] ?? '';
    await caller.start(...LOOPBACK, '--bootstrap', again);

    const [channel] = await caller.client.call('channel.list', {});
    const closing = await caller.client.call('channel.close', { channel: channel?.id ?? '' });
    expect(closing).toMatchObject({ state: 'closing', claimed: '0' });
    await eventually('it is claimed', async () =>
      (await first.client.call('watchtower.status', {})).serving?.paid === '2000000' ? true : undefined,
    );
    await eventually('the channel ended', async () =>
      (await caller.client.call('channel.list', {})).length === 0 ? true : undefined,
    );

    await payee.start(...LOOPBACK, '--guide-host', 'always', '--bootstrap', again);
    await eventually('the payee has what it earned', async () => {
      const { lost, unclaimed, assets } = await payee.client.call('earnings', {});
      const received = assets.reduce((sum, asset) => sum + BigInt(asset.received), 0n);
      return lost === '0' && unclaimed === '0' && received === 2_000_000n ? true : undefined;
    });
  });
});
