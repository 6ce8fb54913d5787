/**
 * Who made what, and who is paid for it: two datasets of two people, an adapter, a merge and an agent under licences;
 * a thousand paid calls, settled and collected to the last grain; a key that changes, a channel that ends by its delay, a
 * payee that lies and pays for it; and in the end a ledger that replays, and files that prove it all with every daemon
 * stopped.
 *
 *   npm run demo:lineage [-- --calls 1000]
 *
 * Real daemons on loopback, each with a home and keys of its own. Every number is the ledger's, and is checked.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { AskEnd } from '../src/daemon/admin/types.ts';
import { catchLiar } from './lineage-liar.ts';
import { balanceOf, check, LOCAL, money, run, say, until } from './lineage-steps.ts';
import { createPeers, type Peer, type Peers } from './peers.ts';

const { values } = parseArgs({ options: { calls: { type: 'string', default: '1000' } } });
/** An even number of at least 100. */
const CALLS = Number(values.calls);
/** A payer whom nobody knows may have 16 calls at a time. */
const AT_ONCE = 12;
/** Of one call, grains. */
const PRICE = 1_000_000;
const CLOSE_DELAY_BLOCKS = 6;
/** What a licence to the second dataset costs, SAHARA. */
const LICENCE_PRICE = '0.5';
const QUESTION = 'How many days of leave does everybody have?';
const HANDBOOK = `# Handbook

## Leave

Everybody has thirty days of paid leave in a year. Days that are not taken move into the next year until the end of March.
`;

interface Stage {
  readonly host: Peer;
  readonly alice: Peer;
  readonly bob: Peer;
  readonly payer: Peer;
  readonly address: string;
  readonly folder: string;
  readonly dids: Readonly<Record<'host' | 'alice' | 'bob' | 'payer', string>>;
}

interface Assets {
  readonly notes: string;
  readonly survey: string;
  readonly adapter: string;
  readonly merge: string;
  readonly agent: string;
}

process.exitCode = await demo();

async function demo(): Promise<number> {
  const peers = await createPeers();
  const interrupted = (): void => {
    void peers.clear().finally(() => process.exit(130));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    await play(peers);
    return 0;
  } catch (error) {
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await peers.clear();
  }
}

async function play(peers: Peers): Promise<void> {
  const stage = await begin(peers);
  const assets = await register(stage);
  const last = await pay(stage, assets);
  await collect(stage, assets);
  await leave(stage);
  const liar = await peers.add('liar');
  const { host, payer, address, folder } = stage;
  const did = await catchLiar({ host, payer, liar, address, folder, question: QUESTION });
  await prove(peers, stage, { receipt: last.callId, asset: assets.merge, liar: did });
}

async function begin(peers: Peers): Promise<Stage> {
  const host = await peers.add('host');
  const folder = join(host.home.root, 'documents');
  const delay = ['--network-close-delay-blocks', String(CLOSE_DELAY_BLOCKS)];
  const hosting = await host.start(...LOCAL, ...delay);
  await mkdir(folder);
  await writeFile(join(folder, 'leave.md'), HANDBOOK);
  const [address = ''] = hosting.addresses;
  const [alice, bob, payer] = [await peers.add('alice'), await peers.add('bob'), await peers.add('payer')];
  const full = ['--ledger-mode', 'full'];
  const started = await Promise.all([
    alice.start(...LOCAL, '--bootstrap', address),
    bob.start(...LOCAL, '--bootstrap', address),
    payer.start(...LOCAL, ...full, '--bootstrap', address),
  ]);
  const [first, second, third] = started.map(({ did }) => did);
  const dids = { host: hosting.did, alice: first ?? '', bob: second ?? '', payer: third ?? '' };
  for (const did of Object.values(dids))
    await until('everybody has money', async () => (await balanceOf(host, did)) > 0n);
  say(
    `Four people, each with a daemon and keys of their own, on ${hosting.ledger.network}: a host, Alice, Bob and a payer.`,
  );
  return { host, alice, bob, payer, address, folder, dids };
}

/** Registers an asset from a small file and answers its id. */
async function made(peer: Peer, name: string, ...options: readonly string[]): Promise<string> {
  const file = join(peer.home.root, `${name}.bin`);
  await writeFile(file, `${name}\n`);
  const { asset } = await run<{ asset: string }>(peer, 'asset', 'register', file, '--name', name, ...options);
  check(/^[0-9a-f]{64}$/.test(asset), `${name} has an id`);
  return asset;
}

