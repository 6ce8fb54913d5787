/** Keys that are lost, certificates that are taken back, and what somebody contributed, shown to others. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, LOOPBACK, must } from './support.ts';

const DELAY = 8;

let peers: Peers;
let host: Peer;
let owner: Peer;
let guardian: Peer;
const dids: string[] = [];

beforeAll(async () => {
  peers = await createPeers();
  [host, owner, guardian] = [await peers.add('host'), await peers.add('owner'), await peers.add('guardian')];
  const { addresses, did } = await host.start(...LOOPBACK, '--network-close-delay-blocks', String(DELAY));
  dids.push(did);
  for (const peer of [owner, guardian]) {
    dids.push((await peer.start(...LOOPBACK, '--bootstrap', addresses[0] ?? '')).did);
  }
  await eventually('the guide is listed', async () => (await owner.client.call('agents', {})).at(0));
});
afterAll(() => peers.clear());

const asks = async (): Promise<string> => {
  const end = await eventually('the guide answers', async () => {
    const asked = await askWhole(owner, { agent: 'guide', question: 'What is a voucher?' });
    return asked.end.amount === '2000000' ? asked.end : undefined;
  });
  return end.path;
};

describe('an operator who lost the next key', () => {
  it('is recovered by two of three guardians, while its daemon runs (ID-30, ID-35)', async () => {
    await asks();
    const [first = '', own = '', second = ''] = dids;
    const third = 'did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2';
    const guardians = [first, second, third].flatMap((did) => ['--guardian', did]);
    await must(owner, 'identity', 'init', ...guardians, '--threshold', '2');
    await rm(join(owner.home.keys, 'operator.1.json'));
    const lost = await owner.sahara(['identity', 'rotate']);
    expect(lost.code).toBe(1);
    expect(lost.stderr).toContain('(key-missing)');

    const request = async (): Promise<string> =>
      JSON.parse(await must(owner, 'identity', 'request-recovery', '--json')).request;
    const unwanted = await request();
    await must(host, 'identity', 'recover', own, '--new-key', unwanted);
    const early = await owner.sahara(['identity', 'finish-recovery']);
    expect(early.stderr).toContain('No recovery has the votes');
    expect(await must(owner, 'identity', 'cancel-recovery')).not.toContain('recovery    to');
    const mistaken = await guardian.sahara(['identity', 'recover', second, '--new-key', unwanted]);
    expect(mistaken.stderr).toContain('The request is for');
    const broken = await guardian.sahara(['identity', 'recover', own, '--new-key', unwanted.slice(0, -8)]);
    expect([broken.code, broken.stderr]).toEqual([2, expect.stringMatching(/request|sign/)]);

    const wanted = await request();
    for (const peer of [host, guardian]) await must(peer, 'identity', 'recover', own, '--new-key', wanted);
    const soon = await guardian.sahara(['identity', 'finish-recovery', own]);
    expect(soon.stderr).toContain('can be finished from height');
    await eventually('the delay is over', async () => {
      const finished = await guardian.sahara(['identity', 'finish-recovery', own]);
      return finished.code === 0 ? finished : undefined;
    });
    await eventually('the owner signs with the new key', async () => {
      const { key, here } = await owner.client.call('identity.show', {});
      return key !== own && here?.signing === true && here.next ? key : undefined;
    });
    await asks();
    expect((await owner.client.call('channel.list', {})).length).toBe(1);
    // What guardians gave can be rotated again.
    await must(owner, 'identity', 'rotate');
    await asks();
  });
});

describe('a credential for a contribution (ID-41, ID-42)', () => {
  it('says what the ledger holds, also when its issuer rotated, and is checked without anybody', async () => {
    await asks();
    await must(host, 'channel', 'claim');
    await must(host, 'identity', 'init');
    await must(host, 'identity', 'rotate');
    const [guide] = await host.client.call('agent.list', {});
    const file = join(host.home.root, 'credential.json');
    await must(host, 'credential', 'issue', guide?.asset ?? '', '--out', file);
    const text = await readFile(file, 'utf8');
    const said = JSON.parse(await must(owner, 'credential', 'verify', file, '--json'));
    expect(said).toMatchObject({
      issuer: dids[0],
      subject: dids[0],
      asset: guide?.asset,
      sharePpm: 1_000_000,
    });
    expect(BigInt(said.earnedGrains)).toBeGreaterThan(0n);
    expect(said.receipts).toBeGreaterThan(0);
    expect(said.key).not.toBe(said.issuer);
    const other = join(host.home.root, 'other.json');
    for (const [from, to] of [
      [`"earnedGrains": "${said.earnedGrains}"`, '"earnedGrains": "99"'],
      ['"sharePpm": 1000000', '"sharePpm": 500000'],
      ['ContributionCredential', 'OtherCredential'],
    ] as const) {
      expect(text).toContain(from);
      await writeFile(other, text.replace(from, to));
      const { code, stderr } = await owner.sahara(['credential', 'verify', other]);
      expect([code, stderr]).toEqual([1, expect.stringContaining('(signature-invalid)')]);
    }
    const nobody = await host.sahara(['credential', 'issue', guide?.asset ?? '', '--for', dids[1] ?? '']);
    expect(nobody.stderr).toContain('has no share');
    expect((await host.sahara(['credential', 'issue', 'ffff'])).stderr).toContain('(asset-unknown)');
    await must(host, 'identity', 'revoke', said.serial);
    expect((await host.sahara(['identity', 'revoke', said.serial])).stderr).toContain('still counts');
  });
});

describe('a certificate that is taken back', () => {
  it('lets nobody call the peer any more, on streams that stand as well (ID-33, ID-39)', async () => {
    await asks();
    const { peerId } = await host.client.call('status', {});
    await must(host, 'identity', 'revoke', peerId);
    const refused = await eventually('the host is refused', async () => {
      const { code, stderr } = await owner.sahara(['ask', 'guide', 'What is a receipt?']);
      return code !== 0 && stderr.includes('certificate') ? stderr : undefined;
    });
    expect(refused).toContain('(certificate-invalid)');
    expect(refused).toContain('ts issuer took it back');
  });
});
