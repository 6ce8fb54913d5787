import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { eventually, must, startPair } from './support.ts';

let peers: Peers;
let host: Peer;
let caller: Peer;
let folder: string;
beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  await startPair(host, caller);
  folder = join(host.home.root, 'files');
  await mkdir(folder);
});
afterAll(() => peers.clear());

/** Runs a command with `--json` and gives what it says, whatever its exit code. */
async function json(peer: Peer, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await peer.sahara([...args, '--json']);
  return JSON.parse(stdout || stderr);
}

async function register(peer: Peer, ...args: readonly string[]): Promise<string> {
  const { asset } = JSON.parse(await must(peer, 'asset', 'register', ...args, '--json'));
  expect(asset).toMatch(/^[0-9a-f]{64}$/);
  return asset;
}

describe('assets of two people', () => {
  it('are registered, replaced by versions, and proved in part against the ledger and offline', async () => {
    const file = join(folder, 'corpus.bin');
    const bytes = Buffer.alloc(2_500_000);
    for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(i, i);
    await writeFile(file, bytes);
    const first = await register(host, file, '--kind', 'dataset', '--bounty', '1');
    const second = await register(host, file, '--kind', 'dataset', '--replaces', first);
    const shown = await must(host, 'asset', 'show', 'corpus.bin');
    expect(shown).toContain(second);
    expect(shown.match(/version [12]/g)).toHaveLength(2);
    const again = await host.sahara(['asset', 'register', file, '--kind', 'dataset', '--replaces', first]);
    expect(again.stderr).toContain('was replaced by another version before');
    expect(again.stderr).toContain('(licence-refused)');

    const [proof, part] = [join(folder, 'part.proof'), join(folder, 'part')];
    await must(host, 'asset', 'prove', file, '--bytes', '1048570-1048580', '--out', proof);
    const told = await eventually('the caller has the asset', async () => {
      const { stdout, code } = await caller.sahara([
        'asset',
        'check',
        proof,
        '--asset',
        second,
        '--out',
        part,
      ]);
      return code === 0 ? stdout : undefined;
    });
    expect(told).toContain('bytes 0 to 2097152 of 2500000');
    expect(Buffer.compare(await readFile(part), bytes.subarray(0, 2_097_152))).toBe(0);
    const word = (await must(host, 'asset', 'commit', file)).trim();
    const nobody = await peers.add('nobody');
    expect(await must(nobody, 'asset', 'check', proof, '--commitment', word)).toContain('Proved');

    const damaged = await readFile(proof);
    damaged[1_000_000] = (damaged[1_000_000] ?? 0) ^ 1;
    await writeFile(proof, damaged);
    const refused = await nobody.sahara(['asset', 'check', proof, '--commitment', word]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('not those that were committed to');
    const beyond = await nobody.sahara(['asset', 'prove', file, '--chunk', '3', '--out', proof]);
    expect(beyond.stderr).toMatch(/chunk 3 is beyond the end: there are 3/i);
  });

  it('bind what others make of them: asked before anything is sent, bought, approved, withdrawn', async () => {
    const terms = join(folder, 'terms.json');
    const wish = { preset: 'commercial-remix', derivatives: 'by-approval', grant: { price: '0.5' } };
    await writeFile(terms, JSON.stringify(wish));
    const nothing = `none:${'0'.repeat(64)}:0`;
    const base = ['--kind', 'model', '--name', 'base', '--terms', terms, '--licence', 'remix'];
    const model = await register(host, ...base, '--commitment', nothing);
    await eventually('the caller has the model', async () => {
      const { code } = await caller.sahara(['licence', 'show', model]);
      return code === 0 ? true : undefined;
    });
    const parents = `${model}:fine-tuned-from:1`;
    const plan = await json(caller, 'licence', 'check', '--use', 'adapter', '--parents', parents);
    expect(plan).toMatchObject({
      allowed: false,
      reasons: [
        { reason: 'licence-grant', name: 'base' },
        { reason: 'licence-approval' },
        { reason: 'licence-share' },
        { reason: 'licence-attribution' },
      ],
      royalties: [
        { name: 'adapter', ppm: 990_000 },
        { name: 'base', ppm: 10_000 },
      ],
    });
    const adapter = ['--kind', 'adapter', '--name', 'mine', '--commitment', nothing];
    const under = ['--parent', `${model}:fine-tuned-from:5`, '--terms', 'open-attribution'];
    const early = await caller.sahara(['asset', 'register', ...adapter, ...under]);
    expect(early.stderr).toMatch(/base: A parent may only be used under a bought licence\./i);
    expect(early.stderr).toContain('base: The registrant of a parent has not approved.');
    const dry = await caller.sahara(['asset', 'register', ...adapter, ...under, '--dry-run']);
    expect([dry.code, dry.stdout.startsWith('No')]).toEqual([1, true]);

    expect(await must(caller, 'licence', 'buy', model)).toContain('has a licence for ever');
    const { did } = await json(caller, 'id', 'show');
    await must(host, 'licence', 'approve', 'base', String(did));
    const allowed = await eventually('the approval is known', async () => {
      const { stdout, code } = await caller.sahara(['asset', 'register', ...adapter, ...under, '--dry-run']);
      return code === 0 ? stdout : undefined;
    });
    expect(allowed).toMatch(/Yes.*\n(?:.*\n)*.*base.*5 %/);
    const made = await register(caller, ...adapter, ...under);

    const manifest = join(folder, 'agent.yaml');
    const lineage = (how: string): string =>
      `name: tuned\nvaults: [guide]\nasset: {madeOf: [{asset: ${model}, how: ${how}, part: 5 %}], terms: open}\n`;
    await writeFile(manifest, lineage('retrieves-from').replace('[guide]', '[own]'));
    await must(caller, 'vault', 'create', 'own');
    await writeFile(join(folder, 'own.txt'), 'A camel drinks a hundred litres at once.');
    await must(caller, 'vault', 'add', 'own', join(folder, 'own.txt'));
    const agent = await caller.sahara(['agent', 'add', manifest]);
    expect(agent.stderr).toContain('(licence-refused)');
    expect(agent.stderr).toMatch(/base: A parent asks to be named/i);
    const open = (await readFile(manifest, 'utf8')).replace('terms: open', 'terms: open-attribution');
    await writeFile(manifest, open);
    await must(caller, 'agent', 'add', manifest);
    const kin = await json(caller, 'lineage', 'tuned');
    expect(kin.madeOf).toMatchObject([{ name: 'base', relation: 'retrieves-from', ppm: 50_000 }]);

    expect(await must(host, 'licence', 'withdraw', 'base', String(did))).toContain('no approval');
    const rows = JSON.parse(await must(host, 'collect', 'base', '--path', '--json'));
    expect(rows).toMatchObject([{ name: 'base', moved: '500000000', to: [{ as: 'owner' }] }]);
    expect((await json(caller, 'lineage', made)).madeOf).toMatchObject([{ name: 'base', ppm: 50_000 }]);
    expect(JSON.parse(await must(host, 'ledger', 'verify', '--json'))).toMatchObject({ sound: true });
  });
});
