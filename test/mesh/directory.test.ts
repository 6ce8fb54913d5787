import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { systemDice } from '../../src/base/random.ts';
import { CARD_PROTOCOL } from '../../src/mesh/cards.ts';
import type { Directory, DirectoryOptions } from '../../src/mesh/directory.ts';
import {
  createDirectoryState,
  type DirectoryStateOptions,
  type Instant,
} from '../../src/mesh/directory-state.ts';
import type { Mesh } from '../../src/mesh/interface.ts';
import { AGENTS_PER_PEER_MAX, HOSTS_PER_AGENT_MAX } from '../../src/mesh/limits.ts';
import type { Measured } from '../../src/mesh/measures.ts';
import { topicName } from '../../src/mesh/topics.ts';
import { type Advert, advert } from '../../src/protocol/card.ts';
import { certificateChain } from '../../src/protocol/certificate.ts';
import { signed, signOne } from '../../src/protocol/signing.ts';
import { createDirectories, makeAgent, NETWORK, suite } from './market.ts';
import { addressOf, createFleet, failureOf, until } from './support.ts';

const fleet = createFleet();
const directories = createDirectories();
afterEach(async () => {
  await directories.stop();
  await fleet.stop();
});

function start(mesh: Mesh, options: Partial<DirectoryOptions> = {}): Directory {
  return directories.start(mesh, { probeTimeoutMs: 1_000, ...options });
}

const names = (directory: Directory): string[] => directory.agents().map((agent) => agent.name);

