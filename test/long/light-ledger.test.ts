import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openLevelStore } from '../../src/base/level-store.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { createLightAnswers, serveLight } from '../../src/ledger/light/answers.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { ledgerNetwork } from '../ledger/in-process.ts';
import { honestBench, openLightHome } from '../ledger/light-home.ts';
import { alice, bob, START, sequencer, suite, testGenesis } from '../ledger/support.ts';
import { addressOf, createFleet, until } from '../mesh/support.ts';

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
    const liar = spawnChild('../ledger/light-liar-child.ts', lie);
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
    const child = spawnChild('../ledger/light-home-child.ts', addressOf(node), place, name);
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
