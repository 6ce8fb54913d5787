import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, must, startPair } from './support.ts';

const QUESTION = 'Why does honey keep for years?';

let peers: Peers;
let old: Peer;
let next: Peer;
let file: string;
let did: string;

async function filled(peer: Peer): Promise<void> {
  const path = join(peer.home.root, 'bees.md');
  await writeFile(path, '# Honey\n\nHoney keeps for years because it holds little water.\n');
  await must(peer, 'vault', 'create', 'bees');
  await must(peer, 'vault', 'add', 'bees', path);
}

const didOf = async (peer: Peer): Promise<string> => (await peer.client.call('status', {})).did;

beforeAll(async () => {
  peers = await createPeers();
  [old, next] = [await peers.add('old'), await peers.add('next')];
  await startPair(old, next);
  await filled(old);
  await must(old, 'agent', 'add', '--name', 'bees', '--vault', 'bees', '--price', '0.002');
  await must(old, 'agent', 'add', '--name', 'bees', '--vault', 'bees', '--price', '0.003', '--replace');
  file = join(old.home.root, 'bees.agent');
  did = (await old.client.call('agent.list', {})).find(({ name }) => name === 'bees')?.did ?? '';
});
afterAll(() => peers.clear());

describe('an agent that moves', () => {
  it('AGENT-30: leaves as a file that nobody can read but its reader', async () => {
    const reader = await didOf(next);
    const told = await must(old, 'agent', 'export', 'bees', file, '--to', reader);
    expect(told).toContain('sahara agent remove bees');
    const bytes = await readFile(file);
    expect(bytes.includes('vaults')).toBe(false);
    const again = await old.sahara(['agent', 'export', 'bees', file]);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('is there already');
    expect((await old.sahara(['agent', 'export', 'wasps', `${file}2`])).stderr).toContain('(agent-unknown)');
  });

  it('AGENT-31: is refused where something is wrong, and then nothing is kept', async () => {
    const refusal = async (peer: Peer, path: string): Promise<string> => {
      const { code, stderr } = await peer.sahara(['agent', 'import', path]);
      expect(code).not.toBe(0);
      return stderr;
    };
    const bytes = await readFile(file);
    const bad = join(next.home.root, 'bad.agent');
    await writeFile(bad, bytes.subarray(0, -1));
    expect(await refusal(next, bad)).toContain('no file of an agent');
    const changed = Buffer.from(bytes);
    changed[bytes.length - 1] = (changed[bytes.length - 1] ?? 0) ^ 1;
    await writeFile(bad, changed);
    expect(await refusal(next, bad)).toContain('not signed by who gave it away');
    expect(await refusal(old, file)).toContain(`it is for ${await didOf(next)}`);
    // The vault is not there yet.
    expect(await refusal(next, file)).toContain('(vault-unknown)');
    expect((await next.client.call('agent.list', {})).map(({ name }) => name)).not.toContain('bees');
    expect((await next.sahara(['agent', 'versions', 'bees'])).stderr).toContain('(agent-unknown)');
  });

  it('AGENT-32 AGENT-33: is the same agent at its new host, who earns for it', async () => {
    await filled(next);
    expect(await must(next, 'agent', 'import', file)).toContain('bees is live here');
    const rows = await next.client.call('agent.list', {});
    expect(rows.find(({ name }) => name === 'bees')).toMatchObject({ did, perCall: '3000000' });
    expect(
      (await next.client.call('agent.versions', { name: 'bees' })).map(({ version }) => version),
    ).toEqual([2, 1]);
    expect((await next.sahara(['agent', 'import', file])).stderr).toContain('(agent-exists)');
    await must(old, 'agent', 'remove', 'bees');
    await eventually('the new host is the only one', async () => {
      const listed = (await old.client.call('agents', {})).find((agent) => agent.name === 'bees');
      return listed?.operator === (await didOf(next)) ? listed : undefined;
    });
    const { text, end } = await askWhole(old, { agent: 'bees', question: QUESTION });
    expect(text).toContain('it holds little water');
    expect(end.amount).toBe('3000000');
    await must(next, 'channel', 'claim');
    const { assets } = await next.client.call('earnings', {});
    expect(assets.reduce((sum, { received }) => sum + BigInt(received), 0n)).toBe(3_000_000n);
  });
});
