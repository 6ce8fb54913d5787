/**
 * From a folder of your own to a live agent that earns: the commands of the README, run one by one, and a second
 * peer that asks and pays.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPeers, type Peer } from '../scripts/peers.ts';

const LOCAL = ['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false'];
const HANDBOOK = `# Handbook

## Leave

Everybody has thirty days of paid leave in a year. Days that are not taken move into the next year until the end of March.
`;

async function run(peer: Peer, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await peer.sahara(args);
  assert.equal(code, 0, stderr);
  return stdout;
}

const peers = await createPeers();
try {
  const host = await peers.add('host');
  const caller = await peers.add('caller');
  const { addresses } = await host.start(...LOCAL);
  await caller.start(...LOCAL, '--bootstrap', addresses[0] ?? '');
  const folder = join(host.home.root, 'handbook');
  await mkdir(folder);
  await writeFile(join(folder, 'leave.md'), HANDBOOK);
  await writeFile(
    join(folder, 'page.html'),
    '<h1>Travel</h1><p>Trains are paid for, flights only above 800 km.</p>',
  );

  await run(host, 'vault', 'create', 'handbook');
  await run(host, 'vault', 'add', 'handbook', folder);
  await run(host, 'agent', 'add', '--name', 'handbook', '--vault', 'handbook', '--price', '0.003');
  const answer = await run(caller, 'ask', 'handbook', 'How many days of leave does everybody have?');

  assert.match(answer, /thirty days of paid leave/);
  assert.match(answer, /paid 0\.003 SAHARA/);
  await run(host, 'channel', 'claim');
  await run(host, 'collect');
  const { assets } = await host.client.call('earnings', {});
  const earned = assets.reduce((sum, { received }) => sum + BigInt(received), 0n);
  assert.equal(earned, 3_000_000n, 'the host earned exactly the price');
  console.log(answer);
} finally {
  await peers.clear();
}
