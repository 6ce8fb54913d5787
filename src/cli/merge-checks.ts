/** What `merge verify`, `merge explain` and `merge shares` do. Loaded when they are, because the engine is large. */
import { checkMerge, explainClaim, mergedModels, mergeOf } from '../daemon/merging.ts';
import { type App, countOption } from './app.ts';
import { type MeansOptions, meansOption } from './merge-options.ts';
import { showTable } from './show.ts';
import { showShares, showThroughStages } from './show-merge.ts';
import { plainName, plural, printable } from './terminal.ts';

/** Options of `merge verify`. */
export interface VerifyOptions extends MeansOptions {
  readonly parents?: readonly string[];
  readonly models?: string;
  readonly sample?: string;
  readonly tensor?: readonly string[];
}

/** Options of `merge explain`. */
export interface ExplainOptions extends MeansOptions {
  readonly parents: readonly string[];
  readonly base?: string;
}

/** `merge verify`. */
export async function verify(app: App, folder: string, options: VerifyOptions): Promise<void> {
  const stop = app.terminal.progress('Checking');
  const { manifest, checked, repeated, problems } = await checkMerge(folder, {
    parents: options.parents ?? [],
    directory: options.models,
    sample: options.sample === undefined ? undefined : countOption('--sample', options.sample),
    tensors: options.tensor ?? [],
    ...meansOption(options),
    signal: app.signal,
  }).finally(stop);
  const { contentHash, tensors } = manifest;
  const report = {
    ok: problems.length === 0,
    contentHash,
    tensors: tensors.length,
    checked,
    repeated,
    problems,
  };
  app.terminal.result(report, () => {
    const { terminal } = app;
    for (const problem of problems) terminal.line(`  ${printable(problem)}`);
    const what = `${checked} of ${plural(tensors.length, 'tensor')} checked, ${repeated} merged again`;
    if (problems.length > 0) terminal.line(`${terminal.paint('red', 'Does not hold')}: ${what}.`);
    else terminal.line(`${terminal.paint('green', 'Holds')}: ${what}, content ${contentHash}.`);
    if (repeated === 0) terminal.line('With --parents or --models it is merged again and compared.');
  });
  if (problems.length > 0) process.exitCode = 1;
}

const WORST_SHOWN = 3;

/** `merge explain`. */
export async function explain(app: App, output: string, options: ExplainOptions): Promise<void> {
  const { parents } = options;
  const stop = app.terminal.progress('Measuring');
  const { weights, rSquared, tensors, left, base } = await explainClaim(
    { output, parents, base: options.base },
    { ...meansOption(options), signal: app.signal },
  ).finally(stop);
  const rows = parents.map((parent, i) => ({ parent, weight: weights[i] ?? 0 }));
  app.terminal.result({ parents: rows, rSquared, base, tensors, left }, () => {
    const { terminal } = app;
    showTable(
      app,
      ['PARENT', 'WEIGHT'],
      rows.map(({ parent, weight }) => [plainName(parent, 60), weight.toFixed(4)]),
    );
    terminal.line(`R² ${rSquared.toFixed(4)}: the part of the update over ${base} that these explain.`);
    const worst = [...tensors].sort((a, b) => a.rSquared - b.rSquared).slice(0, WORST_SHOWN);
    for (const tensor of worst) {
      if (tensor.rSquared < rSquared)
        terminal.line(`  least: ${tensor.name}  R² ${tensor.rSquared.toFixed(4)}`);
    }
    if (left.length > 0)
      terminal.line(`${plural(left.length, 'tensor')} not compared: not in all models alike.`);
  });
}

/** `merge shares`. */
export async function shares(app: App, folder: string): Promise<void> {
  const { manifest, sharesHold } = await mergeOf(folder);
  const rows = manifest.parents.map(({ model, ...share }) => ({
    model: manifest.models[model]?.name ?? '',
    ...share,
  }));
  const models = mergedModels(manifest).map(({ name, sharePpm: share }) => ({ name, share }));
  const through = manifest.stages === undefined ? {} : { models };
  app.terminal.result(
    { contentHash: manifest.contentHash, parents: rows, ...through, ok: sharesHold },
    () => {
      showShares(app, rows);
      if (manifest.stages !== undefined) showThroughStages(app, models);
      if (!sharesHold)
        app.terminal.line(app.terminal.paint('red', 'They are not those that follow from the merge.'));
    },
  );
  if (!sharesHold) process.exitCode = 1;
}
