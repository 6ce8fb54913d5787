import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { randomOf } from '../../src/agent/llama/sampler.ts';
import { writeGguf } from '../agent/llama/gguf-writer.ts';
import { ANSWER, type Chain, scriptedModel } from '../agent/llama/models.ts';
import { askWhole, LOOPBACK, must } from './support.ts';

// A model that goes from every one of its words to any other: about four bits of choice a word.
const WORDS = Array.from(
  { length: 48 },
  (_, i) => ` w${String.fromCharCode(97 + (i % 24))}${i < 24 ? 'o' : 'u'}n`,
);
const random = randomOf(5);
const chain: Chain = Object.fromEntries(
  [ANSWER, ...WORDS].map((from) => [from, Object.fromEntries(WORDS.map((to) => [to, 20 + 3 * random()]))]),
);

let peers: Peers;
let host: Peer;
beforeAll(async () => {
  peers = await createPeers();
  host = await peers.add('host');
  await host.start(...LOOPBACK);
  const file = await writeGguf(join(host.home.root, 'free.gguf'), scriptedModel(chain).gguf);
  await must(host, 'model', 'add', file);
});
afterAll(() => peers?.clear());

async function agent(name: string, more: string): Promise<void> {
  const path = join(host.home.root, `${name}.yaml`);
  const backend = `{kind: llama, model: free, temperature: 1, minP: 0, topP: 1${more}}`;
  await writeFile(path, `name: ${name}\nlimits: {outputUnits: 250}\nbackend: ${backend}\n`);
  await must(host, 'agent', 'add', path);
}

describe('sahara whosaid', () => {
  it('MODEL-75: finds the mark of an agent in what it said, and in nothing else', async () => {
    const file = join(host.home.root, 'said.txt');
    await writeFile(file, 'Anything.');
    const nobody = await host.sahara(['whosaid', file]);
    expect([nobody.code, nobody.stderr.includes('watermark: true')]).toEqual([2, true]);
    await agent('plain', '');
    await agent('marked', ', watermark: true');
    await agent('other', ', watermark: true, seed: 5');
    const said = async (name: string): Promise<string> =>
      (await askWhole(host, { agent: name, question: 'Speak.' })).text;
    await writeFile(file, await said('marked'));
    const report = JSON.parse(await must(host, 'whosaid', file, '--json'));
    expect([report.verdict, report.scores[0].agent, report.keys]).toEqual(['marked', 'marked', 2]);
    expect(report.scores[0].z).toBeGreaterThan(6);
    expect(report.scores[1].pAll).toBeGreaterThan(0.001);
    expect(await must(host, 'whosaid', file)).toContain('The text carries the mark of marked.');
    const plain = await said('plain');
    const finished = await host.sahara(['whosaid', '-'], { input: plain });
    expect(finished.stdout).toContain('shows the mark of no agent here');
    expect(finished.stdout).toContain('That proves nothing');
    const short = await host.sahara(['whosaid', '-'], { input: plain.slice(0, 60) });
    expect(short.stdout).toContain('too short to say');
    expect((await host.sahara(['whosaid', '-', '--agent', 'plain'], { input: plain })).code).toBe(2);
  });
});
