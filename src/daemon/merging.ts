/**
 * Merging as commands do it, without a daemon: a plan with everything that stands in its way at once, running it,
 * checking it, explaining a stranger's, and the shares of the parents.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import { type Dice, systemDice } from '../base/random.ts';
import { type Explanation, explainMerge } from '../merge/explain.ts';
import { WORKERS_MAX } from '../merge/limits.ts';
import { ancestorsOf, lineageOf, type SharedModel } from '../merge/lineage.ts';
import { type MergeManifest, readManifest } from '../merge/manifest.ts';
import { type MergePlan, type PlanOptions, planMerge } from '../merge/plan.ts';
import { parseRecipe } from '../merge/recipe.ts';
import { type MergeProgress, RUN_DEFAULTS, removeStages, runMerge, unfinishedMerge } from '../merge/run.ts';
import { shareOut } from '../merge/shares.ts';
import { allStages, type PlannedStage } from '../merge/stages.ts';
import { type Verification, verifyMerge } from '../merge/verify.ts';
import { forecastMerge, type MergeForecast } from './merge-forecast.ts';

/** A merge that somebody wants. */
export interface MergeWish {
  /** Path of the recipe. */
  readonly recipe: string;
  /** Folder to make. */
  readonly output: string;
  /** Go on with what lies there unfinished, or take what lies there finished. */
  readonly resume: boolean;
  readonly workers: number;
  readonly memoryBytes: number;
  readonly plan: Partial<PlanOptions>;
}

/** Workers and memory in bytes when nothing is said. */
export const MERGE_MEANS: { readonly workers: number; readonly memoryBytes: number } = RUN_DEFAULTS;

/** Most workers. */
export const MERGE_WORKERS_MAX: number = WORKERS_MAX;

/** What came of planning: what is known, and all that stands in the way. */
export interface PreparedMerge {
  /** Absent when the recipe or the models cannot be used. */
  readonly plan?: MergePlan;
  readonly forecast?: MergeForecast;
  readonly problems: readonly string[];
  /** What lies at the output: nothing, a part of this merge, or all of it. */
  readonly there: 'nothing' | 'part' | 'all';
}

/** Plans without touching data. Throws `file-missing` for a recipe that is not there. */
export async function prepareMerge(wish: MergeWish, clock: Clock): Promise<PreparedMerge> {
  const problems: string[] = [];
  const text = await readFile(wish.recipe, 'utf8').catch((error: unknown) => {
    throw new SaharaError('file-missing', { path: wish.recipe }, { cause: error });
  });
  const plan = await planned(text, wish.plan).catch((error: unknown) => {
    const failure = asSaharaError(error);
    if (failure.code !== 'recipe-invalid' || !Array.isArray(failure.facts.problems)) throw error;
    problems.push(...failure.facts.problems.map(String));
    return undefined;
  });
  if (plan === undefined) return { problems, there: 'nothing' };
  const there = await lookAt(plan, wish);
  problems.push(...there.problems);
  const { forecast, problems: means } = await forecastMerge(plan, wish, clock);
  if (there.found !== 'all') problems.push(...means);
  return { plan, forecast, problems, there: there.found };
}

async function planned(text: string, options: Partial<PlanOptions>): Promise<MergePlan> {
  return planMerge(parseRecipe(text), options);
}

async function lookAt(
  plan: MergePlan,
  { output, resume }: MergeWish,
): Promise<{ readonly found: PreparedMerge['there']; readonly problems: readonly string[] }> {
  const finished = await stat(output).then(
    () => true,
    () => false,
  );
  if (finished) {
    const same = await isMergeOf(plan, output);
    if (same && resume) return { found: 'all', problems: [] };
    const problem = same
      ? `${output} holds this merge already; with --resume it is taken as it is`
      : `${output} exists and is not this merge; choose another --out`;
    return { found: 'nothing', problems: [problem] };
  }
  const state = await unfinishedMerge(plan, output);
  if (state === 'none') return { found: 'nothing', problems: [] };
  if (state === 'same' && resume) return { found: 'part', problems: [] };
  const problem =
    state === 'same'
      ? `${output}.partial holds a part of this merge; go on with --resume, or delete it`
      : `${output}.partial holds something else; delete it or choose another --out`;
  return { found: 'nothing', problems: [problem] };
}

async function isMergeOf(plan: MergePlan, output: string): Promise<boolean> {
  const manifest = await readManifest(output).catch(() => undefined);
  if (manifest === undefined || manifest.recipe !== plan.recipe.text) return false;
  const { seed, rounding, shardBytesMax, noisyDeltas } = plan.options;
  return JSON.stringify(manifest.options) === JSON.stringify({ seed, rounding, shardBytesMax, noisyDeltas });
}

/** Throws what `prepared` has against the merge, everything at once; answers its plan. */
export function demandPossible({ plan, problems }: PreparedMerge): MergePlan {
  if (plan === undefined) throw new SaharaError('recipe-invalid', { problems });
  if (problems.length > 0) throw new SaharaError('merge-refused', { problems });
  return plan;
}

/** Runs a plan, see `runMerge`, with the workers of its forecast. */
export function performMerge(
  { plan, forecast }: { readonly plan: MergePlan; readonly forecast: MergeForecast },
  options: {
    readonly output: string;
    readonly signal: AbortSignal;
    readonly onProgress: (progress: MergeProgress) => void;
  },
  clock: Clock,
): Promise<MergeManifest> {
  const { workers, memoryBytes } = forecast;
  return runMerge(plan, { ...options, workers, memoryBytes }, { clock });
}

