/**
 * Doing a planned merge. Everything is written into `OUTPUT.partial` and renamed at the end, so that the final name
 * never stands for something unfinished; a merge that was cancelled, killed or ran out of disk goes on from there.
 */
import { copyFile, mkdir, open, readdir, rename, rm, rmdir, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { SaharaError } from '../base/errors.ts';
import { exists } from './checkpoint.ts';
import { ioError } from './io.ts';
import { type Job, jobBytes } from './jobs.ts';
import { appendJournal, readJournal, startJournal } from './journal.ts';
import {
  createManifest,
  gatherStages,
  MANIFEST_NAME,
  type ManifestStage,
  type MergeManifest,
  readManifest,
  writeManifest,
} from './manifest.ts';
import { prepareHashes } from './model-hashes.ts';
import { INDEX_NAME, indexFile, type OutputFile } from './output-layout.ts';
import type { MergePlan } from './plan.ts';
import { type PoolOptions, runJobs } from './pool.ts';
import { allStages, outputBytes } from './stages.ts';
import type { TensorResult } from './task.ts';

/** How far a merge is. */
export interface MergeProgress {
  /** The stage that is being merged; absent for the output itself. */
  readonly stage?: string;
  readonly tensorsDone: number;
  readonly tensors: number;
  /** Bytes read and written, of those that have to be. */
  readonly bytesDone: number;
  readonly bytes: number;
  readonly bytesPerSecond: number;
  /** Seconds left at that rate; `undefined` before the first tensor. */
  readonly secondsLeft: number | undefined;
}

/** How to run a merge. */
export interface RunOptions extends PoolOptions {
  /** Folder to make; it must not exist. */
  readonly output: string;
  readonly onProgress?: (progress: MergeProgress) => void;
}

/** The defaults of the pool: one worker per processor, at most four, and 96 MiB for all. */
export const RUN_DEFAULTS: Pick<RunOptions, 'workers' | 'memoryBytes'> = {
  workers: Math.min(4, availableParallelism()),
  memoryBytes: 96 * 1024 * 1024,
};

const JOURNAL_NAME = 'journal.ndjson';
const LAYING_OUT = 'laying out';

/**
 * Runs `plan`, its stages first, and returns the manifest that it also writes. Fails with `merge-refused` when the
 * output exists or memory is too small, `disk-full`, `file-missing`, `tensor-invalid` (bad data, naming tensor and
 * file), `cancelled`; in all these cases what is done stays in `OUTPUT.partial` and in the folder of the stages, and the
 * same plan goes on from it.
 */
export async function runMerge(
  plan: MergePlan,
  options: Pick<RunOptions, 'output'> & Partial<RunOptions>,
  parts: { readonly clock: Clock },
): Promise<MergeManifest> {
  const complete: RunOptions = { ...RUN_DEFAULTS, ...options };
  const output = resolve(complete.output);
  if (await exists(output))
    throw new SaharaError('merge-refused', { reason: 'the output exists', path: output });
  await makeStages(plan, { ...complete, spareBytes: outputBytes(plan) }, parts);
  const manifest = await runOne(plan, { ...complete, output }, parts);
  await removeStages(plan);
  return manifest;
}

/** Merges the stages of `plan` that are not there yet, with at least `spareBytes` of the disk left for what follows. */
export async function makeStages(
  plan: Pick<MergePlan, 'stages'>,
  options: Omit<RunOptions, 'output'> & { readonly spareBytes: number },
  parts: { readonly clock: Clock },
): Promise<void> {
  const stages = allStages(plan);
  const there = await Promise.all(stages.map(({ path }) => exists(path)));
  const missing = stages.filter((_stage, i) => !there[i]);
  for (const [i, { name, path, plan: own }] of missing.entries()) {
    const later = missing.slice(i + 1).reduce((sum, stage) => sum + outputBytes(stage.plan), 0);
    const { onProgress } = options;
    const told = onProgress && {
      onProgress: (progress: MergeProgress) => onProgress({ stage: name, ...progress }),
    };
    await runOne(own, { ...options, ...told, output: path, spareBytes: options.spareBytes + later }, parts);
  }
}

/** Removes what the stages of `plan` left, and their folder when nothing else is in it. */
export async function removeStages(plan: Pick<MergePlan, 'stages'>): Promise<void> {
  for (const { path } of allStages(plan)) {
    for (const each of [path, `${path}.partial`]) await rm(each, { recursive: true, force: true });
    // Not empty, or gone already: both are fine.
    await rmdir(dirname(path)).catch(() => {});
  }
}

/** The manifests of all stages of `plan`, which are there. */
export async function readStages({ stages }: Pick<MergePlan, 'stages'>): Promise<readonly ManifestStage[]> {
  const read = stages.map(async ({ name, path }) => ({ name, manifest: await readManifest(path) }));
  return gatherStages(await Promise.all(read));
}

async function runOne(
  plan: MergePlan,
  options: RunOptions & { readonly spareBytes?: number },
  { clock }: { readonly clock: Clock },
): Promise<MergeManifest> {
  const { output } = options;
  const partial = `${output}.partial`;
  const results = await prepare(plan, { partial, options });
  const modelHashes = await work(plan, { partial, options, results, clock });
  const stages = await readStages(plan);
  const manifest = createManifest(plan, results, { modelHashes, stages });
  await finish(plan, { partial, output, manifest });
  return manifest;
}

/**
 * What lies in `OUTPUT.partial`: nothing, this plan's unfinished merge, or that of another plan or anything else, which
 * `runMerge` would start over or refuse.
 */
export async function unfinishedMerge(
  plan: Pick<MergePlan, 'id' | 'stages'>,
  output: string,
): Promise<'none' | 'same' | 'other'> {
  const partial = `${resolve(output)}.partial`;
  if (!(await exists(partial))) {
    const paths = allStages(plan).flatMap(({ path }) => [path, `${path}.partial`]);
    return (await Promise.all(paths.map(exists))).includes(true) ? 'same' : 'none';
  }
  const journal = join(partial, JOURNAL_NAME);
  if ((await readJournal(journal, plan.id)) !== undefined) return 'same';
  return (await readJournal(journal, LAYING_OUT)) === undefined ? 'other' : 'same';
}

interface Work {
  readonly partial: string;
  readonly options: RunOptions & { readonly spareBytes?: number };
}

// Lays out the files, or finds out what is left to do of those that a run before laid out.
async function prepare(plan: MergePlan, { partial, options }: Work): Promise<Map<string, TensorResult>> {
  const journal = join(partial, JOURNAL_NAME);
  const entries = await readJournal(journal, plan.id);
  if (entries !== undefined)
    return keepSound(plan, { partial, options }, new Map(entries.map((e) => [e.name, e.result])));
  const found = await readdir(partial).catch((): string[] => []);
  if (found.length > 0 && !found.includes(JOURNAL_NAME)) {
    throw new SaharaError('merge-refused', {
      reason: 'the folder is not an unfinished merge',
      path: partial,
    });
  }
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await checkSpace(plan, { partial, options });
  // First under no plan's name, so that a crash among the files leaves a folder that is known and started over.
  await startJournal(journal, LAYING_OUT);
  for (const file of plan.files) await layOutFile(join(partial, file.name), file);
  await startJournal(journal, plan.id);
  return new Map();
}

async function layOutFile(path: string, { header, sizeBytes }: OutputFile): Promise<void> {
  const file = await open(path, 'w').catch((error: unknown) => {
    throw ioError(error, path);
  });
  try {
    await file.writeFile(header);
    await file.truncate(sizeBytes);
  } catch (error) {
    throw ioError(error, path);
  } finally {
    await file.close();
  }
}

async function checkSpace(plan: MergePlan, { partial, options }: Work): Promise<void> {
  const { bavail, bsize } = await statfs(partial);
  const neededBytes = outputBytes(plan) + (options.spareBytes ?? 0);
  if (bavail * bsize < neededBytes) {
    throw new SaharaError('disk-full', { path: partial, neededBytes, freeBytes: bavail * bsize });
  }
}

// A tensor whose bytes are not those that its journal line names did not reach the disk, and is done again.
async function keepSound(
  plan: MergePlan,
  { partial, options }: Work,
  journaled: ReadonlyMap<string, TensorResult>,
): Promise<Map<string, TensorResult>> {
  const sound = new Map<string, TensorResult>();
  const done = plan.tasks.filter(({ name }) => journaled.has(name));
  const jobs = done.map(({ name, target }) => {
    return { kind: 'hash' as const, name, source: { ...target, path: join(partial, target.path) } };
  });
  await runJobs(jobs, options, ({ name }, result) => {
    const known = journaled.get(name);
    if (result.kind === 'hash' && known?.sha256 === result.sha256) sound.set(name, known);
  });
  return sound;
}

// Merges what is missing and hashes what no task reads whole; returns the models' content hashes.
async function work(
  plan: MergePlan,
  { partial, options, results, clock }: Work & { results: Map<string, TensorResult>; clock: Clock },
): Promise<string[]> {
  const hashes = await prepareHashes(plan);
  const missing = plan.tasks.filter(({ name }) => !results.has(name));
  const jobs: Job[] = [...missing.map((task) => ({ kind: 'merge' as const, task })), ...hashes.jobs];
  const report = createReporter(jobs, { tensors: plan.tasks.length, clock, notify: options.onProgress });
  report(undefined, results.size);
  await runJobs(jobs, { ...options, root: partial }, (job, result) => {
    if (result.kind === 'merge' && job.kind === 'merge') {
      appendJournal(join(partial, JOURNAL_NAME), { name: job.task.name, result: result.result });
      results.set(job.task.name, result.result);
    } else if (result.kind === 'hash' && job.kind === 'hash') hashes.add(job.source, result.sha256);
    report(job, results.size);
  });
  return hashes.finish(results);
}

function createReporter(
  jobs: readonly Job[],
  parts: { tensors: number; clock: Clock; notify: ((progress: MergeProgress) => void) | undefined },
): (job: Job | undefined, tensorsDone: number) => void {
  const { tensors, clock, notify } = parts;
  const bytes = jobs.reduce((sum, job) => sum + jobBytes(job), 0);
  const startMs = clock.monotonicMs();
  let bytesDone = 0;
  return (job, tensorsDone) => {
    if (job) bytesDone += jobBytes(job);
    const seconds = (clock.monotonicMs() - startMs) / 1000;
    const bytesPerSecond = seconds > 0 ? bytesDone / seconds : 0;
    const secondsLeft = bytesPerSecond > 0 ? (bytes - bytesDone) / bytesPerSecond : undefined;
    notify?.({ tensorsDone, tensors, bytesDone, bytes, bytesPerSecond, secondsLeft });
  };
}

// Data first, then what names it, then the final name: a crash in between leaves the partial folder.
async function finish(
  plan: MergePlan,
  { partial, output, manifest }: { partial: string; output: string; manifest: MergeManifest },
): Promise<void> {
  try {
    for (const path of plan.sideFiles) await copyFile(path, join(partial, basename(path)));
    if (plan.config)
      await writeFile(join(partial, 'config.json'), `${JSON.stringify(plan.config, undefined, 2)}\n`);
    for (const [name, text] of Object.entries(plan.texts)) await writeFile(join(partial, name), text);
    if (plan.files.length > 1) await writeFile(join(partial, INDEX_NAME), indexFile(plan.files, plan.tasks));
    await writeFile(join(partial, MANIFEST_NAME), writeManifest(manifest));
    for (const name of [...plan.files.map((file) => file.name), MANIFEST_NAME])
      await sync(join(partial, name));
    await rename(partial, output);
    await rm(join(output, JOURNAL_NAME));
    await sync(dirname(output));
  } catch (error) {
    throw ioError(error, partial);
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
