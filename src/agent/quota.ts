/**
 * Free calls: how many each caller has had of an agent in the running window. A new key costs nothing, so the peer
 * that the calls come from and the agent over all callers have bounds of their own. Survives a restart.
 */
import { concat, readU64be, toHex, u64be, utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import type { Store, StoreOperation } from '../base/store.ts';
import type { PublicKey } from '../protocol/ids.ts';
import { FREE_CALLERS_PER_AGENT, FREE_CALLERS_PER_PEER, QUOTAS_FOLLOWED_MAX } from './call-limits.ts';

/** How many calls are free, per caller and window. */
export interface FreeQuota {
  readonly calls: number;
  readonly windowSeconds: number;
}

/** Who asks whom for a free call. */
export interface FreeCall {
  readonly agent: PublicKey;
  readonly caller: PublicKey;
  /** The peer that the call comes from. */
  readonly peerId: string;
}

/** Counts free calls. */
export interface QuotaBook {
  /**
   * Takes one free call. Throws `quota-exhausted` with the time of the next window and `of`: whose calls are used
   * up, the `caller`'s, the `peer`'s or the `agent`'s.
   */
  take(call: FreeCall, quota: FreeQuota): void;
  /** How much of the agent's free calls in this window is used up, over all callers or by the peer: 0 to 1. */
  used(call: FreeCall, quota: FreeQuota): number;
  /** Gives one back that was not served. */
  giveBack(call: FreeCall): void;
  /** Resolves once everything so far is written. */
  flushed(): Promise<void>;
}

interface Count {
  window: number;
  used: number;
  endsAtMs: number;
}

const LINGER_MS = 20;

/** Opens the counts kept in `parts.store`, which they have for themselves. */
export async function openQuotaBook(parts: {
  readonly store: Store;
  readonly clock: Clock;
}): Promise<QuotaBook> {
  const { store, clock } = parts;
  const counts = new Map<string, Count>();
  const changed = new Map<string, Uint8Array>();
  let writing: Promise<void> = Promise.resolve();
  let scheduled = false;
  const gone: StoreOperation[] = [];
  for await (const [key, value] of store.entries()) {
    const [window, used, endsAtMs] = [0, 8, 16].map((at) => Number(readU64be(value, at))) as [
      number,
      number,
      number,
    ];
    if (endsAtMs < clock.nowMs()) gone.push({ type: 'del', key });
    else counts.set(toHex(key), { window, used, endsAtMs });
  }
  await store.batch(gone);

  const flushed = (): Promise<void> => {
    const operations: StoreOperation[] = [];
    for (const [name, key] of changed) {
      const count = counts.get(name);
      if (!count) operations.push({ type: 'del', key });
      else {
        const value = concat(
          u64be(BigInt(count.window)),
          u64be(BigInt(count.used)),
          u64be(BigInt(count.endsAtMs)),
        );
        operations.push({ type: 'put', key, value });
      }
    }
    changed.clear();
    if (operations.length > 0) {
      writing = writing.then(() => store.batch(operations));
      // Who waits hears of a failure; nobody may be waiting.
      writing.catch(() => {});
    }
    return writing;
  };
  const touch = (name: string, key: Uint8Array): void => {
    changed.set(name, key);
    if (scheduled) return;
    scheduled = true;
    clock.after(LINGER_MS, () => {
      scheduled = false;
      void flushed();
    });
  };
  return {
    take(call, quota) {
      const nowMs = clock.nowMs();
      const windowMs = quota.windowSeconds * 1000;
      const window = windowAt(nowMs, quota);
      const taken = bucketsOf(call).map(({ of, key, callers }) => {
        const name = toHex(key);
        const known = counts.get(name);
        const count =
          known?.window === window ? known : { window, used: 0, endsAtMs: (window + 1) * windowMs };
        if (count.used >= quota.calls * callers) {
          const { calls } = quota;
          throw new SaharaError('quota-exhausted', { calls, nextAtMs: count.endsAtMs, of });
        }
        return { name, key, count };
      });
      for (const { name, key, count } of taken) {
        count.used++;
        counts.delete(name);
        counts.set(name, count);
        const oldest = counts.size > QUOTAS_FOLLOWED_MAX ? counts.keys().next().value : undefined;
        if (oldest !== undefined) counts.delete(oldest);
        touch(name, key);
      }
    },
    used(call, quota) {
      const window = windowAt(clock.nowMs(), quota);
      const shares = bucketsOf(call)
        .filter(({ of }) => of !== 'caller')
        .map(({ key, callers }) => {
          const known = counts.get(toHex(key));
          return known?.window === window ? known.used / (quota.calls * callers) : 0;
        });
      return Math.min(1, Math.max(...shares));
    },
    giveBack(call) {
      for (const { key } of bucketsOf(call)) {
        const name = toHex(key);
        const count = counts.get(name);
        if (!count || count.used === 0) continue;
        count.used--;
        touch(name, key);
      }
    },
    flushed,
  };
}

/** Number of the window in which `nowMs` stands. */
function windowAt(nowMs: number, { windowSeconds }: FreeQuota): number {
  return windowSeconds > 0 ? Math.floor(nowMs / (windowSeconds * 1000)) : 0;
}

/** What one free call counts in. The letter after the agent tells a caller's key from a peer's. */
function bucketsOf({ agent, caller, peerId }: FreeCall): readonly {
  readonly of: 'caller' | 'peer' | 'agent';
  readonly key: Uint8Array;
  readonly callers: number;
}[] {
  return [
    { of: 'caller', key: concat(agent, utf8('c'), caller), callers: 1 },
    { of: 'peer', key: concat(agent, utf8(`p${peerId}`)), callers: FREE_CALLERS_PER_PEER },
    { of: 'agent', key: agent, callers: FREE_CALLERS_PER_AGENT },
  ];
}
