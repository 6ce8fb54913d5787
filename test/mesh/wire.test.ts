/** What calls cost on the wire under them: real nodes, with a socket in between that counts. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { openMesh } from '../../bench/calls/serve.ts';
import type { Mesh } from '../../src/mesh/interface.ts';

const meshes: Mesh[] = [];
const servers: Server[] = [];

afterEach(async () => {
  for (const mesh of meshes.splice(0)) await mesh.stop();
  for (const server of servers.splice(0)) server.close();
});

async function start(): Promise<Mesh> {
  const mesh = await openMesh();
  meshes.push(mesh);
  return mesh;
}

/** A way to `address` on which the bytes of both directions are counted. */
async function counted(address: string): Promise<{ readonly address: string; readonly bytes: number[] }> {
  const port = Number(/\/tcp\/(\d+)/.exec(address)?.[1]);
  const bytes = [0, 0];
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.on('data', (data) => {
      bytes[0] = (bytes[0] ?? 0) + data.length;
      far.write(data);
    });
    far.on('data', (data) => {
      bytes[1] = (bytes[1] ?? 0) + data.length;
      near.write(data);
    });
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    near.on('error', () => {});
    far.on('error', () => {});
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port: own } = server.address() as AddressInfo;
  return { address: address.replace(`/tcp/${port}`, `/tcp/${own}`), bytes };
}

describe('the wire under calls', () => {
  it('MESH-33: a message is one encrypted piece each way, and reading it sends nothing back', async () => {
    const [host, caller] = [await start(), await start()];
    host.serveCalls((stream) => {
      stream.consume({ frame: (kind, body) => stream.send({ kind, body }), end: () => {}, fail: () => {} });
    });
    const way = await counted(host.addresses()[0] ?? '');
    const stream = await caller.openCall(await caller.connect(way.address));
    const answers = stream.frames()[Symbol.asyncIterator]();
    const ask = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        stream.send({ kind: 1, body: Uint8Array.of(i) });
        await answers.next();
      }
    };
    await ask(20);
    const before = [...way.bytes];
    const times = 400;
    await ask(times);
    // 12 of yamux, 22 of TLS and 11 of the frame itself; a second piece would be 22 more, a window update 34 more.
    for (const side of [0, 1]) {
      expect(((way.bytes[side] ?? 0) - (before[side] ?? 0)) / times).toBeLessThan(60);
    }
    stream.cancel();
  });

  it('MESH-32: what is many times larger than the window under it arrives whole', async () => {
    const [host, caller] = [await start(), await start()];
    const chunk = new Uint8Array(60_000).fill(7);
    const chunks = 200;
    host.serveCalls((stream) => {
      const tell = async (): Promise<void> => {
        for (let i = 0; i < chunks; i++) if (!stream.send({ kind: 2, body: chunk })) await stream.writable();
        stream.end();
      };
      void tell();
    });
    const stream = await caller.openCall(await caller.connect(host.addresses()[0] ?? ''));
    stream.send({ kind: 1, body: chunk });
    stream.end();
    let bytes = 0;
    for await (const { body } of stream.frames()) bytes += body.length;
    expect(bytes).toBe(chunks * chunk.length);
  });
});
