import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { attributionStatement } from '../../src/agent/attribution/statement.ts';
import { type Bundle, bundle as bundleRecord, readBundle } from '../../src/protocol/bundle.ts';
import { CALL_FRAME } from '../../src/protocol/call.ts';
import { card } from '../../src/protocol/card.ts';
import { receipt } from '../../src/protocol/payment.ts';
import { must, startPair } from './support.ts';

let peers: Peers;
let host: Peer;
let caller: Peer;

beforeAll(async () => {
  peers = await createPeers();
  host = await peers.add('host');
  caller = await peers.add('caller');
  await startPair(host, caller);
}, 180_000);
afterAll(() => peers.clear());

describe('sahara verify --recompute', () => {
  it('repeats who earned from the file anywhere, and the answer where its vault is (KNOW-158, KNOW-159)', async () => {
    const file = join(caller.home.root, 'call.bundle');
    const did = (await host.client.call('agent.list', {})).find(({ name }) => name === 'guide')?.did ?? '';
    await must(caller, 'ask', did, 'What is a voucher?', '--receipt', file);
    const elsewhere = await must(caller, 'verify', file, '--recompute');
    expect(elsewhere).toMatch(/✓ statement +rule coverage\/1; its counts are proven/);
    expect(elsewhere).toMatch(/✓ game +the parts of .* come out the same/);
    expect(elsewhere).toMatch(/✓ shares +\d+ shares? of the receipt come out the same/);
    expect(elsewhere).toContain('The answer itself was not repeated: no vault here');
    const here = await must(host, 'verify', file, '--recompute');
    expect(here).toMatch(/✓ retrieval +\d+ passages? /);
    expect(here).toMatch(/✓ answer +\d+ bytes and \d+ citations? come out the same/);
    expect(here).toContain('✓ record');
    expect(here).toContain('Recomputed: all comes out the same.');
  });

  it('KNOW-186: repeats an answer at whoever has the vault by a grant for answering, and not by another', async () => {
    const file = join(caller.home.root, 'granted.bundle');
    const agents = await host.client.call('agent.list', {});
    const agent = agents.find(({ name }) => name === 'guide')?.did ?? '';
    await must(caller, 'ask', agent, 'What is a voucher?', '--receipt', file);
    const { did } = await caller.client.call('status', {});
    const [vault = ''] = (await host.client.call('vault.list', {})).map(({ name }) => name);
    for (const [name, purpose] of [
      ['a-label', 'label'],
      ['answering', 'answer'],
    ] as const) {
      const archive = join(host.home.root, `${name}.vault`);
      await must(host, 'vault', 'export', vault, archive, '--to', did, '--purpose', purpose);
      await must(caller, 'vault', 'create', name);
      await must(caller, 'vault', 'import', name, archive);
      const told = await must(caller, 'verify', file, '--recompute');
      if (purpose === 'label') expect(told).toMatch(/was not repeated: .* is for label and not for answer/);
      else expect(told).toMatch(/✓ retrieval.*✓ answer.*✓ record/s);
    }
  });

  it('KNOW-195, KNOW-198: repeats nothing under another analysis or other rules, and names both', async () => {
    const file = join(caller.home.root, 'older.bundle');
    const did = (await host.client.call('agent.list', {})).find(({ name }) => name === 'guide')?.did ?? '';
    await must(caller, 'ask', did, 'What is a voucher?', '--receipt', file);
    const honest = readBundle(new Uint8Array(await readFile(file)));
    const repeat = async (bundle: Bundle): Promise<string | undefined> => {
      const base64 = Buffer.from(bundleRecord.encode(bundle)).toString('base64');
      return (await host.client.call('receipts.recompute', { bundle: base64 })).notRepeated;
    };
    expect(await repeat(honest)).toBeUndefined();
    const deliveries = honest.deliveries.map((delivery) => {
      if (delivery.kind !== CALL_FRAME.attribution) return delivery;
      const stated = attributionStatement.decode(delivery.body);
      const corpora = stated.record.corpora.map((corpus) => ({ ...corpus, analysis: 1 }));
      const body = attributionStatement.encode({ ...stated, record: { ...stated.record, corpora } });
      return { ...delivery, body };
    });
    expect(await repeat({ ...honest, deliveries })).toMatch(
      /under version 1 of the analysis of terms, and here is/,
    );
    const told = card.decode(honest.card.payload);
    const model = { ...told.model, name: 'extractive/5' };
    const final = receipt.decode(honest.ending.receipt.payload);
    const modelDigest = final.modelDigest.map((byte) => byte ^ 1);
    const older: Bundle = {
      ...honest,
      card: { ...honest.card, payload: card.encode({ ...told, model }) },
      ending: {
        ...honest.ending,
        receipt: { ...honest.ending.receipt, payload: receipt.encode({ ...final, modelDigest }) },
      },
    };
    expect(await repeat(older)).toMatch(/quoted by the rules extractive\/5, and here are extractive\/6/);
  });
});
