/** The manifest beside a merge, `sahara-merge.json`: all that is needed to check it, repeat it, and pay for it. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '../base/bytes.ts';
import { SaharaError } from '../base/errors.ts';
import { readJson } from './checkpoint.ts';
import { contentHash } from './merkle.ts';
import type { MergePlan, PlanOptions } from './plan.ts';
import { type ParentShare, shareOut } from './shares.ts';
import { contributors, type TensorResult } from './task.ts';

/** The manifest's file name. */
export const MANIFEST_NAME: string = 'sahara-merge.json';
/** The format's name; its number changes when the same recipe could give other bits. */
export const MANIFEST_FORMAT: string = 'sahara-merge/1';

/** A model that was read. */
export interface ManifestModel {
  /** How the recipe names it. */
  readonly name: string;
  /** Merkle root over all its tensors (`merkle.ts`). */
  readonly contentHash: string;
}

/** A parent and its share. */
export interface ManifestParent extends ParentShare {
  /** Place among `models`. */
  readonly model: number;
}

/** A tensor of the output. */
export interface ManifestTensor extends TensorResult {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** For each contribution, its place among `parents`. */
  readonly parents: readonly number[];
}

/** What `sahara-merge.json` holds. Two runs of one plan write the same bytes. */
export interface MergeManifest {
  readonly format: string;
  /** Merkle root over the output's tensors. */
  readonly contentHash: string;
  /** The recipe's text. */
  readonly recipe: string;
  readonly options: Pick<PlanOptions, 'seed' | 'rounding' | 'shardBytesMax' | 'noisyDeltas'>;
  readonly models: readonly ManifestModel[];
  readonly parents: readonly ManifestParent[];
  readonly warnings: readonly string[];
  /** SHA-256, in hex, of the files that were written beside the weights because no model has them: a joined tokenizer. */
  readonly files?: Readonly<Record<string, string>>;
  readonly tensors: readonly ManifestTensor[];
  /** All that was merged first, each before what was made of it; their manifests have no stages of their own. */
  readonly stages?: readonly ManifestStage[];
}

/** A model that was merged first. */
export interface ManifestStage {
  /** As the recipe names it. */
  readonly name: string;
  readonly manifest: MergeManifest;
}

// Below it, most of what the parents changed is lost to rounding, and someone should know.
const SURVIVAL_LEAST = 0.5;

/** Puts the manifest together from a plan and what came of its tasks. */
export function createManifest(
  plan: MergePlan,
  results: ReadonlyMap<string, TensorResult>,
  { modelHashes, stages }: { modelHashes: readonly string[]; stages: readonly ManifestStage[] },
): MergeManifest {
  const tensors = plan.tasks.map((task) => {
    const { name, shape, target } = task;
    const result = results.get(name);
    if (!result) throw new SaharaError('internal', { reason: `no result for ${name}` });
    return { name, dtype: target.dtype, shape, parents: contributors(task), ...result };
  });
  const shares = shareOut(plan.parents.length, tensors);
  const { seed, rounding, shardBytesMax, noisyDeltas } = plan.options;
  return {
    format: MANIFEST_FORMAT,
    contentHash: contentHash(tensors),
    recipe: plan.recipe.text,
    options: { seed, rounding, shardBytesMax, noisyDeltas },
    models: plan.models.map(({ name }, i) => ({ name, contentHash: modelHashes[i] ?? '' })),
    parents: shares.map((share, i) => ({ model: plan.parents[i] ?? 0, ...share })),
    warnings: [...plan.warnings, ...roundingWarning(tensors)],
    ...(Object.keys(plan.texts).length > 0 ? { files: hashTexts(plan.texts) } : {}),
    tensors,
    ...(stages.length > 0 ? { stages } : {}),
  };
}

/** The stages of a merge, out of the manifests of those that it reads: these with all that is below them, each once. */
export function gatherStages(read: readonly ManifestStage[]): readonly ManifestStage[] {
  const found = new Map<string, ManifestStage>();
  for (const { name, manifest } of read) {
    const { stages = [], ...own } = manifest;
    for (const stage of [...stages, { name, manifest: own }]) found.set(stage.name, stage);
  }
  return [...found.values()];
}

