/**
 * Who to be connected to without being asked: the bootstrap list and the relays for ever (libp2p's own keep-alive
 * gives up after half a minute), and peers of the address book until there are enough.
 */
import type { Connection } from '@libp2p/interface';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Dice } from '../base/random.ts';
import type { AddressBook } from './address-book.ts';
import { peerIdIn, reasonOf } from './addresses.ts';
import { ADDRESS_BOOK_PEERS_MAX } from './limits.ts';
import type { MeshNode } from './node.ts';
import type { MeshOptions } from './options.ts';

/** What reconnecting works with. */
export interface ReconnectParts {
  readonly node: MeshNode;
  readonly book: AddressBook;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly log: Log;
  /** Dials a multiaddr or a peer id. */
  readonly connect: (target: string) => Promise<Connection>;
}

/** Dials that repeat themselves. */
export interface Reconnect {
  /** Dials soon, whatever the wait. */
  now(peerId: string): void;
  stop(): void;
}

const BOOK_DIALS_AT_A_TIME = 2;
const WAITS_MAX = 2 * ADDRESS_BOOK_PEERS_MAX;

interface Wait {
  untilMs: number;
  delayMs: number;
  dialling: boolean;
}

/** Begins with the bootstrap list at once. */
export function startReconnect(parts: ReconnectParts, options: MeshOptions): Reconnect {
  const { node, book, clock, log } = parts;
  const waits = new Map<string, Wait>();
  const kept = [...new Set([...options.bootstrap, ...options.relays])];
  const keptIds = new Map<string, string>();
  let cancelTick = (): void => {};

  const attempt = (target: string): void => {
    const wait = waits.get(target) ?? { untilMs: 0, delayMs: options.reconnectMinMs, dialling: false };
    waits.set(target, wait);
    if (wait.dialling || clock.monotonicMs() < wait.untilMs) return;
    wait.dialling = true;
    parts
      .connect(target)
      .then((connection) => {
        if (kept.includes(target)) keptIds.set(target, connection.remotePeer.toString());
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
  tick();
  return {
    now(peerId) {
      waits.delete(peerId);
      attempt(peerId);
    },
    stop: () => cancelTick(),
  };
}

/** Drops what is known of peers that may have left the address book: at worst one is dialled early. */
function forgetWaits(waits: Map<string, Wait>, kept: readonly string[]): void {
  for (const [target, wait] of waits) {
    if (!wait.dialling && !kept.includes(target)) waits.delete(target);
  }
}

function jittered(delayMs: number, dice: Dice): number {
  return delayMs * (0.5 + (dice.bytes(1)[0] ?? 0) / 256);
}
