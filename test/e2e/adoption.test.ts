/** Whose machine and keys are lost gets the DID back on a new home, with what it owns (ID-44 to ID-46). */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, LOOPBACK, must } from './support.ts';

const DELAY = 8;
const OWNER = [...LOOPBACK, '--guide-host', 'always', '--wallet-claim-every-seconds', '3600'];

let peers: Peers;
let host: Peer;
let owner: Peer;
let guardian: Peer;
let fresh: Peer;
let address = '';
/** The DID that is lost and found. */
let did = '';

beforeAll(async () => {
  peers = await createPeers();
  host = await peers.add('host');
  owner = await peers.add('owner');
  guardian = await peers.add('guardian');
  fresh = await peers.add('fresh');
  const delay = ['--network-close-delay-blocks', String(DELAY)];
  const { addresses } = await host.start(...LOOPBACK, '--guide-host', 'never', ...delay);
  address = addresses[0] ?? '';
  did = (await owner.start(...OWNER, '--bootstrap', address)).did;
  await guardian.start(...LOOPBACK, '--bootstrap', address);
  await asks();
}, 300_000);
afterAll(() => peers.clear());

/** A paid question of the guardian to the owner's agent. */
async function asks(): Promise<string> {
  const end = await eventually('the guide answers', async () => {
    const asked = await askWhole(guardian, { agent: 'guide', question: 'What is a voucher?' });
    return asked.end.amount === '2000000' ? asked.end : undefined;
  });
  return end.path;
}

const didOf = async (peer: Peer): Promise<string> => (await peer.client.call('status', {})).did;
/** The daemon starts anew by itself; this waits until it acts for `wanted`. */
const actsFor = (peer: Peer, wanted: string): Promise<true> =>
  eventually('the home acts for it', async () => ((await didOf(peer)) === wanted ? true : undefined));

describe('a person whose machine is lost', () => {
  let own = '';
  let earned = 0n;
  let asset = '';

  it('is given a new key by two of three guardians (LEDGER-74, LEDGER-76)', async () => {
    const third = 'did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2';
    const guardians = [await didOf(host), await didOf(guardian), third].flatMap((one) => ['--guardian', one]);
    await must(owner, 'identity', 'init', ...guardians, '--threshold', '2');
    await must(owner, 'channel', 'claim');
    const { assets, balance } = await owner.client.call('earnings', {});
    earned = BigInt(balance);
    asset = assets.find(({ received }) => BigInt(received) > 0n)?.asset ?? '';
    expect(asset).not.toBe('');
    await owner.kill();
    await rm(owner.home.root, { recursive: true });

    own = (await fresh.start(...OWNER, '--guide-host', 'never', '--bootstrap', address)).did;
    const { request } = JSON.parse(await must(fresh, 'identity', 'request-recovery', did, '--json'));
    const early = await fresh.sahara(['identity', 'adopt', did]);
    expect([early.code, early.stderr]).toEqual([1, expect.stringContaining('(key-missing)')]);
    for (const peer of [host, guardian]) await must(peer, 'identity', 'recover', did, '--new-key', request);
    await eventually('the delay is over', async () => {
      const { code } = await fresh.sahara(['identity', 'finish-recovery', did]);
      return code === 0 ? true : undefined;
    });
  });

  it('acts for the DID on the new home, across a death, and earns and collects as before (ID-44, ID-45)', async () => {
    const told = await must(fresh, 'identity', 'adopt', did);
    expect(told).toContain(`This home acts for ${did}`);
    expect(told).toContain(`sahara identity adopt ${own}`);
    await actsFor(fresh, did);
    await fresh.kill();
    await fresh.start(...OWNER, '--bootstrap', address);
    expect(await fresh.client.call('identity.show', {})).toMatchObject({
      did,
      mine: true,
      here: { signing: true, next: true },
    });
    const again = await fresh.client.call('earnings', {});
    expect(BigInt(again.balance)).toBeGreaterThan(earned - 10_000_000n);
    // The channel that stood takes further vouchers, and what was lost with the machine is only what nobody claimed.
    const path = await asks();
    expect(await must(guardian, 'verify', path)).toContain('Proved');
    await must(fresh, 'channel', 'claim');
    const after = await fresh.client.call('earnings', {});
    const received = after.assets.reduce((sum, row) => sum + BigInt(row.received), 0n);
    expect(received).toBeGreaterThan(0n);
    expect(after.assets.some((row) => row.asset === asset)).toBe(true);
    await must(fresh, 'collect', asset);
    expect(BigInt((await fresh.client.call('earnings', {})).balance)).toBeGreaterThan(BigInt(again.balance));
    await must(fresh, 'identity', 'rotate');
    await asks();
  });

  it('leaves no channels behind, and loses nothing of the DID that the home began with (ID-46)', async () => {
    const refused = await fresh.sahara(['identity', 'adopt', own]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('close them first')]);
    for (const { id } of await fresh.client.call('channel.list', {}))
      await must(fresh, 'channel', 'close', id);
    const { balance } = await fresh.client.call('earnings', {});
    await must(fresh, 'identity', 'adopt', own);
    await actsFor(fresh, own);
    const there = await eventually('the home answers', () => fresh.client.call('earnings', {}));
    expect(there.balance).not.toBe(balance);
    await must(fresh, 'identity', 'adopt', did);
    await actsFor(fresh, did);
    expect((await eventually('the home answers', () => fresh.client.call('earnings', {}))).balance).toBe(
      balance,
    );
    const twice = await fresh.sahara(['identity', 'adopt', did]);
    expect(twice.stderr).toContain('already');
    const ordering = await host.sahara(['identity', 'adopt', did]);
    expect(ordering.stderr).toContain('orders the ledger');
  });
});

describe('a next key that is kept elsewhere (ID-47)', () => {
  it('is moved out, not made again under its name, and rotates when it is brought', async () => {
    await must(guardian, 'identity', 'init');
    const file = join(peersFolder(), 'next.key');
    expect(await must(guardian, 'identity', 'export-next', file)).toContain('not in this home any more');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await guardian.client.call('identity.show', {})).here).toEqual({ signing: true, next: false });
    expect((await guardian.sahara(['identity', 'rotate'])).stderr).toContain('(key-missing)');
    expect((await guardian.sahara(['identity', 'export-next', `${file}.2`])).stderr).toContain(
      '(key-missing)',
    );
    // A key that is made meanwhile does not take its place.
    await must(guardian, 'identity', 'request-recovery');
    expect(await readdir(guardian.home.keys)).not.toContain('operator.1.json');
    const { key } = await guardian.client.call('identity.show', {});
    const wrong = await guardian.sahara([
      'identity',
      'rotate',
      '--key-file',
      join(guardian.home.keys, 'operator.2.json'),
    ]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('another key')]);
    await must(guardian, 'identity', 'rotate', '--key-file', file);
    const now = await guardian.client.call('identity.show', {});
    expect(now.key).not.toBe(key);
    expect(now.here).toEqual({ signing: true, next: true });
    await asks();
  });
});

function peersFolder(): string {
  return join(host.home.root, '..');
}