/** SHA-256 of texts, by name. */
export function hashTexts(texts: Readonly<Record<string, string>>): Record<string, string> {
  const names = Object.keys(texts).sort();
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash('sha256')
        .update(utf8(texts[name] ?? ''))
        .digest('hex'),
    ]),
  );
}

function roundingWarning(tensors: readonly ManifestTensor[]): string[] {
  const lossy = tensors.filter(({ survival }) => survival < SURVIVAL_LEAST);
  if (lossy.length === 0) return [];
  const least = Math.min(...lossy.map(({ survival }) => survival));
  const percent = Math.max(0, Math.round(100 * least));
  return [
    `rounding loses more than half of the update in ${lossy.length} tensors (${percent} % is left in the worst); use stochastic rounding or float32`,
  ];
}

/** The manifest's bytes. */
export function writeManifest(manifest: MergeManifest): string {
  return `${JSON.stringify(manifest, undefined, 1)}\n`;
}

/** Reads the manifest in `directory`. Fails with `file-missing`, or `bundle-invalid` when it is not one. */
export async function readManifest(directory: string): Promise<MergeManifest> {
  const path = join(directory, MANIFEST_NAME);
  await readFile(path).catch((error: unknown) => {
    throw new SaharaError('file-missing', { path }, { cause: error });
  });
  const value: unknown = await readJson(path);
  if (!isManifest(value)) throw new SaharaError('bundle-invalid', { reason: 'not a merge manifest', path });
  return value;
}

function isManifest(value: unknown): value is MergeManifest {
  if (!isRecord(value) || value.format !== MANIFEST_FORMAT) return false;
  const { options, models, parents, tensors, warnings } = value;
  return (
    isText(value.contentHash) &&
    isText(value.recipe) &&
    isRecord(options) &&
    isText(options.seed) &&
    (options.rounding === 'nearest' || options.rounding === 'stochastic') &&
    isNumber(options.shardBytesMax) &&
    typeof options.noisyDeltas === 'boolean' &&
    isListOf(models, (model) => isRecord(model) && isText(model.name) && isText(model.contentHash)) &&
    isListOf(parents, isParent) &&
    isListOf(warnings, isText) &&
    (value.files === undefined || (isRecord(value.files) && Object.entries(value.files).every(isFileHash))) &&
    isListOf(tensors, isTensor) &&
    (value.stages === undefined || isListOf(value.stages, isStage)) &&
    hasSoundTensors(value)
  );
}

function isStage(value: unknown): boolean {
  if (!isRecord(value) || !isRecord(value.manifest)) return false;
  return isText(value.name) && value.manifest.stages === undefined && isManifest(value.manifest);
}

// Every contribution belongs to a parent that is listed, every tensor stands once.
function hasSoundTensors(value: Record<string, unknown>): boolean {
  // Each part has been looked at before.
  const { parents, models, tensors } = value as unknown as MergeManifest;
  const names = new Set(tensors.map(({ name }) => name));
  const sound = tensors.every(({ gram, parents: own }) => {
    return own.every((parent) => parent in parents) && (gram.length === 0 || gram.length === own.length ** 2);
  });
  return sound && names.size === tensors.length && parents.every(({ model }) => model in models);
}

function isParent(value: unknown): boolean {
  if (!isRecord(value)) return false;
  return ['model', 'sharePpm', 'shapley', 'shapleyAbsolute', 'normShare'].every((key) =>
    isNumber(value[key]),
  );
}

function isTensor(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const texts = ['name', 'dtype'].every((key) => isText(value[key])) && isHash(value.sha256);
  const numbers = ['baseNorm', 'roundingNorm', 'survival'].every((key) => isNumber(value[key]));
  const lists = ['shape', 'parents', 'gram'].every((key) => isListOf(value[key], isNumber));
  return texts && numbers && lists && isListOf(value.inputs, isHash);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOf(value: unknown, fits: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(fits);
}

function isFileHash([name, hash]: [string, unknown]): boolean {
  return /^[\w.-]+$/.test(name) && isHash(hash);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isHash(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}
