/** The call streams of this peer: one kept open per peer pair, opened on the first call, closed when idle. */
import type { Connection, Stream } from '@libp2p/interface';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { CALL_PROTOCOL, type Hello } from '../protocol/frames.ts';
import type { Dialer } from './dialer.ts';
import type { PeerDoor } from './door.ts';
import type { CallStream, PeerJudge } from './interface.ts';
import { SESSIONS_PER_PEER_MAX, UNREAD_BYTES_MAX } from './limits.ts';
import type { MeshNode } from './node.ts';
import { Session, type SessionOptions, type SessionParts } from './session.ts';
import { closeStream, onBytes, openStream } from './streams.ts';
import { patientWindow } from './windows.ts';

/** Calls out and in. */
export interface Calls {
  open(peerId: string, options?: { readonly signal?: AbortSignal }): Promise<CallStream>;
  serve(handler: (stream: CallStream, from: string) => void): () => void;
  /** Greets with other certificates from now on: calls from here begin on streams that bring them along. */
  present(certificate: Uint8Array): void;
  /** Has calls from here go only to peers whose certificates `judge` finds no fault with. */
  judge(judge: PeerJudge): void;
  /** Refuses new calls, waits up to `drainMs` for running ones, then fails the rest. */
  stop(drainMs: number): Promise<void>;
}

/** What calls work with. */
export interface CallsParts {
  readonly node: MeshNode;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly log: Log;
  readonly door: PeerDoor;
}

/** How call streams behave. */
export interface CallsOptions {
  readonly hello: Hello;
  readonly pingIntervalMs: number;
  readonly idleMs: number;
  /** Longest wait for a stream to a peer, its dial and HELLO included, milliseconds. */
  readonly openTimeoutMs: number;
}

const CLOSE_GRACE_MS = 2_000;
const DRAIN_POLL_MS = 20;
/** A peer whose certificates have a fault may be about to tell others: how often it is greeted anew, and after how long. */
const GREETINGS_MAX = 3;
const GREETING_AGAIN_MS = 400;

/** Starts taking call streams from peers. */
export async function startCalls(parts: CallsParts, options: CallsOptions): Promise<Calls> {
  const { node, dialer, clock, log, door } = parts;
  const sessions = new Map<string, Session[]>();
  const opening = new Map<string, Promise<Session>>();
  let handler: ((stream: CallStream, from: string) => void) | undefined;
  let { hello } = options;
  let judge: PeerJudge = () => undefined;
  let stopping = false;
  let unreadBytes = 0;
  const unread = (bytes: number): boolean => {
    unreadBytes += bytes;
    return unreadBytes <= UNREAD_BYTES_MAX;
  };

  const adopt = (stream: Stream, peerId: string, initiator: boolean): Session => {
    const session = overStream(
      stream,
      { clock, log, peerId },
      {
        initiator,
        hello,
        pingIntervalMs: options.pingIntervalMs,
        idleMs: options.idleMs,
        unread,
        onCall: (call) => {
          if (!handler) throw new SaharaError('caller-refused', { reason: 'no calls are served here' });
          handler(call, peerId);
        },
        mayOpen: () => door.call(peerId),
        onBroken: (error) => door.broke(peerId, 'stream-broken', error),
        onClosed: (closed) => forget(sessions, peerId, closed),
      },
    );
    sessions.set(peerId, [...(sessions.get(peerId) ?? []), session]);
    return session;
  };

  const onStream = (stream: Stream, connection: Connection): void => {
    const peerId = connection.remotePeer.toString();
    if (!stopping) makeRoom(sessions.get(peerId) ?? []);
    if (stopping || (sessions.get(peerId)?.length ?? 0) >= SESSIONS_PER_PEER_MAX) {
      stream.abort(new SaharaError('overloaded', { what: 'call streams', limit: SESSIONS_PER_PEER_MAX }));
      return;
    }
    adopt(stream, peerId, false);
  };
  await node.handle(CALL_PROTOCOL, onStream, {
    runOnLimitedConnection: true,
    // One more than is kept: it comes before the one that it takes the place of has gone.
    maxInboundStreams: SESSIONS_PER_PEER_MAX + 1,
  });

  const dial = async (peerId: string): Promise<Session> => {
    const deadline = AbortSignal.timeout(options.openTimeoutMs);
    const { stream } = await openStream(dialer, peerId, CALL_PROTOCOL, deadline).catch((error: unknown) => {
      if (!deadline.aborted) throw error;
      throw new SaharaError('peer-unreachable', { peer: peerId, reason: 'no answer in time' });
    });
    return await greeted(adopt(stream, peerId, true), deadline);
  };

  const dialVouched = async (peerId: string): Promise<Session> => {
    for (let greetings = 1; ; greetings++) {
      const session = await dial(peerId);
      const fault = judge(session);
      if (fault === undefined) {
        for (const other of [...(sessions.get(peerId) ?? [])])
          if (other.retired && isUnused(other)) other.goAway('idle');
        return session;
      }
      session.goAway('idle');
      if (greetings === GREETINGS_MAX || stopping) throw fault;
      await new Promise<void>((resolve) => clock.after(GREETING_AGAIN_MS, resolve));
    }
  };

  const usable = (peerId: string): Session | Promise<Session> => {
    const open = sessions.get(peerId)?.find((session) => session.accepting && session.greeted);
    if (open && judge(open) === undefined) return open;
    if (open) open.retired = true;
    const known = opening.get(peerId);
    if (known) return known;
    const begun = dialVouched(peerId).finally(() => opening.delete(peerId));
    opening.set(peerId, begun);
    return begun;
  };

  return {
    async open(peerId, { signal } = {}) {
      if (stopping) throw new SaharaError('peer-unreachable', { peer: peerId, reason: 'stopping' });
      if (signal?.aborted) throw new SaharaError('cancelled');
      const session = usable(peerId);
      return (session instanceof Session ? session : await raceAbort(session, signal)).openCall();
    },
    serve(serving) {
      handler = serving;
      return () => {
        if (handler === serving) handler = undefined;
      };
    },
    present(certificate) {
      hello = { ...hello, certificate };
      for (const session of [...sessions.values()].flat()) session.retired = true;
    },
    judge(other) {
      judge = other;
    },
    async stop(drainMs) {
      stopping = true;
      await node.unhandle(CALL_PROTOCOL);
      await drain(() => [...sessions.values()].flat(), clock, drainMs);
    },
  };
}

