/**
 * One peer floods a host over real connections with everything it can send: calls under ever new keys, rubbish in
 * place of openings, broken questions. Meanwhile the calls of another peer, a stranger too, all succeed. Nothing here
 * measures time; what counts is what was answered, refused and remembered.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { FREE_CALLERS_PER_PEER } from '../../src/agent/call-limits.ts';
import { openCallRecords } from '../../src/agent/call-records.ts';
import { createCaller } from '../../src/agent/caller.ts';
import { openStanding } from '../../src/agent/standing.ts';
import { callerName, peerName } from '../../src/agent/standing-names.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import type { CallStream, Mesh, PeerConduct } from '../../src/mesh/interface.ts';
import { createMesh } from '../../src/mesh/mesh.ts';
import { CALL_FRAME, callOpening, callRequest } from '../../src/protocol/call.ts';
import { envelope } from '../../src/protocol/envelope.ts';
import { createVerifier, signed, signOne } from '../../src/protocol/signing.ts';
import { createSigner, nativeSuite as suite } from '../../src/protocol/suite-native.ts';
import { addressOf } from '../mesh/support.ts';
import { cardOf, createRig, keys, NETWORK, QUESTION, type Rig, tick } from './rig.ts';

const HONEST_CALLS = 25;
const FREE_CALLS = 50;

let meshes: Mesh[] = [];
afterEach(async () => {
  await Promise.all(meshes.map((mesh) => mesh.stop()));
  meshes = [];
});

async function node(conduct?: PeerConduct): Promise<Mesh> {
  const mesh = await createMesh(
    {
      peerSeed: systemDice.bytes(32),
      store: createMemoryStore(),
      log: silentLog,
      clock: systemClock,
      dice: systemDice,
      ...(conduct && { conduct }),
    },
    { listen: ['/ip4/127.0.0.1/tcp/0'], dht: 'off', network: NETWORK, drainMs: 100 },
  );
  meshes.push(mesh);
  return mesh;
}

/** A free call under a new key, as somebody makes them who does no work. */
function strange(rig: Rig): Uint8Array {
  const signer = createSigner(systemDice.bytes(32));
  const request = callRequest.encode({
    cardHash: suite.sha256(signed.encode(rig.target.card)),
    skill: undefined,
    question: QUESTION,
    context: [],
    priceMax: 0n,
    cover: 0n,
    outputUnitsMax: 100,
    deadlineMs: 60_000,
    seed: undefined,
  });
  const nowMs = Date.now();
  const payload = envelope.encode({
    version: 1,
    network: NETWORK,
    id: systemDice.bytes(16),
    from: signer.publicKey,
    to: { kind: 'agent', name: keys.agent.publicKey },
    sequence: 0,
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + 60_000,
    context: undefined,
    bodyType: 'call',
    bodyHash: suite.sha256(request),
    extensions: new Map(),
  });
  return callOpening.encode({
    envelope: signOne(suite, signer, NETWORK, { type: 'call', payload }),
    request,
    voucher: undefined,
    offer: undefined,
    work: undefined,
    parents: [],
  });
}

/** How a call ended: `answered`, or the code of its refusal. */
async function outcome(opening: Promise<CallStream>, body: Uint8Array): Promise<string> {
  try {
    const stream = await opening;
    stream.send({ kind: CALL_FRAME.opening, body });
    let last = 0;
    for await (const { kind } of stream.frames()) last = kind;
    return last === CALL_FRAME.ending ? 'answered' : 'cut';
  } catch (error) {
    if (error instanceof SaharaError) return error.code;
    throw error;
  }
}

function tally(outcomes: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of outcomes) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Calls under ever new keys, 32 at a time, until told to stop. */
async function flood(mesh: Mesh, host: string, rig: Rig, stop: { done: boolean }): Promise<string[]> {
  const outcomes: string[] = [];
  const stream = async (lane: number): Promise<void> => {
    for (let i = 0; !stop.done || i < 20; i++) {
      const body = (i + lane) % 4 === 0 ? systemDice.bytes(64) : strange(rig);
      outcomes.push(await outcome(mesh.openCall(host), body));
    }
  };
  await Promise.all(Array.from({ length: 32 }, (_, lane) => stream(lane)));
  return outcomes;
}

