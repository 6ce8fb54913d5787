/**
 * Merging adapters in delta space: `sum w_i b_i a_i` exactly, by rank concatenation, then the nearest update of the
 * wanted rank. Averaging `a` and `b` by themselves, as is often done, multiplies every parent's `b` with every other's
 * `a`: for independent adapters three quarters of the result is then noise.
 */
import { SaharaError } from '../../base/errors.ts';
import { type ParentShare, shareOut, type TensorContributions } from '../shares.ts';
import { innerLowRank, type LowRank, recompress, sumLowRank } from './low-rank.ts';
import type { Adapter } from './peft.ts';

/** An adapter and its weight. */
export interface WeightedAdapter {
  readonly adapter: Adapter;
  readonly weight: number;
}

/** A merged adapter. */
export interface MergedAdapter {
  readonly adapter: Adapter;
  /** Each parent's share, in the order given. */
  readonly shares: readonly ParentShare[];
  /** Part of the squared norm, over all modules, that the wanted rank cannot hold; 0 without recompression. */
  readonly lostEnergy: number;
}

/**
 * The weighted sum of `parents`, recompressed to `rank` if it is given. Modules that only some adapters touch are
 * theirs alone. Configuration is the first's. Fails with `merge-refused` when modules differ in shape, or are named as in
 * GGUF in some and as in PEFT in others.
 */
export function mergeAdapters(
  parents: readonly WeightedAdapter[],
  { rank }: { readonly rank?: number } = {},
): MergedAdapter {
  const [first] = parents;
  if (!first) throw new SaharaError('usage', { reason: 'name at least one adapter' });
  checkKinds(parents);
  const names = new Set(parents.flatMap(({ adapter }) => [...adapter.modules.keys()]));
  const modules = new Map<string, LowRank>();
  const contributions: TensorContributions[] = [];
  let [kept, lost] = [0, 0];
  for (const name of names) {
    const terms = parents.flatMap(({ adapter, weight }, parent) => {
      const delta = adapter.modules.get(name);
      return delta ? [{ delta, weight, parent }] : [];
    });
    checkShapes(name, terms);
    const gram = terms.flatMap((x) => terms.map((y) => x.weight * y.weight * innerLowRank(x.delta, y.delta)));
    contributions.push({ parents: terms.map(({ parent }) => parent), gram, baseNorm: 0 });
    const sum = sumLowRank(terms);
    const smaller = rank === undefined ? { delta: sum, lostEnergy: 0 } : recompress(sum, rank);
    const energy = gram.reduce((total, value) => total + value, 0);
    kept += energy * (1 - smaller.lostEnergy);
    lost += energy * smaller.lostEnergy;
    modules.set(name, smaller.delta);
  }
  return {
    adapter: { ...first.adapter, modules },
    shares: shareOut(parents.length, contributions),
    lostEnergy: kept + lost === 0 ? 0 : lost / (kept + lost),
  };
}

/** Refuses with `merge-refused` updates of module `name` that differ in shape. */
export function checkShapes(name: string, terms: readonly { readonly delta: LowRank }[]): void {
  const shapes = new Set(terms.map(({ delta: { a, b } }) => `${b.rows} x ${a.columns}`));
  if (shapes.size > 1)
    throw new SaharaError('merge-refused', { reason: 'shapes differ', name, shapes: [...shapes] });
}

/** Refuses with `merge-refused` adapters for different kinds of models. */
export function checkKinds(parents: readonly { readonly adapter: Adapter }[]): void {
  const kinds = new Set(parents.map(({ adapter }) => adapter.architecture ?? 'PEFT'));
  if (kinds.size > 1)
    throw new SaharaError('merge-refused', { reason: 'modules are named differently', found: [...kinds] });
}
