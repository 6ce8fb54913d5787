import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemDice } from '../../src/base/random.ts';
import type { Directory } from '../../src/mesh/directory.ts';
import type { Mesh } from '../../src/mesh/interface.ts';
import { createMeasures, type Measures } from '../../src/mesh/measures.ts';
import { createObservations, type Observations } from '../../src/mesh/observations.ts';
import { topicName } from '../../src/mesh/topics.ts';
import { type Observation, observation } from '../../src/protocol/observation.ts';
import { type Receipt, receipt as receiptSchema } from '../../src/protocol/payment.ts';
import { type Signed, signed, signOne } from '../../src/protocol/signing.ts';
import type { Signer } from '../../src/protocol/suite.ts';
import {
  createDirectories,
  type MadeAgent,
  makeAgent,
  NETWORK,
  newKey,
  partsOf,
  suite,
  tickSigner,
} from './market.ts';
import { receiptOf } from './receipts.ts';
import { addressOf, createFleet, until } from './support.ts';

const fleet = createFleet();
const directories = createDirectories();
const running: Observations[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) each.stop();
  await directories.stop();
  await fleet.stop();
});

const TOPIC = topicName(NETWORK, 'observations');
const QUIET = { probeIntervalMs: 3_600_000, heartbeatMs: 1_500 };

interface Watcher {
  readonly mesh: Mesh;
  readonly key: Signer;
  readonly directory: Directory;
  readonly measures: Measures;
  readonly observations: Observations;
}

/** A peer that measures, tells and lists by what it heard. Channels named by a first byte of 1 lock 1,000 grains. */
async function watcher(options: { readonly tell?: boolean } = {}): Promise<Watcher> {
  const mesh = await fleet.start({ peersTarget: 0 });
  const key = newKey();
  const measures = createMeasures({ clock: systemClock });
  const directory = directories.start(mesh, QUIET, { measured: measures.of });
  const observations = createObservations(
    {
      ...partsOf(mesh),
      payer: tickSigner(key),
      measures,
      isHost: directory.isHost,
      stakeOf: ({ channel }) => (channel?.[0] === 1 ? 1_000n : 0n),
    },
    { network: NETWORK, ...options },
  );
  running.push(observations);
  return { mesh, key, directory, measures, observations };
}

/** A receipt of a paid call, signed by the agent. */
function receiptFrom(agent: MadeAgent, payer: Signer, changes: Partial<Receipt> = {}): Signed {
  const said = receiptOf({
    agent: agent.card.agent,
    payer: payer.publicKey,
    network: NETWORK,
    callId: systemDice.bytes(16),
    channel: new Uint8Array(32).fill(1),
    amount: 100n,
    ...changes,
  });
  return signOne(suite, agent.key, NETWORK, { type: 'receipt', payload: receiptSchema.encode(said) });
}

const times = { firstMs: 80, totalMs: 400, ahead: 2 };

