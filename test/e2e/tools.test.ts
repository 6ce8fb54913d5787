import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { servePlanner } from '../../examples/planner/planner-model.ts';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { askWhole, eventually, must, startPair } from './support.ts';

const QUESTION = 'What is a voucher?';

let peers: Peers;
let host: Peer;
let caller: Peer;
let model: Awaited<ReturnType<typeof servePlanner>>;
beforeAll(async () => {
  peers = await createPeers();
  [host, caller] = [await peers.add('host'), await peers.add('caller')];
  model = await servePlanner();
  await startPair(host, caller);
});
afterAll(async () => {
  await peers.clear();
  await model.close();
});

/** Hosts an agent that may ask `agent` with `share` of what is left. */
async function hosted(name: string, agent: string, share: string): Promise<void> {
  const manifest = JSON.stringify({
    name,
    backend: { kind: 'openai', endpoint: model.url, model: 'planner' },
    tools: [{ agent, about: 'Knows what a voucher is.', share }],
  });
  await host.client.call('agent.add', { manifest });
  await eventually(`${name} is listed`, async () => {
    const agents = await caller.client.call('agents', {});
    return agents.find((agent) => agent.name === name);
  });
}

describe('AGENT-24: an agent as a tool', () => {
  it('is asked from the budget of the call, and stands in its bill', async () => {
    await hosted('asker', 'guide', '50 %');
    const file = join(caller.home.root, 'asker.bundle');
    const printed = await must(
      caller,
      ...['ask', 'asker', QUESTION, '--budget', '0.01', '--max-price', '0.02', '--receipt', file],
    );
    expect(printed).toMatch(/voucher/i);
    const { bill, total } = JSON.parse(await must(caller, 'bill', file, '--json'));
    expect(bill.calls).toHaveLength(1);
    expect(BigInt(total)).toBe(BigInt(bill.own) + BigInt(bill.calls[0].own));
    await must(caller, 'verify', file);
  });

  it('costs no more than its share of what is left', async () => {
    const notes = join(caller.home.root, 'notes.md');
    await writeFile(notes, 'A voucher is a signed promise of money.\n');
    await must(caller, 'vault', 'create', 'notes');
    await must(caller, 'vault', 'add', 'notes', notes);
    await must(caller, 'agent', 'add', '--name', 'dear', '--vault', 'notes', '--price', '0.002');
    await eventually('dear is listed', async () => {
      const agents = await host.client.call('agents', {});
      return agents.find((agent) => agent.name === 'dear');
    });
    await hosted('frugal', 'dear', '10 %');
    const { text, end } = await askWhole(caller, {
      agent: 'frugal',
      question: QUESTION,
      budget: { amount: '10000000' },
    });
    expect(end).toMatchObject({ amount: '0', calls: 0 });
    expect(text).toContain('The call failed');
  });

  it('is none where the call has no budget', async () => {
    const { text, end } = await askWhole(caller, { agent: 'asker', question: QUESTION });
    expect(text).toBe('I have nobody to ask.');
    expect(end.calls).toBe(0);
  });
});

describe('a conversation', () => {
  it('goes on when it is too long for the model, and says so', async () => {
    const manifest = JSON.stringify({
      name: 'brief',
      backend: { kind: 'openai', endpoint: model.url, model: 'planner', contextUnitsMax: 260 },
    });
    await host.client.call('agent.add', { manifest });
    const long = `What is a voucher? ${'And why is it so? '.repeat(8)}`;
    const { code, stdout, stderr } = await host.sahara(['chat', 'brief'], { input: `${long}\n`.repeat(6) });
    expect(code, stderr).toBe(0);
    expect(stdout.match(/I have nobody to ask\./g)).toHaveLength(6);
    expect(stderr).toContain('too long for the model: asked again with its last');
    expect(stderr).toContain('The conversation cost');
  });
});
