/**
 * Who made how much of a merge in stages: a stage's share goes on to what it was made of, in the parts that its own
 * merge measured. Without stages these are the parents themselves.
 */
import type { MergeManifest } from './manifest.ts';
import { PPM, toPpm } from './shares.ts';

/** A model that no stage made, and its part in the whole. */
export interface Ancestor {
  readonly name: string;
  /** Parts per million; 0 for a base. All sum to 1,000,000. */
  readonly sharePpm: number;
}

/** A merge by its models; those that stages made hold theirs. */
export interface Lineage {
  readonly models: readonly {
    readonly name: string;
    readonly sharePpm: number;
    readonly stage?: Lineage | undefined;
  }[];
}

/** The models that no stage made, each once, in the order in which they are first met. */
export function ancestorsOf({ models }: Lineage): readonly Ancestor[] {
  const parts = new Map<string, number>();
  for (const { name, sharePpm, stage } of models) {
    const below = stage ? ancestorsOf(stage) : [{ name, sharePpm: PPM }];
    for (const each of below) parts.set(each.name, (parts.get(each.name) ?? 0) + sharePpm * each.sharePpm);
  }
  const shares = toPpm([...parts.values()]);
  return [...parts.keys()].map((name, i) => ({ name, sharePpm: shares[i] ?? 0 }));
}

/** The lineage that a manifest states. */
export function lineageOf({ models, parents, stages = [] }: MergeManifest): Lineage {
  return {
    models: models.map(({ name }, i) => {
      const made = stages.find((stage) => stage.name === name);
      const sharePpm = parents.find(({ model }) => model === i)?.sharePpm ?? 0;
      return { name, sharePpm, ...(made && { stage: lineageOf(made.manifest) }) };
    }),
  };
}
