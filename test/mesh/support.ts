/** Helpers of the mesh tests: real nodes on loopback, sessions over a pipe in memory, a clock that is told. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemDice } from '../../src/base/random.ts';
import { createMemoryStore, type Store } from '../../src/base/store.ts';
import type { CallFrame, CallStream, Mesh } from '../../src/mesh/interface.ts';
import { createMesh } from '../../src/mesh/mesh.ts';
import type { MeshOptions } from '../../src/mesh/options.ts';
import { Session, type SessionOptions } from '../../src/mesh/session.ts';
import type { Hello } from '../../src/protocol/frames.ts';

/** TCP on loopback, a free port. */
export const LOOPBACK: readonly string[] = ['/ip4/127.0.0.1/tcp/0'];

/** Nodes of one test; `stop` stops them all. */
export interface Fleet {
  start(
    options?: Partial<MeshOptions>,
    parts?: { readonly store?: Store; readonly seed?: Uint8Array },
  ): Promise<Mesh>;
  stop(): Promise<void>;
}

/** Starts real nodes on loopback, quick to notice things. */
export function createFleet(): Fleet {
  const started: Mesh[] = [];
  return {
    async start(options = {}, parts = {}) {
      const mesh = await createMesh(
        {
          peerSeed: parts.seed ?? systemDice.bytes(32),
          store: parts.store ?? createMemoryStore(),
          log: silentLog,
          clock: systemClock,
          dice: systemDice,
        },
        {
          listen: LOOPBACK,
          dht: 'off',
          heartbeatMs: 200,
          reconnectMinMs: 100,
          watchdogIntervalMs: 200,
          drainMs: 200,
          ...options,
        },
      );
      started.push(mesh);
      return mesh;
    },
    async stop() {
      await Promise.all(started.splice(0).map((mesh) => mesh.stop()));
    },
  };
}

/** First address of a node. */
export function addressOf(mesh: Mesh): string {
  return mesh.addresses()[0] ?? '';
}

/** Waits until `check` holds, as long as the test may run. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** The code that `promise` fails with; `none` if it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SaharaError) return error.code;
    throw error;
  }
  return 'none';
}

/** Everything a call brings until its explicit end. */
export async function allFrames(call: CallStream): Promise<CallFrame[]> {
  const frames: CallFrame[] = [];
  for await (const frame of call.frames()) frames.push(frame);
  return frames;
}

/** A frame of `bytes` bytes. */
export function frameOf(kind: number, bytes = 1): CallFrame {
  return { kind, body: new Uint8Array(bytes).fill(kind) };
}

/** Begins a call of `session` with an empty frame: the other side hears of a call when it says something. */
export function begin(session: Session): CallStream {
  const call = session.openCall();
  call.send({ kind: 0, body: new Uint8Array(0) });
  return call;
}

/** Answers every frame with itself and ends when the caller does. */
export function echo(call: CallStream): void {
  call.consume({
    frame: (kind, body) => {
      call.send({ kind, body: body.slice() });
    },
    end: () => call.end(),
    fail: () => {},
  });
}

/** Sends bytes to the TCP port of a node's first address and waits until it hangs up. */
export async function sendRaw(mesh: Mesh, bytes: Uint8Array): Promise<void> {
  const port = Number(/\/tcp\/(\d+)/.exec(addressOf(mesh))?.[1]);
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const closed = new Promise((resolve) => socket.on('close', resolve));
  // A reset is one way of hanging up.
  socket.on('error', () => {});
  socket.resume();
  socket.write(bytes);
  await closed;
}

/** A clock that stands still until it is moved. */
export interface ToldClock extends Clock {
  /** Moves on, running what falls due on the way. */
  advance(ms: number): void;
}

/** A clock at `startMs`. */
export function createToldClock(startMs = 1_000_000): ToldClock {
  let nowMs = startMs;
  const timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const due = [...timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (!due) break;
        timers.delete(due);
        nowMs = Math.max(nowMs, due.atMs);
        due.run();
      }
      nowMs = endMs;
    },
  };
}

/** Two sessions joined by pipes; what each sends arrives in the next turn unless the wire is held or cut. */
export interface SessionPair {
  readonly near: Session;
  readonly far: Session;
  /** Calls that the far side was begun. */
  readonly calls: CallStream[];
  /** Bytes each side has handed to the network so far. */
  readonly sent: { near: number; far: number };
  /** Nothing arrives while held. */
  hold(held: boolean): void;
  /** The stream just stops, as libp2p shows it. */
  cut(): void;
}

/** What one side says first unless told otherwise. */
export const HELLO: Hello = {
  version: 1,
  network: 'local',
  bodyBytesMax: 65_536,
  windowBytes: 16_384,
  callsMax: 8,
  certificate: Uint8Array.of(1, 2, 3),
};

/** A pair of sessions; `far` serves calls with `onCall`. */
export function createSessionPair(
  options: {
    readonly clock?: Clock;
    readonly near?: Partial<Hello>;
    readonly far?: Partial<Hello>;
    readonly onCall?: (call: CallStream) => void;
    readonly session?: Partial<SessionOptions>;
  } = {},
): SessionPair {
  const clock = options.clock ?? systemClock;
  const calls: CallStream[] = [];
  const sent = { near: 0, far: 0 };
  let held = false;
  const waiting: (() => void)[] = [];
  const sides: { near?: Session; far?: Session } = {};
  const other = { near: 'far', far: 'near' } as const;
  const make = (side: 'near' | 'far', hello: Partial<Hello>): Session => {
    const deliver = (run: () => void): void => {
      waiting.push(run);
      setImmediate(() => {
        if (!held) for (const next of waiting.splice(0)) next();
      });
    };
    const pipe = {
      send(bytes: Uint8Array) {
        sent[side] += bytes.length;
        deliver(() => sides[other[side]]?.receive(bytes));
        return true;
      },
      close: () => deliver(() => sides[other[side]]?.onClosed()),
    };
    return new Session(
      { pipe, clock, log: silentLog, peerId: other[side] },
      {
        initiator: side === 'near',
        hello: { ...HELLO, ...hello },
        pingIntervalMs: 1_000,
        idleMs: 10_000,
        unread: () => true,
        onCall: (call) => {
          calls.push(call);
          options.onCall?.(call);
        },
        onClosed: () => {},
        ...options.session,
      },
    );
  };
  sides.near = make('near', options.near ?? {});
  sides.far = make('far', options.far ?? {});
  return {
    near: sides.near,
    far: sides.far,
    calls,
    sent,
    hold(now) {
      held = now;
      if (!now) for (const next of waiting.splice(0)) next();
    },
    cut() {
      sides.near?.onClosed();
      sides.far?.onClosed();
    },
  };
}
