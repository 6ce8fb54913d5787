/**
 * Round trips over bare call streams between two processes: what a call costs before anything is signed or paid.
 * `node bench/mesh.ts` prints them; the bench of calls imports `measureCallStreams` for its baseline.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../src/base/clock.ts';
import { silentLog } from '../src/base/log.ts';
import { systemDice } from '../src/base/random.ts';
import { createMemoryStore } from '../src/base/store.ts';
import type { Mesh } from '../src/mesh/interface.ts';
import { createMesh } from '../src/mesh/mesh.ts';

/** One way of asking, measured. */
export interface RoundTrips {
  /** Round trips in a second. */
  readonly perSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

/** What `measureCallStreams` found. */
export interface CallStreamFigures {
  /** One frame there and one back over one open call, one at a time. */
  readonly frameSequential: RoundTrips;
  /** The same over 64 open calls at once. */
  readonly frameParallel: RoundTrips;
  /** A new call for each round trip, one at a time. */
  readonly callSequential: RoundTrips;
  /** A new call for each round trip, 64 at a time. */
  readonly callParallel: RoundTrips;
}

/** How much is measured. */
export interface MeasureOptions {
  /** Round trips of each sequential figure. Default 5,000. */
  readonly sequential?: number;
  /** Round trips of each parallel figure. Default 50,000. */
  readonly parallel?: number;
  /** Calls at a time in the parallel figures. Default 64. */
  readonly inFlight?: number;
  /** Bytes of each frame's body. Default 512. */
  readonly bodyBytes?: number;
}

const KIND = 1;

/** Measures against an echo peer in a process of its own, over loopback TCP. */
export async function measureCallStreams(options: MeasureOptions = {}): Promise<CallStreamFigures> {
  const { sequential = 5_000, parallel = 50_000, inFlight = 64, bodyBytes = 512 } = options;
  const echo = await startEcho();
  const mesh = await startMesh();
  try {
    const peerId = await mesh.connect(echo.address);
    const body = new Uint8Array(bodyBytes).fill(1);
    await byFrame(mesh, peerId, { count: Math.min(parallel, 20_000), inFlight, body });
    return {
      frameSequential: await byFrame(mesh, peerId, { count: sequential, inFlight: 1, body }),
      frameParallel: await byFrame(mesh, peerId, { count: parallel, inFlight, body }),
      callSequential: await byCall(mesh, peerId, { count: sequential, inFlight: 1, body }),
      callParallel: await byCall(mesh, peerId, { count: parallel, inFlight, body }),
    };
  } finally {
    await mesh.stop();
    echo.process.kill();
    await once(echo.process, 'exit');
  }
}

interface Run {
  readonly count: number;
  readonly inFlight: number;
  readonly body: Uint8Array;
}

async function byFrame(mesh: Mesh, peerId: string, run: Run): Promise<RoundTrips> {
  const times: number[] = [];
  const startedMs = performance.now();
  let left = run.count;
  const lane = async (): Promise<void> => {
    const call = await mesh.openCall(peerId);
    const done = Promise.withResolvers<void>();
    let sentAtMs = 0;
    const next = (): void => {
      if (left-- <= 0) {
        call.end();
        return;
      }
      sentAtMs = performance.now();
      call.send({ kind: KIND, body: run.body });
    };
    call.consume({
      frame() {
        times.push(performance.now() - sentAtMs);
        next();
      },
      end: done.resolve,
      fail: done.reject,
    });
    next();
    await done.promise;
  };
  await Promise.all(Array.from({ length: run.inFlight }, lane));
  return figures(times, performance.now() - startedMs);
}

async function byCall(mesh: Mesh, peerId: string, run: Run): Promise<RoundTrips> {
  const times: number[] = [];
  const startedMs = performance.now();
  let left = run.count;
  const roundTrip = async (): Promise<void> => {
    const sentAtMs = performance.now();
    const call = await mesh.openCall(peerId);
    const done = Promise.withResolvers<void>();
    call.consume({ frame: () => {}, end: done.resolve, fail: done.reject });
    call.send({ kind: KIND, body: run.body });
    call.end();
    await done.promise;
    times.push(performance.now() - sentAtMs);
  };
  const lane = async (): Promise<void> => {
    while (left-- > 0) await roundTrip();
  };
  await Promise.all(Array.from({ length: run.inFlight }, lane));
  return figures(times, performance.now() - startedMs);
}

function figures(times: number[], totalMs: number): RoundTrips {
  times.sort((a, b) => a - b);
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { perSecond: (times.length * 1000) / totalMs, medianMs: at(0.5), p99Ms: at(0.99) };
}

function startMesh(): Promise<Mesh> {
  return createMesh(
    {
      peerSeed: systemDice.bytes(32),
      store: createMemoryStore(),
      log: silentLog,
      clock: systemClock,
      dice: systemDice,
    },
    { listen: ['/ip4/127.0.0.1/tcp/0'], dht: 'off' },
  );
}

async function startEcho(): Promise<{ readonly process: ChildProcess; readonly address: string }> {
  const child = fork(fileURLToPath(import.meta.url), ['echo'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [address] = await once(child, 'message');
  return { process: child, address: String(address) };
}

async function serveEcho(): Promise<void> {
  const mesh = await startMesh();
  mesh.serveCalls((call) => {
    call.consume({
      frame: (kind, body) => {
        call.send({ kind, body });
      },
      end: () => call.end(),
      fail: () => {},
    });
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.(mesh.addresses()[0]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === 'echo') await serveEcho();
  else {
    const found = await measureCallStreams();
    for (const [name, trips] of Object.entries(found)) {
      const { perSecond, medianMs, p99Ms } = trips as RoundTrips;
      console.log(
        `${name.padEnd(16)} ${perSecond.toFixed(0).padStart(8)}/s   median ${medianMs.toFixed(3)} ms   p99 ${p99Ms.toFixed(3)} ms`,
      );
    }
  }
}
