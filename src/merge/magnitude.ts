/** Masks by magnitude: the largest part of a delta, and the largest without its outliers. */
import { likeMergekit } from './compat.ts';
import type { TensorContext } from './context.ts';
import type { ReferenceInput } from './method.ts';
import { largest } from './reference.ts';
import { EVERYTHING, NOTHING, selectTop } from './select.ts';
import type { Mask } from './sparse.ts';
import { hashKey, itemOf, type Settings } from './task.ts';

/** Keeps the `floor(density n)` largest of each delta, at least one unless density is 0. */
export function keepLargest(context: TensorContext): Mask {
  const { task, models } = context;
  return keepBand(
    context,
    Array.from({ length: models }, (_, position) => ({
      keep: keptCount(task.settings, position, task.elements),
      drop: 0,
    })),
  );
}

/** As `keepLargest`, but first drops the `floor(gamma n)` largest. */
export function keepWithoutOutliers(context: TensorContext): Mask {
  const { task, models } = context;
  return keepBand(
    context,
    Array.from({ length: models }, (_, position) => bandCounts(task.settings, position, task.elements)),
  );
}

interface Band {
  /** How many are kept. */
  readonly keep: number;
  /** How many larger ones are dropped. */
  readonly drop: number;
}

function keepBand(context: TensorContext, bands: readonly Band[]): Mask {
  const { kernels, task } = context;
  const keys = bands.map((_band, position) => hashKey(task, position));
  const requests = bands.flatMap(({ keep, drop }, position) => {
    const [lane, key] = [context.lane(position), keys[position] ?? { k0: 0, k1: 0 }];
    const outer = { lane, key, k: keep + drop };
    return drop > 0 ? [outer, { lane, key, k: drop }] : [outer];
  });
  const selections = selectTop(context, requests);
  let next = 0;
  const cuts = bands.map(({ drop }) => ({
    outer: selections[next++] ?? EVERYTHING,
    inner: drop > 0 ? (selections[next++] ?? NOTHING) : NOTHING,
  }));
  return ({ n, index }) => {
    cuts.forEach(({ outer, inner }, position) => {
      const [lane, { k0, k1 }] = [context.lane(position), keys[position] ?? { k0: 0, k1: 0 }];
      // What is dropped first is zero then, which the outer selection treats like any other zero.
      if (inner !== NOTHING) kernels.dropSelected(lane, lane, n, inner.tied, inner.last, index, k0, k1);
      if (outer !== EVERYTHING) kernels.keepSelected(lane, lane, n, outer.tied, outer.last, index, k0, k1);
    });
  };
}

function keptCount(settings: Settings, position: number, elements: number): number {
  const density = itemOf(settings, 'density', position);
  return density > 0 ? Math.max(1, Math.floor(density * elements)) : 0;
}

function bandCounts(settings: Settings, position: number, elements: number): Band {
  const outliers = Math.floor(itemOf(settings, 'gamma', position) * elements);
  const density = itemOf(settings, 'density', position);
  if (likeMergekit(settings) && density < 1) {
    const keep = Math.floor(density * elements);
    const drop = Math.min(outliers, elements - keep);
    // It takes "all but the last none" for none.
    return drop === 0 ? { keep: 0, drop } : { keep, drop };
  }
  const keep = keptCount(settings, position, elements);
  return { keep, drop: Math.max(0, Math.min(outliers, elements - keep)) };
}

type ReferenceMask = (delta: Float64Array, position: number) => readonly boolean[];

/** The mask of `keepLargest`, by sorting. */
export function referenceLargest({ settings, hash }: ReferenceInput): ReferenceMask {
  return (delta, position) =>
    largest(delta, keptCount(settings, position, delta.length), (index) => hash(position, index));
}

/** The mask of `keepWithoutOutliers`, by sorting. */
export function referenceWithoutOutliers({ settings, hash }: ReferenceInput): ReferenceMask {
  return (delta, position) => {
    const { keep, drop } = bandCounts(settings, position, delta.length);
    const outer = largest(delta, keep + drop, (index) => hash(position, index));
    const inner = largest(delta, drop, (index) => hash(position, index));
    return outer.map((kept, i) => kept && !inner[i]);
  };
}
