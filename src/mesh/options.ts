import { invariant } from '../base/errors.ts';
import { CERTIFICATE_BYTES_MAX } from '../protocol/frames.ts';
import { topicsOf } from './topics.ts';

/** How a mesh node behaves. */
export interface MeshOptions {
  /** Name of the network; peers of another one are refused. Default `local`. */
  readonly network: string;
  /** Multiaddrs to listen on; port 0 picks a free one. Default: loopback, TCP and WebSockets. */
  readonly listen: readonly string[];
  /** Multiaddrs to announce besides those listened on, such as a forwarded port. Default none. */
  readonly announce: readonly string[];
  /** Dials out only: listens on nothing, announces nothing, answers no discovery. Default false. */
  readonly private: boolean;
  /** Multiaddrs of peers to keep a connection to. Default none. */
  readonly bootstrap: readonly string[];
  /** Multiaddrs of relays to be reachable through; kept like `bootstrap`. Default none. */
  readonly relays: readonly string[];
  /** Relays traffic for others. Default false. */
  readonly relayServer: boolean;
  /** Finds peers on the local network, and is found. Default false. */
  readonly mdns: boolean;
  /** UDP port of the discovery on the local network. Default 5353. */
  readonly mdnsPort: number;
  /** `auto`: serves the distributed hash table once this peer is known to be reachable. Default `auto`. */
  readonly dht: 'auto' | 'server' | 'off';
  /** Topics that may be joined. Default: every topic of the network. */
  readonly topics: readonly string[];
  /** This peer's certificates, told in each HELLO. At most 12,288 bytes. Default empty. */
  readonly certificate: Uint8Array;
  /** Name and version told to peers. Default `sahara`. */
  readonly agentVersion: string;
  /** Connections kept at a time. Default 300. */
  readonly connectionsMax: number;
  /** Peers that the reconnect loop tries to be connected to. Default 8. */
  readonly peersTarget: number;
  /** Longest dial, and longest handshake of a peer that dials here, milliseconds. Default 10,000. */
  readonly dialTimeoutMs: number;
  /** Longest question, milliseconds, unless the asker says otherwise. Default 10,000. */
  readonly requestTimeoutMs: number;
  /** How long `stop` lets running calls end, milliseconds. Default 5,000. */
  readonly drainMs: number;
  /** Silence on a call stream before a ping, milliseconds; three times is the end. Default 15,000. */
  readonly pingIntervalMs: number;
  /** Life of a call stream without calls, milliseconds. Default 300,000. */
  readonly idleMs: number;
  /** First and longest wait before a peer is dialled again, milliseconds. Default 1,000 and 60,000. */
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /** How often gossip and connections are compared, milliseconds. Default 5,000. */
  readonly watchdogIntervalMs: number;
  /** Beat of the gossip mesh, milliseconds. Default 1,000. */
  readonly heartbeatMs: number;
  /** How long a peer whose standing is gone is kept out, milliseconds. Default 600,000. */
  readonly banMs: number;
}

/** What a node does unless told otherwise: loopback only, no discovery. */
export const MESH_DEFAULTS: MeshOptions = {
  network: 'local',
  listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'],
  announce: [],
  private: false,
  bootstrap: [],
  relays: [],
  relayServer: false,
  mdns: false,
  mdnsPort: 5353,
  dht: 'auto',
  topics: [],
  certificate: new Uint8Array(0),
  agentVersion: 'sahara',
  connectionsMax: 300,
  peersTarget: 8,
  dialTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  drainMs: 5_000,
  pingIntervalMs: 15_000,
  idleMs: 300_000,
  reconnectMinMs: 1_000,
  reconnectMaxMs: 60_000,
  watchdogIntervalMs: 5_000,
  heartbeatMs: 1_000,
  banMs: 600_000,
};

/** `options` over the defaults, checked. */
export function completeOptions(options: Partial<MeshOptions>): MeshOptions {
  const complete = { ...MESH_DEFAULTS, ...options };
  invariant(complete.certificate.length <= CERTIFICATE_BYTES_MAX, 'the certificates fit into a HELLO');
  invariant(complete.network.length > 0 && complete.network.length <= 64, 'the network has a name');
  invariant(complete.reconnectMinMs <= complete.reconnectMaxMs, 'reconnect waits are in order');
  const topics = complete.topics.length > 0 ? complete.topics : topicsOf(complete.network);
  return { ...complete, topics };
}
