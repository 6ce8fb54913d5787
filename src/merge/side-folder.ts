/** The files beside a model's weights: those of a folder, or those that a merge which is only planned will write. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SaharaError } from '../base/errors.ts';

/** Where the files beside a model's weights are. */
export interface SideFolder {
  readonly directory: string;
  /** Files of an output that is not written yet: texts, or the paths of what will be copied. Nothing else is there. */
  readonly planned?: {
    readonly texts: Readonly<Record<string, string>>;
    readonly paths: Readonly<Record<string, string>>;
  };
}

/** Path of the file `name`, a text that is to be written, or `undefined` when there is none. */
export async function findSide(
  { directory, planned }: SideFolder,
  name: string,
): Promise<{ readonly path: string; readonly sizeBytes: number } | { readonly text: string } | undefined> {
  const text = planned && Object.hasOwn(planned.texts, name) ? planned.texts[name] : undefined;
  if (text !== undefined) return { text };
  const copied = planned && Object.hasOwn(planned.paths, name) ? planned.paths[name] : undefined;
  if (planned && copied === undefined) return undefined;
  const path = copied ?? join(directory, name);
  return stat(path).then(
    (found) => (found.isFile() ? { path, sizeBytes: found.size } : undefined),
    () => undefined,
  );
}

/** The text of the file `name`, or `undefined` when there is none or it is longer than `bytesMax`. */
export async function readSide(
  folder: SideFolder,
  name: string,
  bytesMax: number,
): Promise<string | undefined> {
  const found = await findSide(folder, name);
  if (found === undefined || 'text' in found) return found?.text;
  return found.sizeBytes > bytesMax ? undefined : readFile(found.path, 'utf8');
}

/**
 * The object in the JSON file `name`, or `undefined` when there is none. Fails with `tensor-invalid`, naming the file,
 * when it is something else, and with `too-large`.
 */
export async function readSideJson(
  folder: SideFolder,
  name: string,
  bytesMax: number,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const found = await findSide(folder, name);
  if (found === undefined) return undefined;
  const path = 'path' in found ? found.path : join(folder.directory, name);
  if ('path' in found && found.sizeBytes > bytesMax) throw new SaharaError('too-large', { path, bytesMax });
  const text = 'text' in found ? found.text : await readFile(found.path, 'utf8');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return Object.fromEntries(Object.entries(value));
  } catch (error) {
    throw new SaharaError('tensor-invalid', { reason: 'is not JSON', path }, { cause: error });
  }
  throw new SaharaError('tensor-invalid', { reason: 'is not a JSON object', path });
}
