/** What of a merge's earnings goes on to each parent: its measured share, and at least what its licence asks for. */
import { SaharaError } from '../base/errors.ts';
import { PPM } from '../protocol/limits.ts';

/** A parent's claim. */
export interface PartClaim {
  /** Parts per million of the merge that are its own. */
  readonly share: number;
  /** Parts per million that its licence asks for. */
  readonly least: number;
}

/**
 * Parts per million for each parent, of what is left once the maker keeps `keep`. In proportion to the shares, except
 * that nobody gets less than its licence asks for; what that takes is taken from the others in proportion. When nobody
 * is below and nothing is kept, parts are the shares as they stand, if these sum to the whole. Rounded by largest
 * remainders, the first parent before later ones. Throws `merge-refused` when the licences ask for more than there is.
 */
export function mergeParts(claims: readonly PartClaim[], keep: number): readonly number[] {
  const total = PPM - keep;
  const asked = claims.reduce((sum, { least }) => sum + least, 0);
  if (asked > total) {
    throw new SaharaError('merge-refused', {
      reason: `the licences of the parents ask for ${asked / 10_000} % in all, and only ${total / 10_000} % is to go on to them`,
      advice: 'Keep less, or merge other models',
    });
  }
  const pinned = new Set<number>();
  for (;;) {
    const parts = spread(claims, { pinned, total });
    const below = claims.flatMap(({ least }, i) => ((parts[i] ?? 0) < least ? [i] : []));
    if (below.length === 0) return parts;
    for (const i of below) pinned.add(i);
  }
}

// Those that are pinned get what they ask for, the others the rest. All products stay below 2^53.
function spread(
  claims: readonly PartClaim[],
  { pinned, total }: { readonly pinned: ReadonlySet<number>; readonly total: number },
): readonly number[] {
  const taken = claims.reduce((sum, { least }, i) => sum + (pinned.has(i) ? least : 0), 0);
  const weight = claims.reduce((sum, { share }, i) => sum + (pinned.has(i) ? 0 : share), 0);
  const left = total - taken;
  const parts = claims.map(({ share, least }, i) => {
    if (pinned.has(i)) return { part: least, rest: -1 };
    if (weight === 0) return { part: 0, rest: -1 };
    return { part: Math.floor((share * left) / weight), rest: (share * left) % weight };
  });
  let missing = weight === 0 ? 0 : total - parts.reduce((sum, { part }) => sum + part, 0);
  const order = parts.map(({ rest }, i) => ({ i, rest })).filter(({ rest }) => rest > 0);
  order.sort((a, b) => b.rest - a.rest || a.i - b.i);
  for (const { i } of order) {
    const one = parts[i];
    if (one === undefined || missing-- <= 0) break;
    one.part++;
  }
  return parts.map(({ part }) => part);
}
