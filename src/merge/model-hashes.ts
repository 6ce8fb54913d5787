/** Content hashes of the models that a merge reads, out of what merging has hashed anyway and the little it has not. */
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import type { Job } from './jobs.ts';
import { contentHash } from './merkle.ts';
import type { MergePlan } from './plan.ts';
import type { TensorResult, TensorSource, TensorTask } from './task.ts';

/** The hashing of a plan's models. */
export interface ModelHashes {
  /** What has to be hashed besides the merge: tensors that no task reads, or not to their end. */
  readonly jobs: readonly (Job & { readonly kind: 'hash' })[];
  /** Takes the outcome of one of `jobs`. */
  add(source: TensorSource, sha256: string): void;
  /** The content hash of each model, once all jobs and tasks are done. */
  finish(results: ReadonlyMap<string, TensorResult>): string[];
}

/** Opens the plan's models again and finds out what is left to hash. */
export async function prepareHashes(plan: MergePlan): Promise<ModelHashes> {
  const checkpoints = await Promise.all(plan.models.map(({ path }) => openCheckpoint(path)));
  const read = new Set(plan.tasks.flatMap(inputsOf).filter(isWhole).map(placeOf));
  const stored = checkpoints.flatMap(({ tensors }: Checkpoint) => [...tensors.values()]);
  const hashed = new Map<string, string>();
  return {
    jobs: stored.filter((source) => !read.has(placeOf(source))).map((source) => ({ kind: 'hash', source })),
    add: (source, sha256) => hashed.set(placeOf(source), sha256),
    finish: (results) => {
      for (const task of plan.tasks) {
        inputsOf(task).forEach((source, i) => {
          if (isWhole(source)) hashed.set(placeOf(source), results.get(task.name)?.inputs[i] ?? '');
        });
      }
      return checkpoints.map(({ tensors }) =>
        contentHash(
          [...tensors.values()].map((tensor) => ({ ...tensor, sha256: hashed.get(placeOf(tensor)) ?? '' })),
        ),
      );
    },
  };
}

function inputsOf({ models, base }: TensorTask): readonly TensorSource[] {
  return base ? [...models, base] : models;
}

// Of joined rows, not the stored bytes are hashed.
function isWhole({ rows }: TensorSource): boolean {
  return rows === undefined;
}

// A tensor and a task's source are the same bytes when they start and end alike.
function placeOf({ path, offset, sizeBytes }: Pick<TensorSource, 'path' | 'offset' | 'sizeBytes'>): string {
  return `${path}\n${offset}\n${sizeBytes}`;
}
