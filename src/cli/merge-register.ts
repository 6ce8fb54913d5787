/** The way of a merge to the ledger: its models' assets, the licences' answer, the registration. */
import type { MergeAnswer, MergeInput, MergeRegistered } from '../daemon/admin/methods-merge.ts';
import { commitmentText, commitPath } from '../daemon/content.ts';
import {
  dropWish,
  findAssets,
  type NamedModel,
  NO_ASSET,
  parentAssets,
  type RegistrationWish,
} from '../daemon/merge-assets.ts';
import { type App, usage } from './app.ts';
import { ppmOption, termsOption } from './asset-options.ts';

/** What a registration is asked for by. */
export interface RegisterOptions {
  readonly name?: string;
  readonly parentAsset?: readonly string[];
  readonly terms?: string;
  readonly licence?: string;
  readonly keep?: string;
}

/** A model of a merge with the part of it that is its own, parts per million; 0 for a base. */
export interface SharedModel extends NamedModel {
  readonly share: number;
}

/**
 * What `options` ask for, on top of what was asked for before. Finds the assets of models that are not named. Throws
 * `usage`.
 */
export async function wishOf(
  app: App,
  models: readonly SharedModel[],
  from: {
    readonly options: RegisterOptions;
    readonly before: RegistrationWish | undefined;
    readonly name: string;
  },
): Promise<RegistrationWish> {
  const { options, before } = from;
  const terms = options.terms === undefined ? undefined : await termsOption(options.terms);
  const named = new Map([
    ...Object.entries(before?.assets ?? {}),
    ...parentAssets(options.parentAsset ?? [], models),
  ]);
  const { signal } = app;
  const stop = app.terminal.progress('Looking for the assets of the models');
  const assets = await findAssets(models, {
    named,
    signal,
    ask: (sizesBytes) => app.client.call('merge.known', { sizesBytes: [...sizesBytes] }, { signal }),
  }).finally(stop);
  const wishedTerms = terms?.terms ?? before?.terms;
  return {
    name: options.name ?? before?.name ?? from.name,
    licence: options.licence ?? terms?.licence ?? before?.licence ?? '',
    ...(wishedTerms !== undefined && { terms: wishedTerms }),
    keep: options.keep === undefined ? (before?.keep ?? 0) : ppmOption('--keep', options.keep),
    assets: Object.fromEntries(assets),
  };
}

/** Models that no asset is known for, by name. */
export function withoutAsset(
  models: readonly SharedModel[],
  { assets }: RegistrationWish,
): readonly string[] {
  return models.filter(({ name }) => !Object.hasOwn(assets, name)).map(({ name }) => name);
}

/** Refuses with `usage` while a model has no asset and is not left out on purpose. */
export function demandAssets(models: readonly SharedModel[], wish: RegistrationWish): void {
  const [first, ...others] = withoutAsset(models, wish);
  if (first === undefined) return;
  const also = others.length === 0 ? '' : ` (nor ${others.join(', ')})`;
  throw usage(
    `${first} is no asset that is known here${also}: name it with --parent-asset ${first}=ASSET, register it with ` +
      `sahara asset register, or leave it out with --parent-asset ${first}=${NO_ASSET}`,
  );
}

function inputOf(models: readonly SharedModel[], wish: RegistrationWish): MergeInput {
  const parents = models.flatMap(({ name, share }) => {
    const asset = Object.hasOwn(wish.assets, name) ? wish.assets[name] : undefined;
    return asset === undefined || asset === NO_ASSET ? [] : [{ asset, share }];
  });
  const { name, keep, terms } = wish;
  return { name, parents, keep, ...(terms !== undefined && { terms }) };
}

/** Whether the merge may be made, and what goes on to whom. With `demand` it throws `licence-refused` when it may not. */
export function askLicences(
  app: App,
  models: readonly SharedModel[],
  { wish, demand }: { readonly wish: RegistrationWish; readonly demand: boolean },
): Promise<MergeAnswer> {
  return app.client.call('merge.check', { ...inputOf(models, wish), demand }, { signal: app.signal });
}

/** Registers the merge in `output`, once. */
export async function registerMerge(
  app: App,
  models: readonly SharedModel[],
  of: { readonly output: string; readonly wish: RegistrationWish },
): Promise<MergeAnswer & MergeRegistered> {
  demandAssets(models, of.wish);
  const { signal } = app;
  const hashing = app.terminal.progress('Hashing');
  const commitment = commitmentText(await commitPath(of.output, { signal }).finally(hashing));
  const stop = app.terminal.progress('Waiting for the ledger');
  const input = { ...inputOf(models, of.wish), commitment, licence: of.wish.licence };
  const registered = await app.client.call('merge.register', input, { signal }).finally(stop);
  await dropWish(of.output);
  return registered;
}
