import { BANS_MAX } from './limits.ts';

/** Peers kept out for a while because their standing is gone. */
export interface Bans {
  add(peerId: string): void;
  has(peerId: string): boolean;
}

/** An empty list; each ban lasts `banMs`. The oldest make room when there are too many. */
export function createBans(
  parts: { readonly clock: { monotonicMs(): number } },
  options: { readonly banMs: number },
): Bans {
  const untilMs = new Map<string, number>();
  return {
    add(peerId) {
      untilMs.delete(peerId);
      untilMs.set(peerId, parts.clock.monotonicMs() + options.banMs);
      if (untilMs.size > BANS_MAX) untilMs.delete(untilMs.keys().next().value as string);
    },
    has(peerId) {
      const until = untilMs.get(peerId);
      if (until === undefined) return false;
      if (parts.clock.monotonicMs() < until) return true;
      untilMs.delete(peerId);
      return false;
    },
  };
}