function isUnused(session: Session): boolean {
  return session.greeted && session.activeCalls === 0;
}

/** A peer that has all its streams and opens another loses the first that nobody uses, retired ones before others. */
function makeRoom(held: readonly Session[]): void {
  if (held.length < SESSIONS_PER_PEER_MAX) return;
  const unused = held.filter(isUnused);
  (unused.find(({ retired }) => retired) ?? unused[0])?.goAway('idle');
}

function overStream(stream: Stream, parts: Omit<SessionParts, 'pipe'>, options: SessionOptions): Session {
  const pipe = {
    send: (bytes: Uint8Array) => stream.send(bytes),
    close: () => closeStream(stream, parts.clock, CLOSE_GRACE_MS),
  };
  patientWindow(stream);
  const session = new Session({ ...parts, pipe }, options);
  onBytes(stream, (bytes) => session.receive(bytes));
  stream.addEventListener('drain', () => session.onDrain());
  stream.addEventListener('remoteCloseWrite', () => session.onClosed());
  stream.addEventListener('close', () => session.onClosed());
  // A stream over some limit is reset before anybody could listen.
  if (stream.status !== 'open') queueMicrotask(() => session.onClosed());
  return session;
}

/** Waits for the peer's HELLO until `deadline`, then gives the session up. */
async function greeted(session: Session, deadline: AbortSignal): Promise<Session> {
  const late = new SaharaError('peer-unreachable', { peer: session.peerId, reason: 'no HELLO in time' });
  const giveUp = (): void => session.fail(late);
  deadline.addEventListener('abort', giveUp, { once: true });
  await session.ready.finally(() => deadline.removeEventListener('abort', giveUp));
  return session;
}

async function drain(sessions: () => readonly Session[], clock: Clock, drainMs: number): Promise<void> {
  for (const session of sessions()) session.goAway('stopping');
  const untilMs = clock.monotonicMs() + drainMs;
  while (sessions().length > 0 && clock.monotonicMs() < untilMs) {
    await new Promise<void>((resolve) => clock.after(DRAIN_POLL_MS, resolve));
  }
  for (const session of sessions()) session.fail(new SaharaError('peer-gone', { reason: 'stopping' }));
}

function forget(sessions: Map<string, Session[]>, peerId: string, session: Session): void {
  const left = (sessions.get(peerId) ?? []).filter((other) => other !== session);
  if (left.length > 0) sessions.set(peerId, left);
  else sessions.delete(peerId);
}

async function raceAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(new SaharaError('cancelled'));
  signal.addEventListener('abort', abort, { once: true });
  return await Promise.race([promise, aborted.promise]).finally(() =>
    signal.removeEventListener('abort', abort),
  );
}
