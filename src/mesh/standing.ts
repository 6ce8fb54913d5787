import { STANDINGS_MAX } from './limits.ts';

/** What this peer holds against its neighbours, beside what gossip itself scores. Zero is good standing. */
export interface Standings {
  /** Takes `points` off a peer's standing. */
  penalise(peerId: string, points: number): void;
  /** Zero or less. Forgives by halves. */
  scoreOf(peerId: string): number;
}

const HALF_LIFE_MS = 60_000;
const FORGIVEN = 0.01;

/** Everybody in good standing. */
export function createStandings(parts: { readonly clock: { monotonicMs(): number } }): Standings {
  const debts = new Map<string, { points: number; atMs: number }>();
  const current = (peerId: string): number => {
    const debt = debts.get(peerId);
    if (!debt) return 0;
    const points = debt.points * 0.5 ** ((parts.clock.monotonicMs() - debt.atMs) / HALF_LIFE_MS);
    if (points < FORGIVEN) debts.delete(peerId);
    return points;
  };
  return {
    penalise(peerId, points) {
      const owed = current(peerId) + points;
      debts.delete(peerId);
      debts.set(peerId, { points: owed, atMs: parts.clock.monotonicMs() });
      if (debts.size > STANDINGS_MAX) debts.delete(debts.keys().next().value as string);
    },
    scoreOf: (peerId) => 0 - current(peerId),
  };
}
