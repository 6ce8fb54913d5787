/**
 * A planner: an agent that splits a question, asks two agents of other people, puts their answers together, and
 * presents one bill. What it may spend is the budget that the caller gave it.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPeers, type Peer } from '../../scripts/peers.ts';
import { servePlanner } from './planner-model.ts';

const LOCAL = ['--mesh-host', '127.0.0.1', '--mesh-mdns', 'false', '--mesh-dht', 'false'];
const KNOWLEDGE: Readonly<Record<string, string>> = {
  bees: '# Honey\n\nHoney keeps for years because it holds little water.\n',
  boats: '# Keels\n\nA keel keeps a sailing boat upright because its weight lies deep.\n',
};
const QUESTION = 'Why does honey keep for years and how does a keel keep a sailing boat upright?';

async function run(peer: Peer, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await peer.sahara(args);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Waits until `peer` knows agents of these names. */
async function known(peer: Peer, ...names: readonly string[]): Promise<void> {
  for (;;) {
    const agents = await peer.client.call('agents', { waitMs: 1_000 });
    if (names.every((name) => agents.some((agent) => agent.name === name))) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const model = await servePlanner();
const peers = await createPeers();
try {
  const [experts, planner, caller] = [
    await peers.add('experts'),
    await peers.add('planner'),
    await peers.add('caller'),
  ];
  const { addresses } = await experts.start(...LOCAL);
  for (const peer of [planner, caller]) await peer.start(...LOCAL, '--bootstrap', addresses[0] ?? '');
  const folder = join(experts.home.root, 'documents');
  await mkdir(folder);
  for (const [name, text] of Object.entries(KNOWLEDGE)) {
    const path = join(folder, `${name}.md`);
    await writeFile(path, text);
    await run(experts, 'vault', 'create', name);
    await run(experts, 'vault', 'add', name, path);
    await run(experts, 'agent', 'add', '--name', name, '--vault', name, '--price', '0.002');
  }
  await known(planner, 'bees', 'boats');
  const manifest = join(planner.home.root, 'planner.yaml');
  await writeFile(
    manifest,
    `name: planner
description: Splits a question, asks who knows about each part, and puts the answers together.
backend: { kind: openai, endpoint: "${model.url}", model: planner }
price: { perCall: 0.001 SAHARA }
tools:
  - { agent: bees, about: "Knows about bees and honey." }
  - { agent: boats, about: "Knows about boats, sailing and keels." }
`,
  );
  await run(planner, 'agent', 'add', manifest);
  await known(caller, 'planner');

  const bundle = join(caller.home.root, 'plan.bundle');
  const answer = await run(
    caller,
    ...['ask', 'planner', QUESTION, '--budget', '0.01', '--max-price', '0.02', '--receipt', bundle],
  );
  assert.match(answer, /it holds little water/);
  assert.match(answer, /its weight lies deep/);

  const { bill, total } = JSON.parse(await run(caller, 'bill', bundle, '--json'));
  assert.equal(total, '5000000', 'the price of the planner and of both whom it asked');
  const asked = bill.calls.map(({ own }: { readonly own: string }) => own);
  assert.deepEqual(asked, ['2000000', '2000000']);
  await run(caller, 'verify', bundle);

  // Without a budget nobody can be asked, and the planner says so.
  assert.match(await run(caller, 'ask', 'planner', QUESTION), /I have nobody to ask/);
  console.log(`${answer}\n${await run(caller, 'bill', bundle)}`);
} finally {
  await peers.clear();
  await model.close();
}
