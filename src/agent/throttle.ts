/**
 * How much of a host one peer, one caller and one channel get: calls begun in a second, and calls at a time. A peer
 * is who it is by its connection and is counted at once. A caller's key and channel are only claimed until the
 * envelope's signature was checked, so before it they are looked at, and counted after it: nobody can use up what
 * belongs to another.
 */
import { toHex } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import { Counts, type Rate, Rates } from '../base/rates.ts';
import type { Hash, PublicKey } from '../protocol/ids.ts';
import { BUSY_RETRY_MS } from './gate.ts';
import { callerName, peerName } from './standing-names.ts';

/** The limits of one host. Standing lowers them by its steps, never below one call at a time. */
export interface ThrottleOptions {
  /** Calls under way at a time, of everybody together. Default 16,384. */
  readonly atOnce: number;
  /** Calls that one peer may begin in a second, and at once. Default 20,000. */
  readonly peerPerSecond: number;
  /** Calls of one peer under way at a time. Default 4,096. */
  readonly peerAtOnce: number;
  /** Calls that one key may begin in a second, and at once. Default 20,000. */
  readonly callerPerSecond: number;
  /** Calls of one key under way at a time. Default 2,048. */
  readonly callerAtOnce: number;
  /** Calls that may begin in a second on one channel, and at once. Default 20,000. */
  readonly channelPerSecond: number;
  /** Calls of one channel under way at a time. Default 2,048. */
  readonly channelAtOnce: number;
  /** Calls that a stranger's key may begin in a second, and at once. Default 64. */
  readonly strangerPerSecond: number;
  /** Calls of a stranger's key under way at a time. Default 64. */
  readonly strangerAtOnce: number;
  /** Peers, keys and channels whose rate is followed, each. Default 10,000. */
  readonly namesMax: number;
}

/** Values for every option. */
export const THROTTLE_DEFAULTS: ThrottleOptions = {
  atOnce: 16_384,
  peerPerSecond: 20_000,
  peerAtOnce: 4_096,
  callerPerSecond: 20_000,
  callerAtOnce: 2_048,
  channelPerSecond: 20_000,
  channelAtOnce: 2_048,
  strangerPerSecond: 64,
  strangerAtOnce: 64,
  namesMax: 10_000,
};

/** Parts of a throttle. */
export interface ThrottleParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** What share of the usual limits a peer or key gets, above 0 and at most 1. Absent: all of it. */
  readonly shareOf?: (name: string) => number;
}

/** Who begins a call. */
export interface Beginner {
  readonly peerId: string;
  readonly caller: PublicKey;
  /** What the opening's voucher is for; absent without one. */
  readonly channel: Hash | undefined;
  /** Neither known nor paying. */
  readonly stranger: boolean;
}

/** What one call takes of the limits. */
export interface Place {
  /** Whose turn the call waits for at an agent: the key's, but strangers of one peer share a turn. */
  readonly turn: string;
  /** The signature holds: counts key and channel. Throws `rate-limited`, `overloaded`. */
  count(): void;
  /** The call is over. */
  leave(): void;
}

/** A limit as it is told: what is counted, calls begun in a second, calls at a time. */
export interface CallLimit {
  readonly what: string;
  readonly perSecond: number;
  readonly atOnce: number;
}

/** One of the three things that are counted. */
interface Door {
  readonly what: 'peer' | 'caller' | 'channel';
  readonly name: string;
  readonly rate: Rate;
  readonly atOnce: number;
}

/** The limits of one host and what is left of them. */
export class Throttle {
  readonly #parts: ThrottleParts;
  readonly #options: ThrottleOptions;
  readonly #rates: Readonly<Record<Door['what'], Rates>>;
  readonly #running = new Counts();
  #all = 0;

  constructor(parts: ThrottleParts, options: Partial<ThrottleOptions> = {}) {
    const all = { ...THROTTLE_DEFAULTS, ...options };
    const rates = (): Rates => new Rates(parts.clock, all.namesMax);
    this.#parts = parts;
    this.#options = all;
    this.#rates = { peer: rates(), caller: rates(), channel: rates() };
  }

  /** Calls that hold a place. */
  get running(): number {
    return this.#all;
  }

