/**
 * Which assets the models of a merge are: named by the user, or found by what they hold among the assets that the
 * daemon knows. And the wish to register a merge, kept beside its output until it is done.
 */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { asSaharaError, SaharaError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import type { TermsInput } from './admin/methods-asset.ts';
import type { KnownContent } from './admin/methods-merge.ts';
import { commitmentText, commitPath } from './content.ts';

/** A model of a merge by the name that its recipe has for it, and where it lies, if that is known. */
export interface NamedModel {
  readonly name: string;
  readonly path?: string;
}

/** Says that a model is deliberately left out. */
export const NO_ASSET = 'none';

/** Assets by model out of `NAME=ASSET`. Throws `usage` for a model that the merge does not have. */
export function parentAssets(
  texts: readonly string[],
  models: readonly NamedModel[],
): ReadonlyMap<string, string> {
  const names = models.map(({ name }) => name);
  return new Map(
    texts.map((text): [string, string] => {
      const [, name, asset] = /^(.+)=([^=]+)$/.exec(text) ?? [];
      if (name === undefined || asset === undefined) {
        throw new SaharaError('usage', { reason: `--parent-asset takes NAME=ASSET, not "${text}"` });
      }
      if (names.includes(name)) return [name, asset];
      const near = nearestNames(name, names, 1)[0] ?? names.join(', ');
      throw new SaharaError('usage', { reason: `The merge has no model ${name}; did you mean ${near}?` });
    }),
  );
}

/** Asks for known assets with content of one of these sizes. */
type AskKnown = (sizesBytes: readonly number[]) => Promise<readonly KnownContent[]>;

/**
 * Assets of the models that `named` does not name, by the content of their folder or only file. A model is only read
 * when an asset of its very size is known.
 */
export async function findAssets(
  models: readonly NamedModel[],
  parts: {
    readonly named: ReadonlyMap<string, string>;
    readonly ask: AskKnown;
    readonly signal: AbortSignal;
  },
): Promise<ReadonlyMap<string, string>> {
  const found = new Map(parts.named);
  const open = models.filter(({ name }) => !found.has(name));
  const places = await Promise.all(open.map(async (model) => ({ model, places: await placesAt(model) })));
  const sizes = new Set(places.flatMap((each) => each.places.map(({ sizeBytes }) => sizeBytes)));
  if (sizes.size === 0) return found;
  const known = await parts.ask([...sizes]);
  const byContent = new Map(known.map(({ commitment, asset }) => [commitment, asset]));
  const knownSizes = new Set(known.map(({ commitment }) => Number(commitment.split(':')[2])));
  for (const { model, places: candidates } of places) {
    for (const { path, sizeBytes } of candidates) {
      if (found.has(model.name) || !knownSizes.has(sizeBytes)) continue;
      const asset = byContent.get(commitmentText(await commitPath(path, { signal: parts.signal })));
      if (asset !== undefined) found.set(model.name, asset);
    }
  }
  return found;
}

interface Place {
  readonly path: string;
  readonly sizeBytes: number;
}

const WEIGHTS = /\.(safetensors|gguf)$/;

/** The folder with all that is in it, and its only file of weights; or the file. */
async function placesAt({ path }: NamedModel): Promise<readonly Place[]> {
  const entry = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (path === undefined || entry === undefined) return [];
  if (!entry.isDirectory()) return [{ path, sizeBytes: entry.size }];
  const below = await readdir(path, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    below
      .filter((each) => each.isFile())
      .map(async ({ parentPath, name }): Promise<Place> => {
        const file = join(parentPath, name);
        return { path: file, sizeBytes: (await stat(file)).size };
      }),
  );
  const weights = files.filter((file) => WEIGHTS.test(file.path));
  const whole = { path, sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
  return weights.length === 1 ? [whole, ...weights] : [whole];
}

/** What a merge is to be registered as. */
export interface RegistrationWish {
  readonly name: string;
  readonly licence: string;
  readonly terms?: TermsInput;
  /** Parts per million that stay with the maker. */
  readonly keep: number;
  /** Assets by model, with `none` for those that are left out. */
  readonly assets: Readonly<Record<string, string>>;
}

/** Where the wish for the merge in `output` is kept: beside it, because what is in it is registered. */
export function wishPath(output: string): string {
  return `${resolve(output)}.registration.json`;
}

/** Keeps a wish until the merge is registered. */
export async function keepWish(output: string, wish: RegistrationWish): Promise<void> {
  await mkdir(dirname(resolve(output)), { recursive: true });
  await writeFile(wishPath(output), `${JSON.stringify(wish, undefined, 2)}\n`);
}

/** The kept wish, or `undefined`. Throws `bundle-invalid` for a file that is none. */
export async function keptWish(output: string): Promise<RegistrationWish | undefined> {
  const path = wishPath(output);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const value = parsed(text, path);
  if (isWish(value)) return value;
  throw new SaharaError('bundle-invalid', { reason: 'it is not the wish to register a merge', path });
}

/** Forgets the wish. */
export async function dropWish(output: string): Promise<void> {
  await rm(wishPath(output), { force: true });
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SaharaError('bundle-invalid', { reason: asSaharaError(error).message, path }, { cause: error });
  }
}

// What the terms hold is checked by the daemon, with the name of the field.
function isWish(value: unknown): value is RegistrationWish {
  if (typeof value !== 'object' || value === null) return false;
  const { name, licence, keep, assets } = value as Record<string, unknown>;
  const texts = typeof name === 'string' && typeof licence === 'string' && typeof keep === 'number';
  return texts && typeof assets === 'object' && assets !== null;
}
