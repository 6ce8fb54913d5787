/** Four daemons, one of them of an older program, as their network goes on to the second version of its rules. */
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import type { NetworkStatus } from '../../src/daemon/comet/status.ts';
import { createCometRpc, fieldsOf } from '../../src/ledger/engines/comet/rpc.ts';
import { didOf } from '../../src/protocol/ids.ts';
import { eventually, LOOPBACK, must } from '../e2e/support.ts';
import { portsInRow } from './ports.ts';

const FLAGS = [...LOOPBACK, '--guide-host', 'never'];
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LOST = didOf(new Uint8Array(32));

let peers: Peers;
const validators: Peer[] = [];
let port = 0;

const at = (number: number): Peer => {
  const peer = validators[number];
  if (peer === undefined) throw new RangeError('no such validator');
  return peer;
};

/** A copy of this program that knows the first version of the rules alone; its launcher. */
async function olderProgram(folder: string): Promise<string> {
  for (const name of ['bin', 'src', 'spec', 'docs', 'package.json'])
    await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const rules = join(folder, 'src', 'ledger', 'rules.ts');
  const text = await readFile(rules, 'utf8');
  const older = text.replace('= [FIRST, SECOND];', '= [FIRST];');
  expect(older).not.toBe(text);
  await writeFile(rules, older);
  return join(folder, 'bin', 'sahara.js');
}

beforeAll(async () => {
  peers = await createPeers();
  for (let i = 1; i <= 4; i++) validators.push(await peers.add(`validator-${i}`));
  port = await portsInRow(8);
  const into = dirname(at(0).home.root);
  await must(at(0), 'network', 'init', '--validators', '4', '--into', into, '--port', String(port));
  at(3).launcher = await olderProgram(join(into, 'older'));
  await Promise.all(validators.map((peer) => peer.start(...FLAGS)));
});

afterAll(() => peers.clear());

/** The version of the application in the header of a block of consensus. */
async function appVersion(height: number): Promise<number> {
  const rpc = createCometRpc(fetch, `http://127.0.0.1:${port + 1}`);
  const { block } = fieldsOf(
    await rpc.call('block', { height: String(height) }, { signal: AbortSignal.timeout(10_000) }),
  );
  return Number(fieldsOf(fieldsOf(fieldsOf(block).header).version).app);
}

const status = async (peer: Peer): Promise<NetworkStatus> =>
  JSON.parse(await must(peer, '--json', 'network', 'status')) as NetworkStatus;
const heightOf = async ({ client }: Peer): Promise<number> => (await client.call('ledger.status', {})).height;
const payOne = async (): Promise<string> =>
  must(at(0), 'pay', (await at(1).client.call('status', {})).did, '0.5');

test('ENG-60 ENG-61 LEDGER-168 LEDGER-171: at the height that validators voted for, who knows the new rules goes on by them; who does not ends, says what to install, and catches up with it', async () => {
  await payOne();
  const upgradeAt = (await heightOf(at(0))) + 8;
  for (let i = 0; i < 3; i++) await must(at(i), 'network', 'upgrade', '--at', String(upgradeAt));
  await eventually('the plan', async () => {
    const { rules } = await status(at(3));
    return rules.plan?.height === upgradeAt && rules.known === 1 ? true : undefined;
  });
  // By the rules of now, money can be lost.
  await must(at(0), 'pay', LOST, '0.5', '--new');
  const { ended } = at(3);
  while ((await heightOf(at(0))) < upgradeAt - 1) await payOne();

  const old = await ended;
  expect(old?.code).toBe(4);
  expect(old?.stderr).toContain('The network goes on by rules that this program does not know.');
  expect(old?.stderr).toContain(`From block ${upgradeAt} on it has version 2 of its rules`);
  const shown = await at(3).sahara(['network', 'status']);
  expect([shown.code, shown.stderr]).toEqual([4, expect.stringContaining(`From block ${upgradeAt} on`)]);
  const again = await at(3).startToEnd(...FLAGS);
  expect([again.code, again.stderr]).toEqual([
    4,
    expect.stringContaining('Install a newer version of sahara'),
  ]);

  expect(await heightOf(at(0))).toBe(upgradeAt - 1);
  const refused = await at(0).sahara(['pay', LOST, '0.5', '--new']);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('Nobody can ever sign')]);
  expect(await heightOf(at(0))).toBe(upgradeAt);
  for (let i = 0; i < 3; i++) await payOne();
  const { height, rules } = await status(at(1));
  expect(rules).toMatchObject({ version: 2, known: 2, approvals: [] });
  expect([await appVersion(2), await appVersion(height)]).toEqual([1, 2]);

  at(3).launcher = at(0).launcher;
  await at(3).start(...FLAGS);
  const roots = await eventually('one root', async () => {
    const all = await Promise.all(validators.map(({ client }) => client.call('ledger.status', {})));
    const found = new Set(all.map(({ height: reached, stateRoot }) => `${reached} ${stateRoot}`));
    return found.size === 1 ? found : undefined;
  });
  expect(roots.size).toBe(1);
  // What was executed by the first version is executed by it again.
  for (const peer of [at(0), at(3)]) expect(await must(peer, 'ledger', 'verify')).toMatch(/^Sound/);
});
