/**
 * Planning a merge from headers alone: which tensors come out, what goes into each, where everything lies, and every
 * reason why it cannot be done, all at once, before any data is touched.
 */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { toHex, utf8 } from '../base/bytes.ts';
import { asSaharaError, invariant } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import { checkChatTemplate } from './chat-template.ts';
import { exists, openCheckpoint } from './checkpoint.ts';
import { layOutMemory } from './context.ts';
import { fp8Config, writeFp8 } from './fp8-output.ts';
import { JSON_BYTES_MAX, MODELS_MAX, WORKER_MEMORY_BYTES_MIN } from './limits.ts';
import type { Method } from './method.ts';
import { METHODS } from './methods.ts';
import { describeOutput, type OutputFile } from './output-layout.ts';
import { checkSettings } from './plan-settings.ts';
import { type OpenModel, planTensors, type Report } from './plan-tensors.ts';
import { type PlannedVocabulary, planVocabulary } from './plan-vocabulary.ts';
import { recipeInvalid } from './recipe.ts';
import { modelsOf, type Recipe } from './recipe-content.ts';
import { ADAPTER_REFUSED, meant } from './recipe-values.ts';
import { outputConfig, outputMetadata, planSideFiles } from './side-files.ts';
import { readSideJson, type SideFolder } from './side-folder.ts';
import { allStages, outputBytes, type PlannedStage, stageCheckpoint, stagePath } from './stages.ts';
import type { Rounding, TensorTask } from './task.ts';
import type { Renumbering } from './tokenizers/files.ts';

/** How to plan a merge. */
export interface PlanOptions {
  /** Folder that relative model names start from. Default: the working folder. */
  readonly directory: string;
  /** Where models lie that are not where their name says: folder or file by name. Default none. */
  readonly places: Readonly<Record<string, string>>;
  /** Seed of every random choice and of tie-breaking. Default "0". */
  readonly seed: string;
  /** Rounding to a 16-bit output: to nearest, or up and down at random without bias (BF16 only). Default nearest. */
  readonly rounding: Rounding;
  /**
   * Most bytes of tensors in one output file of safetensors; a single larger tensor still has one. Default
   * 5,000,000,000. GGUF output is one file.
   */
  readonly shardBytesMax: number;
  /** Folder for the outputs of stages, which are removed when the whole is done. Default: `sahara-stages`. */
  readonly stagesDirectory: string;
  /** Most bytes that the outputs of stages take together. Default 1,000,000,000,000. */
  readonly stageBytesMax: number;
  /** Take deltas of block-quantised models even where noise drowns them. Default no. */
  readonly noisyDeltas: boolean;
}

/** The defaults of `PlanOptions`. */
export const PLAN_DEFAULTS: PlanOptions = {
  directory: '.',
  places: {},
  seed: '0',
  rounding: 'nearest',
  shardBytesMax: 5_000_000_000,
  stagesDirectory: 'sahara-stages',
  stageBytesMax: 1_000_000_000_000,
  noisyDeltas: false,
};

/** A model that is read. */
export interface PlanModel {
  /** How the recipe names it. */
  readonly name: string;
  /** Folder or file to open it by. */
  readonly path: string;
}

/** A merge that can be done. */
export interface MergePlan {
  readonly recipe: Recipe;
  readonly options: PlanOptions;
  /** Those of its models that are merged first. */
  readonly stages: readonly PlannedStage[];
  /** Every model that is read, in the order the recipe names them. */
  readonly models: readonly PlanModel[];
  /** The models that contribute, as places in `models`. Shares are theirs. */
  readonly parents: readonly number[];
  readonly tasks: readonly TensorTask[];
  readonly files: readonly OutputFile[];
  /** The output's `config.json`; GGUF says it in its metadata. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Files that are copied as they are, and texts that are written, by name. */
  readonly sideFiles: readonly string[];
  readonly texts: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  /** Bytes of tensors that are read at least once, and that are written. */
  readonly readBytes: number;
  readonly writeBytes: number;
  /** Least memory of a worker in bytes. */
  readonly workerBytesMin: number;
  /** Hash of all that decides the output, in hex: a journal belongs to one. */
  readonly id: string;
}

/**
 * Plans `recipe` and its stages. Reads the models' headers and configuration, nothing else. Fails with
 * `recipe-invalid`, `problems` listing everything that stands in the way.
 */
export async function planMerge(recipe: Recipe, options: Partial<PlanOptions> = {}): Promise<MergePlan> {
  const complete = { ...PLAN_DEFAULTS, ...options };
  const problems: string[] = [];
  const stages: StageMap = new Map();
  const several = recipe.stages.length > 0;
  const plan = await planWith(recipe, { options: complete, stages, problems, several });
  if (!plan || problems.length > 0) throw recipeInvalid(problems);
  const bytes = allStages(plan).reduce((sum, stage) => sum + outputBytes(stage.plan), 0);
  if (bytes > complete.stageBytesMax)
    throw recipeInvalid([`the stages take ${bytes} bytes, more than the ${complete.stageBytesMax} they may`]);
  const noted = allStages(plan).flatMap((stage) =>
    stage.plan.warnings.map((each) => `${stage.name}: ${each}`),
  );
  return { ...plan, warnings: [...noted, ...plan.warnings] };
}

