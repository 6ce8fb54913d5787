import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { bytesOf, vectors } from '../protocol/vector-files.ts';

let peers: Peers;
let nobody: Peer;
beforeAll(async () => {
  peers = await createPeers();
  nobody = await peers.add('nobody');
  mkdirSync(nobody.home.root, { recursive: true });
});
afterAll(() => peers.clear());

/** The bundle of that name among the vectors, in a file. */
function fileOf(name: string): string {
  const { valid, invalid } = vectors('bundle');
  const found = [...valid, ...invalid].find((entry) => entry.name === name);
  const file = join(nobody.home.root, `${name.replaceAll(' ', '-')}.bundle`);
  writeFileSync(file, bytesOf(found ?? expect.fail(name), 'hex'));
  return file;
}

describe('sahara bill', () => {
  it('lists every call of a tree, without a daemon (RCPT-47)', async () => {
    const { stdout, code } = await nobody.sahara(['bill', fileOf('with calls below it')]);
    expect(code).toBe(0);
    const rows = stdout.split('\n').filter((line) => line.includes(' + '));
    expect(rows.map((row) => row.trim().split(/ {2,}/))).toEqual([
      [
        'guide',
        'answer',
        '10 + 9',
        '0.0001 + 0.00000001/asked + 0.000001001/said',
        '0.000109109',
        '0.0000022',
        '0.000111309',
      ],
      [
        expect.stringMatching(/^z6Mk/),
        'answer',
        '10 + 9',
        '0.000001 + 0.000000001/asked + 0.00000001/said',
        '0.0000011',
        '0.0000011',
        '0.0000022',
      ],
      [
        expect.stringMatching(/^z6Mk/),
        'answer',
        '10 + 9',
        '0.000001 + 0.000000001/asked + 0.00000001/said',
        '0.0000011',
        '0',
        '0.0000011',
      ],
    ]);
    expect(stdout).toContain('Proved: 0.000111309 SAHARA, the sum of what 3 calls cost');
  });

  it('gives machines the same, to the grain (RCPT-46)', async () => {
    const { stdout } = await nobody.sahara(['bill', fileOf('with calls below it'), '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      total: '111309',
      bill: {
        own: '109109',
        below: '2200',
        calls: [{ own: '1100', below: '1100', calls: [{ total: '1100' }] }],
      },
    });
    const alone = await nobody.sahara(['bill', fileOf('a free call')]);
    expect(alone.stdout).toContain('what 1 call cost (0 SAHARA); no calls below it');
  });

  it('refuses a tree that does not hold, and says why (RCPT-45)', async () => {
    const { stderr, code } = await nobody.sahara(['bill', fileOf('calls below above their budget')]);
    expect(code).toBe(1);
    expect(stderr).toContain('budget');
    expect(stderr).toContain('(bundle-invalid)');
  });

  it('goes with a budget that makes sense', async () => {
    for (const args of [
      ['--depth', '2'],
      ['--skills', 'answer'],
      ['--budget', 'much'],
      ['--budget', '0.01', '--depth', '17'],
    ]) {
      const { stderr, code } = await nobody.sahara(['ask', 'guide', 'What?', ...args]);
      expect(stderr, args.join(' ')).toContain('(usage)');
      expect(code).toBe(2);
    }
  });
});
