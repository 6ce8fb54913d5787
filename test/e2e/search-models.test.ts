import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { writeGguf } from '../agent/llama/gguf-writer.ts';
import { embeddingModel, rankingModel } from '../agent/llama/judging-models.ts';
import { askWhole, eventually, LOOPBACK, must, startPair } from './support.ts';

const QUESTION = 'Which mount crosses the dunes?';
const OPEN = 'The dromedary crosses the dunes in nine days.';
const SECRET = 'The mount Zephyrine crosses the dunes by the hidden well.';

let peers: Peers;
let host: Peer;
let trusted: Peer;
let stranger: Peer;

beforeAll(async () => {
  peers = await createPeers();
  host = await peers.add('host');
  trusted = await peers.add('trusted');
  const address = await startPair(host, trusted);
  stranger = await peers.add('stranger');
  await stranger.start(...LOOPBACK, '--bootstrap', address);
  const write = (name: string, text: string): Promise<void> => writeFile(join(host.home.root, name), text);
  await write('open.md', `${OPEN}\n`);
  await write('secret.md', `${SECRET}\n`);
  await write('other.md', 'Sand is dry. Boats cross the sea.\n');
  await must(host, 'vault', 'create', 'desert');
  for (const name of ['open.md', 'secret.md', 'other.md'])
    await must(host, 'vault', 'add', 'desert', join(host.home.root, name));
}, 240_000);
afterAll(() => peers?.clear());

const MANIFEST = `name: desert
vaults: [desert]
price: {perCall: 0.001 SAHARA, freePerCaller: {calls: 50}}
backend: {kind: extractive, supportMin: 25 %}
search: {embedder: {model: small}, reranker: {model: judge}}
`;

async function documentsFor(caller: Peer): Promise<readonly string[]> {
  const { events } = await askWhole(caller, { agent: 'desert', question: QUESTION });
  return events.flatMap((event) => (event.type === 'source' ? [event.document] : [])).sort();
}

describe('an agent whose models help it to find, over a vault of which a part is closed', () => {
  it('AGENT-40, KNOW-173: answers by words while its models are missing, and says so', async () => {
    const path = join(host.home.root, 'desert.yaml');
    await writeFile(path, MANIFEST);
    const told = await must(host, 'agent', 'add', path);
    expect(told).toMatch(/Search: 0 of 3 passages have vectors by small; judge orders .*; found without/);
    await eventually('the agent is listed', async () =>
      (await stranger.client.call('agents', {})).find(({ name }) => name === 'desert'),
    );
    expect(await documentsFor(stranger)).toContain('secret.md');
    const [row] = (await host.client.call('agent.list', {})).filter(({ name }) => name === 'desert');
    expect(row?.search).toMatchObject({ state: 'failing', vectors: 0, of: 3 });
  });

  it('AGENT-41, AGENT-42, KNOW-171: takes its models up, makes vectors, and follows the vault', async () => {
    const small = await writeGguf(
      join(host.home.root, 'small.gguf'),
      embeddingModel([
        ['dromedary', 'mount', 'camel'],
        ['boat', 'ship', 'sea'],
      ]),
    );
    const judge = await writeGguf(join(host.home.root, 'judge.gguf'), rankingModel(['dunes']));
    await must(host, 'model', 'add', small);
    await must(host, 'model', 'add', judge);
    await must(host, 'agent', 'add', join(host.home.root, 'desert.yaml'), '--replace');
    const ready = (of: number) =>
      eventually(`${of} vectors`, async () => {
        const row = (await host.client.call('agent.list', {})).find(({ name }) => name === 'desert')?.search;
        return row?.state === 'ready' && row.vectors === of && row.of === of ? row : undefined;
      });
    await ready(3);
    const late = join(host.home.root, 'late.md');
    await writeFile(late, 'A ship waits in the harbour.\n');
    await must(host, 'vault', 'add', 'desert', late);
    await ready(4);
    await must(host, 'vault', 'forget', 'desert', 'late.md');
    await ready(3);
    expect(await must(host, 'agent', 'list')).toContain(
      '3 of 3 passages have vectors by small; judge orders',
    );
    const used = await host.sahara(['model', 'remove', 'small']);
    expect(used.stderr).toContain('(model-in-use)');
  });

  it('KNOW-174, KNOW-175, KNOW-176: a restricted document is for one caller, in every way that is told', async () => {
    const did = (await trusted.client.call('status', {})).did;
    const labelled = await must(host, 'vault', 'label', 'desert', 'secret.md', '--readers', did);
    expect(labelled).toContain('It counts for 1 document now.');
    expect(await must(host, 'vault', 'label', 'desert')).toMatch(/secret\.md .* 1/);
    expect(await documentsFor(trusted)).toContain('secret.md');
    const { events, text, end } = await askWhole(stranger, { agent: 'desert', question: QUESTION });
    expect(text).toContain('dromedary');
    const told = JSON.stringify([events, end]);
    for (const hidden of ['Zephyrine', 'secret.md']) expect(told).not.toContain(hidden);
    const unknown = await askWhole(stranger, { agent: 'desert', question: 'Where is Zephyrine?' });
    expect(unknown.end.finish).toBe('nothing-found');
    // Who operates the vault is a caller like others: bridges ask in their name.
    expect(await documentsFor(host)).not.toContain('secret.md');
  });

  it('KNOW-178, KNOW-179: the answer is repeated with vault, labels and models, and elsewhere it is said what that needs', async () => {
    const file = join(stranger.home.root, 'call.bundle');
    await must(stranger, 'ask', 'desert', QUESTION, '--receipt', file);
    const elsewhere = await must(stranger, 'verify', file, '--recompute');
    expect(elsewhere).toContain('it counts nothing, as part of the vault is closed to who asked');
    expect(elsewhere).toContain('The answer itself was not repeated');
    const here = await must(host, 'verify', file, '--recompute');
    expect(here).toContain('Recomputed: all comes out the same.');
    await must(host, 'agent', 'remove', 'desert');
    await must(host, 'model', 'remove', 'judge');
    const without = await must(host, 'verify', file, '--recompute');
    expect(without).toMatch(
      /level 2 needs the vault and the embedder small \(\w+.*\) and the reranker judge/,
    );
  });
});