/** The stages of a plan, in the order in which they are merged. */
export function stagesOf(plan: MergePlan): readonly PlannedStage[] {
  return allStages(plan);
}

/** Removes what stages of a finished merge left, where it was ended between the two. */
export function tidyStages(plan: MergePlan): Promise<void> {
  return removeStages(plan);
}

/** The models of a merge that no stage made, with what each has of it. */
export function mergedModels(manifest: MergeManifest): readonly SharedModel[] {
  return ancestorsOf(lineageOf(manifest));
}

/** The manifest of a finished merge, and whether its shares are those that follow from its matrices. */
export async function mergeOf(
  directory: string,
): Promise<{ readonly manifest: MergeManifest; readonly sharesHold: boolean }> {
  const manifest = await readManifest(resolve(directory));
  const sharesHold = holds(manifest);
  return { manifest, sharesHold };
}

function holds({ parents, tensors, stages = [] }: MergeManifest): boolean {
  const shares = shareOut(parents.length, tensors);
  const own = parents.every(({ sharePpm }, i) => shares[i]?.sharePpm === sharePpm);
  return own && stages.every(({ manifest }) => holds(manifest));
}

/** How to check a merge. */
export interface CheckWish {
  /** Models as `NAME=PATH`, or as paths that end like a model's name; with any, or with `directory`, it is done again. */
  readonly parents: readonly string[];
  /** Folder that relative names start from. */
  readonly directory: string | undefined;
  /** Only so many tensors, drawn at random. */
  readonly sample: number | undefined;
  /** Only these tensors. */
  readonly tensors: readonly string[];
  readonly workers: number;
  readonly memoryBytes: number;
  readonly signal: AbortSignal;
}

/** Checks the merge in `directory`, see `verifyMerge`. Throws `usage` for a parent or tensor that it does not have. */
export async function checkMerge(
  directory: string,
  wish: CheckWish,
  dice: Dice = systemDice,
): Promise<Verification> {
  const { manifest } = await mergeOf(directory);
  const { workers, memoryBytes, signal } = wish;
  const names = manifest.tensors.map(({ name }) => name);
  for (const name of wish.tensors) known(name, { of: names, what: 'tensor' });
  const chosen = wish.sample === undefined ? wish.tensors : sampleOf(names, wish.sample, dice);
  const again = wish.parents.length > 0 || wish.directory !== undefined;
  return verifyMerge(directory, {
    workers,
    memoryBytes,
    signal,
    ...(chosen.length > 0 && { tensors: chosen }),
    ...(again && { directory: wish.directory ?? '.', places: placesOf(manifest, wish.parents) }),
  });
}

/** Draws `count` different names, each set alike likely. */
function sampleOf(names: readonly string[], count: number, dice: Dice): readonly string[] {
  const keyed = names.map((name) => ({ name, key: Buffer.from(dice.bytes(16)).toString('hex') }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1));
  return keyed.slice(0, count).map(({ name }) => name);
}

/** Where models lie, by the names that the recipe has for them. Throws `usage`. */
export function placesOf(
  manifest: MergeManifest,
  parents: readonly string[],
): Readonly<Record<string, string>> {
  const names = mergedModels(manifest).map(({ name }) => name);
  return Object.fromEntries(
    parents.map((text): [string, string] => {
      const [, name, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      if (name !== undefined && path !== undefined) {
        return [known(name, { of: names, what: 'model' }), resolve(path)];
      }
      const alike = names.filter((each) => basename(each) === basename(text));
      return [
        alike.length === 1 ? (alike[0] ?? '') : known(text, { of: names, what: 'model' }),
        resolve(text),
      ];
    }),
  );
}

function known(
  name: string,
  { of, what }: { readonly of: readonly string[]; readonly what: string },
): string {
  if (of.includes(name)) return name;
  const near = nearestNames(name, of, 1)[0] ?? of[0];
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  throw new SaharaError('usage', { reason: `The merge has no ${what} ${name}${hint}` });
}

/** An explanation, with a weight for every parent. */
export interface Claim extends Explanation {
  readonly base: string;
}

/**
 * Fits `output` by `parents` over `base`; without one the first parent stands for it, and its weight is what the others
 * leave of 1. Throws `usage`, and what `explainMerge` does.
 */
export async function explainClaim(
  claim: { readonly output: string; readonly parents: readonly string[]; readonly base: string | undefined },
  options: { readonly workers: number; readonly memoryBytes: number; readonly signal: AbortSignal },
): Promise<Claim> {
  const [first, ...others] = claim.parents;
  if (first === undefined || (claim.base === undefined && others.length === 0)) {
    throw new SaharaError('usage', { reason: 'Name a --base and its --parents, or at least two parents' });
  }
  const base = claim.base ?? first;
  const parents = claim.base === undefined ? others : claim.parents;
  const found = await explainMerge({ output: claim.output, parents, base }, options);
  const rest = 1 - found.weights.reduce((sum, weight) => sum + weight, 0);
  return { ...found, base, weights: claim.base === undefined ? [rest, ...found.weights] : found.weights };
}
