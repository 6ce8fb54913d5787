import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { configTable, configTemplate, loadConfig } from '../../src/daemon/config.ts';
import { CONFIG_OPTIONS } from '../../src/daemon/config-schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'sahara-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(text: string): { path: string; required: boolean } {
  const path = join(folder, 'config.yaml');
  writeFileSync(path, text);
  return { path, required: true };
}

function refusal(sources: Parameters<typeof loadConfig>[0]): SaharaError {
  try {
    loadConfig(sources);
  } catch (error) {
    if (error instanceof SaharaError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const PEER = '/dns4/peer.example/tcp/4001/p2p/12D3KooWGzBZpmCe1Rg3YJmPvj8sHYXkRSSWhVGUNyHmPvVtF2QY';

describe('configuration', () => {
  it('has every option with its default in the template, and the template changes nothing', () => {
    const plain = loadConfig({});
    expect(loadConfig({ file: fileOf(configTemplate()) })).toEqual(plain);
    const uncommented = configTemplate().replaceAll(/^ {2}# (\w+: .*)$/gm, '  $1');
    expect(loadConfig({ file: fileOf(uncommented) })).toEqual(plain);
    expect(CONFIG_OPTIONS.every(({ about, allowed }) => about !== '' && allowed !== '')).toBe(true);
  });

  it('stands in the documentation as it is', () => {
    const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
    expect(page).toContain(configTable());
  });

  it('lets variables win over the file and flags over variables', () => {
    const file = fileOf('mesh:\n  port: 1\n  host: 10.0.0.1\nguide:\n  price: 0.005\n');
    const environment = {
      SAHARA_MESH_PORT: '2',
      SAHARA_MESH_MDNS: 'off',
      SAHARA_MESH_BOOTSTRAP: `${PEER}, ${PEER}`,
    };
    const config = loadConfig({ file, environment, flags: new Map([['mesh.port', '3']]) });
    expect(config.mesh).toMatchObject({ port: 3, host: '10.0.0.1', mdns: false, bootstrap: [PEER, PEER] });
    expect(config.guide.price).toBe('0.005');
  });

  it.each([
    ['mesh:\n  mdns: false\n  port: 99999\n', { line: 3, field: 'mesh.port', found: '99999' }],
    ['mesh:\n  prot: 1\n', { line: 2, field: 'mesh.prot', nearest: 'mesh.port' }],
    ['mash:\n  port: 1\n', { line: 1, field: 'mash', nearest: 'mesh' }],
    ['guide:\n  price: much\n', { line: 2, field: 'guide.price', found: 'much' }],
    ['daemon:\n  logLevel: loud\n', { line: 2, allowed: 'debug, info, warn, error, silent' }],
    ['mesh: 7\n', { line: 1, field: 'mesh' }],
    ['mesh:\n  - [\n', { field: '(syntax)' }],
    ['42\n', { field: '(file)' }],
    [
      'gateway:\n  via: [notanaddress]\n',
      { line: 2, allowed: 'peer ids, or addresses that end in /p2p/ and one' },
    ],
    ['mesh:\n  bootstrap: [10.0.0.1]\n', { line: 2, allowed: 'addresses that end in /p2p/ and a peer id' }],
  ])('names line, field, found and allowed in %j', (text, facts) => {
    const { code, facts: found } = refusal({ file: fileOf(text) });
    expect(code).toBe('config-invalid');
    expect(found).toMatchObject({ file: join(folder, 'config.yaml'), ...facts });
    expect(found.allowed).toBeTypeOf('string');
  });

  it('names the variable or flag that is wrong', () => {
    expect(refusal({ environment: { SAHARA_MESH_PORT: 'x' } }).facts).toMatchObject({
      file: 'SAHARA_MESH_PORT',
      found: 'x',
    });
    expect(refusal({ environment: { SAHARA_MESH_PROT: '1' } }).facts).toMatchObject({
      nearest: 'SAHARA_MESH_PORT',
    });
    expect(refusal({ flags: new Map([['mesh.port', '-4']]) }).facts).toMatchObject({
      file: '--mesh-port',
      found: '-4',
    });
  });

  it('asks for a file only when it was named', () => {
    const path = join(folder, 'none.yaml');
    expect(loadConfig({ file: { path, required: false } })).toEqual(loadConfig({}));
    expect(refusal({ file: { path, required: true } }).code).toBe('file-missing');
  });
});
