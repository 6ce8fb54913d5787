/** One agent at two hosts of different operators: raced, and gone on with at one when the other is killed. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import { type Endpoint, openStream, sendPiece, startEndpoint } from '../agent/endpoint.ts';
import { freePort, tellerManifest } from '../faults/town.ts';
import { eventually, LOOPBACK, must } from './support.ts';

const FLAGS = [...LOOPBACK, '--wallet-claim-every-seconds', '3600', '--wallet-channel-deposit', '20'];
const WORDS = 'One camel walks. Another one follows it. ';
const ANSWER = `${WORDS}${WORDS}And both arrive.`;

let peers: Peers;
let hosts: readonly [Peer, Peer];
let caller: Peer;
let models: readonly [Model, Model];
/** Flags of each host's start. */
const flags = new Map<Peer, readonly string[]>();

interface Model {
  readonly endpoint: Endpoint;
  /** Resolves when it was asked. */
  asked: PromiseWithResolvers<void>;
  /** Let it say its first words, and go on after them. */
  begin: PromiseWithResolvers<void>;
  goOn: PromiseWithResolvers<void>;
}

/** What of an answer's evidence `sahara bill --json` prints. */
interface Bill {
  readonly callId: string;
  readonly total: string;
  readonly bill: { readonly finish: string; readonly operator: string; readonly own: string };
}

/** A model that says its first words when it is let, and the rest when it is let; at first at once. */
async function startModel(): Promise<Model> {
  const model: Omit<Model, 'endpoint'> = {
    asked: Promise.withResolvers(),
    begin: letGo(),
    goOn: letGo(),
  };
  const endpoint = await startEndpoint(async (response) => {
    openStream(response);
    model.asked.resolve();
    await model.begin.promise;
    sendPiece(response, WORDS);
    const gone = new Promise<void>((resolve) => response.once('close', resolve));
    await Promise.race([model.goOn.promise, gone]);
    if (response.destroyed) return;
    sendPiece(response, WORDS);
    sendPiece(response, 'And both arrive.');
    sendPiece(response, undefined, 'stop');
    response.end('data: [DONE]\n\n');
  });
  return Object.assign(model, { endpoint });
}

function letGo(): PromiseWithResolvers<void> {
  const gate = Promise.withResolvers<void>();
  gate.resolve();
  return gate;
}

/** Has both models wait for what they are let do. */
function hold(): void {
  for (const model of models) {
    model.asked = Promise.withResolvers();
    model.begin = Promise.withResolvers();
    model.goOn = Promise.withResolvers();
  }
}

const didOf = async (peer: Peer): Promise<string> => (await peer.client.call('status', {})).did;

/** The bills of every call that ended since `before`, and the ids of all that ended. */
async function billsSince(before: ReadonlySet<string>): Promise<readonly Bill[]> {
  const rows = await caller.client.call('receipts', { limit: 100 });
  const fresh = rows.filter(({ callId }) => !before.has(callId));
  return Promise.all(
    fresh.map(async ({ callId }): Promise<Bill> => JSON.parse(await must(caller, 'bill', callId, '--json'))),
  );
}

async function ended(): Promise<ReadonlySet<string>> {
  return new Set((await caller.client.call('receipts', { limit: 100 })).map(({ callId }) => callId));
}

/** What the caller's channel to each operator, and each operator's channel from it, say was charged. */
async function charged(): Promise<{ readonly payer: bigint; readonly payees: bigint }> {
  const sum = async (peer: Peer, role: 'payer' | 'payee'): Promise<bigint> =>
    (await peer.client.call('channel.list', {}))
      .filter((row) => row.role === role)
      .reduce((total, row) => total + BigInt(row.charged), 0n);
  const [payer, ...payees] = await Promise.all([
    sum(caller, 'payer'),
    ...hosts.map((host) => sum(host, 'payee')),
  ]);
  return { payer, payees: payees.reduce((total, one) => total + one, 0n) };
}

const totalOf = (bills: readonly Bill[]): bigint => bills.reduce((sum, { total }) => sum + BigInt(total), 0n);

