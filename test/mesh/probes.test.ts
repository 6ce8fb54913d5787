import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { systemDice } from '../../src/base/random.ts';
import type { HostEntry } from '../../src/mesh/directory-state.ts';
import type { Mesh } from '../../src/mesh/interface.ts';
import { pickHosts } from '../../src/mesh/probe-plan.ts';
import { PROBE_PROTOCOL } from '../../src/mesh/probes.ts';
import { createSuspects, RETRY_MS } from '../../src/mesh/suspects.ts';
import { topicName } from '../../src/mesh/topics.ts';
import { advert } from '../../src/protocol/card.ts';
import { probe, probeAnswer } from '../../src/protocol/probe.ts';
import { checkSigned, signed, signOne } from '../../src/protocol/signing.ts';
import { createDirectories, type MadeAgent, makeAgent, NETWORK, namesIn, suite } from './market.ts';
import { addressOf, createFleet, failureOf, until } from './support.ts';

const fleet = createFleet();
const directories = createDirectories();
afterEach(async () => {
  await directories.stop();
  await fleet.stop();
});

const ADVERTS = topicName(NETWORK, 'adverts');
/** No round of probes while a test runs: only what it asks for itself. */
const QUIET = { probeIntervalMs: 3_600_000 };

const askProbe = (asker: Mesh, host: Mesh, agent: Uint8Array, nonce: Uint8Array): Promise<Uint8Array> =>
  asker.request(host.peerId, PROBE_PROTOCOL, probe.encode({ agent, nonce }), { answerBytesMax: 1_024 });

/** Announces an agent without a directory, as a host does that plays by rules of its own. */
function announceBare(mesh: Mesh, agent: MadeAgent, lifeMs: number): () => Promise<void> {
  mesh.subscribe(ADVERTS, { sizeBytesMax: 2_048, validate: () => 'ignore', deliver: () => {} });
  return async () => {
    const issuedAtMs = Date.now();
    const said = {
      version: 1,
      network: NETWORK,
      agent: agent.key.publicKey,
      cardHash: agent.hash,
      peerId: mesh.peerId,
      addresses: [addressOf(mesh)],
      issuedAtMs,
      expiresAtMs: issuedAtMs + lifeMs,
      ...agent.local.describe(),
    };
    const message = signOne(suite, agent.key, NETWORK, { type: 'advert', payload: advert.encode(said) });
    await mesh.publish(ADVERTS, signed.encode(message));
  };
}