  /** The limits of a peer, and of a key whether it is a stranger or not, as they are now. */
  limitsOf(beginner: Beginner): { readonly peer: CallLimit; readonly caller: CallLimit } {
    const [caller = this.#peer(beginner.peerId)] = this.#claimed({ ...beginner, channel: undefined });
    const told = ({ what, rate, atOnce }: Door): CallLimit => ({
      what,
      perSecond: Math.floor(rate.perSecond),
      atOnce,
    });
    return { peer: told(this.#peer(beginner.peerId)), caller: told(caller) };
  }

  /** Counts a message of a peer that is no new call. Throws `rate-limited`. */
  message(peerId: string): void {
    this.#take(this.#peer(peerId));
  }

  /**
   * Lets a call come to its further checks: counts the peer, looks at key and channel. Throws, in this order,
   * `rate-limited` and `overloaded` for the peer, `overloaded` for the host, then both for key and channel.
   */
  begin(beginner: Beginner): Place {
    const peer = this.#peer(beginner.peerId);
    const claimed = this.#claimed(beginner);
    this.#take(peer);
    this.#room(peer);
    const { atOnce } = this.#options;
    if (this.#all >= atOnce) throw busy('host', atOnce);
    for (const door of claimed) {
      const waitMs = this.#rates[door.what].waitMs(door.name, door.rate);
      if (waitMs > 0) throw tooOften(door, waitMs);
      this.#room(door);
    }
    this.#all++;
    this.#running.add(peer.name);
    return this.#place(beginner, peer, claimed);
  }

  #place({ stranger }: Beginner, peer: Door, claimed: readonly Door[]): Place {
    const held = [peer];
    const [caller = peer] = claimed;
    let over = false;
    return {
      turn: stranger ? peer.name : caller.name,
      count: () => {
        // Between the look and this, other calls of the same key may have been counted.
        for (const door of claimed) {
          this.#take(door);
          this.#room(door);
          this.#running.add(door.name);
          held.push(door);
        }
      },
      leave: () => {
        if (over) return;
        over = true;
        this.#all--;
        for (const { name } of held) this.#running.remove(name);
      },
    };
  }

  #peer(peerId: string): Door {
    const { peerPerSecond, peerAtOnce } = this.#options;
    const name = peerName(peerId);
    return { what: 'peer', name, ...scaled(this.#shareOf(name), peerPerSecond, peerAtOnce) };
  }

  #claimed({ caller, channel, stranger }: Beginner): readonly Door[] {
    const all = this.#options;
    const name = callerName(caller);
    const share = this.#shareOf(name);
    const key = stranger
      ? scaled(share, all.strangerPerSecond, all.strangerAtOnce)
      : scaled(share, all.callerPerSecond, all.callerAtOnce);
    const door: Door = { what: 'caller', name, ...key };
    if (channel === undefined) return [door];
    const limits = scaled(share, all.channelPerSecond, all.channelAtOnce);
    // With the key, because anybody can name a channel.
    return [door, { what: 'channel', name: `${toHex(channel)} ${name}`, ...limits }];
  }

  #shareOf(name: string): number {
    return this.#parts.shareOf?.(name) ?? 1;
  }

  #take(door: Door): void {
    const waitMs = this.#rates[door.what].take(door.name, door.rate);
    if (waitMs > 0) throw tooOften(door, waitMs);
  }

  #room(door: Door): void {
    if (this.#running.of(door.name) >= door.atOnce) throw busy(door.what, door.atOnce);
  }
}

/** The limits that a share of the usual ones leaves: at least one a second, and one at a time. */
function scaled(share: number, perSecond: number, atOnce: number): Pick<Door, 'rate' | 'atOnce'> {
  const rate = Math.max(1, perSecond * share);
  return { rate: { perSecond: rate, burst: rate }, atOnce: Math.max(1, Math.floor(atOnce * share)) };
}

function tooOften({ what, rate }: Door, retryAfterMs: number): SaharaError {
  return new SaharaError('rate-limited', { what, limit: Math.floor(rate.perSecond), retryAfterMs });
}

function busy(what: string, limit: number): SaharaError {
  return new SaharaError('overloaded', { what, limit, retryAfterMs: BUSY_RETRY_MS });
}
