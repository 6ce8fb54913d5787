import { afterEach, describe, expect, it } from 'vitest';
import { SaharaError } from '../../src/base/errors.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore } from '../../src/base/store.ts';
import type { CallStream, RequestHandler } from '../../src/mesh/interface.ts';
import {
  addressOf,
  allFrames,
  createFleet,
  echo,
  failureOf,
  frameOf,
  LOOPBACK,
  sendRaw,
  until,
} from './support.ts';

const fleet = createFleet();
afterEach(() => fleet.stop());

const PROTOCOL = '/sahara/test/1';

function answering(
  handle: RequestHandler['handle'],
  limits: Partial<Omit<RequestHandler, 'handle'>> = {},
): RequestHandler {
  return { requestBytesMax: 1_000, answerBytesMax: 1_000_000, concurrencyMax: 4, ...limits, handle };
}

describe('joining', () => {
  it('MESH-1: dials by address and by peer id, over TCP and over WebSockets', async () => {
    const a = await fleet.start({ listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'] });
    const b = await fleet.start();
    const c = await fleet.start();
    const [tcp = '', ws = ''] = [...a.addresses()].sort((x, y) => x.length - y.length);
    expect(ws).toContain('/ws/');
    expect(await b.connect(tcp)).toBe(a.peerId);
    expect(await c.connect(ws)).toBe(a.peerId);
    expect(await b.connect(a.peerId)).toBe(a.peerId);
    expect(b.peers().map((peer) => [peer.peerId, peer.direction])).toEqual([[a.peerId, 'outbound']]);
    await until(() => a.peers().length === 2);
  });

  it('names a busy port', async () => {
    const a = await fleet.start();
    const port = Number(/\/tcp\/(\d+)/.exec(addressOf(a))?.[1]);
    const error = await fleet
      .start({ listen: [`/ip4/127.0.0.1/tcp/${port}`] })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'port-busy', facts: { port } });
    expect(await failureOf(fleet.start({ listen: ['/ip4/127.0.0.1/tcp/0/quic-v1'] }))).toBe('config-invalid');
  });

  it('says that a peer is unreachable, and takes no nonsense for an address', async () => {
    const a = await fleet.start({ dialTimeoutMs: 1_000 });
    expect(await failureOf(a.connect('/ip4/127.0.0.1/tcp/1'))).toBe('peer-unreachable');
    expect(await failureOf(a.connect(addressOf(a)))).toBe('peer-unreachable');
    expect(await failureOf(a.connect('nonsense'))).toBe('usage');
    expect(await failureOf(a.connect('/ip4/127.0.0.1/nonsense/1'))).toBe('usage');
    const stranger = await fleet.start();
    await stranger.stop();
    expect(await failureOf(a.openCall(stranger.peerId))).toBe('peer-unreachable');
    expect(await failureOf(a.connect(addressOf(a), { signal: AbortSignal.abort() }))).toBe('cancelled');
  });

  it('MESH-3: keeps the bootstrap list connected, also when a peer of it comes back later', async () => {
    const seed = systemDice.bytes(32);
    const hub = await fleet.start({}, { seed });
    const address = addressOf(hub);
    const a = await fleet.start({ bootstrap: [address] });
    await until(() => a.peers().length === 1);
    await hub.stop();
    await until(() => a.peers().length === 0);
    await fleet.start({ listen: [address.split('/p2p/')[0] ?? ''] }, { seed });
    await until(() => a.peers().length === 1);
  });

  it('MESH-3: remembers where peers were across a restart', async () => {
    const store = createMemoryStore();
    const hub = await fleet.start();
    const first = await fleet.start({}, { store });
    await first.connect(addressOf(hub));
    await until(async () => {
      for await (const _ of store.entries()) return true;
      return false;
    });
    await first.stop();
    const second = await fleet.start({}, { store });
    await until(() => second.peers().some((peer) => peer.peerId === hub.peerId));
  });

  it('MESH-2: two peers on one network find each other with nothing but local discovery', async () => {
    // A port of its own, so that nothing else on this machine takes part.
    const local = { mdns: true, mdnsPort: 20_000 + (process.pid % 20_000), network: `lan-${process.pid}` };
    const a = await fleet.start(local);
    const b = await fleet.start(local);
    await until(() => a.peers().some((peer) => peer.peerId === b.peerId));
    await until(() => b.peers().some((peer) => peer.peerId === a.peerId));
  });

  it('MESH-4: a private peer dials out and shows no address', async () => {
    const a = await fleet.start();
    const hidden = await fleet.start({ private: true, mdns: false });
    expect(hidden.addresses()).toEqual([]);
    await hidden.connect(addressOf(a));
    a.serveCalls(echo);
    const call = await hidden.openCall(a.peerId);
    call.send(frameOf(1));
    call.end();
    expect(await allFrames(call)).toHaveLength(1);
  });

  it('tells who comes and goes', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    const seen: string[] = [];
    a.onPeers(({ peerId, connected }) => seen.push(`${peerId === b.peerId} ${connected}`));
    await b.connect(addressOf(a));
    await until(() => seen.length === 1);
    await b.stop();
    await until(() => seen.length === 2);
    expect(seen).toEqual(['true true', 'true false']);
  });

  it('garbage on the port is hung up on and hurts nobody', async () => {
    const a = await fleet.start({ dialTimeoutMs: 1_500 });
    const b = await fleet.start();
    await sendRaw(a, new TextEncoder().encode('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    await sendRaw(a, systemDice.bytes(5_000));
    a.serve(
      PROTOCOL,
      answering(async (body) => body),
    );
    await b.connect(addressOf(a));
    expect(await b.request(a.peerId, PROTOCOL, Uint8Array.of(1), { answerBytesMax: 10 })).toHaveLength(1);
  });

  it('MESH-6: a peer id alone is enough once the hash table knows its address', async () => {
    const hub = await fleet.start({ dht: 'server' });
    const a = await fleet.start({ dht: 'server' });
    const b = await fleet.start({ dht: 'auto' });
    await a.connect(addressOf(hub));
    await b.connect(addressOf(hub));
    await until(async () => (await failureOf(b.connect(a.peerId))) === 'none');
    expect(b.peers().map((peer) => peer.peerId)).toContain(a.peerId);
  });

  it('MESH-5: two peers that cannot be dialled reach each other through a relay', async () => {
    const relay = await fleet.start({ relayServer: true });
    const behind = { listen: [], relays: [addressOf(relay)] };
    const a = await fleet.start(behind);
    const b = await fleet.start(behind);
    await until(() => a.addresses().length > 0);
    const through = a.addresses()[0] ?? '';
    expect(through).toContain('/p2p-circuit/');
    a.serveCalls(echo);
    a.serve(
      PROTOCOL,
      answering(async (body) => body),
    );
    await b.connect(through);
    const call = await b.openCall(a.peerId);
    call.send(frameOf(3, 2_000));
    call.end();
    expect(await allFrames(call)).toHaveLength(1);
    expect(await b.request(a.peerId, PROTOCOL, Uint8Array.of(1), { answerBytesMax: 10 })).toHaveLength(1);
  });
});

describe('questions', () => {
  it('MESH-50: one question, one answer, also a large one', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    a.serve(
      PROTOCOL,
      answering(async (body) => new Uint8Array(900_000).fill(body[0] ?? 0)),
    );
    const peer = await b.connect(addressOf(a));
    const answer = await b.request(peer, PROTOCOL, Uint8Array.of(7), { answerBytesMax: 1_000_000 });
    expect(answer.length).toBe(900_000);
    expect(answer.every((byte) => byte === 7)).toBe(true);
    expect(await b.request(peer, PROTOCOL, new Uint8Array(0), { answerBytesMax: 1_000_000 })).toHaveLength(
      900_000,
    );
  });

  it('MESH-51: what the handler throws is thrown at the asker', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    a.serve(
      PROTOCOL,
      answering(async () => {
        throw new SaharaError('agent-unknown', { name: 'x', nearest: ['y'] });
      }),
    );
    const peer = await b.connect(addressOf(a));
    const error = await b
      .request(peer, PROTOCOL, Uint8Array.of(1), { answerBytesMax: 10 })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'agent-unknown', facts: { name: 'x', nearest: ['y'] } });
  });

  it('MESH-51: what is wrong with the answering machine itself is not told', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    const failures = [new SaharaError('store-corrupt', { path: '/home/me' }), new Error('at /home/me/x.ts')];
    a.serve(
      PROTOCOL,
      answering(async () => {
        throw failures.pop();
      }),
    );
    const peer = await b.connect(addressOf(a));
    for (let i = 0; i < 2; i++) {
      const error = await b
        .request(peer, PROTOCOL, Uint8Array.of(1), { answerBytesMax: 10 })
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'internal' });
      expect(JSON.stringify(error)).not.toContain('/home/me');
    }
  });

  it('MESH-52: sizes are limited on both sides', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    a.serve(
      PROTOCOL,
      answering(async () => new Uint8Array(101), { answerBytesMax: 100 }),
    );
    a.serve(
      `${PROTOCOL}/big`,
      answering(async () => new Uint8Array(500)),
    );
    const peer = await b.connect(addressOf(a));
    const ask = (protocol: string, bytes: number): Promise<string> =>
      failureOf(b.request(peer, protocol, new Uint8Array(bytes), { answerBytesMax: 200 }));
    expect(await ask(PROTOCOL, 1_001)).toBe('too-large');
    expect(await ask(PROTOCOL, 1)).toBe('too-large');
    expect(await ask(`${PROTOCOL}/big`, 1)).toBe('too-large');
  });

  it('MESH-53: deadlines, cancelling, unknown protocols and overload have their codes', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    const gone: boolean[] = [];
    a.serve(
      PROTOCOL,
      answering((_body, _from, signal) => {
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            gone.push(true);
            reject(signal.reason);
          });
        });
      }),
    );
    const peer = await b.connect(addressOf(a));
    const ask = (options: { signal?: AbortSignal; timeoutMs?: number }): Promise<string> =>
      failureOf(b.request(peer, PROTOCOL, Uint8Array.of(1), { answerBytesMax: 10, ...options }));
    expect(await ask({ timeoutMs: 200 })).toBe('deadline-exceeded');
    const stop = new AbortController();
    const asked = ask({ signal: stop.signal });
    stop.abort();
    expect(await asked).toBe('cancelled');
    await until(() => gone.length >= 1);
    expect(await failureOf(b.request(peer, '/sahara/none/1', Uint8Array.of(1), { answerBytesMax: 10 }))).toBe(
      'version-unsupported',
    );
    const many = Array.from({ length: 6 }, () => ask({ timeoutMs: 1_500 }));
    expect((await Promise.all(many)).sort()).toContain('overloaded');
  });

  it('MESH-54: an answer cut short is peer-gone, not a short answer', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    a.serve(
      PROTOCOL,
      answering(async () => {
        void a.stop();
        return await new Promise(() => {});
      }),
    );
    const peer = await b.connect(addressOf(a));
    expect(await failureOf(b.request(peer, PROTOCOL, Uint8Array.of(1), { answerBytesMax: 10 }))).toBe(
      'peer-gone',
    );
  });
});