describe('the directory between peers', () => {
  it('MESH-60: a peer that connects knows the agents of the other at once, and their cards', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    const here = start(a);
    const there = start(b);
    const guide = makeAgent('guide');
    here.announce(guide.local);
    await until(() => names(here).length === 1);
    await b.connect(addressOf(a));
    await until(() => names(there).length === 1);
    const listing = there.find('guide');
    expect(listing.hosts[0]?.peerId).toBe(a.peerId);
    expect(listing.hosts[0]?.addresses).toEqual(a.addresses());
    const read = await there.card(listing);
    expect(read.card.description).toBe('answers');
    expect(read.hash).toEqual(listing.cardHash);
    expect(await there.card(listing)).toBe(read);
    expect((await here.card(here.find('guide'))).bytes).toEqual(guide.bytes);
  });

  it('MESH-61: adverts travel beyond the neighbours, heartbeats renew them, withdrawal ends them', async () => {
    const [a, b, c] = [await fleet.start(), await fleet.start(), await fleet.start()];
    await b.connect(addressOf(a));
    await c.connect(addressOf(b));
    const [da, db, dc] = [a, b, c].map((mesh) => start(mesh, { heartbeatMs: 1_500 }));
    if (!da || !db || !dc) throw new Error('three directories');
    const far = makeAgent('far');
    const heard = (): Advert | undefined =>
      dc.agents().find((agent) => agent.name === 'far')?.hosts[0]?.advert;
    let queue = 0;
    const describe = () => ({ ...far.local.describe(), queue });
    const withdraw = da.announce({ ...far.local, describe });
    await until(() => heard() !== undefined);
    const first = heard();
    queue = 7;
    await until(() => heard()?.queue === 7);
    // Issued after the first one died: only heartbeats can have kept the agent.
    await until(() => (heard()?.issuedAtMs ?? 0) > (first?.expiresAtMs ?? Number.POSITIVE_INFINITY));
    await dc.reach(dc.find('far').hosts[0] ?? expect.fail('a host'));
    expect((await dc.card(dc.find('far'))).card.name).toBe('far');
    await withdraw();
    await until(() => names(dc).length === 0 && names(db).length === 0);
    expect(names(da)).toEqual([]);
  });

  it('MESH-62: an agent whose host is gone leaves the list by a failed probe, long before its advert dies', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    const there = start(b);
    const gone = start(a, { heartbeatMs: 40_000 });
    gone.announce(makeAgent('gone').local);
    await b.connect(addressOf(a));
    await until(() => names(there).length === 1);
    // The mesh stops without a word of the directory, as in a crash.
    await a.stop();
    await until(() => names(there).length === 0);
  });

  it('MESH-63: adverts that break the rules cost their sender its standing', async () => {
    const a = await fleet.start({ peersTarget: 0 });
    const bad = await fleet.start({ peersTarget: 0 });
    const directory = start(a);
    bad.subscribe(topicName(NETWORK, 'adverts'), {
      sizeBytesMax: 2_048,
      validate: () => 'ignore',
      deliver: () => {},
    });
    await bad.connect(addressOf(a));
    const forged = makeAgent('forged');
    let beat = 0;
    await until(async () => {
      const nowMs = Date.now() + beat++;
      const claimed: Advert = {
        version: 1,
        network: NETWORK,
        agent: makeAgent('victim').key.publicKey,
        cardHash: new Uint8Array(32),
        peerId: bad.peerId,
        addresses: [],
        issuedAtMs: nowMs,
        expiresAtMs: nowMs + 60_000,
        ...forged.local.describe(),
      };
      const message = signOne(suite, forged.key, NETWORK, {
        type: 'advert',
        payload: advert.encode(claimed),
      });
      await bad.publish(topicName(NETWORK, 'adverts'), signed.encode(message));
      await new Promise((resolve) => setTimeout(resolve, 50));
      return a.peers().length === 0;
    });
    expect(names(directory)).toEqual([]);
  });

  it('MESH-64: a card that is not what was announced is refused', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    const there = start(b);
    const honest = makeAgent('honest');
    const liar = makeAgent('liar', { operatorCertificate: certificateChain.encode([]) });
    const here = start(a);
    here.announce(honest.local);
    here.announce(liar.local);
    await b.connect(addressOf(a));
    await until(() => names(there).length === 2);
    expect(await failureOf(there.card(there.find('liar')))).toBe('certificate-invalid');
    const listing = there.find('honest');
    const other = { ...listing, operator: systemDice.bytes(32) };
    expect(await failureOf(there.card(other))).toBe('malformed');
    const unknown = { ...listing, cardHash: systemDice.bytes(32) };
    expect(await failureOf(there.card(unknown))).toBe('agent-unknown');
    expect(
      await failureOf(b.request(a.peerId, CARD_PROTOCOL, systemDice.bytes(33), { answerBytesMax: 1 })),
    ).toBe('too-large');
  });

  it('a private peer lists its agents for itself only', async () => {
    const a = await fleet.start({ private: true });
    const b = await fleet.start();
    const here = start(a, { private: true });
    const there = start(b);
    here.announce(makeAgent('mine').local);
    await a.connect(addressOf(b));
    await until(() => names(here).length === 1);
    await until(() => b.peers().length === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(names(there)).toEqual([]);
  });
});

