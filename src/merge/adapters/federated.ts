/**
 * One round of learning together: clients that trained the same adapter on documents of their own send their updates,
 * and one adapter comes back. Weighted by how much each learned from, no longer than a bound, and without those that
 * point another way than the others. The sum is exact, by putting factors side by side: averaging the factors would mix
 * every client's `b` with every other's `a`. All decisions are made on inner products of the updates.
 *
 * It holds off clients that are few against the honest ones; a majority that agrees is not told from a truth.
 */
import { SaharaError } from '../../base/errors.ts';
import { ADAPTER_CLIENTS_MAX } from '../limits.ts';
import type { ParentShare } from '../shares.ts';
import { innerLowRank, type LowRank } from './low-rank.ts';
import { type MergedAdapter, mergeAdapters } from './merge-adapters.ts';
import type { Adapter } from './peft.ts';

/** What a client sends. */
export interface Client {
  readonly adapter: Adapter;
  /** How much it learned from, such as a number of samples; above 0. Weights are in proportion. */
  readonly amount: number;
}

/** How a round is held. */
export interface RoundOptions {
  /** Rank of the result; absent: the sum of the ranks, and nothing is lost. */
  readonly rank?: number;
  /** Length that updates are cut down to. Default: the median of all clients' lengths. */
  readonly normMax?: number;
  /**
   * Least cosine, -1 to 1, between an update and the weighted sum of the others; who is below is left out, the farthest
   * off first, and the rest are looked at again. Default 0.
   */
  readonly cosineMin: number;
}

/** The defaults of `RoundOptions`. */
export const ROUND_DEFAULTS: RoundOptions = { cosineMin: 0 };

/** What became of a client. */
export interface ClientResult {
  /** Length of its update, over all modules. */
  readonly norm: number;
  /** What its update was scaled by to keep the bound; 1 below it. */
  readonly clip: number;
  /** Cosine to the weighted sum of the others when it was looked at last; `undefined` when it stood alone. */
  readonly cosine: number | undefined;
  readonly admitted: boolean;
  /** Weight of its clipped update in the result; 0 when it was left out. */
  readonly weight: number;
  /** Its part in the result. */
  readonly share: ParentShare;
}

/** A round's outcome. */
export interface Round extends Pick<MergedAdapter, 'adapter' | 'lostEnergy'> {
  /** In the order given. */
  readonly clients: readonly ClientResult[];
}

/**
 * Holds a round. Fails with `usage` for no client, too many, or impossible options, and with `merge-refused` when
 * modules differ in shape or nobody is left.
 */
export function federatedRound(clients: readonly Client[], options: Partial<RoundOptions> = {}): Round {
  const { rank, normMax, cosineMin } = { ...ROUND_DEFAULTS, ...options };
  check(clients, { normMax, cosineMin });
  const inner = innerProducts(clients);
  const norms = clients.map((_client, i) => Math.sqrt(at(inner, i, i)));
  const bound = normMax ?? median(norms);
  const clips = norms.map((norm) => (norm > bound ? bound / norm : 1));
  const clipped = inner.map((row, i) => row.map((value, j) => value * (clips[i] ?? 0) * (clips[j] ?? 0)));
  const amounts = clients.map(({ amount }) => amount);
  const { admitted, cosines } = screen(clipped, { amounts, cosineMin });
  const total = amounts.reduce((sum, amount, i) => sum + (admitted[i] ? amount : 0), 0);
  if (total === 0) throw new SaharaError('merge-refused', { reason: 'no client is left after the screen' });
  const weights = amounts.map((amount, i) => (admitted[i] ? amount / total : 0));
  // Those left out take part with weight zero, so that shares are in the order given.
  const parents = clients.map(({ adapter }, i) => ({ adapter, weight: (weights[i] ?? 0) * (clips[i] ?? 0) }));
  const merged = mergeAdapters(parents, rank === undefined ? {} : { rank });
  return {
    adapter: merged.adapter,
    lostEnergy: merged.lostEnergy,
    clients: merged.shares.map((share, i) => ({
      norm: norms[i] ?? 0,
      clip: clips[i] ?? 1,
      cosine: cosines[i],
      admitted: admitted[i] ?? false,
      weight: weights[i] ?? 0,
      share,
    })),
  };
}