/** Stages by their recipes; `undefined` for one that cannot be planned. */
type StageMap = Map<Recipe, PlannedStage | undefined>;

interface Planning {
  readonly options: PlanOptions;
  readonly stages: StageMap;
  /** Of all stages, with their names where there are several. */
  readonly problems: string[];
  readonly several: boolean;
}

async function planWith(recipe: Recipe, planning: Planning): Promise<MergePlan | undefined> {
  const { options, stages, problems, several } = planning;
  const own = new Map<string, PlannedStage | undefined>();
  for (const stage of recipe.stages) {
    const { name = '' } = stage;
    if (!stages.has(stage)) {
      const plan = await planWith(stage, planning);
      stages.set(stage, plan && { name, path: stagePath(name, plan, options), plan });
    }
    own.set(name, stages.get(stage));
  }
  try {
    return await planOne(recipe, options, own);
  } catch (error) {
    const failure = asSaharaError(error);
    if (failure.code !== 'recipe-invalid' || !Array.isArray(failure.facts.problems)) throw error;
    const where = several ? `${recipe.name ?? 'output'}: ` : '';
    problems.push(...failure.facts.problems.map((problem) => `${where}${String(problem)}`));
    return undefined;
  }
}

interface Inputs {
  readonly method: Method;
  readonly opened: readonly OpenModel[];
  readonly lead: OpenModel;
}

type Stages = ReadonlyMap<string, PlannedStage | undefined>;

/** Opens the models, and reports what can be said without them, also where some are missing. */
async function openInputs(
  recipe: Recipe,
  { options, stages, report }: { options: PlanOptions; stages: Stages; report: Report },
): Promise<Inputs> {
  const { problems, warnings } = report;
  const method = METHODS.get(recipe.method);
  if (!method) problems.add(`unknown method ${recipe.method}${meant(recipe.method, METHODS.keys())}`);
  const names = modelsOf(recipe);
  if (names.length > MODELS_MAX) throw recipeInvalid([...problems, `more than ${MODELS_MAX} models`]);
  const opened = await openAll(names, { ...options, problems, warnings, stages });
  const formats = new Set(opened.map(({ checkpoint }) => (checkpoint.metadata ? 'GGUF' : 'safetensors')));
  if (formats.size > 1) problems.add('the models are of different formats: GGUF and safetensors');
  for (const note of recipe.notes) warnings.add(note);
  if (method) checkSettings(recipe, { method, report });
  checkChatTemplate(recipe.chatTemplate, problems);
  if (!method || formats.size > 1 || opened.length < names.length) throw recipeInvalid(problems);
  const lead = opened.find(({ name }) => name === (recipe.baseModel ?? names[0]));
  invariant(lead !== undefined, 'every model was opened');
  return { method, opened, lead };
}

async function planOne(recipe: Recipe, complete: PlanOptions, stages: Stages): Promise<MergePlan> {
  const problems = new Set<string>();
  const warnings = new Set<string>();
  const report = { problems, warnings };
  const { method, opened, lead } = await openInputs(recipe, { options: complete, stages, report });
  const place = (name: string): SideFolder => {
    const stage = stages.get(name);
    return stage ? stageCheckpoint(stage) : { directory: placeOf(name, complete) };
  };
  const parts = { models: opened, lead, report, place };
  const vocabulary = recipe.tokenizer && (await planVocabulary(recipe.tokenizer, parts));
  const planned = planTensors(recipe, {
    method,
    models: opened,
    options: complete,
    report,
    vocabulary: vocabulary?.rows,
  });
  const side = await planSideFiles(recipe, { lead, models: opened, vocabulary });
  const changes = { ...planned, dtype: recipe.dtype, template: side.template, problems };
  const metadata = outputMetadata(lead.checkpoint, changes);
  const tokens = await renumbering(vocabulary, { lead, models: opened, warnings });
  const { fp8 } = recipe;
  if (fp8 && metadata) problems.add('out_dtype: FP8 is a type of safetensors, the models are GGUF');
  const made = fp8 ? writeFp8(planned.tasks, fp8, problems) : planned.tasks;
  if (problems.size > 0) throw recipeInvalid(problems);
  const { files, tasks } = describeOutput(made, { shardBytesMax: complete.shardBytesMax, metadata });
  const body = { recipe, options: complete, files, tasks, parents: planned.parents };
  const config = metadata ? undefined : outputConfig(lead.checkpoint.config, { ...planned, tasks, tokens });
  const headers = files.map(({ header }) => toHex(createHash('sha256').update(header).digest()));
  const inputs = opened.map(({ checkpoint }) => checkpoint.files);
  return {
    ...body,
    stages: [...stages.values()].filter((stage) => stage !== undefined),
    models: opened.map(({ name, path }) => ({ name, path })),
    ...(config ? { config: fp8 ? { ...config, quantization_config: fp8Config(tasks, fp8) } : config } : {}),
    sideFiles: side.copied,
    texts: side.texts,
    warnings: [...warnings],
    readBytes: tasks.reduce((sum, task) => sum + inputBytes(task), 0),
    writeBytes: tasks.reduce((sum, task) => sum + task.target.sizeBytes, 0),
    workerBytesMin: tasks.reduce((most, task) => Math.max(most, neededBytes(task)), WORKER_MEMORY_BYTES_MIN),
    id: identify({
      // Stages show in the names of their folders.
      recipe: { ...recipe, stages: [] },
      options: complete,
      tasks,
      parents: planned.parents,
      config,
      headers,
      inputs,
      texts: side.texts,
    }),
  };
}

