/**
 * Sockets that are half open: a wire that goes silent without closing, one way or both ways, and a peer that stands
 * still. The other side notices, the call is gone on with or looked up, and the books agree. Wires of real daemons are
 * also cut after a sample of byte counts, encryption and all.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeers, type Peer, type Peers } from '../../scripts/peers.ts';
import type { Endpoint } from '../agent/endpoint.ts';
import { eventually, LOOPBACK } from '../e2e/support.ts';
import { startProxy, type Way, type WireProxy } from './proxy.ts';
import { sentence, startTeller, tellMe } from './teller.ts';
import { freePort, tellerManifest } from './town.ts';

/** Noticing silence takes up to three pings. */
const TIMEOUT_MS = 300_000;
const SENTENCES = 150;
const WHOLE = Array.from({ length: SENTENCES }, (_, i) => sentence(i + 1)).join('');

let peers: Peers;
let teller: Endpoint;
let host: Peer;
let port = 0;
let hostId = '';
const wires: WireProxy[] = [];
beforeAll(async () => {
  [peers, teller, port] = [await createPeers(), await startTeller(), await freePort()];
  host = await peers.add('host');
  const flags = [...LOOPBACK, '--guide-host', 'never', '--mesh-port', String(port)];
  hostId = (await host.start(...flags)).peerId;
  await host.client.call('agent.add', { manifest: tellerManifest(teller.url) });
});
afterAll(async () => {
  await peers?.clear();
  await teller?.close();
  for (const wire of wires) await wire.close();
});

interface Asking {
  text: string;
  /** Times that the stream was seen to break. */
  breaks: number;
  /** Grains; present once the answer has come to its end. */
  amount: bigint | undefined;
  readonly done: Promise<void>;
}

/** A caller behind a wire of its own, which has asked before. */
async function callerBehind(name: string): Promise<{ readonly peer: Peer; readonly wire: WireProxy }> {
  const wire = await startProxy(port);
  wires.push(wire);
  const peer = await peers.add(name);
  const bootstrap = `/ip4/127.0.0.1/tcp/${wire.port}/p2p/${hostId}`;
  await peer.start(...LOOPBACK, '--wallet-channel-deposit', '20', '--bootstrap', bootstrap);
  await eventually(`${name} is answered`, async () => {
    const asking = ask(peer, tellMe(1));
    await asking.done;
    return asking.amount;
  });
  expect(wire.passed.down).toBeGreaterThan(0);
  return { peer, wire };
}

function ask(peer: Peer, question: string): Asking {
  const input = { agent: 'teller', question, priceMax: '5000000000', deadlineMs: 115_000 };
  const asking: Omit<Asking, 'done'> = { text: '', breaks: 0, amount: undefined };
  const read = async (): Promise<void> => {
    for await (const event of peer.client.stream('ask', input)) {
      if (event.type === 'delta') asking.text += event.text;
      if (event.type === 'progress' && event.step === 'stream') asking.breaks += 1;
      if (event.type === 'end') asking.amount = BigInt(event.amount);
    }
  };
  return Object.assign(asking, { done: read().catch(() => {}) });
}

/** Asks for a long story and waits for some of it. */
async function begin(peer: Peer): Promise<Asking> {
  const asking = ask(peer, tellMe(SENTENCES, 100));
  await eventually('the story has begun', async () => (asking.text.length > 400 ? true : undefined));
  return asking;
}

/** Both sides say the same of the caller's channels, and nothing is held. */
async function agree(peer: Peer): Promise<void> {
  const { did } = await peer.client.call('status', {});
  await eventually(
    `${peer.name} and the host agree`,
    async () => {
      const mine = await peer.client.call('channel.list', {});
      const all = await host.client.call('channel.list', {});
      const theirs = all.filter(({ other }) => other === did);
      const told = (rows: typeof mine): string =>
        rows
          .map(({ id, charged, calls }) => `${id} ${charged} ${calls}`)
          .sort()
          .join();
      const held = (await peer.client.call('doctor', {})).find(({ name }) => name === 'payments');
      return told(mine) === told(theirs) && held?.found.startsWith('0 SAHARA') ? true : undefined;
    },
    120_000,
  );
}

describe('a wire that goes silent', () => {
  const cases: readonly (readonly [name: string, ways: readonly Way[]])[] = [
    ['both', ['up', 'down']],
    ['down', ['down']],
    ['up', ['up']],
  ];

  it('is noticed, and the call is gone on with over another one or ended', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await Promise.all(
      cases.map(async ([name, ways]) => {
        const { peer, wire } = await callerBehind(`silent-${name}`);
        const asking = await begin(peer);
        wire.stall(...ways);
        await asking.done;
        // All of it may have been on its way when the wire fell silent.
        if (asking.text !== WHOLE) expect(asking.breaks, name).toBeGreaterThan(0);
        // Whole where it was gone on with in time, and else what had been delivered.
        expect(WHOLE.startsWith(asking.text), name).toBe(true);
        await agree(peer);
        console.log(
          `silent ${name}: ${asking.text.length} of ${WHOLE.length} characters, ${asking.breaks} breaks`,
        );
      }),
    );
  });
});

describe('a peer that stands still', () => {
  it('as a caller costs what it was given, and is back afterwards', { timeout: TIMEOUT_MS }, async () => {
    const { peer } = await callerBehind('still-caller');
    const asking = await begin(peer);
    const { did } = await peer.client.call('status', {});
    const pid = peer.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    // Long enough for its host to give it up and charge what it delivered.
    await eventually(
      'the host has ended the call',
      async () => {
        const rows = await host.client.call('channel.list', {});
        return rows.find(({ other }) => other === did)?.calls === 2 ? true : undefined;
      },
      150_000,
    ).finally(() => process.kill(pid, 'SIGCONT'));
    await asking.done;
    expect(WHOLE.startsWith(asking.text)).toBe(true);
    await agree(peer);
  });

  it('as a host is waited for, and goes on where it was', { timeout: TIMEOUT_MS }, async () => {
    const { peer } = await callerBehind('still-host');
    const asking = await begin(peer);
    const pid = host.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    try {
      await eventually('the caller notices', async () => (asking.breaks > 0 ? true : undefined), 120_000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await asking.done;
    expect(WHOLE.startsWith(asking.text)).toBe(true);
    await agree(peer);
  });
});

describe('a wire that is cut at a byte', () => {
  const bytes = process.env.FAULTS_SHORT === undefined ? [1, 40, 200, 700, 1_500, 3_000, 6_000] : [1, 700];

  it.each<Way>(['up', 'down'])(
    '%s: every answer comes whole, for its price',
    { timeout: TIMEOUT_MS },
    async (way) => {
      const { peer, wire } = await callerBehind(`cut-${way}`);
      const story = Array.from({ length: 60 }, (_, i) => sentence(i + 1)).join('');
      let price: bigint | undefined;
      for (const after of bytes) {
        wire.cutAfter(way, after);
        const asking = ask(peer, tellMe(60, 5));
        await asking.done;
        // Cut before the question was sent: it was never asked.
        if (asking.amount === undefined) expect(asking.text, `${after}`).toBe('');
        else expect(asking.text, `${after}`).toBe(story);
        price ??= asking.amount;
        if (asking.amount !== undefined) expect(asking.amount).toBe(price);
        await agree(peer);
      }
      expect(price).toBeDefined();
    },
  );
});
