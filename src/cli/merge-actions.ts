/** What `merge` and `merge register` do. Loaded when they are, because the engine is large. */
import { basename } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { asSaharaError } from '../base/errors.ts';
import type { MergeAnswer } from '../daemon/admin/methods-merge.ts';
import { keepWish, keptWish, type RegistrationWish } from '../daemon/merge-assets.ts';
import {
  demandPossible,
  mergedModels,
  mergeOf,
  type PreparedMerge,
  performMerge,
  placesOf,
  prepareMerge,
  stagesOf,
  tidyStages,
} from '../daemon/merging.ts';
import { type App, usage } from './app.ts';
import { bytesOption, type MeansOptions, meansOption } from './merge-options.ts';
import {
  askLicences,
  demandAssets,
  type RegisterOptions,
  registerMerge,
  type SharedModel,
  wishOf,
  withoutAsset,
} from './merge-register.ts';
import {
  bytesText,
  secondsText,
  showAnswer,
  showMerge,
  showShares,
  showThroughStages,
} from './show-merge.ts';
/** Options of `merge`. */
export interface MergeOptions extends MeansOptions, RegisterOptions {
  readonly out?: string;
  readonly models: string;
  readonly seed?: string;
  readonly rounding?: string;
  readonly fileSize?: string;
  readonly stagesSize?: string;
  readonly noisyDeltas?: boolean;
  readonly dryRun?: boolean;
  readonly resume?: boolean;
  readonly register?: boolean;
}

/** Options of `merge register`. */
export interface RegisterFolderOptions extends RegisterOptions {
  readonly parents?: readonly string[];
}

/** `merge`. */
export async function mergeModels(
  app: App,
  recipe: string | undefined,
  options: MergeOptions,
): Promise<void> {
  const { out } = options;
  if (recipe === undefined || out === undefined) throw usage('sahara merge takes a recipe and --out FOLDER');
  const { rounding = 'nearest' } = options;
  if (rounding !== 'nearest' && rounding !== 'stochastic') {
    throw usage(`--rounding takes nearest or stochastic, not "${rounding}"`);
  }
  const wished = {
    recipe,
    output: out,
    resume: options.resume === true,
    ...meansOption(options),
    plan: {
      directory: options.models,
      stagesDirectory: `${out}.stages`,
      rounding,
      noisyDeltas: options.noisyDeltas === true,
      ...(options.seed !== undefined && { seed: options.seed }),
      ...(options.fileSize !== undefined && { shardBytesMax: bytesOption('--file-size', options.fileSize) }),
      ...(options.stagesSize !== undefined && {
        stageBytesMax: bytesOption('--stages-size', options.stagesSize),
      }),
    },
  } as const;
  const prepared = await prepareMerge(wished, systemClock);
  if (options.dryRun === true) return dryRun(app, prepared, { options, out });
  // The error says them in one line, and not all if they are many.
  if (prepared.problems.length > 1) for (const problem of prepared.problems) app.terminal.note(problem);
  const plan = demandPossible(prepared);
  const models = forecastModels(prepared);
  const wish = await registration(app, models, { options, out });
  if (prepared.forecast !== undefined && prepared.there !== 'all') {
    if (prepared.there === 'nothing' && !app.terminal.json) showMerge(app, prepared);
    await perform(app, { plan, forecast: prepared.forecast, out });
  } else await tidyStages(plan);
  await finish(app, out, { wish });
}

/** Asks the licences before anything is computed, and keeps what was asked for. */
async function registration(
  app: App,
  models: readonly SharedModel[],
  { options, out }: { readonly options: MergeOptions; readonly out: string },
): Promise<RegistrationWish | undefined> {
  if (options.register !== true) return undefined;
  const wish = await wishOf(app, models, { options, before: await keptWish(out), name: basename(out) });
  demandAssets(models, wish);
  await askLicences(app, models, { wish, demand: true });
  await keepWish(out, wish);
  return wish;
}

async function dryRun(
  app: App,
  prepared: PreparedMerge,
  { options, out }: { readonly options: MergeOptions; readonly out: string },
): Promise<void> {
  const models = forecastModels(prepared);
  const licence = await dryLicence(app, models, { options, out });
  const { plan, forecast, problems } = prepared;
  const report = {
    problems,
    ...(plan && {
      method: plan.recipe.method,
      tensors: plan.tasks.map(({ name, shape, kind, target }) => ({
        name,
        shape,
        kind,
        dtype: target.dtype,
      })),
      models: plan.models,
      warnings: plan.warnings,
      stages: stagesOf(plan).map(({ name, plan: { recipe, tasks } }) => {
        return { name, method: recipe.method, tensors: tasks.length };
      }),
      readBytes: plan.readBytes,
    }),
    ...(forecast && { forecast }),
    ...licence,
  };
  app.terminal.result(report, () => {
    showMerge(app, prepared);
    if (licence.answer !== undefined) showAnswer(app, licence.answer, false);
    if (licence.unasked !== undefined) app.terminal.line(licence.unasked);
    if (licence.withoutAsset.length > 0) {
      app.terminal.line(`Without an asset that is known here: ${licence.withoutAsset.join(', ')}.`);
    }
  });
  if (problems.length > 0 || licence.answer?.plan.allowed === false) process.exitCode = 1;
}

