/** Ports of this machine that are free. */
import { createServer } from 'node:net';

/** Ports that nobody listens at; or this one, if nobody does. */
export async function freePorts(host: string, count: number, port = 0): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** As many ports in a row that nobody listens at. */
export async function portsInRow(count: number): Promise<number> {
  for (;;) {
    const [first = 0] = await freePorts('127.0.0.1', 1);
    const all = Array.from({ length: count }, (_, i) => first + i);
    const free = await Promise.all(all.map((one) => isFree(one)));
    if (free.every(Boolean) && first + count < 65_000) return first;
  }
}

async function isFree(one: number): Promise<boolean> {
  return freePorts('127.0.0.1', 1, one).then(
    () => true,
    () => false,
  );
}
