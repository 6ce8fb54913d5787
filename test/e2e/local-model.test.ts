import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { readCall } from '../../src/agent/recompute.ts';
import { toHex } from '../../src/base/bytes.ts';
import { readBundle } from '../../src/protocol/bundle.ts';
import { card } from '../../src/protocol/card.ts';
import { modelMadeDigest } from '../../src/protocol/model-made.ts';
import { nativeSuite } from '../../src/protocol/suite-native.ts';
import { writeGguf } from '../agent/llama/gguf-writer.ts';
import { saying, scriptedAdapter, scriptedModel } from '../agent/llama/models.ts';
import { arrivedIn, type FileServer, serve, startFileServer } from '../agent/models/file-server.ts';
import { askWhole, eventually, must, startPair } from './support.ts';

const WORDS = [
  'A camel',
  ' stores',
  ' fat',
  ' in its hump',
  ' [1].',
  ' It',
  ' walks',
  ' at night',
  ' when the sand is cool',
  ' [1]!',
];
const NOTES =
  '# Camels\n\nA camel stores fat in its hump, not water. It walks at night when the sand is cool.\n';

let peers: Peers;
let host: Peer;
let caller: Peer;
let server: FileServer;
let file = '';
const digests = { model: '', adapter: '' };

beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  await startPair(host, caller);
  const scripted = scriptedModel({
    ...saying(...WORDS),
    ' at night': { ' when the sand is cool': 20, ' by day': 10 },
    ' by day': { '.': 20 },
  });
  file = await writeGguf(join(host.home.root, 'camel.gguf'), scripted.gguf);
  const adapter = scriptedAdapter(scripted, { ' walks': { ' at night': -20, ' by day': 20 } });
  const adapterFile = await writeGguf(join(host.home.root, 'day.gguf'), adapter);
  const bytes = await readFile(adapterFile);
  digests.model = createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
  digests.adapter = createHash('sha256').update(bytes).digest('hex');
  server = await startFileServer((response, asked, count) =>
    serve(response, asked, bytes, {
      etag: '"1"',
      ...(count === 0 && { cutAfter: 900, arrived: arrivedIn(join(host.home.models, 'parts')) }),
    }),
  );
  const notes = join(host.home.root, 'camels.md');
  await writeFile(notes, NOTES);
  await must(host, 'vault', 'create', 'camels');
  await must(host, 'vault', 'add', 'camels', notes);
});
afterAll(async () => {
  await server?.close();
  await peers?.clear();
});

const manifest = (backend: string): string =>
  `name: camels\nvaults: [camels]\nsplit: {knowledge: 50 %, operator: 20 %, model: 30 %, prompt: 0}\nprice: {perCall: 0.002 SAHARA, perInputUnit: 1000, perOutputUnit: 2000}\nbackend: ${backend}\n`;

async function addAgent(text: string, ...flags: readonly string[]): Promise<string> {
  const path = join(host.home.root, 'camels.yaml');
  await writeFile(path, text);
  return must(host, 'agent', 'add', path, ...flags);
}

