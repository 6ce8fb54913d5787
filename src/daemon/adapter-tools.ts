/**
 * LoRA adapters as commands work with them: looked at, merged, brought to a lower rank, put into a model, taken out of a
 * fine-tune, converted, and learned together in a round. What is written has the format that its name says.
 */
import { basename } from 'node:path';
import { SaharaError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import {
  type AdapterFormat,
  demandFree,
  formatOf,
  inFormat,
  readAdapter,
  writeAdapter,
} from '../merge/adapters/adapter-files.ts';
import { bakeAdapter } from '../merge/adapters/bake.ts';
import { extractAdapter } from '../merge/adapters/extract.ts';
import { type ClientResult, federatedRound } from '../merge/adapters/federated.ts';
import { innerLowRank, recompress } from '../merge/adapters/low-rank.ts';
import { mergeAdapters } from '../merge/adapters/merge-adapters.ts';
import { mergeAdaptersBy, SPARSE_ADAPTER_METHODS } from '../merge/adapters/merge-sparse.ts';
import { readAdaptedModel } from '../merge/adapters/model-heads.ts';
import type { Adapter } from '../merge/adapters/peft.ts';
import { METHODS } from '../merge/methods.ts';
import type { SettingMap } from '../merge/settings.ts';
import type { ParentShare } from '../merge/shares.ts';

/** The methods that adapters are merged by. */
export const ADAPTER_METHODS: readonly string[] = ['linear', ...SPARSE_ADAPTER_METHODS];

/** A module of an adapter. */
export interface AdapterModule {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly rank: number;
  /** Length of its update. */
  readonly norm: number;
}

/** What an adapter is. */
export interface AdapterReport {
  readonly format: AdapterFormat;
  /** GGUF's name for the kind of model; only in GGUF. */
  readonly architecture?: string;
  /** What PEFT's configuration calls the model that it is for. */
  readonly baseModel?: string;
  readonly modules: readonly AdapterModule[];
  /** Length of all of it. */
  readonly norm: number;
}

/** Looks at an adapter. */
export async function adapterReport(path: string): Promise<AdapterReport> {
  return describe(await readAdapter(path), formatOf(path));
}

function describe({ modules: all, architecture, config }: Adapter, format: AdapterFormat): AdapterReport {
  const modules = [...all].map(([name, delta]) => {
    const norm = Math.sqrt(Math.max(0, innerLowRank(delta, delta)));
    return { name, rows: delta.b.rows, columns: delta.a.columns, rank: delta.a.rows, norm };
  });
  const { base_model_name_or_path: baseModel } = config;
  return {
    format,
    ...(architecture !== undefined && { architecture }),
    ...(typeof baseModel === 'string' && baseModel !== '' && { baseModel }),
    modules,
    norm: Math.hypot(...modules.map(({ norm }) => norm)),
  };
}

/** What is written, and where. */
export interface AdapterTarget {
  /** A file called `*.gguf`, or a folder for PEFT; nothing is there yet. */
  readonly output: string;
  /** The model that it is for; needed only between PEFT and GGUF. */
  readonly model?: string | undefined;
}

/** An adapter that was written. */
export interface WrittenAdapter {
  readonly output: string;
  readonly adapter: AdapterReport;
}

async function write(adapter: Adapter, { output, model }: AdapterTarget): Promise<WrittenAdapter> {
  const format = formatOf(output);
  const made = await fitting(adapter, format, model);
  await writeAdapter(output, made);
  return { output, adapter: describe(made, format) };
}

async function fitting(adapter: Adapter, format: AdapterFormat, model: string | undefined): Promise<Adapter> {
  if (model !== undefined) return inFormat(adapter, format, (await readAdaptedModel(model)).heads);
  if (format === (adapter.architecture === undefined ? 'PEFT' : 'GGUF')) return adapter;
  throw wrong('between PEFT and GGUF it takes --model, the model that the adapter is for');
}

/** An adapter by its path, with a number: its weight, or how much it learned from. */
export interface NamedAdapter {
  readonly path: string;
  readonly amount: number;
}

// As they are when they agree, so that a merge is the same whatever format it is written in; otherwise in that.
async function readAll(
  named: readonly NamedAdapter[],
  { output, model }: AdapterTarget,
): Promise<readonly { readonly adapter: Adapter; readonly amount: number }[]> {
  await demandFree(output);
  const read = await Promise.all(
    named.map(async ({ path, amount }) => ({ adapter: await readAdapter(path), amount })),
  );
  // Whether it can be written is known before anything is computed.
  const fit = await Promise.all(
    read.map(async ({ adapter, amount }) => {
      return { adapter: await fitting(adapter, formatOf(output), model), amount };
    }),
  );
  const kinds = new Set(read.map(({ adapter }) => adapter.architecture));
  return kinds.size > 1 ? fit : read;
}

/** How to merge adapters. */
export interface AdapterMergeWish extends AdapterTarget {
  readonly adapters: readonly NamedAdapter[];
  /** One of `ADAPTER_METHODS`. */
  readonly method: string;
  /** Greatest rank; `linear` is exact without one. */
  readonly rank?: number | undefined;
  /** Settings of the method, as in a recipe. */
  readonly settings: SettingMap;
  readonly seed?: string | undefined;
}

/** A merge of adapters. */
export interface AdapterMerge extends WrittenAdapter {
  readonly parents: readonly ({ readonly name: string } & ParentShare)[];
  /** Part of the squared length that the rank cannot hold. */
  readonly lostEnergy: number;
}

/** Merges adapters. Fails with `usage` for another method, a setting that it does not have, or a rank that it needs. */
export async function mergeAdapterFiles(wish: AdapterMergeWish, signal: AbortSignal): Promise<AdapterMerge> {
  const { method, rank, settings, seed } = wish;
  checkMethod(wish);
  const read = await readAll(wish.adapters, wish);
  const parents = read.map(({ adapter, amount }) => ({ adapter, weight: amount }));
  const options = { method, rank: rank ?? 0, parameters: settings, ...(seed !== undefined && { seed }) };
  const { adapter, shares, lostEnergy } =
    method === 'linear'
      ? mergeAdapters(parents, rank === undefined ? {} : { rank })
      : await mergeAdaptersBy(parents, options, signal);
  const rows = shares.map((share, i) => ({ name: nameOf(wish.adapters[i]?.path), ...share }));
  return { ...(await write(adapter, wish)), parents: rows, lostEnergy };
}

function checkMethod({ method, rank, settings }: AdapterMergeWish): void {
  if (!ADAPTER_METHODS.includes(method)) {
    const near = nearestNames(method, ADAPTER_METHODS, 1)[0];
    const meant = near === undefined ? '' : `; did you mean ${near}?`;
    throw wrong(`adapters are merged by ${ADAPTER_METHODS.join(', ')}, not by "${method}"${meant}`);
  }
  if (method !== 'linear' && rank === undefined) {
    throw wrong(`${method} gives full updates: say the rank to bring them to with --rank`);
  }
  const all = METHODS.get(method)?.parameters.map(({ name }) => name) ?? [];
  const known = method === 'linear' ? [] : all.filter((name) => name !== 'weight');
  const [strange] = Object.keys(settings).filter((name) => !known.includes(name));
  if (strange === undefined) return;
  const has = known.length === 0 ? 'none' : known.join(', ');
  throw wrong(`${method} has no setting ${strange} for adapters; it has ${has}`);
}

/** Brings an adapter to a lower rank, by the nearest update of that rank. */
export async function recompressAdapter(
  wish: AdapterTarget & { readonly path: string; readonly rank: number },
): Promise<WrittenAdapter & { readonly lostEnergy: number }> {
  const [read] = await readAll([{ path: wish.path, amount: 1 }], wish);
  if (!read) throw wrong('name an adapter');
  let [energy, lost] = [0, 0];
  const modules = new Map(
    [...read.adapter.modules].map(([name, delta]) => {
      const smaller = recompress(delta, wish.rank);
      const own = innerLowRank(delta, delta);
      energy += own;
      lost += own * smaller.lostEnergy;
      return [name, smaller.delta];
    }),
  );
  const written = await write({ ...read.adapter, modules }, wish);
  return { ...written, lostEnergy: energy === 0 ? 0 : lost / energy };
}

/** Stores an adapter in the other format, or anew in its own. */
export async function convertAdapter(
  wish: AdapterTarget & { readonly path: string },
): Promise<WrittenAdapter> {
  await demandFree(wish.output);
  return write(await readAdapter(wish.path), wish);
}

/** How far something is: done, of how many. */
export type Steps = (done: number, all: number) => void;

/** Puts an adapter into a model; `weight` scales it. */
export async function bakeIntoModel(
  wish: { readonly path: string; readonly model: string; readonly output: string; readonly weight: number },
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: Steps },
): Promise<{ readonly output: string; readonly modules: number }> {
  const { path, model, output, weight } = wish;
  await demandFree(output);
  const read = await readAdapter(path);
  const { gguf, heads } = await readAdaptedModel(model);
  // Into a GGUF model either may go.
  const named = gguf ? read : inFormat(read, 'PEFT', heads);
  const modules = mergeAdapters([{ adapter: named, weight }]).adapter.modules;
  await bakeAdapter({ model, adapter: { ...named, modules }, output, onProgress }, signal);
  return { output, modules: modules.size };
}

