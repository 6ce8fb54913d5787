import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import type { StandingReport, StandingRow } from '../../src/daemon/admin/types.ts';
import { askWhole, eventually, LOOPBACK, must, startPair } from './support.ts';

let peers: Peers;
let host: Peer;
let caller: Peer;
beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  await startPair(host, caller);
});
afterAll(() => peers.clear());

const count = (row: StandingRow | undefined, fact: string): number =>
  row?.facts.find((found) => found.fact === fact)?.count ?? 0;

describe('standing', () => {
  it('CALL-132 CALL-133: is told to who asks, in words and as data, from both sides', async () => {
    await askWhole(caller, { agent: 'guide', question: 'What is a voucher?', priceMax: '10000000' });
    const { did, peerId } = await caller.client.call('status', {});
    const { ofMe } = JSON.parse(await must(caller, 'standing', 'guide', '--json')) as StandingReport;
    expect(ofMe).toHaveLength(1);
    expect(ofMe[0]).toMatchObject({
      stranger: false,
      thinks: [
        { kind: 'peer', subject: peerId, step: 0, points: 0 },
        { kind: 'caller', subject: did, step: 0, limits: [{ what: 'caller', perSecond: 20_000 }] },
      ],
    });
    expect(count(ofMe[0]?.thinks[1], 'answered')).toBe(1);
    expect(count(ofMe[0]?.thinks[1], 'paid')).toBeGreaterThan(1_990_000);

    const said = await must(caller, 'standing', 'guide');
    expect(said).toContain('What others think of this peer');
    expect(said).toMatch(/Counted: 1 call answered, paid 0\.00\d+ SAHARA\./);
    expect(said).toContain('In good standing. Limits: 20000 calls a second, 2048 at a time.');
    const held = await must(host, 'standing', did);
    expect(held).toContain('What this peer thinks of others');
    expect(held).toContain(`caller ${did}`);
    expect(await must(caller, 'standing')).toContain('What others think of this peer');
  });

  it('CALL-130: is known again after a restart', async () => {
    const { did } = await caller.client.call('status', {});
    expect((await host.stop())?.code).toBe(0);
    await host.start(...LOOPBACK);
    const row = await eventually('the host knows its caller', async () => {
      const { held } = await host.client.call('standing', {});
      return held.find(({ subject }) => subject === did);
    });
    expect(count(row, 'answered')).toBe(1);
    expect(count(row, 'paid')).toBeGreaterThan(1_990_000);
  });

  it('tells that nobody is called that', async () => {
    const { stderr, code } = await caller.sahara(['standing', 'nobody-of-that-name']);
    expect(stderr).toContain('(agent-unknown)');
    expect(code).toBe(1);
  });
});
