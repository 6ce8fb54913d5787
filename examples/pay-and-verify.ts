/**
 * Pay for an answer and prove it offline: the evidence bundle verifies with every peer stopped, and no longer once
 * a single bit of it is changed.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createPeers } from '../scripts/peers.ts';
import { formatAmount } from '../src/base/amount.ts';
import { nativeSuite } from '../src/protocol/suite-native.ts';
import { verifyBundle } from '../src/protocol/verify-bundle.ts';

const LOCAL = ['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false'];

const peers = await createPeers();
try {
  const host = await peers.add('host');
  const caller = await peers.add('caller');
  const { addresses } = await host.start(...LOCAL);
  await caller.start(...LOCAL, '--bootstrap', addresses[0] ?? '');

  let path = '';
  const question = 'What happens if a machine crashes?';
  for await (const event of caller.client.stream('ask', { agent: 'guide', question, priceMax: '2000000' })) {
    if (event.type === 'end') path = event.path;
  }
  const bundle = new Uint8Array(await readFile(path));
  await peers.stop();

  const { ok, summary } = verifyBundle(nativeSuite, bundle);
  assert.ok(ok && summary, 'the bundle verifies with no peer running');
  const paid = summary.shares.reduce((sum, { amount }) => sum + amount, 0n);
  assert.equal(paid, summary.receipt.amount, 'the shares sum to the price');

  const middle = bundle.length >> 1;
  bundle[middle] = (bundle[middle] ?? 0) ^ 1;
  const altered = verifyBundle(nativeSuite, bundle);
  assert.equal(altered.ok, false, 'a changed bit is seen');
  const fault = altered.steps.find((step) => !step.ok);
  console.log(
    `Paid ${formatAmount(paid)} and proved it. With one bit changed: ${fault?.check}: ${fault?.detail}.`,
  );
} finally {
  await peers.clear();
}
