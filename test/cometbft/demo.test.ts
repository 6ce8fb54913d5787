/** The demo's own steps on a network of four validators: from documents to who earned what. */
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, earnings, must, publish, settle } from '../../scripts/demo-steps.ts';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import type { StatusReport } from '../../src/daemon/admin/types.ts';
import { eventually, LOOPBACK } from '../e2e/support.ts';
import { portsInRow } from './support.ts';

const FLAGS = [...LOOPBACK, '--guide-host', 'never'];

let peers: Peers;
const validators: Peer[] = [];

beforeAll(async () => {
  peers = await createPeers();
  for (let i = 1; i <= 4; i++) validators.push(await peers.add(`validator-${i}`));
});

afterAll(() => peers.clear());

const at = (number: number): Peer => {
  const peer = validators[number];
  if (peer === undefined) throw new RangeError('no such validator');
  return peer;
};

/** Four daemons, one of which the others know. */
async function begin(): Promise<StatusReport> {
  const into = dirname(at(0).home.root);
  const port = String(await portsInRow(8));
  await must(at(0), ['network', 'init', '--validators', '4', '--into', into, '--port', port]);
  // No height is decided by one of four: the first is awaited together with the others.
  const hosting = at(0).start(...FLAGS);
  const address = await eventually(
    'an address',
    async () => (await at(0).client.call('status', {})).addresses[0],
  );
  await Promise.all(validators.slice(1).map((peer) => peer.start(...FLAGS, '--bootstrap', address)));
  return hosting;
}

test('RCPT-85, RCPT-92: the demo’s steps hold under four validators, and a bundle proves the settlement with all of them stopped', async () => {
  const [host, contributor, caller] = [at(0), at(1), at(2)];
  const hosting = await begin();
  await publish(host, contributor);
  const end = await ask(caller, 'How does a payee get paid if the payer disappears?');
  await settle(host);
  await earnings({ host, contributor, end, hosting });
  const file = join(caller.home.root, 'call.bundle');
  await eventually('the settlement is in the bundle', async () => {
    await must(caller, ['bundle', end.callId, file]);
    return 'settlement' in (JSON.parse((await must(caller, ['verify', file, '--json'])).stdout) as object)
      ? true
      : undefined;
  });
  const audit = join(caller.home.root, 'call.audit');
  await must(caller, ['audit', end.callId, '--out', audit]);
  await peers.stop();

  const verdict = JSON.parse((await must(caller, ['verify', file, '--json'])).stdout) as object;
  expect(verdict).toMatchObject({
    callId: end.callId,
    settlement: { by: 'claim', decision: { voters: 4, powerOfAll: '40' } },
  });
  const { stdout } = await must(caller, ['verify', file]);
  const checked = [...stdout.matchAll(/✓ (\w+)/g)].map(([, name]) => name);
  expect(checked).toEqual(
    expect.arrayContaining(['question', 'receipt', 'block', 'inclusion', 'claim', 'counted', 'split']),
  );
  expect(stdout).toMatch(/block \d+, decided by [34] of 4 validators, who count [34]0 of 40/);
  expect(stdout).toContain('no third of them ever signed anything false');
  expect((await must(caller, ['verify', audit])).stdout).toMatch(/decided by [34] of 4 validators/);
});