async function openAll(
  names: readonly string[],
  where: Pick<PlanOptions, 'directory' | 'places'> & Report & { readonly stages: Stages },
): Promise<OpenModel[]> {
  const { problems, warnings, stages } = where;
  const opened: OpenModel[] = [];
  for (const name of names) {
    const stage = stages.get(name);
    if (stage) opened.push({ name, path: stage.path, checkpoint: stageCheckpoint(stage) });
    // What is wrong with a stage is told where it is planned.
    if (stages.has(name)) continue;
    const path = await findModel(name, { ...where, warnings });
    const checkpoint = await openCheckpoint(path).catch(async (error: unknown): Promise<undefined> => {
      const missing = asSaharaError(error).code === 'file-missing';
      problems.add(
        `${name}: ${missing && name.includes('+') ? ADAPTER_REFUSED : await failureText(error, path)}`,
      );
    });
    if (checkpoint) opened.push({ name, path, checkpoint });
  }
  return opened;
}

// `PATH@REVISION` is a folder of that name, or else of the name without the revision.
async function findModel(
  name: string,
  where: Pick<PlanOptions, 'directory' | 'places'> & Pick<Report, 'warnings'>,
): Promise<string> {
  const path = placeOf(name, where);
  const plain = /^(.+)@[^@/]+$/.exec(name)?.[1];
  if (plain === undefined || (await exists(path))) return path;
  where.warnings.add(`${name}: models are folders here, which have no revisions: ${plain} is taken as it is`);
  return placeOf(plain, where);
}

function placeOf(name: string, { directory, places }: Pick<PlanOptions, 'directory' | 'places'>): string {
  const place = Object.hasOwn(places, name) ? (places[name] ?? name) : name;
  return isAbsolute(place) ? place : join(resolve(directory), place);
}

// Only where another model's tokenizer takes the place of the lead model's.
async function renumbering(
  vocabulary: PlannedVocabulary | undefined,
  parts: { readonly lead: OpenModel; readonly models: readonly OpenModel[]; readonly warnings: Set<string> },
): Promise<Renumbering | undefined> {
  const { lead, models, warnings } = parts;
  if (!vocabulary?.rows || !vocabulary.leadIds || vocabulary.owner === lead.name) return undefined;
  const known = models.find(({ name }) => name === vocabulary.owner);
  const owner =
    known?.checkpoint.config ?? (await readSideJson(vocabulary.folder, 'config.json', JSON_BYTES_MAX)) ?? {};
  return { before: vocabulary.leadIds, after: vocabulary.rows.tokens.ids, owner, warnings };
}

async function failureText(error: unknown, path: string): Promise<string> {
  const { code, facts } = asSaharaError(error);
  const reason = facts.reason === undefined ? '' : `: ${String(facts.reason)}`;
  const said = `${code}${reason} (${String(facts.path ?? path)})`;
  if (code !== 'file-missing') return said;
  const beside = await readdir(dirname(path)).catch((): string[] => []);
  const others = beside.filter((each) => each !== basename(path));
  const near = nearestNames(basename(path), others, 1)[0];
  return near === undefined ? said : `${said}; did you mean ${near}?`;
}

function inputBytes({ models, base }: TensorTask): number {
  return models.reduce((sum, { sizeBytes }) => sum + sizeBytes, base?.sizeBytes ?? 0);
}

// What the kernels' own data take is under a page.
const MODULE_BYTES = 65_536;

function neededBytes(task: TensorTask): number {
  const method = METHODS.get(task.method);
  if (task.kind === 'copy' || !method) return 0;
  return layOutMemory(method, task.weights ?? task, MODULE_BYTES, 0).neededBytes;
}

function identify(value: unknown): string {
  return toHex(
    createHash('sha256')
      .update(utf8(JSON.stringify(value)))
      .digest(),
  );
}
