/** The libp2p node under the mesh. Why each setting is what it is stands in `docs/decisions/` and `spec/mesh.md`. */
import { autoNAT } from '@libp2p/autonat';
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { dcutr } from '@libp2p/dcutr';
import type { GossipSub } from '@libp2p/gossipsub';
import { gossipsub } from '@libp2p/gossipsub';
import { identify, identifyPush } from '@libp2p/identify';
import type { Libp2p, PeerDiscovery, ServiceMap } from '@libp2p/interface';
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import { mdns } from '@libp2p/mdns';
import { noise } from '@libp2p/noise';
import { type Ping, ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { webSockets } from '@libp2p/websockets';
import { yamux } from '@libp2p/yamux';
import { createLibp2p, type Libp2pOptions } from 'libp2p';
import { SaharaError } from '../base/errors.ts';
import type { Bans } from './bans.ts';
import { gossipSettings } from './gossip-settings.ts';
import { inOneWrite } from './one-write.ts';
import type { MeshOptions } from './options.ts';
import type { Standings } from './standing.ts';

/** The services that the mesh itself talks to. */
interface NodeServices extends ServiceMap {
  readonly gossip: GossipSub;
  readonly ping: Ping;
}

/** A started libp2p node with gossip. */
export type MeshNode = Libp2p<NodeServices>;

const STREAMS_MAX = 1_024;
const DAYS_MS = 86_400_000;
const RELAY_RESERVATIONS_MAX = 128;
const RELAY_DATA_BYTES_MAX = 268_435_456n;
const RELAY_DURATION_MS_MAX = 7_200_000;

/** What the node needs besides its options. */
export interface NodeParts {
  /** Ed25519 seed of the peer's own key, 32 bytes. */
  readonly peerSeed: Uint8Array;
  readonly bans: Bans;
  readonly standings: Standings;
}

/** A node that listens. Throws `port-busy` with the port, or `config-invalid` for an address it cannot use. */
export async function startNode(parts: NodeParts, options: MeshOptions): Promise<MeshNode> {
  const node = await createNode(parts, options);
  try {
    await node.start();
    return node;
  } catch (error) {
    await Promise.resolve(node.stop()).catch(() => {});
    throw startFailure(error, options);
  }
}

function startFailure(error: unknown, options: MeshOptions): SaharaError {
  const reason = error instanceof Error ? error.message : String(error);
  const busy = /EADDRINUSE[^\n]*?:(\d+)\s*$/m.exec(reason);
  if (busy) return new SaharaError('port-busy', { port: Number(busy[1]) }, { cause: error });
  return new SaharaError(
    'config-invalid',
    { field: 'listen', found: options.listen, reason },
    { cause: error },
  );
}

async function createNode(parts: NodeParts, options: MeshOptions): Promise<MeshNode> {
  return await createLibp2p<NodeServices>({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', parts.peerSeed),
    nodeInfo: { userAgent: options.agentVersion },
    addresses: addressesOf(options),
    transports: [tcp(), webSockets(), circuitRelayTransport()],
    connectionEncrypters: [inOneWrite(tls()), inOneWrite(noise())],
    streamMuxers: [yamuxMuxer()],
    connectionManager: {
      maxConnections: options.connectionsMax,
      inboundConnectionThreshold: 20,
      maxIncomingPendingConnections: 50,
      dialTimeout: options.dialTimeoutMs,
      inboundUpgradeTimeout: options.dialTimeoutMs,
    },
    connectionMonitor: monitorOf(options),
    connectionGater: {
      denyDialPeer: (peerId) => parts.bans.has(peerId.toString()),
      denyInboundEncryptedConnection: (peerId) => parts.bans.has(peerId.toString()),
    },
    peerStore: { maxAddressAge: 7 * DAYS_MS, maxPeerAge: 30 * DAYS_MS },
    peerDiscovery: discoveryOf(options),
    services: servicesOf(parts, options),
  });
}

/**
 * A socket that is half open tells nobody: without an end to it, no new stream to the peer would ever be another
 * connection's. A blocked event loop on one side must not cost the connection, so silence counts only when it is long.
 */
function monitorOf({ pingIntervalMs }: MeshOptions): NonNullable<Libp2pOptions['connectionMonitor']> {
  const silentMs = Math.max(PING_TIMEOUT_MS_MIN, SILENT_PINGS_MAX * pingIntervalMs);
  return {
    pingInterval: pingIntervalMs,
    pingTimeout: { minTimeout: silentMs, maxTimeout: silentMs },
    abortConnectionOnPingFailure: true,
  };
}

const SILENT_PINGS_MAX = 3;
const PING_TIMEOUT_MS_MIN = 5_000;

function addressesOf(options: MeshOptions): NonNullable<Libp2pOptions['addresses']> {
  if (options.private) return { listen: [], announceFilter: () => [] };
  const circuit = options.relays.length > 0 ? ['/p2p-circuit'] : [];
  return { listen: [...options.listen, ...circuit], appendAnnounce: [...options.announce] };
}

// The window stays under the read buffer: otherwise a paused stream is aborted instead of held.
function yamuxMuxer(): ReturnType<typeof yamux> {
  return yamux({
    maxInboundStreams: STREAMS_MAX,
    maxOutboundStreams: STREAMS_MAX,
    maxEarlyStreams: 256,
    streamOptions: { maxStreamWindowSize: 1_048_576, maxReadBufferLength: 4_194_304 },
  });
}

type Discovery = (components: Parameters<ReturnType<typeof mdns>>[0]) => PeerDiscovery;

// One tag for every network: who joins for the first time does not know its network's full name yet.
function discoveryOf(options: MeshOptions): Discovery[] {
  if (!options.mdns) return [];
  const serviceTag = '_sahara._udp.local';
  return [mdns({ serviceTag, broadcast: !options.private, port: options.mdnsPort })];
}

function servicesOf(
  parts: NodeParts,
  options: MeshOptions,
): NonNullable<Libp2pOptions<NodeServices>['services']> {
  const services = {
    identify: identify(),
    identifyPush: identifyPush(),
    ping: ping({ runOnLimitedConnection: true, maxInboundStreams: 16, maxOutboundStreams: 16 }),
    autoNAT: autoNAT(),
    dcutr: dcutr(),
    gossip: gossipsub(gossipSettings(parts.standings, options)),
    ...(options.dht !== 'off' && { dht: kadDHT(dhtOptions(options)) }),
    ...(options.relayServer && { relay: circuitRelayServer(RELAY_LIMITS) }),
  };
  // libp2p types a service factory by the union of all services' components; the keys are checked when it runs.
  return services as unknown as NonNullable<Libp2pOptions<NodeServices>['services']>;
}

const RELAY_LIMITS: Parameters<typeof circuitRelayServer>[0] = {
  maxInboundHopStreams: 64,
  maxOutboundHopStreams: 64,
  reservations: {
    maxReservations: RELAY_RESERVATIONS_MAX,
    defaultDataLimit: RELAY_DATA_BYTES_MAX,
    defaultDurationLimit: RELAY_DURATION_MS_MAX,
  },
};

// Left open, the mode follows what autonat finds: the table is served once this peer was dialled from outside.
function dhtOptions(options: MeshOptions): Parameters<typeof kadDHT>[0] {
  return {
    protocol: `/sahara/kad/1/${options.network}`,
    peerInfoMapper: passthroughMapper,
    ...(options.private ? { clientMode: true } : options.dht === 'server' && { clientMode: false }),
  };
}
