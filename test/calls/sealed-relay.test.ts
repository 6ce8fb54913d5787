/** What a circuit relay sees of the calls that pass it: it is no gateway, and calls over it need no seal. */
import { circuitRelayServer } from '@libp2p/circuit-relay-v2';
import { identify } from '@libp2p/identify';
import type { ConnectionEncrypter, MessageStream, SecuredConnection } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p, type Libp2p } from 'libp2p';
import { afterEach, describe, expect, it } from 'vitest';
import { sealStream } from '../../src/agent/sealed.ts';
import { throughDoor } from '../../src/agent/sealed-door.ts';
import { createFleet, until } from '../mesh/support.ts';
import { AGENT, doorParts, sealing } from './sealed-rig.ts';

const SECRET = Buffer.from('the question that no relay may read');

const fleet = createFleet();
const relays: Libp2p[] = [];
afterEach(async () => {
  await fleet.stop();
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
});

/** A relay that keeps every byte that its connections bring, after their own encryption was taken off. */
async function recordingRelay(): Promise<{ readonly address: string; readonly bytes: () => Buffer }> {
  const chunks: Uint8Array[] = [];
  const record = (secured: SecuredConnection): SecuredConnection => {
    const connection = secured.connection as MessageStream;
    const dispatch = connection.dispatchEvent.bind(connection);
    connection.dispatchEvent = (event: Event) => {
      if (event.type === 'message' && 'data' in event) {
        const data = event.data as Uint8Array | { subarray(): Uint8Array };
        chunks.push(data.subarray().slice());
      }
      return dispatch(event);
    };
    return secured;
  };
  const recording: typeof noise = (init) => (components) => {
    const inner = noise(init)(components) as ConnectionEncrypter;
    return new Proxy(inner, {
      get(target, name) {
        if (name !== 'secureInbound' && name !== 'secureOutbound') return Reflect.get(target, name, target);
        return async (...args: Parameters<ConnectionEncrypter['secureInbound']>) =>
          record((await target[name](...args)) as SecuredConnection);
      },
    }) as ReturnType<ReturnType<typeof noise>>;
  };
  const relay = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [recording()],
    streamMuxers: [yamux()],
    services: { identify: identify(), relay: circuitRelayServer() },
  });
  relays.push(relay);
  const address = relay.getMultiaddrs()[0]?.toString() ?? '';
  return { address, bytes: () => Buffer.concat(chunks) };
}

describe('a circuit relay', () => {
  it.each(['in the open', 'sealed'])('reads nothing of a call %s that passes it (MESH-5)', async (how) => {
    const { address, bytes } = await recordingRelay();
    const behind = { listen: [], relays: [address] };
    const host = await fleet.start(behind);
    const caller = await fleet.start(behind);
    await until(() => host.addresses().length > 0);
    const door = await doorParts();
    host.serveCalls((stream) => {
      const inside = throughDoor(door, stream);
      inside.consume({
        frame: (kind, body) => inside.send({ kind, body: body.slice() }),
        end: () => inside.end(),
        fail: () => {},
      });
    });
    await caller.connect(host.addresses()[0] ?? '');
    const raw = await caller.openCall(host.peerId);
    const session = await sealing.sealer.to(AGENT);
    const stream = how === 'sealed' ? sealStream({ ...sealing, stream: raw, session }) : raw;
    stream.send({ kind: 1, body: SECRET });
    stream.end();
    const echoed: string[] = [];
    for await (const { body } of stream.frames()) echoed.push(Buffer.from(body).toString());
    expect(echoed).toEqual([SECRET.toString()]);

    const seen = bytes();
    // What the two say to the relay itself is readable here, so it would be seen if the rest were.
    expect(seen.includes('/libp2p/circuit/relay/0.2.0/hop')).toBe(true);
    expect(seen.length).toBeGreaterThan(2_000);
    expect(seen.includes(SECRET)).toBe(false);
    for (let at = 0; at + 8 <= SECRET.length; at++) {
      expect(seen.includes(SECRET.subarray(at, at + 8))).toBe(false);
    }
  });
});
