import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import type { AgentRow, OfferRow } from '../../src/daemon/admin/types.ts';
import { readBundle } from '../../src/protocol/bundle.ts';
import { offer as offerSchema } from '../../src/protocol/offer.ts';
import { receipt as receiptSchema } from '../../src/protocol/payment.ts';
import { eventually, LOOPBACK, must } from './support.ts';

const QUESTION = 'How does a payee get paid if the payer disappears?';
const OFFERS = ['--skill', 'explain', '--max-price', '0.01', '--wait', '4000', '--offers', '2'];

let peers: Peers;
let dear: Peer;
let cheap: Peer;
let caller: Peer;
let reader: Peer;
beforeAll(async () => {
  peers = await createPeers();
  dear = await peers.add('dear');
  cheap = await peers.add('cheap');
  caller = await peers.add('caller');
  reader = await peers.add('reader');
  const { addresses } = await dear.start(...LOOPBACK);
  const [address = ''] = addresses;
  const join = [...LOOPBACK, '--bootstrap', address];
  await cheap.start(...join, '--guide-host', 'always', '--market-discount-percent', '50');
  await caller.start(...join);
  await reader.start(...join);
  for (const peer of [caller, reader]) {
    await eventually('both guides are listed', async () => {
      const rows = await peer.client.call('agents', {});
      return rows.length === 2 ? rows : undefined;
    });
  }
});
afterAll(() => peers.clear());

async function listed(peer: Peer, did: string): Promise<AgentRow> {
  const rows = await peer.client.call('agents', {});
  return rows.find((row) => row.did === did) ?? expect.fail(`${did} is listed`);
}

describe('the market', () => {
  let best: OfferRow;

  it('CALL-110: shows what agents offer, and who is cheaper comes first', async () => {
    const offers = await eventually('two offers', async () => {
      const text = await must(caller, 'auction', ...OFFERS, '--list', QUESTION, '--json');
      const rows = JSON.parse(text) as OfferRow[];
      return rows.length === 2 ? rows : undefined;
    });
    expect(offers.map(({ expected }) => expected)).toEqual(['1000000', '2000000']);
    expect(offers.map(({ name }) => name)).toEqual(['guide', 'guide']);
    [best = expect.fail('an offer')] = offers;
    expect(best.score).toBeLessThan(offers[1]?.score ?? 0);
    // Nobody was asked anything, so nobody was paid.
    expect(await caller.client.call('receipts', {})).toEqual([]);
  });

  it('CALL-110 CALL-113: asks who offered best, at the price of the offer, and proves it', async () => {
    const file = join(caller.home.root, 'offer.bundle');
    const printed = await must(caller, 'auction', ...OFFERS, QUESTION, '--receipt', file);
    expect(printed).toContain('COSTS ABOUT');
    expect(printed).toContain('even if the payer disappears');
    expect(printed).toContain('paid 0.001 SAHARA');
    const evidence = readBundle(new Uint8Array(await readFile(file)));
    const made = offerSchema.decode(evidence.opening.offer?.payload ?? expect.fail('an offer'));
    const receipt = receiptSchema.decode(evidence.ending.receipt.payload);
    expect(receipt.price).toEqual(made.price);
    expect(receipt.amount).toBe(1_000_000n);
    expect(await must(caller, 'verify', file)).toContain('Proved');
  });

  it('MESH-76 MESH-77: everybody sees what the call took, and by how many payers', async () => {
    expect(await listed(caller, best.did)).toMatchObject({
      measured: { from: 'own', payers: 1, paid: '1000000', failed: 0 },
    });
    const seen = await eventually('the reader has heard of it', async () => {
      const row = await listed(reader, best.did);
      if (row.measured !== undefined) return row;
      // News may be lost before the mesh of gossip has formed; the next call tells again.
      await must(caller, 'ask', best.did, QUESTION, '--max-price', '0.01');
      return undefined;
    });
    expect(seen.measured).toMatchObject({ from: 'paid', payers: 1 });
    expect(seen.measured?.totalMs).toBeGreaterThanOrEqual(seen.measured?.firstMs ?? 0);
    const table = await must(reader, 'agents');
    expect(table).toContain('MEASURED BY');
    expect(table).toContain('1 payer');
    expect(table).toContain('nobody yet');
  });

  it('CALL-114: one agent is asked for offers by name; without any, nothing is charged', async () => {
    const printed = await must(caller, 'ask', best.did, QUESTION, '--offers', '--max-price', '0.01');
    expect(printed).toContain('paid 0.001 SAHARA');
    const calls = (await caller.client.call('receipts', {})).length;
    const none = await caller.sahara(['auction', '--skill', 'juggling', QUESTION, '--wait', '500']);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('Nobody made an offer for juggling');
    const tooCheap = await caller.sahara([
      'auction',
      ...OFFERS.slice(0, 2),
      QUESTION,
      '--max-price',
      '0.0001',
    ]);
    expect(tooCheap.code).toBe(1);
    expect((await caller.client.call('receipts', {})).length).toBe(calls);
  });

  it('MESH-82: an agent whose peer was killed leaves every list', async () => {
    const { did } = best;
    await cheap.kill();
    for (const peer of [caller, reader, dear]) {
      await eventually('the dead agent is off the list', async () => {
        const rows = await peer.client.call('agents', {});
        return rows.some((row) => row.did === did) ? undefined : rows;
      });
    }
  });
});