describe('calls between peers', () => {
  it('MESH-44: 64 calls at a time share one stream and finish in any order', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    const waiting: CallStream[] = [];
    a.serveCalls((call) => {
      waiting.push(call);
      if (waiting.length === 64) {
        for (const held of waiting.reverse()) echo(held);
      }
    });
    const peer = await b.connect(addressOf(a));
    const lengths = await Promise.all(
      Array.from({ length: 64 }, async (_, i) => {
        const call = await b.openCall(peer);
        call.send(frameOf(1, i));
        call.end();
        return (await allFrames(call))[0]?.body.length;
      }),
    );
    expect(lengths).toEqual(Array.from({ length: 64 }, (_, i) => i));
  });

  it('MESH-34: a slow reader keeps its sender within the window', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    const served = Promise.withResolvers<CallStream>();
    a.serveCalls(served.resolve);
    const call = await b.openCall(await b.connect(addressOf(a)));
    let sent = 0;
    const total = 400;
    const sending = (async () => {
      for (; sent < total; sent++) {
        if (!call.send(frameOf(1, 10_000))) await call.writable();
      }
      call.end();
    })();
    const there = await served.promise;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sent).toBeLessThan(20);
    expect(await allFrames(there)).toHaveLength(total);
    await sending;
  });

  it('both sides begin calls on the same stream, with the certificates told', async () => {
    const a = await fleet.start({ certificate: Uint8Array.of(1) });
    const b = await fleet.start({ certificate: Uint8Array.of(2) });
    const seen: number[] = [];
    a.serveCalls((call) => {
      seen.push(call.peerCertificate[0] ?? 0);
      echo(call);
    });
    b.serveCalls(echo);
    const peer = await b.connect(addressOf(a));
    const there = await b.openCall(peer);
    const back = await a.openCall(b.peerId);
    for (const call of [there, back]) {
      call.send(frameOf(1));
      call.end();
      expect(await allFrames(call)).toHaveLength(1);
    }
    expect(seen).toEqual([2]);
    expect(there.peerCertificate).toEqual(Uint8Array.of(1));
  });

  it('a peer that serves no calls refuses them; one of another network is refused', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    const other = await fleet.start({ network: 'other' });
    const call = await b.openCall(await b.connect(addressOf(a)));
    call.send(frameOf(1));
    expect(await failureOf(allFrames(call))).toBe('caller-refused');
    expect(await failureOf(other.openCall(await other.connect(addressOf(a))))).toBe('network-mismatch');
  });

  it('MESH-41: stopping lets running calls end, and tells later ones to go elsewhere', async () => {
    const a = await fleet.start({ drainMs: 10_000 });
    const b = await fleet.start();
    const served = Promise.withResolvers<CallStream>();
    a.serveCalls(served.resolve);
    const call = await b.openCall(await b.connect(addressOf(a)));
    call.send(frameOf(1));
    const there = await served.promise;
    const stopping = a.stop();
    await until(async () => (await failureOf(b.openCall(a.peerId))) !== 'none');
    there.send(frameOf(5));
    there.end();
    call.end();
    expect((await allFrames(call)).map((frame) => frame.kind)).toEqual([5]);
    await stopping;
  });

  it('MESH-41: what does not end within the drain time is cut with peer-gone or peer-unreachable', async () => {
    const a = await fleet.start({ drainMs: 100 });
    const b = await fleet.start();
    a.serveCalls(() => {});
    const call = await b.openCall(await b.connect(addressOf(a)));
    call.send(frameOf(1));
    await a.stop();
    expect(['peer-gone', 'peer-unreachable']).toContain(await failureOf(allFrames(call)));
    expect(call.signal.aborted).toBe(true);
  });

  it('listens where it was told', async () => {
    const a = await fleet.start({ listen: LOOPBACK });
    expect(a.addresses().every((address) => address.startsWith('/ip4/127.0.0.1/'))).toBe(true);
  });
});

