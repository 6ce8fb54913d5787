/** What the rest of Sahara sees of the mesh. Peers are named by their libp2p peer id in its base58 text. */
import type { SaharaError } from '../base/errors.ts';

/** A peer that is connected now. */
export interface PeerInfo {
  readonly peerId: string;
  /** Where it is connected, as multiaddrs. */
  readonly addresses: readonly string[];
  /** Who dialled. */
  readonly direction: 'inbound' | 'outbound';
  readonly connectedAtMs: number;
  /** Last measured round trip, milliseconds. */
  readonly latencyMs?: number;
  readonly agentVersion?: string;
}

/**
 * What a peer's message deserves: `accept` passes it on, `ignore` drops it without blame (duplicate, stale,
 * overload), `reject` costs the neighbour that handed it over its standing.
 */
export type Verdict = 'accept' | 'ignore' | 'reject';

/** How one topic's messages are judged and taken. */
export interface TopicHandler {
  /** Larger messages are rejected unseen. At most 16,384. */
  readonly sizeBytesMax: number;
  /**
   * Judges before anything is passed on. `from` is the neighbour that handed the message over, `author` the peer
   * whose key signed it.
   */
  validate(message: Uint8Array, from: string, author: string): Verdict | Promise<Verdict>;
  /** Takes an accepted message, once. */
  deliver(message: Uint8Array, from: string, author: string): void;
}

/** How one protocol's questions are answered. */
export interface RequestHandler {
  readonly requestBytesMax: number;
  readonly answerBytesMax: number;
  /** Questions answered at a time; above, the asker gets `overloaded`. */
  readonly concurrencyMax: number;
  /** Answers; a thrown `SaharaError` is rethrown at the asker. `signal` aborts when the asker is gone. */
  handle(body: Uint8Array, from: string, signal: AbortSignal): Promise<Uint8Array>;
}

/** What speaks against a peer, or for it, as the mesh sees it. */
export type PeerFact =
  /** Its call stream broke the rules of frames. */
  | 'stream-broken'
  | 'calls-refused'
  /** A question of it could not be read, or its signature did not hold. */
  | 'question-broken'
  | 'questions-refused'
  /** It handed over gossip that no honest peer passes on. */
  | 'gossip-rejected'
  | 'gossip-excess'
  /** It did not prove that it serves what it advertises. */
  | 'probe-failed'
  | 'probe-answered';

/** Who keeps the standing of peers. */
export interface PeerConduct {
  note(peerId: string, fact: PeerFact): void;
  /** What share of the usual limits a peer gets: above 0, at most 1. */
  shareOf(peerId: string): number;
}

/** Why calls may not go to a peer that showed these certificates; `undefined`: they may. */
export type PeerJudge = (peer: {
  readonly peerId: string;
  readonly peerCertificate: Uint8Array;
}) => SaharaError | undefined;

/** One message of a call. */
export interface CallFrame {
  /** The call layer's business, 0 to 239. */
  readonly kind: number;
  readonly body: Uint8Array;
}

/**
 * Takes a call's frames as they arrive, without a promise each. Callbacks run inside the network's event: they
 * must be quick, and bodies are views that are only good during the call. Returning gives the credit back.
 */
export interface CallSink {
  frame(kind: number, body: Uint8Array): void;
  /** The peer's explicit END: nothing follows. */
  end(): void;
  /** The call broke: `peer-gone`, `cancelled`, or what the peer said. Nothing follows. */
  fail(error: SaharaError): void;
}

/** One call between two peers, out of many on one stream. */
export interface CallStream {
  readonly peerId: string;
  /** The certificates of the peer's HELLO, opaque. May be empty. */
  readonly peerCertificate: Uint8Array;
  /**
   * Queues a frame; what all calls queue in one tick leaves in one send. False: the peer's credit is used up,
   * wait for `writable`. The body must not change afterwards. Throws the call's failure once it has one, and
   * `overloaded` if sending goes on against false.
   */
  send(frame: CallFrame): boolean;
  /** Resolves when `send` will take a frame; rejects with the call's failure or `cancelled`. */
  writable(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * Frames in order, for one reader. Ends on the peer's explicit END only; otherwise throws. Taking a frame gives
   * its credit back; not taking holds the sender.
   */
  frames(): AsyncIterable<CallFrame>;
  /** The faster alternative to `frames`: whatever came already is told at once. */
  consume(sink: CallSink): void;
  /** Explicit END: nothing is sent after it. */
  end(): void;
  /** Ends the call in both directions; the peer's `frames` throws `error`. */
  fail(error: SaharaError): void;
  /** Nobody reads any more: ends the call in both directions; the peer's `signal` aborts. */
  cancel(): void;
  /** Aborts, with the failure as its reason, when the other side ended the call early or is gone. */
  readonly signal: AbortSignal;
}

/** The peers, and the three ways to talk to them: gossip, questions, calls. */
export interface Mesh {
  readonly peerId: string;
  /**
   * Tells other certificates from now on: the next call to any peer begins on a stream that brings them along. Calls
   * under way go on where they are.
   */
  present(certificate: Uint8Array): void;
  /** Has calls from here go only to peers whose certificates `judge` finds no fault with; they reject with the fault. */
  judge(judge: PeerJudge): void;
  /** Where this peer can be dialled: full multiaddrs with its peer id. Empty when private. */
  addresses(): readonly string[];
  /** Dials a multiaddr, or a known peer id; resolves with the peer id. Throws `peer-unreachable`. */
  connect(address: string, options?: { readonly signal?: AbortSignal }): Promise<string>;
  /** Round trip to a peer, milliseconds, dialled first if needed. Throws `peer-unreachable` or `cancelled`. */
  ping(peerId: string, options?: { readonly signal?: AbortSignal }): Promise<number>;
  /** The peers connected now. */
  peers(): readonly PeerInfo[];
  /** Tells when a peer's first connection opens and its last one closes. */
  onPeers(listener: (event: { readonly peerId: string; readonly connected: boolean }) => void): () => void;
  /** Joins a topic of the allow-list. One handler per topic. */
  subscribe(topic: string, handler: TopicHandler): () => void;
  /** Gossips a message. Throws `rate-limited` or `too-large`. `recipients`: neighbours it was handed to. */
  publish(topic: string, message: Uint8Array): Promise<{ readonly recipients: number }>;
  /**
   * One question, one answer, on a stream of its own. Throws `peer-unreachable`, `version-unsupported` (the peer
   * does not serve the protocol), `peer-gone`, `deadline-exceeded`, `cancelled`, `too-large`, `malformed`, or
   * what the peer's handler threw.
   */
  request(
    peerId: string,
    protocol: string,
    body: Uint8Array,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number; readonly answerBytesMax: number },
  ): Promise<Uint8Array>;
  /** Answers questions under `protocol` until the returned function is called. */
  serve(protocol: string, handler: RequestHandler): () => void;
  /** Begins a call over the kept-open stream to a peer, opening that if needed. */
  openCall(peerId: string, options?: { readonly signal?: AbortSignal }): Promise<CallStream>;
  /** Takes the calls that peers begin. Without it they are refused with `caller-refused`. */
  serveCalls(handler: (stream: CallStream, from: string) => void): () => void;
  /** Refuses new calls, lets the running ones end within the drain time, then leaves. */
  stop(): Promise<void>;
}