/** Takes what a fine-tune changed out of it, as an adapter. */
export async function extractFromModel(
  wish: AdapterTarget & {
    readonly tuned: string;
    readonly base: string;
    readonly rank: number;
    /** Only modules in whose names one of these texts is; all of the layers when empty. */
    readonly modules: readonly string[];
  },
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: Steps },
): Promise<WrittenAdapter & { readonly lostEnergy: Readonly<Record<string, number>> }> {
  const { base, tuned, rank, modules: texts } = wish;
  await demandFree(wish.output);
  const chosen = (name: string): boolean => texts.some((text) => name.includes(text));
  const input = { base, tuned, rank, onProgress, ...(texts.length > 0 && { modules: chosen }) };
  const { adapter, lostEnergy } = await extractAdapter(input, signal);
  if (adapter.modules.size === 0)
    throw new SaharaError('merge-refused', {
      reason: 'no matrix that was chosen differs from the base',
      path: tuned,
    });
  const written = await write(adapter, { output: wish.output, model: wish.model ?? base });
  return { ...written, lostEnergy: Object.fromEntries(lostEnergy) };
}

/** A client of a round with what became of it. */
export interface RoundClient extends ClientResult {
  readonly name: string;
}

/** Holds a round of learning together. */
export async function holdRound(
  wish: AdapterTarget & {
    readonly clients: readonly NamedAdapter[];
    readonly rank?: number | undefined;
    readonly normMax?: number | undefined;
    readonly cosineMin?: number | undefined;
  },
): Promise<WrittenAdapter & { readonly clients: readonly RoundClient[]; readonly lostEnergy: number }> {
  const { rank, normMax, cosineMin } = wish;
  const { adapter, clients, lostEnergy } = federatedRound(await readAll(wish.clients, wish), {
    ...(rank !== undefined && { rank }),
    ...(normMax !== undefined && { normMax }),
    ...(cosineMin !== undefined && { cosineMin }),
  });
  const named = clients.map((client, i) => ({ name: nameOf(wish.clients[i]?.path), ...client }));
  return { ...(await write(adapter, wish)), clients: named, lostEnergy };
}

function nameOf(path = ''): string {
  return basename(path).replace(/\.gguf$/, '');
}

function wrong(reason: string): SaharaError {
  return new SaharaError('usage', { reason });
}
