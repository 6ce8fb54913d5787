import { afterEach, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import { createEmbeddedLedger } from '../../src/ledger/engines/embedded.ts';
import { networkNameOf } from '../../src/ledger/genesis.ts';
import { createLightAnswers, serveLight } from '../../src/ledger/light/answers.ts';
import { channelId } from '../../src/protocol/transaction.ts';
import { addressOf, createFleet, until } from '../mesh/support.ts';
import { ledgerNetwork } from './in-process.ts';
import { honestBench, openLightHome } from './light-home.ts';
import { alice, bob, sequencer, suite, testGenesis } from './support.ts';

const genesis = testGenesis();
const name = networkNameOf(suite, genesis);
const common = { clock: systemClock, log: silentLog };
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

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
