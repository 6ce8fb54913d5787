/** Level 3 with a real model: a seeded answer with an adapter, repeated in its class, in another, and against false statements. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { writeGguf } from '../agent/llama/gguf-writer.ts';
import { saying, scriptedAdapter, scriptedModel } from '../agent/llama/models.ts';
import { eventually, LOOPBACK, must, startPair } from './support.ts';

const WORDS = ['A camel', ' stores', ' fat', ' in its hump', ' [1].', ' It', ' walks', ' at night', '.'];
const QUESTION = 'How do camels store fat?';

let peers: Peers;
let host: Peer;
let caller: Peer;
let manifestFile = '';
let bundle = '';

beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  await startPair(host, caller);
  const scripted = scriptedModel({
    ...saying(...WORDS),
    ' walks': { ' at night': 20, ' by day': 10 },
    ' by day': { '.': 20 },
  });
  const files = {
    camel: scripted.gguf,
    day: scriptedAdapter(scripted, { ' walks': { ' at night': -20, ' by day': 20 } }),
    idle: scriptedAdapter(scripted, { '[[system]]': { ' fat': 1 } }),
  };
  for (const [name, gguf] of Object.entries(files)) {
    const path = await writeGguf(join(host.home.root, `${name}.gguf`), gguf);
    await must(host, 'model', 'add', path);
    // The same files, under other names.
    await must(caller, 'model', 'add', path, '--name', `my-${name}`);
  }
  const notes = join(host.home.root, 'camels.md');
  await writeFile(notes, '# Camels\n\nA camel stores fat in its hump, not water.\n');
  await must(host, 'vault', 'create', 'camels');
  await must(host, 'vault', 'add', 'camels', notes);
  const asset = (await host.client.call('earnings', {})).assets[0]?.asset ?? '';
  const contribution = asset.replace(/^./, (first) => (first === '0' ? '1' : '0'));
  manifestFile = join(host.home.root, 'camels.yaml');
  await writeFile(
    manifestFile,
    [
      'name: camels',
      'vaults: [camels]',
      'split: {knowledge: 50 %, operator: 20 %, model: 30 %, prompt: 0}',
      'price: {perCall: 0.002 SAHARA}',
      'backend:',
      '  kind: llama',
      '  model: camel',
      '  adapterParts: measured',
      '  adapters:',
      `    - {model: day, scale: 1, asset: ${asset}, part: 20 %}`,
      `    - {model: idle, scale: 1, asset: ${contribution}, part: 10 %}`,
    ].join('\n'),
  );
  await must(host, 'agent', 'add', manifestFile);
  await eventually('the agent is listed', async () =>
    (await caller.client.call('agents', {})).find(({ name }) => name === 'camels'),
  );
  bundle = join(caller.home.root, 'call.bundle');
  const said = await must(caller, 'ask', 'camels', QUESTION, '--receipt', bundle);
  expect(said).toContain('It walks by day.');
});
afterAll(() => peers?.clear());

describe('sahara verify --recompute of a local model', () => {
  it('KNOW-160, KNOW-185, MODEL-95: at the host answer, adapters and statement come out the same', async () => {
    const told = await must(host, 'verify', bundle, '--recompute');
    expect(told).toMatch(/✓ shares +\d shares of the receipt come out the same; adapters by switched-off\/1/);
    expect(told).toMatch(/✓ manifest +its split, assets and adapters are those of the manifest/);
    expect(told).toMatch(/✓ answer +\d+ bytes and 1 citation/);
    expect(told).toMatch(/✓ adapters +2 scores without an adapter come out/);
    expect(told).toContain('✓ record');
    expect(told).toContain('Recomputed: all comes out the same.');
    expect(told).not.toContain('was not repeated');
  });

  it('KNOW-186, KNOW-187: a grantee with the files under other names and the manifest repeats it too', async () => {
    const without = await must(caller, 'verify', bundle, '--recompute');
    expect(without).toContain('its manifest is not here (--manifest FILE)');
    expect(without).toContain('no vault here is');
    const { did } = await caller.client.call('status', {});
    const archive = join(host.home.root, 'camels.vault');
    await must(host, 'vault', 'export', 'camels', archive, '--to', did, '--purpose', 'answer');
    await must(caller, 'vault', 'create', 'copy');
    await must(caller, 'vault', 'import', 'copy', archive);
    const asked = await must(caller, 'verify', bundle, '--recompute');
    expect(asked).toContain('how the model was asked stands in the manifest');
    const told = await must(caller, 'verify', bundle, '--recompute', '--manifest', manifestFile);
    for (const check of ['manifest', 'retrieval', 'answer', 'adapters', 'record'])
      expect(told).toMatch(new RegExp(`✓ ${check}`));
  });

  it('KNOW-185: another manifest than the one that the receipt names is found out', async () => {
    const other = join(caller.home.root, 'other.yaml');
    await writeFile(
      other,
      (await readFile(manifestFile, 'utf8')).replace('20 %, model: 30', '10 %, model: 40'),
    );
    const told = await caller.sahara(['verify', bundle, '--recompute', '--manifest', other]);
    expect(told.code).toBe(1);
    expect(told.stdout).toMatch(/✗ manifest +the manifest has the hash \S+; the receipt names \S+/);
  });

  it('KNOW-187: in another class nothing is repeated, and both classes are named', async () => {
    await caller.stop();
    await caller.start(...LOOPBACK, '--models-sequences', '2');
    const told = await must(caller, 'verify', bundle, '--recompute', '--manifest', manifestFile);
    expect(told).toMatch(
      /it was made in the class "llama\.cpp .*4 together, steps 2", and here is ".*2 together, steps 2"/,
    );
    expect(told).toContain('a difference would prove nothing');
  });
});