async function register(stage: Stage): Promise<Assets> {
  const { host, alice, bob, dids } = stage;
  const notes = await made(alice, 'notes', '--kind', 'dataset', '--terms', 'commercial-remix');
  say('Alice registers the dataset “notes”: commercial remix, 5 % of what is made from it, and named by it.');
  const terms = join(bob.home.root, 'terms.json');
  const grant = { price: LICENCE_PRICE, blocks: 0 };
  await writeFile(terms, JSON.stringify({ commercial: true, derivatives: 'yes', attribution: true, grant }));
  const survey = await made(bob, 'survey', '--kind', 'dataset', '--terms', terms, '--licence', 'paid');
  say(
    `Bob registers the dataset “survey”: whoever makes something from it buys a licence for ${LICENCE_PRICE} SAHARA.`,
  );
  const remix = ['--terms', 'commercial-remix', '--bounty', '1'];
  await until('the host has both', async () => (await host.sahara(['lineage', survey, '--json'])).code === 0);
  const adapter = await made(
    host,
    'adapter',
    '--kind',
    'adapter',
    ...remix,
    '--parent',
    `${notes}:trained-on:20`,
  );
  say('The host registers an adapter that was trained on “notes”; 20 % of what it earns goes on to that.');
  const parents = ['--parent', `${adapter}:merged-from:30`, '--parent', `${survey}:trained-on:25`];
  const file = join(host.home.root, 'adapter.bin');
  const refused = await host.sahara([
    'asset',
    'register',
    file,
    '--name',
    'merge',
    '--kind',
    'merge',
    ...remix,
    ...parents,
  ]);
  check(refused.code !== 0, 'without a licence the merge is refused');
  const [, reason = ''] = refused.stderr.trim().split('\n');
  check(reason !== '', 'the refusal says why');
  say(`A merge of the adapter with “survey” is refused before anything is sent: ${reason.trim()}`);
  await run(host, 'licence', 'buy', survey);
  const {
    assets: [bought],
  } = { assets: [await host.client.call('lineage', { asset: survey })] };
  check(bought?.received === '500000000', 'the licence is paid to the dataset');
  say(`The host buys that licence: “survey” has received ${money(bought.received)}.`);
  const merge = await made(host, 'merge', '--kind', 'merge', ...remix, ...parents);
  say('The merge is registered: 30 % goes on to the adapter and 25 % to “survey”.');
  await run(host, 'vault', 'create', 'handbook');
  const added = await host.sahara(['vault', 'add', 'handbook', stage.folder]);
  check(added.code === 0, `documents are taken: ${added.stderr}`);
  const manifest = {
    name: 'handbook',
    vaults: ['handbook'],
    price: { perCall: PRICE },
    split: { operator: '100%' },
    asset: {
      madeOf: [{ asset: merge, how: 'fine-tuned-from', part: '40%' }],
      terms: 'commercial-remix',
      bounty: '1%',
    },
  };
  await host.client.call('agent.add', { manifest: JSON.stringify(manifest) });
  const { assets } = await host.client.call('ledger.account', { did: dids.host });
  const agent = assets.find(({ kind }) => kind === 'agent')?.asset ?? '';
  const lineage = await host.client.call('lineage', { asset: agent });
  const whole = lineage.royalties.reduce((sum, { ppm }) => sum + ppm, 0);
  check(whole === 1_000_000 && lineage.royalties.length === 5, 'five assets share all of it');
  say(
    `The agent “handbook” is made of the merge. Of what it earns: ${lineage.royalties.map(({ name, ppm }) => `${ppm / 10_000} % ${name}`).join(', ')}.`,
  );
  return { notes, survey, adapter, merge, agent };
}

async function pay(stage: Stage, assets: Assets): Promise<AskEnd> {
  const { host, payer, dids } = stage;
  await until('the agent is listed', async () =>
    (await payer.client.call('agents', {})).some(({ name }) => name === 'handbook'),
  );
  await run(payer, 'identity', 'init');
  await run(payer, 'channel', 'open', 'handbook');
  await askMany(payer, CALLS / 2);
  await run(payer, 'identity', 'rotate');
  const { key, retired } = await host.client.call('ledger.account', { did: dids.payer });
  check(retired.length === 1 && retired[0]?.key !== key, 'the payer signs with another key');
  say(
    `Half of ${CALLS} paid calls are done. The payer rotates its key in block ${retired[0]?.retiredAt}; its DID, its channel and its calls go on.`,
  );
  const last = await askMany(payer, CALLS / 2);
  await run(host, 'channel', 'claim');
  const { assets: earned } = await host.client.call('earnings', {});
  const received = BigInt(earned.find(({ asset }) => asset === assets.agent)?.received ?? '0');
  check(received === BigInt(CALLS * PRICE), `the agent received ${received} grains for ${CALLS} calls`);
  const { rows } = await host.client.call('ledger.explore', { kind: 'claim', limit: 256 });
  const { channels } = await host.client.call('ledger.account', { did: dids.payer });
  const { height } = await host.client.call('ledger.status', {});
  check(channels.length === 1, `all calls went over one channel, not ${channels.length}`);
  check(rows.length < CALLS / 20, 'claims do not grow with calls');
  say(
    `${CALLS} paid calls, ${AT_ONCE} at a time, are settled by ${rows.length} claims on one channel within ${height} blocks: ${money(received)}, all of it with the agent.`,
  );
  return last;
}

