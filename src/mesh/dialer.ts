/** Connections: on request, to what local discovery finds, and those that are kept up by themselves. */
import type { Connection, PeerInfo as DiscoveredPeer, PeerId } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Dice } from '../base/random.ts';
import type { AddressBook } from './address-book.ts';
import { parseTarget, reasonOf, withPeer } from './addresses.ts';
import type { MeshNode } from './node.ts';
import type { MeshOptions } from './options.ts';
import { startReconnect } from './reconnect.ts';

/** Connections on request and by themselves. */
export interface Dialer {
  /** A multiaddr or a peer id. Throws `peer-unreachable`, `cancelled`, or `usage` for neither. */
  connect(address: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<Connection>;
  /** Round trip to a peer, milliseconds. Throws `peer-unreachable` or `cancelled`. */
  ping(peerId: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<number>;
  /** Dials a peer soon, whatever its wait. */
  redial(peerId: string): void;
  stop(): void;
}

/** What a dialer works with. */
export interface DialerParts {
  readonly node: MeshNode;
  readonly book: AddressBook;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly log: Log;
}

/** A dialer over a started node; it begins with the bootstrap list at once. */
export function createDialer(parts: DialerParts, options: MeshOptions): Dialer {
  const { node, book, log } = parts;
  const stopping = new AbortController();

  const connect: Dialer['connect'] = async (address, { signal } = {}) => {
    if (signal?.aborted) throw new SaharaError('cancelled');
    const target = parseTarget(address);
    const peerId = target.peerId?.toString();
    if (target.peerId?.equals(node.peerId)) {
      throw new SaharaError('peer-unreachable', { peer: address, reason: 'it is this peer' });
    }
    const open = target.peerId && connectionTo(node, target.peerId);
    if (open) return open;
    const known = target.multiaddr || !peerId ? [] : withPeer(book.addressesOf(peerId), peerId);
    const what = target.multiaddr ?? (known.length > 0 ? known : target.peerId);
    try {
      const either = AbortSignal.any([stopping.signal, ...(signal ? [signal] : [])]);
      // `parseTarget` gives one or the other.
      return await node.dial(what as Multiaddr, { signal: either });
    } catch (error) {
      throw unreachable(address, error, signal);
    }
  };
  const reconnect = startReconnect({ ...parts, connect: (target) => connect(target) }, options);

  const onDiscovery = (event: CustomEvent<DiscoveredPeer>): void => {
    const { id, multiaddrs } = event.detail;
    const enough = node.getPeers().length >= Math.max(options.peersTarget, options.connectionsMax / 2);
    if (enough || node.getConnections(id).length > 0 || multiaddrs.length === 0) return;
    const target = id.toString();
    node
      .dial(withPeer(multiaddrs.map(String), target), { signal: stopping.signal })
      .catch((error: unknown) => log.debug('dial failed', { target, reason: reasonOf(error) }));
  };
  node.addEventListener('peer:discovery', onDiscovery);

  return {
    connect,
    async ping(peerId, pingOptions = {}) {
      const connection = await connect(peerId, pingOptions);
      const { signal = AbortSignal.timeout(options.requestTimeoutMs) } = pingOptions;
      try {
        return await node.services.ping.ping(connection.remotePeer, { signal });
      } catch (error) {
        throw unreachable(peerId, error, pingOptions.signal);
      }
    },
    redial: (peerId) => reconnect.now(peerId),
    stop() {
      reconnect.stop();
      node.removeEventListener('peer:discovery', onDiscovery);
      stopping.abort();
    },
  };
}

function unreachable(peer: string, error: unknown, signal: AbortSignal | undefined): SaharaError {
  if (signal?.aborted) return new SaharaError('cancelled');
  return new SaharaError('peer-unreachable', { peer, reason: reasonOf(error) }, { cause: error });
}

/** An open connection to `peer`, a direct one before a relayed one. */
function connectionTo(node: MeshNode, peer: PeerId): Connection | undefined {
  const open = node.getConnections(peer).filter((connection) => connection.status === 'open');
  return open.find((connection) => connection.limits === undefined) ?? open[0];
}
