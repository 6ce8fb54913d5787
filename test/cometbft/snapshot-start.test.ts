/** Beginning with a snapshot, as `sahara network join --snapshot` finds where. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { findTrusted } from '../../src/daemon/comet/trusting.ts';
import { createSigner } from '../../src/protocol/suite-native.ts';
import { signAction } from '../ledger/support.ts';
import { Net } from './net.ts';
import { places, seedOf, testFolder, testNetwork } from './support.ts';

let net: Net | undefined;
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all([...(net?.nodes.values() ?? [])].map((node) => node.stop()));
  net = undefined;
  for (const close of closing.splice(0).reverse()) await close();
});

/** Passes everything to the node at `url`, but what it says of the hash of a block. */
async function liar(url: string): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => {
      body += String(piece);
    });
    request.on('end', async () => {
      const headers = { 'content-type': 'application/json' };
      const text = await (await fetch(url, { method: 'POST', headers, body })).text();
      const answer = JSON.parse(text) as {
        result?: { signed_header?: { commit: { block_id: { hash: string } } } };
      };
      const commit = answer.result?.signed_header?.commit;
      if (commit !== undefined) commit.block_id.hash = 'F'.repeat(64);
      response.end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('ENG-64 ENG-60: where a node begins is what several nodes say the same of; it takes the snapshot, after an upgrade too', async () => {
  const folder = await testFolder();
  closing.push(folder.remove);
  net = new Net(testNetwork(2), await places(3), folder.path);
  const made = net;
  for (let i = 0; i < 2; i++) await made.start(i, { options: { snapshotEveryBlocks: 4 } });
  for (let i = 0; i < 3; i++) await made.pay(i % 2);
  await made.level(3);
  const [one = '', two = ''] = made.all.map(({ host, rpc }) => `http://${host}:${rpc}`);
  const { signal } = new AbortController();
  const parts = { network: made.at(0).ledger.network, nowMs: Date.now(), snapshotFrom: 4, signal };
  // The test's first block is dated when its network was made, long ago.
  const early = { ...parts, nowMs: 1_760_000_000_000 };
  await expect(findTrusted([one, two], early)).rejects.toMatchObject({
    code: 'usage',
    facts: { reason: expect.stringContaining('There is no snapshot yet') },
  });
  for (const by of [0, 1]) {
    const vote = { type: 'approve-upgrade', version: 2, height: 7 } as const;
    await made.at(by).ledger.submit(signAction(parts.network, createSigner(seedOf(by)), 0, vote));
  }
  for (let i = 0; i < 5; i++) await made.pay(i % 2);
  await made.level(10);
  await expect(findTrusted([one, `${one}/`], parts)).rejects.toMatchObject({ code: 'usage' });
  await expect(findTrusted([one, 'http://127.0.0.1:1'], parts)).rejects.toMatchObject({
    code: 'peer-unreachable',
  });
  await expect(findTrusted([one, two], { ...parts, network: 'other-1' })).rejects.toMatchObject({
    code: 'network-mismatch',
  });
  await expect(findTrusted([one, await liar(two)], parts)).rejects.toMatchObject({
    code: 'usage',
    facts: { reason: expect.stringContaining('do not have the same block') },
  });
  expect((await findTrusted([one, two], early)).height).toBe(1);
  const trusted = await findTrusted([one, two], parts);
  // The first block is too old to begin with.
  expect(trusted.height).toBeGreaterThan(1);

  await made.start(2, { files: { stateSync: trusted } });
  await made.level(10);
  expect(made.at(2).ledger.base).toBe(8);
  await made.pay(2);
  await made.level(11);
  expect(await made.at(2).ledger.verify()).toMatchObject({ faults: [] });
});
