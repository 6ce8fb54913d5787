/** A wire between two daemons that can be cut, at a byte or at once, and that can go silent without closing. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Which way bytes go: `up` from who dialled to who listens. */
export type Way = 'up' | 'down';

/** The wire. */
export interface WireProxy {
  readonly port: number;
  /** Bytes that passed so far, over all connections. */
  readonly passed: Readonly<Record<Way, number>>;
  /** Connections that stand. */
  readonly open: number;
  /** Lets nothing more through in these directions on connections that stand, and closes none; new ones work. */
  stall(...ways: readonly Way[]): void;
  /** Cuts every connection once so many more bytes have passed this way. */
  cutAfter(way: Way, bytes: number): void;
  /** Cuts every connection now. */
  cut(): void;
  /** Whether new connections are taken. Default true. */
  accept(taken: boolean): void;
  close(): Promise<void>;
}

interface Link {
  readonly from: Socket;
  readonly to: Socket;
  readonly stalled: Set<Way>;
}

/** A wire to `port` on loopback. */
export async function startProxy(port: number): Promise<WireProxy> {
  const links = new Set<Link>();
  const passed: Record<Way, number> = { up: 0, down: 0 };
  const cutAt: Partial<Record<Way, number>> = {};
  let taken = true;

  const cut = (): void => {
    for (const { from, to } of links) {
      from.resetAndDestroy();
      to.resetAndDestroy();
    }
    links.clear();
  };
  const pass = (way: Way, link: Link, bytes: Buffer): void => {
    if (link.stalled.has(way)) return;
    const target = way === 'up' ? link.to : link.from;
    const at = cutAt[way];
    const left = at === undefined ? bytes.length : Math.min(bytes.length, at - passed[way]);
    passed[way] += left;
    if (left > 0) target.write(bytes.subarray(0, left));
    if (left === bytes.length) return;
    delete cutAt[way];
    // What was let through still arrives before the end does.
    setImmediate(cut);
  };
  const server: Server = createServer((from) => {
    if (!taken) {
      from.resetAndDestroy();
      return;
    }
    const to = connect(port, '127.0.0.1');
    const link: Link = { from, to, stalled: new Set() };
    links.add(link);
    from.setNoDelay();
    to.setNoDelay();
    from.on('data', (bytes) => pass('up', link, bytes));
    to.on('data', (bytes) => pass('down', link, bytes));
    const over = (): void => {
      // A wire that is silent does not tell one end of the other's leaving either.
      if (link.stalled.size > 0) return;
      links.delete(link);
      from.destroy();
      to.destroy();
    };
    for (const socket of [from, to]) socket.on('close', over).on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    passed,
    get open() {
      return links.size;
    },
    stall(...ways) {
      for (const link of links) for (const way of ways) link.stalled.add(way);
    },
    cutAfter(way, bytes) {
      cutAt[way] = passed[way] + bytes;
    },
    cut,
    accept(next) {
      taken = next;
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
