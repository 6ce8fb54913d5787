/**
 * Who to be connected to: dials on request, keeps the bootstrap list and the relays connected for ever (libp2p's
 * own keep-alive gives up after half a minute), fills up from the address book, and dials what is discovered.
 */
import type { Connection, PeerInfo as DiscoveredPeer, PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Dice } from '../base/random.ts';
import type { AddressBook } from './address-book.ts';
import { ADDRESS_BOOK_PEERS_MAX } from './limits.ts';
import type { MeshNode } from './node.ts';
import type { MeshOptions } from './options.ts';

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

const BOOK_DIALS_AT_A_TIME = 2;
const WAITS_MAX = 2 * ADDRESS_BOOK_PEERS_MAX;

interface Wait {
  untilMs: number;
  delayMs: number;
  dialling: boolean;
}

/** A dialer over a started node; it begins with the bootstrap list at once. */
export function createDialer(parts: DialerParts, options: MeshOptions): Dialer {
  const { node, book, clock, log } = parts;
  const waits = new Map<string, Wait>();
  const kept = [...new Set([...options.bootstrap, ...options.relays])];
  const keptIds = new Map<string, string>();
  const stopping = new AbortController();
  let cancelTick = (): void => {};

  const connect: Dialer['connect'] = async (address, { signal } = {}) => {
    const target = parseTarget(address);
    if (signal?.aborted) throw new SaharaError('cancelled');
    const peerId = target.peerId?.toString();
    if (target.peerId?.equals(node.peerId)) {
      throw new SaharaError('peer-unreachable', { peer: address, reason: 'it is this peer' });
    }
    const open = target.peerId && connectionTo(node, target.peerId);
    if (open) return open;
    const known = target.multiaddr || !peerId ? [] : withPeer(book.addressesOf(peerId), peerId);
    const what = target.multiaddr ?? (known.length > 0 ? known : target.peerId);
    try {
      const limits = AbortSignal.any([stopping.signal, ...(signal ? [signal] : [])]);
      return await node.dial(what as Multiaddr, { signal: limits });
    } catch (error) {
      if (signal?.aborted) throw new SaharaError('cancelled');
      throw new SaharaError('peer-unreachable', { peer: address, reason: reasonOf(error) }, { cause: error });
    }
  };

  const attempt = (target: string): void => {
    const nowMs = clock.monotonicMs();
    const wait = waits.get(target) ?? { untilMs: 0, delayMs: options.reconnectMinMs, dialling: false };
    waits.set(target, wait);
    if (wait.dialling || nowMs < wait.untilMs) return;
    wait.dialling = true;
    connect(target)
      .then((connection) => {
        keptIds.set(target, connection.remotePeer.toString());
        wait.delayMs = options.reconnectMinMs;
      })
      .catch((error: unknown) => {
        log.debug('dial failed', { target, reason: reasonOf(error) });
        wait.delayMs = Math.min(options.reconnectMaxMs, wait.delayMs * 2);
      })
      .finally(() => {
        wait.dialling = false;
        wait.untilMs = clock.monotonicMs() + jittered(wait.delayMs, parts.dice);
      });
  };

  const tick = (): void => {
    const connected = new Set(node.getPeers().map(String));
    for (const target of kept) {
      const peerId = keptIds.get(target) ?? peerIdIn(target);
      if (peerId === undefined || !connected.has(peerId)) attempt(target);
    }
    if (connected.size < options.peersTarget) {
      const nowMs = clock.monotonicMs();
      const due = (id: string): boolean => !connected.has(id) && nowMs >= (waits.get(id)?.untilMs ?? 0);
      book.peerIds().filter(due).slice(0, BOOK_DIALS_AT_A_TIME).forEach(attempt);
    }
    if (waits.size > WAITS_MAX) forgetWaits(waits, kept);
    cancelTick = clock.after(jittered(options.reconnectMinMs, parts.dice), tick);
  };

  const onDiscovery = (event: CustomEvent<DiscoveredPeer>): void => {
    const { id, multiaddrs } = event.detail;
    const enough = node.getPeers().length >= Math.max(options.peersTarget, options.connectionsMax / 2);
    if (enough || node.getConnections(id).length > 0 || multiaddrs.length === 0) return;
    node
      .dial(withPeer(multiaddrs.map(String), id.toString()), { signal: stopping.signal })
      .catch((error: unknown) =>
        log.debug('dial failed', { target: id.toString(), reason: reasonOf(error) }),
      );
  };
  node.addEventListener('peer:discovery', onDiscovery);
  tick();

  return {
    connect,
    async ping(peerId, pingOptions = {}) {
      const connection = await connect(peerId, pingOptions);
      const { signal = AbortSignal.timeout(options.requestTimeoutMs) } = pingOptions;
      try {
        return await node.services.ping.ping(connection.remotePeer, { signal });
      } catch (error) {
        if (pingOptions.signal?.aborted) throw new SaharaError('cancelled');
        throw new SaharaError(
          'peer-unreachable',
          { peer: peerId, reason: reasonOf(error) },
          { cause: error },
        );
      }
    },
    redial(peerId) {
      waits.delete(peerId);
      attempt(peerId);
    },
    stop() {
      cancelTick();
      node.removeEventListener('peer:discovery', onDiscovery);
      stopping.abort();
    },
  };
}

/** Drops what is known of peers that have long left the address book: at worst one is dialled early. */
function forgetWaits(waits: Map<string, Wait>, kept: readonly string[]): void {
  for (const [target, wait] of waits) {
    if (!wait.dialling && !kept.includes(target)) waits.delete(target);
  }
}

/** An open connection to `peer`, a direct one before a relayed one. */
function connectionTo(node: MeshNode, peer: PeerId): Connection | undefined {
  const open = node.getConnections(peer).filter((connection) => connection.status === 'open');
  return open.find((connection) => connection.limits === undefined) ?? open[0];
}

/** The peer id that `text` is, or undefined. */
function parsePeerId(text: string): PeerId | undefined {
  try {
    return peerIdFromString(text);
  } catch {
    return undefined;
  }
}

/** The last peer id that a multiaddr names. */
export function peerIdIn(address: string): string | undefined {
  const at = address.lastIndexOf('/p2p/');
  return at < 0 ? undefined : address.slice(at + 5).split('/')[0];
}

interface Target {
  readonly multiaddr?: Multiaddr;
  readonly peerId?: PeerId;
}

function parseTarget(address: string): Target {
  if (!address.startsWith('/')) {
    const peerId = parsePeerId(address);
    if (peerId) return { peerId };
    throw new SaharaError('usage', { what: 'peer address', found: address });
  }
  try {
    const parsed = multiaddr(address);
    const named = peerIdIn(address);
    const peerId = named === undefined ? undefined : parsePeerId(named);
    return { multiaddr: parsed, ...(peerId && { peerId }) };
  } catch (error) {
    throw new SaharaError('usage', { what: 'peer address', found: address, reason: reasonOf(error) });
  }
}

// libp2p dials a list of addresses as one peer only if each names it.
function withPeer(addresses: readonly string[], peerId: string): Multiaddr[] {
  return addresses.map((address) => {
    return multiaddr(peerIdIn(address) === peerId ? address : `${address}/p2p/${peerId}`);
  });
}

function jittered(delayMs: number, dice: Dice): number {
  return delayMs * (0.5 + (dice.bytes(1)[0] ?? 0) / 256);
}

/** What a thrown value says. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0] || error.name : String(error);
}