interface DryLicence {
  readonly answer?: MergeAnswer;
  readonly withoutAsset: readonly string[];
  /** Why the licences were not asked. */
  readonly unasked?: string;
}

/** Merging needs no daemon, so a dry run without one says that the licences were not asked. */
async function dryLicence(
  app: App,
  models: readonly SharedModel[],
  { options, out }: { readonly options: MergeOptions; readonly out: string },
): Promise<DryLicence> {
  if (models.length === 0) return { withoutAsset: [] };
  try {
    const wish = await wishOf(app, models, { options, before: undefined, name: basename(out) });
    return {
      answer: await askLicences(app, models, { wish, demand: false }),
      withoutAsset: withoutAsset(models, wish),
    };
  } catch (error) {
    const asked = options.register === true || options.parentAsset !== undefined;
    if (asked || asSaharaError(error).code !== 'daemon-not-running') throw error;
    return { withoutAsset: [], unasked: 'Licences were not asked: the daemon is not running.' };
  }
}

function forecastModels({ forecast }: PreparedMerge): readonly SharedModel[] {
  return forecast?.models ?? [];
}

async function perform(
  app: App,
  of: Parameters<typeof performMerge>[0] & { readonly out: string },
): Promise<void> {
  const { terminal, signal } = app;
  let told = 0;
  try {
    await performMerge(
      of,
      {
        output: of.out,
        signal,
        onProgress({ stage, tensorsDone, tensors, bytesDone, bytes, bytesPerSecond, secondsLeft }) {
          const percent = bytes === 0 ? 100 : Math.floor((100 * bytesDone) / bytes);
          const left = secondsLeft === undefined ? '' : `, ${secondsText(secondsLeft)} left`;
          const what = stage === undefined ? '' : `${stage}: `;
          const line = `${what}${percent} %, ${tensorsDone} of ${tensors} tensors, ${bytesText(bytesPerSecond)}/s${left}`;
          terminal.live(line);
          // Where nothing can be replaced, every tenth is a line.
          if (percent < told) told = 0;
          if (process.stderr.isTTY || percent < told + 10) return;
          told = percent - (percent % 10);
          terminal.note(line);
        },
      },
      systemClock,
    );
  } catch (error) {
    terminal.live();
    terminal.note(
      `What is done is kept in ${of.out}.partial; the same command with --resume goes on from there.`,
    );
    throw error;
  } finally {
    terminal.live();
  }
}

/** Says what was merged, and registers it if that was asked for. */
async function finish(
  app: App,
  out: string,
  { wish }: { readonly wish: RegistrationWish | undefined },
): Promise<void> {
  const { manifest, models, contentHash, warnings, rows } = await finished(out);
  const registered =
    wish === undefined
      ? undefined
      : await registerMerge(app, models, { output: out, wish }).catch((error: unknown) => {
          app.terminal.note(`The merge is whole in ${out}; sahara merge register ${out} registers it.`);
          throw error;
        });
  const through = manifest.stages === undefined ? {} : { models };
  const report = { output: out, contentHash, parents: rows, ...through, warnings, ...registered };
  app.terminal.result(report, () => {
    const { terminal } = app;
    terminal.line(`${terminal.paint('green', out)} is merged: ${contentHash}`);
    for (const warning of warnings) terminal.line(`${terminal.paint('yellow', 'note')}  ${warning}`);
    showShares(app, rows);
    if (manifest.stages !== undefined) showThroughStages(app, models);
    if (registered !== undefined) showRegistered(app, registered);
  });
}

/** The models of a merge with what each has measured of it. */
async function finished(out: string, places: Readonly<Record<string, string>> = {}) {
  const { manifest } = await mergeOf(out);
  const rows = manifest.parents.map(({ model, ...share }) => ({
    model: manifest.models[model]?.name ?? '',
    ...share,
  }));
  const models = mergedModels(manifest).map(({ name, sharePpm: share }): SharedModel => {
    const path = Object.hasOwn(places, name) ? places[name] : undefined;
    return { name, share, ...(path !== undefined && { path }) };
  });
  return { manifest, models, rows, contentHash: manifest.contentHash, warnings: manifest.warnings };
}

function showRegistered(
  app: App,
  { asset, before, parts }: { readonly asset: string; readonly before: boolean } & Pick<MergeAnswer, 'parts'>,
): void {
  const { terminal } = app;
  terminal.line(`${before ? 'It was registered before' : 'It is registered'}: ${asset}`);
  if (before) return;
  for (const { name, ppm } of parts) terminal.line(`  ${ppm / 10_000} % goes on to ${name}`);
}

/** `merge register`. */
export async function register(app: App, folder: string, options: RegisterFolderOptions): Promise<void> {
  const { manifest } = await mergeOf(folder);
  const places = placesOf(manifest, options.parents ?? []);
  const { models } = await finished(folder, places);
  const before = await keptWish(folder);
  const wish = await wishOf(app, models, { options, before, name: basename(folder) });
  const registered = await registerMerge(app, models, { output: folder, wish });
  app.terminal.result({ output: folder, ...registered }, () => showRegistered(app, registered));
}