/** Asks many times, some at a time; every answer is paid its price. Resolves with the end of the last. */
async function askMany(payer: Peer, count: number): Promise<AskEnd> {
  let left = count;
  let last: AskEnd | undefined;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      for await (const event of payer.client.stream('ask', { agent: 'handbook', question: QUESTION })) {
        if (event.type !== 'end') continue;
        check(
          event.amount === String(PRICE),
          `a call costs ${PRICE} grains, not ${event.amount} (${event.finish})`,
        );
        last = event;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  check(last !== undefined, 'calls have ends');
  return last;
}

async function collect(stage: Stage, assets: Assets): Promise<void> {
  const { host, bob, dids } = stage;
  const spent = BigInt(CALLS * PRICE) + 500_000_000n;
  const before = await balances(stage);
  const rows = await bob.client.call('collect', { asset: assets.agent, path: true });
  await until(
    'the host has it',
    async () => (await host.client.call('lineage', { asset: assets.notes })).received !== '0',
  );
  const paid = new Map<string, bigint>();
  for (const { to } of rows) {
    for (const { as, who, amount } of to) {
      if (as !== 'parent') paid.set(who, (paid.get(who) ?? 0n) + BigInt(amount));
    }
  }
  const sum = [...paid.values()].reduce((total, amount) => total + amount, 0n);
  check(sum === spent, `everybody together got ${sum} of ${spent} grains`);
  const after = await balances(stage);
  for (const [name, did] of Object.entries(dids)) {
    const grown = (after.get(did) ?? 0n) - (before.get(did) ?? 0n);
    check(grown === (paid.get(did) ?? 0n), `${name}'s account grew by what was collected (${grown})`);
  }
  const bounty = rows
    .flatMap(({ to }) => to)
    .filter(({ as }) => as === 'keeper')
    .reduce((total, { amount }) => total + BigInt(amount), 0n);
  check(bounty > 0n, 'whoever collects gets the bounties');
  const part = (did: string): string => money(paid.get(did) ?? 0n);
  say(
    `Bob collects along the path, ${rows.length} assets in one transaction: host ${part(dids.host)}, Alice ${part(dids.alice)}, Bob ${part(dids.bob)}, of which ${money(bounty)} bounties. Together ${money(sum)}: calls and licence, to the grain.`,
  );
}

async function balances({ host, dids }: Stage): Promise<ReadonlyMap<string, bigint>> {
  const pairs = Object.values(dids).map(async (did) => [did, await balanceOf(host, did)] as const);
  return new Map(await Promise.all(pairs));
}

async function leave({ host, payer, dids }: Stage): Promise<void> {
  const {
    channels: [id = ''],
  } = await host.client.call('ledger.account', { did: dids.payer });
  const { deposit, claimed } = await host.client.call('ledger.channel', { id });
  const before = await balanceOf(host, dids.payer);
  await run(payer, 'channel', 'close', id.slice(0, 16));
  const closing = await host.client.call('ledger.channel', { id });
  check(closing.state === 'closing' && closing.until !== undefined, 'the channel is closing');
  await until('the delay has passed', async () => {
    const { channels } = await host.client.call('ledger.account', { did: dids.payer });
    return channels.length === 0;
  });
  const { height } = await host.client.call('ledger.status', {});
  const back = (await balanceOf(host, dids.payer)) - before;
  check(back === BigInt(deposit) - BigInt(claimed), 'what was not spent comes back');
  check(height >= closing.until, 'the channel ended at its height');
  say(
    `The payer closes its channel; ${CLOSE_DELAY_BLOCKS} blocks later, in block ${closing.until}, it ends by itself and ${money(back)} come back.`,
  );
}

async function prove(
  peers: Peers,
  { host, payer }: Stage,
  of: { readonly receipt: string; readonly asset: string; readonly liar: string },
): Promise<void> {
  const verdict = await host.client.call('ledger.verify', {});
  check(verdict.sound, `the ledger replays: ${verdict.fault}`);
  say(
    `The ledger replays from its genesis: ${verdict.height} blocks, ${verdict.transactions} transactions, supply ${money(verdict.supply)} at every height.`,
  );
  const files = ['call.audit', 'merge.audit', 'liar.audit'].map((name) => join(host.home.root, name));
  const [call = '', merge = '', liar = ''] = files;
  await run(payer, 'audit', of.receipt, '--out', call);
  await run(host, 'audit', of.asset, '--out', merge);
  await run(host, 'audit', of.liar, '--out', liar);
  await peers.stop();
  for (const [file, what] of [
    [call, 'a call'],
    [merge, 'the merge'],
    [liar, 'the liar'],
  ] as const) {
    const checked = await run<{ ok: boolean; summary?: { proven: readonly string[] } }>(host, 'verify', file);
    check(checked.ok, `the audit of ${what} holds`);
    const bytes = await readFile(file);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(`${file}.changed`, bytes);
    const changed = await host.sahara(['verify', `${file}.changed`]);
    check(changed.code !== 0, 'a changed byte is found');
    say(
      `With every daemon stopped, an audit file of ${bytes.length} bytes proves ${checked.summary?.proven.length} things about ${what}; with one byte changed, nothing.`,
    );
  }
  console.log('\nEverything holds.');
}
