/**
 * Hosts that did not answer here. Each is off the list of this peer until it answers a probe, and is tried again with
 * growing pauses. Nobody else's word puts a host here or takes it out. Times are monotonic milliseconds.
 */
import { SUSPECTS_MAX } from './limits.ts';

/** Hosts that failed, by any name that the user gives them. */
export interface Suspects {
  /** Notes a failure. One before the host is due again is of the same absence as the last, and counts as nothing. */
  fail(host: string, nowMs: number): void;
  /** The host answered: whether it was among them. */
  clear(host: string): boolean;
  /** Failures in a row; 0 for a host that is not under suspicion. */
  failures(host: string, nowMs: number): number;
  /** Whether it is time to try it again. */
  isDue(host: string, nowMs: number): boolean;
}

/** First pause before a host that failed is tried again, milliseconds; each further failure doubles it. */
export const RETRY_MS = 5_000;
const RETRY_MS_MAX = 160_000;
/** A host that has not failed for so long is forgotten. */
const MEMORY_MS = 900_000;

/** Nobody under suspicion. */
export function createSuspects(): Suspects {
  // In the order of their last failure, so that the oldest make room.
  const suspects = new Map<string, { readonly failures: number; readonly atMs: number }>();
  const known = (host: string, nowMs: number): { failures: number; atMs: number } | undefined => {
    const found = suspects.get(host);
    if (found === undefined || nowMs - found.atMs < MEMORY_MS) return found;
    suspects.delete(host);
    return undefined;
  };
  const isDue = ({ failures, atMs }: { failures: number; atMs: number }, nowMs: number): boolean =>
    nowMs - atMs >= Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (failures - 1));
  return {
    fail(host, nowMs) {
      const before = known(host, nowMs);
      if (before !== undefined && !isDue(before, nowMs)) return;
      const failures = (before?.failures ?? 0) + 1;
      suspects.delete(host);
      suspects.set(host, { failures, atMs: nowMs });
      for (const [oldest] of suspects) {
        if (suspects.size <= SUSPECTS_MAX) break;
        suspects.delete(oldest);
      }
    },
    clear: (host) => suspects.delete(host),
    failures: (host, nowMs) => known(host, nowMs)?.failures ?? 0,
    isDue(host, nowMs) {
      const found = known(host, nowMs);
      return found !== undefined && isDue(found, nowMs);
    },
  };
}
