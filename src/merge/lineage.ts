/**
 * Who made how much of a merge in stages: a stage's share goes on to what it was made of, in the parts that its own
 * merge measured. Without stages these are the parents themselves.
 */
import type { MergeManifest } from './manifest.ts';
import { PPM, toPpm } from './shares.ts';

/** A model and its part in what was made of it, parts per million; 0 for a base. */
export interface SharedModel {
  readonly name: string;
  readonly sharePpm: number;
}

/** A merge by its models, and its stages by theirs. */
export interface Lineage {
  readonly models: readonly SharedModel[];
  readonly stages: ReadonlyMap<string, readonly SharedModel[]>;
}

/**
 * The models that no stage made, each once, in the order in which they are first met, with their parts in the whole:
 * all sum to 1,000,000.
 */
export function ancestorsOf({ models, stages }: Lineage): readonly SharedModel[] {
  const known = new Map<string, readonly SharedModel[]>();
  const below = (name: string): readonly SharedModel[] => {
    const before = known.get(name);
    if (before) return before;
    // For the time being, and for good where a stage is said to be made of itself.
    known.set(name, [{ name, sharePpm: PPM }]);
    const stage = stages.get(name);
    const found = stage ? passOn(stage) : [{ name, sharePpm: PPM }];
    known.set(name, found);
    return found;
  };
  const passOn = (shared: readonly SharedModel[]): readonly SharedModel[] => {
    const parts = new Map<string, number>();
    for (const { name, sharePpm } of shared) {
      for (const each of below(name))
        parts.set(each.name, (parts.get(each.name) ?? 0) + sharePpm * each.sharePpm);
    }
    const shares = toPpm([...parts.values()]);
    return [...parts.keys()].map((name, i) => ({ name, sharePpm: shares[i] ?? 0 }));
  };
  return passOn(models);
}

/** The lineage that a manifest states. */
export function lineageOf(manifest: MergeManifest): Lineage {
  const stages = (manifest.stages ?? []).map(({ name, manifest: made }) => [name, sharedBy(made)] as const);
  return { models: sharedBy(manifest), stages: new Map(stages) };
}

function sharedBy({ models, parents }: MergeManifest): readonly SharedModel[] {
  return models.map(({ name }, i) => {
    return { name, sharePpm: parents.find(({ model }) => model === i)?.sharePpm ?? 0 };
  });
}
