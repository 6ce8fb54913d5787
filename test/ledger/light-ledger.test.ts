import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { createLightAnswers, serveLight } from '../../src/ledger/light/answers.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { addressOf, createFleet, until } from '../mesh/support.ts';
import { ledgerNetwork } from './in-process.ts';
import { openLightHome } from './light-home.ts';
import { alice, Bench, bob, START, sequencer, suite, testGenesis } from './support.ts';

const genesis = testGenesis();
const name = networkNameOf(suite, genesis);
const common = { clock: systemClock, log: silentLog };
const channel = channelId(suite, name, alice.publicKey, bob.publicKey, 0);
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function spawnChild(
  file: string,
  ...args: readonly string[]
): ChildProcess & { readonly lines: AsyncIterator<string> } {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  stops.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return Object.assign(child, { lines });
}

/** The chain that honest peers have: a channel of alice's, and two blocks more. */
async function honestBench(): Promise<Bench> {
  const bench = await Bench.create(genesis);
  await bench.run(alice, { type: 'open-channel', payee: bob.publicKey, deposit: 5_000_000n });
  for (const amount of [1n, 2n])
    await bench.run(alice, { type: 'transfer', to: bob.publicKey, amount, memo: undefined });
  return bench;
}

const lies = ['value', 'proof', 'withheld', 'stale', 'two headers'] as const;

test.each(lies)(
  'LEDGER-146 LEDGER-147 LEDGER-148 LEDGER-156: a peer of another process that lies (%s) is not believed',
  async (lie) => {
    const fleet = createFleet();
    stops.push(() => fleet.stop());
    const [honest, home] = [await fleet.start({ network: name }), await fleet.start({ network: name })];
    const bench = await honestBench();
    const stopServing = serveLight(
      honest,
      createLightAnswers(bench.parts, (job) => job()),
    );
    const { ledger } = await openLightHome({ ...common, mesh: home, store: createMemoryStore() });
    stops.push(() => ledger.stop());
    expect(ledger.report().warning).toContain('No peer is connected');
    await home.connect(addressOf(honest));
    await until(() => ledger.head().height === 3);
    expect(ledger.channel(channel)).toEqual(bench.queries.channel(channel));
    expect(ledger.report()).toMatchObject({ headerHeight: 3, provedHeight: 3, channels: 1 });
    // From here on there is the liar alone.
    const liar = spawnChild('./light-liar-child.ts', lie);
    const { value: address } = await liar.lines.next();
    stopServing();
    await home.connect(address);
    await until(() => home.peers().length === 2);
    if (lie === 'two headers') {
      await until(() => ledger.head().halted !== undefined);
      expect(ledger.report().evidence).toHaveLength(2);
      await expect(ledger.current()).rejects.toMatchObject({ code: 'ledger-halted' });
    } else {
      const asked = Promise.resolve(ledger.read((reads) => reads.account(bob.publicKey)));
      await expect(asked).rejects.toMatchObject({ code: 'state-unproven' });
      expect(ledger.report().peers.fault).toBeDefined();
    }
    // What was proved before stays what it was.
    expect(ledger.channel(channel)).toEqual(bench.queries.channel(channel));
    expect(ledger.account(alice.publicKey)).toEqual(bench.queries.account(alice.publicKey));
  },
);

test('LEDGER-156: when nobody proves own records any more, it says so', async () => {
  const fleet = createFleet();
  stops.push(() => fleet.stop());
  const [honest, home] = [await fleet.start({ network: name }), await fleet.start({ network: name })];
  const bench = await honestBench();
  const stopServing = serveLight(
    honest,
    createLightAnswers(bench.parts, (job) => job()),
  );
  const { ledger } = await openLightHome({ ...common, mesh: home, store: createMemoryStore() });
  stops.push(() => ledger.stop());
  await home.connect(addressOf(honest));
  await until(() => ledger.head().height === 3);
  expect(ledger.report().warning).toBeUndefined();
  stopServing();
  await until(() => ledger.report().warning?.includes('no peer has proved own records') === true);
});

