/** What `adapter` does. Loaded when it does, because the engine is large. */
import {
  type AdapterReport,
  adapterReport,
  bakeIntoModel,
  convertAdapter,
  extractFromModel,
  holdRound,
  mergeAdapterFiles,
  type NamedAdapter,
  recompressAdapter,
  type Steps,
  type WrittenAdapter,
} from '../daemon/adapter-tools.ts';
import { type App, countOption, usage } from './app.ts';
import { showTable } from './show.ts';
import { ppmText, showShares } from './show-merge.ts';
import { plainName, plural, printable } from './terminal.ts';

interface OutOptions {
  readonly out: string;
  readonly model?: string;
}

/** Options of `adapter merge`. */
export interface MergeAdapterOptions extends OutOptions {
  readonly method: string;
  readonly rank?: string;
  readonly set?: readonly string[];
  readonly seed?: string;
}

/** Options of `adapter recompress`. */
export interface RecompressOptions extends OutOptions {
  readonly rank: string;
}

/** Options of `adapter convert`. */
export interface ConvertOptions extends OutOptions {
  readonly model: string;
}

/** Options of `adapter bake`. */
export interface BakeOptions {
  readonly model: string;
  readonly out: string;
  readonly weight: string;
}

/** Options of `adapter extract`. */
export interface ExtractOptions {
  readonly base: string;
  readonly rank: string;
  readonly out: string;
  readonly module?: readonly string[];
}

/** Options of `adapter federate`. */
export interface FederateOptions extends OutOptions {
  readonly rank?: string;
  readonly normMax?: string;
  readonly cosineMin?: string;
}

/** `adapter info`. */
export async function info(app: App, path: string): Promise<void> {
  const report = await adapterReport(path);
  app.terminal.result(report, () => {
    const { terminal } = app;
    showTable(
      app,
      ['MODULE', 'SHAPE', 'RANK', 'LENGTH'],
      report.modules.map(({ name, rows, columns, rank, norm }) => [
        plainName(name, 60),
        `${rows} x ${columns}`,
        String(rank),
        norm.toPrecision(4),
      ]),
    );
    const { format, architecture, baseModel } = report;
    const kind = architecture === undefined ? format : `${format} for ${printable(architecture)}`;
    const base = baseModel === undefined ? '' : `, for the model ${plainName(baseModel, 60)}`;
    terminal.line(`${kind}, ${summary(report)}${base}`);
  });
}

/** `adapter merge`. */
export async function merge(
  app: App,
  adapters: readonly string[],
  options: MergeAdapterOptions,
): Promise<void> {
  const { method, seed } = options;
  const settings = Object.fromEntries((options.set ?? []).map(settingOption));
  const wish = {
    ...targetOf(options),
    adapters: adapters.map((text) => named(text)),
    method,
    settings,
    seed,
  };
  const stop = app.terminal.progress('Merging');
  const merged = await mergeAdapterFiles({ ...wish, ...rankOf(options) }, app.signal).finally(stop);
  app.terminal.result(merged, () => {
    showWritten(app, merged);
    showLoss(app, merged.lostEnergy);
    showShares(
      app,
      merged.parents.map(({ name, ...share }) => ({ model: name, ...share })),
    );
  });
}

/** `adapter recompress`. */
export async function recompress(app: App, path: string, options: RecompressOptions): Promise<void> {
  const rank = countOption('--rank', options.rank);
  const stop = app.terminal.progress('Recompressing');
  const written = await recompressAdapter({ ...targetOf(options), path, rank }).finally(stop);
  app.terminal.result(written, () => {
    showWritten(app, written);
    showLoss(app, written.lostEnergy);
  });
}

/** `adapter convert`. */
export async function convert(app: App, path: string, options: ConvertOptions): Promise<void> {
  const written = await convertAdapter({ ...targetOf(options), path });
  app.terminal.result(written, () => showWritten(app, written));
}

/** `adapter bake`. */
export async function bake(app: App, path: string, options: BakeOptions): Promise<void> {
  const { model, out: output } = options;
  const wish = { path, model, output, weight: numberOption('--weight', options.weight) };
  const baked = await bakeIntoModel(wish, watched(app)).finally(() => app.terminal.live());
  app.terminal.result(baked, () => {
    const { terminal } = app;
    terminal.line(`${terminal.paint('green', output)} has it in ${plural(baked.modules, 'module')}.`);
  });
}

