import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import type { AgentTestEvent } from '../../src/daemon/admin/types-agent.ts';
import { askWhole, LOOPBACK, must } from './support.ts';

const NOTES = `# Bees

A hive has one queen. Worker bees live about six weeks in summer.

# Honey

Honey keeps for years because it holds little water.
`;

const MANIFEST = `name: bees
vaults: [bees]
skills: [{ name: answer, examples: ["Why does honey keep for years?"] }]
tests:
  - { ask: How many queens does a hive have?, says: [one queen], cites: [bees.md] }
  - { ask: Who won the football cup in 1998?, nothing: true }
`;

let peers: Peers;
let host: Peer;
beforeAll(async () => {
  peers = await createPeers();
  host = await peers.add('host');
  await host.start(...LOOPBACK);
  const folder = join(host.home.root, 'documents');
  await mkdir(folder);
  await writeFile(join(folder, 'bees.md'), NOTES);
  await writeFile(join(folder, 'bees.yaml'), MANIFEST);
  await must(host, 'vault', 'create', 'bees');
  await must(host, 'vault', 'add', 'bees', join(folder, 'bees.md'));
  await must(host, 'agent', 'add', join(folder, 'bees.yaml'));
});
afterAll(() => peers.clear());

async function tried(...more: readonly string[]): Promise<{ code: number; events: AgentTestEvent[] }> {
  const { code, stdout } = await host.sahara(['agent', 'test', 'bees', '--json', ...more]);
  const events = stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
  return { code: code ?? -1, events };
}

describe('sahara agent create', () => {
  it('makes a live, priced and tried agent of a folder', async () => {
    const folder = join(host.home.root, 'documents');
    const made = await host.sahara([
      ...['agent', 'create', '--template', 'community-faq', '--name', 'club'],
      ...['--documents', join(folder, 'bees.md'), '--price', '0.004', '--json'],
    ]);
    expect(made.code, made.stderr).toBe(0);
    const lines = made.stdout.trim().split('\n');
    const row = JSON.parse(lines.at(-1) ?? '');
    expect(row).toMatchObject({ name: 'club', perCall: '4000000', vaults: ['club'], failed: 0 });
    expect(row.examples).toContain('What about Honey?');
    const { text } = await askWhole(host, { agent: 'club', question: 'Why does honey keep for years?' });
    expect(text).toContain('it holds little water');
    const shown = await must(host, 'agent', 'show', 'club');
    expect(shown).toContain('What about Honey?');
    expect(shown).toContain('calls: 10');
  });

  it('says what is missing or wrong before it imports anything', async () => {
    const refusal = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr } = await host.sahara(['agent', 'create', ...args]);
      expect(code).toBe(2);
      return stderr;
    };
    const whole = ['--template', 'code-base', '--name', 'code', '--documents', host.home.root];
    expect(await refusal('--name', 'code')).toContain('--template, --documents');
    expect(await refusal('--template', 'code-bas')).toContain('did you mean code-base?');
    expect(await refusal(...whole, '--price', 'cheap')).toContain('--price');
    expect(await refusal(...whole, '--free', 'many')).toContain('--free');
    expect(await refusal(...whole, '--endpoint', 'http://127.0.0.1:1/v1')).toContain('--model');
    expect(await refusal(...whole.slice(0, 4), '--documents', '/nowhere')).toContain('/nowhere');
    expect(await refusal(...whole.slice(0, 2), '--name', 'bees', ...whole.slice(4))).toContain(
      'bees already',
    );
    expect((await host.client.call('vault.list', {})).map(({ name }) => name)).not.toContain('code');
  });
});

describe('an agent of this peer', () => {
  it('AGENT-11 AGENT-13: is asked what its manifest says, without money', async () => {
    const { code, events } = await tried();
    expect(events.at(-1)).toEqual({ type: 'total', passed: 3, failed: 0 });
    expect(code).toBe(0);
    expect(events[0]).toMatchObject({ finish: 'done', groundedPpm: 1_000_000, documents: ['bees.md'] });
    expect(events[1]).toMatchObject({ finish: 'nothing-found', passed: true });
    expect(events[2]).toMatchObject({ question: 'Why does honey keep for years?', passed: true });
    const paid = (await host.client.call('receipts', {})).map(({ amount }) => amount);
    expect(new Set(paid)).toEqual(new Set(['0']));
    expect(await must(host, 'agent', 'test', 'bees')).toContain('3 questions, all as they should be.');
  });

  it('AGENT-13: that does not say what it should is told why, and the exit code says so', async () => {
    const worse = join(host.home.root, 'documents', 'worse.yaml');
    await writeFile(worse, MANIFEST.replace('one queen', 'two queens').replace('bees.md]', 'wasps.md]'));
    await must(host, 'agent', 'add', worse, '--replace');
    const { code, events } = await tried();
    expect(code).toBe(1);
    expect(events[0]).toMatchObject({
      passed: false,
      faults: ['the answer does not say "two queens"', 'it does not cite wasps.md'],
    });
    expect(events.at(-1)).toEqual({ type: 'total', passed: 2, failed: 1 });
  });

  it('AGENT-2: goes back to what it was, and forth again, also after a restart', async () => {
    await must(host, 'agent', 'rollback', 'bees');
    expect((await tried()).code).toBe(0);
    const hashes = (await host.client.call('agent.versions', { name: 'bees' })).map((row) => [
      row.version,
      row.current,
      row.manifest === MANIFEST,
    ]);
    expect(hashes).toEqual([
      [3, true, true],
      [2, false, false],
      [1, false, true],
    ]);
    expect(await must(host, 'agent', 'show', 'bees')).toBe(MANIFEST);
    expect(await must(host, 'agent', 'versions', 'bees')).toMatch(/3 .*hosted now/);
    const refused = await host.sahara(['agent', 'rollback', 'bees', '--to', '9']);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('there are 1 to 3');
    await host.stop();
    // Changed by hand while nobody ran.
    const path = join(host.home.agents, 'bees.yaml');
    await writeFile(path, `${MANIFEST}description: By hand.\n`);
    await host.start(...LOOPBACK);
    const [newest] = await host.client.call('agent.versions', { name: 'bees' });
    expect(newest, 'AGENT-3').toMatchObject({ version: 4, current: true });
    const unknown = await host.sahara(['agent', 'versions', 'bee']);
    expect(unknown.stderr).toContain('bees');
  });
});
