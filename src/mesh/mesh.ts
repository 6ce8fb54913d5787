/**
 * The mesh: one libp2p node with gossip, questions and calls on it. Parts start in order and stop in reverse;
 * stopping drains the calls first, because libp2p itself cuts streams in a way that looks like a clean end.
 */
import type { Connection, IdentifyResult, PeerId } from '@libp2p/interface';
import type { Clock } from '../base/clock.ts';
import { invariant } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Dice } from '../base/random.ts';
import type { Store } from '../base/store.ts';
import { CERTIFICATE_BYTES_MAX, FRAMES_VERSION } from '../protocol/frames.ts';
import { type AddressBook, openAddressBook } from './address-book.ts';
import { type Bans, createBans } from './bans.ts';
import { startCalls } from './calls.ts';
import { createDialer } from './dialer.ts';
import { createPeerDoor } from './door.ts';
import { createExchange } from './exchange.ts';
import { createGossip } from './gossip.ts';
import type { Mesh, PeerConduct, PeerInfo } from './interface.ts';
import { CALL_BODY_BYTES_MAX, CALL_WINDOW_BYTES, CALLS_PER_PEER_MAX } from './limits.ts';
import { type MeshNode, startNode } from './node.ts';
import { completeOptions, type MeshOptions } from './options.ts';
import { createStandings, type Standings } from './standing.ts';
import { startWatchdog } from './watchdog.ts';

/** What a mesh works with. */
export interface MeshParts {
  /** Ed25519 seed of the peer's own key, 32 bytes. */
  readonly peerSeed: Uint8Array;
  /** Keeps the address book; stays open when the mesh stops. */
  readonly store: Store;
  readonly log: Log;
  readonly clock: Clock;
  readonly dice: Dice;
  /** Keeps the standing of peers. Default: nobody does. */
  readonly conduct?: PeerConduct;
}

/**
 * A started mesh node. Throws `port-busy` with the port, or `config-invalid` for an address it cannot listen on.
 * Whatever had started is stopped again when a later part fails.
 */
export async function createMesh(parts: MeshParts, given: Partial<MeshOptions> = {}): Promise<Mesh> {
  const options = completeOptions(given);
  const { clock } = parts;
  const bans = createBans({ clock }, { banMs: options.banMs });
  const standings = createStandings({ clock });
  const book = await openAddressBook(parts);
  const node = await startNode({ peerSeed: parts.peerSeed, bans, standings }, options);
  try {
    return await assemble(parts, { node, bans, standings, book }, options);
  } catch (error) {
    await node.stop();
    throw error;
  }
}

interface Started {
  readonly node: MeshNode;
  readonly bans: Bans;
  readonly standings: Standings;
  readonly book: AddressBook;
}

async function assemble(parts: MeshParts, started: Started, options: MeshOptions): Promise<Mesh> {
  const { clock, log, dice } = parts;
  const { node, bans, standings, book } = started;
  const door = createPeerDoor({ clock, conduct: parts.conduct });
  const gossip = createGossip({ pubsub: node.services.gossip, clock, log, standings, door }, options);
  const peers = watchPeers(node, book.met);
  const dialer = createDialer({ node, book, clock, dice, log }, options);
  const exchange = createExchange(
    { node, dialer, clock, log, door },
    { timeoutMs: options.requestTimeoutMs },
  );
  const calls = await startCalls(
    { node, dialer, clock, log, door },
    {
      hello: {
        version: FRAMES_VERSION,
        network: options.network,
        bodyBytesMax: CALL_BODY_BYTES_MAX,
        windowBytes: CALL_WINDOW_BYTES,
        callsMax: CALLS_PER_PEER_MAX,
        certificate: options.certificate,
      },
      pingIntervalMs: options.pingIntervalMs,
      idleMs: options.idleMs,
      openTimeoutMs: options.dialTimeoutMs,
    },
  );
  const stopWatchdog = startWatchdog(
    { node, clock, log, bans, redial: (peerId) => dialer.redial(peerId) },
    { intervalMs: options.watchdogIntervalMs },
  );
  log.info('mesh started', { peer: node.peerId.toString(), addresses: node.getMultiaddrs().map(String) });

  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopWatchdog();
    await calls.stop(options.drainMs);
    dialer.stop();
    gossip.stop();
    peers.stop();
    await node.stop();
    await book.close();
    log.info('mesh stopped', {});
  };
  return {
    peerId: node.peerId.toString(),
    present(certificate) {
      invariant(certificate.length <= CERTIFICATE_BYTES_MAX, 'the certificates fit into a HELLO');
      calls.present(certificate);
    },
    judge: calls.judge,
    addresses: () => node.getMultiaddrs().map(String),
    connect: async (address, connectOptions) =>
      (await dialer.connect(address, connectOptions)).remotePeer.toString(),
    ping: dialer.ping,
    peers: () => peers.list(),
    onPeers: peers.listen,
    subscribe: gossip.subscribe,
    publish: gossip.publish,
    request: exchange.request,
    serve: exchange.serve,
    openCall: calls.open,
    serveCalls: calls.serve,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

interface PeerWatch {
  list(): readonly PeerInfo[];
  readonly listen: Mesh['onPeers'];
  stop(): void;
}

/** Who comes and goes; what identify tells of them goes to `met`. */
function watchPeers(node: MeshNode, met: (peerId: string, addresses: readonly string[]) => void): PeerWatch {
  const listeners = new Set<Parameters<Mesh['onPeers']>[0]>();
  const versions = new Map<string, string>();
  const tell = (peer: PeerId, connected: boolean): void => {
    for (const listener of [...listeners]) listener({ peerId: peer.toString(), connected });
  };
  const onConnect = (event: CustomEvent<PeerId>): void => tell(event.detail, true);
  const onDisconnect = (event: CustomEvent<PeerId>): void => {
    versions.delete(event.detail.toString());
    tell(event.detail, false);
  };
  const onIdentify = (event: CustomEvent<IdentifyResult>): void => {
    const { peerId, agentVersion, listenAddrs, connection } = event.detail;
    if (agentVersion) versions.set(peerId.toString(), agentVersion.slice(0, 128));
    const dialled = connection.direction === 'outbound' ? [connection.remoteAddr.toString()] : [];
    met(peerId.toString(), [...dialled, ...listenAddrs.map(String)]);
  };
  node.addEventListener('peer:connect', onConnect);
  node.addEventListener('peer:disconnect', onDisconnect);
  node.addEventListener('peer:identify', onIdentify);
  return {
    list: () => node.getPeers().flatMap((peer) => infoOf(node.getConnections(peer), versions)),
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop() {
      node.removeEventListener('peer:connect', onConnect);
      node.removeEventListener('peer:disconnect', onDisconnect);
      node.removeEventListener('peer:identify', onIdentify);
      listeners.clear();
    },
  };
}

function infoOf(connections: readonly Connection[], versions: ReadonlyMap<string, string>): PeerInfo[] {
  const first = connections[0];
  if (!first) return [];
  const peerId = first.remotePeer.toString();
  const agentVersion = versions.get(peerId);
  return [
    {
      peerId,
      addresses: connections.map((connection) => connection.remoteAddr.toString()),
      direction: first.direction,
      connectedAtMs: Math.min(...connections.map((connection) => connection.timeline.open)),
      ...(first.rtt !== undefined && { latencyMs: first.rtt }),
      ...(agentVersion !== undefined && { agentVersion }),
    },
  ];
}
