/** Multiaddrs and peer ids as people and peers write them. */
import type { PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { SaharaError } from '../base/errors.ts';
import { ADDRESS_CHARACTERS_MAX } from './limits.ts';

/** Something to dial: a multiaddr, a peer id, or a multiaddr that names its peer. */
export interface Target {
  readonly multiaddr?: Multiaddr;
  readonly peerId?: PeerId;
}

/** What `address` names. Throws `usage` when it is neither a multiaddr nor a peer id. */
export function parseTarget(address: string): Target {
  // Decoding a name takes time that grows with the square of its length.
  if (address.length > ADDRESS_CHARACTERS_MAX) {
    const reason = `longer than ${ADDRESS_CHARACTERS_MAX} characters`;
    throw new SaharaError('usage', { what: 'peer address', found: `${address.slice(0, 64)}…`, reason });
  }
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

/** The last peer id that a multiaddr names. */
export function peerIdIn(address: string): string | undefined {
  const at = address.lastIndexOf('/p2p/');
  return at < 0 ? undefined : address.slice(at + 5).split('/')[0];
}

/** Multiaddrs that each name the peer: libp2p dials a list as one peer only then. */
export function withPeer(addresses: readonly string[], peerId: string): Multiaddr[] {
  return addresses.map((address) => {
    return multiaddr(peerIdIn(address) === peerId ? address : `${address}/p2p/${peerId}`);
  });
}

/** What a thrown value says, on one line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0] || error.name : String(error);
}

function parsePeerId(text: string): PeerId | undefined {
  try {
    return peerIdFromString(text);
  } catch {
    return undefined;
  }
}