describe('other certificates', () => {
  it('are told with the next call, while a call under way goes on (ID-34)', async () => {
    const a = await fleet.start({ certificate: Uint8Array.of(1) });
    const b = await fleet.start({ certificate: Uint8Array.of(2) });
    const taken: CallStream[] = [];
    b.serveCalls((stream) => {
      taken.push(stream);
      void echo(stream);
    });
    await a.connect(addressOf(b));
    const before = await a.openCall(b.peerId);
    before.send(frameOf(1));
    await until(() => taken.length === 1);
    a.present(Uint8Array.of(3));
    const after = await a.openCall(b.peerId);
    after.send(frameOf(2));
    after.end();
    expect((await allFrames(after)).map(({ kind }) => kind)).toEqual([2]);
    expect(taken.map(({ peerCertificate }) => [...peerCertificate])).toEqual([[1], [3]]);
    before.send(frameOf(3));
    before.end();
    expect((await allFrames(before)).map(({ kind }) => kind)).toEqual([1, 3]);
  });

  it('are asked for anew when the ones that a stream showed are found to have a fault (ID-34)', async () => {
    const a = await fleet.start();
    const b = await fleet.start({ certificate: Uint8Array.of(1) });
    b.serveCalls((stream) => void echo(stream));
    await a.connect(addressOf(b));
    const shown = async (): Promise<number | undefined> => {
      const call = await a.openCall(b.peerId);
      call.cancel();
      return call.peerCertificate[0];
    };
    expect(await shown()).toBe(1);
    const fault = new SaharaError('certificate-invalid', { link: 0 });
    a.judge(({ peerCertificate }) => (peerCertificate[0] === 1 ? fault : undefined));
    expect(await failureOf(a.openCall(b.peerId))).toBe('certificate-invalid');
    b.present(Uint8Array.of(2));
    expect(await shown()).toBe(2);
  });

  it('may change any number of times: streams that nobody uses make room for the next (ID-34)', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    b.serveCalls((stream) => void echo(stream));
    await a.connect(addressOf(b));
    for (let change = 1; change <= 12; change++) {
      for (const node of [a, b]) node.present(Uint8Array.of(change));
      const call = await a.openCall(b.peerId);
      call.send(frameOf(change));
      call.end();
      expect((await allFrames(call)).map(({ kind }) => kind)).toEqual([change]);
      expect(call.peerCertificate[0]).toBe(change);
    }
  });
});