/** `adapter extract`. */
export async function extract(app: App, tuned: string, options: ExtractOptions): Promise<void> {
  const { base, out: output, module: modules = [] } = options;
  const wish = { tuned, base, output, modules, rank: countOption('--rank', options.rank) };
  const written = await extractFromModel(wish, watched(app)).finally(() => app.terminal.live());
  app.terminal.result(written, () => {
    showWritten(app, written);
    const worst = Object.entries(written.lostEnergy).sort(([, a], [, b]) => b - a)[0];
    if (worst !== undefined)
      app.terminal.line(
        `At most ${percent(worst[1])} of a change is not in it, of ${plainName(worst[0], 60)}.`,
      );
  });
}

/** `adapter federate`. */
export async function federate(
  app: App,
  clients: readonly string[],
  options: FederateOptions,
): Promise<void> {
  const wish = {
    ...targetOf(options),
    ...rankOf(options),
    clients: clients.map((text) => named(text)),
    normMax: optionalNumber('--norm-max', options.normMax),
    cosineMin: optionalNumber('--cosine-min', options.cosineMin),
  };
  const stop = app.terminal.progress('Merging');
  const round = await holdRound(wish).finally(stop);
  app.terminal.result(round, () => {
    showWritten(app, round);
    showLoss(app, round.lostEnergy);
    showTable(
      app,
      ['CLIENT', 'LENGTH', 'CUT TO', 'COSINE', 'WEIGHT', 'SHARE'],
      round.clients.map(({ name, norm, clip, cosine, admitted, weight, share }) => [
        plainName(name, 40),
        norm.toPrecision(4),
        (norm * clip).toPrecision(4),
        cosine === undefined ? '-' : cosine.toFixed(3),
        admitted ? weight.toFixed(4) : 'left out',
        ppmText(share.sharePpm),
      ]),
    );
  });
}

function targetOf({ out, model }: OutOptions): {
  readonly output: string;
  readonly model: string | undefined;
} {
  return { output: out, model };
}

function rankOf({ rank }: { readonly rank?: string }): { readonly rank?: number } {
  return rank === undefined ? {} : { rank: countOption('--rank', rank) };
}

// What follows the last sign is a number or part of the path.
function named(text: string): NamedAdapter {
  const [, path = text, number] = /^(.+)=([^=/]*)$/.exec(text) ?? [];
  if (number === undefined) return { path: text, amount: 1 };
  return { path, amount: numberOption(`The number of ${path}`, number) };
}

function settingOption(text: string): readonly [string, number | boolean | string] {
  const [, name, value] = /^([a-z][a-z0-9_]*)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw usage(`--set takes name=value, not "${text}"`);
  if (value === 'true' || value === 'false') return [name, value === 'true'];
  const number = Number(value);
  return [name, Number.isFinite(number) ? number : value];
}

function numberOption(option: string, text: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(number)) throw usage(`${option} is a number such as 0.6, not "${text}"`);
  return number;
}

function optionalNumber(option: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : numberOption(option, text);
}

function watched(app: App): { readonly signal: AbortSignal; readonly onProgress: Steps } {
  const { terminal, signal } = app;
  return { signal, onProgress: (done, all) => terminal.live(`${done} of ${plural(all, 'tensor')}`) };
}

function showWritten({ terminal }: App, { output, adapter }: WrittenAdapter): void {
  terminal.line(`${terminal.paint('green', output)} is made: ${adapter.format}, ${summary(adapter)}`);
}

function showLoss({ terminal }: App, lostEnergy: number): void {
  if (lostEnergy > 0)
    terminal.line(`${percent(lostEnergy)} of the squared length does not fit into the rank.`);
}

function summary({ modules, norm }: AdapterReport): string {
  const ranks = modules.map(({ rank }) => rank);
  const [least, most] = [Math.min(...ranks), Math.max(...ranks)];
  const rank = least === most ? `rank ${most}` : `ranks ${least} to ${most}`;
  return `${plural(modules.length, 'module')} of ${rank}, length ${norm.toPrecision(4)}`;
}

function percent(part: number): string {
  return `${(100 * part).toPrecision(3)} %`;
}
