/** How merges look to a person. */
import type { MergeAnswer } from '../daemon/admin/methods-merge.ts';
import { type PreparedMerge, stagesOf } from '../daemon/merging.ts';
import type { App } from './app.ts';
import { showTable } from './show.ts';
import { showPlan } from './show-assets.ts';
import { plainName, plural, printable } from './terminal.ts';

/** `1.5 GB`: bytes in powers of ten. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `40 s`, `12 min`, `3 h`. */
export function secondsText(seconds: number): string {
  if (seconds < 1) return 'less than 1 s';
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** `12.3456 %` of parts per million. */
export function ppmText(ppm: number): string {
  return `${ppm / 10_000} %`;
}

/** What will come out of a merge, and what it takes. */
export function showMerge(app: App, { plan, forecast, problems }: PreparedMerge): void {
  const { terminal } = app;
  if (plan !== undefined && forecast !== undefined) {
    const merged = plan.tasks.filter(({ kind }) => kind === 'merge').length;
    const types = [...new Set(plan.tasks.map(({ target }) => target.dtype))].join(', ');
    const stages = stagesOf(plan);
    for (const { name, plan: own } of stages)
      terminal.line(
        `stage    ${printable(name)}: ${own.recipe.method}, ${plural(own.tasks.length, 'tensor')}`,
      );
    terminal.line(`method   ${plan.recipe.method}`);
    const copied = plan.tasks.length - merged;
    const asIs = copied > 0 ? `, ${copied} of them copied` : '';
    const files = plan.files.length > 1 ? ` in ${plural(plan.files.length, 'file')}` : '';
    terminal.line(`tensors  ${plan.tasks.length}${asIs}; ${types}${files}`);
    terminal.line(`memory   ${bytesText(forecast.memoryBytes)} for ${plural(forecast.workers, 'worker')}`);
    const { diskBytes, stageBytes, readBytes, freeBytes } = forecast;
    const staged = stageBytes > 0 ? ` (${bytesText(stageBytes)} of them for stages, until all is done)` : '';
    terminal.line(
      `disk     ${bytesText(diskBytes)} to write${staged}, ${bytesText(readBytes)} to read, ${bytesText(freeBytes)} free`,
    );
    if (forecast.seconds !== undefined) {
      terminal.line(
        `time     ${secondsText(forecast.seconds)} of computing, longer where the disk is slower`,
      );
    }
    for (const warning of plan.warnings) terminal.line(`${terminal.paint('yellow', 'note')}     ${warning}`);
  }
  showProblems(app, problems);
}

/** Everything that stands in the way, a line each; nothing when nothing does. */
export function showProblems(app: App, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const { terminal } = app;
  terminal.line(`${terminal.paint('red', 'No')}: ${plural(problems.length, 'thing')} to put right first:`);
  for (const problem of problems) terminal.line(`  ${printable(problem)}`);
}

/** The licences' answer, and what would go on to whom. */
export function showAnswer(app: App, { plan, parts }: MergeAnswer, measured: boolean): void {
  app.terminal.line();
  showPlan(app, plan);
  if (!measured && parts.length > 0) {
    app.terminal.line('Parts are forecast from the weights of the recipe; the merge measures them.');
  }
}

/** What the models that no stage made have of a merge. */
export function showThroughStages(
  app: App,
  models: readonly { readonly name: string; readonly share: number }[],
): void {
  app.terminal.line('Through the stages:');
  for (const { name, share } of models)
    if (share > 0) app.terminal.line(`  ${plainName(name, 48)}  ${ppmText(share)}`);
}

/** Who made how much of a merge. */
export function showShares(
  app: App,
  rows: readonly {
    readonly model: string;
    readonly sharePpm: number;
    readonly shapley: number;
    readonly normShare: number;
  }[],
): void {
  const percent = (part: number): string => `${(100 * part).toFixed(2)} %`;
  showTable(
    app,
    ['MODEL', 'SHARE', 'PART OF UPDATE', 'BY LENGTH'],
    rows.map(({ model, sharePpm, shapley, normShare }) => [
      plainName(model, 48),
      ppmText(sharePpm),
      percent(shapley),
      percent(normShare),
    ]),
  );
}
