/**
 * Compares gossip with the connections under it. gossipsub forgets a peer for the life of its connection after
 * one oversized RPC or a broken stream, and never disconnects one whose score is gone; both are mended here.
 */

import type { GossipSub } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Bans } from './bans.ts';
import { GRAYLIST_SCORE } from './gossip-settings.ts';
import type { MeshNode } from './node.ts';

/** What the watchdog works with. */
export interface WatchdogParts {
  readonly node: MeshNode;
  readonly clock: Clock;
  readonly log: Log;
  readonly bans: Bans;
  /** Dials a peer again after its connections were closed. */
  readonly redial: (peerId: string) => void;
}

/** Checks in which a peer must be missing from gossip before it is redialled: it may just be arriving. */
const MISSING_CHECKS = 2;

/** Starts watching; the result stops it. */
export function startWatchdog(parts: WatchdogParts, options: { readonly intervalMs: number }): () => void {
  const { node, clock } = parts;
  const pubsub = node.services.gossip;
  let missing = new Map<string, number>();
  let cancel = (): void => {};
  let stopped = false;

  const check = async (): Promise<void> => {
    const gossiping = new Set(pubsub.getPeers().map(String));
    const stillMissing = new Map<string, number>();
    for (const peer of node.getPeers()) {
      const peerId = peer.toString();
      if (scoreOf(pubsub, peerId) < GRAYLIST_SCORE) await expel(parts, peer);
      else if (!gossiping.has(peerId) && (await speaksGossip(node, peer))) {
        const times = (missing.get(peerId) ?? 0) + 1;
        if (times < MISSING_CHECKS) stillMissing.set(peerId, times);
        else await renew(parts, peer);
      }
    }
    missing = stillMissing;
  };
  const schedule = (): void => {
    cancel = clock.after(options.intervalMs, () => {
      check()
        .catch((error: unknown) => parts.log.warn('gossip watchdog failed', { reason: String(error) }))
        .finally(() => {
          if (!stopped) schedule();
        });
    });
  };
  schedule();
  return () => {
    stopped = true;
    cancel();
  };
}

async function expel(parts: WatchdogParts, peer: PeerId): Promise<void> {
  parts.log.warn('peer expelled', { peer: peer.toString(), reason: 'standing' });
  parts.bans.add(peer.toString());
  await close(parts.node, peer);
}

async function renew(parts: WatchdogParts, peer: PeerId): Promise<void> {
  parts.log.info('peer redialled', { peer: peer.toString(), reason: 'gossip lost it' });
  await close(parts.node, peer);
  parts.redial(peer.toString());
}

async function close(node: MeshNode, peer: PeerId): Promise<void> {
  await node.hangUp(peer).catch(() => {
    for (const connection of node.getConnections(peer))
      connection.abort(new SaharaError('peer-gone', { reason: 'gossip lost it' }));
  });
}

async function speaksGossip(node: MeshNode, peer: PeerId): Promise<boolean> {
  const known = await node.peerStore.get(peer).catch(() => undefined);
  return known?.protocols.some((protocol) => protocol.startsWith('/meshsub/')) ?? false;
}

/** gossipsub's own score of a peer; its public type leaves the method out. */
function scoreOf(pubsub: GossipSub, peerId: string): number {
  const scored: { readonly getScore?: unknown } = pubsub as object;
  if (typeof scored.getScore !== 'function') return 0;
  const score: unknown = scored.getScore.call(pubsub, peerId);
  return typeof score === 'number' ? score : 0;
}