describe('an agent with a model of the home', () => {
  it('MODEL-40, MODEL-46: models come from a file and over a connection that breaks', async () => {
    expect(await must(host, 'model', 'list')).toContain('No models');
    expect(await must(host, 'model', 'add', file)).toContain('camel is here: model, llama');
    const pulled = await must(
      host,
      'model',
      'pull',
      `${server.origin}/day.gguf`,
      '--sha256',
      digests.adapter,
    );
    expect(pulled).toContain('day is here: adapter, llama');
    expect(server.asked.map(({ range }) => range)).toEqual([undefined, 'bytes=900-']);
    const { models } = await host.client.call('model.list', {});
    expect(models.map(({ name, digest }) => [name, digest])).toEqual([
      ['camel', digests.model],
      ['day', digests.adapter],
    ]);
    expect(await must(host, 'model', 'info', 'camel')).toMatch(/needs +about .* for 4 x 2048 tokens/);
    // Longer than what it was made for is never opened.
    const longer = await must(host, 'model', 'info', 'camel', '--context', '9000');
    expect(longer).toMatch(/million numbers[\s\S]*for 4 x 2048 tokens/);
    const refused = await host.sahara(['model', 'add', join(host.home.root, 'camels.md')]);
    expect([refused.code, refused.stderr.includes('(model-invalid)')]).toEqual([1, true]);
  });

  it('MODEL-56, MODEL-59, MODEL-60, RCPT-80: one line changes what answers; the receipt names file, adapter and passages', async () => {
    const before = await host.client.call('status', {});
    expect(before.models).toBeUndefined();
    await addAgent(manifest('{kind: extractive}'));
    await addAgent(manifest('{kind: llama, model: camel}'), '--replace');
    await eventually('the agent is listed', async () =>
      (await caller.client.call('agents', {})).find(({ name }) => name === 'camels'),
    );
    const plain = await askWhole(caller, { agent: 'camels', question: 'How do camels store fat?' });
    expect(plain.text).toBe('A camel stores fat in its hump. It walks at night when the sand is cool!');
    expect(plain.end.supported).toEqual({ sentences: 2, grounded: 2 });
    const own = await host.client.call('earnings', {});
    const asset = own.assets[0]?.asset ?? '';
    const adapters = `adapters: [{model: day, scale: 1, asset: ${asset}, part: 25 %}]`;
    await addAgent(manifest(`{kind: llama, model: camel, ${adapters}}`), '--replace');
    const answer = await eventually('the new version answers', async () => {
      const said = await askWhole(caller, { agent: 'camels', question: 'How do camels store fat?' });
      return said.text.includes('by day') ? said : undefined;
    });
    expect(answer.text).toBe('A camel stores fat in its hump [1]. It walks by day.'.replace(' [1]', ''));
    expect(answer.end.supported).toEqual({ sentences: 2, grounded: 1, first: 'It walks by day.' });
    const told = await must(caller, 'ask', 'camels', 'How do camels store fat?');
    expect(told).toContain('Not supported by what it cites: one sentence, such as "It walks by day."');
    const proof = await readFile(answer.end.path);
    const bundle = readBundle(proof);
    const { model } = card.decode(bundle.card.payload);
    const made = model.made;
    if (made === undefined) throw new Error('the card does not say what the model is made of');
    expect(toHex(made.base)).toBe(digests.model);
    expect(made.adapters.map(({ digest, scale }) => [toHex(digest), scale])).toEqual([
      [digests.adapter, 1_000_000],
    ]);
    expect(made.runtime).toMatch(/^llama\.cpp .+, cpu /);
    expect([model.determinism, made.marked]).toEqual(['seeded', false]);
    const receipt = readCall(bundle).final;
    expect(toHex(receipt.modelDigest)).toBe(toHex(modelMadeDigest(nativeSuite, made)));
    expect(receipt.shares.reduce((sum, { ppm }) => sum + ppm, 0)).toBe(1_000_000);
    expect(receipt.shares.reduce((sum, { amount }) => sum + amount, 0n)).toBe(receipt.amount);
    expect(receipt.amount).toBeGreaterThan(2_000_000n);
    expect(receipt.shares.map(({ role }) => role)).toEqual(['knowledge', 'agent', 'model']);
    expect(await must(caller, 'verify', answer.end.path)).toContain('camels answered');
    const status = await host.client.call('status', {});
    expect(status.models?.loaded.map(({ name, state, gpu }) => [name, state, gpu])).toEqual([
      ['camel', 'ready', 'none'],
    ]);
    expect(await must(host, 'status')).toMatch(/models +camel \(cpu/);
    expect(await must(host, 'doctor')).toMatch(/models +.*llama\.cpp/);
  });

  it('MODEL-58: a model in use is not removed, and one that is not there is named', async () => {
    const refused = await host.sahara(['model', 'remove', 'day']);
    expect(refused.stderr).toContain('(model-in-use)');
    expect(refused.stderr).toContain('camels');
    const path = join(host.home.root, 'other.yaml');
    await writeFile(path, manifest('{kind: llama, model: camle}').replace('name: camels', 'name: other'));
    const unknown = await host.sahara(['agent', 'add', path]);
    expect(unknown.stderr).toContain('(model-unknown)');
    expect(unknown.stderr).toContain('camel');
    await writeFile(path, manifest('{kind: llama, model: day}').replace('name: camels', 'name: other'));
    expect((await host.sahara(['agent', 'add', path])).stderr).toContain('(model-invalid)');
  });

  it('MODEL-58, MODEL-82: after a kill the agent is live before its model is loaded, answers again, and its models are whole', async () => {
    if (host.pid !== undefined) process.kill(host.pid, 'SIGKILL');
    await host.ended;
    await host.start('--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false');
    expect(
      (await host.client.call('agent.list', {})).find(({ name }) => name === 'camels')?.note,
    ).toBeUndefined();
    expect((await host.client.call('status', {})).models?.loaded ?? []).toEqual([]);
    const { text } = await askWhole(host, { agent: 'camels', question: 'How do camels store fat?' });
    expect(text).toContain('by day');
    expect((await stat(join(host.home.root, 'models', `${digests.model}.gguf`))).size).toBeGreaterThan(1000);
    await must(host, 'agent', 'remove', 'camels');
    await must(host, 'model', 'remove', 'day');
    expect((await host.client.call('model.list', {})).models.map(({ name }) => name)).toEqual(['camel']);
  });
});