beforeAll(async () => {
  peers = await createPeers();
  models = [await startModel(), await startModel()];
  hosts = [await peers.add('first'), await peers.add('second')];
  caller = await peers.add('caller');
  const ledger = await peers.add('ledger');
  const { addresses } = await ledger.start(...FLAGS, '--guide-host', 'never');
  const bootstrap = ['--bootstrap', addresses[0] ?? ''];
  for (const host of hosts) {
    const ours = [...FLAGS, ...bootstrap, '--guide-host', 'always', '--mesh-port', String(await freePort())];
    flags.set(host, ours);
    await host.start(...ours);
  }
  await caller.start(...FLAGS, ...bootstrap);
  const [first, second] = hosts;
  await first.client.call('agent.add', { manifest: tellerManifest(models[0].endpoint.url) });
  const file = join(first.home.root, 'teller.agent');
  await must(first, 'agent', 'export', 'teller', file, '--to', await didOf(second));
  await must(second, 'agent', 'import', file);
  await second.client.call('agent.add', {
    manifest: tellerManifest(models[1].endpoint.url),
    replace: true,
  });
  await eventually('the caller races both', async () => {
    const before = await ended();
    await must(caller, 'ask', 'teller', 'Who is there?', '--race', '--max-price', '5');
    return (await billsSince(before)).length === 2 ? true : undefined;
  });
}, 300_000);
afterAll(async () => {
  for (const { begin, goOn } of models ?? []) {
    begin.resolve();
    goOn.resolve();
  }
  await peers?.clear();
  await Promise.all((models ?? []).map(({ endpoint }) => endpoint.close()));
});

describe('an agent at two hosts', () => {
  it('is raced: one answer, and the other host is stopped at its price (CALL-182, CALL-41)', async () => {
    const left = (): number => models.reduce((sum, { endpoint }) => sum + endpoint.abandoned(), 0);
    const before = { calls: await ended(), charged: await charged(), left: left() };
    hold();
    const asking = must(caller, 'ask', 'teller', 'Who walks?', '--race', '--max-price', '5', '--json');
    await Promise.race([asking, Promise.all(models.map(({ asked }) => asked.promise))]);
    for (const { begin } of models) begin.resolve();
    // The loser's model is told to stop while the winner's still waits.
    await eventually('one model is left', async () => (left() === before.left + 1 ? true : undefined));
    for (const { goOn } of models) goOn.resolve();
    const answer = await asking;
    const events = answer
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const end = events.at(-1);
    const text = events.map((event) => (event.type === 'delta' ? event.text : '')).join('');
    expect(text).toBe(ANSWER);
    expect(end).toMatchObject({ type: 'end', finish: 'done' });
    const operators = await Promise.all(hosts.map(didOf));
    const bills = await billsSince(before.calls);
    expect(bills.map(({ bill }) => bill.finish).sort()).toEqual(['cancelled', 'done']);
    expect(new Set(bills.map(({ bill }) => bill.operator))).toEqual(new Set(operators));
    const won = bills.find(({ callId }) => callId === end.callId);
    expect(won?.total).toBe(end.amount);
    expect(won?.bill.finish).toBe('done');
    expect(totalOf(bills)).toBe(BigInt(end.spent));
    const after = await charged();
    expect(after.payer - before.charged.payer).toBe(totalOf(bills));
    expect(after.payees - before.charged.payees).toBe(totalOf(bills));
  });

  it('goes on at the other host when one is killed in the middle of an answer (CALL-180, CALL-181)', async () => {
    const before = await ended();
    const earlier = (await charged()).payer;
    hold();
    for (const { begin } of models) begin.resolve();
    let seen = '';
    const asked = caller.sahara(['ask', 'teller', 'Who follows?', '--max-price', '5'], {
      onOutput: (text) => {
        seen += text;
      },
    });
    const at = await Promise.race(models.map(({ asked: one }, i) => one.promise.then(() => i)));
    const [killed, other] = at === 0 ? hosts : [hosts[1], hosts[0]];
    await eventually('the first words are shown', async () =>
      seen.includes('One camel') ? true : undefined,
    );
    for (const model of models.filter((_, i) => i !== at)) model.goOn.resolve();
    await killed.kill();
    const { code, stdout, stderr } = await asked;
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(ANSWER);
    expect(stderr).toContain('asking another of its hosts');
    const bills = await billsSince(before);
    expect(bills).toHaveLength(1);
    expect(bills[0]?.bill).toMatchObject({ finish: 'done', operator: await didOf(other) });

    // What the killed host had delivered is unknown until it is back; then it is charged once, or not at all.
    for (const model of models) model.goOn.resolve();
    await killed.start(...(flags.get(killed) ?? []));
    await eventually('both sides and the bills say the same', async () => {
      const { payer, payees } = await charged();
      return payer === payees && payer === earlier + totalOf(await billsSince(before)) ? payer : undefined;
    });
  });
});
