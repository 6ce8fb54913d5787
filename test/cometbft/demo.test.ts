/** The demo's own steps on a network of four validators, with a caller that runs no node: to the proof, offline. */
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { beginNetwork, type DemoNetwork } from '../../scripts/demo-network.ts';
import { ask, earnings, must, publish, settle } from '../../scripts/demo-steps.ts';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { bundle, readBundle } from '../../src/protocol/bundle.ts';
import type { ConsensusBlock } from '../../src/protocol/consensus.ts';
import { verify } from '../../src/protocol/verifier.ts';
import { eventually, LOOPBACK } from '../e2e/support.ts';
import { portsInRow } from './ports.ts';

const FLAGS = [...LOOPBACK, '--guide-host', 'never'];

let peers: Peers;
let net: DemoNetwork;

beforeAll(async () => {
  peers = await createPeers();
  net = await beginNetwork(peers, { validators: 4, port: await portsInRow(8), flags: FLAGS });
}, 180_000);

afterAll(() => peers.clear());

const at = (number: number): Peer => {
  const peer = net.validators[number];
  if (peer === undefined) throw new RangeError('no such validator');
  return peer;
};

/** Writes the bundle with something changed in what certifies its settlement, and says what the program says of it. */
async function lied(
  file: string,
  change: (block: ConsensusBlock) => Partial<ConsensusBlock>,
): Promise<string> {
  const read = readBundle(new Uint8Array(await readFile(file)));
  const { settlement } = read;
  const consensus = settlement?.header.consensus;
  if (settlement === undefined || consensus === undefined) throw new TypeError('not settled by consensus');
  const blocks = consensus.blocks.map((block) => ({ ...block, ...change(block) }));
  const header = { ...settlement.header, consensus: { ...consensus, blocks } };
  const bent = `${file}.bent`;
  await writeFile(bent, bundle.encode({ ...read, settlement: { ...settlement, header } }));
  const { code, stdout } = await net.caller.sahara(['verify', bent]);
  expect(code).toBe(1);
  return stdout;
}

test('RCPT-85, RCPT-92, ENG-46: the demo’s steps hold under four validators, and a bundle proves the settlement with all of them stopped', async () => {
  const { caller, hosting } = net;
  const [host, contributor] = [at(0), at(1)];
  expect(await caller.client.call('status', {})).toMatchObject({ ledger: { role: 'light' } });
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
  const told = (await must(caller, ['network', 'status'])).stdout;
  expect(told).toMatch(/light: ledger at \d+, by block \d+ of consensus of 4 validators/);
  await peers.stop();

  const verdict = JSON.parse((await must(caller, ['verify', file, '--json'])).stdout) as object;
  expect(verdict).toMatchObject({
    callId: end.callId,
    settlement: { by: 'claim', decision: { voters: 4, powerOfAll: '40' } },
  });
  // The standalone verifier, which has no part of a node, says the same.
  expect(verify(new Uint8Array(await readFile(file)))).toMatchObject({ ok: true });
  const { stdout } = await must(caller, ['verify', file]);
  const checked = [...stdout.matchAll(/✓ (\w+)/g)].map(([, name]) => name);
  expect(checked).toEqual(
    expect.arrayContaining(['question', 'receipt', 'block', 'inclusion', 'claim', 'counted', 'split']),
  );
  expect(stdout).toMatch(/block \d+, decided by [34] of 4 validators, who count [34]0 of 40/);
  expect(stdout).toContain('no third of them ever signed anything false');
  expect((await must(caller, ['verify', audit])).stdout).toMatch(/decided by [34] of 4 validators/);

  const [, height = '', hash = ''] = /(\d+):([0-9a-f]{64})/.exec(told) ?? [];
  const elsewhere = await caller.sahara(['verify', file, '--through', `${Number(height) + 1}:${hash}`]);
  expect(elsewhere.code).toBe(1);
  expect(elsewhere.stdout).toContain(`does not come by way of block ${Number(height) + 1} of consensus`);
  const few = await lied(file, ({ votes }) => ({
    votes: votes.map((vote, i) => (i < 2 ? undefined : vote)),
  }));
  // By one or by two of four: where one was away by itself, it is one that is left.
  expect(few).toMatch(/Not proved: .*(which is not more than two thirds|no more than a third of the voters)/);
  const strong = ({ voters }: ConsensusBlock) => ({ voters: voters.map((one) => ({ ...one, power: 99 })) });
  expect(await lied(file, strong)).toContain('its voters are not those that its header names');
  const moved = ({ header }: ConsensusBlock) => ({ header: { ...header, height: header.height + 1 } });
  expect(await lied(file, moved)).toContain('is not its voter’s for this block of this network');
});

test('ENG-47: a light home of such a network hosts nothing, and says how it would', async () => {
  const { caller } = net;
  await caller.start(...FLAGS);
  const { code, stderr } = await caller.sahara(['vault', 'create', 'notes']);
  expect(code).not.toBe(0);
  expect(stderr).toContain('sahara network join FILE');
  await caller.stop();
  const file = join(dirname(caller.home.root), 'network.json');
  const wrong = await caller.sahara(['network', 'join', file, '--light', '--trust', '12:abc']);
  expect(wrong.stderr).toContain('--trust takes a block of consensus by its height');
  const node = await caller.sahara(['network', 'join', file, '--trust', `1:${'0'.repeat(64)}`]);
  expect(node.stderr).toContain('--trust goes with --light');
  const voting = await at(0).sahara(['network', 'join', file, '--light']);
  expect(voting.stderr).toContain('is a node of a network');
  // A block that the network does not have is believed by nobody's word.
  await must(caller, ['network', 'join', file, '--light', '--trust', `900:${'0'.repeat(64)}`]);
});
