/**
 * Exact Shapley values of a coverage game. The worth of a set of passages is the sum over terms of the term's weight
 * times the best value that any passage of the set has for it. For one term that is an airport game (Littlechild and
 * Owen 1973): the k-th step between sorted values is shared equally by all who reach it. Shapley values add up over
 * terms, so the whole takes O(terms x players log players) instead of two to the number of players.
 */

/** A coverage game: `values[p]` is what player p has of the term. */
export interface CoverageGame {
  readonly players: number;
  readonly terms: readonly { readonly weight: bigint; readonly values: readonly bigint[] }[];
}

/** Fractions with one denominator. */
export interface Fractions {
  readonly numerators: readonly bigint[];
  readonly denominator: bigint;
}

/** The Shapley value of each player. */
export function shapleyValues(game: CoverageGame): Fractions {
  const denominator = lcmUpTo(game.players);
  const numerators: bigint[] = new Array(game.players).fill(0n);
  for (const { weight, values } of game.terms) {
    const sorted = [...values.entries()].sort(([i, a], [j, b]) => (a === b ? i - j : a < b ? -1 : 1));
    let reached = 0n;
    // What all players from here on have earned so far by this term.
    let earned = 0n;
    for (const [rank, [player, value]] of sorted.entries()) {
      earned += ((value - reached) * weight * denominator) / BigInt(game.players - rank);
      reached = value;
      numerators[player] = (numerators[player] ?? 0n) + earned;
    }
  }
  return { numerators, denominator };
}

/** What all players together are worth. */
export function worthOfAll(game: CoverageGame): bigint {
  return game.terms.reduce((sum, { weight, values }) => {
    const best = values.reduce((most, value) => (value > most ? value : most), 0n);
    return sum + weight * best;
  }, 0n);
}

/** The least number that 1 to `n` all divide. */
export function lcmUpTo(n: number): bigint {
  let lcm = 1n;
  for (let i = 2n; i <= BigInt(n); i++) lcm = (lcm / gcd(lcm, i)) * i;
  return lcm;
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}
