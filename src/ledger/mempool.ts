/**
 * Transactions that wait for a block: bounded in total and per sender, in nonce order within a sender. Senders
 * take turns from block to block, so a flood from one does not hold up another.
 */
import {
  MEMPOOL_AGE_MS_MAX,
  MEMPOOL_BYTES_MAX,
  MEMPOOL_PER_SENDER_MAX,
  MEMPOOL_TRANSACTIONS_MAX,
} from './limits.ts';
import { nameOf } from './names.ts';
import type { Prepared } from './prepare.ts';

/** Bounds of a mempool. */
export interface MempoolOptions {
  readonly transactionsMax: number;
  readonly bytesMax: number;
  readonly perSenderMax: number;
  /** How long a transaction waits before it may be dropped, milliseconds. */
  readonly ageMsMax: number;
}

/** Bounds unless told otherwise: those of `limits.ts`. */
const MEMPOOL_DEFAULTS: MempoolOptions = {
  transactionsMax: MEMPOOL_TRANSACTIONS_MAX,
  bytesMax: MEMPOOL_BYTES_MAX,
  perSenderMax: MEMPOOL_PER_SENDER_MAX,
  ageMsMax: MEMPOOL_AGE_MS_MAX,
};

/** What became of an offer: taken, a nonce that another transaction holds, or no room. */
type Offer = 'taken' | 'nonce-taken' | 'full';

interface Waiting {
  readonly prepared: Prepared;
  readonly sinceMs: number;
}

/** Transactions that wait. */
export interface Mempool {
  readonly size: number;
  offer(
    entry: { readonly sender: Uint8Array; readonly nonce: number; readonly prepared: Prepared },
    nowMs: number,
  ): Offer;
  get(sender: Uint8Array, nonce: number): Prepared | undefined;
  /** At most `max` in an order that executes: `nextNonce` tells where each sender stands. They stay in the pool. */
  ready(max: number, nextNonce: (sender: Uint8Array) => number): readonly Prepared[];
  remove(sender: Uint8Array, nonce: number): void;
  /** Takes out what has waited too long. */
  expire(nowMs: number): readonly Prepared[];
  /**
   * Takes out the sender's highest number if it is above `nonce`: a lower one must come first anyway, and later
   * ones must not lock it out of a full pool.
   */
  displace(sender: Uint8Array, nonce: number): Prepared | undefined;
  /** Everything that waits. */
  all(): readonly Prepared[];
}

/** An empty mempool. */
export function createMempool(options: Partial<MempoolOptions> = {}): Mempool {
  return new Pool({ ...MEMPOOL_DEFAULTS, ...options });
}

interface Queue {
  readonly sender: Uint8Array;
  readonly byNonce: Map<number, Waiting>;
}

class Pool implements Mempool {
  readonly #options: MempoolOptions;
  readonly #queues = new Map<string, Queue>();
  #count = 0;
  #bytes = 0;

  constructor(options: MempoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#count;
  }

  offer(
    { sender, nonce, prepared }: { sender: Uint8Array; nonce: number; prepared: Prepared },
    nowMs: number,
  ): Offer {
    const { transactionsMax, bytesMax, perSenderMax } = this.#options;
    const name = nameOf(sender);
    const queue = this.#queues.get(name) ?? { sender, byNonce: new Map<number, Waiting>() };
    if (queue.byNonce.has(nonce)) return 'nonce-taken';
    const full =
      this.#count >= transactionsMax ||
      this.#bytes + prepared.wire.length > bytesMax ||
      queue.byNonce.size >= perSenderMax;
    if (full) return 'full';
    queue.byNonce.set(nonce, { prepared, sinceMs: nowMs });
    this.#queues.set(name, queue);
    this.#count++;
    this.#bytes += prepared.wire.length;
    return 'taken';
  }

  get(sender: Uint8Array, nonce: number): Prepared | undefined {
    return this.#queues.get(nameOf(sender))?.byNonce.get(nonce)?.prepared;
  }

  ready(max: number, nextNonce: (sender: Uint8Array) => number): readonly Prepared[] {
    const chosen: Prepared[] = [];
    const served: [string, Queue][] = [];
    for (const [name, queue] of this.#queues) {
      if (chosen.length >= max) break;
      const before = chosen.length;
      for (let nonce = nextNonce(queue.sender); chosen.length < max; nonce++) {
        const next = queue.byNonce.get(nonce);
        if (next === undefined) break;
        chosen.push(next.prepared);
      }
      if (chosen.length > before) served.push([name, queue]);
    }
    // Who was served goes behind who was not.
    for (const [name, queue] of served) {
      this.#queues.delete(name);
      this.#queues.set(name, queue);
    }
    return chosen;
  }

  remove(sender: Uint8Array, nonce: number): void {
    const name = nameOf(sender);
    const queue = this.#queues.get(name);
    const waiting = queue?.byNonce.get(nonce);
    if (queue === undefined || waiting === undefined) return;
    queue.byNonce.delete(nonce);
    if (queue.byNonce.size === 0) this.#queues.delete(name);
    this.#count--;
    this.#bytes -= waiting.prepared.wire.length;
  }

  expire(nowMs: number): readonly Prepared[] {
    const dropped: Prepared[] = [];
    for (const { sender, byNonce } of [...this.#queues.values()]) {
      for (const [nonce, { prepared, sinceMs }] of [...byNonce]) {
        if (nowMs - sinceMs < this.#options.ageMsMax) continue;
        this.remove(sender, nonce);
        dropped.push(prepared);
      }
    }
    return dropped;
  }

  displace(sender: Uint8Array, nonce: number): Prepared | undefined {
    const queue = this.#queues.get(nameOf(sender));
    let highest = nonce;
    for (const other of queue?.byNonce.keys() ?? []) if (other > highest) highest = other;
    const displaced = queue?.byNonce.get(highest)?.prepared;
    if (displaced !== undefined) this.remove(sender, highest);
    return displaced;
  }

  all(): readonly Prepared[] {
    return [...this.#queues.values()].flatMap(({ byNonce }) =>
      [...byNonce.values()].map((one) => one.prepared),
    );
  }
}