describe('observations between peers', () => {
  it('MESH-76 MESH-77: what payers measured shows in the list of others, beside what the advert claims', async () => {
    const [host, payer, reader] = [await watcher(), await watcher(), await watcher()];
    const agent = makeAgent('guide');
    host.directory.announce(agent.local);
    await payer.mesh.connect(addressOf(host.mesh));
    await reader.mesh.connect(addressOf(payer.mesh));
    await until(() => reader.directory.agents().length === 1 && payer.directory.agents().length === 1);
    expect(reader.directory.find('guide').hosts[0]?.measured).toBeUndefined();
    await until(async () => {
      // Each try has a key of its own: one payer speaks of an agent only now and then.
      const key = newKey();
      const receipt = receiptFrom(agent, key);
      const seen = observationBy(key, receipt, host.mesh.peerId);
      await payer.mesh.publish(TOPIC, seen);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return reader.directory.find('guide').hosts[0]?.measured !== undefined;
    });
    expect(reader.directory.find('guide').hosts[0]?.measured).toMatchObject({
      ...times,
      paid: 100n,
      failed: 0,
      from: 'paid',
    });
    expect(reader.directory.find('guide').hosts[0]?.advert).toMatchObject({ queue: 0, latencyMs: undefined });

    const receipt = receiptFrom(agent, payer.key, { finish: 'failed' });
    await payer.observations.observe({ receipt, peerId: host.mesh.peerId, ...times, totalMs: 900 });
    const own = payer.directory.find('guide').hosts[0]?.measured;
    expect(own).toMatchObject({ totalMs: 900, failed: 1, from: 'own', payers: 1 });
  });

  function observationBy(key: Signer, receipt: Signed, peerId: string, changes: Partial<Observation> = {}) {
    const seen: Observation = {
      version: 1,
      network: NETWORK,
      payer: key.publicKey,
      peerId,
      receipt,
      ...times,
      issuedAtMs: Date.now(),
      ...changes,
    };
    const payload = observation.encode(seen);
    return signed.encode(signOne(suite, key, NETWORK, { type: 'observation', payload }));
  }

  it('MESH-76: a peer tells what its calls took, once in a while for each agent', async () => {
    const [host, payer, reader] = [await watcher(), await watcher(), await watcher()];
    const agents = Array.from({ length: 40 }, (_, i) => makeAgent(`agent ${i}`));
    for (const agent of agents) host.directory.announce(agent.local);
    await payer.mesh.connect(addressOf(host.mesh));
    await reader.mesh.connect(addressOf(payer.mesh));
    await until(() => reader.directory.agents().length === agents.length);
    let tries = 0;
    const told = (): MadeAgent | undefined =>
      agents.find(({ card }) => reader.measures.of(card.agent, host.mesh.peerId) !== undefined);
    await until(async () => {
      const agent = agents[tries++ % agents.length];
      if (agent === undefined) return false;
      const call = { receipt: receiptFrom(agent, payer.key), peerId: host.mesh.peerId, ...times };
      await payer.observations.observe(call);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return told() !== undefined;
    });
    const agent = told() ?? expect.fail('an agent');
    const before = reader.measures.of(agent.card.agent, host.mesh.peerId);
    for (let i = 0; i < 3; i++) {
      const call = { receipt: receiptFrom(agent, payer.key), peerId: host.mesh.peerId, ...times };
      await payer.observations.observe({ ...call, totalMs: 9_000 });
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(reader.measures.of(agent.card.agent, host.mesh.peerId)).toEqual(before);
  });

  it('MESH-76: who was told not to tell measures for itself only', async () => {
    const [host, payer, reader] = [await watcher(), await watcher({ tell: false }), await watcher()];
    const agent = makeAgent('guide');
    host.directory.announce(agent.local);
    await payer.mesh.connect(addressOf(host.mesh));
    await reader.mesh.connect(addressOf(payer.mesh));
    await until(() => reader.directory.agents().length === 1);
    for (let i = 0; i < 10; i++) {
      const call = { receipt: receiptFrom(agent, payer.key), peerId: host.mesh.peerId, ...times };
      await payer.observations.observe(call);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(payer.measures.of(agent.card.agent, host.mesh.peerId)).toMatchObject({ from: 'own' });
    expect(reader.measures.of(agent.card.agent, host.mesh.peerId)).toBeUndefined();
  });

  it.each<[string, (agent: MadeAgent, liar: Signer, host: string) => Uint8Array]>([
    [
      'a receipt that the agent did not sign',
      (agent, liar, host) => observationBy(liar, receiptFrom({ ...agent, key: liar }, liar), host),
    ],
    [
      'the receipt of somebody else',
      (agent, liar, host) => observationBy(liar, receiptFrom(agent, newKey()), host),
    ],
    [
      'a payer who did not sign',
      (agent, liar, host) =>
        observationBy(liar, receiptFrom(agent, newKey()), host, { payer: agent.card.agent }),
    ],
    ['no observation at all', () => systemDice.bytes(64)],
  ])('MESH-79: %s costs its sender its standing and measures nothing', async (_, forge) => {
    const reader = await watcher();
    const host = await watcher();
    const agent = makeAgent('guide');
    host.directory.announce(agent.local);
    const bad = await fleet.start({ peersTarget: 0 });
    bad.subscribe(TOPIC, { sizeBytesMax: 2_048, validate: () => 'ignore', deliver: () => {} });
    await reader.mesh.connect(addressOf(host.mesh));
    await until(() => reader.directory.agents().length === 1);
    await bad.connect(addressOf(reader.mesh));
    const liar = newKey();
    await until(async () => {
      // Wrong in a new way each time, so that none is the same message as the last.
      const message = forge(agent, liar, host.mesh.peerId);
      await bad.publish(TOPIC, message).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 50));
      return !reader.mesh.peers().some(({ peerId }) => peerId === bad.peerId);
    });
    expect(reader.measures.of(agent.card.agent, host.mesh.peerId)).toBeUndefined();
  });
});
