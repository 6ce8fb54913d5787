/**
 * Checking a merge: that its files are what its manifest says and the shares follow from it, and, with the models at
 * hand, that doing it again gives the same bits.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { openCheckpoint } from './checkpoint.ts';
import type { Job } from './jobs.ts';
import {
  hashTexts,
  type ManifestStage,
  type ManifestTensor,
  type MergeManifest,
  readManifest,
  writeManifest,
} from './manifest.ts';
import { contentHash } from './merkle.ts';
import { prepareHashes } from './model-hashes.ts';
import { type MergePlan, planMerge } from './plan.ts';
import { type PoolOptions, runJobs } from './pool.ts';
import { parseRecipe } from './recipe.ts';
import { makeStages, RUN_DEFAULTS, readStages, removeStages } from './run.ts';
import { shareOut } from './shares.ts';
import { contributors, type TensorResult, type TensorTask } from './task.ts';

/** How to verify. */
export interface VerifyOptions extends PoolOptions {
  /** Folder that the recipe's relative model names start from; when given, tensors are merged again and compared. */
  readonly directory?: string;
  /** Where models lie that are not where their name says: folder or file by name. */
  readonly places?: Readonly<Record<string, string>>;
  /** Folder for stages that are merged again, removed afterwards. Default: `OUTPUT.verifying`. */
  readonly stagesDirectory: string;
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
  const complete: VerifyOptions = {
    ...RUN_DEFAULTS,
    stagesDirectory: `${resolve(output)}.verifying`,
    ...options,
  };
  const manifest = await readManifest(resolve(output));
  const chosen = new Set(complete.tensors ?? manifest.tensors.map(({ name }) => name));
  const known = manifest.tensors.filter(({ name }) => chosen.has(name));
  const problems = [...chosen]
    .filter((name) => !known.some((tensor) => tensor.name === name))
    .map((name) => `no tensor ${name}`);
  problems.push(
    ...checkStatement(manifest),
    ...(await checkTexts(resolve(output), manifest)),
    ...(await checkFiles(resolve(output), { known, manifest, options: complete })),
  );
  const repeated =
    complete.directory === undefined ? 0 : await repeat(manifest, { known, problems, options: complete });
  return { manifest, checked: known.length, repeated, problems };
}

// What follows from the manifest alone, and from those of its stages.
function checkStatement({ stages = [], ...output }: MergeManifest): string[] {
  const made = new Map(stages.map(({ name, manifest }) => [name, manifest.contentHash]));
  return [{ name: undefined, manifest: output }, ...stages].flatMap(({ name: stage, manifest }) => {
    const where = stage === undefined ? '' : `${stage}: `;
    const { contentHash: stated, models, parents, tensors } = manifest;
    const problems: string[] = [];
    if (contentHash(tensors) !== stated) problems.push('the content hash is not that of the tensors');
    const shares = shareOut(parents.length, tensors);
    parents.forEach(({ model, sharePpm }, i) => {
      const share = shares[i]?.sharePpm;
      if (share !== sharePpm) problems.push(`the share of model ${model} is ${share} ppm, not ${sharePpm}`);
    });
    for (const { name, contentHash: read } of models)
      if ((made.get(name) ?? read) !== read) problems.push(`${name} is not what its stage made`);
    return problems.map((problem) => `${where}${problem}`);
  });
}

async function checkTexts(output: string, { files = {} }: MergeManifest): Promise<string[]> {
  const problems: string[] = [];
  for (const [name, sha256] of Object.entries(files)) {
    const text = await readFile(join(output, name), 'utf8').catch(() => undefined);
    if (text === undefined) problems.push(`${name} is missing`);
    else if (hashTexts({ [name]: text })[name] !== sha256) problems.push(`${name} is another file`);
  }
  return problems;
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
  const { directory = '.', places = {}, stagesDirectory } = options;
  const where = { directory, places, stagesDirectory, stageBytesMax: Infinity };
  const plan = await planMerge(parseRecipe(manifest.recipe), { ...manifest.options, ...where });
  problems.push(...comparePlan(manifest, { plan, known }));
  try {
    await makeStages(plan, { ...options, spareBytes: 0 }, { clock: systemClock });
    problems.push(...(await compareStages(plan, manifest)));
    return await repeatTensors(plan, { manifest, known, problems, options });
  } finally {
    await removeStages(plan);
  }
}

async function compareStages(plan: MergePlan, { stages = [] }: MergeManifest): Promise<string[]> {
  const made = await readStages(plan);
  const names = new Set([...made, ...stages].map(({ name }) => name));
  const of = (list: readonly ManifestStage[], wanted: string): string => {
    const found = list.find(({ name }) => name === wanted);
    return found ? writeManifest(found.manifest) : '';
  };
  return [...names]
    .filter((name) => of(made, name) !== of(stages, name))
    .map((name) => `stage ${name} comes out different`);
}

async function repeatTensors(
  plan: MergePlan,
  { manifest, known, problems, options }: Check & { manifest: MergeManifest; problems: string[] },
): Promise<number> {
  const { tensors } = options;
  const wanted = new Map(known.map((tensor) => [tensor.name, tensor]));
  const merges = plan.tasks
    .filter(({ name }) => wanted.has(name))
    .map((task) => ({ kind: 'merge' as const, task }));
  // The models' own hashes need every tensor, so they are checked when all are.
  const hashes = tensors === undefined ? await prepareHashes(plan) : undefined;
  const results = new Map<string, TensorResult>();
  const jobs: Job[] = [...merges, ...(hashes?.jobs ?? [])];
  await runJobs(jobs, options, (job, result) => {
    if (result.kind === 'hash' && job.kind === 'hash') hashes?.add(job.source, result.sha256);
    if (result.kind !== 'merge' || job.kind !== 'merge') return;
    results.set(job.task.name, result.result);
    const tensor = wanted.get(job.task.name);
    if (tensor) problems.push(...compare(tensor, job.task, result.result));
  });
  const named = manifest.models;
  hashes?.finish(results).forEach((hash, i) => {
    if (named[i]?.contentHash !== hash)
      problems.push(`${plan.models[i]?.name} is not the model that was merged`);
  });
  return results.size;
}

function comparePlan(
  { models, parents, files = {} }: MergeManifest,
  { plan, known }: { readonly plan: MergePlan; readonly known: readonly ManifestTensor[] },
): string[] {
  const planned = new Set(plan.tasks.map(({ name }) => name));
  const problems = known
    .filter(({ name }) => !planned.has(name))
    .map(({ name }) => `the recipe does not make ${name}`);
  if (plan.parents.join() !== parents.map(({ model }) => model).join())
    problems.push('the recipe has other parents');
  if (plan.models.map(({ name }) => name).join('\n') !== models.map(({ name }) => name).join('\n')) {
    problems.push('the recipe has other models');
  }
  const texts = hashTexts(plan.texts);
  for (const name of new Set([...Object.keys(files), ...Object.keys(texts)]))
    if (files[name] !== texts[name]) problems.push(`the recipe makes another ${name}`);
  return problems;
}

function compare(tensor: ManifestTensor, task: TensorTask, again: TensorResult): string[] {
  const problems: string[] = [];
  if (tensor.inputs.join() !== again.inputs.join()) problems.push(`${tensor.name} was made of other inputs`);
  if (tensor.sha256 !== again.sha256) problems.push(`${tensor.name} comes out different`);
  const sameGram = tensor.gram.join() === again.gram.join() && tensor.baseNorm === again.baseNorm;
  if (!sameGram || tensor.parents.join() !== contributors(task).join()) {
    problems.push(`${tensor.name} has other contributions`);
  }
  return problems;
}