describe('a flood', () => {
  it('CALL-120 CALL-122 CALL-130: of one peer leaves another all of its calls', async () => {
    const standing = await openStanding({ store: createMemoryStore(), clock: systemClock });
    const rig = await createRig({
      card: {
        free: { calls: FREE_CALLS, windowSeconds: 3_600 },
        limits: { ...cardOf().limits, concurrency: 2 },
      },
      hostParts: { standing },
      hostOptions: { queueMax: 16, limits: { strangerPerSecond: 1_000 }, work: { bitsMax: 13 } },
    });
    const host = await node({
      note: (peerId, fact) => standing.note(peerName(peerId), fact),
      shareOf: (peerId) => standing.shareOf(peerName(peerId)),
    });
    host.serveCalls((stream) => rig.host.serve(stream));
    const [flooder, honest] = [await node(), await node()];
    await flooder.connect(addressOf(host));
    await honest.connect(addressOf(host));

    const caller = createCaller({
      suite,
      verifier: createVerifier(suite),
      clock: systemClock,
      dice: systemDice,
      network: NETWORK,
      operator: tick(keys.stranger),
      transport: { openCall: (peerId) => honest.openCall(peerId) },
      records: await openCallRecords({ store: createMemoryStore(), clock: systemClock }),
    });
    const stop = { done: false };
    const flooding = flood(flooder, host.peerId, rig, stop);
    const target = { ...rig.target, peerId: host.peerId };
    const answers: string[] = [];
    for (let i = 0; i < HONEST_CALLS; i++) {
      const { result } = caller.ask({ target, question: QUESTION, priceMax: 0n, payment: 'free' });
      answers.push(
        await result.then(
          ({ finish }) => finish,
          (error: SaharaError) => error.code,
        ),
      );
    }
    stop.done = true;
    const strangers = tally(await flooding);

    expect(tally(answers)).toEqual({ done: HONEST_CALLS });
    // The flooder had what one peer gets of free calls at most, and was told why it got no more.
    expect(strangers.answered ?? 0).toBeLessThanOrEqual(FREE_CALLS * FREE_CALLERS_PER_PEER);
    expect(strangers.malformed).toBeGreaterThan(20);
    const codes = ['answered', 'malformed', 'work-required', 'overloaded', 'rate-limited', 'quota-exhausted'];
    expect(Object.keys(strangers).filter((code) => !codes.includes(code))).toEqual([]);
    expect(standing.of(peerName(flooder.peerId)).step).toBeGreaterThanOrEqual(2);
    expect(standing.of(peerName(honest.peerId)).step).toBe(0);
    expect(standing.knows(keys.stranger.publicKey)).toBe(true);
    expect(standing.of(callerName(keys.stranger.publicKey)).points).toBe(0);
    expect(rig.host.running).toBe(0);
    expect(rig.host.loadOf(keys.agent.publicKey).queue).toBe(0);
  });

  it('MESH-53 CALL-130: of questions is limited, counted, and does not keep another from asking', async () => {
    const standing = await openStanding({ store: createMemoryStore(), clock: systemClock });
    const host = await node({
      note: (peerId, fact) => standing.note(peerName(peerId), fact),
      shareOf: (peerId) => standing.shareOf(peerName(peerId)),
    });
    host.serve('/sahara/test/1', {
      requestBytesMax: 16,
      answerBytesMax: 16,
      concurrencyMax: 64,
      handle: async (body) => {
        if (body.length === 0) throw new SaharaError('malformed', { reason: 'nothing asked' });
        return body;
      },
    });
    const [flooder, honest] = [await node(), await node()];
    await flooder.connect(addressOf(host));
    await honest.connect(addressOf(host));
    const ask = (mesh: Mesh, body: Uint8Array): Promise<string> =>
      mesh.request(host.peerId, '/sahara/test/1', body, { answerBytesMax: 16 }).then(
        () => 'answered',
        (error: SaharaError) => error.code,
      );
    const codes: string[] = [];
    for (let i = 0; i < 400 && !codes.includes('rate-limited'); i++) {
      codes.push(await ask(flooder, i % 2 === 0 ? new Uint8Array(0) : new Uint8Array(17)));
      expect(await ask(honest, Uint8Array.of(1))).toBe('answered');
    }
    expect(tally(codes)).toMatchObject({ malformed: expect.any(Number), 'too-large': expect.any(Number) });
    expect(codes.at(-1)).toBe('rate-limited');
    const { facts, step } = standing.of(peerName(flooder.peerId));
    expect([...facts.keys()].sort()).toEqual(['question-broken', 'questions-refused']);
    expect(step).toBeGreaterThan(0);
    expect(standing.of(peerName(honest.peerId)).facts.size).toBe(0);
  });

  it('CALL-130: of gossip that is rejected is counted for the neighbour that hands it over', async () => {
    const seen: string[] = [];
    const conduct: PeerConduct = {
      note: (peerId, fact) => seen.push(`${peerId} ${fact}`),
      shareOf: () => 1,
    };
    const host = await node(conduct);
    const topic = `/sahara/1/${NETWORK}/adverts`;
    host.subscribe(topic, { sizeBytesMax: 64, validate: () => 'reject', deliver: () => {} });
    const other = await node();
    other.subscribe(topic, { sizeBytesMax: 64, validate: () => 'accept', deliver: () => {} });
    await other.connect(addressOf(host));
    await expect
      .poll(async () => (await other.publish(topic, systemDice.bytes(8))).recipients, { timeout: 30_000 })
      .toBeGreaterThan(0);
    await expect.poll(() => seen, { timeout: 30_000 }).toContain(`${other.peerId} gossip-rejected`);
  });
});
