import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-line-'));
let peers: Peers;
let peer: Peer;
beforeAll(async () => {
  peers = await createPeers();
  peer = await peers.add('nobody');
});
afterAll(async () => {
  await peers.clear();
  rmSync(folder, { recursive: true });
});

describe('the command line', () => {
  it.each([
    [['--json', 'status'], 'daemon-not-running', 3],
    [['channel', '--json', 'list'], 'daemon-not-running', 3],
    [['frobnicate', '--json'], 'usage', 2],
    [['--json', 'ask'], 'usage', 2],
    [['--json'], 'usage', 2],
    [['explain', '123', '--json'], 'file-missing', 1],
  ])('takes --json anywhere: %j', async (args, error, code) => {
    const finished = await peer.sahara(args);
    expect(JSON.parse(finished.stdout)).toMatchObject({ error: { code: error } });
    expect(finished.stderr).not.toContain('Error');
    expect(finished.code).toBe(code);
  });

  it('takes --home anywhere', async () => {
    const other = join(folder, 'other');
    for (const args of [
      ['--home', other, 'status', '--json'],
      ['status', '--json', '--home', other],
    ]) {
      const { stdout } = await peer.sahara(args);
      expect(JSON.parse(stdout).error.facts.socket).toBe(join(other, 'admin.sock'));
    }
  });

  it('tells a mistake like every other failure', async () => {
    const { stderr, code } = await peer.sahara(['status', '--jsn']);
    expect(stderr).toContain("Unknown option '--jsn' (Did you mean --json?).");
    expect(stderr).toContain('(usage)');
    expect(code).toBe(2);
  });

  it('shows help without a command', async () => {
    const { stderr, code } = await peer.sahara([]);
    expect(stderr).toContain('sahara up');
    expect(stderr).not.toContain('(usage)');
    expect(code).toBe(2);
  });

  it('shows the options of `up` with readable defaults, and takes them off', async () => {
    const { stdout } = await peer.sahara(['up', '--help']);
    expect(stdout).not.toMatch(/\[\[|preset|\[true\]|\[""\]/);
    expect(stdout.replace(/\s+/g, ' ')).toMatch(/--mesh-mdns \[true\|false\] [^-]*\(default: true\)/);
    // The flag is known: what stops the start is the configuration after it.
    const { stderr } = await peer.sahara(['up', '--no-mesh-mdns', '--mesh-port', 'many']);
    expect(stderr).toContain('(config-invalid)');
  });

  it('says that a file is no evidence bundle', async () => {
    const file = join(folder, 'notes.txt');
    writeFileSync(file, 'Camels walk far.');
    const verified = await peer.sahara(['verify', file]);
    expect(verified.stdout).toContain(`Not proved: ${file} is no evidence bundle.`);
    expect(verified.code).toBe(1);
    expect((await peer.sahara(['explain', file])).stderr).toContain(`${file} is no evidence bundle.`);
  });

  it('says what a receipt can be named by', async () => {
    expect((await peer.sahara(['explain', '123'])).stderr).toContain('a receipt id of at least 4 digits');
  });
});
