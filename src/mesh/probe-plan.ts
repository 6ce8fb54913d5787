import type { Dice } from '../base/random.ts';
import type { HostEntry } from './directory-state.ts';

/** How a round of probes is chosen. */
export interface ProbePlan {
  readonly dice: Dice;
  /** Hosts of one round. */
  readonly count: number;
  /** This peer, which does not probe itself. */
  readonly here: string;
  /** Hosts that proved themselves after this are left alone, monotonic milliseconds. */
  readonly restedSinceMs: number;
}

/**
 * The hosts of the next round: up to half of it, rounded up, for those that failed and are due again, the rest by lot
 * among those listed that have not proven themselves lately.
 */
export function pickHosts(hosts: readonly HostEntry[], plan: ProbePlan): readonly HostEntry[] {
  const others = hosts.filter(({ peerId }) => peerId !== plan.here);
  const due = others.filter(({ failures, retryDue }) => failures > 0 && retryDue);
  const listed = others.filter(
    ({ failures, provenAtMs }) =>
      failures === 0 && (provenAtMs ?? Number.NEGATIVE_INFINITY) < plan.restedSinceMs,
  );
  const again = drawn(due, Math.ceil(plan.count / 2), plan.dice);
  return [...again, ...drawn(listed, plan.count - again.length, plan.dice)];
}

/** Up to `count` of `items`, each as likely as the others. */
function drawn<T>(items: readonly T[], count: number, dice: Dice): readonly T[] {
  const left = [...items];
  const taken: T[] = [];
  while (taken.length < count && left.length > 0) {
    const bytes = dice.bytes(4);
    const lot = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) % left.length;
    taken.push(...left.splice(lot, 1));
  }
  return taken;
}
