/** Keys that change while daemons run: whose calls, claims and cards count before, during and after (ID-30 to ID-39). */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import type { IdentityReport } from '../../src/daemon/admin/types-identity.ts';
import { askWhole, eventually, LOOPBACK, must } from './support.ts';

let peers: Peers;
let host: Peer;
let caller: Peer;
let address = '';

beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  const { addresses } = await host.start(...LOOPBACK, '--network-close-delay-blocks', '20');
  address = addresses[0] ?? '';
  await caller.start(...LOOPBACK, '--bootstrap', address);
  await eventually('the guide is listed', async () => (await caller.client.call('agents', {})).at(0));
});
afterAll(() => peers.clear());

const identityOf = (peer: Peer): Promise<IdentityReport> => peer.client.call('identity.show', {});
const question = 'What is a voucher?';

/** A paid question that has to be answered, within the moment in which the other side hears of a new key. */
const asks = async (): Promise<string> => {
  const end = await eventually('the guide answers', async () => {
    const asked = await askWhole(caller, { agent: 'guide', question });
    return asked.end.amount === '2000000' ? asked.end : undefined;
  });
  return end.path;
};

/** Keeps on asking while `work` runs, and answers how many were answered and why others were not. */
async function asking(work: () => Promise<unknown>): Promise<{ answered: number; refused: string[] }> {
  const refused: string[] = [];
  let answered = 0;
  let over = false;
  const asker = (async () => {
    while (!over) {
      try {
        const { end } = await askWhole(caller, { agent: 'guide', question });
        if (end.amount === '2000000') answered++;
        else refused.push(end.finish);
      } catch (error) {
        refused.push(error instanceof Error && 'code' in error ? String(error.code) : String(error));
      }
    }
  })();
  await work();
  over = true;
  await asker;
  return { answered, refused };
}

describe('an operator whose key changes', () => {
  it('says clearly what is missing before it is registered (ID-30)', async () => {
    expect(await must(caller, 'identity', 'show')).toContain('sahara identity init');
    const early = await caller.sahara(['identity', 'rotate']);
    expect(early.code).toBe(2);
    expect(early.stderr).toContain('Nobody has registered did:key:');
    for (const [args, words] of [
      [['identity', 'show', 'nonsense'], 'is not a DID'],
      [['identity', 'init', '--guardian', 'nonsense'], 'is not a DID'],
      [['identity', 'revoke', 'nonsense'], 'neither a DID nor a peer id'],
      [['identity', 'recover', 'did:key:z6Mk', '--new-key', 'nonsense'], 'is not a DID'],
      [['identity', 'certify', 'nonsense', '--capability', 'read:dataset/*'], 'neither a DID nor a peer id'],
    ] as const) {
      const finished = await caller.sahara(args);
      expect(finished.code, args.join(' ')).toBe(2);
      expect(finished.stderr).toContain(words);
    }
  });

  it('goes on paying by the new key, on the same channel, without a restart of anybody (ID-35)', async () => {
    await asks();
    await must(caller, 'identity', 'init');
    const before = await identityOf(caller);
    expect(before).toMatchObject({ registered: true, key: before.did, here: { signing: true, next: true } });
    const [channel] = await caller.client.call('channel.list', {});
    const { answered, refused } = await asking(() => must(caller, 'identity', 'rotate'));
    expect(refused).toEqual([]);
    expect(answered).toBeGreaterThan(0);
    const after = await identityOf(caller);
    expect(after.key).not.toBe(before.key);
    expect(after).toMatchObject({ did: before.did, here: { signing: true, next: true } });
    await asks();
    const channels = await caller.client.call('channel.list', {});
    expect(channels.map(({ id }) => id)).toEqual([channel?.id]);
    // Every grain that the old and the new key promised can be claimed.
    await must(host, 'channel', 'claim');
    const [paid] = await host.client.call('channel.list', {});
    expect(paid?.claimed).toBe(paid?.charged);
  });

  it('is paid by the new key too, and what was earned under the old one is claimed in time (ID-36, ID-38)', async () => {
    await asks();
    await must(host, 'identity', 'init');
    await asking(() => must(host, 'identity', 'rotate'));
    await eventually('what was due is claimed at once', async () => {
      const [row] = await host.client.call('channel.list', {});
      return row !== undefined && BigInt(row.claimed) > 0n && (await identityOf(host)).retired.length > 0
        ? row
        : undefined;
    });
    const path = await asks();
    expect(await must(caller, 'verify', path)).toContain('Proved');
    await must(host, 'channel', 'claim');
    const [paid] = await host.client.call('channel.list', {});
    expect(paid?.claimed).toBe(paid?.charged);
    expect(JSON.parse(await must(host, 'ledger', 'verify', '--json'))).toMatchObject({ sound: true });
  });

  it('loses nothing when it dies between its key and the block (ID-37)', async () => {
    const before = await identityOf(caller);
    await caller.stop();
    caller.environment.SAHARA_FAULTS = 'wallet:kept=kill';
    await caller.start(...LOOPBACK, '--bootstrap', address);
    delete caller.environment.SAHARA_FAULTS;
    await caller.sahara(['identity', 'rotate']);
    await caller.ended;
    expect(caller.running).toBe(false);
    await caller.start(...LOOPBACK, '--bootstrap', address);
    // The transaction was on disk: it takes effect without being asked for again, and its key is here.
    await eventually('the rotation is in a block', async () => {
      const { key } = await identityOf(caller);
      return key === before.key ? undefined : key;
    });
    expect(await identityOf(caller)).toMatchObject({ here: { signing: true, next: true } });
    await asks();
    for (let i = 0; i < 2; i++) {
      const rotating = caller.sahara(['identity', 'rotate']);
      await new Promise((resolve) => setTimeout(resolve, 150 + 450 * i));
      await caller.kill();
      await rotating;
      await caller.start(...LOOPBACK, '--bootstrap', address);
      await eventually('the key that signs is here', async () => {
        const { here } = await identityOf(caller);
        return here?.signing === true && here.next ? true : undefined;
      });
      await asks();
    }
  });

  it('keeps its keys as files that only it can read (ID-9)', async () => {
    const files = (await readdir(caller.home.keys)).filter((name) => name.startsWith('operator'));
    expect(files.length).toBeGreaterThan(3);
    const keys = await Promise.all(files.map((name) => readFile(join(caller.home.keys, name), 'utf8')));
    expect(new Set(keys.map((text) => JSON.parse(text).did)).size).toBe(files.length);
  });
});
