import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, LOOPBACK, must } from './support.ts';

const QUESTION = 'How does a payee get paid if the payer disappears?';

let peers: Peers;
let host: Peer;
let gateway: Peer;
let caller: Peer;
let hostId: string;
let gatewayId: string;
beforeAll(async () => {
  peers = await createPeers();
  [host, gateway, caller] = [await peers.add('host'), await peers.add('gateway'), await peers.add('caller')];
  const hosting = await host.start(...LOOPBACK);
  hostId = hosting.peerId;
  const between = await gateway.start(
    ...LOOPBACK,
    ...['--bootstrap', hosting.addresses[0] ?? ''],
    ...['--gateway-serve', 'all'],
  );
  gatewayId = between.peerId;
  const address = between.addresses[0] ?? '';
  await caller.start(
    ...LOOPBACK,
    ...['--bootstrap', address],
    ...['--gateway-via', address],
    ...['--mesh-private', 'true'],
  );
  await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
});
afterAll(() => peers.clear());

describe('three peers', () => {
  it('CALL-100 CALL-107: a question by way of a gateway is paid and proved, and its host never dialled', async () => {
    const file = join(caller.home.root, 'call.bundle');
    const printed = await must(caller, 'ask', 'guide', QUESTION, '--max-price', '0.01', '--receipt', file);
    expect(printed).toContain('even if the payer disappears');
    expect(printed).toContain('paid 0.002 SAHARA');
    const { peers: connected } = await caller.client.call('status', {});
    expect(connected.map(({ peerId }) => peerId)).toEqual([gatewayId]);
    const seen = (await gateway.client.call('status', {})).peers.map(({ peerId }) => peerId);
    expect(seen).toContain(hostId);
    await caller.stop();
    expect(await must(caller, 'verify', file)).toContain('not settled yet');
    const [earned] = await host.client.call('channel.list', {});
    expect(earned).toMatchObject({ role: 'payee', charged: '2000000', calls: 1 });
  });

  it('CALL-102: a gateway that serves its own peers only refuses the others', async () => {
    const { addresses } = await gateway.client.call('status', {});
    await gateway.stop();
    const { peerId, addresses: now } = await gateway.start(
      ...LOOPBACK,
      ...['--bootstrap', (await host.client.call('status', {})).addresses[0] ?? ''],
      ...['--gateway-serve', 'own'],
    );
    expect(peerId).toBe(gatewayId);
    expect(now).not.toEqual(addresses);
    const address = now[0] ?? '';
    await caller.start(
      ...LOOPBACK,
      '--bootstrap',
      address,
      '--gateway-via',
      address,
      '--mesh-private',
      'true',
    );
    await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
    await expect(askWhole(caller, { agent: 'guide', question: QUESTION })).rejects.toMatchObject({
      code: 'caller-refused',
    });
    const [earned] = await host.client.call('channel.list', {});
    expect(earned).toMatchObject({ charged: '2000000', calls: 1 });
  });
});