describe('a probe', () => {
  it('MESH-80: is answered for agents that are hosted, signed for this asker and nonce', async () => {
    const [host, asker] = [await fleet.start(), await fleet.start()];
    const agent = makeAgent('guide');
    directories.start(host, QUIET).announce(agent.local);
    await asker.connect(addressOf(host));
    const nonce = systemDice.bytes(32);
    const answer = signed.decode(await askProbe(asker, host, agent.key.publicKey, nonce));
    expect(probeAnswer.decode(answer.payload)).toEqual({
      version: 1,
      network: NETWORK,
      agent: agent.key.publicKey,
      host: host.peerId,
      asker: asker.peerId,
      nonce,
    });
    const check = (type: string): unknown => checkSigned(suite, NETWORK, type, agent.key.publicKey, answer);
    expect(check('probe-answer')).toBeUndefined();
    expect(check('advert')).toBe('signature-invalid');
    expect(await failureOf(askProbe(asker, host, makeAgent('other').key.publicKey, nonce))).toBe(
      'agent-unknown',
    );
  });

  it('MESH-84: is answered at a bounded rate', async () => {
    const [host, asker] = [await fleet.start(), await fleet.start()];
    const agent = makeAgent('guide');
    directories.start(host, QUIET).announce(agent.local);
    await asker.connect(addressOf(host));
    const outcomes: string[] = [];
    // One after another, so that none is refused for being one of too many at a time.
    for (let i = 0; i < 200 && !outcomes.includes('rate-limited'); i++) {
      outcomes.push(await failureOf(askProbe(asker, host, agent.key.publicKey, systemDice.bytes(32))));
    }
    expect(outcomes.slice(0, 32)).toEqual(Array.from({ length: 32 }, () => 'none'));
    expect(outcomes.at(-1)).toBe('rate-limited');
  });

  it('MESH-80: does not believe a peer that passes on what the true host signs', async () => {
    const [host, liar, asker] = [await fleet.start(), await fleet.start(), await fleet.start()];
    const agent = makeAgent('guide');
    directories.start(host, QUIET).announce(agent.local);
    // The agent's key signed both adverts; the probe shows which of the two peers holds it now.
    liar.serve(PROBE_PROTOCOL, {
      requestBytesMax: 128,
      answerBytesMax: 1_024,
      concurrencyMax: 8,
      handle: (body) => liar.request(host.peerId, PROBE_PROTOCOL, body, { answerBytesMax: 1_024 }),
    });
    const there = directories.start(asker, { probeIntervalMs: 200, probesPerRound: 4 });
    await liar.connect(addressOf(host));
    await asker.connect(addressOf(host));
    await asker.connect(addressOf(liar));
    const beat = announceBare(liar, agent, 60_000);
    const hosts = (): string[] => there.agents().flatMap((listing) => listing.hosts.map((at) => at.peerId));
    // It may be off the list again before anybody looks, and does not come back: each change is looked at.
    let seen = false;
    there.onChange(() => {
      seen ||= hosts().includes(liar.peerId);
    });
    await until(async () => {
      await beat();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return seen && hosts().length === 1;
    });
    expect(hosts()).toEqual([host.peerId]);
  });

  it('MESH-82 MESH-83: who advertises but does not answer leaves the list, and its adverts go no further', {
    timeout: 60_000,
  }, async () => {
    const [mute, middle, far] = [
      await fleet.start({ peersTarget: 0 }),
      await fleet.start({ peersTarget: 0 }),
      await fleet.start({ peersTarget: 0 }),
    ];
    const lifeMs = 4_000;
    const beat = announceBare(mute, makeAgent('mute'), lifeMs);
    const near = directories.start(middle, { probeIntervalMs: 400 });
    // Probes nobody: it can lose the host only when no more adverts come through.
    const away = directories.start(far, QUIET);
    await middle.connect(addressOf(mute));
    await far.connect(addressOf(middle));
    let heard = false;
    await until(async () => {
      await beat();
      await new Promise((resolve) => setTimeout(resolve, 200));
      heard ||= namesIn(away).length === 1;
      return heard && namesIn(near).length === 0 && namesIn(away).length === 0;
    });
    for (let i = 0; i < 5; i++) {
      await beat();
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(namesIn(near)).toEqual([]);
      expect(namesIn(away)).toEqual([]);
    }
  });

  it('MESH-82: a host that answers again is listed again', async () => {
    const [host, asker] = [await fleet.start(), await fleet.start()];
    const here = directories.start(host, { heartbeatMs: 1_500, ...QUIET });
    here.announce(makeAgent('guide').local);
    const there = directories.start(asker, { probeIntervalMs: 500 });
    await asker.connect(addressOf(host));
    await until(() => namesIn(there).length === 1);
    const [listed = expect.fail('a host')] = there.find('guide').hosts;
    there.failed(listed);
    expect(namesIn(there)).toEqual([]);
    await until(() => namesIn(there).length === 1);
  });

  it('MESH-85: killed hosts are listed nowhere once their adverts are over', {
    timeout: 60_000,
  }, async () => {
    const watchers = [await fleet.start(), await fleet.start(), await fleet.start()];
    const [first, second, third] = watchers;
    if (!first || !second || !third) throw new Error('three peers');
    const lists = [
      directories.start(first, { probeIntervalMs: 500 }),
      // Neither a probe nor a lost connection tells these two: only that the heartbeats stopped.
      directories.start(second, QUIET),
      directories.start(third, QUIET),
    ];
    await second.connect(addressOf(first));
    await third.connect(addressOf(second));
    const children = [1, 2].map(() =>
      fork(fileURLToPath(new URL('./host-process.ts', import.meta.url)), [addressOf(first)]),
    );
    await Promise.all(children.map((child) => once(child, 'message')));
    await until(() => lists.every((list) => list.agents().length === 2));
    for (const child of children) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    const lastMs = Math.max(
      ...lists.flatMap((list) =>
        list.agents().flatMap(({ hosts }) => hosts.map((host) => host.advert.expiresAtMs)),
      ),
      0,
    );
    await until(() => lists.every((list) => list.agents().length === 0) || Date.now() > lastMs + 2_000);
    expect(lists.map((list) => namesIn(list))).toEqual([[], [], []]);
  });
});

