import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, must, startPair } from './support.ts';

/** Words that stand nowhere but in the documents. */
const PLANTED = ['zyzzyvine', 'quokkaberry', 'marmaladeen', 'plantedname', 'xerophane'];
const CHAT = {
  guild: { name: 'Oasis' },
  channel: { name: 'help' },
  messages: [
    {
      ...{ id: '1', type: 'Default', timestamp: '2024-05-01T10:00:00Z', author: { name: 'ann' } },
      content: 'The xerophane pump hums at noon.',
    },
  ],
};

let peers: Peers;
let host: Peer;
let caller: Peer;
let folder: string;
let outside: string;
beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  outside = join(host.home.root, '..', 'outside');
  folder = join(outside, 'papers');
  await mkdir(folder, { recursive: true });
  await startPair(host, caller);
});
afterAll(() => peers.clear());

/** Planted words that stand in some file below `root`, with the file. */
async function found(root: string): Promise<string[]> {
  const leaks: string[] = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    const text = `${path} ${bytes.toString('latin1')} ${bytes.toString('utf16le')}`.toLowerCase();
    for (const word of PLANTED) if (text.includes(word.slice(0, -1))) leaks.push(`${word} in ${path}`);
  }
  return leaks;
}

describe('a vault', () => {
  it('KNOW-104: leaves nothing readable in the home: not after import, search and answering', async () => {
    await writeFile(
      join(folder, 'plantedname.md'),
      '# Zyzzyvine\n\nThe zyzzyvine grows three metres in one night. Its quokkaberry tastes of marmaladeen.\n',
    );
    await writeFile(join(folder, 'chat.json'), JSON.stringify(CHAT));
    await must(host, 'vault', 'create', 'plants');
    const first = await must(host, 'vault', 'add', 'plants', folder, '--json');
    expect(first).toContain('--consent');
    await must(host, 'vault', 'add', 'plants', folder, '--consent', 'announced in the rules');
    expect(await must(host, 'vault', 'search', 'plants', 'xerophane')).toContain('hums at noon');
    await must(host, 'agent', 'add', '--name', 'plants', '--vault', 'plants', '--price', '0.001');
    await eventually('the agent is listed', async () => {
      const agents = await caller.client.call('agents', {});
      return agents.find(({ name }) => name === 'plants');
    });
    const { text } = await askWhole(caller, {
      agent: 'plants',
      question: 'How many metres does the zyzzyvine grow in one night?',
    });
    expect(text).toContain('three metres in one night');
    expect(await found(host.home.root)).toEqual([]);
    await host.stop();
    expect(await found(host.home.root)).toEqual([]);
    await host.start();
    const log = await host.client.call('vault.log', { vault: 'plants' });
    const { did } = await caller.client.call('status', {});
    expect(log.find(({ action }) => action === 'answer')).toMatchObject({
      who: did,
      count: 1,
      about: 'plants',
    });
    expect(log.map(({ action }) => action)).toContain('search');
  });

  it('KNOW-112, KNOW-116: goes to another DID for a purpose, and what comes after a revocation stays closed', async () => {
    const { did } = await caller.client.call('status', {});
    const archive = join(outside, 'plants.vault');
    await must(
      host,
      'vault',
      'export',
      'plants',
      archive,
      '--to',
      did,
      '--purpose',
      'answer',
      '--expires',
      '30d',
    );
    await must(caller, 'vault', 'create', 'copy');
    expect(await must(caller, 'vault', 'import', 'copy', archive)).toContain('2 documents');
    expect(await must(caller, 'vault', 'search', 'copy', 'zyzzyvine')).toContain('three metres');
    const refused = await caller.sahara(['vault', 'export', 'copy', join(outside, 'again.jsonl')]);
    expect(refused.stderr).toContain('(grant-refused)');
    const grantFile = join(outside, 'first.grant');
    await must(host, 'vault', 'grant', 'plants', did, '--purpose', 'answer,export', '--out', grantFile);
    expect(await must(host, 'vault', 'grants', 'plants')).toContain('answer, export');
    expect(await must(host, 'vault', 'revoke', 'plants', did)).toContain('2 grants');
    await writeFile(join(folder, 'late.md'), 'The late quokkaberry is blue.\n');
    await must(host, 'vault', 'add', 'plants', join(folder, 'late.md'));
    await must(host, 'vault', 'export', 'plants', archive, '--sealed');
    await must(caller, 'vault', 'create', 'later');
    const told = await must(caller, 'vault', 'import', 'later', archive, '--grant', grantFile);
    expect(told).toContain('2 documents');
    expect(told).toContain('1 document came later');
    expect(await must(caller, 'vault', 'search', 'later', 'blue late')).not.toContain('blue');
    // Somebody else's grant opens nothing.
    await must(host, 'vault', 'create', 'mine');
    expect((await host.sahara(['vault', 'import', 'mine', archive, '--grant', grantFile])).stderr).toContain(
      'somebody else',
    );
    await must(host, 'vault', 'export', 'plants', join(outside, 'readable/'));
    await must(host, 'vault', 'import', 'mine', join(outside, 'readable'));
    const [plants, mine] = ['plants', 'mine'].map((name) => host.client.call('vault.commit', { name }));
    expect(await mine).toEqual(await plants);
  });

  it('KNOW-124: follows a folder: new, changed, renamed and removed files, also over a restart', async () => {
    const watched = join(outside, 'watched');
    await mkdir(watched);
    await writeFile(join(watched, 'one.md'), 'The first well is deep.\n');
    await must(host, 'vault', 'create', 'wells');
    expect(await must(host, 'vault', 'watch', 'wells', watched)).toContain('1 file');
    const search = async (words: string): Promise<string[]> =>
      (await host.client.call('vault.search', { vault: 'wells', query: words })).map(
        ({ document, text }) => `${document}: ${text}`,
      );
    const comes = (words: string, what: string) =>
      eventually(what, async () => ((await search(words)).includes(what) ? true : undefined));
    await writeFile(join(watched, 'two.md'), 'The second well is dry.\n');
    await comes('second dry', 'watched/two.md: The second well is dry.');
    await writeFile(join(watched, 'two.md'), 'The second well is full again.\n');
    await comes('full again', 'watched/two.md: The second well is full again.');
    expect((await search('dry')).filter((row) => row.includes('dry'))).toEqual([]);
    await host.stop();
    await rename(join(watched, 'one.md'), join(watched, 'three.md'));
    await rm(join(watched, 'two.md'));
    await host.start();
    await comes('first deep', 'watched/three.md: The first well is deep.');
    await eventually('removed files go', async () =>
      (await search('full')).length === 0 ? true : undefined,
    );
    const list = await host.client.call('vault.list', {});
    expect(list.find(({ name }) => name === 'wells')).toMatchObject({ documents: 1 });
    // A folder that is away is no reason to forget what was in it.
    await rename(watched, `${watched}-away`);
    await must(host, 'vault', 'watch', '--json');
    await must(host, 'vault', 'watch', 'wells', watched, '--stop');
    expect(await search('first deep')).toEqual(['watched/three.md: The first well is deep.']);
  });

  it('KNOW-106, KNOW-117: forgets for good, and says what differs from what was committed to', async () => {
    const commitment = (await must(host, 'asset', 'commit', 'plants', '--vault')).trim();
    expect(commitment).toContain('sahara-chunks-1');
    const told = await must(host, 'vault', 'forget', 'plants', 'late.md');
    expect(told).toContain('off the disk');
    expect(told).toContain('1 earlier commitment');
    expect(await must(host, 'vault', 'verify', 'plants')).toContain('what its id says');
    expect((await host.sahara(['vault', 'forget', 'plants', 'late.md'])).code).toBe(1);
    await must(host, 'vault', 'remove', 'mine');
    expect((await readdir(host.home.keys)).filter((name) => name.startsWith('vault.mine'))).toEqual([]);
  });
});
