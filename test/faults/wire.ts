/** Two call sessions of the mesh over a wire in memory that is cut at a byte. */
import type { CallStream } from '../../src/agent/ports.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { Session } from '../../src/mesh/session.ts';
import type { Way } from './proxy.ts';

/** Where the wire is cut: once `bytes` have passed `way`. `up` is what the caller sends. */
export interface CutPlace {
  readonly way: Way;
  readonly bytes: number;
}

const HELLO = {
  version: 1,
  network: 'test-0000000000000000',
  bodyBytesMax: 1_048_576,
  windowBytes: 131_072,
  callsMax: 64,
  certificate: new Uint8Array(0),
};

/** A wire, and what became of it. */
export interface Wire {
  /** Bytes that arrived. */
  readonly passed: Readonly<Record<Way, number>>;
  /** Opens a call over it. Rejects as a mesh does when the wire is cut before the sides have greeted each other. */
  openCall(): Promise<CallStream>;
}

/** A new wire whose far side serves calls with `serve`. What is sent in one turn of the loop arrives in the next. */
export function createWire(serve: (stream: CallStream) => void, cut?: CutPlace): Wire {
  const passed: Record<Way, number> = { up: 0, down: 0 };
  const sides: Partial<Record<Way, Session>> = {};
  let whole = true;
  const close = (): void => {
    whole = false;
    setImmediate(() => {
      sides.up?.onClosed();
      sides.down?.onClosed();
    });
  };
  const deliver = (way: Way, bytes: Uint8Array): void => {
    if (!whole) return;
    const left = cut?.way === way ? Math.min(bytes.length, cut.bytes - passed[way]) : bytes.length;
    passed[way] += left;
    if (left > 0) sides[way === 'up' ? 'down' : 'up']?.receive(bytes.subarray(0, left));
    if (cut?.way === way && passed[way] === cut.bytes) close();
  };
  const side = (way: Way): Session => {
    const pipe = {
      send(bytes: Uint8Array) {
        const copy = bytes.slice();
        setImmediate(() => deliver(way, copy));
        return true;
      },
      close,
    };
    const peerId = way === 'up' ? 'peer-host' : 'peer-caller';
    return new Session(
      { pipe, clock: systemClock, log: silentLog, peerId },
      {
        initiator: way === 'up',
        hello: HELLO,
        pingIntervalMs: 60_000,
        idleMs: 600_000,
        unread: () => true,
        onCall: serve,
        onClosed: () => {},
      },
    );
  };
  sides.down = side('down');
  const near = side('up');
  sides.up = near;
  if (cut?.bytes === 0) close();
  return {
    passed,
    async openCall() {
      await near.ready;
      return near.openCall();
    },
  };
}