describe('a round of probes', () => {
  const host = fc.record({
    agent: fc.constant(new Uint8Array(32)),
    peerId: fc.string({ minLength: 1, maxLength: 4 }),
    addresses: fc.constant([]),
    failures: fc.integer({ min: 0, max: 3 }),
    retryDue: fc.boolean(),
    provenAtMs: fc.option(fc.integer({ min: 0, max: 1_000 }), { nil: undefined }),
  });

  it('MESH-81: is small, leaves the rested alone, and is never only for those that failed', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(host, { selector: ({ peerId }) => peerId, maxLength: 30 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 0, max: 1_000 }),
        (hosts: HostEntry[], count, restedSinceMs) => {
          const here = hosts[0]?.peerId ?? '';
          const picked = pickHosts(hosts, { dice: systemDice, count, here, restedSinceMs });
          expect(picked.length).toBeLessThanOrEqual(count);
          expect(new Set(picked).size).toBe(picked.length);
          expect(picked.filter(({ failures }) => failures > 0).length).toBeLessThanOrEqual(
            Math.ceil(count / 2),
          );
          for (const one of picked) {
            expect(one.peerId).not.toBe(here);
            if (one.failures > 0) expect(one.retryDue).toBe(true);
            else expect(one.provenAtMs ?? -1).toBeLessThan(restedSinceMs);
          }
        },
      ),
    );
  });

  it('MESH-81: comes to everybody in time', () => {
    const hosts: HostEntry[] = Array.from({ length: 20 }, (_, i) => ({
      agent: new Uint8Array(32),
      peerId: `peer ${i}`,
      addresses: [],
      failures: 0,
      retryDue: false,
      provenAtMs: undefined,
    }));
    const plan = { dice: systemDice, count: 4, here: 'nobody', restedSinceMs: 0 };
    const met = new Set<string>();
    for (let i = 0; i < 1_000 && met.size < 20; i++) {
      for (const { peerId } of pickHosts(hosts, plan)) met.add(peerId);
    }
    expect(met.size).toBe(20);
  });
});

describe('hosts under suspicion', () => {
  it('MESH-82: are tried again with growing pauses, and forgotten in the end', () => {
    const suspects = createSuspects();
    const pauses: number[] = [];
    let nowMs = 0;
    for (let i = 0; i < 7; i++) {
      suspects.fail('a', nowMs);
      let pauseMs = 0;
      while (!suspects.isDue('a', nowMs + pauseMs)) pauseMs += 1_000;
      pauses.push(pauseMs / RETRY_MS);
      nowMs += pauseMs;
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 32]);
    expect(suspects.failures('a', nowMs)).toBe(7);
    expect(suspects.failures('a', nowMs + 1_000_000)).toBe(0);
    suspects.fail('b', nowMs);
    for (let i = 0; i < 8; i++) suspects.fail('b', nowMs + i);
    expect(suspects.failures('b', nowMs + 10)).toBe(1);
    expect(suspects.isDue('b', nowMs + RETRY_MS)).toBe(true);
    expect(suspects.clear('b')).toBe(true);
    expect(suspects.isDue('b', nowMs + 100_000)).toBe(false);
  });
});