describe('the directory state', () => {
  const at = (ms: number): Instant => ({ wallMs: 1_000_000 + ms, monotonicMs: ms });
  const key = (n: number): Uint8Array => {
    const bytes = new Uint8Array(32);
    new DataView(bytes.buffer).setUint32(0, n);
    return bytes;
  };
  const said = (changes: Partial<Advert> = {}): Advert => ({
    version: 1,
    network: NETWORK,
    agent: key(1),
    operator: key(99),
    name: 'guide',
    skills: [],
    cardHash: key(5),
    perCall: 0n,
    queue: 0,
    latencyMs: undefined,
    modelDigest: key(6),
    peerId: 'peer',
    addresses: [],
    issuedAtMs: 1_000_000,
    expiresAtMs: 1_060_000,
    ...changes,
  });
  const listed = (...adverts: Advert[]) => listedBy({}, ...adverts);
  const listedBy = (options: Partial<DirectoryStateOptions>, ...adverts: Advert[]) => {
    const state = createDirectoryState({ network: NETWORK, ...options });
    for (const each of adverts) {
      expect(state.judge(each, each.peerId, at(0))).toBe('accept');
      state.put(each, at(0));
    }
    return state;
  };

  it('MESH-65: verdicts, in the order of the rules', () => {
    const state = listed(said());
    const judge = (changes: Partial<Advert>, ms = 5_000): string =>
      state.judge(said(changes), 'peer', at(ms));
    const later = { issuedAtMs: 1_004_000, expiresAtMs: 1_064_000 };
    expect(judge(later)).toBe('accept');
    expect(judge({ ...later, version: 2 })).toBe('ignore');
    expect(judge({ ...later, network: 'other' })).toBe('reject');
    expect(judge({ ...later, peerId: 'somebody' })).toBe('reject');
    expect(judge({ ...later, expiresAtMs: 1_004_000 + 120_001 })).toBe('reject');
    expect(judge({ ...later, expiresAtMs: 1_003_999 })).toBe('reject');
    expect(judge({}, 60_000)).toBe('ignore');
    expect(judge({ issuedAtMs: 1_035_001, expiresAtMs: 1_095_001 })).toBe('ignore');
    expect(judge({ ...later, addresses: ['/ip4/1.2.3.4/tcp/1/p2p/somebody'] })).toBe('reject');
    expect(judge({ ...later, addresses: ['/ip4/1.2.3.4/tcp/1/p2p/peer'] })).toBe('accept');
    for (const name of ['', ' x', 'did:key:z', 'a\u0007', 'a\u202e']) {
      expect(judge({ ...later, name })).toBe('reject');
    }
    expect(judge({})).toBe('ignore');
    expect(judge({ issuedAtMs: 1_000_500, expiresAtMs: 1_060_500 }, 500)).toBe('ignore');
  });

  it('MESH-61: an entry lives as long as its advert, by the receiver’s own clock', () => {
    const state = listed(said());
    expect(state.agents(at(59_999))).toHaveLength(1);
    expect(state.agents(at(60_000))).toHaveLength(0);
    const behind = createDirectoryState({ network: NETWORK });
    const slowClock = (ms: number): Instant => ({ wallMs: 990_000 + ms, monotonicMs: ms });
    expect(behind.judge(said(), 'peer', slowClock(0))).toBe('accept');
    behind.put(said(), slowClock(0));
    expect(behind.agents(slowClock(59_999))).toHaveLength(1);
    expect(behind.agents(slowClock(60_000))).toHaveLength(0);
  });

  const took = (totalMs: number, failed = 0): Measured => ({
    firstMs: 1,
    totalMs,
    ahead: 0,
    paid: 0n,
    failed,
    payers: 1,
    from: 'paid',
  });

  it('MESH-66: hosts of one agent are listed as they were measured, whatever they claim, and limited', () => {
    const measures: Record<string, Measured> = {
      busy: took(900),
      quick: took(90),
      flaky: took(100, 0.95),
      broken: took(1, 1),
    };
    const hosts = [
      said({ peerId: 'busy', queue: 0, latencyMs: 1 }),
      said({ peerId: 'broken' }),
      said({ peerId: 'flaky' }),
      said({ peerId: 'new', latencyMs: 0 }),
      said({ peerId: 'quick', queue: 99, latencyMs: 9_999 }),
    ];
    const state = listedBy({ measured: (_, peerId) => measures[peerId] }, ...hosts);
    const [agent] = state.agents(at(0));
    const order = agent?.hosts.map((host) => host.peerId) ?? [];
    expect(order.filter((name) => name !== 'new')).toEqual(['quick', 'busy', 'flaky', 'broken']);
    // Who is unknown stands in the middle: neither first for being new nor last for ever.
    expect(order.indexOf('new')).toBeGreaterThan(0);
    expect(order.indexOf('new')).toBeLessThan(4);
    for (let i = hosts.length; i < HOSTS_PER_AGENT_MAX; i++) state.put(said({ peerId: `p${i}` }), at(0));
    expect(state.judge(said({ peerId: 'one more' }), 'one more', at(0))).toBe('ignore');
    expect(state.remove('quick')).toBe(true);
    expect(state.remove('quick')).toBe(false);
  });

  it('MESH-66: equal hosts stand in an order that differs between peers, so that not all ask the same', () => {
    const hosts = ['a', 'b', 'c', 'd'].map((peerId) => said({ peerId }));
    const first = Array.from({ length: 64 }, (_, i) => {
      const state = listedBy({ salt: `peer ${i}` }, ...hosts);
      return state.agents(at(0))[0]?.hosts[0]?.peerId;
    });
    expect(new Set(first).size).toBe(4);
    expect(listedBy({ salt: 'x' }, ...hosts).agents(at(0))).toEqual(
      listedBy({ salt: 'x' }, ...[...hosts].reverse()).agents(at(0)),
    );
  });

  it('MESH-82: a host that failed is off the list until it proves itself; adverts do not bring it back', () => {
    const state = listed(said({ peerId: 'a' }), said({ peerId: 'b' }), said({ peerId: 'b', agent: key(2) }));
    const peers = (ms: number): string[] =>
      state.agents(at(ms)).flatMap(({ hosts }) => hosts.map(({ peerId }) => peerId));
    expect(state.suspend('b', undefined, at(0))).toBe(true);
    expect(state.suspend('b', key(1), at(0))).toBe(false);
    expect(peers(0)).toEqual(['a']);
    const later = { issuedAtMs: 1_005_000, expiresAtMs: 1_065_000 };
    state.put(said({ peerId: 'b', ...later }), at(5_000));
    expect(peers(5_000)).toEqual(['a']);
    // Saying goodbye and coming back is no way round it.
    state.put(said({ peerId: 'b', issuedAtMs: 1_006_000, expiresAtMs: 1_006_000 }), at(6_000));
    state.put(said({ peerId: 'b', issuedAtMs: 1_007_000, expiresAtMs: 1_067_000 }), at(7_000));
    expect(peers(7_000)).toEqual(['a']);
    expect(state.failures('b', key(1), at(7_000))).toBe(1);
    expect(state.restore('b', key(1), at(7_000))).toBe(true);
    expect(state.restore('b', key(1), at(7_000))).toBe(false);
    expect(peers(7_000).sort()).toEqual(['a', 'b']);
    expect(state.hosts(at(7_000)).map(({ failures }) => failures)).toEqual([0, 0, 1]);
  });

  it('MESH-66: one peer lists a limited number of agents; claims of an operator count once proven', () => {
    const state = createDirectoryState({ network: NETWORK });
    const nth = (n: number, peerId = 'peer'): Advert => said({ agent: key(n), name: `a${n}`, peerId });
    for (let n = 0; n < AGENTS_PER_PEER_MAX; n++) {
      expect(state.judge(nth(n), 'peer', at(0))).toBe('accept');
      state.put(nth(n), at(0));
    }
    expect(state.judge(nth(9_999), 'peer', at(0))).toBe('ignore');
    expect(state.judge(nth(9_999, 'other'), 'other', at(0))).toBe('accept');
    for (let n = 0; n < AGENTS_PER_PEER_MAX; n++) state.prove(key(n));
    expect(state.judge(nth(9_999, 'other'), 'other', at(0))).toBe('ignore');
  });

  it('MESH-67: finds by DID, name and unique beginning, and offers near names', () => {
    const state = listed(
      said({ agent: key(1), name: 'guide' }),
      said({ agent: key(2), name: 'Geology notes' }),
      said({ agent: key(3), name: 'gardener' }),
      said({ agent: key(4), name: 'twin', peerId: 'a' }),
      said({ agent: key(5), name: 'twin', peerId: 'b' }),
    );
    const find = (wanted: string): string | readonly string[] => {
      const found = state.find(wanted, at(0));
      return 'agent' in found ? found.agent.name : found.nearest;
    };
    const [first] = state.agents(at(0)).filter((agent) => agent.name === 'guide');
    expect(find('guide')).toBe('guide');
    expect(find('GUIDE')).toBe('guide');
    expect(find('geo')).toBe('Geology notes');
    expect(find(first?.did ?? '')).toBe('guide');
    expect(find('giude')).toEqual(['guide']);
    expect(find('g')).toHaveLength(3);
    expect(find('')).toEqual([]);
    expect(find('twin')).toEqual(
      state
        .agents(at(0))
        .filter((agent) => agent.name === 'twin')
        .map((twin) => twin.did),
    );
    expect(find('nothing like it')).toEqual([]);
  });

  it('MESH-67: a shared name means whom this peer hosts, else whom it knew; a short DID means nobody else', () => {
    const shown = 'z6MkhaXg';
    const state = listed(
      said({ agent: key(1), name: 'twin', peerId: 'here' }),
      said({ agent: key(2), name: 'twin', peerId: 'a' }),
      said({ agent: key(3), name: 'Twin', peerId: 'b' }),
      said({ agent: key(4), name: shown, peerId: 'b' }),
    );
    const [, second = expect.fail('a second twin')] = state
      .agents(at(0))
      .filter(({ name }) => name === 'twin');
    const find = (wanted: string, preferred = {}): object => state.find(wanted, at(0), preferred);
    const own = find('twin', { peerId: 'here', did: second.did });
    expect(own).toMatchObject({ agent: { hosts: [{ peerId: 'here' }] } });
    expect(find('twin', { peerId: 'elsewhere', did: second.did })).toMatchObject({
      agent: { did: second.did },
    });
    expect(find('twin', { peerId: 'elsewhere', did: 'did:key:z6Mknobody' })).toMatchObject({
      reason: 'ambiguous',
    });
    const last = second.did.slice('did:key:'.length);
    for (const text of [
      last,
      last.slice(0, 12),
      `${last.slice(0, 8)}…${last.slice(-4)}`,
      second.did.slice(0, 20),
    ]) {
      expect(find(text), text).toMatchObject({ agent: { did: second.did } });
    }
    expect(find(`${last.slice(0, 8)}…1111`)).toMatchObject({ reason: 'unknown' });
    expect(find(last.slice(0, 7))).toMatchObject({ reason: 'unknown' });
    expect(find(shown)).toMatchObject({ agent: { name: shown } });
  });

  it('MESH-67: no name takes the place of a shortened DID', () => {
    const [victim = expect.fail('one')] = listed(said({ agent: key(1), name: 'victim' })).agents(at(0));
    const short = victim.did.slice('did:key:'.length, 20);
    const state = listed(
      said({ agent: key(1), name: 'victim' }),
      said({ agent: key(2), name: short, peerId: 'b' }),
    );
    expect(state.find(short, at(0))).toMatchObject({ agent: { did: victim.did } });
  });

  it('MESH-61: whatever comes in whatever order, nothing expired is listed and limits hold', () => {
    const step = fc.record({
      agent: fc.integer({ min: 0, max: 5 }),
      peer: fc.constantFrom('a', 'b', 'c'),
      issued: fc.integer({ min: 0, max: 100_000 }),
      life: fc.integer({ min: 0, max: 120_000 }),
      pauseMs: fc.integer({ min: 0, max: 20_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const state = createDirectoryState({ network: NETWORK });
        let nowMs = 0;
        for (const { agent, peer, issued, life, pauseMs } of steps) {
          nowMs += pauseMs;
          const issuedAtMs = 1_000_000 + issued;
          const each = said({ agent: key(agent), peerId: peer, issuedAtMs, expiresAtMs: issuedAtMs + life });
          if (state.judge(each, peer, at(nowMs)) === 'accept') state.put(each, at(nowMs));
          for (const listing of state.agents(at(nowMs))) {
            expect(listing.hosts.length).toBeGreaterThan(0);
            for (const host of listing.hosts)
              expect(host.advert.expiresAtMs).toBeGreaterThan(at(nowMs).wallMs);
          }
        }
      }),
    );
  });
});

describe('unknown agents', () => {
  it('MESH-67: the error offers near names', async () => {
    const directory = start(await fleet.start());
    directory.announce(makeAgent('guide').local);
    await until(() => directory.agents().length === 1);
    expect(() => directory.find('guied')).toThrow(SaharaError);
    try {
      directory.find('guied');
    } catch (error) {
      expect(error).toMatchObject({ code: 'agent-unknown', facts: { name: 'guied', nearest: ['guide'] } });
    }
  });
});
