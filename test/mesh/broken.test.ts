/** What breaks under a call or under gossip, and how it shows. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { gossipsub } from '@libp2p/gossipsub';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { messageId } from '../../src/mesh/gossip-settings.ts';
import type { TopicHandler } from '../../src/mesh/interface.ts';
import { topicName } from '../../src/mesh/topics.ts';
import { CALL_PROTOCOL, FrameWriter } from '../../src/protocol/frames.ts';
import { addressOf, allFrames, createFleet, failureOf, frameOf, HELLO, until } from './support.ts';

const fleet = createFleet();
const strangers: { stop(): unknown }[] = [];
afterEach(async () => {
  await fleet.stop();
  await Promise.all(strangers.splice(0).map((stranger) => stranger.stop()));
});

/** A libp2p node that is no Sahara peer: it can say anything. */
async function startStranger() {
  const stranger = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      gossip: gossipsub({
        allowPublishToZeroTopicPeers: true,
        msgIdFn: (message) =>
          messageId(
            message.topic,
            message.type === 'signed' ? message.from.toMultihash().bytes : new Uint8Array(0),
            message.data,
          ),
      }),
    },
  });
  strangers.push(stranger);
  return stranger;
}

describe('what breaks', () => {
  it('MESH-40: a peer that is killed mid-call is peer-gone', async () => {
    const child = fork(fileURLToPath(new URL('./peer-process.ts', import.meta.url)));
    try {
      const [address] = await once(child, 'message');
      const mesh = await fleet.start();
      const call = await mesh.openCall(await mesh.connect(String(address)));
      call.send(frameOf(1));
      const frames = call.frames()[Symbol.asyncIterator]();
      expect((await frames.next()).value?.kind).toBe(2);
      child.kill('SIGKILL');
      expect(await failureOf(frames.next())).toBe('peer-gone');
      expect(call.signal.aborted).toBe(true);
      await until(() => mesh.peers().length === 0);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('MESH-22: garbage and cut frames on a call stream end that stream, not the peer', async () => {
    const mesh = await fleet.start();
    mesh.serveCalls(() => {});
    const stranger = await startStranger();
    const hello = new FrameWriter();
    hello.hello(HELLO);
    const greeting = hello.take();
    for (const bytes of [utf8('GET / HTTP/1.1\r\n\r\n'), greeting.slice(0, 9), new Uint8Array(64).fill(0)]) {
      const stream = await stranger.dialProtocol(multiaddr(addressOf(mesh)), CALL_PROTOCOL);
      const closed = new Promise((resolve) => stream.addEventListener('close', resolve));
      stream.send(bytes);
      await stream.close();
      await closed;
    }
    const whole = await stranger.dialProtocol(multiaddr(addressOf(mesh)), CALL_PROTOCOL);
    const answered = new Promise((resolve) => whole.addEventListener('message', resolve, { once: true }));
    whole.send(greeting);
    await answered;
    expect(mesh.peers()).toHaveLength(1);
  });

  it('MESH-16: a pair that one oversized gossip message has parted is joined again', async () => {
    const topic = topicName('local', 'adverts');
    const mesh = await fleet.start({ peersTarget: 0 });
    const got: Uint8Array[] = [];
    const handler: TopicHandler = {
      sizeBytesMax: 1_000,
      validate: () => 'accept',
      deliver: (message) => got.push(message),
    };
    mesh.subscribe(topic, handler);
    const stranger = await startStranger();
    const { gossip } = stranger.services;
    gossip.subscribe(topic);
    const connections: string[] = [];
    mesh.onPeers(({ connected }) => connections.push(connected ? 'came' : 'went'));
    await stranger.dial(multiaddr(addressOf(mesh)));
    let beat = 0;
    const heardMore = async (): Promise<void> => {
      const before = got.length;
      await until(async () => {
        await gossip.publish(topic, utf8(`beat ${beat++}`));
        await new Promise((resolve) => setTimeout(resolve, 50));
        return got.length > before;
      });
    };
    await heardMore();
    await gossip.publish(topic, new Uint8Array(1_100_000));
    await until(() => connections.length >= 3);
    expect(connections.slice(0, 3)).toEqual(['came', 'went', 'came']);
    await heardMore();
  });

  it('a call to a peer whose connection just broke fails or works, and never hangs', async () => {
    const a = await fleet.start();
    const b = await fleet.start();
    a.serveCalls((call) => call.end());
    const peer = await b.connect(addressOf(a));
    const first = await b.openCall(peer);
    first.end();
    expect(await allFrames(first)).toEqual([]);
    const stopping = a.stop();
    const code = await failureOf(
      b.openCall(peer).then((call) => {
        call.end();
        return allFrames(call);
      }),
    );
    expect(['none', 'peer-gone', 'peer-unreachable', 'version-unsupported']).toContain(code);
    await stopping;
  });
});
