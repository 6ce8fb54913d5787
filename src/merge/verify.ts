/**
 * Checking a merge: that its files are what its manifest says and the shares follow from it, and, with the models at
 * hand, that doing it again gives the same bits.
 */
import { resolve } from 'node:path';
import { openCheckpoint } from './checkpoint.ts';
import { type ManifestTensor, type MergeManifest, readManifest } from './manifest.ts';
import { contentHash } from './merkle.ts';
import { type MergePlan, planMerge } from './plan.ts';
import { type PoolOptions, runJobs } from './pool.ts';
import { parseRecipe } from './recipe.ts';
import { RUN_DEFAULTS } from './run.ts';
import { shareOut } from './shares.ts';
import type { TensorResult } from './task.ts';

/** How to verify. */
export interface VerifyOptions extends PoolOptions {
  /** Folder that the recipe's relative model names start from; when given, tensors are merged again and compared. */
  readonly directory?: string;
  /** Only these tensors are checked. Default: all. */
  readonly tensors?: readonly string[];
}

/** The outcome of a verification. */
export interface Verification {
  readonly manifest: MergeManifest;
  /** Tensors whose bytes were checked. */
  readonly checked: number;
  /** Tensors that were merged again. */
  readonly repeated: number;
  /** What does not hold; empty when all does. */
  readonly problems: readonly string[];
}

/**
 * Verifies the merge in `output`. What does not hold is told in `problems`; fails only when there is no manifest, a
 * model cannot be planned any more, or it is cancelled.
 */
export async function verifyMerge(
  output: string,
  options: Partial<VerifyOptions> = {},
): Promise<Verification> {
  const complete: VerifyOptions = { ...RUN_DEFAULTS, ...options };
  const manifest = await readManifest(resolve(output));
  const chosen = new Set(complete.tensors ?? manifest.tensors.map(({ name }) => name));
  const known = manifest.tensors.filter(({ name }) => chosen.has(name));
  const problems = [...chosen]
    .filter((name) => !known.some((tensor) => tensor.name === name))
    .map((name) => `no tensor ${name}`);
  if (contentHash(manifest.tensors) !== manifest.contentHash)
    problems.push('the content hash is not that of the tensors');
  problems.push(
    ...checkShares(manifest),
    ...(await checkFiles(resolve(output), { known, manifest, options: complete })),
  );
  const repeated =
    complete.directory === undefined ? 0 : await repeat(manifest, { known, problems, options: complete });
  return { manifest, checked: known.length, repeated, problems };
}

function checkShares({ parents, tensors }: MergeManifest): string[] {
  const shares = shareOut(parents.length, tensors);
  return parents.flatMap(({ model, sharePpm }, i) =>
    shares[i]?.sharePpm === sharePpm
      ? []
      : [`the share of model ${model} is ${shares[i]?.sharePpm} ppm, not ${sharePpm}`],
  );
}

interface Check {
  readonly known: readonly ManifestTensor[];
  readonly options: VerifyOptions;
}

async function checkFiles(
  output: string,
  { known, manifest, options }: Check & { manifest: MergeManifest },
): Promise<string[]> {
  const problems: string[] = [];
  const { tensors } = await openCheckpoint(output);
  const names = new Set(manifest.tensors.map(({ name }) => name));
  for (const name of tensors.keys())
    if (!names.has(name)) problems.push(`${name} is in the files, not in the manifest`);
  const jobs = known.flatMap((tensor) => {
    const source = tensors.get(tensor.name);
    if (!source) problems.push(`${tensor.name} is missing`);
    else if (source.dtype !== tensor.dtype || source.shape.join() !== tensor.shape.join()) {
      problems.push(`${tensor.name} has another type or shape`);
    }
    return source ? [{ kind: 'hash' as const, source, tensor }] : [];
  });
  await runJobs(jobs, options, ({ tensor }, result) => {
    if (result.kind === 'hash' && result.sha256 !== tensor.sha256)
      problems.push(`${tensor.name} has other data`);
  });
  return problems;
}

async function repeat(
  manifest: MergeManifest,
  { known, problems, options }: Check & { readonly problems: string[] },
): Promise<number> {
  const { directory = '.' } = options;
  const plan = await planMerge(parseRecipe(manifest.recipe), { ...manifest.options, directory });
  const wanted = new Map(known.map((tensor) => [tensor.name, tensor]));
  const jobs = plan.tasks
    .filter(({ name }) => wanted.has(name))
    .map((task) => ({ kind: 'merge' as const, task }));
  let repeated = 0;
  await runJobs(jobs, options, ({ task }, result) => {
    const tensor = wanted.get(task.name);
    if (result.kind !== 'merge' || !tensor) return;
    repeated++;
    problems.push(...compare(tensor, result.result));
  });
  const planned = new Set(plan.tasks.map(({ name }) => name));
  for (const { name } of known) if (!planned.has(name)) problems.push(`the recipe does not make ${name}`);
  if (plan.parents.join() !== parentsOf(manifest, plan).join()) problems.push('the recipe has other parents');
  return repeated;
}

function parentsOf({ parents }: MergeManifest, { models }: MergePlan): number[] {
  return parents.map(({ model }) => (model < models.length ? model : -1));
}

function compare(tensor: ManifestTensor, again: TensorResult): string[] {
  const problems: string[] = [];
  if (tensor.inputs.join() !== again.inputs.join()) problems.push(`${tensor.name} was made of other inputs`);
  if (tensor.sha256 !== again.sha256) problems.push(`${tensor.name} comes out different`);
  if (tensor.gram.join() !== again.gram.join()) problems.push(`${tensor.name} has other contributions`);
  return problems;
}
