import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import type { NetworkStatus } from '../../src/daemon/comet/status.ts';
import { COMET_INSTALL } from '../../src/daemon/comet/version.ts';
import { eventually, LOOPBACK, must } from '../e2e/support.ts';
import { portsInRow } from './ports.ts';

const FLAGS = [...LOOPBACK, '--guide-host', 'never'];

let peers: Peers;
const validators: Peer[] = [];
let port = 0;

const status = async (peer: Peer): Promise<NetworkStatus> =>
  JSON.parse(await must(peer, '--json', 'network', 'status')) as NetworkStatus;

/** Resolves with the height at which all have the same ledger, at least `height`. */
async function level(all: readonly Peer[], height: number): Promise<number> {
  return eventually('the same ledger everywhere', async () => {
    const reports = await Promise.all(all.map(({ client }) => client.call('ledger.status', {})));
    const [first] = reports;
    const same = reports.every((one) => one.height === first?.height && one.stateRoot === first.stateRoot);
    return same && first !== undefined && first.height >= height ? first.height : undefined;
  });
}

const didOf = async ({ client }: Peer): Promise<string> => (await client.call('status', {})).did;
const pay = async (from: Peer, to: Peer): Promise<string> => must(from, 'pay', await didOf(to), '0.5');
const at = (number: number): Peer => {
  const peer = validators[number];
  if (peer === undefined) throw new RangeError('no such validator');
  return peer;
};

beforeAll(async () => {
  peers = await createPeers();
  for (let i = 1; i <= 4; i++) validators.push(await peers.add(`validator-${i}`));
  port = await portsInRow(10);
  const into = dirname(at(0).home.root);
  await must(at(0), 'network', 'init', '--validators', '4', '--into', into, '--port', String(port));
  await Promise.all(validators.map((peer) => peer.start(...FLAGS)));
});

afterAll(() => peers.clear());

test('four homes are four validators: what one pays the others have, and a daemon that is killed is missed by nobody', async () => {
  await pay(at(0), at(1));
  const {
    height,
    block = '',
    validators: voters,
    peers: others,
  } = await eventually('connections', async () => {
    const found = await status(at(2));
    return found.peers === 3 ? found : undefined;
  });
  expect({ voters: voters.map(({ power }) => power), others }).toEqual({
    voters: ['10', '10', '10', '10'],
    others: 3,
  });
  expect(height).toBeGreaterThan(0);
  // ENG-71: each calls that block as the others do, for who verifies by way of it.
  for (const peer of [at(0), at(2)])
    expect(await must(peer, 'network', 'status', '--block', block.split(':')[0] ?? '')).toBe(`${block}\n`);
  const before = await level(validators, 1);
  await at(3).kill();
  await pay(at(1), at(2));
  await pay(at(2), at(0));
  await at(3).start(...FLAGS);
  await level(validators, before + 2);
  expect(await must(at(3), 'ledger', 'verify')).toMatch(/^Sound/);
});

test('a fifth home joins by the network’s file, and votes once it has a bond', async () => {
  const fifth = await peers.add('fifth');
  const file = join(dirname(at(0).home.root), 'network.json');
  await must(fifth, 'network', 'join', file, '--port', String(port + 8));
  await fifth.start(...FLAGS);
  await level([...validators, fifth], 1);
  await must(fifth, 'stake', 'bond', '3', '--role', 'validator');
  const { validators: voters } = await eventually('a fifth voter', async () => {
    const found = await status(at(0));
    return found.validators.length === 5 ? found : undefined;
  });
  expect(voters.map(({ power, first }) => [power, first])).toContainEqual(['3', false]);
});

test('ENG-21: a validator that changes its key goes on voting with the new one', async () => {
  const before = await status(at(0));
  await must(at(0), 'identity', 'init');
  await must(at(0), 'identity', 'rotate');
  const after = await eventually('another key that votes', async () => {
    const found = await status(at(1));
    const gone = before.validators.filter(({ key }) => !found.validators.some((one) => one.key === key));
    return gone.length === 1 ? found : undefined;
  });
  expect(after.validators).toHaveLength(before.validators.length);
  // Of 43 that vote 30 would do; with one away each of the others is needed, the one with the new key too.
  await at(3).kill();
  await pay(at(1), at(2));
  await at(3).start(...FLAGS);
  await level(validators, 1);
});

test('who has no CometBFT is told the line that installs it', async () => {
  const other = await peers.add('other');
  const environment = { COMETBFT_BIN: '/nowhere/cometbft' };
  const made = await other.sahara(['network', 'init', '--validators', '1'], { environment });
  expect(made.code).not.toBe(0);
  expect(made.stderr).toContain(COMET_INSTALL);
});
