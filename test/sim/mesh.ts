/** The mesh of one run of a party: the world's network below, the real `Session` and `Call` for calls. */
import { base58btc } from 'multiformats/bases/base58';
import type { Clock } from '../../src/base/clock.ts';
import { asSaharaError, SaharaError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import type { CallStream, Mesh, PeerInfo, RequestHandler, TopicHandler } from '../../src/mesh/interface.ts';
import {
  CALL_BODY_BYTES_MAX,
  CALL_WINDOW_BYTES,
  CALLS_PER_PEER_MAX,
  UNREAD_BYTES_MAX,
} from '../../src/mesh/limits.ts';
import { Session } from '../../src/mesh/session.ts';
import { fromWireFailure, toWireFailure } from '../../src/protocol/failure.ts';
import { FRAMES_VERSION } from '../../src/protocol/frames.ts';
import { type PublicKey, peerIdOf } from '../../src/protocol/ids.ts';
import type { Connection, Net, Node, Question, Stream } from './net.ts';
import type { PipeEnd } from './pipe.ts';
import type { Life } from './time.ts';

/** What a mesh works with. */
export interface SimMeshParts {
  readonly net: Net;
  readonly life: Life;
  readonly clock: Clock;
  readonly peerId: string;
  readonly network: string;
  /** Parties to keep a connection to. */
  readonly keep: readonly string[];
}

const REQUEST_TIMEOUT_MS = 10_000;
const OPEN_TIMEOUT_MS = 10_000;
const RECONNECT_MS = 4_000;
const REQUESTS_PER_PEER_MAX = 16;
const PING_PROTOCOL = '/sim/ping';

/** The peer id of a key, as libp2p writes it. */
export function peerIdText(key: PublicKey): string {
  return base58btc.encode(peerIdOf(key)).slice(1);
}

/** One run's place in the network. */
export class SimMesh implements Mesh {
  readonly peerId: string;
  readonly #parts: SimMeshParts;
  readonly #node: Node;
  readonly #sessions = new Map<string, Session[]>();
  readonly #opening = new Map<string, Promise<Session>>();
  readonly #handlers = new Map<string, RequestHandler>();
  readonly #listeners = new Set<(event: { readonly peerId: string; readonly connected: boolean }) => void>();
  readonly #since = new Map<string, number>();
  #calls: ((stream: CallStream, from: string) => void) | undefined;
  #served = 0;
  #unreadBytes = 0;
  /** Most bytes that waited for their readers at a time. */
  unreadBytesMost = 0;

  constructor(parts: SimMeshParts) {
    this.#parts = parts;
    this.peerId = parts.peerId;
    this.#node = {
      peerId: parts.peerId,
      life: parts.life,
      connections: new Map(),
      topics: new Map(),
      peerChanged: (peerId, connected) => this.#peerChanged(peerId, connected),
      accept: (peerId, stream) => this.#adopt(peerId, stream, false).end,
      answer: (from, question) => this.#answer(from, question),
    };
    parts.net.join(this.#node);
    this.#reconnect();
  }

  /** Calls open now, of all sessions. */
  get activeCalls(): number {
    return [...this.#sessions.values()].flat().reduce((sum, session) => sum + session.activeCalls, 0);
  }

  /** The party is gone. */
  leave(loud: boolean): void {
    this.#parts.net.leave(this.#node, loud);
  }

  /** Greetings carry no certificates here. */
  present(): void {}

  /** Nor is anybody judged by them. */
  judge(): void {}

  addresses(): readonly string[] {
    return [`/ip4/10.0.0.1/tcp/4001/p2p/${this.peerId}`];
  }

  async connect(address: string): Promise<string> {
    const peerId = address.startsWith('/') ? (address.split('/p2p/')[1] ?? '') : address;
    await this.#connection(peerId);
    return peerId;
  }

  async ping(peerId: string, options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    const startedAtMs = this.#parts.clock.monotonicMs();
    await this.request(peerId, PING_PROTOCOL, new Uint8Array(0), { ...options, answerBytesMax: 0 });
    return this.#parts.clock.monotonicMs() - startedAtMs;
  }

  peers(): readonly PeerInfo[] {
    return [...this.#node.connections].map(([peerId, connection]) => ({
      peerId,
      addresses: [`/ip4/10.0.0.1/tcp/4001/p2p/${peerId}`],
      direction: connection.sides[0].node === this.#node ? 'outbound' : 'inbound',
      connectedAtMs: this.#since.get(peerId) ?? 0,
    }));
  }

  onPeers(listener: (event: { readonly peerId: string; readonly connected: boolean }) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  subscribe(topic: string, handler: TopicHandler): () => void {
    this.#node.topics.set(topic, (message, from, author) => {
      if (message.length > handler.sizeBytesMax) return;
      const judge = async (): Promise<void> => {
        if ((await handler.validate(message, from, author)) === 'accept')
          handler.deliver(message, from, author);
      };
      void judge();
    });
    return () => this.#node.topics.delete(topic);
  }

  async publish(topic: string, message: Uint8Array): Promise<{ readonly recipients: number }> {
    return { recipients: this.#parts.net.gossip(this.#node, topic, message) };
  }

  serve(protocol: string, handler: RequestHandler): () => void {
    this.#handlers.set(protocol, handler);
    return () => this.#handlers.delete(protocol);
  }

  async request(
    peerId: string,
    protocol: string,
    body: Uint8Array,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number; readonly answerBytesMax: number },
  ): Promise<Uint8Array> {
    const { signal, timeoutMs = REQUEST_TIMEOUT_MS, answerBytesMax } = options;
    const late = new SaharaError('deadline-exceeded', { what: protocol, peer: peerId, timeoutMs });
    const answer = await this.#within({ timeoutMs, late, signal }, async (gone) => {
      const connection = await this.#connection(peerId);
      try {
        return await this.#parts.net.ask(connection, this.#node, { protocol, body, gone });
      } catch (error) {
        throw fromWireFailure(toWireFailure(asSaharaError(error), this.#parts.clock.nowMs()));
      }
    });
    if (answer === undefined) throw new SaharaError('peer-gone', { peer: peerId });
    if (answer.length > answerBytesMax) throw new SaharaError('too-large', { what: 'message' });
    return answer;
  }

  serveCalls(handler: (stream: CallStream, from: string) => void): () => void {
    this.#calls = handler;
    return () => {
      this.#calls = undefined;
    };
  }

  async openCall(peerId: string): Promise<CallStream> {
    return (await this.#usable(peerId)).openCall();
  }

  async stop(): Promise<void> {
    for (const session of [...this.#sessions.values()].flat()) session.goAway('stopping');
  }

  async #connection(peerId: string): Promise<Connection> {
    if (peerId === this.peerId) throw new SaharaError('peer-unreachable', { peer: peerId, reason: 'self' });
    const connection = await this.#parts.net.connect(this.#node, peerId);
    if (!connection) throw new SaharaError('peer-unreachable', { peer: peerId });
    return connection;
  }

  /** `work`, given up after a time or by `signal`. */
  #within<T>(
    limits: { timeoutMs: number; late: SaharaError; signal: AbortSignal | undefined },
    work: (gone: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { timeoutMs, late, signal } = limits;
    const controller = new AbortController();
    return new Promise<T>((resolve, reject) => {
      const give = (error: SaharaError): void => {
        controller.abort(error);
        reject(error);
      };
      const abort = (): void => give(new SaharaError('cancelled'));
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      const cancel = this.#parts.clock.after(timeoutMs, () => give(late));
      work(controller.signal)
        .then(resolve, reject)
        .finally(() => {
          cancel();
          signal?.removeEventListener('abort', abort);
        });
    });
  }

  #usable(peerId: string): Session | Promise<Session> {
    const open = this.#sessions.get(peerId)?.find((session) => session.accepting && session.greeted);
    if (open) return open;
    const known = this.#opening.get(peerId);
    if (known) return known;
    const begun = this.#dial(peerId).finally(() => this.#opening.delete(peerId));
    this.#opening.set(peerId, begun);
    return begun;
  }

  async #dial(peerId: string): Promise<Session> {
    const connection = await this.#connection(peerId);
    let stream: Stream | undefined;
    const { session, end } = this.#adopt(
      peerId,
      { send: (bytes) => stream?.out.send(bytes) ?? true, close: () => stream?.close() },
      true,
    );
    stream = this.#parts.net.stream(connection, this.#node, end);
    const late = new SaharaError('peer-unreachable', { peer: peerId, reason: 'no HELLO in time' });
    const cancel = this.#parts.clock.after(OPEN_TIMEOUT_MS, () => session.fail(late));
    await session.ready.finally(cancel);
    return session;
  }

  #adopt(
    peerId: string,
    given: Stream | { send(bytes: Uint8Array): boolean; close(): void },
    initiator: boolean,
  ): { readonly session: Session; readonly end: PipeEnd & { onClosed(): void } } {
    const { clock, life, net, network } = this.#parts;
    const send = (bytes: Uint8Array): boolean => {
      net.bytes += bytes.length;
      return 'out' in given ? given.out.send(bytes) : given.send(bytes);
    };
    const session = new Session(
      {
        pipe: { send, close: () => given.close() },
        clock,
        log: silentLog,
        peerId,
        defer: (run) => net.scheduler.after(0, run, life),
      },
      {
        initiator,
        hello: {
          version: FRAMES_VERSION,
          network,
          bodyBytesMax: CALL_BODY_BYTES_MAX,
          windowBytes: CALL_WINDOW_BYTES,
          callsMax: CALLS_PER_PEER_MAX,
          certificate: new Uint8Array(0),
        },
        pingIntervalMs: 15_000,
        idleMs: 300_000,
        unread: (bytes) => {
          this.#unreadBytes += bytes;
          this.unreadBytesMost = Math.max(this.unreadBytesMost, this.#unreadBytes);
          return this.#unreadBytes <= UNREAD_BYTES_MAX;
        },
        onCall: (call) => {
          if (!this.#calls) throw new SaharaError('caller-refused', { reason: 'no calls are served here' });
          this.#calls(call, peerId);
        },
        onClosed: (closed) => {
          const left = (this.#sessions.get(peerId) ?? []).filter((other) => other !== closed);
          if (left.length > 0) this.#sessions.set(peerId, left);
          else this.#sessions.delete(peerId);
        },
      },
    );
    this.#sessions.set(peerId, [...(this.#sessions.get(peerId) ?? []), session]);
    const end = {
      receive: (chunk: Uint8Array) => session.receive(chunk),
      onDrain: () => session.onDrain(),
      onClosed: () => session.onClosed(),
    };
    return { session, end };
  }

  async #answer(from: string, { protocol, body, gone }: Question): Promise<Uint8Array> {
    if (protocol === PING_PROTOCOL) return new Uint8Array(0);
    const handler = this.#handlers.get(protocol);
    if (!handler) throw new SaharaError('version-unsupported', { protocol });
    if (body.length > handler.requestBytesMax) throw new SaharaError('too-large', { what: 'message' });
    if (this.#served >= Math.max(handler.concurrencyMax, REQUESTS_PER_PEER_MAX))
      throw new SaharaError('overloaded');
    this.#served++;
    try {
      return await handler.handle(body, from, gone);
    } finally {
      this.#served--;
    }
  }

  #peerChanged(peerId: string, connected: boolean): void {
    if (!this.#parts.life.alive) return;
    if (connected) this.#since.set(peerId, this.#parts.clock.nowMs());
    for (const listener of [...this.#listeners]) listener({ peerId, connected });
  }

  #reconnect(): void {
    const { clock, keep, net } = this.#parts;
    for (const peerId of keep) {
      if (peerId !== this.peerId && !this.#node.connections.has(peerId)) void net.connect(this.#node, peerId);
    }
    clock.after(RECONNECT_MS + net.random.below(2_000), () => this.#reconnect());
  }
}