test('LEDGER-156: two light homes with one key list the channels that the other one opened', async () => {
  const fleet = createFleet();
  stops.push(() => fleet.stop());
  const [node, ...homes] = [
    await fleet.start({ network: name }),
    await fleet.start({ network: name }),
    await fleet.start({ network: name }),
  ];
  const parts = { ...common, suite, store: createMemoryStore(), signer: sequencer };
  const full = await createEmbeddedLedger({ ...parts, network: ledgerNetwork(node, name) }, genesis);
  stops.push(() => full.stop());
  const opened: Awaited<ReturnType<typeof openLightHome>>[] = [];
  for (const mesh of homes) {
    const home = await openLightHome({ ...common, mesh, store: createMemoryStore() });
    stops.push(() => home.ledger.stop());
    stops.push(async () => home.client.stop());
    await mesh.connect(addressOf(node));
    // It has asked once which channels there are, and found none.
    await until(() => home.ledger.report().provedAgoMs !== undefined);
    opened.push(home);
  }
  const seen = opened.map(({ ledger }) => {
    const heard = new Set<string>();
    ledger.onBlock(({ channels }) => {
      for (const id of channels) heard.add(toHex(id));
    });
    return heard;
  });
  for (const [at, payee] of [bob, sequencer].entries()) {
    await opened[at]?.client.send({ type: 'open-channel', payee: payee.publicKey, deposit: 5_000_000n });
    await until(() => opened.every(({ ledger }) => ledger.report().channels === at + 1));
    const id = channelId(suite, name, alice.publicKey, payee.publicKey, at);
    await until(() => seen.every((heard) => heard.has(toHex(id))));
    for (const { ledger } of opened) expect(ledger.channel(id)).toEqual(full.channel(id));
  }
});

test('LEDGER-167: a light home that knows other light homes only says that nobody proves, and stops saying so', async () => {
  const fleet = createFleet();
  stops.push(() => fleet.stop());
  const [honest, one, other] = [
    await fleet.start({ network: name, peersTarget: 0 }),
    await fleet.start({ network: name, peersTarget: 0 }),
    await fleet.start({ network: name, peersTarget: 0 }),
  ];
  const bench = await honestBench();
  serveLight(
    honest,
    createLightAnswers(bench.parts, (job) => job()),
  );
  const { ledger } = await openLightHome({ ...common, mesh: one, store: createMemoryStore() });
  stops.push(() => ledger.stop());
  await one.connect(addressOf(other));
  await until(() => ledger.report().warning?.includes('follows the ledger lightly too') === true);
  expect(ledger.report().peers).toMatchObject({ connected: 1, answering: 0, light: 1 });
  expect(ledger.report().warning).toContain('--bootstrap');
  await one.connect(addressOf(honest));
  await until(() => ledger.head().height === 3);
  expect(ledger.report().warning).toBeUndefined();
});

test('LEDGER-60 LEDGER-61 LEDGER-157: a light home that is killed with transactions under way sees each through, once', async () => {
  const fleet = createFleet();
  const root = await mkdtemp(join(tmpdir(), 'sahara-light-'));
  stops.push(() => rm(root, { recursive: true, force: true }));
  stops.push(() => fleet.stop());
  const [node, home] = [await fleet.start({ network: name }), await fleet.start({ network: name })];
  const parts = { ...common, suite, store: createMemoryStore(), signer: sequencer };
  const full = await createEmbeddedLedger({ ...parts, network: ledgerNetwork(node, name) }, genesis);
  stops.push(() => full.stop());
  const place = join(root, 'store');
  for (let round = 0; round < 3; round++) {
    const child = spawnChild('./light-home-child.ts', addressOf(node), place, name);
    await child.lines.next();
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await home.connect(addressOf(node));
  const store = await openLevelStore(place);
  stops.push(() => store.close());
  const { ledger, client } = await openLightHome({ ...common, mesh: home, store });
  stops.push(() => ledger.stop());
  stops.push(async () => client.stop());
  await client.settled();
  const { nonce } = await client
    .send({ type: 'transfer', to: bob.publicKey, amount: 1n, memo: undefined })
    .then(() => ledger.account(alice.publicKey));
  expect(nonce).toBeGreaterThan(12);
  // One grain for each number: none was skipped, none was paid twice.
  expect(ledger.account(alice.publicKey)).toEqual({ balance: START - BigInt(nonce), nonce });
  expect(full.account(alice.publicKey)).toEqual({ balance: START - BigInt(nonce), nonce });
  expect(client.pending()).toEqual([]);
});