function check(
  clients: readonly Client[],
  { normMax, cosineMin }: { readonly normMax: number | undefined; readonly cosineMin: number },
): void {
  const wrong: [boolean, string][] = [
    [clients.length === 0, 'name at least one client'],
    [clients.length > ADAPTER_CLIENTS_MAX, `a round has at most ${ADAPTER_CLIENTS_MAX} clients`],
    [!clients.every(({ amount }) => amount > 0 && Number.isFinite(amount)), 'amounts are above 0'],
    [normMax !== undefined && !(normMax > 0 && Number.isFinite(normMax)), 'the longest update is above 0'],
    [!(cosineMin >= -1 && cosineMin <= 1), 'a cosine is from -1 to 1'],
  ];
  for (const [is, reason] of wrong) if (is) throw new SaharaError('usage', { reason });
}

// <delta_i, delta_j> over all modules; one that a client does not touch is zero there.
function innerProducts(clients: readonly Client[]): number[][] {
  const names = [...new Set(clients.flatMap(({ adapter }) => [...adapter.modules.keys()]))];
  const rows = clients.map(() => new Array<number>(clients.length).fill(0));
  clients.forEach(({ adapter: x }, i) => {
    clients.slice(i).forEach(({ adapter: y }, step) => {
      const j = i + step;
      const value = names.reduce((sum, name) => {
        const [left, right] = [x.modules.get(name), y.modules.get(name)];
        return left && right && sameShape(left, right) ? sum + innerLowRank(left, right) : sum;
      }, 0);
      for (const [a, b] of [
        [i, j],
        [j, i],
      ] as const) {
        const row = rows[a];
        if (row) row[b] = value;
      }
    });
  });
  return rows;
}

// Updates of different shapes are refused by the merge itself, which names them.
function sameShape(x: LowRank, y: LowRank): boolean {
  return x.b.rows === y.b.rows && x.a.columns === y.a.columns;
}

interface Screened {
  readonly admitted: readonly boolean[];
  readonly cosines: readonly (number | undefined)[];
}

function screen(
  inner: readonly (readonly number[])[],
  { amounts, cosineMin }: { readonly amounts: readonly number[]; readonly cosineMin: number },
): Screened {
  const admitted = inner.map((_row, i) => at(inner, i, i) > 0);
  const cosines: (number | undefined)[] = inner.map(() => undefined);
  for (;;) {
    let worst = -1;
    for (const [i, present] of admitted.entries()) {
      if (!present) continue;
      cosines[i] = cosineToOthers(inner, { admitted, amounts, i });
      if ((cosines[i] ?? 1) < cosineMin && (worst < 0 || (cosines[i] ?? 1) < (cosines[worst] ?? 1)))
        worst = i;
    }
    if (worst < 0) return { admitted, cosines };
    admitted[worst] = false;
  }
}

function cosineToOthers(
  inner: readonly (readonly number[])[],
  { admitted, amounts, i }: { admitted: readonly boolean[]; amounts: readonly number[]; i: number },
): number | undefined {
  const others = [...admitted.keys()].filter((j) => j !== i && admitted[j]);
  const weight = (j: number): number => amounts[j] ?? 0;
  const along = others.reduce((sum, j) => sum + weight(j) * at(inner, i, j), 0);
  const squared = others.reduce(
    (sum, j) => others.reduce((part, k) => part + weight(j) * weight(k) * at(inner, j, k), sum),
    0,
  );
  return squared > 0 ? along / Math.sqrt(squared * at(inner, i, i)) : undefined;
}

function at(rows: readonly (readonly number[])[], i: number, j: number): number {
  return rows[i]?.[j] ?? 0;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? 0;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? 0) + upper) / 2 : upper;
}
